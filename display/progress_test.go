package display

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/cli/cli/streams"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/transfer"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
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

// newTestProgress is on out, its time stands still after a second.
func newTestProgress(t *testing.T, out io.Writer, mode string) *Progress {
	p := NewProgress(streams.NewOut(out), mode)
	start := time.Now()
	p.now = func() time.Time {
		if p.began.IsZero() {
			return start
		}
		return start.Add(time.Second)
	}
	t.Cleanup(p.Close)
	return p
}

func TestProgressOnATerminal(t *testing.T) {
	s := &terminal{t: t, width: 80, height: 10}
	p := newTestProgress(t, s, ProgressTTY)
	p.size = func() (uint, uint) { return uint(s.height), uint(s.width) }
	for n, state := range []manifest.TransferState{manifest.Sending, manifest.Mounted, manifest.Present, manifest.Sending} {
		p.Blob(manifest.Transfer{Blob: blob(n, 2_000_000), State: state, Sent: 1_000_000})
	}
	p.report()
	want := id(0) + ": Pushing [===============>               ] 1MB/2MB\n" + id(1) + ": Mounted\n" + id(2) + ": Already exists\n" +
		id(3) + ": Pushing [===============>               ] 1MB/2MB\n2 of 4 blobs, 2MB of 4MB, 2MB/s"
	if got := s.text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, _ = p.Write([]byte("WARNING: slow\n"))
	p.Blob(manifest.Transfer{Blob: blob(0, 2_000_000), State: manifest.Sent, Sent: 2_000_000})
	p.report()
	if got := s.text(); !strings.HasPrefix(got, "WARNING: slow\n"+id(0)+": Pushed 2MB\n"+id(1)) || strings.Count(got, "\n") != 5 {
		t.Errorf("got\n%s\nwant the warning above the bars", got)
	}
	// More blobs than lines: those on their way, and the total.
	for n := range 30 {
		p.Blob(manifest.Transfer{Blob: blob(n, 2_000_000), State: manifest.Sending, Sent: 1_000_000})
	}
	p.Blob(manifest.Transfer{Blob: blob(0, 2_000_000), State: manifest.Sent, Sent: 2_000_000})
	s.width = 30
	p.report()
	lines := strings.Split(s.text(), "\n")
	if len(lines) != 1+s.height-1 || lines[1] != id(1)+": Pushing 1MB/2MB" || lines[len(lines)-1] != "1 of 30 blobs, 31MB of 60MB, " {
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

func TestProgressWithoutATerminal(t *testing.T) {
	for mode, want := range map[string]string{
		ProgressAuto:  id(0) + ": Pushed 2MB\n1 of 2 blobs, 3MB of 4MB, 3MB/s\n",
		ProgressPlain: id(0) + ": Pushed 2MB\n1 of 2 blobs, 3MB of 4MB, 3MB/s\n",
		ProgressQuiet: "",
	} {
		var out bytes.Buffer
		p := newTestProgress(t, &out, mode)
		p.Blob(manifest.Transfer{Blob: blob(0, 2_000_000), State: manifest.Sending, Sent: 1_000_000})
		p.Blob(manifest.Transfer{Blob: blob(0, 2_000_000), State: manifest.Sent, Sent: 2_000_000})
		p.Blob(manifest.Transfer{Blob: blob(1, 2_000_000), State: manifest.Sending, Sent: 1_000_000})
		p.report()
		p.Close()
		if out.String() != want {
			t.Errorf("%s: got %q, want %q", mode, &out, want)
		}
	}
}

func TestProgressAsJSON(t *testing.T) {
	var out bytes.Buffer
	p := newTestProgress(t, &out, ProgressJSON)
	for _, one := range []manifest.Transfer{{State: manifest.Sending}, {State: manifest.Sending, Sent: 1}, {State: manifest.Sent, Sent: 2}} {
		one.Blob = blob(0, 2)
		p.Blob(one)
		if one.Sent == 1 {
			p.report()
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
func TestProgressSummary(t *testing.T) {
	s := &terminal{t: t, width: 80, height: 24}
	p := newTestProgress(t, s, ProgressTTY)
	p.size = func() (uint, uint) { return 24, 80 }
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
	newTestProgress(t, io.Discard, ProgressTTY).Summarize(NewReporter(&said, false))
	if said.Len() > 0 {
		t.Errorf("got %q, want no summary without blobs", &said)
	}
}

func TestImported(t *testing.T) {
	name, _ := manifest.ParseListName("example.com/app:1")
	d := digest.FromString("x")
	one := transfer.Imported{Name: name, Pushed: manifest.Pushed{Descriptor: ocispec.Descriptor{Digest: d}}}
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
