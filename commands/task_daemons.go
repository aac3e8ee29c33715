package commands

import (
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/streams"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/credentials"
	"github.com/docker-multiarch/docker-multiarch/daemon"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// daemons are the daemons of the docker contexts that a task's steps name, and the programs that run on this machine
// for them. "" is the docker context of the command itself.
type daemons struct {
	env      environment
	logins   logins
	listsDir string // the folder of the run's local lists

	mu    sync.Mutex
	known map[string]stepDaemon // by address
}

var (
	_ run.Daemon   = stepDaemon{}
	_ run.Programs = (*daemons)(nil)
)

// newDaemons returns the daemons of docker contexts; local lists of the steps are kept in a folder.
func newDaemons(t tools, listsDir string) *daemons {
	return &daemons{env: t.env, logins: t.logins, listsDir: listsDir, known: map[string]stepDaemon{}}
}

// contextName returns the name of a docker context.
func (d *daemons) contextName(dockerContext string) string {
	if dockerContext == "" {
		return d.env.CurrentContext()
	}
	return dockerContext
}

// Daemon returns the daemon of a docker context, which is not connected to yet. Docker contexts with the same address
// are the same daemon, so that a network, for example, is created once.
func (d *daemons) Daemon(dockerContext string) (run.Daemon, error) {
	name := d.contextName(dockerContext)
	quiet := d.quietCLI(name)
	host, err := daemon.Host(quiet)
	if err != nil {
		return nil, manifest.WithHint(invalid("docker context %s: %w", name, err), "list the existing ones: docker context ls")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.known[host]
	if !ok {
		known = stepDaemon{daemon.New(daemon.FromCLI(quiet), d.header)}
		d.known[host] = known
	}
	return known, nil
}

// quietCLI returns the docker CLI for a docker context, without output.
func (d *daemons) quietCLI(name string) stepCLI {
	return newStepCLI(d.env.Cli, name, run.Output{Stdout: io.Discard, Stderr: io.Discard})
}

// header returns the X-Registry-Auth header for actions on a repository, with the current logins: an earlier step may
// have logged in.
func (d *daemons) header(ctx context.Context, host, repository string, actions []string) (string, error) {
	now := d.logins
	now.stored = credentials.New(currentConfig)
	return now.header(ctx, host, repository, actions)
}

// stepDaemon is a daemon whose pushes write their progress to the output of a step.
type stepDaemon struct{ *daemon.Daemon }

// Push pushes an image to its registry and draws the progress on out.
func (d stepDaemon) Push(ctx context.Context, name reference.NamedTagged, out io.Writer) (digest.Digest, error) {
	return d.Daemon.Push(ctx, name, nil, daemon.NewProgress(streams.NewOut(out)))
}

// Builder returns the name of the builder of a docker context.
func (d *daemons) Builder(dockerContext string) string { return d.contextName(dockerContext) }

// Plugin runs a command of this plugin in this process.
func (d *daemons) Plugin(ctx context.Context, dockerContext, dir string, args []string, out run.Output) int {
	own := newStepCLI(d.env.Cli, d.contextName(dockerContext), out)
	return runEmbedded(ctx, environment{Cli: own, listsDir: d.listsDir, dir: dir}, args)
}

// interruptGrace is how long the docker command has to exit after an interrupt.
const interruptGrace = 10 * time.Second

// Docker returns the docker command for the daemon of a docker context. It is interrupted when ctx ends.
func (d *daemons) Docker(ctx context.Context, dockerContext string, args ...string) *exec.Cmd {
	program := os.Getenv(metadata.ReexecEnvvar)
	if program == "" {
		program = "docker"
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = d.environment(d.contextName(dockerContext))
	cmd.Cancel = func() error {
		if cmd.Process.Signal(os.Interrupt) != nil { // not supported on Windows
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = interruptGrace
	return cmd
}

// environment returns the environment of a docker command: with the daemon of a docker context and the user's settings.
func (d *daemons) environment(dockerContext string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return !run.Inherited(kv) })
	env = append(env, "DOCKER_CONFIG="+config.Dir())
	if dockerContext != command.DefaultContextName {
		return append(env, "DOCKER_CONTEXT="+dockerContext)
	}
	host, err := daemon.Host(d.quietCLI(dockerContext))
	if err != nil || host == "" {
		return append(env, "DOCKER_CONTEXT="+dockerContext) // overrides config.json
	}
	return append(env, "DOCKER_HOST="+host)
}
