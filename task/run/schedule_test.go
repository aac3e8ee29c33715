package run

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// outcome has the exit codes of a step's attempts, the last for all further ones, and how long each takes.
type outcome struct {
	codes []int
	takes time.Duration
}

// random returns steps with random dependencies and options, and their outcomes.
func random(r *rand.Rand) (steps []task.Step, outcomes []outcome) {
	some := func(n int) bool { return r.IntN(n) == 0 }
	for i := range r.IntN(12) + 1 {
		s := task.Step{ID: fmt.Sprint("s", i), Retries: r.IntN(3), RetryDelay: time.Duration(r.IntN(3)), IgnoreErrors: some(6), Detach: some(8)}
		for before := range i {
			if some(3) {
				s.After = append(s.After, before)
			}
		}
		if some(4) {
			s.ExitedWith = []int{r.IntN(3)}
		}
		if some(6) {
			s.ExitedWithout = []int{r.IntN(3)}
		}
		if some(4) {
			s.StartDelay = time.Duration(r.IntN(3))
		}
		if some(4) {
			s.Repeat = r.IntN(3)
		}
		o := outcome{takes: time.Duration(r.IntN(4))}
		for range r.IntN(3) + 1 {
			o.codes = append(o.codes, max(r.IntN(6)-3, 0))
		}
		steps, outcomes = append(steps, s), append(outcomes, o)
	}
	return steps, outcomes
}

// model returns the final states and exit codes of steps in a run that is not stopped.
func model(steps []task.Step, outcomes []outcome, from int) (states []State, codes []int) {
	for i, s := range steps {
		state, code := Skipped, -1
		if i >= from && due(s, from, states, codes) {
			state, code = end(s, outcomes[i])
		}
		states, codes = append(states, state), append(codes, code)
	}
	return states, codes
}

func due(s task.Step, from int, states []State, codes []int) bool {
	good, with, without := true, false, false
	for _, i := range s.After {
		state, code := states[i], codes[i]
		if i < from {
			state, code = Succeeded, 0
		}
		good = good && (state == Succeeded || state == Ignored)
		with = with || slices.Contains(s.ExitedWith, code)
		without = without || slices.Contains(s.ExitedWithout, code)
	}
	if s.ExitedWith == nil && s.ExitedWithout == nil {
		return good
	}
	return (with || s.ExitedWith == nil) && !without
}

func end(s task.Step, o outcome) (State, int) {
	code, attempts := 0, 0
	next := func() int { attempts++; return o.codes[min(attempts, len(o.codes))-1] }
	for range s.Repeat + 1 {
		last := next()
		for range s.Retries {
			if last != 0 && !s.Detach {
				last = next()
			}
		}
		if code == 0 {
			code = last
		}
	}
	switch {
	case s.Detach || code == 0:
		return Succeeded, 0
	case s.IgnoreErrors:
		return Ignored, code
	}
	return Failed, code
}

// played is a Runner of outcomes that counts running steps.
type played struct {
	outcomes map[string]outcome
	attempts map[string]*atomic.Int32
	active   atomic.Int32
	most     atomic.Int32 // maximum of active
}

func play(steps []task.Step, outcomes []outcome) *played {
	p := &played{outcomes: map[string]outcome{}, attempts: map[string]*atomic.Int32{}}
	for i, s := range steps {
		p.outcomes[s.ID], p.attempts[s.ID] = outcomes[i], &atomic.Int32{}
	}
	return p
}

// Run waits, unless ctx ends.
func (p *played) Run(ctx context.Context, step task.Step, _ Output, started func()) (int, error) {
	n := p.active.Add(1)
	defer p.active.Add(-1)
	for most := p.most.Load(); !step.Detach && n > most && !p.most.CompareAndSwap(most, n); most = p.most.Load() {
	}
	started()
	o := p.outcomes[step.ID]
	if err := pause.For(ctx, o.takes); err != nil {
		return -1, err
	}
	code := o.codes[min(int(p.attempts[step.ID].Add(1)), len(o.codes))-1]
	return code, exited(code)
}

// Random steps end as in the model. The name of a failed subtest is the seed that reproduces it.
func TestStepsOfRandomFiles(t *testing.T) {
	for seed := range uint64(1000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			steps, outcomes := random(r)
			from := 0
			if r.IntN(4) == 0 {
				from = r.IntN(len(steps))
			}
			o := Options{Jobs: r.IntN(4), From: steps[from].ID}
			synctest.Test(t, func(t *testing.T) {
				runner, progress := play(steps, outcomes), &recorder{}
				results, err := Steps(t.Context(), steps, o, runner, progress)
				progress.check(t, steps, results)
				states, codes := model(steps, outcomes, from)
				for i, got := range results {
					if lost := steps[i].Detach && got.State == Ignored; lost && states[i] == Succeeded && slices.Contains(outcomes[i].codes, got.ExitCode) {
						continue // the run was still in progress then
					}
					if got.State != states[i] || got.ExitCode != codes[i] {
						t.Errorf("%s: got %s with exit code %d, want %s with %d", got.Step.ID, got.State, got.ExitCode, states[i], codes[i])
					}
				}
				if failed := slices.Contains(states, Failed); failed != (err != nil) {
					t.Errorf("got error %v for states %v", err, states)
				}
				checkPlayed(t, runner, steps, o)
			})
		})
	}
}

func checkPlayed(t *testing.T, runner *played, steps []task.Step, o Options) {
	t.Helper()
	if n := runner.active.Load(); n != 0 {
		t.Errorf("got %d running steps after the run, want none", n)
	}
	detached := slices.ContainsFunc(steps, func(s task.Step) bool { return s.Detach })
	if most := int(runner.most.Load()); o.Jobs > 0 && !detached && most > o.Jobs {
		t.Errorf("got %d concurrent steps, want at most %d", most, o.Jobs)
	}
}

// After random steps are stopped by a failure, a timeout or the caller, none is running and all have a final state.
func TestStepsOfRandomFilesStopped(t *testing.T) {
	for seed := range uint64(1000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			steps, outcomes := random(r)
			for i := range steps {
				steps[i].CancelRest = r.IntN(4) == 0
				steps[i].Timeout = time.Duration(r.IntN(6)) * 2
			}
			o := Options{Jobs: r.IntN(4), Timeout: time.Duration(r.IntN(12))}
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(r.IntN(20)+1), context.Canceled)
				defer cancel()
				runner, progress := play(steps, outcomes), &recorder{}
				results, err := Steps(ctx, steps, o, runner, progress)
				progress.check(t, steps, results)
				bad := func(r Result) bool { return r.State == Failed || r.State == TimedOut || r.State == Cancelled }
				if slices.ContainsFunc(results, bad) && err == nil {
					t.Errorf("got no error, want one for %v", results)
				}
				for _, r := range results {
					if r.cause != "" && r.State == Cancelled && !strings.HasPrefix(r.Err.Error(), r.cause+" ") {
						t.Errorf("%s: got error %v, want one that starts with %s", r.Step.ID, r.Err, r.cause)
					}
				}
				checkPlayed(t, runner, steps, o)
			})
		})
	}
}

// failing fails with an exit code the given number of times, and then succeeds.
func failing(times, code int) runnerFunc {
	return func(context.Context, task.Step, Output, func()) (int, error) {
		if times--; times < 0 {
			return 0, nil
		}
		return code, errBroken
	}
}

func TestResults(t *testing.T) {
	steps := []task.Step{
		{ID: "a", StartDelay: time.Hour, Timeout: time.Minute, Retries: 2, RetryDelay: 10 * time.Second},
		{ID: "b", After: []int{0}},
		{ID: "c", After: []int{1}},
		{ID: "d", After: []int{2}, ExitedWith: []int{1, 3}},
		{ID: "e", After: []int{3}},
	}
	synctest.Test(t, func(t *testing.T) {
		progress := &recorder{}
		results, err := Steps(t.Context(), steps, Options{}, failing(9, 7), progress)
		progress.check(t, steps, results)
		if !errors.Is(err, errBroken) || err.Error() != "step a: broken" {
			t.Errorf("got error %v, want step a: broken", err)
		}
		if a := results[0]; a.Attempts != 3 || a.Took != 20*time.Second || a.ExitCode != 7 || a.cause != "" {
			t.Errorf("got %+v, want 3 attempts in 20s with exit code 7 and no cause", a)
		}
		for i, want := range []string{"a: a failed", "a: a failed", "c: no step that it waits for exited with 1, 3", "d: d skipped"} {
			if r := results[i+1]; r.cause+": "+r.Err.Error() != want || r.State != Skipped || r.Took != 0 || r.ExitCode != -1 {
				t.Errorf("got %+v\nwant cause and error %s", r, want)
			}
		}
	})
}

// The result of a step that was stopped because of another has that as its cause.
func TestCauseOfStoppedSteps(t *testing.T) {
	steps := []task.Step{{ID: "a"}, {ID: "b", CancelRest: true}, {ID: "c", StartDelay: time.Hour}, {ID: "d", After: []int{0}}}
	runner := runnerFunc(func(ctx context.Context, step task.Step, _ Output, _ func()) (int, error) {
		if step.ID == "b" {
			return -1, errBroken
		}
		<-ctx.Done()
		return -1, ctx.Err()
	})
	synctest.Test(t, func(t *testing.T) {
		results, err := Steps(t.Context(), steps, Options{}, runner, &recorder{})
		if err == nil || err.Error() != "step b: broken" || errdefs.IsCanceled(err) {
			t.Errorf("got error %v", err)
		}
		var got []string
		for _, r := range results {
			got = append(got, fmt.Sprint(r.Step.ID, " ", r.State, " ", r.cause, " ", r.Err))
		}
		want := "a cancelled b b failed\nb failed  broken\nc skipped b b failed\nd skipped b b failed"
		if strings.Join(got, "\n") != want {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
		}
	})
}

// A step that succeeds after its timeout has succeeded.
func TestStepSucceedsWhenStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runner := runnerFunc(func(ctx context.Context, _ task.Step, _ Output, _ func()) (int, error) {
			<-ctx.Done()
			return 0, nil
		})
		results, err := Steps(t.Context(), []task.Step{{ID: "a", Timeout: time.Second}}, Options{}, runner, &recorder{})
		if err != nil || results[0].State != Succeeded {
			t.Errorf("got %+v and error %v, want it succeeded", results[0], err)
		}
	})
}

// A cancelled request of a step is a failure, and does not make the run cancelled.
func TestStepFailsAsCancelled(t *testing.T) {
	runner := runnerFunc(func(context.Context, task.Step, Output, func()) (int, error) {
		return -1, fmt.Errorf("daemon: %w", context.Canceled)
	})
	_, err := Steps(t.Context(), []task.Step{{ID: "a"}}, Options{}, runner, &recorder{})
	if err == nil || errdefs.IsCanceled(err) || err.Error() != "step a: daemon: context canceled" {
		t.Errorf("got error %v", err)
	}
}

func TestRunTimesOut(t *testing.T) {
	runner := runnerFunc(func(ctx context.Context, _ task.Step, _ Output, _ func()) (int, error) {
		<-ctx.Done()
		return -1, ctx.Err()
	})
	synctest.Test(t, func(t *testing.T) {
		_, err := Steps(t.Context(), []task.Step{{ID: "a"}}, Options{Timeout: time.Minute}, runner, &recorder{})
		if !errdefs.IsDeadlineExceeded(err) || errdefs.IsCanceled(err) {
			t.Errorf("got error %v", err)
		}
	})
}

func TestStepsFromUnknown(t *testing.T) {
	results, err := Steps(t.Context(), []task.Step{{ID: "a"}}, Options{From: "b"}, nil, nil)
	if !errdefs.IsNotFound(err) || results != nil {
		t.Errorf("got %v and error %v, want no results and errdefs.ErrNotFound", results, err)
	}
}

// A detached step ends after all others, when its context is cancelled, and the run waits for it.
func TestServiceIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped atomic.Bool
		runner := runnerFunc(func(ctx context.Context, step task.Step, _ Output, started func()) (int, error) {
			if step.ID != "service" {
				_ = pause.For(ctx, time.Minute)
				if stopped.Load() {
					t.Error("the service was stopped before the other step ended")
				}
				return 0, nil
			}
			_ = pause.For(ctx, time.Second)
			started()
			started()
			<-ctx.Done()
			_ = pause.For(context.WithoutCancel(ctx), time.Second)
			stopped.Store(true)
			return 137, errBroken
		})
		steps := []task.Step{{ID: "service", Detach: true, Timeout: 2 * time.Second}, {ID: "a", After: []int{0}}}
		results, err := Steps(t.Context(), steps, Options{}, runner, &recorder{})
		if err != nil || !stopped.Load() || results[0].State != Succeeded || results[0].Took != time.Second || results[0].Err != nil {
			t.Errorf("got %+v, error %v and stopped %t, want the service succeeded after 1s and stopped", results, err, stopped.Load())
		}
	})
}

// A detached step that does not start in time, or never, fails.
func TestServiceDoesNotStart(t *testing.T) {
	for state, takes := range map[State]time.Duration{TimedOut: time.Minute, Failed: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			runner := runnerFunc(func(ctx context.Context, _ task.Step, _ Output, started func()) (int, error) {
				if err := pause.For(ctx, takes); err != nil {
					started() // too late
					return -1, err
				}
				return 125, errBroken
			})
			results, err := Steps(t.Context(), []task.Step{{ID: "a", Detach: true, Timeout: 2 * time.Second}}, Options{}, runner, &recorder{})
			if err == nil || results[0].State != state {
				t.Errorf("got %+v and error %v, want it %s", results, err, state)
			}
		})
	}
}

// A service that ended too early failed, which does not fail the run.
func TestServiceIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runner := runnerFunc(func(ctx context.Context, step task.Step, _ Output, started func()) (int, error) {
			started()
			if step.Detach {
				return 3, errBroken
			}
			return 0, pause.For(ctx, time.Second)
		})
		progress := &recorder{}
		results, err := Steps(t.Context(), []task.Step{{ID: "a", Detach: true}, {ID: "b"}}, Options{}, runner, progress)
		if r := results[0]; err != nil || r.State != Ignored || r.ExitCode != 3 || !errors.Is(r.Err, errBroken) {
			t.Errorf("got %+v and error %v, want it ignored with the error of the service", r, err)
		}
		lost := func(e Event) bool { return e.State == Ignored && e.ExitCode == 3 && errors.Is(e.Err, errBroken) }
		if !slices.ContainsFunc(progress.events, lost) {
			t.Errorf("got events %v, want one with exit code 3", progress.events)
		}
	})
}

// Another run goes on at the first step that did not succeed, or whose container is gone.
func TestUnfinished(t *testing.T) {
	result := func(id string, state State, detached bool, action task.Action) Result {
		attempts := 1
		if state == Skipped {
			attempts = 0
		}
		return Result{Step: task.Step{ID: id, Detach: detached, Action: action}, State: state, Attempts: attempts}
	}
	container, build := task.Container{Image: "a"}, task.Build{Context: "."}
	save, pull := task.Docker{Args: []string{"save", "-o", "a"}}, task.Docker{Args: []string{"pull", "a"}}
	for _, c := range []struct {
		want, from string
		wrote      bool
		results    []Result
	}{
		{"", "", false, []Result{result("a", Succeeded, false, container), result("b", Ignored, false, container)}},
		{"b", "", true, []Result{result("a", Succeeded, false, container), result("b", Failed, false, container), result("c", Skipped, false, build)}},
		{"b", "", true, []Result{result("a", Ignored, false, save), result("b", Failed, false, container)}},
		{"c", "", false, []Result{result("a", Succeeded, false, build), result("b", Succeeded, false, pull), result("c", Failed, false, container)}},
		{"c", "b", false, []Result{result("a", Skipped, false, container), result("b", Succeeded, false, build), result("c", Cancelled, false, container)}},
		{"d", "", true, []Result{result("a", Succeeded, false, container), result("d", Succeeded, true, container), result("e", TimedOut, false, build)}},
	} {
		if got, wrote := Unfinished(c.results, c.from); got != c.want || wrote != c.wrote {
			t.Errorf("got step %q, wrote %v for %v, want %q, %v", got, wrote, c.results, c.want, c.wrote)
		}
	}
}

// A failure is reported with its place in the file and its action.
func TestFailure(t *testing.T) {
	step := task.Step{Position: task.Position{Line: 7}, ID: "a", Action: task.Docker{Args: []string{"ps", "-a", "x y"}}}
	if got, want := failure("acb.yaml", step, errBroken).Error(), "acb.yaml:7: step a (docker ps -a 'x y'): broken"; got != want {
		t.Errorf("got error %q, want %q", got, want)
	}
	step.Action = task.Plugin{Commands: [][]string{{"repo", "purge"}}, Replaces: "acr purge --ago 1d"}
	if got, want := Action(step), "acr purge --ago 1d"; got != want {
		t.Errorf("got action %q, want %q", got, want)
	}
	step.Action = task.Container{Image: "bb:1", Args: []string{strings.Repeat("x", 1000)}}
	if got := Action(step); !strings.HasPrefix(got, "docker run bb:1 xxx") || len(got) > maxAction+len("...") {
		t.Errorf("got action %q, want the start of docker run bb:1 xxx...", got)
	}
}
