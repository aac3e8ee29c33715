package commands

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
)

func newTaskValidateCommand(env environment) *cobra.Command {
	var opts taskOptions
	var format string
	cmd := &cobra.Command{
		Use:   "validate " + taskArgs,
		Short: "Check a task file",
		Long: "Show all errors in a task file, each with its line and column. With --strict, also show likely mistakes:\n" +
			"unknown keys, a push before its build, a step after a parallel group without 'when', a tag that names\n" +
			"one architecture while its Dockerfile or --platform names another.\n\n" +
			taskContext + "\n" +
			"The exit code is 1 if 'task run' with the same flags would refuse the file.",
		Example: "docker multiarch task validate --strict --file build.yaml .",
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.setContext(args)
			return runTaskValidate(cmd.Context(), env, opts, format)
		},
	}
	opts.addTo(cmd)
	cmd.Flags().BoolVar(&opts.strict, "strict", false, "Also report likely mistakes, and treat every finding as an error")
	cmd.Flags().StringVar(&format, "format", "", `Format of the findings ("json" or a Go template)`)
	completeFlags(cmd, map[string][]string{"format": {"json"}})
	return cmd
}

func runTaskValidate(ctx context.Context, env environment, opts taskOptions, format string) error {
	if _, err := parseTemplate(format); err != nil {
		return err
	}
	loaded, err := opts.read(ctx, env)
	if err != nil {
		return err
	}
	defer loaded.close()
	if err := display.Findings(env.Out(), loaded.name, loaded.findings, format); err != nil {
		return err
	}
	if loaded.blocking > 0 {
		return &verdict{code: exitNo}
	}
	steps := "1 step"
	if n := len(loaded.file.Steps); n != 1 {
		steps = fmt.Sprintf("%d steps", n)
	}
	display.NewReporter(env.Err(), false).Note("%s: %s, no errors", loaded.name, steps)
	return nil
}
