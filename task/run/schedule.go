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
)

// Options say which steps of a file run, and how long.
type Options struct {
	// Jobs is how many steps run at a time, 0 for no limit. What is detached and goes on is not counted.
	Jobs int
	// From is the id of the step to begin with, "" for the first. Those above it in the file are skipped, and
	// count as succeeded with exit code 0.
	From string
	// Timeout is for all steps together, 0 for none.
	Timeout time.Duration
}

// Result is how a step ended.
type Result struct {
	Step     task.Step
	State    State
	Tries    int // of all repetitions
	ExitCode int // 0 for Succeeded, -1 for none
	// Err is why a step did not succeed or did not run. A detached step may have succeeded and then ended with
	// a failure by itself: as with docker run --detach, that makes neither it nor the run fail.
	Err  error
	Took time.Duration // from the first try
	// cause is the id of the step on whose account this one was skipped or cancelled, "" for none.
	cause string
}

func (r Result) event() Event {
	return Event{Time: time.Now(), Step: r.Step, State: r.State, Try: r.Tries, ExitCode: r.ExitCode, Err: r.Err, Took: r.Took}
}

// Steps runs steps in their order, and returns how each ended, in the order of the file, once nothing of
// them goes on any more. With one job they start in the order of the file.
//
// A step is decided upon when all that it waits for are final. It runs when those succeeded or were
// ignored; a step with ExitedWith or ExitedWithout when their exit codes allow it. One that is skipped for its
// exit codes is no failure of the run, and neither are those that wait for it and are skipped with it.
//
// The error is that of the run: it names the steps that failed in the order in which they did, is
// context.Canceled when ctx was cancelled before all were done, and context.DeadlineExceeded after the
// timeout of the run.
func Steps(ctx context.Context, steps []task.Step, o Options, runner Runner, listener Listener) ([]Result, error) {
	s := &schedule{Options: o, runner: runner, listener: listener, attempts: map[int]*attempt{}, ended: make(chan ended, len(steps))}
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
		s.end(ctx, <-s.ended)
	}
	err := s.err(ctx)
	s.stop(nil) // what is detached
	s.group.Wait()
	for i, a := range s.attempts {
		if a.lost != nil {
			s.results[i].Err = a.lost
		}
	}
	return s.results, err
}

// schedule is a run. One goroutine alone works on it.
type schedule struct {
	Options
	runner   Runner
	listener Listener

	results  []Result // in the order of the file, as far as they are known
	attempts map[int]*attempt
	above    int // steps above From
	running  int // steps that are not done
	ended    chan ended
	group    sync.WaitGroup // of all that goes on, also when it is detached

	stop    context.CancelCauseFunc
	stopped bool  // the context ended before all steps were done
	failed  []int // in the order in which they did
}

// ended says that the step of that index is done.
type ended struct {
	index int
	Result
}

// skipAbove skips all steps above the one that has the id.
func (s *schedule) skipAbove(steps []task.Step, id string) (err error) {
	if s.above, err = first(steps, id); err != nil {
		return err
	}
	for i := range s.above {
		s.skip(i, "", fmt.Errorf("the run begins with %s", id))
	}
	return nil
}

// first returns the index of the step that a run begins with, which is called id; "" stands for the first.
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
	return 0, manifest.Errorf(errdefs.ErrNotFound, "no step has the id %q to begin with; there are %s", id, strings.Join(ids, ", "))
}

// proceed starts or skips all steps that wait for nothing any more.
func (s *schedule) proceed(ctx context.Context) {
	for i, r := range s.results {
		if r.State != Waiting || !s.final(r.Step.After) {
			continue
		}
		cause, err := s.obstacle(r.Step)
		if ctx.Err() != nil {
			cause, err, s.stopped = blame(ctx), reason(ctx), true
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
	s.listener.Tell(r.event())
}

func (s *schedule) start(ctx context.Context, i int) {
	s.running++
	s.results[i].State = Running
	a := &attempt{step: s.results[i].Step, runner: s.runner, listener: s.listener}
	a.ended = func(r Result) { s.ended <- ended{i, r} }
	s.attempts[i] = a
	if a.step.StartDelay == 0 {
		a.begin() // here, so that what is stopped right away is known to have begun
	}
	s.group.Go(func() {
		if a.step.StartDelay > 0 && !a.delay(ctx) {
			return
		}
		a.run(ctx)
	})
}

// end takes in how a step ended.
func (s *schedule) end(ctx context.Context, e ended) {
	s.running--
	switch e.State {
	case Failed, TimedOut:
		s.failed = append(s.failed, e.index)
		if e.Step.CancelRest {
			s.stop(ending{e.Step.ID, e.State})
		}
	case Skipped, Cancelled:
		s.stopped, e.cause = true, blame(ctx)
	}
	s.results[e.index] = e.Result
}

// obstacle returns why a step that waits for nothing any more does not run, and the step that is the cause;
// nil when it runs.
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

// unmet is the obstacle of a step that looks at exit codes. What was skipped, cancelled or timed out has none.
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
	return cause, fmt.Errorf("nothing that it waits for exited with %s", numbers(step.ExitedWith, ", "))
}

// err is the error of the run.
func (s *schedule) err(ctx context.Context) error {
	var all []error
	for _, i := range s.failed {
		r := s.results[i]
		err := fmt.Errorf("step %s: %w", r.Step.ID, r.Err)
		if errdefs.IsCanceled(err) { // by somebody else: this run was not
			err = errors.New(err.Error())
		}
		all = append(all, err)
	}
	if s.stopped && blame(ctx) == "" {
		all = append(all, s.unfinished(ctx))
	}
	return errors.Join(all...)
}

// unfinished says why a run was stopped, and what it did then.
func (s *schedule) unfinished(ctx context.Context) error {
	var were, others []string
	for _, r := range s.results {
		switch {
		case r.State == Cancelled:
			were = append(were, r.Step.ID)
		case errors.Is(r.Err, context.Cause(ctx)):
			others = append(others, r.Step.ID)
		}
	}
	if were != nil {
		return fmt.Errorf("%w while it ran %s", reason(ctx), strings.Join(were, ", "))
	}
	return fmt.Errorf("%w before it ran %s", reason(ctx), strings.Join(others, ", "))
}

// ending is how a step ended, as the reason why others do not run.
type ending struct {
	step  string
	state State
}

func (e ending) Error() string { return e.step + " " + string(e.state) }

// blame returns the step that stopped all others, "" for none.
func blame(ctx context.Context) string {
	var e ending
	errors.As(context.Cause(ctx), &e)
	return e.step
}

// reason says for a person why the context of a run ended.
func reason(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		return manifest.Errorf(context.Canceled, "the run was cancelled")
	}
	return cause
}
