package commands

import (
	"context"
	"fmt"
	"time"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

type pruneOptions struct {
	force  bool
	filter []string
}

func newPruneCommand(dockerCLI command.Cli) *cobra.Command {
	var opts pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [OPTIONS]",
		Short: "Remove all local manifest lists",
		Long:  "Remove all local manifest lists. Images are never removed.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPrune(cmd.Context(), dockerCLI, opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.BoolVarP(&opts.force, "force", "f", false, "Do not prompt for confirmation")
	flags.StringArrayVar(&opts.filter, "filter", nil, `Provide filter values ("until=<timestamp>")`)
	return cmd
}

func runPrune(ctx context.Context, dockerCLI command.Cli, opts pruneOptions) error {
	until, err := parseUntil(opts.filter, time.Now())
	if err != nil {
		return err
	}
	if !opts.force {
		what := "all local manifest lists"
		if !until.IsZero() {
			what += " last changed before " + until.Format(time.RFC3339)
		}
		yes, err := command.PromptForConfirmation(ctx, dockerCLI.In(), dockerCLI.Out(),
			"WARNING! This will remove "+what+".\nAre you sure you want to continue?")
		if err != nil {
			return err
		}
		if !yes {
			return invalid("manifest list prune has been cancelled")
		}
	}
	removed, err := localLists().Prune(ctx, func(s store.Stored) bool {
		return until.IsZero() || s.Modified.Before(until)
	})
	if len(removed) > 0 {
		_, _ = fmt.Fprintln(dockerCLI.Out(), "Deleted Manifest Lists:")
	}
	for _, s := range removed {
		_, _ = fmt.Fprintln(dockerCLI.Out(), display.ListName(s))
	}
	return err
}
