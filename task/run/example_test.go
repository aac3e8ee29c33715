package run_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// flaky is a Runner that fails the first attempt of each step.
type flaky map[string]bool

func (f flaky) Run(_ context.Context, step task.Step, _ run.Output, _ func()) (int, error) {
	if !f[step.ID] {
		f[step.ID] = true
		return 1, errors.New("exit code 1")
	}
	return 0, nil
}

// progress is a Listener that prints events.
type progress struct{}

func (progress) Output(task.Step) run.Output {
	return run.Output{Stdout: io.Discard, Stderr: io.Discard}
}

func (progress) Report(e run.Event) {
	if e.State == run.Running {
		fmt.Println(e.Step.ID, e.State, "attempt", e.Attempt)
		return
	}
	fmt.Println(e.Step.ID, e.State)
}

func ExampleSteps() {
	steps := []task.Step{
		{ID: "build", Retries: 1},
		{ID: "test", After: []int{0}},
		{ID: "push", After: []int{1}},
	}
	_, err := run.Steps(context.Background(), steps, run.Options{Jobs: 1}, flaky{}, progress{})
	fmt.Println(err)
	// Output:
	// build running attempt 1
	// build running attempt 2
	// build succeeded
	// test running attempt 1
	// test failed
	// push skipped
	// step test: exit code 1
}
