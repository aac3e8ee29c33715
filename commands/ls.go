package commands

import (
	"errors"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
)

func newLsCommand(env environment) *cobra.Command {
	var shape display.Listing
	cmd := &cobra.Command{
		Use:     "ls [OPTIONS]",
		Aliases: []string{"list"},
		Short:   "List local manifest lists",
		Args:    cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return runLs(env, shape)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	addShape(cmd, &shape, flags.FormatHelp, "Only display names")
	return cmd
}

// runLs shows every list that can be read, and reports the others.
func runLs(env environment, shape display.Listing) error {
	var lists []store.Stored
	var errs []error
	for s, err := range env.lists().All() {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lists = append(lists, s)
	}
	errs = append(errs, display.Lists(env.Out(), lists, shape.Format, shape.Quiet, shape.NoTrunc))
	return errors.Join(errs...)
}
