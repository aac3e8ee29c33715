package commands

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/cli/cli/streams"
	"github.com/spf13/cobra"
)

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
