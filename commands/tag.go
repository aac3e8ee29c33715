package commands

import (
	"context"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

func newTagCommand(dockerCLI command.Cli) *cobra.Command {
	return &cobra.Command{
		Use:   "tag SOURCE TARGET [TARGET...]",
		Short: "Give a local manifest list or a local image more names",
		Long: "Give a local manifest list or a local image more names.\n" +
			"A local list is copied; a name that is no local list is a local image, tagged in the daemon.",
		Args: cli.RequiresMinArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTag(cmd.Context(), dockerCLI, args[0], args[1:])
		},
		ValidArgsFunction: completeListsAndImages(dockerCLI),
	}
}

func runTag(ctx context.Context, dockerCLI command.Cli, source string, targets []string) error {
	name, err := manifest.ParseName(source)
	if err != nil {
		return err
	}
	var names []reference.NamedTagged
	for _, t := range targets {
		n, err := manifest.ParseListName(t)
		if err != nil {
			return err
		}
		names = append(names, n)
	}
	return manifest.Tag(ctx, localLists(), newTools(dockerCLI, false).daemon, name, names)
}
