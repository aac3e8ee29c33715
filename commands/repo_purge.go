package commands

import (
	"context"

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
	format            string
	noTrunc           bool
}

func newRepoPurgeCommand(env environment) *cobra.Command {
	opts := repoPurgeOptions{orderBy: byTime}
	cmd := &cobra.Command{
		Use:   "purge [OPTIONS] REPOSITORY",
		Short: "Remove old tags and manifests from a repository",
		Long: "Remove the tags that match from a repository, and the manifests they name.\n" +
			"Shows what would go; --force removes it. What a tag that stays needs is never removed.\n\n" +
			"With --format json there is an object on each line: action (untag when a tag goes alone, or else\n" +
			"delete), digest, kind (index, image, or referrer for what is about another manifest), tags, and time,\n" +
			"which says how old the manifest is where that was asked for and is known.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoPurge(cmd.Context(), env, opts, args[0])
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringArrayVar(&opts.filters, "filter", nil, `Only tags that match a pattern ("1.*", "regex:1[.].*")`)
	f.StringArrayVar(&opts.excludes, "exclude", nil, "Never tags that match a pattern, written as for --filter")
	f.BoolVar(&opts.all, "all", false, "Permit that every tag matches")
	f.Var(&opts.olderThan, "older-than", `Only what is older: "12h", "30d", "2w", or a time as in RFC 3339`)
	f.Var(&opts.keep, "keep", "Keep so many of the matching tags, the last ones")
	f.StringVar(&opts.orderBy, "orderby", opts.orderBy, `What makes a tag one of the last for --keep ("name", "time")`)
	f.BoolVar(&opts.untagged, "untagged", false, "Also manifests without a tag, where the registry lists them; without --filter only these")
	f.BoolVarP(&opts.recursive, "recursive", "r", false, "Also the images, attestations and signatures that nothing else needs")
	f.BoolVarP(&opts.force, "force", "f", false, "Remove what would else be shown")
	f.StringVar(&opts.record, "record", "", "With --force, append what is removed to a file that 'repo restore' reads")
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
	planned, err := repository.PlanPurge(ctx, t.access(opts.network), repo, selection)
	if err != nil {
		return err
	}
	if opts.force {
		return planned.CarryOut(ctx, record, printRemoved(env))
	}
	rows := planned.Rows()
	if len(rows) > 0 {
		t.notes.Note("Nothing was removed: --force does that")
	}
	return display.Plan(env.Out(), rows, opts.format, !opts.noTrunc)
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
	return repo, s, err
}

// contradiction returns an error for flags that do not go together.
func (o repoPurgeOptions) contradiction() error {
	selects := o.all || len(o.filters) > 0
	switch {
	case !selects && !o.untagged:
		return invalid("nothing says which tags are to go: give a --filter, or --all for every tag")
	case !selects && o.keep > 0:
		return invalid("--keep is about tags, and --untagged alone selects none: give a --filter, too")
	case o.force && (o.format != "" || o.noTrunc):
		return invalid("--format and --no-trunc are for showing what would go; --force removes it")
	case !o.force && o.record != "":
		return invalid("--record goes with --force: nothing is removed without it")
	}
	return nil
}
