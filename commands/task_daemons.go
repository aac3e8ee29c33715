package commands

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/cli/cli/streams"
	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/credentials"
	"github.com/docker-multiarch/docker-multiarch/daemon"
	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// daemons are the daemons of the docker contexts that a task's steps name, and the programs that run on this machine
// for them. "" is the docker context of the command itself.
type daemons struct {
	env    environment
	logins logins
	config *runConfig
	pushed pushedImages
	known  sync.Map // of stepDaemon, by address
}

var (
	_ run.Daemon   = stepDaemon{}
	_ run.Programs = (*daemons)(nil)
)

// newDaemons returns the daemons of docker contexts for a run with an ID, whose files are in a folder. When it ends, its
// builders and its folder must be removed.
func newDaemons(t tools, id, files string) (*daemons, error) {
	user := func() *configfile.ConfigFile { return config.LoadDefaultConfigFile(io.Discard) } // which may change meanwhile
	if t.env.listsDir != "" {
		user = t.env.ConfigFile // of the run that this one is a step of
	}
	own, err := newRunConfig(id, files, user)
	if own == nil {
		return nil, err
	}
	if err != nil {
		t.reporter.Warn("%s", oneLine(err))
	}
	t.logins.stored = credentials.New(user)
	return &daemons{env: t.env, logins: t.logins, config: own}, nil
}

// removeBuilders removes the builders that docker commands created.
func (d *daemons) removeBuilders(ctx context.Context) error {
	builders, _ := filepath.Glob(filepath.Join(d.config.dir, "buildx", "instances", "*"))
	var errs []error
	for _, builder := range builders {
		cmd, err := d.Docker(ctx, "", nil, "buildx", "rm", filepath.Base(builder))
		if err == nil {
			var out []byte
			if out, err = cmd.CombinedOutput(); err != nil {
				err = fmt.Errorf("removing builder %s: %w: %s", filepath.Base(builder), err, manifest.OneLine(string(out), maxReason))
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Daemon returns the daemon of a docker context, which is not connected to yet. Docker contexts with the same address
// are the same daemon, so that a network, for example, is created once.
func (d *daemons) Daemon(dockerContext string) (run.Daemon, error) {
	name := d.Builder(dockerContext)
	quiet := d.quietCLI(name)
	host, err := daemon.Host(quiet)
	if err != nil {
		return nil, manifest.WithHint(invalid("docker context %s: %w", name, err), "list the existing ones: docker context ls")
	}
	known, _ := d.known.LoadOrStore(host, stepDaemon{daemon.New(daemon.FromCLI(quiet), d.header), &d.pushed})
	return known.(stepDaemon), nil
}

// cli returns the docker CLI for a docker context.
func (d *daemons) cli(name string, out run.Output) stepCLI {
	return stepCLI{Cli: d.env.Cli, context: name, config: d.config, out: streams.NewOut(out.Stdout), err: streams.NewOut(out.Stderr)}
}

// quietCLI returns the docker CLI for a docker context, without output.
func (d *daemons) quietCLI(name string) stepCLI {
	return d.cli(name, run.Output{Stdout: io.Discard, Stderr: io.Discard})
}

// header returns the X-Registry-Auth header for actions on a repository, with the current logins: an earlier step may
// have logged in.
func (d *daemons) header(ctx context.Context, host, repository string, actions []string) (string, error) {
	now := d.logins
	now.stored = credentials.New(d.config.current)
	return now.header(ctx, host, repository, actions)
}

// stepDaemon is a daemon whose pushes write their progress to the output of a step, which has no terminal.
type stepDaemon struct {
	*daemon.Daemon
	pushed *pushedImages
}

// Push pushes an image to its registry and writes the progress to out.
func (d stepDaemon) Push(ctx context.Context, name reference.NamedTagged, out io.Writer) (digest.Digest, error) {
	progress := display.NewProgress(streams.NewOut(out), display.ProgressPlain)
	defer progress.Close()
	pushed, err := d.Daemon.Push(ctx, name, nil, progress)
	if err == nil {
		d.pushed.addDigest(name.String(), pushed)
	}
	return pushed, err
}

// Builder returns the name of the builder of a docker context, which is that of the docker context.
func (d *daemons) Builder(dockerContext string) string {
	return cmp.Or(dockerContext, d.env.CurrentContext())
}

// Plugin runs a command of this plugin in this process.
func (d *daemons) Plugin(ctx context.Context, dockerContext string, workspace *os.Root, dir string, args []string, out run.Output) int {
	own := d.cli(d.Builder(dockerContext), out)
	return runEmbedded(ctx, environment{Cli: own, listsDir: filepath.Join(d.config.dir, "manifests"), step: workspaceFiles{workspace, dir}, pushed: d.pushed.add}, args)
}

// maxReason is the maximum length of what docker prints in an error.
const maxReason = 300

// killGrace is how long the docker command has to exit when the run is stopped.
const killGrace = time.Second

// Docker returns the docker command for the daemon of a docker context, with the user's logins for registries. It is
// terminated when ctx ends.
func (d *daemons) Docker(ctx context.Context, dockerContext string, registries []string, args ...string) (*exec.Cmd, error) {
	if err := d.config.addLogins(ctx, d.logins, registries); err != nil {
		return nil, err
	}
	program := cmp.Or(os.Getenv(metadata.ReexecEnvvar), "docker")
	if filepath.Base(program) != program { // otherwise it is in PATH, and is not in the working directory
		program = absolute(program)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(d.environment(d.Builder(dockerContext)), "BUILDX_CONFIG="+d.buildxConfig(args))
	cmd.Cancel = func() error {
		if cmd.Process.Signal(syscall.SIGTERM) != nil { // not supported on Windows
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = killGrace
	return cmd, nil
}

// absolute returns the absolute path of a file of the user for docker commands, whose working directory is in the workspace.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return filepath.Join(os.DevNull, path) // which does not exist
}

// buildxConfig returns the folder of buildx for a docker command: that of the run or, for a build with a builder of the
// user's, that of the user.
func (d *daemons) buildxConfig(args []string) string {
	own := filepath.Join(d.config.dir, "buildx")
	at := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--builder") })
	if at < 0 || !run.IsBuild(args) {
		return own
	}
	_, name, given := strings.Cut(args[at], "=")
	if !given && at+1 < len(args) {
		name = args[at+1]
	}
	users := absolute(cmp.Or(os.Getenv("BUILDX_CONFIG"), filepath.Join(config.Dir(), "buildx")))
	if _, err := os.Stat(filepath.Join(users, "instances", filepath.Base(name))); err != nil || name == "" {
		return own
	}
	return users
}

// environment returns the environment of a docker command: with the daemon of a docker context and the user's settings.
func (d *daemons) environment(dockerContext string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return !run.Inherited(kv) })
	for i, kv := range env {
		env[i] = run.Absolute(kv, absolute)
	}
	env = append(env, "DOCKER_CONFIG="+d.config.dir)
	if certs := os.Getenv("DOCKER_CERT_PATH"); certs != "" || os.Getenv("DOCKER_TLS_VERIFY")+os.Getenv("DOCKER_TLS") != "" {
		env = append(env, "DOCKER_CERT_PATH="+absolute(cmp.Or(certs, config.Dir())))
	}
	if dockerContext != command.DefaultContextName {
		return append(env, "DOCKER_CONTEXT="+dockerContext)
	}
	host, err := daemon.Host(d.quietCLI(dockerContext))
	if err != nil || host == "" {
		return append(env, "DOCKER_CONTEXT="+dockerContext) // overrides config.json
	}
	return append(env, "DOCKER_HOST="+host)
}

// stepLogins returns a function that returns the config.json of a step's container, with the user's logins for the registries
// that the step has, and the secrets in these files.
func (d *daemons) stepLogins(ctx context.Context, steps []task.Step) (configOf func(registries []string) ([]byte, error), secrets []string, err error) {
	found := map[string]types.AuthConfig{}
	for _, step := range steps {
		for _, registry := range step.Logins {
			auth, err := d.logins.stored.Lookup(ctx, registry, "", nil)
			if err != nil {
				return nil, nil, err
			}
			if auth.Username+auth.IdentityToken+auth.RegistryToken == "" {
				err := manifest.Errorf(errdefs.ErrNotFound, "step %s needs your login of %s, and there is none", step.ID, registry)
				return nil, nil, manifest.WithHint(err, "log in: docker login %s", registry)
			}
			found[credentials.ConfigKey(registry)] = auth
		}
	}
	configOf = func(registries []string) ([]byte, error) {
		file := configfile.New("")
		for _, registry := range registries {
			key := credentials.ConfigKey(registry)
			file.AuthConfigs[key] = found[key]
		}
		var content bytes.Buffer
		err := file.SaveToWriter(&content)
		return content.Bytes(), err
	}
	for _, auth := range found {
		encoded := base64.StdEncoding.EncodeToString([]byte(auth.Username + ":" + auth.Password)) // as config.json has it
		secrets = append(secrets, auth.Password, auth.IdentityToken, auth.RegistryToken, encoded)
	}
	return configOf, secrets, nil
}

// stepCLI is the docker CLI of a command that a step of a task runs, with the step's streams and docker context.
type stepCLI struct {
	command.Cli
	out, err *streams.Out
	context  string
	config   *runConfig
}

func (s stepCLI) In() *streams.In        { return streams.NewIn(io.NopCloser(strings.NewReader(""))) }
func (s stepCLI) Out() *streams.Out      { return s.out }
func (s stepCLI) Err() *streams.Out      { return s.err }
func (s stepCLI) CurrentContext() string { return s.context }

// ConfigFile returns the current configuration: an earlier step may have logged in.
func (s stepCLI) ConfigFile() *configfile.ConfigFile { return s.config.current() }

// ContextStore returns the docker contexts of the run. The default one is not in a store.
func (s stepCLI) ContextStore() store.Store {
	if s.context == command.DefaultContextName {
		return s.Cli.ContextStore()
	}
	return store.New(filepath.Join(s.config.dir, "contexts"), command.DefaultContextStoreConfig())
}

// runEmbedded runs a command of this plugin in this process, reports an error on the command's standard error, and returns
// its exit code.
func runEmbedded(ctx context.Context, env environment, args []string) int {
	env.args = args
	plugin := newRootCommand(env)
	plugin.PersistentPreRunE = nil // signals and streams are those of the run
	docker := &cobra.Command{Use: "docker", SilenceUsage: true, SilenceErrors: true, TraverseChildren: true}
	docker.SetFlagErrorFunc(cli.FlagErrorFunc)
	docker.SetIn(env.In())
	docker.SetOut(env.Cli.Out())
	docker.SetErr(env.Err())
	docker.AddCommand(plugin)
	docker.SetArgs(append([]string{Name}, args...))
	return Report(env.Err(), docker.ExecuteContext(ctx))
}
