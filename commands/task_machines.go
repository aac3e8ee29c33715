package commands

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/credentials"
	"github.com/docker-multiarch/docker-multiarch/daemon"
	"github.com/docker-multiarch/docker-multiarch/task/run"
	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/streams"
	"github.com/opencontainers/go-digest"
)

// machines are the daemons of the docker contexts that a task's steps name, and what runs on this machine for
// them. "" is the docker context that the command runs with.
type machines struct {
	tools
	lists string // the folder of the run's local lists

	mu    sync.Mutex
	known map[string]*machine // by address
}

// machine is the daemon of a docker context.
type machine struct {
	*daemon.Daemon
	cli    command.Cli
	header func(ctx context.Context, host string) (string, error)
}

var (
	_ run.Machine  = (*machine)(nil)
	_ run.Programs = (*machines)(nil)
)

// newMachines returns the daemons of docker contexts; local lists of the steps are kept in a folder.
func newMachines(t tools, lists string) *machines {
	return &machines{tools: t, lists: lists, known: map[string]*machine{}}
}

// named returns the name of a docker context.
func (m *machines) named(dockerContext string) string {
	if dockerContext == "" {
		return m.env.CurrentContext()
	}
	return dockerContext
}

// Machine returns the daemon of a docker context. Nothing is asked of it yet. Docker contexts of one address are
// one daemon: a network, say, is made there once.
func (m *machines) Machine(dockerContext string) (run.Machine, error) {
	name := m.named(dockerContext)
	own := m.quiet(name)
	host, err := daemon.Host(own)
	if err != nil {
		return nil, invalid("docker context %s: %w; 'docker context ls' shows those that are there", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[host] == nil {
		header := m.headerOf(own)
		m.known[host] = &machine{daemon.New(daemon.FromCLI(own), header, nil), own, header}
	}
	return m.known[host], nil
}

// quiet returns the docker CLI for a docker context of which nothing is printed.
func (m *machines) quiet(name string) stepCLI {
	return newStepCLI(m.env.Cli, name, run.Output{Stdout: io.Discard, Stderr: io.Discard})
}

// headerOf returns what a daemon is sent for a registry, with the logins that there are then: a step may have
// logged in.
func (m *machines) headerOf(own stepCLI) func(ctx context.Context, host string) (string, error) {
	return func(ctx context.Context, host string) (string, error) {
		now := m.tools
		now.logins = &logins{stored: credentials.New(own.ConfigFile), warned: m.logins.warned}
		return now.header(ctx, host)
	}
}

// Push sends an image to its registry and draws the progress on out.
func (m *machine) Push(ctx context.Context, name reference.NamedTagged, out io.Writer) (digest.Digest, error) {
	return daemon.New(daemon.FromCLI(m.cli), m.header, streams.NewOut(out)).Push(ctx, name, nil)
}

// Builder returns the name of the builder of a docker context.
func (m *machines) Builder(dockerContext string) string { return m.named(dockerContext) }

// Plugin runs a command of this plugin within this process.
func (m *machines) Plugin(ctx context.Context, dockerContext, dir string, args []string, out run.Output) int {
	own := newStepCLI(m.env.Cli, m.named(dockerContext), out)
	return runEmbedded(ctx, environment{Cli: own, listsDir: m.lists, dir: dir}, args)
}

// interruptGrace is how long the docker command has to end after an interrupt.
const interruptGrace = 10 * time.Second

// Docker returns the docker command for the daemon of a docker context. When ctx ends it is interrupted.
func (m *machines) Docker(ctx context.Context, dockerContext string, args ...string) *exec.Cmd {
	program := os.Getenv(metadata.ReexecEnvvar)
	if program == "" {
		program = "docker"
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = m.environment(m.named(dockerContext))
	cmd.Cancel = func() error {
		if cmd.Process.Signal(os.Interrupt) != nil { // as on Windows
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = interruptGrace
	return cmd
}

// environment returns this process's environment for the docker command: with the daemon of a docker context,
// and without what the docker command has told this plugin alone.
func (m *machines) environment(dockerContext string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name != "DOCKER_HOST" && name != "DOCKER_CONTEXT" && name != "DOCKER_CONFIG" && !strings.HasPrefix(name, "DOCKER_CLI_PLUGIN_") {
			env = append(env, kv)
		}
	}
	env = append(env, "DOCKER_CONFIG="+config.Dir())
	if dockerContext != command.DefaultContextName {
		return append(env, "DOCKER_CONTEXT="+dockerContext)
	}
	host, err := daemon.Host(m.quiet(dockerContext))
	if err != nil || host == "" {
		return append(env, "DOCKER_CONTEXT="+dockerContext) // not that of config.json
	}
	return append(env, "DOCKER_HOST="+host)
}
