package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"

	"github.com/docker-multiarch/docker-multiarch/credentials"
	"github.com/docker-multiarch/docker-multiarch/daemon"
	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/layout"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
	"github.com/docker-multiarch/docker-multiarch/registry"
	"github.com/docker-multiarch/docker-multiarch/repository"
	"github.com/docker-multiarch/docker-multiarch/transfer"
)

// tools are what the operations of a command use. Making them has no effect: the configuration is read, and
// the daemon and registries are connected to, when an operation first needs them.
type tools struct {
	env      environment
	reporter *display.Reporter
	logins   logins
	daemon   images
	progress *display.Progress
	// trace reports requests and logins, nil for not at all.
	trace func(format string, args ...any)
}

// newTools returns the tools. If quiet they show no progress and only warnings.
func newTools(env environment, quiet bool) tools {
	return newToolsShowing(env, quiet, env.progressMode())
}

// newToolsShowing is newTools with a mode of progress.
func newToolsShowing(env environment, quiet bool, mode string) tools {
	debug.SetGCPercent(40) // most of the memory of a large listing is in use; not at the start, where it takes time
	if quiet {
		mode = display.ProgressQuiet
	}
	t := tools{env: env}
	t.progress, t.reporter = env.progress(mode, quiet)
	t.logins = logins{credentials.New(env.ConfigFile), t.reporter, &sync.Map{}}
	if logrus.IsLevelEnabled(logrus.DebugLevel) { // docker --debug
		traces := display.NewReporter(t.progress, false)
		t.trace = func(format string, args ...any) { traces.Note("DEBUG: "+format, args...) }
		t.logins.stored.Trace = func(host, source string) { t.trace("login for %s: %s", host, source) }
	}
	t.daemon = images{daemon.New(daemon.FromCLI(env), t.logins.header), t.progress, &env.shown.layouts}
	return t
}

// clients returns what operations on lists work with.
func (t tools) clients(registries *registry.Client) publish.Clients {
	return publish.Clients{
		Registry: registries, Images: t.daemon, Names: t.daemon.List, Reporter: t.reporter, Context: t.context(),
		Mirror: func(ctx context.Context, from reference.Canonical, to reference.Named) error {
			_, err := transfer.Import(ctx, registries, t.reporter, transfer.Request{Source: from, Target: to})
			return err
		},
	}
}

// context returns a function that returns the daemon of a docker context, which is connected to once.
func (t tools) context() func(string) (manifest.Images, func(context.Context) ([]string, error)) {
	var known sync.Map
	return func(name string) (manifest.Images, func(context.Context) ([]string, error)) {
		found, _ := known.LoadOrStore(name, images{daemon.New(daemon.FromCLI(contextCLI{t.env, name}), t.logins.header), t.progress, t.daemon.layouts})
		return found.(images), found.(images).List
	}
}

// contextCLI is the docker CLI with --context.
type contextCLI struct {
	command.Cli
	name string
}

func (c contextCLI) CurrentContext() string { return c.name }

// images are the daemon's, whose pushes report their progress, and which are saved to archives that the command reads.
type images struct {
	*daemon.Daemon
	progress manifest.Progress
	layouts  *layout.Layouts
}

// Push pushes an image, see [manifest.Images].
func (i images) Push(ctx context.Context, name reference.NamedTagged, platform *ocispec.Platform) (digest.Digest, error) {
	return i.Daemon.Push(ctx, name, platform, i.progress)
}

// Save saves an image, see [manifest.Images].
func (i images) Save(ctx context.Context, image manifest.Local, platform *ocispec.Platform) (reference.NamedTagged, error) {
	archive, err := i.Daemon.Save(ctx, image, platform)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	return i.layouts.Spool(manifest.Familiar(image.Name), archive)
}

// registries returns a client for registries. The progress is shown from then on.
func (t tools) registries(n network) *registry.Client {
	t.progress.Start("the registry")
	return registry.New(t.registryOptions(n))
}

func (t tools) registryOptions(n network) registry.Options {
	o := registry.Options{
		Credentials:  t.logins.credential,
		WithoutLogin: t.logins.withoutLogin,
		Forget:       t.logins.stored.Forget,
		Insecure:     n.insecure,
		InsecureHost: t.daemon.Insecure,
		CertDirs:     certDirs(),
		Jobs:         n.jobs,
		UserAgent:    "docker-multiarch/" + Version + " (" + runtime.GOOS + ")",
		RetryTimeout: cmp.Or(n.retryTimeout, -1), // 0 is the default there
		Progress:     t.progress,
		Warn:         t.reporter.Warn,
		Note:         t.reporter.Note,
		Trace:        t.trace,
	}
	if t.env.step == nil {
		t.env.shown.layouts.Note = t.reporter.Note
		o.Layout = t.env.shown.layouts.Transport
	}
	return o
}

// publish calls push while the files for its result are open, then reports the result, which has names.
func (t tools) publish(ctx context.Context, registries *registry.Client, o output, names []reference.NamedTagged, purgeTags bool, push func() (publish.Pushed, error)) error {
	files, err := o.open(t.env)
	if err != nil {
		return err
	}
	defer files.discard()
	pushed, err := push()
	if pushed.Descriptor.Digest != "" { // also when only the local store failed
		display.Pushed(t.env.Out(), pushed, o.quiet)
		err = errors.Join(err, files.write(pushed.Descriptor, names[0], names[1:]))
	}
	if err != nil {
		return err
	}
	return t.published(ctx, registries, pushed, purgeTags, names)
}

// published ends a push: it removes the tags of the images, or reports the staging tags that remain, and on a terminal what
// was published.
func (t tools) published(ctx context.Context, registries *registry.Client, p publish.Pushed, purgeTags bool, names []reference.NamedTagged) error {
	if purgeTags {
		if err := repository.PurgeTags(ctx, registries, t.reporter, p); err != nil {
			return err
		}
	} else if tags := p.StagingTags(); len(tags) > 0 {
		t.reporter.Note("Staging tags remain in the registry; to remove them: docker multiarch repo untag %s", strings.Join(tags, " "))
	}
	t.lastLine(names[0], p.Descriptor.Digest, p.Platforms, names)
	return nil
}

// lastLine reports what was published, on a terminal.
func (t tools) lastLine(name reference.Named, d digest.Digest, platforms int, names []reference.NamedTagged) {
	if t.env.Err().IsTerminal() {
		t.reporter.Note("%s", display.Published(name, d, platforms, names))
	}
}

// showPlan prints what a dry run of create or push would push: the list, or with quiet only its digest, on
// stdout; its digest and what would be sent on stderr.
func (t tools) showPlan(ctx context.Context, clients publish.Clients, p publish.Publication, quiet bool) error {
	if err := p.List.CheckPush(); err != nil {
		return err
	}
	if err := p.CheckCondition(ctx, clients); err != nil {
		return err
	}
	index, err := p.List.Content()
	if err != nil {
		return err
	}
	t.showIndex(index, quiet)
	t.showSteps(p.Plan())
	return nil
}

func (t tools) showSteps(steps []string) {
	for _, step := range steps {
		t.reporter.Note("Would %s", step)
	}
}

// showIndex prints an index that would be pushed, or with quiet only its digest.
func (t tools) showIndex(index manifest.Content, quiet bool) {
	if !quiet {
		_, _ = fmt.Fprintln(t.env.Out(), string(index.Raw))
	}
	switch _, _, err := manifest.ParseIndex(index.Raw); {
	case err != nil:
		t.reporter.Warn("the digest is not known until the daemon has pushed the pending images")
	case quiet:
		_, _ = fmt.Fprintln(t.env.Out(), index.Descriptor.Digest)
	default:
		t.reporter.Note("Digest: %s", index.Descriptor.Digest)
	}
}

// planPush is showPlan for the name of a local list or, if there is none, of an image in the daemon.
func (t tools) planPush(ctx context.Context, clients publish.Clients, name reference.NamedTagged, p publish.Publication, quiet bool) error {
	list, err := t.env.lists().Get(name)
	if errdefs.IsNotFound(err) {
		steps, err := publish.PlanImage(ctx, clients, name, p, err)
		if err == nil {
			t.showSteps(steps)
		}
		return err
	}
	if err != nil {
		return err
	}
	p.List = list
	defer p.WarnRebuilt(ctx, clients, false)()
	return t.showPlan(ctx, clients, p, quiet)
}

// certDirs are the folders of registry certificates: the daemon's, then the user's.
func certDirs() []string {
	system := "/etc/docker/certs.d"
	if runtime.GOOS == "windows" {
		system = `C:\ProgramData\docker\certs.d`
	}
	return []string{system, filepath.Join(config.Dir(), "certs.d")}
}
