package display

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/cli/streams"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"
)

// The progress modes: bars on a terminal and lines otherwise, lines, bars, JSON lines, nothing.
const (
	ProgressAuto  = "auto"
	ProgressPlain = "plain"
	ProgressTTY   = "tty"
	ProgressJSON  = "json"
	ProgressQuiet = "quiet"
)

// ProgressModes are all modes.
var ProgressModes = []string{ProgressAuto, ProgressPlain, ProgressTTY, ProgressJSON, ProgressQuiet}

// delay is how long a command may be silent before its counts are shown, and lines where there is no terminal.
const delay = 2 * time.Second

// firsts are when the modes report for the first time, intervals how often after that.
var (
	firsts    = map[string]time.Duration{ProgressTTY: 100 * time.Millisecond, ProgressJSON: time.Second, ProgressPlain: delay}
	intervals = map[string]time.Duration{ProgressTTY: 100 * time.Millisecond, ProgressJSON: time.Second, ProgressPlain: 10 * time.Second}
)

// unchangedInterval is how often a line is repeated that says nothing new.
const unchangedInterval = time.Minute

// Progress shows what a command does: on a terminal the bars of blobs, or one line that counts what was read and removed,
// otherwise a line from time to time. Other output to the same stream is written through it and appears above the bars. It
// implements [manifest.Progress].
type Progress struct {
	out  io.Writer
	mode string
	size func() (height, width uint)

	mu     sync.Mutex
	rows   []*row // in the order in which they started
	byID   map[string]*row
	counts map[manifest.Counted]int
	drawn  int    // lines of the bars on the screen
	awaits string // what the operation waits for if nothing else is known
	began  time.Time
	stop   func() // nil if it is not shown
	last   struct {
		line string
		at   time.Time
	}
}

// row is a blob.
type row struct {
	manifest.Transfer
	id string // shown
}

// NewProgress shows progress on out in one of the ProgressModes, from Start or the first event until Close. There are no
// bars on a terminal that cannot move its cursor.
func NewProgress(out *streams.Out, mode string) *Progress {
	switch {
	case isTTY(out, mode):
		mode = ProgressTTY
	case mode == ProgressTTY || mode == ProgressAuto:
		mode = ProgressPlain
	}
	return &Progress{out: out, mode: mode, size: out.GetTtySize}
}

// isTTY reports whether out is, or is said to be, a terminal that can move its cursor and has colors.
func isTTY(out *streams.Out, mode string) bool {
	return (mode == ProgressTTY || mode == ProgressAuto && out.IsTerminal()) && os.Getenv("TERM") != "dumb"
}

// Blob records the progress of a blob.
func (p *Progress) Blob(t manifest.Transfer) {
	if p.mode == ProgressQuiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start()
	key := cmp.Or(t.ID, t.Blob.Digest.String())
	r, known := p.byID[key]
	if !known {
		r = &row{id: cmp.Or(shortDigest(t.Blob.Digest), ascii(t.ID))}
		p.byID[key] = r
		p.rows = append(p.rows, r)
	}
	if r.ID != "" && r.State.IsFinal() { // another push of a daemon shares the layer
		return
	}
	t.Blob.Size, t.Sent = max(t.Blob.Size, 0), max(t.Sent, 0)
	r.Transfer = t
	if p.mode == ProgressJSON && (t.State.IsFinal() || !known) {
		_, _ = p.out.Write(r.json())
	}
}

// maxID is the length of the IDs of layers.
const maxID = 12

// ascii returns an ID from outside as characters that each take a column.
func ascii(id string) string {
	id = strconv.QuoteToASCII(id[:min(len(id), maxID)])
	return id[1 : len(id)-1]
}

// Count records what was read or removed.
func (p *Progress) Count(what manifest.Counted, n int) {
	if p.mode == ProgressQuiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start()
	p.counts[what] += n
}

// Start starts the output: the operation begins, and waits for something.
func (p *Progress) Start(awaits string) {
	if p.mode == ProgressQuiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaits = awaits
	p.start()
}

func (p *Progress) start() {
	if p.stop != nil {
		return
	}
	p.began, p.last.line = time.Now(), ""
	p.rows, p.byID, p.counts = nil, map[string]*row{}, map[manifest.Counted]int{}
	timer := time.NewTimer(firsts[p.mode])
	ended, stopped := make(chan struct{}), make(chan struct{})
	p.stop = func() {
		close(ended)
		<-stopped
	}
	go func() {
		defer close(stopped)
		defer timer.Stop()
		for {
			select {
			case <-ended:
				return
			case <-timer.C:
				p.report()
				timer.Reset(intervals[p.mode])
			}
		}
	}()
}

// report shows the current state.
func (p *Progress) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.mode {
	case ProgressTTY:
		p.draw("")
	case ProgressPlain:
		line := p.total()
		if now := time.Now(); line != p.last.line || now.Sub(p.last.at) >= unchangedInterval {
			p.last.line, p.last.at = line, now
			_, _ = fmt.Fprintln(p.out, line+", "+p.elapsed())
		}
	case ProgressJSON:
		for _, r := range p.rows {
			if r.isActive() {
				_, _ = p.out.Write(r.json())
			}
		}
	}
}

// Write writes other output: above the bars, or in JSON mode each line as a message.
func (p *Progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.mode == ProgressJSON:
		return len(text), writeMessages(p.out, string(text))
	case p.drawn == 0:
		return Prose{p.out}.Write(text)
	}
	p.draw(fold(string(text), ttyWidth(p.out)))
	return len(text), nil
}

// Close stops the output and removes the bars. Another event starts it again, from nothing.
func (p *Progress) Close() {
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn > 0 {
		_, _ = io.WriteString(p.out, p.home()+erase)
		p.drawn = 0
	}
}

// erase clears the bars from their start: its line, then those below it, since tmux moves what is cleared from the first line
// of a screen to its history.
const erase = "\x1b[K\n\x1b[J\x1b[1A"

// home moves the cursor to the start of the bars.
func (p *Progress) home() string {
	if p.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\r\x1b[%dA", p.drawn)
}

// draw writes text at the start of the bars and the bars below it, in one write to avoid flicker.
func (p *Progress) draw(text string) {
	var b strings.Builder
	b.WriteString(p.home())
	if text != "" {
		b.WriteString(erase + text)
	}
	height, width := p.size()
	if height == 0 || width == 0 {
		height, width = 24, 80
	}
	lines := p.visible(int(height)-2, int(width))
	for _, line := range lines { // in ASCII
		b.WriteString(line[:min(len(line), int(width)-1)] + "\x1b[K\n")
	}
	if len(lines) < p.drawn {
		b.WriteString("\x1b[J")
	}
	p.drawn = len(lines)
	_, _ = io.WriteString(p.out, b.String())
}

// visible returns the lines that fit: those of all blobs or, if they are too many, of those in progress, and the
// total. Without blobs there is none before the delay.
func (p *Progress) visible(room, width int) []string {
	var lines []string
	for _, r := range p.rows {
		if len(p.rows) <= room || r.isActive() && len(lines) < room {
			lines = append(lines, r.line(width))
		}
	}
	if len(lines) == 0 && time.Since(p.began) < delay {
		return nil
	}
	return append(lines, p.total()+", "+p.elapsed())
}

// isActive reports whether bytes of the blob are being sent or read.
func (r *row) isActive() bool { return r.State == manifest.Sending || r.State == manifest.Reading }

func (p *Progress) elapsed() string { return time.Since(p.began).Truncate(time.Second).String() }

// line describes a blob; the bar needs a width of at least 60.
func (r *row) line(width int) string {
	size := units.HumanSize(float64(r.Blob.Size))
	verb := "Pushing"
	switch r.State {
	case manifest.Mounted:
		return r.id + ": Mounted"
	case manifest.Present:
		return r.id + ": Already exists"
	case manifest.Sent:
		return r.id + ": Pushed " + size
	case manifest.Read:
		return r.id + ": Read " + size
	case manifest.Waiting:
		return r.id + ": Waiting"
	case manifest.Reading:
		verb = "Reading"
	case manifest.Sending:
		if r.Sent > 0 && r.Sent >= r.Blob.Size {
			return r.id + ": Waiting for the registry"
		}
	}
	bar := ""
	if width >= 60 {
		columns := min(width-50, 50)
		done := columns
		if r.Blob.Size > 0 {
			done = int(float64(min(r.Sent, r.Blob.Size)) / float64(r.Blob.Size) * float64(columns))
		}
		bar = "[" + strings.Repeat("=", done) + ">" + strings.Repeat(" ", columns-done) + "] "
	}
	return fmt.Sprintf("%s: %s %s%s/%s", r.id, verb, bar, units.HumanSize(float64(r.Sent)), size)
}

// transferJSON is a step of the transfer of a blob.
type transferJSON struct {
	Digest digest.Digest          `json:"digest,omitempty"` // of the blob
	ID     string                 `json:"id,omitempty"`     // of a layer that the daemon pushes, in place of the digest
	Size   int64                  `json:"size"`             // of the blob in bytes, 0 if it is not known
	Sent   int64                  `json:"sent"`             // bytes sent or read; it restarts at 0 when the blob is sent again
	State  manifest.TransferState `json:"state"`            // all but waiting, sending and reading are final
}

func (r *row) json() []byte {
	line, _ := json.Marshal(transferJSON{r.Blob.Digest, r.ID, r.Blob.Size, r.Sent, r.State})
	return append(line, '\n')
}

// sum is the progress of all blobs.
type sum struct {
	sent, mounted, present, under int // blobs
	waiting                       int // of those under way, for the registry
	bytes, of                     int64
	done                          int64 // bytes of those that were sent completely
}

func (p *Progress) sum() (s sum) {
	for _, r := range p.rows {
		switch r.State {
		case manifest.Mounted:
			s.mounted++
			continue
		case manifest.Present:
			s.present++
			continue
		case manifest.Sent, manifest.Read:
			s.sent++
			s.done += r.Sent
		default:
			s.under++
			if r.State == manifest.Sending && r.Sent >= r.Blob.Size {
				s.waiting++
			}
		}
		s.bytes += r.Sent
		s.of += max(r.Blob.Size, r.Sent) // daemons compress while they send
	}
	return s
}

// total is a line about all blobs or, without any, about what was counted.
func (p *Progress) total() string {
	if len(p.rows) == 0 {
		return p.counted()
	}
	s := p.sum()
	line := fmt.Sprintf("%d of %d blobs, %s of %s", len(p.rows)-s.under, len(p.rows),
		units.HumanSize(float64(s.bytes)), units.HumanSize(float64(s.of)))
	if s.waiting == s.under {
		return line + ", waiting for the registry"
	}
	return line + ", " + p.speed(s.bytes)
}

// counted is a line about what was read and removed.
func (p *Progress) counted() string {
	var read []string
	for _, what := range []manifest.Counted{manifest.CountedNames, manifest.CountedManifests, manifest.CountedBlobs} {
		if n := p.counts[what]; n > 0 {
			read = append(read, counting(n, string(what)))
		}
	}
	var parts []string
	if len(read) > 0 {
		parts = append(parts, "read "+strings.Join(read, ", "))
	}
	if n := p.counts[manifest.CountedRemovals]; n > 0 {
		parts = append(parts, fmt.Sprintf("removed %d", n))
	}
	if parts == nil {
		return "Waiting for " + cmp.Or(p.awaits, "the registry")
	}
	line := strings.Join(parts, "; ")
	return strings.ToUpper(line[:1]) + line[1:]
}

// counting returns n and what is counted, in the plural unless it is one.
func counting(n int, what string) string {
	if n == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	return fmt.Sprint(n, " ", what)
}

func (p *Progress) speed(bytes int64) string {
	seconds := max(time.Since(p.began), time.Millisecond).Seconds()
	return units.HumanSize(float64(bytes)/seconds) + "/s"
}

// Summarize reports what was copied, nothing if there were no blobs.
func (p *Progress) Summarize(r *Reporter) {
	p.mu.Lock()
	s, n := p.sum(), len(p.rows)
	took, speed := time.Since(p.began), p.speed(s.bytes)
	p.mu.Unlock()
	if n > 0 {
		r.Note("Sent %d blobs, %s in %s (%s); %d mounted, %d already existed",
			s.sent, units.HumanSize(float64(s.bytes)), took.Round(10*time.Millisecond), speed, s.mounted, s.present)
	}
}

// SummarizeInterrupted reports what a copy that was interrupted has sent, nothing if it was none.
func (p *Progress) SummarizeInterrupted(r *Reporter) {
	p.mu.Lock()
	s, n := p.sum(), len(p.rows)
	reads := []manifest.TransferState{manifest.Waiting, manifest.Reading, manifest.Read}
	copies := slices.ContainsFunc(p.rows, func(r *row) bool { return !slices.Contains(reads, r.State) })
	p.mu.Unlock()
	if copies {
		r.Note("Sent %d of %d blobs, %s of %s; the same command resumes", n-s.under, n,
			units.HumanSize(float64(s.done)), units.HumanSize(float64(s.of)))
	}
}
