package commands

import (
	"github.com/spf13/cobra"
)

// newRepoCommand returns the commands that list and clean up repositories of a registry.
func newRepoCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo COMMAND",
		Short: "List and clean up repositories of a registry",
		Args:  subcommand,
		RunE:  env.usage,
	}
	cmd.AddCommand(
		newRepoLsCommand(env),
		newRepoTagsCommand(env),
		newRepoManifestsCommand(env),
		newRepoShowCommand(env),
		newRepoUntagCommand(env),
		newRepoRmCommand(env),
		newRepoPurgeCommand(env),
		newRepoRestoreCommand(env),
	)
	return cmd
}
