package run

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
	"github.com/docker-multiarch/docker-multiarch/internal/pause"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run/workspace"
	"github.com/docker-multiarch/docker-multiarch/task/shell"
)

// Label is the label of everything that a run creates on a daemon; its value is the run's ID.
const Label = "docker-multiarch.run"

// processLabel distinguishes runs with the same ID: its value is different in each.
const processLabel = "docker-multiarch.process"

// Images builds and pushes images on a daemon.
type Images interface {
	// Push pushes an image to its registry and returns its digest there; progress goes to out.
	Push(ctx context.Context, name reference.NamedTagged, out io.Writer) (digest.Digest, error)
	// Builds reports whether the daemon builds with BuildKit, and stores images of several platforms.
	Builds(ctx context.Context) (buildKit, multiPlatform bool, err error)
}

// Daemon is a Docker daemon that runs steps. Values are comparable: equal ones are the same daemon.
type Daemon interface {
	// Reach returns an error if the daemon cannot be reached.
	Reach(ctx context.Context) error
	// Socket returns the path of the daemon's socket on its host.
	Socket(ctx context.Context) (string, error)
	Containers
	Resources
	Archives
	Images
}

// Workspace is the folder of the workspace in containers.
const Workspace = shell.Workspace

// Programs runs programs on this machine, for the daemon of a docker context ("" for that of the run).
type Programs interface {
	// Builder returns the name of the builder that is the daemon's own BuildKit.
	Builder(dockerContext string) string
	// Docker returns the docker command with arguments, ready to be started. It has the user's logins for registries.
	Docker(ctx context.Context, dockerContext string, registries []string, args ...string) (*exec.Cmd, error)
	// Plugin runs a command of this program and returns its exit code. It opens only files of the workspace; their names
	// in args are relative to its folder dir.
	Plugin(ctx context.Context, dockerContext string, workspace *os.Root, dir string, args []string, out Output) int
}

// Setup is what an Executor needs.
type Setup struct {
	// ID is that of the run; the names of all that the run creates contain it.
	ID   string
	File task.File
	// Folder is that of the run on this machine, see [FolderPattern].
	Folder string
	// Builder is the buildx builder of all builds, "" for each daemon's own.
	Builder string
	// Context is the initial content of the workspace.
	Context Source
	// Note shows what the run does otherwise than a person may expect.
	Note func(text string)
	// Daemon returns the daemon of a docker context.
	Daemon   func(dockerContext string) (Daemon, error)
	Programs Programs
	// ConfigFile returns a config.json of docker with the user's logins for registries.
	ConfigFile func(registries []string) ([]byte, error)
	// Pushed is called for each image that a docker command has pushed. The digest is "" if the command did not say it.
	Pushed func(name string, d digest.Digest)
}

// Executor performs the actions of a file's steps. It is a [Runner].
type Executor struct {
	Setup
	process   string
	objects   objectNames
	workspace *workspace.Workspace

	mu       sync.Mutex
	daemons  map[Daemon]*usedDaemon
	attempts map[string]int    // containers that were run, by step
	builders map[string]string // names of builders that the run creates, by their name in the file
	killed   atomic.Bool       // a docker command was killed
	buildx   memo.Once[bool]   // whether the docker command has it
}

// usedDaemon is a daemon with what the run has created there.
type usedDaemon struct {
	Daemon
	context string
	created memo.Memo[string, string] // names of networks and volumes on the daemon, by kind and name in the file
}

// NewExecutor returns an Executor, which must be closed.
func NewExecutor(s Setup) *Executor {
	e := &Executor{Setup: s, process: rand.Text(), objects: newObjectNames(s.File, s.ID), daemons: map[Daemon]*usedDaemon{}, attempts: map[string]int{}, builders: map[string]string{}}
	e.workspace = workspace.New(workspace.Setup{
		Context: s.Context.Dir, Temp: s.Context.temporary, Prefix: e.name(""), TempPrefix: FolderPattern(s.ID) + "workspace-", Labels: e.labels(),
		Keep: dockerfiles(s.File), Shared: e.shares(), Note: s.Note,
	})
	return e
}

// Check finds unknown docker contexts, unreachable daemons and names that are in use before anything is run. The run
// starts at the step from, "" for the first. The error is errdefs.ErrNotFound if there is no such step,
// errdefs.ErrUnavailable for a daemon, errdefs.ErrConflict for a name.
func (e *Executor) Check(ctx context.Context, from string) error {
	above, err := first(e.File.Steps, from)
	if err != nil {
		return err
	}
	checked := map[Daemon]error{}
	for _, step := range e.File.Steps[above:] {
		d, err := e.Daemon(step.Context)
		if err != nil {
			return fmt.Errorf("step %s: %w", step.ID, err)
		}
		if _, done := checked[d]; !done && needsDaemon(step.Action) {
			checked[d] = d.Reach(ctx)
		}
	}
	return cmp.Or(errors.Join(slices.Collect(maps.Values(checked))...), e.checkNames(ctx))
}

// checkNames returns an error for an object that exists on a daemon under a name that the file gives to another and that
// a docker command of the file uses: it would be taken for that. Where this cannot be determined, creating the other fails.
func (e *Executor) checkNames(ctx context.Context) error {
	checked := map[any]bool{}
	for _, step := range e.File.Steps {
		d, err := e.Daemon(step.Context)
		for _, o := range e.public(step) {
			key := [...]any{d, o}
			if err != nil || checked[key] { // an error is that of a step that is skipped
				continue
			}
			checked[key] = true
			if has, err := d.Has(ctx, o.kind, o.name); err == nil && has {
				return e.explainConflict(manifest.Errorf(errdefs.ErrConflict, "step %s: a %s %s already exists", step.ID, o.kind, o.name), o.name)
			}
		}
	}
	return nil
}

// resource is something that a run creates on a daemon.
type resource struct{ kind, name string }

// public returns what the container of a step needs that has its name in the file on the daemon, see [objectNames].
func (e *Executor) public(step task.Step) (all []resource) {
	if !task.StartsContainer(step.Action) {
		return nil
	}
	all = append(all, resource{"container", step.ID})
	for _, n := range e.File.Networks {
		if n.Name == step.Network && !n.External {
			all = append(all, resource{"network", n.Name})
		}
	}
	for _, m := range step.Mounts {
		all = append(all, resource{"volume", m.Volume})
	}
	return slices.DeleteFunc(all, func(o resource) bool { return e.objects.of(o.name) != o.name })
}

// needsDaemon reports whether this package uses a daemon for an action.
func needsDaemon(action task.Action) bool {
	switch action.(type) {
	case task.Build, task.Push:
		return true
	}
	return task.StartsContainer(action)
}

// Run performs the action of a step.
func (e *Executor) Run(ctx context.Context, step task.Step, out Output, started func()) (int, error) {
	switch action := step.Action.(type) {
	case task.Container:
		return e.container(ctx, step, action, out, started)
	case task.Build: // never detached, as a push is not: later steps need the image
		return e.build(ctx, step, action, out)
	case task.Push:
		if err := e.push(ctx, step, action, out); err != nil {
			return 1, err // as docker push
		}
		return 0, nil
	case task.Docker:
		started()
		return e.docker(ctx, step, action, nil, out)
	case task.Plugin:
		started()
		return e.plugin(ctx, step, action, out)
	case task.Script:
		return e.runScript(ctx, step, action, out, started)
	}
	return -1, fmt.Errorf("step %s: unknown action %T", step.ID, step.Action)
}

// lateGrace is how long a daemon may take to create what a docker command asked for before it was killed.
const lateGrace = 200 * time.Millisecond

// Close removes everything that the run created on daemons and on this machine.
func (e *Executor) Close(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	clean := func() error { return e.removeObjects(ctx) }
	return errors.Join(clean(), e.workspace.Close(ctx, clean))
}

// removeObjects removes everything that the run created on daemons.
func (e *Executor) removeObjects(ctx context.Context) (err error) {
	errs := make(chan error, len(e.daemons))
	for d := range e.daemons {
		go func() { // one that does not answer delays no other
			err := d.Remove(ctx, processLabel, e.process)
			if e.killed.Load() && pause.For(ctx, lateGrace) == nil {
				err = d.Remove(ctx, processLabel, e.process)
			}
			errs <- err
		}()
	}
	for range e.daemons {
		err = errors.Join(err, <-errs)
	}
	return err
}

func (e *Executor) labels() map[string]string {
	return map[string]string{Label: e.ID, processLabel: e.process}
}

func (e *Executor) name(thing string) string { return Name(e.ID, thing) }

// conflict explains an error for a name that is already in use on the daemon.
func (e *Executor) conflict(err error) error {
	if !errdefs.IsConflict(err) {
		return err
	}
	return manifest.WithHint(fmt.Errorf("%w; a run with the ID %s is in progress there, or was killed", err, e.ID),
		"wait for it, use another --id, or remove what it left: %s", Removal(e.ID, filepath.Dir(e.Folder)))
}

// Name returns the name on daemons of something that a run creates: a step's container, a network, a volume.
func Name(id, thing string) string { return "multiarch-" + id + "-" + thing }

// objectNames gives names on daemons to what is in the file: that of [Name]. If a docker command of the file has the thing's
// name as a word, as 'docker logs web' has, the name is that, as in ACR Tasks.
type objectNames struct {
	id    string
	words map[string]bool // of docker commands
}

func newObjectNames(f task.File, id string) objectNames {
	n := objectNames{id, map[string]bool{}}
	for _, step := range f.Steps {
		switch step.Action.(type) {
		case task.Docker, task.Script:
		default:
			continue
		}
		words := strings.FieldsFunc(strings.Join(task.Commands(step.Action), " "), func(c rune) bool {
			return !strings.ContainsRune("_.-", c) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
		})
		if slices.Contains(words, "docker") {
			for _, word := range words {
				n.words[word] = true
			}
		}
	}
	return n
}

func (n objectNames) of(thing string) string {
	if n.words[thing] {
		return thing
	}
	return Name(n.id, thing)
}

// explainConflict adds a hint to err if the name of something in the file is in use on the daemon.
func (e *Executor) explainConflict(err error, thing string) error {
	if !errdefs.IsConflict(err) || e.objects.of(thing) != thing {
		return e.conflict(err)
	}
	return manifest.WithHint(err, "a docker command of the file uses the name %s: remove the object of that name from the daemon, or change the name in the file", thing)
}

// SharedVolume is the volume of the workspace, see [Name]. In a step, this name is replaced by that of the volume on the
// daemon of the step, which may be another.
const SharedVolume = "workspace.1"

// daemon returns the daemon of a docker context.
func (e *Executor) daemon(dockerContext string) (*usedDaemon, error) {
	d, err := e.Daemon(dockerContext)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.daemons[d] == nil {
		e.daemons[d] = &usedDaemon{Daemon: d, context: dockerContext}
	}
	return e.daemons[d], nil
}

// container runs an image, which is pulled if the daemon does not have it.
func (e *Executor) container(ctx context.Context, step task.Step, action task.Container, out Output, started func()) (int, error) {
	d, err := e.daemon(step.Context)
	if err != nil {
		return -1, err
	}
	step.Pull = step.Pull || action.Flags.Pull
	volumes := make(chan error, 1)
	go func() { volumes <- cmp.Or(e.claim(ctx, d), e.conflict(e.workspace.Link(ctx, d.context, d))) }()
	c, err := e.prepare(ctx, d, step, action)
	if err = cmp.Or(err, <-volumes); err == nil {
		err = e.addLogins(&c, step, out)
	}
	if err != nil {
		return -1, err
	}
	if step.Pull {
		if err := pull(ctx, d, step, c, out); err != nil {
			return -1, err
		}
	}
	begun := false
	begin := func() { begun = true; started() }
	code, volume, err := e.runContainer(ctx, d, c, out, begin)
	if errdefs.IsNotFound(err) && !step.Pull && !action.Flags.NeverPull {
		if err := pull(ctx, d, step, c, out); err != nil {
			return -1, err
		}
		code, volume, err = e.runContainer(ctx, d, c, out, begin)
	}
	if err != nil && !begun && volume != "" && !errdefs.IsNotFound(err) && e.workspace.Replace(ctx, d.context, volume) {
		code, _, err = e.runContainer(ctx, d, c, out, begin)
	}
	if step.Detach && (code == killed || code == terminated) && e.objects.of(step.ID) == step.ID {
		code = 0 // a docker command of the file has stopped it
	}
	return code, cmp.Or(e.explainConflict(err, step.ID), exited(code))
}

// The exit codes of containers that docker stop, kill and rm end.
const killed, terminated = 128 + 9, 128 + 15

// runContainer runs a container with the workspace. It also returns the volume of that, which the daemon may be unable to
// mount unless the container has started.
func (e *Executor) runContainer(ctx context.Context, d *usedDaemon, c Container, out Output, started func()) (code int, volume string, err error) {
	volume, release, err := e.workspace.Volume(ctx, d.context, d)
	if err != nil {
		return -1, "", e.conflict(err)
	}
	defer release()
	c.Mounts = slices.Concat([]Mount{{Source: volume, Target: shell.Workspace}}, c.Mounts)
	for i, m := range c.Mounts {
		c.Mounts[i].Source = strings.ReplaceAll(m.Source, e.name(SharedVolume), volume)
	}
	code, err = d.Run(ctx, c, out, started)
	return code, volume, err
}

// prepare creates the networks and volumes of the file that a container needs, and returns it without its workspace.
func (e *Executor) prepare(ctx context.Context, d *usedDaemon, step task.Step, action task.Container) (Container, error) {
	c := Container{
		Name: e.objects.of(step.ID), Image: action.Image, Args: action.Args, Env: step.Env, User: step.User,
		Alias: step.ID, Isolation: step.Isolation, CPUs: step.CPUs, Privileged: step.Privileged,
		Expose: step.Expose, Ports: step.Ports, Keep: step.Keep || e.isLast(step), Kill: step.Detach, Labels: e.labels(),
	}
	if step.EntryPoint != "" {
		c.Entrypoint = []string{step.EntryPoint}
	}
	if !step.NoDir {
		c.Dir = containerDir(step)
	}
	if err := e.runFlags(ctx, &c, action.Flags); err != nil {
		return c, err
	}
	e.mu.Lock()
	e.attempts[step.ID]++
	if n := e.attempts[step.ID]; n > 1 && step.Keep {
		c.Name += fmt.Sprintf("-%d", n)
	}
	e.mu.Unlock()
	var err error
	if c.Network, err = e.network(ctx, d, cmp.Or(action.Flags.Network, step.Network)); err != nil {
		return c, err
	}
	for _, m := range slices.Concat(step.Mounts, action.Flags.Mounts) {
		source := m.Volume
		switch source {
		case e.name(SharedVolume):
		case task.DockerSocket:
			source, err = d.Socket(ctx)
		default:
			source, err = e.volume(ctx, d, m.Volume)
		}
		if err != nil {
			return c, err
		}
		c.Mounts = append(c.Mounts, Mount{Source: source, Target: m.Path})
	}
	e.addHome(&c)
	return c, nil
}

// isLast reports whether a step is the last one of the file and runs a single container. Nothing waits for the removal of
// that, which is left to Close: it removes the network meanwhile.
func (e *Executor) isLast(step task.Step) bool {
	_, container := step.Action.(task.Container)
	at := slices.IndexFunc(e.File.Steps, func(s task.Step) bool { return s.ID == step.ID })
	return container && at == len(e.File.Steps)-1 && step.Retries+step.Repeat == 0
}

// runFlags adds flags of docker run to a container.
func (e *Executor) runFlags(ctx context.Context, c *Container, f task.RunFlags) error {
	var variables []string
	for _, name := range f.EnvFiles {
		lines, err := e.envFile(ctx, name)
		if err != nil {
			return err
		}
		variables = append(variables, lines...)
	}
	for _, variable := range append(variables, f.Env...) {
		name, _, given := strings.Cut(variable, "=")
		if given { // otherwise it is that of the step, if it has one
			c.Env = append(slices.DeleteFunc(slices.Clone(c.Env), func(kv string) bool { return strings.HasPrefix(kv, name+"=") }), variable)
		}
	}
	c.Ports = slices.Concat(c.Ports, f.Ports)
	for _, label := range f.Labels {
		name, value, _ := strings.Cut(label, "=")
		if _, own := c.Labels[name]; !own { // by those of the run it is removed
			c.Labels[name] = value
		}
	}
	c.Memory, c.Platform, c.Init, c.Hosts = f.Memory, f.Platform, f.Init, f.Hosts
	c.Privileged = c.Privileged || f.Privileged
	c.User, c.Dir, c.Name = cmp.Or(f.User, c.User), cmp.Or(f.Dir, c.Dir), cmp.Or(f.Name, c.Name)
	if f.EntryPoint != "" {
		c.Entrypoint = []string{f.EntryPoint}
	}
	return nil
}

// envFile returns the variables in a file of the workspace, KEY=VALUE.
func (e *Executor) envFile(ctx context.Context, name string) (variables []string, err error) {
	dir, release, err := e.workspace.Host(ctx, workspace.Reads)
	if err != nil {
		return nil, err
	}
	defer release()
	content, err := Source{Dir: dir}.ReadInside(ctx, strings.TrimPrefix(path.Clean(name), shell.Workspace+"/"))
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); strings.Contains(line, "=") && !strings.HasPrefix(line, "#") {
			variables = append(variables, line)
		}
	}
	return variables, err
}

// containerDir returns the working directory of a step's container, which is in the workspace.
func containerDir(step task.Step) string { return path.Join(shell.Workspace, path.Clean("/"+step.Dir)) }

// network returns the name on the daemon of a network of the file, and creates it when it is first needed.
func (e *Executor) network(ctx context.Context, d *usedDaemon, name string) (string, error) {
	i := slices.IndexFunc(e.File.Networks, func(n task.Network) bool { return n.Name == name })
	if i < 0 || e.File.Networks[i].External {
		return name, nil
	}
	return d.created.Do(ctx, "network "+name, func() (string, error) {
		full := e.objects.of(name)
		return full, e.explainConflict(d.CreateNetwork(ctx, e.File.Networks[i], full, e.labels()), name)
	})
}

// volume returns the name on the daemon of a volume of the file, and creates and fills it when it is first needed.
func (e *Executor) volume(ctx context.Context, d *usedDaemon, name string) (string, error) {
	i := slices.IndexFunc(e.File.Volumes, func(v task.Volume) bool { return v.Name == name })
	if i < 0 {
		return "", manifest.Errorf(errdefs.ErrNotFound, "the file has no volume %s", name) // task.Parse checks volumeMounts
	}
	return d.created.Do(ctx, "volume "+name, func() (string, error) {
		full := e.objects.of(name)
		if err := d.CreateVolume(ctx, full, e.labels()); err != nil {
			return "", e.explainConflict(err, name)
		}
		if len(e.File.Volumes[i].Files) == 0 {
			return full, nil
		}
		return full, d.Send(ctx, full, secretFiles(e.File.Volumes[i].Files))
	})
}

// pull pulls the image of a container, with the step's retries.
func pull(ctx context.Context, d *usedDaemon, step task.Step, c Container, out Output) error {
	for retry := 0; ; retry++ {
		err := d.Pull(ctx, c.Image, c.Platform, out.Stderr)
		if err == nil || retry == step.PullRetries || permanent(err) {
			return err
		}
		if err := pause.For(ctx, step.PullRetryDelay); err != nil {
			return err
		}
	}
}

// permanent reports whether a retry cannot change an error.
func permanent(err error) bool {
	return errdefs.IsCanceled(err) || errdefs.IsDeadlineExceeded(err) || errdefs.IsInvalidArgument(err) ||
		errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err) || errdefs.IsNotFound(err)
}
