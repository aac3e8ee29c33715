package commands

import (
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"
)

// newRepoCommand returns the commands on what a registry has, apart from the lists that are pushed to it.
func newRepoCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo COMMAND",
		Short: "Look into repositories of a registry, and tidy them up",
		Args:  cli.NoArgs,
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
