package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/cli/cli"
	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

// listing are the flags of commands that list what a repository has.
type listing struct {
	orderBy string
	top     number
	filter  string
	shape   display.Listing
	network network
}

const (
	byName = "name"
	byTime = "time"
)

// addTo adds the flags; quiet and fields describe --quiet and the fields of --format.
func (l *listing) addTo(flags *pflag.FlagSet, quiet, fields string) {
	flags.StringVar(&l.orderBy, "orderby", byName, `Order by "name", where numbers count as numbers, or by "time", the newest first`)
	flags.Var(&l.top, "top", "Only so many of the first")
	flags.StringVar(&l.filter, "filter", "", `Only tags that match a pattern ("1.*", "regex:1[.].*")`)
	flags.StringVar(&l.shape.Format, "format", "", `Format output using a custom template ("table", "json" or a Go template over `+fields+`)`)
	flags.BoolVarP(&l.shape.Quiet, "quiet", "q", false, quiet)
	flags.BoolVar(&l.shape.NoTrunc, "no-trunc", false, "Don't truncate output")
	l.network.addTo(flags, "Allow communication with an insecure registry")
}

// query checks the flags and returns what they ask for, without its detail.
func (l *listing) query() (repository.Query, error) {
	if err := oneOf("orderby", l.orderBy, byName, byTime); err != nil {
		return repository.Query{}, err
	}
	if err := checkFormat(l.shape.Format); err != nil {
		return repository.Query{}, err
	}
	filter, err := parseFilter(l.filter)
	return repository.Query{Filter: filter, ByTime: l.orderBy == byTime, Top: int(l.top)}, err
}

type repoTagsOptions struct {
	repo   string
	digest string
	listing
}

func newRepoTagsCommand(env environment) *cobra.Command {
	var opts repoTagsOptions
	cmd := &cobra.Command{
		Use:   "tags [OPTIONS] REPOSITORY",
		Short: "List the tags of a repository",
		Long: "List the tags of a repository, with the manifest that each of them names.\n\n" +
			"The size is what it takes to download an image: manifest, config and layers. That of an index is not\n" +
			"shown, since it takes a look at each of its images: see 'repo manifests'.\n\n" +
			"The time is when the manifest came into the registry or was last changed there, where the registry tells\n" +
			"that, and else when the image says it was made, for an index the latest of its images. That takes\n" +
			"requests for each image, and is asked for only with --orderby time or with .Created in a template, not\n" +
			"for json. What says no time, or the one of a reproducible build, comes last.\n\n" +
			"With --quiet, the list of names is all that is asked for. With --format json there is an object on each\n" +
			"line: the tag, and the fields that 'repo manifests' has.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.repo = args[0]
			return runRepoTags(cmd.Context(), env, opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.digest, "digest", "", "Only tags that name this digest")
	opts.addTo(flags, "Only display tags", ".Tag, .Digest, .Kind, .MediaType, .ArtifactType, .Platforms, .Size, .Layers and .Created")
	completeFlags(cmd, map[string][]string{"format": {"table", "json"}, "orderby": {byName, byTime}})
	return cmd
}

// runRepoTags shows every tag, and reports those that cannot be read.
func runRepoTags(ctx context.Context, env environment, opts repoTagsOptions) error {
	repo, err := manifest.ParseRepository(opts.repo)
	if err != nil {
		return err
	}
	query, err := opts.query()
	if err != nil {
		return err
	}
	query.Digest, query.Detail = digest.Digest(opts.digest), opts.shape.TagDetail()
	if err := query.Digest.Validate(); opts.digest != "" && err != nil {
		return invalid("--digest %q is not a digest (%w): expected sha256: and 64 hexadecimal digits", opts.digest, err)
	}
	tags, err := repository.ListTags(ctx, newTools(env, false).registries(opts.network), repo, query)
	if tags == nil {
		return err
	}
	return errors.Join(display.Tags(env.Out(), tags, opts.shape), someUnread("tags", err))
}

// someUnread is the end of a listing that is complete but for what could not be read.
func someUnread(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("some %s could not be read: %w", what, err)
}
