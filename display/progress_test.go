package display

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/streams"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
	"github.com/docker-multiarch/docker-multiarch/transfer"
)

// terminal shows what is written to it as a person sees it: it knows the sequences that Progress uses.
type terminal struct {
	mu            sync.Mutex
	t             *testing.T
	lines         []string
	row, column   int
	width, height int
}

func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := string(p)
	for rest != "" {
		var n int
		switch {
		case strings.HasPrefix(rest, "\x1b[J"):
			s.lines = append(s.lines[:s.row], s.line()[:s.column])
			rest = rest[3:]
		case strings.HasPrefix(rest, "\x1b[K"):
			s.set(s.line()[:s.column])
			rest = rest[3:]
		case strings.HasPrefix(rest, "\x1b["):
			if _, err := fmt.Sscanf(rest, "\x1b[%dA", &n); err != nil || n > s.row {
				s.t.Errorf("got %q in row %d, want a known sequence that stays on the screen", rest, s.row)
			}
			s.row -= n
			_, rest, _ = strings.Cut(rest, "A")
		case rest[0] == '\r':
			s.column, rest = 0, rest[1:]
		case rest[0] == '\n':
			s.row, s.column, rest = s.row+1, 0, rest[1:]
			s.line()
		default:
			line := s.line()
			s.set(line[:s.column] + rest[:1] + line[min(s.column+1, len(line)):])
			s.column, rest = s.column+1, rest[1:]
			if s.column >= s.width {
				s.t.Errorf("got line %q, want one that is shorter than the screen", s.line())
			}
		}
	}
	return len(p), nil
}

func (s *terminal) line() string {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
	return s.lines[s.row]
}

func (s *terminal) set(line string) { s.lines[s.row] = line }

func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimRight(strings.Join(s.lines, "\n"), "\n")
}

func blob(n int, size int64) ocispec.Descriptor {
	return ocispec.Descriptor{Digest: digest.FromString(fmt.Sprint(n)), Size: size}
}

func id(n int) string { return blob(n, 0).Digest.Encoded()[:12] }

// after lets time pass until what is due has been shown.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// newTerminal returns a screen, and progress on it.
func newTerminal(t *testing.T, width, height int) (*terminal, *Progress) {
	s := &terminal{t: t, width: width, height: height}
	t.Setenv("TERM", "xterm")
	p := NewProgress(streams.NewOut(s), ProgressTTY)
	p.size = func() (uint, uint) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return uint(s.height), uint(s.width)
	}
	return s, p
}

func TestProgressOnATerminal(t *testing.T) { synctest.Test(t, testProgressOnATerminal) }

func testProgressOnATerminal(t *testing.T) {
	s, p := newTerminal(t, 80, 10)
	defer p.Close()
	for n, state := range []manifest.TransferState{manifest.Sending, manifest.Mounted, manifest.Present, manifest.Reading} {
		p.Blob(manifest.Transfer{Blob: blob(n, 2_000_000), State: state, Sent: 1_000_000})
	}
	after(time.Second)
	want := id(0) + ": Pushing [===============>               ] 1MB/2MB\n" + id(1) + ": Mounted\n" + id(2) + ": Already exists\n" +
		id(3) + ": Reading [===============>               ] 1MB/2MB\n2 of 4 blobs, 2MB of 4MB, 2MB/s, 1s"
	if got := s.text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, _ = p.Write([]byte("WARNING: slow\n"))
	p.Blob(manifest.Transfer{Blob: blob(0, 2_000_000), State: manifest.Sending, Sent: 2_000_000})
	p.Blob(manifest.Transfer{Blob: blob(3, 2_000_000), State: manifest.Read, Sent: 2_000_000})
	after(time.Second)
	want = "WARNING: slow\n" + id(0) + ": Waiting for the registry\n" + id(1) + ": Mounted\n" + id(2) + ": Already exists\n" +
		id(3) + ": Read 2MB\n3 of 4 blobs, 4MB of 4MB, waiting for the registry, 2s"
	if got := s.text(); got != want {
		t.Errorf("got\n%s\nwant the warning above\n%s", got, want)
	}
	// More blobs than lines: those on their way, and the total.
	for n := range 30 {
		p.Blob(manifest.Transfer{Blob: blob(n, 2_000_000), State: manifest.Sending, Sent: 1_000_000})
	}
	p.Blob(manifest.Transfer{Blob: blob(0, 2_000_000), State: manifest.Sent, Sent: 2_000_000})
	p.Blob(manifest.Transfer{Blob: blob(1, 2_000_000), State: manifest.Waiting})
	s.mu.Lock()
	s.width = 30
	s.mu.Unlock()
	after(time.Second)
	lines := strings.Split(s.text(), "\n")
	if len(lines) != 1+s.height-1 || lines[1] != id(2)+": Pushing 1MB/2MB" || lines[len(lines)-1] != "1 of 30 blobs, 30MB of 60MB, " {
		t.Errorf("got %d lines, want %d with the blobs in progress and the total\n%s", len(lines), s.height, s.text())
	}
	p.Close()
	p.Close()
	if got := s.text(); got != "WARNING: slow" {
		t.Errorf("got %q, want only the warning", got)
	}
	_, _ = p.Write([]byte("after\n"))
	if got := s.text(); got != "WARNING: slow\nafter" {
		t.Errorf("got %q, want the text after the warning", got)
	}
}

// Without blobs a terminal has one line from two seconds on, which shows that the command lives; results end it, and what
// is counted later starts it again.
func TestProgressCounts(t *testing.T) { synctest.Test(t, testProgressCounts) }

func testProgressCounts(t *testing.T) {
	s, p := newTerminal(t, 80, 10)
	defer p.Close()
	p.Start("the registry")
	for _, step := range []struct {
		what manifest.Counted
		n    int
		want string
	}{
		{manifest.CountedNames, 0, ""},
		{manifest.CountedNames, 0, "Waiting for the registry, 2s"},
		{manifest.CountedNames, 2000, "Read 2000 names, 3s"},
		{manifest.CountedManifests, 7, "Read 2000 names, 7 manifests, 4s"},
		{manifest.CountedBlobs, 1, "Read 2000 names, 7 manifests, 1 blob, 5s"},
		{manifest.CountedRemovals, 3, "Read 2000 names, 7 manifests, 1 blob; removed 3, 6s"},
	} {
		p.Count(step.what, step.n)
		after(time.Second)
		if got := s.text(); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
	p.Close()
	p.Count(manifest.CountedRemovals, 1)
	after(time.Second)
	if got := s.text(); got != "" {
		t.Errorf("got %q a second after it was closed, want nothing", got)
	}
	after(time.Second)
	if got := s.text(); got != "Removed 1, 2s" {
		t.Errorf("got %q, want what was counted after it was closed", got)
	}
}

// What a daemon reports is from outside: it forges no lines, and has any size. Another push does not restart a layer.
func TestProgressOfHostileLayers(t *testing.T) { synctest.Test(t, testProgressOfHostileLayers) }

func testProgressOfHostileLayers(t *testing.T) {
	s, p := newTerminal(t, 80, 10)
	defer p.Close()
	report := func(id string, state manifest.TransferState, sent, size int64) {
		p.Blob(manifest.Transfer{ID: id, Blob: ocispec.Descriptor{Size: size}, State: state, Sent: sent})
	}
	report("a\x1b[2J\nb", manifest.Sending, -1, -1<<63)
	report("界", manifest.Sending, 1<<62, 1<<63-1)
	report("c36d3a1fcef2", manifest.Sent, 7, 7)
	report("c36d3a1fcef2", manifest.Waiting, 0, 0)
	report("long "+strings.Repeat("x", 100), manifest.Waiting, 0, 0)
	after(time.Second)
	want := []string{
		`a\x1b[2J\nb: Pushing [==============================>] 0B/0B`,
		`\u754c: Pushing [===============>               ] 4.612EB/9.223EB`, "c36d3a1fcef2: Pushed 7B", "long xxxxxxx: Waiting",
	}
	if got := strings.Split(s.text(), "\n"); len(got) != 5 || !slices.Equal(got[:4], want) {
		t.Errorf("got\n%s\nwant\n%s\nand a total", s.text(), strings.Join(want, "\n"))
	}
}

// Lines without a terminal, or on one that has no cursor: none in the first two seconds, then one every ten seconds, or
// every minute if it would say nothing new.
func TestProgressWithoutATerminal(t *testing.T) {
	const lines = "1 of 2 blobs, 3MB of 4MB, 1.5MB/s, 2s\n1 of 2 blobs, 3MB of 4MB, 250kB/s, 12s\n" +
		"2 of 2 blobs, 4MB of 4MB, waiting for the registry, 22s\n2 of 2 blobs, 4MB of 4MB, waiting for the registry, 1m22s\n"
	for _, tt := range []struct{ mode, term, want string }{
		{ProgressAuto, "xterm", lines},
		{ProgressPlain, "xterm", lines},
		{ProgressTTY, "dumb", lines},
		{ProgressQuiet, "xterm", ""},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			t.Setenv("TERM", tt.term)
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				p := NewProgress(streams.NewOut(&out), tt.mode)
				p.Blob(manifest.Transfer{Blob: blob(0, 2_000_000), State: manifest.Sent, Sent: 2_000_000})
				p.Blob(manifest.Transfer{Blob: blob(1, 2_000_000), State: manifest.Sending, Sent: 1_000_000})
				after(delay - time.Millisecond)
				p.mu.Lock()
				if out.Len() > 0 {
					t.Errorf("got %q in the first two seconds, want nothing", &out)
				}
				p.mu.Unlock()
				after(12 * time.Second)
				p.Blob(manifest.Transfer{Blob: blob(1, 2_000_000), State: manifest.Sent, Sent: 2_000_000})
				after(69 * time.Second)
				p.Close()
				if out.String() != tt.want {
					t.Errorf("got\n%s\nwant\n%s", &out, tt.want)
				}
			})
		})
	}
}

func TestProgressAsJSON(t *testing.T) { synctest.Test(t, testProgressAsJSON) }

func testProgressAsJSON(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(streams.NewOut(&out), ProgressJSON)
	for _, one := range []manifest.Transfer{{State: manifest.Sending}, {State: manifest.Sending, Sent: 1}, {State: manifest.Sent, Sent: 2}} {
		one.Blob = blob(0, 2)
		p.Blob(one)
		if one.Sent == 1 {
			after(time.Second)
		}
	}
	p.Close()
	var got []string
	for d := json.NewDecoder(&out); d.More(); {
		var line struct {
			Digest     digest.Digest
			Size, Sent int
			State      string
		}
		if err := d.Decode(&line); err != nil || line.Digest != blob(0, 2).Digest || line.Size != 2 {
			t.Fatalf("got %v and error %v, want %s of size 2", line, err, blob(0, 2).Digest)
		}
		got = append(got, fmt.Sprint(line.State, line.Sent))
	}
	if want := "[sending0 sending1 sent2]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// Reports on many blobs at once do not get mixed up, and the summary counts them.
func TestProgressSummary(t *testing.T) { synctest.Test(t, testProgressSummary) }

func testProgressSummary(t *testing.T) {
	s, p := newTerminal(t, 80, 24)
	var group sync.WaitGroup
	for n := range 60 {
		group.Go(func() {
			state := []manifest.TransferState{manifest.Sent, manifest.Mounted, manifest.Present}[n%3]
			for sent := range int64(100) {
				p.Blob(manifest.Transfer{Blob: blob(n, 100), State: manifest.Sending, Sent: sent})
			}
			p.Blob(manifest.Transfer{Blob: blob(n, 100), State: state, Sent: 100})
			p.report()
			_, _ = p.Write([]byte("note\n"))
		})
	}
	group.Wait()
	after(time.Second)
	p.Close()
	var said bytes.Buffer
	p.Summarize(NewReporter(&said, false))
	if want := "Sent 20 blobs, 2kB in 1s (2kB/s); 20 mounted, 20 already existed\n"; said.String() != want {
		t.Errorf("got %q, want %q", &said, want)
	}
	if got := s.text(); got != strings.TrimSpace(strings.Repeat("note\n", 60)) {
		t.Errorf("got\n%s\nwant 60 notes only", got)
	}
	said.Reset()
	p.SummarizeInterrupted(NewReporter(&said, false))
	if want := "Sent 60 of 60 blobs, 2kB of 2kB; the same command resumes\n"; said.String() != want {
		t.Errorf("after an interruption: got %q, want %q", &said, want)
	}
	said.Reset()
	none := NewProgress(streams.NewOut(io.Discard), ProgressTTY)
	none.Summarize(NewReporter(&said, false))
	none.SummarizeInterrupted(NewReporter(&said, false))
	none.Blob(manifest.Transfer{Blob: blob(0, 1), State: manifest.Reading})
	none.Blob(manifest.Transfer{Blob: blob(1, 1), State: manifest.Waiting})
	none.Close()
	none.SummarizeInterrupted(NewReporter(&said, false))
	if said.Len() > 0 {
		t.Errorf("got %q, want no summary without blobs that are copied", &said)
	}
}

func TestPublished(t *testing.T) {
	name := func(typed string) reference.NamedTagged {
		n, err := manifest.ParseListName(typed)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	d := digest.FromString("x")
	at := "Published example.com/app@" + d.String()
	for _, tt := range []struct {
		platforms int
		names     []reference.NamedTagged
		want      string
	}{
		{0, nil, at},
		{1, []reference.NamedTagged{name("example.com/app:1")}, at + " (1 platform; tag 1)"},
		{2, []reference.NamedTagged{name("example.com/app:1"), name("example.com/app:2")}, at + " (2 platforms; tags 1, 2)"},
		{0, []reference.NamedTagged{name("example.com/app:1"), name("example.org/app:1")}, at + " (tag 1; also example.org/app:1)"},
	} {
		if got := Published(name("example.com/app:1"), d, tt.platforms, tt.names); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestImported(t *testing.T) {
	name, _ := manifest.ParseListName("example.com/app:1")
	d := digest.FromString("x")
	one := transfer.Imported{Name: name, Pushed: publish.Pushed{Descriptor: ocispec.Descriptor{Digest: d}}}
	for want, imported := range map[string][]transfer.Imported{
		d.String() + "\n": {one},
		strings.Repeat("Pushed ref example.com/app:1 with digest: "+d.String()+"\n", 2): {one, one},
	} {
		var out bytes.Buffer
		if Imported(&out, imported, false); out.String() != want {
			t.Errorf("Imported: got %q, want %q", &out, want)
		}
		out.Reset()
		want = strings.Repeat(d.String()+"\n", len(imported))
		if Imported(&out, imported, true); out.String() != want {
			t.Errorf("Imported with quiet: got %q, want %q", &out, want)
		}
	}
	for images, want := range map[int]string{1: d.String() + "\n", 2: strings.Repeat("example.com/app:1 "+d.String()+"\n", 2)} {
		var out, notes bytes.Buffer
		plan := transfer.ImportPlan{Mounted: true, Missing: transfer.Size{Manifests: 1, Blobs: 2, Bytes: 3000}}
		for range images {
			plan.Images = append(plan.Images, one)
		}
		ImportPlan(&out, NewReporter(&notes, false), plan, false)
		if wantNotes := "Would mount 1 manifests and 2 blobs, 3kB\n"; out.String() != want || notes.String() != wantNotes {
			t.Errorf("ImportPlan: got %q and notes %q, want %q and %q", &out, &notes, want, wantNotes)
		}
	}
}
