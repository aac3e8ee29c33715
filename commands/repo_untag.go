package commands

import (
	"context"
	"fmt"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

type repoUntagOptions struct {
	network        network
	viaPlaceholder bool
	record         string
}

func newRepoUntagCommand(env environment) *cobra.Command {
	var opts repoUntagOptions
	cmd := &cobra.Command{
		Use:   "untag [OPTIONS] REPOSITORY:TAG [REPOSITORY:TAG...]",
		Short: "Remove tags from a registry, but not their manifests",
		Long: "Remove tags from a registry, but not the manifests they point to, which other tags may share.\n" +
			"A tag that is listed and whose manifest is gone is removed, too.\n" +
			"Some registries cannot delete a tag on its own. For those, --via-placeholder moves the tag to a\n" +
			"copy of the manifest that has no other tag, and deletes that copy together with the tag.",
		Args: cli.RequiresMinArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoUntag(cmd.Context(), env, opts, args)
		},
		ValidArgsFunction: offer(env.registryNames),
	}
	flags := cmd.Flags()
	flags.BoolVar(&opts.viaPlaceholder, "via-placeholder", false, "If the registry cannot delete a tag on its own, move the tag to a placeholder manifest and delete that")
	flags.StringVar(&opts.record, "record", "", "Append what is removed to this file, for 'repo restore'")
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	return cmd
}

func runRepoUntag(ctx context.Context, env environment, opts repoUntagOptions, args []string) error {
	names, err := parseAll(args, parseTagged)
	if err != nil {
		return err
	}
	return recorded(env, opts.record, func(t tools, record func(...repository.Recorded) error) error {
		removal := repository.Removal{Record: record, Removed: printRemoved(env)}
		return repository.Untag(ctx, t.registries(opts.network), t.reporter, names, opts.viaPlaceholder, removal)
	})
}

// parseTagged parses a name with a tag, which has to be typed to be removed.
func parseTagged(s string) (reference.NamedTagged, error) {
	name, err := manifest.ParseReference(s)
	if err != nil {
		return nil, err
	}
	if _, digested := name.(reference.Digested); digested {
		return nil, manifest.WithHint(invalid("%s is a manifest, not a tag", s), "docker multiarch repo rm %s", s)
	}
	tagged, ok := name.(reference.NamedTagged)
	if !ok {
		return nil, invalid("%s has no tag: expected REPOSITORY:TAG", s)
	}
	return tagged, nil
}

// printRemoved prints each name that was removed, as docker rmi does.
func printRemoved(env environment) func(name reference.Named) {
	return func(name reference.Named) {
		done := "Untagged"
		if _, ok := name.(reference.Digested); ok {
			done = "Deleted"
		}
		_, _ = fmt.Fprintln(env.Out(), done, manifest.Familiar(name))
	}
}
