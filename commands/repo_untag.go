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
}

func newRepoUntagCommand(env environment) *cobra.Command {
	var opts repoUntagOptions
	cmd := &cobra.Command{
		Use:   "untag [OPTIONS] REPOSITORY:TAG [REPOSITORY:TAG...]",
		Short: "Remove tags from a registry, never the manifests they name",
		Long: "Remove tags from a registry, never the manifests they name, which other tags may share.\n" +
			"Some registries do not remove a tag alone. There, --via-placeholder puts a copy of the\n" +
			"manifest that nothing else names under the tag, and deletes that copy with its tag.",
		Args: cli.RequiresMinArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoUntag(cmd.Context(), env, opts, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.BoolVar(&opts.viaPlaceholder, "via-placeholder", false, "Where the registry does not remove a tag alone, delete a manifest made for that")
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	return cmd
}

func runRepoUntag(ctx context.Context, env environment, opts repoUntagOptions, args []string) error {
	names, err := parseAll(args, parseTagged)
	if err != nil {
		return err
	}
	return repository.Untag(ctx, newTools(env, false).access(opts.network), names, opts.viaPlaceholder, printRemoved(env))
}

// parseTagged returns the name of a tag, which nobody removes by leaving it out.
func parseTagged(s string) (reference.NamedTagged, error) {
	name, err := manifest.ParseReference(s)
	if err != nil {
		return nil, err
	}
	if _, digested := name.(reference.Digested); digested {
		return nil, invalid("%s names a manifest, not a tag: 'docker multiarch repo rm' deletes manifests", s)
	}
	tagged, ok := name.(reference.NamedTagged)
	if !ok {
		return nil, invalid("%s names no tag: expected REPOSITORY:TAG", s)
	}
	return tagged, nil
}

// printRemoved prints each name that is gone, as docker rmi does.
func printRemoved(env environment) repository.Removed {
	return func(name reference.Named) {
		done := "Untagged"
		if _, ok := name.(reference.Digested); ok {
			done = "Deleted"
		}
		_, _ = fmt.Fprintln(env.Out(), done, manifest.Familiar(name))
	}
}
