package commands

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
)

func newTaskRenderCommand(env environment) *cobra.Command {
	var opts taskOptions
	cmd := &cobra.Command{
		Use:   "render " + taskArgs,
		Short: "Show a task file with its aliases and templates expanded",
		Long: "Show a task file with its aliases and templates expanded. Secrets are shown as REDACTED.\n" +
			"A file that cannot be run is also shown; the exit code is then 1.\n\n" +
			taskContext,
		Example: "docker multiarch task render --registry registry.example.com --set version=1.2 .",
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.setContext(args)
			return runTaskRender(cmd.Context(), env, opts)
		},
	}
	opts.addTo(cmd, env)
	return cmd
}

func runTaskRender(ctx context.Context, env environment, opts taskOptions) error {
	loaded, err := opts.read(ctx, env)
	if err != nil {
		return err
	}
	defer loaded.close()
	if _, err := io.WriteString(env.Out(), loaded.rendered.Text); err != nil {
		return err
	}
	return loaded.report(display.Prose{Out: env.Err()})
}
