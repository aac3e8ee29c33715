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
		_ = wait(ctx, time.Duration(number(rest))*time.Second)
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

// recorder is a Listener that keeps what it is told, and what no run may do.
type recorder struct {
	mu      sync.Mutex
	events  []Event
	outputs map[string]*bytes.Buffer
	wrong   []string
	over    bool // the run has returned
}

// Tell takes in an event.
func (r *recorder) Tell(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		r.wrong = append(r.wrong, fmt.Sprintf("told after the end: %s", words(e)))
	}
	if e.Time.IsZero() {
		r.wrong = append(r.wrong, fmt.Sprintf("without a time: %s", words(e)))
	}
	r.events = append(r.events, e)
}

// Output returns a buffer for both streams.
func (r *recorder) Output(step task.Step) Output {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outputs[step.ID] != nil {
		r.wrong = append(r.wrong, step.ID+" asked twice for its output")
	}
	if r.outputs == nil {
		r.outputs = map[string]*bytes.Buffer{}
	}
	r.outputs[step.ID] = &bytes.Buffer{}
	return Output{r.outputs[step.ID], io.Discard}
}

// all returns what was told, in words.
func (r *recorder) all() []string {
	var out []string
	lost := map[string]bool{}
	for _, e := range r.events {
		text := words(e)
		if e.State == Succeeded && lost[e.Step.ID] {
			text = fmt.Sprintf("%s lost %d", e.Step.ID, e.ExitCode)
		}
		lost[e.Step.ID] = e.State == Succeeded
		if text != "" {
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
	case e.State == Running && e.Repetition+e.Try == 1:
		return text + " start"
	case e.State == Running:
		if e.Repetition > 0 {
			text += fmt.Sprintf(" repeat %d", e.Repetition+1)
		}
		if e.Try > 1 {
			text += fmt.Sprintf(" try %d", e.Try)
		}
		return text
	case e.ExitCode > 0:
		return fmt.Sprintf("%s %s %d", text, e.State, e.ExitCode)
	}
	return text + " " + string(e.State)
}

// check checks what holds for every run.
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
			if e.Try != 1 || e.Repetition != 0 || was != "" && was != Waiting {
				t.Errorf("%s starts in state %q", e.Step.ID, was)
			}
			for _, i := range e.Step.After {
				if s := state[steps[i].ID]; s == "" || s == Waiting || s == Running {
					t.Errorf("%s starts before %s is done", e.Step.ID, steps[i].ID)
				}
			}
		}
		if was != "" && was != Waiting && was != Running && (was != Succeeded || e.State != Succeeded || e.Err == nil || !e.Step.Detach) {
			t.Errorf("%s is told after its end: %s", e.Step.ID, words(e))
		}
		state[e.Step.ID] = e.State
	}
	if len(results) != len(steps) {
		t.Fatalf("%d results of %d steps", len(results), len(steps))
	}
	for i, got := range results {
		id := steps[i].ID
		// The delay before the last try may have been cut short.
		short := runs[id] - got.Tries
		if got.Step.ID != id || got.State != state[id] || short != 0 && (short != 1 || got.ExitCode >= 0) {
			t.Errorf("result of %s: %s, %s, %d tries; told were %s, %d", id, got.Step.ID, got.State, got.Tries, state[id], runs[id])
		}
		if got.Err == nil && got.State != Succeeded || got.State == Succeeded && got.ExitCode != 0 {
			t.Errorf("%s is %s with exit code %d, %v", id, got.State, got.ExitCode, got.Err)
		}
	}
}

var errBroken = errors.New("broken")
