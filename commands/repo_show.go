package commands

import (
	"context"
	"errors"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

type repoShowOptions struct {
	format  string
	noTrunc bool
	network network
}

func newRepoShowCommand(env environment) *cobra.Command {
	var opts repoShowOptions
	cmd := &cobra.Command{
		Use:   "show [OPTIONS] NAME",
		Short: "Show a manifest of a repository in full",
		Long: "Show the manifest that a tag or digest points to: an image, an artifact, or an index with everything\n" +
			"below it, and the referrers of any of these, such as signatures. If the registry only lists tags, other\n" +
			"tags of the manifest are not shown: 'repo tags --digest' finds them.\n\n" +
			"With --format json there is one object: the name, the fields of 'repo manifests', and manifests and\n" +
			"referrers with the same fields.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoShow(cmd.Context(), env, opts, args[0])
		},
		ValidArgsFunction: atMost(1, offer(env.registryNames)),
	}
	flags := cmd.Flags()
	addFormat(cmd, &opts.format, `Format output using a custom template ("json" or a Go template)`, "json")
	flags.BoolVar(&opts.noTrunc, "no-trunc", false, "Don't truncate output")
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	return cmd
}

// runRepoShow shows the manifest, and reports what cannot be read below it.
func runRepoShow(ctx context.Context, env environment, opts repoShowOptions, typed string) error {
	name, err := manifest.ParseName(typed)
	if err != nil {
		return err
	}
	t := newTools(env, false)
	shown, err := repository.Show(ctx, t.registries(opts.network), t.reporter, name)
	if shown.Name == "" {
		return err
	}
	err = someUnread("manifests", err)
	if opts.format != "" {
		return errors.Join(env.execute(opts.format, shown), err)
	}
	return errors.Join(display.Shown(env.Out(), shown, opts.noTrunc), err)
}
