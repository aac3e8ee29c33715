package run

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/opencontainers/go-digest"
)

// Label is what everything that a run makes on a daemon carries, with the run's ID as its value.
const Label = "docker-multiarch.run"

// processLabel tells runs with the same ID apart: its value is another in each.
const processLabel = "docker-multiarch.process"

// Images are what a daemon builds and pushes.
type Images interface {
	// Push sends an image to the registry in its name and returns its digest there; progress goes to out.
	Push(ctx context.Context, name reference.NamedTagged, out io.Writer) (digest.Digest, error)
	// Builds reports whether the daemon builds with BuildKit, and keeps images of several platforms.
	Builds(ctx context.Context) (buildKit, multiPlatform bool, err error)
}

// Daemon is a Docker daemon as a run needs it.
type Daemon interface {
	// Reach returns an error when the daemon cannot be reached.
	Reach(ctx context.Context) error
	Containers
	Resources
	Archives
	Images
}

// Programs are what runs on this machine, for the daemon of a docker context ("" for that of the run).
type Programs interface {
	// Builder returns the name of the builder that is the daemon's own BuildKit.
	Builder(dockerContext string) string
	// Docker returns the docker command with arguments, ready to be started.
	Docker(ctx context.Context, dockerContext string, args ...string) *exec.Cmd
	// Plugin runs a command of this program to its end and returns its exit code; names of files in args are
	// relative to dir.
	Plugin(ctx context.Context, dockerContext, dir string, args []string, out Output) int
}

// Setup is what steps are carried out with.
type Setup struct {
	// ID is that of the run; it is part of the names of all that the run makes.
	ID   string
	File task.File
	// Builder is the buildx builder of all builds, "" for that of each daemon itself.
	Builder string
	// Context is what the workspace begins as.
	Context Source
	// Daemon returns the daemon of a docker context, the same value for the same daemon.
	Daemon   func(dockerContext string) (Daemon, error)
	Programs Programs
}

// Executor carries out the steps of a file. It is a Runner.
type Executor struct {
	Setup
	process   string
	workspace *workspace

	mu     sync.Mutex
	places map[Daemon]*place
	tries  map[string]int // containers that were run, by step
	asked  *bool          // whether the docker command has buildx, nil while that is not known
}

// place is a daemon with what the run has made there.
type place struct {
	Daemon
	name   string
	making chan struct{}   // is held, by its one element, while something is made
	made   map[string]bool // networks and volumes by name
}

// NewExecutor returns an Executor, whose Close has to be called.
func NewExecutor(s Setup) *Executor {
	e := &Executor{Setup: s, process: rand.Text(), places: map[Daemon]*place{}, tries: map[string]int{}}
	e.workspace = newWorkspace(s.Context, e.name(""), e.labels())
	return e
}

// Check finds docker contexts that do not exist and daemons that cannot be reached before anything is run. The run
// begins with the step called from, "" for the first. The error is errdefs.ErrNotFound when there is no such step,
// errdefs.ErrUnavailable for a daemon.
func (e *Executor) Check(ctx context.Context, from string) error {
	above, err := first(e.File.Steps, from)
	if err != nil {
		return err
	}
	checked := map[Daemon]error{}
	for _, step := range e.File.Steps[above:] {
		m, err := e.Daemon(step.Context)
		if err != nil {
			return fmt.Errorf("step %s: %w", step.ID, err)
		}
		if _, done := checked[m]; !done && onDaemon(step.Action) {
			checked[m] = m.Reach(ctx)
		}
	}
	return errors.Join(slices.Collect(maps.Values(checked))...)
}

// onDaemon reports whether an action is carried out by a daemon for us.
func onDaemon(action task.Action) bool {
	switch action.(type) {
	case task.Container, task.Build, task.Push:
		return true
	}
	return false
}

// Run carries out the action of step.
func (e *Executor) Run(ctx context.Context, step task.Step, out Output, started func()) (int, error) {
	if container, ok := step.Action.(task.Container); ok {
		return e.container(ctx, step, container, out, started)
	}
	switch action := step.Action.(type) { // a build and a push are never detached: what comes after them needs the image
	case task.Build:
		return e.build(ctx, step, action, out)
	case task.Push:
		if err := e.push(ctx, step, action, out); err != nil {
			return 1, err // as docker push has it
		}
		return 0, nil
	case task.Docker:
		started()
		return e.docker(ctx, step, action, out)
	case task.Plugin:
		started()
		return e.plugin(ctx, step, action, out)
	}
	return -1, fmt.Errorf("step %s: nothing is known of %T", step.ID, step.Action)
}

// Close removes everything that the run made on daemons and on this machine.
func (e *Executor) Close(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	errs := make(chan error, len(e.places))
	for m := range e.places {
		go func() { errs <- m.Remove(ctx, processLabel, e.process) }() // a daemon that does not answer leaves the others their time
	}
	err := e.workspace.Close()
	for range e.places {
		err = errors.Join(err, <-errs)
	}
	return err
}

func (e *Executor) labels() map[string]string {
	return map[string]string{Label: e.ID, processLabel: e.process}
}

func (e *Executor) name(thing string) string { return Name(e.ID, thing) }

// taken says what to do about an error for a name that something on the daemon has already.
func (e *Executor) taken(err error) error {
	if !errdefs.IsConflict(err) {
		return err
	}
	return fmt.Errorf("%w; a run with the ID %s is under way there, or was killed: wait for it, give another --id, or remove what it left: %s",
		err, e.ID, Removal(e.ID))
}

// Removal returns the commands that remove what the run with an ID has made on a daemon.
func Removal(id string) string {
	filter := "--filter label=" + Label + "=" + id + ")"
	return "docker rm -fv $(docker ps -aq " + filter + "; docker network rm $(docker network ls -q " + filter +
		"; docker volume rm $(docker volume ls -q " + filter
}

// Name returns what a thing that a run makes is called on daemons: a step's container, a network, a volume.
func Name(id, thing string) string { return "multiarch-" + id + "-" + thing }

// SharedVolume is the thing that the workspace begins with on a daemon.
const SharedVolume = "workspace.1"

// place returns the daemon of a docker context.
func (e *Executor) place(dockerContext string) (*place, error) {
	m, err := e.Daemon(dockerContext)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.places[m] == nil {
		e.places[m] = &place{Daemon: m, name: dockerContext, making: make(chan struct{}, 1), made: map[string]bool{}}
	}
	return e.places[m], nil
}

// once makes a network or volume at its first need. One that could not be made is tried again for the next.
func (p *place) once(ctx context.Context, name string, make func() error) error {
	select {
	case p.making <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.making }()
	if p.made[name] {
		return nil
	}
	err := make()
	p.made[name] = err == nil
	return err
}

// container runs an image, which is pulled when it is not there.
func (e *Executor) container(ctx context.Context, step task.Step, action task.Container, out Output, started func()) (int, error) {
	p, err := e.place(step.Context)
	if err != nil {
		return -1, err
	}
	c, err := e.prepare(ctx, p, step, action)
	if err != nil {
		return -1, err
	}
	volume, release, err := e.workspace.Volume(ctx, p.name, p, p)
	if err != nil {
		return -1, e.taken(err)
	}
	defer release()
	c.Mounts = slices.Insert(c.Mounts, 0, Mount{Source: volume, Target: workspacePath})
	if step.Pull {
		if err := pull(ctx, p, step, action.Image, out); err != nil {
			return -1, err
		}
	}
	code, err := p.Run(ctx, c, out, started)
	if errdefs.IsNotFound(err) && !step.Pull {
		if err := pull(ctx, p, step, action.Image, out); err != nil {
			return -1, err
		}
		code, err = p.Run(ctx, c, out, started)
	}
	return code, cmp.Or(err, exited(code))
}

// workspacePath is where containers have the workspace.
const workspacePath = "/workspace"

// prepare makes the networks and volumes of a container and returns it without its workspace.
func (e *Executor) prepare(ctx context.Context, p *place, step task.Step, action task.Container) (Container, error) {
	c := Container{
		Name: e.name(step.ID), Image: action.Image, Args: action.Args, Env: step.Env, User: step.User,
		Alias: step.ID, Isolation: step.Isolation, CPUs: step.CPUs, Privileged: step.Privileged,
		Expose: step.Expose, Ports: step.Ports, Keep: step.Keep, Kill: step.Detach, Labels: e.labels(),
	}
	e.mu.Lock()
	e.tries[step.ID]++
	if n := e.tries[step.ID]; n > 1 && step.Keep {
		c.Name += fmt.Sprintf("-%d", n)
	}
	e.mu.Unlock()
	if step.EntryPoint != "" {
		c.Entrypoint = []string{step.EntryPoint}
	}
	if !step.NoDir {
		c.Dir = containerDir(step)
	}
	var err error
	if c.Network, err = e.network(ctx, p, step.Network); err != nil {
		return c, err
	}
	for _, m := range step.Mounts {
		source := m.Volume
		if source != task.DockerSocket {
			if source, err = e.volume(ctx, p, m.Volume); err != nil {
				return c, err
			}
		}
		c.Mounts = append(c.Mounts, Mount{Source: source, Target: m.Path})
	}
	return c, nil
}

// containerDir returns the working directory of a container, which is in the workspace.
func containerDir(step task.Step) string { return path.Join(workspacePath, path.Clean("/"+step.Dir)) }

// network returns the name on the daemon of a network of the file, which is made at its first need.
func (e *Executor) network(ctx context.Context, p *place, name string) (string, error) {
	i := slices.IndexFunc(e.File.Networks, func(n task.Network) bool { return n.Name == name })
	if i < 0 || e.File.Networks[i].External {
		return name, nil
	}
	full := e.name(name)
	return full, p.once(ctx, "network "+name, func() error {
		return e.taken(p.CreateNetwork(ctx, e.File.Networks[i], full, e.labels()))
	})
}

// volume returns the name on the daemon of a volume of the file, which is made and filled at its first need.
func (e *Executor) volume(ctx context.Context, p *place, name string) (string, error) {
	i := slices.IndexFunc(e.File.Volumes, func(v task.Volume) bool { return v.Name == name })
	if i < 0 {
		return "", fmt.Errorf("no volume %s", name) // parsing has refused that
	}
	full := e.name(name)
	return full, p.once(ctx, "volume "+name, func() error {
		if err := p.CreateVolume(ctx, full, e.labels()); err != nil {
			return e.taken(err)
		}
		if len(e.File.Volumes[i].Files) == 0 {
			return nil
		}
		return p.Send(ctx, full, secretFiles(e.File.Volumes[i].Files))
	})
}

// pull brings an image, as often as the step says.
func pull(ctx context.Context, p *place, step task.Step, image string, out Output) error {
	for try := 0; ; try++ {
		err := p.Pull(ctx, image, out.Stderr)
		if err == nil || try == step.PullRetries || hopeless(err) {
			return err
		}
		if err := wait(ctx, step.PullRetryDelay); err != nil {
			return err
		}
	}
}

// hopeless reports whether trying again cannot change an error.
func hopeless(err error) bool {
	return errdefs.IsCanceled(err) || errdefs.IsDeadlineExceeded(err) || errdefs.IsInvalidArgument(err) ||
		errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err) || errdefs.IsNotFound(err)
}
