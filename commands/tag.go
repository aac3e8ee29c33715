package commands

import (
	"context"
	"fmt"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/transfer"
)

type tagOptions struct {
	source  string
	targets []string
	remote  bool
	network network
}

func newTagCommand(env environment) *cobra.Command {
	var opts tagOptions
	cmd := &cobra.Command{
		Use:   "tag [OPTIONS] SOURCE TARGET [TARGET...]",
		Short: "Give a local manifest list, a local image or what a registry has more names",
		Long: "Give a local manifest list or a local image more names.\n" +
			"A local list is copied; a name that is no local list is a local image, tagged in the daemon.\n" +
			"With --remote the registry of SOURCE gives what it has under that name the names TARGET, with all its\n" +
			"platforms; no layer moves, and tags that name something else are moved.",
		Args: cli.RequiresMinArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.source, opts.targets = args[0], args[1:]
			return runTag(cmd.Context(), env, opts)
		},
		ValidArgsFunction: env.completeListsAndImages,
	}
	flags := cmd.Flags()
	flags.BoolVar(&opts.remote, "remote", false, "Give the names in the registry, and print the digest")
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	return cmd
}

func runTag(ctx context.Context, env environment, opts tagOptions) error {
	name, err := manifest.ParseName(opts.source)
	if err != nil {
		return err
	}
	names, err := parseAll(opts.targets, manifest.ParseListName)
	if err != nil {
		return err
	}
	t := newTools(env, false)
	if !opts.remote {
		return manifest.Tag(ctx, env.lists(), t.daemon, name, names)
	}
	d, err := transfer.TagRemote(ctx, t.access(opts.network), name, names)
	if err == nil {
		_, _ = fmt.Fprintln(env.Out(), d.Digest)
	}
	return err
}
