// Package run runs the steps of a task file.
//
// [Steps] is the schedule: which step starts when, in which order, how many at a time, and what the failure of one
// means for others. For each step it calls a [Runner], as often as retries and repetitions allow and within the
// step's timeout, and reports progress to a [Listener].
//
// [Executor] is the Runner of real runs. It runs containers, builds and pushes on a [Daemon], and docker commands and
// commands of this program on this machine. [Open] makes the context of a run available as a [Source]; the workspace,
// which steps share, begins as that. [Describe] prints what a run would do.
//
// How the API of a daemon and the docker CLI are used is left to the interfaces in this package, and how progress
// looks to package display.
package run

import (
	"context"
	"io"
	"time"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// Runner performs the actions of steps.
type Runner interface {
	// Run performs the action of a step once. It calls started when a detached step counts as done. The exit code
	// is that of the program that was run, -1 if none was. The error is why the step failed; an exit code other
	// than 0 is such a reason. When ctx ends, the step ends, and Run returns once nothing of it is left running.
	Run(ctx context.Context, step task.Step, out Output, started func()) (exitCode int, err error)
}

// Output is where the output of a step goes. Both streams may be written to concurrently.
type Output struct{ Stdout, Stderr io.Writer }

// State is the state of a step.
type State string

// The states of steps. All but Waiting and Running are final.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Ignored   State = "ignored"   // failed, with ignoreErrors or when it was running in the background
	Skipped   State = "skipped"   // a step it waits for failed, or --from-step names a later one
	Cancelled State = "cancelled" // while it was running, because another step failed or the run ended
	TimedOut  State = "timed out"
)

// Event is a change of a step's state, or another attempt to run it.
type Event struct {
	Time time.Time
	Step task.Step
	// State is Waiting during a StartDelay. Running with a Repetition, or with an Attempt above 1, is another run of
	// the step, whose RetryDelay may only begin. A detached step that later ends by itself with a failure is
	// reported once more, as Ignored.
	State      State
	Repetition int // 0 for the first
	Attempt    int // in this repetition, from 1; in a final state the attempts of all repetitions
	// ExitCode and Err are those of the previous attempt if Running, and of the step if final. The code is -1 for
	// none. Err is also the reason why a step was skipped or cancelled.
	ExitCode int
	Err      error
	Took     time.Duration // in a final state
}

// Listener receives the progress of a run. Its methods may be called concurrently.
type Listener interface {
	Report(Event)
	// Output returns where a step's output goes. It is called once for each step that runs.
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
	CPUs       string // as in docker run --cpus
	Memory     int64  // in bytes, 0 for no limit
	Platform   string // "" for the image's
	Init       bool
	Hosts      []string // as in docker run --add-host
	Privileged bool
	Expose     []string // as in docker run --expose
	Ports      []string // as in docker run --publish
	Mounts     []Mount
	Archive    []byte // a tar archive that is unpacked at / before the container starts, nil for none
	Keep       bool   // do not remove it when it has ended
	// Kill ends it at once when ctx ends, without time to stop.
	Kill   bool
	Labels map[string]string
}

// Mount is a volume, or a path on the daemon's host, in a container.
type Mount struct{ Source, Target string }

// Containers runs containers on a daemon.
type Containers interface {
	// Run runs a container until it ends and returns its exit code; it calls started once it is running. When ctx
	// ends the container is stopped, killed if it does not stop within 10 seconds, and removed unless kept. The
	// error is errdefs.ErrNotFound if the image does not exist, errdefs.ErrUnavailable if the daemon cannot be
	// reached.
	Run(ctx context.Context, c Container, out Output, started func()) (exitCode int, err error)
	// Pull pulls an image for a platform, "" for the daemon's; its progress goes to out.
	Pull(ctx context.Context, image, platform string, out io.Writer) error
}

// Resources creates networks and volumes on a daemon, and removes what a run has created there.
type Resources interface {
	CreateNetwork(ctx context.Context, n task.Network, name string, labels map[string]string) error
	CreateVolume(ctx context.Context, name string, labels map[string]string) error
	// Has reports whether there is a thing, "container", "network" or "volume", of a name.
	Has(ctx context.Context, thing, name string) (bool, error)
	// LinkVolume creates a volume of files on the daemon's machine, with options of the mount.
	LinkVolume(ctx context.Context, name string, labels, options map[string]string) error
	// Remove removes all containers, networks and volumes with a label, whatever their state.
	Remove(ctx context.Context, label, value string) error
}

// Archives copies files to and from volumes, as tar streams with paths relative to the volume.
type Archives interface {
	// Send unpacks a tar stream into a volume.
	Send(ctx context.Context, volume string, tar io.Reader) error
	// Receive returns the content of a volume.
	Receive(ctx context.Context, volume string) (io.ReadCloser, error)
	// Mount returns an error if a volume cannot be mounted.
	Mount(ctx context.Context, volume string) error
}
