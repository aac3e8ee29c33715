package commands

import (
	"context"
	"fmt"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

type inspectOptions struct {
	list    string
	name    string
	verbose bool
	network network
	format  string
	tree    bool
}

func newInspectCommand(env environment) *cobra.Command {
	var opts inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect [OPTIONS] [LIST] NAME",
		Short: "Display an image manifest, or manifest list",
		Long: "Display a local manifest list, an entry of one, or an image or list in a registry.\n" +
			"A local list takes precedence over a registry.",
		Args: cli.RequiresRangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.name = args[len(args)-1]
			if len(args) == 2 {
				opts.list = args[0]
			}
			return runInspect(cmd.Context(), env, opts)
		},
		ValidArgsFunction: env.completeListThenEntry,
	}
	flags := cmd.Flags()
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	flags.BoolVarP(&opts.verbose, "verbose", "v", false, "Output additional info including layers and platform")
	flags.StringVar(&opts.format, "format", "", `Format output using a custom template ("json" or a Go template)`)
	flags.BoolVar(&opts.tree, "tree", false, "Show the list as a tree, with attestations under their images")
	completeFlags(cmd, map[string][]string{"format": {"json"}})
	return cmd
}

func runInspect(ctx context.Context, env environment, opts inspectOptions) error {
	if opts.tree && (opts.verbose || opts.format != "") || opts.verbose && opts.format != "" {
		return invalid("--verbose, --format and --tree are three ways to show one thing: give one of them")
	}
	template, err := parseTemplate(opts.format)
	if err != nil {
		return err
	}
	t := newTools(env, false)
	registries := t.registries(opts.network)
	found, err := lookFor(ctx, env, opts, registries)
	if err != nil {
		return err
	}
	switch {
	case opts.tree || opts.format != "":
		view, err := found.View()
		if err != nil {
			return err
		}
		if opts.tree {
			return display.Tree(env.Out(), view)
		}
		return display.Execute(env.Out(), template, view)
	case opts.verbose:
		text, err := found.Verbose(ctx, registries, t.reporter)
		if err != nil {
			return err
		}
		return printText(env, text)
	}
	text, err := found.Text()
	if err != nil {
		return err
	}
	return printText(env, text)
}

// lookFor returns the list or image, or the entry of a local list, that the arguments name.
func lookFor(ctx context.Context, env environment, opts inspectOptions, registries manifest.Fetcher) (manifest.Inspection, error) {
	if opts.list == "" {
		name, err := manifest.ParseName(opts.name)
		if err != nil {
			return manifest.Inspection{}, err
		}
		return manifest.Inspect(ctx, env.lists(), registries, name)
	}
	list, err := manifest.ParseListName(opts.list)
	if err != nil {
		return manifest.Inspection{}, err
	}
	return manifest.InspectEntry(ctx, env.lists(), registries, list, opts.name)
}

func printText(env environment, text []byte) error {
	_, err := fmt.Fprintln(env.Out(), string(text))
	return err
}
