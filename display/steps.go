package display

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/streams"
)

// palette are the colours of steps in turn, as SGR parameters.
var palette = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

// sgr is a sequence that sets colours and the like.
var sgr = lazyregexp.New(`\x1b\[[0-9;:]*m`)

// maxOutput is how long a line of output may be, and how much of it is kept when quiet, in bytes.
const maxOutput = 64 << 10

// Steps shows how the steps of a task go. Plain and on a terminal, what a step writes comes on the stream on
// which it does, and what becomes of it on stderr, each line after the step's id. As JSON, all of it comes on
// stderr, an object a line. When quiet, the end of the output of a step that failed comes on stderr, and nothing
// else. Values of secrets are hidden everywhere. It is a run.Listener.
type Steps struct {
	stdout, stderr *sink
	mode           string
	secrets        secrets
	closed         func(error)

	mu    sync.Mutex
	drawn map[string]*drawnStep
}

// sink is a stream and whether colours may go to it.
type sink struct {
	io.Writer
	colored bool
}

// drawnStep is a step as far as it was shown.
type drawnStep struct {
	prefix, color  string
	stdout, stderr *lines
	kept           []string // the last lines when quiet, with kept bytes
	bytes          int
}

// NewSteps shows steps in one of the ProgressModes: auto has colours where there is a terminal and NO_COLOR is
// not set, tty has them always. Values are the secrets that are hidden. If the reader of a stream closes it, closed is
// called with the error.
func NewSteps(stdout, stderr *streams.Out, mode string, steps []task.Step, values []string, closed func(error)) *Steps {
	colored := func(out *streams.Out) bool {
		return mode == ProgressTTY || mode == ProgressAuto && out.IsTerminal() && os.Getenv("NO_COLOR") == ""
	}
	s := &Steps{
		stdout: &sink{stdout, colored(stdout)}, stderr: &sink{stderr, colored(stderr)},
		mode: mode, secrets: newSecrets(values), closed: closed, drawn: map[string]*drawnStep{},
	}
	width := 0
	for _, step := range steps {
		width = max(width, utf8.RuneCountInString(manifest.Escape(step.ID, "")))
	}
	for i, step := range steps {
		d := &drawnStep{prefix: fmt.Sprintf("%-*s | ", width, manifest.Escape(step.ID, "")), color: palette[i%len(palette)]}
		d.stdout = &lines{secrets: s.secrets, max: maxOutput, emit: func(line string) { s.line(step, "stdout", line) }}
		d.stderr = &lines{secrets: s.secrets, max: maxOutput, emit: func(line string) { s.line(step, "stderr", line) }}
		s.drawn[step.ID] = d
	}
	return s
}

// Output returns where a step's output goes.
func (s *Steps) Output(step task.Step) run.Output {
	d := s.drawn[step.ID]
	return run.Output{Stdout: stepWriter{s, d.stdout}, Stderr: stepWriter{s, d.stderr}}
}

type stepWriter struct {
	steps *Steps
	lines *lines
}

// Write shows the lines that p ends.
func (w stepWriter) Write(p []byte) (int, error) {
	w.steps.mu.Lock()
	defer w.steps.mu.Unlock()
	w.lines.write(p)
	return len(p), nil
}

// Tell shows what becomes of a step, after what it has written until now.
func (s *Steps) Tell(e run.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.drawn[e.Step.ID]
	d.flush()
	switch {
	case s.mode == ProgressJSON:
		s.json(s.eventJSON(e))
	case s.mode != ProgressQuiet:
		s.print(s.stderr, d, s.eventText(e))
	case e.State == run.Failed || e.State == run.TimedOut || lost(e):
		for _, line := range d.kept {
			s.print(s.stderr, d, line)
		}
		d.kept, d.bytes = nil, 0
	}
}

// Summarize ends the showing: what is left of the output, and a table of how the steps ended.
func (s *Steps) Summarize(results []run.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range results {
		s.drawn[r.Step.ID].flush()
	}
	if s.mode == ProgressJSON || s.mode == ProgressQuiet || len(results) == 0 {
		return nil
	}
	return s.table(results)
}

// Hide returns an error of the same kind without the values of secrets.
func (s *Steps) Hide(err error) error {
	if err == nil {
		return nil
	}
	return manifest.Errorf(err, "%s", s.secrets.hide(err.Error()))
}

func (d *drawnStep) flush() {
	d.stdout.flush()
	d.stderr.flush()
}

// line shows a line of a step's output, without its newline.
func (s *Steps) line(step task.Step, stream, text string) {
	d := s.drawn[step.ID]
	switch s.mode {
	case ProgressJSON:
		s.json(stepJSON{Time: time.Now(), Step: step.ID, Event: "output", Stream: stream, Text: &text})
	case ProgressQuiet:
		d.keep(text)
	default:
		to := s.stdout
		if stream == "stderr" {
			to = s.stderr
		}
		s.print(to, d, text)
	}
}

// keep keeps the last lines, of maxOutput bytes together.
func (d *drawnStep) keep(line string) {
	d.kept = append(d.kept, line)
	for d.bytes += len(line) + 1; d.bytes > maxOutput && len(d.kept) > 1; d.kept = d.kept[1:] {
		d.bytes -= len(d.kept[0]) + 1
	}
}

// print writes a line after the step's id. Its own colours are kept where there are colours, and go elsewhere.
func (s *Steps) print(to *sink, d *drawnStep, text string) {
	prefix := d.prefix
	if to.colored {
		prefix = "\x1b[" + d.color + "m" + prefix + "\x1b[0m"
	}
	s.write(to, prefix+to.fit(text)+"\n")
}

func (s *Steps) write(to *sink, text string) {
	if _, err := io.WriteString(to, text); errors.Is(err, syscall.EPIPE) {
		s.closed(err)
	}
}

// fit returns text with all escaped that must not come to the stream.
func (to *sink) fit(text string) string {
	var out strings.Builder
	at := 0
	for _, found := range sgr().FindAllStringIndex(text, -1) {
		out.WriteString(manifest.Escape(text[at:found[0]], "\t"))
		if to.colored {
			out.WriteString(text[found[0]:found[1]])
		}
		at = found[1]
	}
	out.WriteString(manifest.Escape(text[at:], "\t"))
	if at > 0 && to.colored {
		out.WriteString("\x1b[0m")
	}
	return out.String()
}

// lost says that a detached step has ended by itself.
func lost(e run.Event) bool { return e.State == run.Succeeded && e.Err != nil }

// eventText is an event in words.
func (s *Steps) eventText(e run.Event) string {
	text := string(e.State)
	switch e.State {
	case run.Waiting:
		text = fmt.Sprintf("starts in %s", e.Step.StartDelay)
	case run.Running:
		text = runText(e)
	case run.Succeeded:
		text = "done in " + took(e.Took)
		if e.Step.Detach {
			text = "runs in the background"
		}
		if lost(e) {
			text = "WARNING: it ended before the run did"
		}
	case run.Failed, run.TimedOut, run.Ignored, run.Cancelled:
		text = fmt.Sprintf("%s after %s", e.State, took(e.Took))
		if e.State == run.Ignored {
			text = fmt.Sprintf("failed after %s, which is ignored", took(e.Took))
		}
		if e.Try > 1 {
			text += fmt.Sprintf(" and %d tries", e.Try)
		}
	}
	if e.Err == nil {
		return text
	}
	return text + ": " + s.secrets.line(e.Err, 1000)
}

// runText says that a step is run, for which time, and when.
func runText(e run.Event) string {
	var parts []string
	if e.Repetition > 0 {
		parts = append(parts, fmt.Sprintf("repetition %d of %d", e.Repetition+1, e.Step.Repeat+1))
	}
	if e.Try > 1 {
		try := fmt.Sprintf("try %d of %d", e.Try, e.Step.Retries+1)
		if e.Step.RetryDelay > 0 {
			try += fmt.Sprintf(" in %s", e.Step.RetryDelay)
		}
		parts = append(parts, try)
	}
	if parts == nil {
		return "started"
	}
	return strings.Join(parts, ", ")
}

func took(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// stepJSON is an event or a line of output. Event is "output" or the state.
type stepJSON struct {
	Time       time.Time `json:"time"`
	Step       string    `json:"step"`
	Event      string    `json:"event"`
	Repetition int       `json:"repetition,omitempty"`
	Try        int       `json:"try,omitempty"`
	ExitCode   *int      `json:"exitCode,omitempty"`
	Took       float64   `json:"took,omitempty"` // seconds
	Error      string    `json:"error,omitempty"`
	Stream     string    `json:"stream,omitempty"`
	Text       *string   `json:"text,omitempty"`
}

func (s *Steps) eventJSON(e run.Event) stepJSON {
	out := stepJSON{
		Time: e.Time, Step: e.Step.ID, Event: string(e.State), Repetition: e.Repetition, Try: e.Try, Took: e.Took.Seconds(),
	}
	if e.ExitCode >= 0 {
		out.ExitCode = &e.ExitCode
	}
	if e.Err != nil {
		out.Error = s.secrets.hide(e.Err.Error())
	}
	return out
}

func (s *Steps) json(v stepJSON) {
	if line, err := marshal(v); err == nil {
		s.write(s.stderr, string(line)+"\n")
	}
}

const stepsTable = "table {{.Step}}\t{{.State}}\t{{.Tries}}\t{{.Took}}\t{{.ExitCode}}\t{{.Why}}"

func (s *Steps) table(results []run.Result) error {
	head := &stepRow{}
	head.Header = formatter.SubHeaderContext{
		"Step": "STEP", "State": "STATE", "Tries": "TRIES", "Took": "TIME", "ExitCode": "EXIT CODE", "Why": "WHY",
	}
	return table(s.stderr, stepsTable, head, func(yield func(formatter.SubContext) error) error {
		for _, r := range results {
			if err := yield(&stepRow{result: r, secrets: s.secrets}); err != nil {
				return err
			}
		}
		return nil
	})
}

type stepRow struct {
	formatter.HeaderContext
	result  run.Result
	secrets secrets
}

// Step is the step's id.
func (r *stepRow) Step() string { return manifest.Escape(r.result.Step.ID, "") }

// State is how it ended.
func (r *stepRow) State() string { return string(r.result.State) }

// Tries is how often it was run.
func (r *stepRow) Tries() string { return fmt.Sprint(r.result.Tries) }

// Took is how long it took, "" when it did not run.
func (r *stepRow) Took() string {
	if r.result.Tries == 0 {
		return ""
	}
	return took(r.result.Took)
}

// ExitCode is that of its program, "" for none.
func (r *stepRow) ExitCode() string {
	if r.result.ExitCode < 0 {
		return ""
	}
	return fmt.Sprint(r.result.ExitCode)
}

// Why is why it did not succeed.
func (r *stepRow) Why() string {
	if r.result.Err == nil {
		return ""
	}
	return r.secrets.line(r.result.Err, 200)
}
