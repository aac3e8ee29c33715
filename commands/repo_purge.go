package commands

import (
	"context"
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
	network           network
	filters, excludes []string
	all               bool
	olderThan         age
	keep              number
	orderBy           string
	untagged          bool
	recursive         bool
	force             bool
	record            string
	assumeGone        []string
	maxDeletes        number
	maxTime           time.Duration
	format            string
	noTrunc           bool
}

func newRepoPurgeCommand(env environment) *cobra.Command {
	opts := repoPurgeOptions{orderBy: byTime}
	cmd := &cobra.Command{
		Use:   "purge [OPTIONS] REPOSITORY",
		Short: "Remove old tags and manifests from a repository",
		Long: "Remove the tags that match from a repository, and the manifests they point to. Without --force, only\n" +
			"list what would be removed. What a remaining tag needs is never removed. If --max-deletes or\n" +
			"--max-time stops a purge, no index is left partly removed, and the exit code is 0.\n\n" +
			"With --format json there is an object on each line: action (untag if only the tag is removed, otherwise\n" +
			"delete), digest, kind (index, image, attestation or artifact), tags, and created and updated, as in\n" +
			"'repo manifests', if the age matters and is known.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoPurge(cmd.Context(), env, opts, args[0])
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringArrayVar(&opts.filters, "filter", nil, `Only remove tags that match this pattern ("1.*", "regex:1[.].*")`)
	f.StringArrayVar(&opts.excludes, "exclude", nil, "Keep tags that match this pattern (same syntax as --filter)")
	f.BoolVar(&opts.all, "all", false, "Allow the filters to match every tag")
	f.Var(&opts.olderThan, "older-than", `Only remove what is older: "12h", "30d", "2w", or an RFC 3339 time`)
	f.Var(&opts.keep, "keep", "Keep this many of the newest matching tags")
	f.StringVar(&opts.orderBy, "orderby", opts.orderBy, `Order that decides which tags --keep keeps ("name", "time")`)
	f.BoolVar(&opts.untagged, "untagged", false, "Also remove manifests without a tag, if the registry lists them; without --filter only these")
	f.BoolVarP(&opts.recursive, "recursive", "r", false, "Also remove images, attestations and signatures that nothing else needs")
	f.BoolVarP(&opts.force, "force", "f", false, "Remove; without it, only list what would be removed")
	f.StringVar(&opts.record, "record", "", "With --force, append what is removed to this file, for 'repo restore'")
	f.Var(&opts.maxDeletes, "max-deletes", "With --force, stop after at most this many deletions")
	f.DurationVar(&opts.maxTime, "max-time", 0, `With --force, stop after this time ("10m", "2h")`)
	addAssumeGone(f, &opts.assumeGone)
	f.StringVar(&opts.format, "format", "", flags.FormatHelp)
	f.BoolVar(&opts.noTrunc, "no-trunc", false, "Don't truncate output")
	opts.network.addTo(f, "Allow communication with an insecure registry")
	completeFlags(cmd, map[string][]string{"orderby": {byName, byTime}, "format": {"json", "table"}, "older-than": {"12h", "30d", "2w"}})
	return cmd
}

func runRepoPurge(ctx context.Context, env environment, opts repoPurgeOptions, name string) error {
	repo, selection, err := opts.parse(name)
	if err != nil {
		return err
	}
	record, err := openRecord(env.path(opts.record))
	if err != nil {
		return err
	}
	defer record.Close()
	t := newTools(env, false)
	confirmed := func(steps []repository.Step) (bool, error) {
		if opts.force {
			return true, nil
		}
		if len(steps) > 0 {
			t.reporter.Note("Nothing was removed; to remove this, pass --force")
		}
		return false, display.Plan(env.Out(), steps, opts.format, !opts.noTrunc)
	}
	removal := repository.Removal{
		Confirm: confirmed, Record: record, AssumeGone: opts.assumeGone, MaxDeletes: int(opts.maxDeletes), MaxTime: opts.maxTime,
		Removed: printRemoved(env),
	}
	return repository.Purge(ctx, t.registries(opts.network), t.reporter, repo, selection, removal)
}

// parse checks arguments and flags.
func (o repoPurgeOptions) parse(name string) (reference.Named, repository.Selection, error) {
	s := repository.Selection{
		All: o.all, Before: o.olderThan.before, Keep: int(o.keep), ByName: o.orderBy == byName,
		Untagged: o.untagged, Recursive: o.recursive,
	}
	repo, err := manifest.ParseRepository(name)
	if err == nil {
		err = oneOf("orderby", o.orderBy, byName, byTime)
	}
	if err == nil {
		err = o.contradiction()
	}
	if err == nil {
		s.Filters, err = parsePatterns("filter", o.filters)
	}
	if err == nil {
		s.Excludes, err = parsePatterns("exclude", o.excludes)
	}
	if err == nil {
		err = checkAssumeGone(repo, o.assumeGone)
	}
	return repo, s, err
}

// contradiction returns an error for flags that contradict each other.
func (o repoPurgeOptions) contradiction() error {
	selects := o.all || len(o.filters) > 0
	switch {
	case !selects && !o.untagged:
		return invalid("no tags are selected: pass --filter, or --all for every tag")
	case !selects && o.keep > 0:
		return invalid("--keep applies to tags, and only --untagged selects none: pass --filter as well")
	case o.force && (o.format != "" || o.noTrunc):
		return invalid("--format and --no-trunc only apply without --force")
	case !o.force && (o.record != "" || o.maxDeletes > 0 || o.maxTime != 0):
		return invalid("--record, --max-deletes and --max-time require --force: nothing is removed without it")
	case o.maxTime < 0:
		return invalid("--max-time %s is negative", o.maxTime)
	}
	return nil
}
