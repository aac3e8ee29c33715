package display

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run"
	"github.com/docker/cli/cli/streams"
	"github.com/mattn/go-runewidth"
)

// palette has the colors of steps, as SGR parameters.
var palette = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

// sgr matches a sequence that sets colors and text attributes.
var sgr = lazyregexp.New(`\x1b\[[0-9;:]*m`)

// maxOutput is the maximum length of a line of output, and of the output that is kept if quiet, in bytes.
const maxOutput = 64 << 10

// Steps shows the progress of a task. In plain and terminal mode, the output of a step goes to the stream that the step
// wrote it to, and its state to stderr; each line starts with the step's id. In JSON mode, both go to stderr, as one object
// per line. In quiet mode, only the end of the output of failed steps goes to stderr. The values of secrets are hidden in
// all of them, and in a CI job what the CI would take for its commands. Steps is a [run.Listener].
type Steps struct {
	TaskRun
	stdout, stderr *sink
	mode           string
	secrets        secrets
	closed         func(error)
	ci             *ciSystem // nil outside of CI
	live           *statusLine

	mu      sync.Mutex
	drawn   map[string]*drawnStep
	running []*drawnStep // in the order in which they started
	grouped *drawnStep   // the step whose lines are in a group of the CI's log, nil for none
}

// TaskRun is what Steps shows.
type TaskRun struct {
	// ID is that of the run, Name that of the file.
	ID, Name string
	// Path is the path of the file for a CI system, "" if it is not in the job's files.
	Path  string
	Steps []task.Step
	// Secrets are the values to hide.
	Secrets []string
}

// sink is a stream, and whether it supports colors.
type sink struct {
	io.Writer
	colored bool
}

// drawnStep is the state of a step's display.
type drawnStep struct {
	id             string // escaped
	began          time.Time
	prefix, color  string
	stdout, stderr *lines
	background     bool     // it has succeeded, and its container still runs
	kept           []string // the last lines if quiet
	bytes          int      // size of kept
}

// NewSteps returns a display of a run in one of the ProgressModes: auto uses colors on a terminal and tty everywhere, unless
// NO_COLOR is set or the terminal has none. If the reader of a stream closes it, closed is called with the error.
func NewSteps(stdout, stderr *streams.Out, mode string, r TaskRun, closed func(error)) *Steps {
	colored := func(out *streams.Out) bool {
		return isTTY(out, mode) && os.Getenv("NO_COLOR") == ""
	}
	s := &Steps{
		TaskRun: r, stdout: &sink{stdout, colored(stdout)}, stderr: &sink{stderr, colored(stderr)},
		mode: mode, secrets: newSecrets(r.Secrets), closed: closed, ci: newCISystem(os.Getenv), drawn: map[string]*drawnStep{},
	}
	if isTTY(stderr, mode) {
		s.live = newStatusLine(stderr)
	}
	width := 0
	for _, step := range r.Steps {
		width = max(width, utf8.RuneCountInString(manifest.Escape(step.ID, "")))
	}
	for i, step := range r.Steps {
		id := manifest.Escape(step.ID, "")
		d := &drawnStep{id: id, prefix: fmt.Sprintf("%-*s | ", width, id), color: palette[i%len(palette)]}
		d.stdout = &lines{secrets: s.secrets, max: maxOutput, emit: func(line string) { s.line(step, "stdout", line) }}
		d.stderr = &lines{secrets: s.secrets, max: maxOutput, emit: func(line string) { s.line(step, "stderr", line) }}
		s.drawn[step.ID] = d
	}
	return s
}

// Begin shows the ID of the run, and from then on which steps are running, until Close.
func (s *Steps) Begin() {
	s.Note("Run %s of %s", s.ID, s.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode == ProgressJSON {
		s.json(stepJSON{Time: time.Now(), Event: "run", ID: s.ID})
	}
	s.live.start(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.live.draw(s.running)
	})
}

// Note shows a note about the run, unless the mode is JSON or quiet.
func (s *Steps) Note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode != ProgressJSON && s.mode != ProgressQuiet {
		s.write(s.stderr, fold(manifest.Escape(fmt.Sprintf(format, args...), "")+"\n", ttyWidth(s.stderr.Writer)))
	}
}

// Close removes the line with the running steps.
func (s *Steps) Close() {
	s.live.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.clear()
	s.live = nil
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

// Write shows the lines that p completes.
func (w stepWriter) Write(p []byte) (int, error) {
	w.steps.mu.Lock()
	defer w.steps.mu.Unlock()
	w.lines.write(p)
	return len(p), nil
}

// Report shows the state of a step, after its previous output.
func (s *Steps) Report(e run.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.drawn[e.Step.ID]
	d.flush()
	switch {
	case s.mode == ProgressJSON:
		s.json(s.eventJSON(e))
	case s.mode != ProgressQuiet:
		s.follow(d, e)
	case e.State == run.Failed || e.State == run.TimedOut || d.background && e.State == run.Ignored:
		for _, line := range d.kept {
			s.print(s.stderr, d, line)
		}
		d.kept, d.bytes = nil, 0
	}
	d.background = d.background || e.Step.Detach && e.State == run.Succeeded
}

// follow shows an event with what it means for the groups of the CI's log and for the running steps.
func (s *Steps) follow(d *drawnStep, e run.Event) {
	switch {
	case e.State == run.Running && !slices.Contains(s.running, d):
		d.began = e.Time
		s.running = append(s.running, d)
		s.group(d)
	case e.State != run.Running && e.State != run.Waiting:
		s.running = slices.DeleteFunc(s.running, func(r *drawnStep) bool { return r == d })
	}
	for line := range strings.Lines(fold(s.eventText(d, e), max(0, ttyWidth(s.stderr.Writer)-runewidth.StringWidth(d.prefix)))) {
		s.print(s.stderr, d, strings.TrimSuffix(line, "\n"))
	}
	if s.grouped == d && !slices.Contains(s.running, d) {
		s.group(nil)
	}
	if s.ci != nil && (e.State == run.Failed || e.State == run.TimedOut) {
		what := fmt.Sprintf("step %s (%s): %v", d.id, run.Action(e.Step), e.Err)
		s.raw(s.stderr, s.ci.failure(s.Path, e.Step.Line, s.secrets.hide(what))+"\n")
	}
}

// group ends the group of the CI's log, and begins one for a step that runs alone.
func (s *Steps) group(d *drawnStep) {
	if s.ci == nil {
		return
	}
	if s.grouped != nil {
		s.raw(s.stderr, s.ci.endGroup+"\n")
	}
	if s.grouped = nil; d != nil && len(s.running) == 1 {
		s.grouped = d
		s.raw(s.stderr, s.ci.group+d.id+"\n")
	}
}

// Summarize shows incomplete lines of output, and a table of the results.
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

// Hide returns an error of the same kind with what Steps hides hidden, in its hint too.
func (s *Steps) Hide(err error) error {
	if err == nil {
		return nil
	}
	hidden := manifest.Errorf(err, "%s", s.ci.defuse(s.secrets.hide(err.Error())))
	if hint := manifest.Hint(err); hint != "" {
		return manifest.WithHint(hidden, "%s", s.ci.defuse(s.secrets.hide(hint)))
	}
	return hidden
}

func (d *drawnStep) flush() {
	d.stdout.flush()
	d.stderr.flush()
}

// line shows a line of a step's output.
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

// keep keeps the last lines, up to maxOutput bytes in total.
func (d *drawnStep) keep(line string) {
	d.kept = append(d.kept, line)
	for d.bytes += len(line) + 1; d.bytes > maxOutput && len(d.kept) > 1; d.kept = d.kept[1:] {
		d.bytes -= len(d.kept[0]) + 1
	}
}

// print writes the step's id and a line, whose own colors are removed if the stream does not support them.
func (s *Steps) print(to *sink, d *drawnStep, text string) {
	prefix := d.prefix
	if to.colored {
		prefix = "\x1b[" + d.color + "m" + prefix + "\x1b[0m"
	}
	s.write(to, prefix+to.fit(text)+"\n")
}

// write writes text in which the CI finds no commands.
func (s *Steps) write(to *sink, text string) { s.raw(to, s.ci.defuse(text)) }

func (s *Steps) raw(to *sink, text string) {
	s.live.clear()
	defer func() { s.live.draw(s.running) }()
	if _, err := io.WriteString(to, text); errors.Is(err, syscall.EPIPE) {
		s.closed(err)
	}
}

// fit returns text with the control characters escaped that the stream must not receive.
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

// eventText describes an event.
func (s *Steps) eventText(d *drawnStep, e run.Event) string {
	text := string(e.State)
	switch e.State {
	case run.Waiting:
		text = fmt.Sprintf("starts in %s", e.Step.StartDelay)
	case run.Running:
		text = runText(e)
		if action := run.Action(e.Step); text == "started" && action != "" {
			text += ": " + s.secrets.hide(action)
		}
		if s.live != nil && e.Err == nil {
			text = runewidth.Truncate(text, s.live.width()-runewidth.StringWidth(d.prefix), "…")
		}
	case run.Succeeded:
		text = "done in " + took(e.Took)
		if e.Step.Detach {
			text = "running in the background"
		}
	case run.Failed, run.TimedOut, run.Ignored, run.Cancelled:
		text = fmt.Sprintf("%s after %s", e.State, took(e.Took))
		if e.State == run.Ignored {
			text = fmt.Sprintf("failed after %s (ignored)", took(e.Took))
		}
		if d.background {
			text = "WARNING: it ended before the run did"
		}
		if e.Attempt > 1 {
			text += fmt.Sprintf(" and %d attempts", e.Attempt)
		}
	}
	if e.Err == nil || e.State == run.Failed || e.State == run.TimedOut { // the error of the run has these
		return text
	}
	return text + ": " + s.secrets.line(e.Err, 1000)
}

// runText describes a running step.
func runText(e run.Event) string {
	var parts []string
	if e.Repetition > 0 {
		parts = append(parts, fmt.Sprintf("repetition %d of %d", e.Repetition+1, e.Step.Repeat+1))
	}
	if e.Attempt > 1 {
		attempt := fmt.Sprintf("attempt %d of %d", e.Attempt, e.Step.Retries+1)
		if e.Step.RetryDelay > 0 {
			attempt += fmt.Sprintf(" in %s", e.Step.RetryDelay)
		}
		parts = append(parts, attempt)
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

// stepJSON is an event or a line of output. Its Event is "run", "output" or the state.
type stepJSON struct {
	Time       time.Time `json:"time"`                 // of the event
	ID         string    `json:"id,omitempty"`         // of the run, in its first event
	Step       string    `json:"step,omitempty"`       // id of the step
	Event      string    `json:"event"`                // run, output, or the new state of the step: waiting, running, succeeded, failed, ignored, skipped, cancelled or timed out
	Repetition int       `json:"repetition,omitempty"` // from 1, of a step with repeat after its first execution
	Attempt    int       `json:"attempt,omitempty"`    // from 1
	ExitCode   *int      `json:"exitCode,omitempty"`   // of the program, if it ended
	Took       float64   `json:"took,omitempty"`       // in seconds
	Error      string    `json:"error,omitempty"`      // why the step failed or did not run
	Stream     string    `json:"stream,omitempty"`     // stdout or stderr, of output
	Text       *string   `json:"text,omitempty"`       // a line of output
}

func (s *Steps) eventJSON(e run.Event) stepJSON {
	out := stepJSON{
		Time: e.Time, Step: e.Step.ID, Event: string(e.State), Repetition: e.Repetition, Attempt: e.Attempt, Took: e.Took.Seconds(),
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
	line, err := marshal(v)
	if err != nil {
		return
	}
	s.raw(s.stderr, string(line)+"\n")
}

func (s *Steps) table(results []run.Result) error {
	text := "STEP\tSTATE\tATTEMPTS\tTIME\tEXIT CODE\tREASON\n"
	for _, r := range results {
		var time, code, reason string
		if r.Attempts > 0 {
			time = took(r.Took)
		}
		if r.ExitCode >= 0 {
			code = fmt.Sprint(r.ExitCode)
		}
		if r.Err != nil && r.State != run.Failed && r.State != run.TimedOut {
			reason = s.secrets.line(r.Err, 200)
		}
		text += fmt.Sprintf("%s\t%s\t%d\t%s\t%s\t%s\n", manifest.Escape(r.Step.ID, ""), r.State, r.Attempts, time, code, reason)
	}
	var table strings.Builder
	err := columns(&table, ttyWidth(s.stderr.Writer), text)
	s.write(s.stderr, table.String())
	return err
}
