package commands

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
)

func newPruneCommand(env environment) *cobra.Command {
	var force bool
	var until time.Time
	cmd := &cobra.Command{
		Use:   "prune [OPTIONS]",
		Short: "Remove all local manifest lists",
		Long:  "Remove all local manifest lists. Images are never removed.",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPrune(cmd.Context(), env, force, until)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.BoolVarP(&force, "force", "f", false, "Do not prompt for confirmation")
	flags.Var(&parsed[time.Time]{&until, func(s string) (time.Time, error) {
		if !until.IsZero() {
			return until, invalid("more than one until filter specified")
		}
		return parseUntil(s, time.Now())
	}, "", "stringArray"}, "filter", `Provide filter values ("until=<timestamp>")`)
	completeWith(cmd, cobra.FixedCompletions([]string{"until="}, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace), "filter")
	return cmd
}

func runPrune(ctx context.Context, env environment, force bool, until time.Time) error {
	if !force {
		what := "all local manifest lists"
		if !until.IsZero() {
			what += " last changed before " + until.Format(time.RFC3339)
		}
		if yes, err := env.confirm(ctx, "remove "+what+"."); err != nil || !yes {
			return err
		}
	}
	removed, err := env.lists().Prune(ctx, func(s store.Stored) bool {
		return until.IsZero() || s.Modified.Before(until)
	})
	if len(removed) > 0 {
		_, _ = fmt.Fprintln(env.Out(), "Deleted Manifest Lists:")
	}
	for _, s := range removed {
		_, _ = fmt.Fprintln(env.Out(), display.ListName(s))
	}
	return err
}

// untilLayouts are the time formats of until filters in docker.
var untilLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02Z07:00", "2006-01-02"}

// parseUntil returns the time of a filter: a date, seconds since 1970, or a duration before now.
func parseUntil(filter string, now time.Time) (time.Time, error) {
	value, ok := strings.CutPrefix(filter, "until=")
	if !ok {
		return time.Time{}, invalid("only until=TIMESTAMP is supported")
	}
	if d, err := time.ParseDuration(value); err == nil {
		return now.Add(-d), nil
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds > 0 {
		return time.Unix(seconds, 0), nil
	}
	for _, layout := range untilLayouts {
		if t, err := time.ParseInLocation(layout, value, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, invalid("%s is neither a duration (24h), a date (2006-01-02, RFC 3339) nor seconds since 1970", value)
}
