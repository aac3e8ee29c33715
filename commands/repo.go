package commands

import (
	"fmt"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"
)

// newRepoCommand returns the commands on what a registry has, apart from the lists that are pushed to it.
func newRepoCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo COMMAND",
		Short: "Look into repositories of a registry, and tidy them up",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, _ = fmt.Fprint(env.Err(), "\n"+cmd.UsageString())
			return nil
		},
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
