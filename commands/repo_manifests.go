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

func newRepoManifestsCommand(env environment) *cobra.Command {
	var opts listing
	cmd := &cobra.Command{
		Use:   "manifests [OPTIONS] REPOSITORY",
		Short: "List the manifests of a repository",
		Long: "List the manifests of a repository, each once. The images of an index are nested under it, attestations\n" +
			"under the image they describe, signatures and other artifacts under their subject; --filter,\n" +
			"--orderby and --top apply to the manifests that are not nested.\n\n" +
			"Azure Container Registry and Google's registries list all their manifests. Other registries only list\n" +
			"tags: the manifests below these and their referrers are shown, but not other manifests without a tag.\n" +
			"'repo show' also finds the referrers of the images of an index.\n\n" +
			"The size is the download of an image: manifest, config and layers; that of an index is everything\n" +
			"below it, each blob once. The time is when the registry received or last changed the manifest or, if\n" +
			"the registry does not report that, when the image says it was created.\n\n" +
			"With --format json there is an object on each line, with digest, tags, kind (index, image, attestation\n" +
			"or artifact), mediaType, configMediaType, artifactType, os, architecture, platforms (each with digest,\n" +
			"size and imageSize), size (of the manifest), imageSize (of the download), layers, created, updated (by\n" +
			"the registry), imageCreated (as the image says, if created is the registry's time),\n" +
			"changeableAttributes, children, parents (the indexes that list it), subject, annotations and error.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoManifests(cmd.Context(), env, opts, args[0])
		},
		ValidArgsFunction: atMost(1, offer(env.registryNames)),
	}
	opts.addTo(cmd, "Only display digests", ".Digest, .Tags, .Kind, .MediaType, .ArtifactType, .Platforms, .Size, .Layers and .Created")
	return cmd
}

// runRepoManifests lists every manifest, and reports those that cannot be read.
func runRepoManifests(ctx context.Context, env environment, opts listing, typed string) error {
	repo, err := manifest.ParseRepository(typed)
	if err != nil {
		return err
	}
	query := opts.query()
	query.Detail = opts.shape.ManifestDetail()
	t := newTools(env, false)
	records, err := repository.Manifests(ctx, t.registries(opts.network), t.reporter, repo, query)
	if records == nil {
		return err
	}
	return errors.Join(display.Manifests(env.Out(), records, opts.shape), someUnread("manifests", err))
}
