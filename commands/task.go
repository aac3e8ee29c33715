package commands

import (
	"github.com/spf13/cobra"
)

// newTaskCommand returns the commands for task files.
func newTaskCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "task COMMAND",
		Short: "Run multi-step build, push and cmd files in the ACR Tasks format",
		Args:  subcommand,
		RunE:  env.usage,
	}
	cmd.AddCommand(
		newTaskRunCommand(env),
		newTaskRenderCommand(env),
		newTaskValidateCommand(env),
		newTaskGraphCommand(env),
	)
	return cmd
}
