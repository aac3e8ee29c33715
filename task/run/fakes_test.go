package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// script is a Runner of steps whose command is 'busybox sh -c SCRIPT'; see testdata/order/README.md.
type script struct {
	active  atomic.Int32
	mu      sync.Mutex
	folders map[string]bool
}

// Run runs the script of a step as far as ctx lets it.
func (s *script) Run(ctx context.Context, step task.Step, out Output, started func()) (int, error) {
	s.active.Add(1)
	defer s.active.Add(-1)
	started()
	args := step.Action.(task.Container).Args
	code := 0
	for line := range strings.SplitSeq(args[len(args)-1], "; ") {
		for command := range strings.SplitSeq(line, " && ") {
			var exit bool
			if exit, code = s.command(ctx, command, out); ctx.Err() != nil {
				return -1, ctx.Err()
			}
			if exit {
				return code, exited(code)
			}
			if code != 0 {
				break
			}
		}
	}
	return code, exited(code)
}

func (s *script) command(ctx context.Context, command string, out Output) (exit bool, code int) {
	word, rest, _ := strings.Cut(command, " ")
	switch word {
	case "true":
	case "sleep":
		_ = pause.For(ctx, time.Duration(number(rest))*time.Second)
	case "exit":
		return true, number(rest)
	case "echo":
		to := out.Stdout
		if text, isError := strings.CutSuffix(rest, " >&2"); isError {
			to, rest = out.Stderr, text
		}
		// In two pieces, as they may come.
		_, _ = io.WriteString(to, rest[:len(rest)/2])
		_, _ = io.WriteString(to, rest[len(rest)/2:]+"\n")
	case "mkdir":
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.folders[rest] {
			return false, 1
		}
		s.folders[rest] = true
	default:
		panic(command)
	}
	return false, 0
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// runnerFunc is a Runner.
type runnerFunc func(ctx context.Context, step task.Step, out Output, started func()) (int, error)

// Run calls f.
func (f runnerFunc) Run(ctx context.Context, step task.Step, out Output, started func()) (int, error) {
	return f(ctx, step, out, started)
}

// recorder is a Listener that records events, and violations of its contract.
type recorder struct {
	mu      sync.Mutex
	events  []Event
	outputs map[string]*bytes.Buffer
	wrong   []string
	over    bool // Steps has returned
}

// Report records an event.
func (r *recorder) Report(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		r.wrong = append(r.wrong, fmt.Sprintf("event after the end of the run: %s", words(e)))
	}
	if e.Time.IsZero() {
		r.wrong = append(r.wrong, fmt.Sprintf("event without a time: %s", words(e)))
	}
	r.events = append(r.events, e)
}

// Output returns a buffer for both streams.
func (r *recorder) Output(step task.Step) Output {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outputs[step.ID] != nil {
		r.wrong = append(r.wrong, "Output called twice for "+step.ID)
	}
	if r.outputs == nil {
		r.outputs = map[string]*bytes.Buffer{}
	}
	r.outputs[step.ID] = &bytes.Buffer{}
	return Output{r.outputs[step.ID], io.Discard}
}

// all returns the events in the notation of testdata/order.
func (r *recorder) all() []string {
	var out []string
	for _, e := range r.events {
		if text := words(e); text != "" {
			out = append(out, text)
		}
	}
	return out
}

func words(e Event) string {
	text := e.Step.ID
	switch {
	case e.State == Waiting:
		return ""
	case e.State == Running && e.Repetition+e.Attempt == 1:
		return text + " start"
	case e.State == Running:
		if e.Repetition > 0 {
			text += fmt.Sprintf(" repeat %d", e.Repetition+1)
		}
		if e.Attempt > 1 {
			text += fmt.Sprintf(" attempt %d", e.Attempt)
		}
		return text
	case e.ExitCode > 0:
		return fmt.Sprintf("%s %s %d", text, e.State, e.ExitCode)
	}
	return text + " " + string(e.State)
}

// check checks invariants of every run.
func (r *recorder) check(t *testing.T, steps []task.Step, results []Result) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for _, wrong := range r.wrong {
		t.Error(wrong)
	}
	state, runs := map[string]State{}, map[string]int{}
	for _, e := range r.events {
		was := state[e.Step.ID]
		if e.State == Running {
			runs[e.Step.ID]++
		}
		if runs[e.Step.ID] == 1 && e.State == Running {
			if e.Attempt != 1 || e.Repetition != 0 || was != "" && was != Waiting {
				t.Errorf("%s starts in state %q, want none or waiting", e.Step.ID, was)
			}
			for _, i := range e.Step.After {
				if s := state[steps[i].ID]; s == "" || s == Waiting || s == Running {
					t.Errorf("%s starts before %s is done", e.Step.ID, steps[i].ID)
				}
			}
		}
		if was != "" && was != Waiting && was != Running && (was != Succeeded || e.State != Ignored || !e.Step.Detach) {
			t.Errorf("got event %s after %s ended", words(e), e.Step.ID)
		}
		state[e.Step.ID] = e.State
	}
	if len(results) != len(steps) {
		t.Fatalf("got %d results, want %d", len(results), len(steps))
	}
	for i, got := range results {
		id := steps[i].ID
		// The run may have ended during the delay before the last attempt.
		short := runs[id] - got.Attempts
		if got.Step.ID != id || got.State != state[id] || short != 0 && (short != 1 || got.ExitCode >= 0) {
			t.Errorf("result of %s: got step %s, state %s, %d attempts; want state %s, %d attempts", id, got.Step.ID, got.State, got.Attempts, state[id], runs[id])
		}
		if got.Err == nil && got.State != Succeeded || got.State == Succeeded && got.ExitCode != 0 {
			t.Errorf("result of %s: got state %s with exit code %d and error %v, which contradict each other", id, got.State, got.ExitCode, got.Err)
		}
	}
}

var errBroken = errors.New("broken")
