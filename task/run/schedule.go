package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run/workspace"
)

// Options select the steps of a file to run, and limit the run.
type Options struct {
	// File is the name of the file, for errors.
	File string
	// Jobs is the maximum number of concurrent steps, 0 for no limit. Detached steps that are running do not count.
	Jobs int
	// From is the id of the first step to run, "" for the first of the file. The steps above it in the file are
	// skipped, and count as succeeded with exit code 0.
	From string
	// Timeout is for all steps together, 0 for none.
	Timeout time.Duration
}

// Result is how a step ended.
type Result struct {
	Step     task.Step
	State    State
	Attempts int // of all repetitions
	ExitCode int // 0 for Succeeded, -1 for none
	// Err is why a step did not succeed or did not run.
	Err  error
	Took time.Duration // from the first attempt
	// cause is the id of the step because of which this one was skipped or cancelled, "" for none.
	cause string
}

func (r Result) event() Event {
	return Event{Time: time.Now(), Step: r.Step, State: r.State, Attempt: r.Attempts, ExitCode: r.ExitCode, Err: r.Err, Took: r.Took}
}

// Steps runs steps in their order. It returns how each ended, in the order of the file, once none of them is running.
// With one job they start in the order of the file.
//
// Whether a step runs is decided when all steps that it waits for are final. It runs if those succeeded or were
// ignored; a step with ExitedWith or ExitedWithout runs if their exit codes allow it. A step that is skipped because
// of exit codes does not fail the run, and neither do those that wait for it and are skipped with it.
//
// The error is that of the run: it names the failed steps in the order in which they failed, is context.Canceled if
// ctx was cancelled before all were done, and context.DeadlineExceeded after the timeout of the run.
func Steps(ctx context.Context, steps []task.Step, o Options, runner Runner, listener Listener) ([]Result, error) {
	s := &schedule{Options: o, runner: runner, listener: listener, started: map[int]*stepRun{}, done: make(chan done, len(steps))}
	for _, step := range steps {
		s.results = append(s.results, Result{Step: step, State: Waiting, ExitCode: -1})
	}
	if err := s.skipAbove(steps, o.From); err != nil {
		return nil, err
	}
	ctx, s.stop = context.WithCancelCause(ctx)
	if o.Timeout > 0 {
		defer time.AfterFunc(o.Timeout, func() {
			s.stop(manifest.Errorf(context.DeadlineExceeded, "the run timed out after %s", o.Timeout))
		}).Stop()
	}
	for s.proceed(ctx); s.running > 0; s.proceed(ctx) {
		s.end(ctx, <-s.done)
	}
	err := s.err(ctx)
	s.stop(nil) // the detached steps
	s.group.Wait()
	for i, r := range s.started {
		if r.lost != nil {
			s.results[i] = *r.lost
		}
	}
	return s.results, err
}

// schedule is a run. A single goroutine uses it.
type schedule struct {
	Options
	runner   Runner
	listener Listener

	results []Result // in the order of the file, as far as they are known
	started map[int]*stepRun
	above   int // number of steps above From
	running int // number of started steps that are not done
	done    chan done
	group   sync.WaitGroup // of all started steps, including the detached ones

	stop    context.CancelCauseFunc
	stopped bool  // the context ended before all steps were done
	failed  []int // in the order in which they failed
}

// done is the result of the step with that index.
type done struct {
	index int
	Result
}

// skipAbove skips all steps above the one with the id.
func (s *schedule) skipAbove(steps []task.Step, id string) (err error) {
	if s.above, err = first(steps, id); err != nil {
		return err
	}
	for i := range s.above {
		s.skip(i, "", fmt.Errorf("the run starts at %s", id))
	}
	return nil
}

// first returns the index of the step with an id, at which a run starts; "" is the first one.
func first(steps []task.Step, id string) (int, error) {
	if id == "" {
		return 0, nil
	}
	var ids []string
	for i, step := range steps {
		if step.ID == id {
			return i, nil
		}
		ids = append(ids, step.ID)
	}
	return 0, manifest.Errorf(errdefs.ErrNotFound, "cannot start at step %q: the file has %s", id, strings.Join(ids, ", "))
}

// proceed starts or skips all steps whose dependencies are final.
func (s *schedule) proceed(ctx context.Context) {
	for i, r := range s.results {
		if r.State != Waiting || !s.final(r.Step.After) {
			continue
		}
		cause, err := s.obstacle(r.Step)
		if ctx.Err() != nil {
			cause, err, s.stopped = canceller(ctx), reason(ctx), true
		}
		switch {
		case err != nil:
			s.skip(i, cause, err)
		case s.Jobs == 0 || s.running < s.Jobs:
			s.start(ctx, i)
		}
	}
}

func (s *schedule) final(steps []int) bool {
	return !slices.ContainsFunc(steps, func(i int) bool {
		return s.results[i].State == Waiting || s.results[i].State == Running
	})
}

func (s *schedule) skip(i int, cause string, err error) {
	r := &s.results[i]
	r.State, r.cause, r.Err = Skipped, cause, err
	s.listener.Report(r.event())
}

func (s *schedule) start(ctx context.Context, i int) {
	s.running++
	s.results[i].State = Running
	r := &stepRun{step: s.results[i].Step, runner: s.runner, listener: s.listener}
	r.done = func(result Result) { s.done <- done{i, result} }
	s.started[i] = r
	if r.step.StartDelay == 0 {
		r.begin() // here, so that a step that is stopped at once is known to have begun
	}
	s.group.Go(func() {
		if r.step.StartDelay > 0 && !r.delay(ctx) {
			return
		}
		r.run(ctx)
	})
}

// end records how a step ended.
func (s *schedule) end(ctx context.Context, d done) {
	s.running--
	switch d.State {
	case Failed, TimedOut:
		s.failed = append(s.failed, d.index)
		if d.Step.CancelRest {
			s.stop(ending{d.Step.ID, d.State})
		}
	case Skipped, Cancelled:
		s.stopped, d.cause = true, canceller(ctx)
	}
	s.results[d.index] = d.Result
}

// obstacle returns why a step whose dependencies are final does not run, and the step that is the cause; nil if it
// runs.
func (s *schedule) obstacle(step task.Step) (cause string, err error) {
	if conditional(step) {
		return s.unmet(step)
	}
	for _, i := range step.After {
		r := s.results[i]
		switch {
		case i < s.above || r.State == Succeeded || r.State == Ignored:
		case r.State == Skipped && !conditional(r.Step):
			return r.cause, r.Err
		default:
			return r.Step.ID, ending{r.Step.ID, r.State}
		}
	}
	return "", nil
}

func conditional(step task.Step) bool { return len(step.ExitedWith)+len(step.ExitedWithout) > 0 }

// unmet is the obstacle of a step with conditions on exit codes. Skipped, cancelled and timed out steps have none.
func (s *schedule) unmet(step task.Step) (cause string, err error) {
	met := len(step.ExitedWith) == 0
	for _, i := range step.After {
		r := s.results[i]
		if i < s.above {
			r.ExitCode = 0
		}
		if slices.Contains(step.ExitedWithout, r.ExitCode) {
			return r.Step.ID, fmt.Errorf("%s exited with %d", r.Step.ID, r.ExitCode)
		}
		met = met || slices.Contains(step.ExitedWith, r.ExitCode)
	}
	if met {
		return "", nil
	}
	if len(step.After) > 0 {
		cause = s.results[step.After[0]].Step.ID
	}
	return cause, fmt.Errorf("no step that it waits for exited with %s", numbers(step.ExitedWith, ", "))
}

// err is the error of the run.
func (s *schedule) err(ctx context.Context) error {
	var all []error
	for _, i := range s.failed {
		r := s.results[i]
		err := failure(s.File, r.Step, r.Err)
		if errdefs.IsCanceled(err) { // the step was, this run was not
			err = errors.New(err.Error())
		}
		all = append(all, err)
	}
	if s.stopped && canceller(ctx) == "" {
		all = append(all, s.unfinished(ctx))
	}
	return errors.Join(all...)
}

// Unfinished returns the step at which another run can go on that starts where these did, at the step from: the first one
// that did not succeed, or that ran in the background and has ended with the run; "" for none. Wrote is set if steps above
// it may have written files, which the other run does not have.
func Unfinished(results []Result, from string) (id string, wrote bool) {
	started := from == ""
	for _, r := range results {
		started = started || r.Step.ID == from
		if started && (r.State != Succeeded && r.State != Ignored || r.Step.Detach) {
			return r.Step.ID, wrote
		}
		action := r.Step.Action
		wrote = wrote || r.Attempts > 0 && (task.StartsContainer(action) || useOf(r.Step, action) == workspace.Writes)
	}
	return "", false
}

// unfinished returns why a run was stopped, and the steps that were running or had not started.
func (s *schedule) unfinished(ctx context.Context) error {
	var running, others []string
	for _, r := range s.results {
		switch {
		case r.State == Cancelled:
			running = append(running, r.Step.ID)
		case errors.Is(r.Err, context.Cause(ctx)):
			others = append(others, r.Step.ID)
		}
	}
	if running != nil {
		return fmt.Errorf("%w while running %s", reason(ctx), strings.Join(running, ", "))
	}
	return fmt.Errorf("%w before running %s", reason(ctx), strings.Join(others, ", "))
}

// ending is how a step ended, as the reason why others do not run.
type ending struct {
	step  string
	state State
}

func (e ending) Error() string { return e.step + " " + string(e.state) }

// canceller returns the step that stopped all others, "" for none.
func canceller(ctx context.Context) string {
	var e ending
	errors.As(context.Cause(ctx), &e)
	return e.step
}

// reason returns why the context of a run ended, as an error for users.
func reason(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		return manifest.Errorf(context.Canceled, "the run was cancelled")
	}
	return cause
}
