package run

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// errTimeout is why the context of a step ended when its own timeout did it.
var errTimeout = errors.New("timeout")

// attempt is one step under way: all its tries and repetitions, within its timeout.
type attempt struct {
	step     task.Step
	runner   Runner
	listener Listener
	// ended is called once, when the step is done. What is detached goes on.
	ended func(Result)

	out     Output
	began   time.Time
	timeout *time.Timer
	tries   int
	last    error // of the last try that failed
	// detached says that the step is done while its runner goes on; lost is how that ended before the run did.
	detached atomic.Bool
	lost     error
}

// delay waits until the step may begin; false when ctx ends before.
func (a *attempt) delay(ctx context.Context) bool {
	a.tell(Event{State: Waiting, ExitCode: -1})
	if wait(ctx, a.step.StartDelay) != nil {
		a.end(Result{State: Skipped, ExitCode: -1, Err: reason(ctx)})
		return false
	}
	a.begin()
	return true
}

// begin tells that the step is started.
func (a *attempt) begin() {
	a.began = time.Now()
	a.out = a.listener.Output(a.step)
	a.tell(Event{State: Running, Try: 1, ExitCode: -1})
}

// run carries out the step. It returns when nothing of it goes on any more.
func (a *attempt) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.timeout = time.AfterFunc(cmp.Or(a.step.Timeout, math.MaxInt64), func() { cancel(errTimeout) })
	defer a.timeout.Stop()
	code, err := a.repeat(ctx)
	switch {
	case !a.detached.Load():
		a.end(a.result(ctx, code, err))
	case err != nil && ctx.Err() == nil:
		a.lost = err
		a.tell(Event{State: Succeeded, Try: a.tries, ExitCode: code, Err: err})
	}
}

// repeat runs all repetitions, whatever becomes of one; the exit code and error are those of the first that
// failed. A detached step is not repeated.
func (a *attempt) repeat(ctx context.Context) (exitCode int, err error) {
	code, failed := 0, 0
	var last error
	for n := range a.step.Repeat + 1 {
		if n > 0 {
			a.tell(Event{State: Running, Repetition: n, Try: 1, ExitCode: code, Err: last})
		}
		if code, last = a.retry(ctx, n); last != nil {
			if failed++; failed == 1 {
				exitCode, err = code, last
			}
		}
		if a.detached.Load() {
			return exitCode, err
		}
		if n < a.step.Repeat && ctx.Err() != nil {
			return -1, context.Cause(ctx)
		}
	}
	if a.step.Repeat > 0 && failed > 0 {
		err = fmt.Errorf("%d of %d repetitions failed: %w", failed, a.step.Repeat+1, err)
	}
	return exitCode, err
}

// retry runs the step until it succeeds, as often as it may.
func (a *attempt) retry(ctx context.Context, repetition int) (int, error) {
	for try := 1; ; try++ {
		code, again, err := a.try(ctx)
		if err == nil || !again || try > a.step.Retries || ctx.Err() != nil || a.detached.Load() {
			return code, err
		}
		a.tell(Event{State: Running, Repetition: repetition, Try: try + 1, ExitCode: code, Err: err})
		if err := wait(ctx, a.step.RetryDelay); err != nil {
			return -1, err
		}
	}
}

// try runs the step once. Again says that it failed in a way after which it may be tried again: where no
// program ran, the text to look for can be in the error alone.
func (a *attempt) try(ctx context.Context) (exitCode int, again bool, failure error) {
	a.tries++
	out, found := a.out, func() bool { return true }
	if len(a.step.RetryOnErrors) > 0 && a.step.Retries > 0 {
		out, found = search(a.out, a.step.RetryOnErrors)
	}
	code, err := a.runner.Run(ctx, a.step, out, a.started)
	if err == nil {
		return 0, false, nil
	}
	if ctx.Err() == nil {
		a.last = err
	}
	return code, found() || code < 0 && containsAny([]byte(err.Error()), a.step.RetryOnErrors), err
}

// started ends a detached step while its runner goes on, unless its timeout came first.
func (a *attempt) started() {
	if a.step.Detach && a.timeout.Stop() {
		a.detached.Store(true)
		a.end(Result{State: Succeeded})
	}
}

// result is what the last run of a step makes of it.
func (a *attempt) result(ctx context.Context, code int, err error) Result {
	r := Result{State: Failed, ExitCode: code, Err: err}
	switch {
	case err == nil:
		return Result{State: Succeeded}
	case errors.Is(context.Cause(ctx), errTimeout):
		r = Result{State: TimedOut, ExitCode: -1, Err: a.late()}
	case ctx.Err() != nil:
		return Result{State: Cancelled, ExitCode: -1, Err: reason(ctx)}
	}
	if a.step.IgnoreErrors {
		r.State = Ignored
	}
	return r
}

// late says that the timeout is over, and what had failed before.
func (a *attempt) late() error {
	text := fmt.Sprintf("not done within its timeout of %s", a.step.Timeout)
	if a.tries > 1 {
		text += fmt.Sprintf(", in %d tries", a.tries)
	}
	if a.last != nil {
		text += fmt.Sprintf("; before that: %v", a.last)
	}
	return manifest.Errorf(context.DeadlineExceeded, "%s", text)
}

// end tells that the step is done.
func (a *attempt) end(r Result) {
	r.Step, r.Tries = a.step, a.tries
	if r.Tries > 0 {
		r.Took = time.Since(a.began)
	}
	a.tell(r.event())
	a.ended(r)
}

func (a *attempt) tell(e Event) {
	e.Time, e.Step = time.Now(), a.step
	a.listener.Tell(e)
}

// wait returns nil when d is over, or why ctx ended.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// search returns an output that writes to out, and whether one of the texts has come through either stream.
func search(out Output, texts []string) (Output, func() bool) {
	longest := 0
	for _, t := range texts {
		longest = max(longest, len(t))
	}
	stdout := &searched{out: out.Stdout, texts: texts, overlap: max(longest-1, 0)}
	stderr := &searched{out: out.Stderr, texts: texts, overlap: max(longest-1, 0)}
	return Output{stdout, stderr}, func() bool { return stdout.has() || stderr.has() }
}

// searched looks for texts in what is written through it. It keeps no more of that than a text can begin with.
type searched struct {
	out     io.Writer
	texts   []string
	overlap int // bytes of the longest text but one

	mu    sync.Mutex
	tail  []byte
	found bool
}

// Write writes p as it is.
func (s *searched) Write(p []byte) (int, error) {
	s.look(p)
	return s.out.Write(p)
}

func (s *searched) look(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found {
		return
	}
	border := append(s.tail, p[:min(len(p), s.overlap)]...)
	s.found = containsAny(border, s.texts) || containsAny(p, s.texts)
	if len(p) >= s.overlap {
		border = p
	}
	s.tail = bytes.Clone(border[max(len(border)-s.overlap, 0):])
}

func (s *searched) has() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

func containsAny(b []byte, texts []string) bool {
	for _, t := range texts {
		if bytes.Contains(b, []byte(t)) {
			return true
		}
	}
	return false
}
