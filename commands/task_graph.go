package commands

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

func newTaskGraphCommand(env environment) *cobra.Command {
	var opts taskOptions
	var format string
	cmd := &cobra.Command{
		Use:   "graph " + taskArgs,
		Short: "Show the steps of a task file and their dependencies",
		Long: "Show the steps of a task file and their dependencies.\n\n" +
			taskContext,
		Example: "docker multiarch task graph --format dot . | dot -Tsvg > graph.svg",
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.setContext(args)
			return runTaskGraph(cmd.Context(), env, opts, format)
		},
	}
	opts.addTo(cmd, env)
	addChoice(cmd, &format, "format", "text", `Format of the graph ("text", "dot", "json")`, "text", "dot", "json")
	return cmd
}

func runTaskGraph(ctx context.Context, env environment, opts taskOptions, format string) error {
	loaded, err := opts.load(ctx, env, env.progressMode())
	if err != nil {
		return err
	}
	defer loaded.close()
	graph := task.NewGraph(loaded.file)
	switch format {
	case "text":
		err = display.Graph(env.Out(), graph)
	case "dot":
		_, err = io.WriteString(env.Out(), manifest.Escape(graph.Dot(), "\n\t"))
	default:
		err = display.JSON(env.Out(), graph)
	}
	return err
}
