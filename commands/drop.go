package commands

import (
	"context"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

func newDropCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use:   "drop LIST ENTRY [ENTRY...]",
		Short: "Remove entries from a local manifest list",
		Long: "Remove entries from a local manifest list, with their attestations.\n" +
			"An ENTRY is the source of an entry, a platform (linux/arm64, or linux/arm/* for all variants)\n" +
			"or a digest.",
		Args: cli.RequiresMinArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDrop(cmd.Context(), env, args[0], args[1:])
		},
		ValidArgsFunction: then(offer(env.otherListNames), offer(env.entryNames)),
	}
}

func runDrop(ctx context.Context, env environment, list string, entries []string) error {
	name, err := manifest.ParseListName(list)
	if err != nil {
		return err
	}
	return publish.DropLocal(ctx, env.lists(), name, entries)
}
