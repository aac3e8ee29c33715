package commands

import (
	"io"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// newTaskCommand returns the commands on task files.
func newTaskCommand(dockerCLI command.Cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "task COMMAND",
		Short: "Build, push and run in several steps, from a file in the format of ACR Tasks",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, _ = io.WriteString(dockerCLI.Err(), "\n"+cmd.UsageString()+"\n")
			return nil
		},
	}
	cmd.AddCommand(
		newTaskRunCommand(dockerCLI),
		newTaskRenderCommand(dockerCLI),
		newTaskValidateCommand(dockerCLI),
		newTaskGraphCommand(dockerCLI),
	)
	return cmd
}
