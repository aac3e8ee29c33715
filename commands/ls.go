package commands

import (
	"errors"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
)

type lsOptions struct {
	format  string
	quiet   bool
	noTrunc bool
}

func newLsCommand(env environment) *cobra.Command {
	var opts lsOptions
	cmd := &cobra.Command{
		Use:     "ls [OPTIONS]",
		Aliases: []string{"list"},
		Short:   "List local manifest lists",
		Args:    cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return runLs(env, opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringVar(&opts.format, "format", "", flags.FormatHelp)
	f.BoolVarP(&opts.quiet, "quiet", "q", false, "Only display names")
	f.BoolVar(&opts.noTrunc, "no-trunc", false, "Don't truncate output")
	completeFlags(cmd, map[string][]string{"format": {"json", "table"}})
	return cmd
}

// runLs shows every list that can be read, and reports the others.
func runLs(env environment, opts lsOptions) error {
	if _, err := parseTemplate(opts.format); err != nil {
		return err
	}
	var lists []store.Stored
	var errs []error
	for s, err := range env.lists().All() {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lists = append(lists, s)
	}
	errs = append(errs, display.Lists(env.Out(), lists, opts.format, opts.quiet, opts.noTrunc))
	return errors.Join(errs...)
}
