package commands

import (
	"fmt"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// newRepoCommand returns the commands on what a registry has, apart from the lists that are pushed to it.
func newRepoCommand(dockerCLI command.Cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo COMMAND",
		Short: "Look into repositories of a registry, and tidy them up",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, _ = fmt.Fprint(dockerCLI.Err(), "\n"+cmd.UsageString())
			return nil
		},
	}
	cmd.AddCommand(
		newRepoLsCommand(dockerCLI),
		newRepoTagsCommand(dockerCLI),
		newRepoManifestsCommand(dockerCLI),
		newRepoShowCommand(dockerCLI),
		newRepoUntagCommand(dockerCLI),
		newRepoRmCommand(dockerCLI),
		newRepoPurgeCommand(dockerCLI),
		newRepoRestoreCommand(dockerCLI),
	)
	return cmd
}
