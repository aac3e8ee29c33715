package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/cli/cli"
	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

// listing has the flags of the commands that list tags or manifests.
type listing struct {
	orderBy string
	reverse bool
	top     int
	filter  manifest.Pattern
	shape   display.Listing
	network network
}

const (
	byName = "name"
	byTime = "time"
)

// addTo adds the flags; quiet and fields describe --quiet and the fields of --format.
func (l *listing) addTo(cmd *cobra.Command, quiet, fields string) {
	flags := cmd.Flags()
	addChoice(cmd, &l.orderBy, "orderby", byName, `Order by "name", in which numbers count as numbers, or by "time", newest first`, byName, byTime)
	flags.BoolVar(&l.reverse, "reverse", false, "List in the opposite order")
	addNumber(flags, &l.top, "top", "Show at most this many: the first or, with --orderby time, the newest")
	addPattern(flags, &l.filter, "filter", `Only list tags that match this pattern ("1.*", "regex:1[.].*")`)
	addShape(cmd, &l.shape, `Format output using a custom template ("table", "json" or a Go template over `+fields+`)`, quiet)
	l.network.addTo(flags, "Allow communication with an insecure registry")
}

// query returns the query of the flags, without its detail.
func (l *listing) query() repository.Query {
	l.shape.Dated = l.orderBy == byTime
	return repository.Query{Filter: l.filter, ByTime: l.shape.Dated, Reverse: l.reverse, Top: l.top}
}

type repoTagsOptions struct {
	digest string
	listing
}

func newRepoTagsCommand(env environment) *cobra.Command {
	var opts repoTagsOptions
	cmd := &cobra.Command{
		Use:   "tags [OPTIONS] REPOSITORY",
		Short: "List the tags of a repository",
		Long: "List the tags of a repository, with the manifest that each points to.\n\n" +
			"The size is the download of an image: manifest, config and layers. That of an index is not shown,\n" +
			"because it takes requests for each of its images: see 'repo manifests'.\n\n" +
			"The time is when the registry received or last changed the manifest or, if the registry does not report\n" +
			"that, when the image says it was created, for an index the latest of its images. That takes requests for\n" +
			"each image, and is only read with --orderby time or with .Created in a template, not for json. Images\n" +
			"without a time, or with that of a reproducible build, are listed last.\n\n" +
			"--quiet only requests the list of names. With --format json there is an object on each line: the tag,\n" +
			"and the fields of 'repo manifests'.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoTags(cmd.Context(), env, opts, args[0])
		},
		ValidArgsFunction: atMost(1, offer(env.registryNames)),
	}
	cmd.Flags().StringVar(&opts.digest, "digest", "", "Only list tags that point to this digest")
	opts.addTo(cmd, "Only display tags", ".Tag, .Digest, .Kind, .MediaType, .ArtifactType, .Platforms, .Size, .Layers and .Created")
	return cmd
}

// runRepoTags lists every tag, and reports those that cannot be read.
func runRepoTags(ctx context.Context, env environment, opts repoTagsOptions, typed string) error {
	repo, err := manifest.ParseRepository(typed)
	if err != nil {
		return err
	}
	query := opts.query()
	query.Digest, query.Detail = digest.Digest(opts.digest), opts.shape.TagDetail()
	if err := query.Digest.Validate(); opts.digest != "" && err != nil {
		return badValue("--digest %q is not a digest (%w): expected sha256: and 64 hexadecimal digits", opts.digest, err)
	}
	tags, err := repository.Tags(ctx, newTools(env, false).registries(opts.network), repo, query)
	if tags == nil {
		return err
	}
	return errors.Join(display.Tags(env.Out(), tags, opts.shape), someUnread("tags", err))
}

// someUnread is the error of a listing that is incomplete because of err.
func someUnread(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("some %s could not be read: %w", what, err)
}
