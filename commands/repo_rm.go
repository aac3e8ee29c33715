package commands

import (
	"context"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

type repoRmOptions struct {
	network          network
	force, recursive bool
}

func newRepoRmCommand(env environment) *cobra.Command {
	var opts repoRmOptions
	cmd := &cobra.Command{
		Use:   "rm [OPTIONS] NAME [NAME...]",
		Short: "Delete manifests and indexes from a registry, with all their tags",
		Long: "Delete manifests and indexes from a registry, with all tags that point to them.\n" +
			"NAME has a tag or a digest. What a remaining index lists is not deleted.",
		Args: cli.RequiresMinArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoRm(cmd.Context(), env, opts, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.BoolVarP(&opts.force, "force", "f", false, "Do not prompt for confirmation")
	flags.BoolVarP(&opts.recursive, "recursive", "r", false, "Also delete the images, attestations and signatures that nothing else needs")
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	return cmd
}

func runRepoRm(ctx context.Context, env environment, opts repoRmOptions, args []string) error {
	names, err := parseAll(args, manifest.ParseName)
	if err != nil {
		return err
	}
	confirmed := func(steps []repository.Step) (bool, error) {
		if opts.force {
			return true, nil
		}
		return confirm(ctx, env, "delete from the registry:\n"+strings.TrimSuffix(display.Removal(steps), "\n"))
	}
	t := newTools(env, false)
	removal := repository.Removal{Confirm: confirmed, Removed: printRemoved(env)}
	return repository.Remove(ctx, t.registries(opts.network), t.reporter, names, opts.recursive, removal)
}
