package commands

import (
	"context"
	"fmt"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

type inspectOptions struct {
	verbose bool
	network network
	format  string
	tree    bool
	raw     bool
	size    bool

	platform         *manifest.Platform
	sbom, provenance bool
}

func newInspectCommand(env environment) *cobra.Command {
	var opts inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect [OPTIONS] [LIST] NAME",
		Short: "Display an image manifest, or manifest list",
		Long: "Display a local manifest list, an entry of one, or an image or list in a registry.\n" +
			"A local list takes precedence over a registry.\n\n" +
			"--sbom and --provenance print what BuildKit, cosign or oras attached to an image: the predicate alone or, of\n" +
			"several images, a JSON object by platform. Signatures are not checked." + platformHelp,
		Example: `docker multiarch inspect --raw --platform linux/arm64 registry.example.com/app:1
docker multiarch inspect --sbom --platform linux/arm64 registry.example.com/app:1
docker multiarch inspect --provenance --format '{{json .buildDefinition}}' --platform linux/amd64 registry.example.com/app:1`,
		Args: cli.RequiresRangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInspect(cmd.Context(), env, opts, args)
		},
		ValidArgsFunction: atMost(2, then(env.completeNames, offer(env.entryNames))),
	}
	flags := cmd.Flags()
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	flags.BoolVarP(&opts.verbose, "verbose", "v", false, "Output additional info including layers and platform")
	addFormat(cmd, &opts.format, `Format output using a custom template ("json" or a Go template)`, "json")
	flags.BoolVar(&opts.tree, "tree", false, "Show the list as a tree, with attestations under their images")
	flags.BoolVar(&opts.size, "size", false, "With --tree or --format, show how much there is to download; layers that images share count once")
	flags.BoolVar(&opts.raw, "raw", false, "Print the bytes of the list or manifest, and nothing else")
	flags.BoolVar(&opts.sbom, "sbom", false, "Print the SBOM of each image, as it was attached to it")
	flags.BoolVar(&opts.provenance, "provenance", false, "Print the provenance of each image, as it was attached to it")
	flags.Var(&parsed[*manifest.Platform]{&opts.platform, unlessEmpty(func(s string) (*manifest.Platform, error) {
		p, err := manifest.ParsePlatform(s)
		return &p, err
	}), "", "string"}, "platform", "Show the image for this platform")
	completeWith(cmd, platformsAfter, "platform")
	return cmd
}

// contradiction returns an error for flags that show one thing in several ways.
func (o inspectOptions) contradiction() error {
	ways := 0
	for _, given := range []bool{o.verbose, o.tree, o.raw, o.sbom, o.provenance, o.format != "" && !o.sbom && !o.provenance} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return invalid("--verbose, --format, --tree, --raw, --sbom and --provenance cannot be combined, " +
			"except --format with --sbom or --provenance")
	}
	if o.size && !o.tree && (o.format == "" || o.sbom || o.provenance) {
		return invalid("--size requires --tree or --format")
	}
	return nil
}

func runInspect(ctx context.Context, env environment, opts inspectOptions, args []string) error {
	if err := opts.contradiction(); err != nil {
		return err
	}
	t := newTools(env, false)
	registries := t.registries(opts.network)
	found, err := lookFor(ctx, t, registries, args)
	if err != nil {
		return err
	}
	switch {
	case opts.sbom:
		return showPredicates(ctx, t, registries, found, inspect.SBOM, opts.platform, opts.format)
	case opts.provenance:
		return showPredicates(ctx, t, registries, found, inspect.Provenance, opts.platform, opts.format)
	case opts.platform != nil:
		if found, err = found.For(ctx, registries, *opts.platform); err != nil {
			return err
		}
	}
	if opts.tree || opts.format != "" {
		show := found.View
		if opts.size {
			show = func() (inspect.View, error) { return found.Sized(ctx, registries, t.reporter) }
		}
		view, err := show()
		if err != nil {
			return err
		}
		if opts.tree {
			return display.Tree(env.Out(), view)
		}
		return env.execute(opts.format, view)
	}
	return inspectText(ctx, t, registries, found, opts)
}

// inspectText prints a list or image in the forms that are not templates.
func inspectText(ctx context.Context, t tools, registries manifest.Fetcher, found inspect.Inspection, opts inspectOptions) error {
	if opts.raw {
		raw, err := found.Bytes()
		if err != nil {
			return err
		}
		if t.env.Out().IsTerminal() {
			raw = []byte(manifest.Escape(string(raw), "\n\t"))
		}
		_, err = t.env.Out().Write(raw)
		return err
	}
	show := found.Text
	if opts.verbose {
		show = func() ([]byte, error) { return found.Verbose(ctx, registries, t.reporter) }
	}
	text, err := show()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.env.Out(), string(text))
	return err
}

// showPredicates prints predicates on stdout, and on stderr where they are from.
func showPredicates(ctx context.Context, t tools, registries inspect.PredicateReader, found inspect.Inspection,
	kind inspect.PredicateKind, platform *manifest.Platform, format string,
) error {
	predicates, err := found.Predicates(ctx, registries, t.reporter, kind, platform)
	if err != nil {
		return err
	}
	for _, line := range predicates.Sources() {
		t.reporter.Note("%s", line)
	}
	t.reporter.Note("Signatures were not checked")
	return display.Value(t.env.Out(), predicates.Value(), format)
}

// lookFor returns the list or image, or the entry of a local list, that the arguments name.
func lookFor(ctx context.Context, t tools, registries manifest.Fetcher, args []string) (inspect.Inspection, error) {
	if len(args) == 1 || args[0] == "" {
		name, err := t.env.parseName(args[len(args)-1])
		if err != nil {
			return inspect.Inspection{}, err
		}
		found, err := inspect.Read(ctx, t.env.lists(), registries, name)
		if err != nil {
			err = publish.OnlyInDaemon(ctx, t.daemon, name, err)
		}
		return found, err
	}
	list, err := manifest.ParseListName(args[0])
	if err != nil {
		return inspect.Inspection{}, err
	}
	return inspect.ReadEntry(ctx, t.env.lists(), registries, list, args[1])
}
