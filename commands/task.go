package commands

import (
	"io"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"
)

// newTaskCommand returns the commands on task files.
func newTaskCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "task COMMAND",
		Short: "Build, push and run in several steps, from a file in the format of ACR Tasks",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, _ = io.WriteString(env.Err(), "\n"+cmd.UsageString()+"\n")
			return nil
		},
	}
	cmd.AddCommand(
		newTaskRunCommand(env),
		newTaskRenderCommand(env),
		newTaskValidateCommand(env),
		newTaskGraphCommand(env),
	)
	return cmd
}
