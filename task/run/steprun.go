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

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// errTimeout is the cause of a step's context after the step's own timeout.
var errTimeout = errors.New("timeout")

// stepRun is a started step: all its attempts and repetitions, within its timeout.
type stepRun struct {
	step     task.Step
	runner   Runner
	listener Listener
	// done is called once, when the step is done. A detached step is still running then.
	done func(Result)

	out      Output
	began    time.Time
	timeout  *time.Timer
	attempts int
	last     error // of the last attempt that failed
	// detached is set when the step is done and still running; lost is the result if it then fails before the run
	// ends.
	detached atomic.Bool
	lost     *Result
}

// delay waits for StartDelay, and returns false if ctx ends first.
func (r *stepRun) delay(ctx context.Context) bool {
	r.report(Event{State: Waiting, ExitCode: -1})
	if pause.For(ctx, r.step.StartDelay) != nil {
		r.end(Result{State: Skipped, ExitCode: -1, Err: reason(ctx)})
		return false
	}
	r.begin()
	return true
}

// begin reports that the step is started.
func (r *stepRun) begin() {
	r.began = time.Now()
	r.out = r.listener.Output(r.step)
	r.report(Event{State: Running, Attempt: 1, ExitCode: -1})
}

// run runs the step. It returns once nothing of the step is running.
func (r *stepRun) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.timeout = time.AfterFunc(cmp.Or(r.step.Timeout, math.MaxInt64), func() { cancel(errTimeout) })
	defer r.timeout.Stop()
	code, err := r.repeat(ctx)
	switch {
	case !r.detached.Load():
		r.end(r.result(ctx, code, err))
	case err != nil && ctx.Err() == nil:
		lost := r.ended(Result{State: Ignored, ExitCode: code, Err: err})
		r.lost = &lost
	}
}

// repeat runs all repetitions, even after a failure; the exit code and error are those of the first that failed. A
// detached step is not repeated.
func (r *stepRun) repeat(ctx context.Context) (exitCode int, err error) {
	code, failed := 0, 0
	var last error
	for n := range r.step.Repeat + 1 {
		if n > 0 {
			r.report(Event{State: Running, Repetition: n, Attempt: 1, ExitCode: code, Err: last})
		}
		if code, last = r.retry(ctx, n); last != nil {
			if failed++; failed == 1 {
				exitCode, err = code, last
			}
		}
		if r.detached.Load() {
			return exitCode, err
		}
		if n < r.step.Repeat && ctx.Err() != nil {
			return -1, context.Cause(ctx)
		}
	}
	if r.step.Repeat > 0 && failed > 0 {
		err = fmt.Errorf("%d of %d repetitions failed: %w", failed, r.step.Repeat+1, err)
	}
	return exitCode, err
}

// retry runs the step until it succeeds or has no retries left.
func (r *stepRun) retry(ctx context.Context, repetition int) (int, error) {
	for n := 1; ; n++ {
		code, retryable, err := r.attempt(ctx)
		if err == nil || !retryable || n > r.step.Retries || ctx.Err() != nil || r.detached.Load() {
			return code, err
		}
		r.report(Event{State: Running, Repetition: repetition, Attempt: n + 1, ExitCode: code, Err: err})
		if err := pause.For(ctx, r.step.RetryDelay); err != nil {
			return -1, err
		}
	}
}

// attempt runs the step once. A failure is retryable if its output has one of RetryOnErrors or, where no program was
// run, its error has.
func (r *stepRun) attempt(ctx context.Context) (exitCode int, retryable bool, failure error) {
	r.attempts++
	out, found := r.out, func() bool { return true }
	if len(r.step.RetryOnErrors) > 0 && r.step.Retries > 0 {
		out, found = search(r.out, r.step.RetryOnErrors)
	}
	code, err := r.runner.Run(ctx, r.step, out, r.started)
	if err == nil {
		return 0, false, nil
	}
	if ctx.Err() == nil {
		r.last = err
	}
	return code, found() || code < 0 && containsAny([]byte(err.Error()), r.step.RetryOnErrors), err
}

// started makes a detached step done while its runner continues, unless its timeout came first.
func (r *stepRun) started() {
	if r.step.Detach && r.timeout.Stop() {
		r.detached.Store(true)
		r.end(Result{State: Succeeded})
	}
}

// result returns the result of a step whose repetitions ended with code and err.
func (r *stepRun) result(ctx context.Context, code int, err error) Result {
	result := Result{State: Failed, ExitCode: code, Err: err}
	switch {
	case err == nil:
		return Result{State: Succeeded}
	case errors.Is(context.Cause(ctx), errTimeout):
		result = Result{State: TimedOut, ExitCode: -1, Err: r.timeoutError()}
	case ctx.Err() != nil:
		return Result{State: Cancelled, ExitCode: -1, Err: reason(ctx)}
	}
	if r.step.IgnoreErrors {
		result.State = Ignored
	}
	return result
}

// timeoutError says which timeout was exceeded, and how the last attempt failed.
func (r *stepRun) timeoutError() error {
	text := fmt.Sprintf("exceeded its timeout of %s", r.step.Timeout)
	if r.attempts > 1 {
		text += fmt.Sprintf(" after %d attempts", r.attempts)
	}
	if r.last != nil {
		text += fmt.Sprintf("; last failure: %v", r.last)
	}
	return manifest.Errorf(context.DeadlineExceeded, "%s", text)
}

// end reports that the step is done.
func (r *stepRun) end(result Result) { r.done(r.ended(result)) }

// ended reports how the step ended, and returns it in full.
func (r *stepRun) ended(result Result) Result {
	result.Step, result.Attempts = r.step, r.attempts
	if result.Attempts > 0 {
		result.Took = time.Since(r.began)
	}
	r.report(result.event())
	return result
}

func (r *stepRun) report(e Event) {
	e.Time, e.Step = time.Now(), r.step
	r.listener.Report(e)
}

// search returns an output that writes to out, and a function that reports whether either stream has contained one of
// the texts.
func search(out Output, texts []string) (Output, func() bool) {
	longest := 0
	for _, t := range texts {
		longest = max(longest, len(t))
	}
	stdout := &searcher{out: out.Stdout, texts: texts, overlap: max(longest-1, 0)}
	stderr := &searcher{out: out.Stderr, texts: texts, overlap: max(longest-1, 0)}
	return Output{stdout, stderr}, func() bool { return stdout.hasFound() || stderr.hasFound() }
}

// searcher searches for texts in what is written through it. It keeps only as much as may be the start of one.
type searcher struct {
	out     io.Writer
	texts   []string
	overlap int // length of the longest text minus one, in bytes

	mu    sync.Mutex
	tail  []byte
	found bool
}

// Write writes p unchanged.
func (s *searcher) Write(p []byte) (int, error) {
	s.search(p)
	return s.out.Write(p)
}

func (s *searcher) search(p []byte) {
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

func (s *searcher) hasFound() bool {
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
