package commands

import (
	"context"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
)

type diffOptions struct {
	format  string
	network network
}

func newDiffCommand(env environment) *cobra.Command {
	var opts diffOptions
	cmd := &cobra.Command{
		Use:   "diff [OPTIONS] OLD NEW",
		Short: "Show the differences between two images or manifest lists",
		Long: "Show the differences between two images or manifest lists, each local or in a registry: platforms that were\n" +
			"added, removed or changed, and for a changed platform the annotations, the config (variables, labels, ports,\n" +
			"...), the layers and the download size. No layer is downloaded.\n" +
			"A local list takes precedence over a registry.\n" +
			"The exit code is 0 if they are the same, 1 if they differ, and 2 if it could not be determined.",
		Example: `docker multiarch diff registry.example.com/app:1.0 registry.example.com/app:1.1
docker multiarch diff --format markdown registry.example.com/app:latest registry.example.com/app:1.1`,
		Annotations: answers("They are the same.", "They differ."),
		Args:        cli.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDiff(cmd.Context(), env, opts, args)
		},
		ValidArgsFunction: atMost(2, env.completeNames),
	}
	opts.network.addTo(cmd.Flags(), "Allow communication with an insecure registry")
	addFormat(cmd, &opts.format, `Format output: "table" (default), "markdown", "json" or a Go template`, "json", "markdown", "table")
	return cmd
}

func runDiff(ctx context.Context, env environment, opts diffOptions, args []string) error {
	names, err := parseAll(args, env.parseName)
	if err != nil {
		return err
	}
	found, err := inspect.Diff(ctx, env.lists(), newTools(env, false).registries(opts.network), names[0], names[1])
	if err != nil {
		return err
	}
	if err := display.Diff(env.Out(), found, opts.format); err != nil {
		return err
	}
	switch found.State {
	case inspect.DiffSame:
		return nil
	case inspect.DiffUnknown:
		return &verdict{exitUnknown, nil}
	}
	return &verdict{exitNo, nil}
}
