package display

import (
	"encoding/json"
	"fmt"
	"io"
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

// intervals are how often the modes report transfers in progress.
var intervals = map[string]time.Duration{
	ProgressTTY: 100 * time.Millisecond, ProgressJSON: time.Second, ProgressPlain: 10 * time.Second,
}

// Progress shows the progress of blobs. Other output to the same stream is written through it and appears above
// the bars. It implements [manifest.Progress].
type Progress struct {
	out  io.Writer
	mode string
	size func() (height, width uint)
	now  func() time.Time

	mu    sync.Mutex
	rows  []*row // in the order in which they started
	byID  map[digest.Digest]*row
	drawn int // lines of the bars on the screen
	began time.Time
	stop  func()
}

// row is a blob.
type row struct {
	manifest.Transfer
	id string
}

// NewProgress shows progress on out in one of the ProgressModes, from the first blob until Close.
func NewProgress(out *streams.Out, mode string) *Progress {
	if mode == ProgressAuto {
		mode = ProgressPlain
		if out.IsTerminal() {
			mode = ProgressTTY
		}
	}
	return &Progress{out: out, mode: mode, size: out.GetTtySize, now: time.Now, byID: map[digest.Digest]*row{}}
}

// Blob records the progress of a blob.
func (p *Progress) Blob(t manifest.Transfer) {
	if p.mode == ProgressQuiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r, known := p.byID[t.Blob.Digest]
	if !known {
		r = &row{id: shortDigest(t.Blob.Digest)}
		p.byID[t.Blob.Digest] = r
		p.rows = append(p.rows, r)
		p.start()
	}
	ended := t.State != manifest.Sending
	r.Transfer = t
	switch {
	case p.mode == ProgressJSON && (ended || !known):
		_, _ = p.out.Write(r.json())
	case p.mode == ProgressPlain && ended:
		_, _ = fmt.Fprintln(p.out, r.line(0))
	}
}

// start starts the periodic output, at the first blob.
func (p *Progress) start() {
	if p.stop != nil {
		return
	}
	p.began = p.now()
	ticker := time.NewTicker(intervals[p.mode])
	ended, stopped := make(chan struct{}), make(chan struct{})
	p.stop = sync.OnceFunc(func() {
		close(ended)
		<-stopped
	})
	go func() {
		defer close(stopped)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				p.report()
			}
		}
	}()
}

// report shows the transfers in progress.
func (p *Progress) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.mode {
	case ProgressTTY:
		p.draw("")
	case ProgressPlain:
		_, _ = fmt.Fprintln(p.out, p.total())
	case ProgressJSON:
		for _, r := range p.rows {
			if r.State == manifest.Sending {
				_, _ = p.out.Write(r.json())
			}
		}
	}
}

// Write writes other output above the bars.
func (p *Progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn == 0 {
		return p.out.Write(text)
	}
	p.draw(string(text))
	return len(text), nil
}

// Close stops the output and removes the bars. It can be called again.
func (p *Progress) Close() {
	p.mu.Lock()
	stop := p.stop
	p.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn > 0 {
		_, _ = io.WriteString(p.out, p.home()+"\x1b[J")
		p.drawn = 0
	}
}

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
		b.WriteString("\x1b[J" + text)
	}
	height, width := p.size()
	if height == 0 || width == 0 {
		height, width = 24, 80
	}
	lines := p.visible(int(height)-2, int(width))
	for _, line := range lines {
		b.WriteString(line[:min(len(line), int(width)-1)] + "\x1b[K\n")
	}
	if len(lines) < p.drawn {
		b.WriteString("\x1b[J")
	}
	p.drawn = len(lines)
	_, _ = io.WriteString(p.out, b.String())
}

// visible returns the lines that fit: those of all blobs or, if they are too many, of those in progress, and the
// total.
func (p *Progress) visible(room, width int) []string {
	var lines []string
	for _, r := range p.rows {
		if len(p.rows) <= room || r.State == manifest.Sending && len(lines) < room {
			lines = append(lines, r.line(width))
		}
	}
	return append(lines, p.total())
}

// line describes a blob; the bar needs a width of at least 60.
func (r *row) line(width int) string {
	size := units.HumanSize(float64(r.Blob.Size))
	switch r.State {
	case manifest.Mounted:
		return r.id + ": Mounted"
	case manifest.Present:
		return r.id + ": Already exists"
	case manifest.Sent:
		return r.id + ": Pushed " + size
	}
	bar := ""
	if width >= 60 {
		columns := min(width-50, 50)
		done := columns
		if r.Blob.Size > 0 {
			done = int(min(r.Sent, r.Blob.Size) * int64(columns) / r.Blob.Size)
		}
		bar = "[" + strings.Repeat("=", done) + ">" + strings.Repeat(" ", columns-done) + "] "
	}
	return fmt.Sprintf("%s: Pushing %s%s/%s", r.id, bar, units.HumanSize(float64(r.Sent)), size)
}

func (r *row) json() []byte {
	line, _ := json.Marshal(struct {
		Digest digest.Digest          `json:"digest"`
		Size   int64                  `json:"size"`
		Sent   int64                  `json:"sent"`
		State  manifest.TransferState `json:"state"`
	}{r.Blob.Digest, r.Blob.Size, r.Sent, r.State})
	return append(line, '\n')
}

// sum is the progress of all blobs.
type sum struct {
	sent, mounted, present, under int // blobs
	bytes, of                     int64
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
		case manifest.Sent:
			s.sent++
		default:
			s.under++
		}
		s.bytes += r.Sent
		s.of += r.Blob.Size
	}
	return s
}

// total is a line about all blobs.
func (p *Progress) total() string {
	s := p.sum()
	return fmt.Sprintf("%d of %d blobs, %s of %s, %s", len(p.rows)-s.under, len(p.rows),
		units.HumanSize(float64(s.bytes)), units.HumanSize(float64(s.of)), p.speed(s.bytes))
}

func (p *Progress) speed(bytes int64) string {
	seconds := max(p.now().Sub(p.began), time.Millisecond).Seconds()
	return units.HumanSize(float64(bytes)/seconds) + "/s"
}

// Summarize reports what was copied, nothing if there were no blobs.
func (p *Progress) Summarize(r *Reporter) {
	p.mu.Lock()
	if len(p.rows) == 0 {
		p.mu.Unlock()
		return
	}
	s := p.sum()
	took := p.now().Sub(p.began).Round(10 * time.Millisecond)
	speed := p.speed(s.bytes)
	p.mu.Unlock()
	r.Note("Sent %d blobs, %s in %s (%s); %d mounted, %d already existed",
		s.sent, units.HumanSize(float64(s.bytes)), took, speed, s.mounted, s.present)
}
