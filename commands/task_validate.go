package commands

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

type validateOptions struct {
	taskOptions
	format  string
	online  bool
	network network
}

func newTaskValidateCommand(env environment) *cobra.Command {
	var opts validateOptions
	cmd := &cobra.Command{
		Use:   "validate " + taskArgs,
		Short: "Check a task file",
		Long: "Show all errors in a task file, each with its line and column. With --strict, also show likely mistakes:\n" +
			"unknown keys, a push before its build, a step after a parallel group without 'when', a tag that names\n" +
			"one architecture while its Dockerfile or --platform names another.\n\n" +
			"With --online, registries are asked about each digest in a FROM of a build with --platform: a digest of a single\n" +
			"platform puts its files into the images of all others. The requests, with your logins, go to the registries that\n" +
			"the Dockerfiles name. Otherwise no registry is asked anything.\n\n" +
			taskContext + "\n" +
			"The exit code is 1 if 'task run' with the same flags would refuse the file.",
		Example: "docker multiarch task validate --strict --file build.yaml .",
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.setContext(args)
			return runTaskValidate(cmd.Context(), env, opts)
		},
	}
	opts.addTo(cmd, env)
	cmd.Flags().BoolVar(&opts.strict, "strict", false, "Also report likely mistakes, and treat every finding as an error")
	addFormat(cmd, &opts.format, `Format of the findings ("json" or a Go template)`, "json")
	cmd.Flags().BoolVar(&opts.online, "online", false, "Also look up the digests in FROM of builds for several platforms in their registries")
	opts.network.addTo(cmd.Flags(), "Allow communication with an insecure registry")
	return cmd
}

func runTaskValidate(ctx context.Context, env environment, opts validateOptions) error {
	loaded, err := opts.read(ctx, env)
	if err != nil {
		return err
	}
	defer loaded.close()
	t := newTools(env, false)
	pinned := task.PinnedBases(loaded.file, func(step task.Step) ([]byte, error) {
		raw, err := run.ReadDockerfile(ctx, loaded.source.Dir, step)
		if err != nil && opts.online {
			t.reporter.Warn("The digests in FROM of step %s were not looked up: its Dockerfile could not be read", step.ID)
		}
		return raw, err
	})
	switch {
	case opts.online:
		loaded.add(opts.strict, lookUpBases(ctx, t.registries(opts.network), loaded.file, pinned)...)
	case opts.strict && len(pinned) > 0:
		t.reporter.Note("The digests in FROM were not looked up: --online checks that they are not of a single platform")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := display.Findings(env.Out(), loaded.name, loaded.findings, opts.format); err != nil {
		return err
	}
	if loaded.blocking > 0 {
		return &verdict{code: exitNo}
	}
	steps := "1 step"
	if n := len(loaded.file.Steps); n != 1 {
		steps = fmt.Sprintf("%d steps", n)
	}
	t.reporter.Note("%s: %s, no errors", loaded.name, steps)
	return nil
}

// lookUpBases returns the findings on the digests in FROM: those of a single platform, and those that could not be looked up.
func lookUpBases(ctx context.Context, registries manifest.Fetcher, f task.File, pinned []task.PinnedBase) []task.Finding {
	found := make([][]task.Finding, len(pinned))
	manifest.Concurrently(len(pinned), func(i int) {
		b := pinned[i]
		c, err := registries.Fetch(ctx, b.Image)
		if err == nil && manifest.IsIndex(c.Descriptor.MediaType) {
			return
		}
		var image manifest.Entry
		if err == nil {
			image, err = manifest.ReadImage(ctx, registries, b.Image, c)
		}
		if err != nil {
			found[i] = b.Unknown(f, err)
			return
		}
		found[i] = b.Check(f, image.Platform())
	})
	return slices.Concat(found...)
}
