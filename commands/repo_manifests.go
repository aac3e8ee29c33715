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

type repoManifestsOptions struct {
	repo string
	listing
}

func newRepoManifestsCommand(env environment) *cobra.Command {
	var opts repoManifestsOptions
	cmd := &cobra.Command{
		Use:   "manifests [OPTIONS] REPOSITORY",
		Short: "List the manifests of a repository",
		Long: "List the manifests of a repository, each once. The images of an index stand under it, attestations\n" +
			"under the image they describe, signatures and other artifacts under what they refer to; --filter,\n" +
			"--orderby and --top are about what stands under nothing.\n\n" +
			"Azure Container Registry and Google's registries list all their manifests. Other registries list tags\n" +
			"alone: what these name, what is below that, and what refers to what they name is shown; other manifests\n" +
			"without a tag cannot be seen. 'repo show' asks for what refers to the images of an index, too.\n\n" +
			"The size is what it takes to download an image: manifest, config and layers; that of an index is all\n" +
			"that is below it, each blob once. The time is when the manifest came into the registry or was last\n" +
			"changed there, where the registry tells that, and else when the image says it was made.\n\n" +
			"With --format json there is an object on each line, with the fields of 'az acr manifest list-metadata'\n" +
			"(digest, tags, mediaType, configMediaType, imageSize, createdTime, lastUpdateTime, os, architecture,\n" +
			"changeableAttributes) and further kind, artifactType, platforms (each with digest and imageSize),\n" +
			"layers, created, children, parents (the indexes that list it), subject, annotations and error.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.repo = args[0]
			return runRepoManifests(cmd.Context(), env, opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	opts.addTo(cmd.Flags(), "Only display digests", ".Digest, .Tags, .Kind, .MediaType, .ArtifactType, .Platforms, .Size, .Layers and .Created")
	completeFlags(cmd, map[string][]string{"format": {"table", "json"}, "orderby": {byName, byTime}})
	return cmd
}

// runRepoManifests shows every manifest, and reports those that cannot be read.
func runRepoManifests(ctx context.Context, env environment, opts repoManifestsOptions) error {
	repo, err := manifest.ParseRepository(opts.repo)
	if err != nil {
		return err
	}
	query, err := opts.query()
	if err != nil {
		return err
	}
	query.Detail = opts.shape.ManifestDetail()
	t := newTools(env, false)
	records, err := repository.ListManifests(ctx, t.registries(opts.network), t.notes, repo, query)
	if records == nil {
		return err
	}
	return errors.Join(display.Manifests(env.Out(), records, opts.shape), someUnread("manifests", err))
}
