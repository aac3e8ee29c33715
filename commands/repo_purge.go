package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

type repoPurgeOptions struct {
	repository.Selection
	removal       repository.Removal
	network       network
	repositories  manifest.Pattern
	orderBy       string
	force, dryRun bool
	record        string
	shape         display.Listing
}

func newRepoPurgeCommand(env environment) *cobra.Command {
	var opts repoPurgeOptions
	cmd := &cobra.Command{
		Use:   "purge [OPTIONS] REPOSITORY | REGISTRY --repositories PATTERN",
		Short: "Remove old tags and manifests from a repository",
		Long: "Remove the tags that match from a repository, and the manifests they point to. Without --force, only\n" +
			"list what would be removed. What a remaining tag needs is never removed. If --max-deletes or\n" +
			"--max-time stops a purge, no index is left partly removed, and the exit code is 0.\n\n" +
			"With --repositories, all repositories of a registry that match are purged, one after the other; --keep and\n" +
			"--keep-old count in each, and an error in one does not stop the others.\n\n" +
			"With --format json there is an object on each line: repository, action (untag if only the tag is removed,\n" +
			"otherwise delete), digest, kind (index, image, attestation or artifact), tags, platforms, size, and imageSize,\n" +
			"created and updated as in 'repo manifests', the times if the age matters and is known. With --force these are\n" +
			"what was removed.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoPurge(cmd.Context(), env, opts, args[0])
		},
		ValidArgsFunction: atMost(1, offer(func(cmd *cobra.Command, args []string) []string {
			if opts.allRepositories() {
				return env.registryHosts(cmd, args)
			}
			return env.registryNames(cmd, args)
		})),
	}
	f := cmd.Flags()
	addPatterns(f, &opts.Filters, "filter", `Only remove tags that match this pattern ("1.*", "regex:1[.].*")`)
	addPatterns(f, &opts.Excludes, "exclude", "Keep tags that match this pattern (same syntax as --filter)")
	f.BoolVar(&opts.All, "all", false, "Allow the filters to match every tag")
	addPattern(f, &opts.repositories, "repositories", `Purge each repository of REGISTRY whose path matches this pattern ("team/*", "regex:.*"; * matches anything but /)`)
	older := func(s string) (time.Time, error) { return parseOlderThan(s, time.Now()) }
	f.Var(&parsed[time.Time]{&opts.Before, older, "", "age"}, "older-than", `Only remove what is older: "45m", "12h", "30d", "2w", or an RFC 3339 time`)
	addNumber(f, &opts.Keep, "keep", "Keep this many of the newest matching tags")
	addNumber(f, &opts.KeepOld, "keep-old", "Keep this many of the newest matching tags that are old enough or, with only --untagged, manifests without a tag")
	f.BoolVar(&opts.KeepManifests, "keep-manifests", false, "Only remove tags, and keep the manifests they point to")
	addChoice(cmd, &opts.orderBy, "orderby", byTime, `Order that decides which tags --keep keeps ("name", "time")`, byName, byTime)
	f.BoolVar(&opts.Untagged, "untagged", false, "Also remove manifests without a tag, if the registry lists them; without --filter only these")
	f.BoolVarP(&opts.Recursive, "recursive", "r", false, "Also remove images, attestations and signatures that nothing else needs")
	f.BoolVarP(&opts.force, "force", "f", false, "Remove; without it, only list what would be removed")
	f.BoolVar(&opts.dryRun, "dry-run", false, "Only list what would be removed, as without --force")
	f.StringVar(&opts.record, "record", "", "With --force, append what is removed to this file, for 'repo restore'")
	addNumber(f, &opts.removal.MaxDeletes, "max-deletes", "With --force, stop after at most this many deletions")
	addTimeout(f, &opts.removal.MaxTime, "max-time", `With --force, stop after this time ("10m", "2h")`)
	addAssumeGone(f, &opts.removal.AssumeGone)
	addShape(cmd, &opts.shape, flags.FormatHelp, "Only display the names of tags and manifests")
	opts.network.addTo(f, "Allow communication with an insecure registry")
	completeFlag(cmd, "older-than", "12h", "30d", "2w")
	return cmd
}

func runRepoPurge(ctx context.Context, env environment, opts repoPurgeOptions, name string) error {
	repo, host, err := opts.parse(name)
	if err != nil {
		return err
	}
	return recorded(env, opts.record, func(t tools, record func(...repository.Recorded) error) error {
		registry := t.registries(opts.network)
		var planned []repository.Step
		removed := map[string]bool{}
		removal := opts.removal
		removal.DryRun, removal.Record, removal.Removed = !opts.force, record, printRemoved(env)
		removal.Confirm = func(steps []repository.Step) (bool, error) {
			planned = append(planned, steps...)
			return opts.force, nil
		}
		switch {
		case opts.shape.Quiet:
			removal.Removed = func(name reference.Named) { _, _ = fmt.Fprintln(env.Out(), manifest.Familiar(name)) }
		case opts.shape.Format != "":
			removal.Removed = func(name reference.Named) { removed[name.String()] = true }
		}
		if repo != nil {
			err = repository.Purge(ctx, registry, t.reporter, repo, opts.Selection, removal)
		} else {
			err = repository.PurgeAll(ctx, registry, t.reporter, host, opts.repositories, opts.Selection, removal)
		}
		switch {
		case opts.force && opts.shape.Format != "":
			return errors.Join(display.Plan(env.Out(), carriedOut(planned, removed), opts.shape.Format, opts.allRepositories(), !opts.shape.NoTrunc), err)
		case opts.force, err != nil && planned == nil:
			return err
		}
		return errors.Join(opts.show(t, planned, registry.KnownToUntag), err)
	})
}

// carriedOut returns the steps by which names were removed, with those tags.
func carriedOut(steps []repository.Step, removed map[string]bool) (done []repository.Step) {
	for _, s := range steps {
		s.Tags = slices.DeleteFunc(slices.Clone(s.Tags), func(tag string) bool { return !removed[manifest.AtTag(s.Repo, tag).String()] })
		if s.Untag && len(s.Tags) > 0 || !s.Untag && removed[manifest.AtDigest(s.Repo, s.Digest).String()] {
			done = append(done, s)
		}
	}
	return done
}

// show shows what would be removed.
func (o repoPurgeOptions) show(t tools, steps []repository.Step, untags func(reference.Named) bool) error {
	if i := slices.IndexFunc(steps, func(s repository.Step) bool { return s.Untag && !untags(s.Repo) }); i >= 0 {
		t.reporter.Note("%s may not remove tags without their manifests: --force finds out before it removes anything", reference.Domain(steps[i].Repo))
	}
	if len(steps) > 0 {
		t.reporter.Note("Nothing was removed; to remove this, pass --force")
	}
	if o.shape.Quiet {
		return display.PlanNames(t.env.Out(), steps)
	}
	return display.Plan(t.env.Out(), steps, o.shape.Format, o.allRepositories(), !o.shape.NoTrunc)
}

// allRepositories reports whether the repositories of a registry are purged.
func (o repoPurgeOptions) allRepositories() bool { return o.repositories != manifest.Pattern{} }

// parse checks arguments and flags. It returns a repository or, for all of these, the host of a registry.
func (o *repoPurgeOptions) parse(name string) (repo reference.Named, host string, err error) {
	o.ByName = o.orderBy == byName
	if o.allRepositories() {
		host, err = manifest.ParseRegistry(name)
	} else {
		repo, err = manifest.ParseRepository(name)
	}
	if err == nil {
		err = o.contradiction()
	}
	if err == nil {
		err = checkAssumeGone(repo, o.removal.AssumeGone)
	}
	return repo, host, err
}

// contradiction returns an error for flags that cannot be combined.
func (o repoPurgeOptions) contradiction() error {
	selects := o.All || len(o.Filters) > 0
	switch {
	case !selects && !o.Untagged:
		return invalid("no tags are selected: pass --filter, or --all for every tag")
	case !selects && o.Keep > 0:
		return invalid("--keep applies to tags, and only --untagged selects none: pass --filter as well")
	case o.KeepManifests && (o.Untagged || o.Recursive):
		return invalid("--keep-manifests cannot be combined with --untagged or --recursive, which remove manifests")
	case o.allRepositories() && len(o.removal.AssumeGone) > 0:
		return invalid("--assume-gone applies to a single repository, not with --repositories")
	case o.force && o.shape.NoTrunc && o.shape.Format == "":
		return invalid("with --force, --no-trunc requires --format")
	case o.shape.Quiet && (o.shape.Format != "" || o.shape.NoTrunc):
		return invalid("--quiet cannot be combined with --format or --no-trunc")
	case o.force && o.dryRun:
		return invalid("--force and --dry-run cannot be combined")
	case !o.force && (o.record != "" || o.removal.MaxDeletes > 0 || o.removal.MaxTime != 0):
		return invalid("--record, --max-deletes and --max-time require --force: nothing is removed without it")
	}
	return nil
}
