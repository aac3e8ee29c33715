package commands

import (
	"context"
	"io"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/streams"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// stepCLI is the docker CLI of a command that a step of a task runs, with the step's streams and docker context.
type stepCLI struct {
	command.Cli
	out, err *streams.Out
	context  string
}

func (s stepCLI) In() *streams.In        { return streams.NewIn(io.NopCloser(strings.NewReader(""))) }
func (s stepCLI) Out() *streams.Out      { return s.out }
func (s stepCLI) Err() *streams.Out      { return s.err }
func (s stepCLI) CurrentContext() string { return s.context }

// ConfigFile returns the current configuration.
func (s stepCLI) ConfigFile() *configfile.ConfigFile { return currentConfig() }

// currentConfig reads the configuration again: an earlier step may have logged in.
func currentConfig() *configfile.ConfigFile { return config.LoadDefaultConfigFile(io.Discard) }

// newStepCLI returns the docker CLI of a step for a docker context.
func newStepCLI(dockerCLI command.Cli, dockerContext string, out run.Output) stepCLI {
	return stepCLI{Cli: dockerCLI, context: dockerContext, out: streams.NewOut(out.Stdout), err: streams.NewOut(out.Stderr)}
}

// runEmbedded runs a command of this plugin in this process, reports an error on the command's standard error, and returns
// its exit code.
func runEmbedded(ctx context.Context, env environment, args []string) int {
	plugin := newRootCommand(env)
	plugin.PersistentPreRunE = nil // signals and streams are those of the run
	docker := &cobra.Command{Use: "docker", SilenceUsage: true, SilenceErrors: true, TraverseChildren: true}
	docker.SetFlagErrorFunc(cli.FlagErrorFunc)
	docker.SetIn(env.In())
	docker.SetOut(env.Out())
	docker.SetErr(env.Err())
	docker.AddCommand(plugin)
	docker.SetArgs(append([]string{Name}, args...))
	return Report(env.Err(), docker.ExecuteContext(ctx))
}
