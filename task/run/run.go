// Package run runs the steps of a task file: their order, retries and time limits, their containers on a
// daemon, their builds and pushes, the context that they start from and the workspace that they share. Which
// daemon that is, and how its API is spoken, is left to the interfaces that it is given.
package run

import (
	"context"
	"io"
	"time"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// Runner carries out the actions of steps.
type Runner interface {
	// Run does what the step says, once. It calls started when a detached step could be called done. The exit
	// code is that of the program that was run; -1 when there is none. An error says why it failed, an exit
	// code other than 0 among the reasons. When ctx ends, so does the step, and nothing of it goes on.
	Run(ctx context.Context, step task.Step, out Output, started func()) (exitCode int, err error)
}

// Output is where the output of a step goes. Both may be written to side by side.
type Output struct{ Stdout, Stderr io.Writer }

// State is how far a step is.
type State string

// The states of steps. All but Waiting and Running are final.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Ignored   State = "ignored"   // failed, with ignoreErrors
	Skipped   State = "skipped"   // a step it waits for failed, or --from-step came after it
	Cancelled State = "cancelled" // while it ran, for the failure of another or the end of the run
	TimedOut  State = "timed out"
)

// Event is told when the state of a step changes, and when it is run again.
type Event struct {
	Time time.Time
	Step task.Step
	// State is Waiting while a StartDelay goes on; Running with a Repetition, or with a Try above 1, is another
	// run of the step, whose RetryDelay may only begin. A detached step that ends by itself and with a failure
	// is told of once more, as Succeeded with Err.
	State      State
	Repetition int // 0 for the first
	Try        int // in this repetition, from 1; when final, those of all repetitions
	// ExitCode and Err are those of the run before when Running, and of the step when final. The code is -1
	// for none. Err also says why a step was skipped or cancelled.
	ExitCode int
	Err      error
	Took     time.Duration // when final
}

// Listener is told how a run goes. Its methods may be called side by side.
type Listener interface {
	Tell(Event)
	// Output returns where a step's output goes; it is asked once for each step that runs.
	Output(task.Step) Output
}

// Container is a container of a run.
type Container struct {
	Name       string
	Image      string
	Entrypoint []string // nil for the image's
	Args       []string // none for the image's
	Env        []string
	Dir        string // "" for the image's
	User       string
	Network    string // "" for the daemon's default
	Alias      string // its name in that network
	Isolation  string
	CPUs       string // as docker run --cpus takes it
	Privileged bool
	Expose     []string // as docker run --expose takes it
	Ports      []string // as docker run --publish takes it
	Mounts     []Mount
	Keep       bool // leave it when it has ended; else it is removed
	// Kill ends it at once when it is no longer wanted, without time to stop.
	Kill   bool
	Labels map[string]string
}

// Mount is a volume, or a path of the daemon's machine, in a container.
type Mount struct{ Source, Target string }

// Containers are those of a daemon.
type Containers interface {
	// Run runs a container to its end and returns its exit code; it calls started once it runs. When ctx ends
	// the container is stopped, killed when it does not stop in 10 seconds, and removed unless kept. The image
	// has to be there: errdefs.ErrNotFound otherwise, errdefs.ErrUnavailable when the daemon cannot be reached.
	Run(ctx context.Context, c Container, out Output, started func()) (exitCode int, err error)
	// Pull brings an image from its registry; its progress goes to out.
	Pull(ctx context.Context, image string, out io.Writer) error
}

// Resources are networks, volumes and containers that a run makes on a daemon.
type Resources interface {
	CreateNetwork(ctx context.Context, n task.Network, name string, labels map[string]string) error
	CreateVolume(ctx context.Context, name string, labels map[string]string) error
	// Remove removes all containers, networks and volumes that have the label, whatever their state.
	Remove(ctx context.Context, label, value string) error
}

// Archives are the contents of volumes, as tar streams with paths relative to the volume.
type Archives interface {
	// Send unpacks a tar stream into a volume.
	Send(ctx context.Context, volume string, tar io.Reader) error
	// Receive returns the content of a volume.
	Receive(ctx context.Context, volume string) (io.ReadCloser, error)
}
