package commands

import (
	"context"
	"fmt"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
	"github.com/docker-multiarch/docker-multiarch/transfer"
)

type tagOptions struct {
	remote    bool
	condition manifest.Condition
	output    output
	progress  string
	network   network
}

func newTagCommand(env environment) *cobra.Command {
	var opts tagOptions
	cmd := &cobra.Command{
		Use:   "tag [OPTIONS] SOURCE TARGET [TARGET...]",
		Short: "Add tags to a local manifest list, a local image, or an image in a registry",
		Long: "Add tags to a local manifest list, a local image, or an image in a registry.\n" +
			"A local list is copied. If SOURCE is not a local list, it is a local image, which is tagged in the daemon.\n" +
			"With --remote, SOURCE is an image or list in a registry and is tagged there, with all its platforms: no\n" +
			"layers are sent, and tags that point to something else are moved. A TARGET may then be only a tag." + progressHelp,
		Args: cli.RequiresMinArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTag(cmd.Context(), env, opts, args[0], args[1:])
		},
		ValidArgsFunction: offer(env.listNames, env.imageNames, env.registryNames),
	}
	flags := cmd.Flags()
	flags.BoolVar(&opts.remote, "remote", false, "Tag in the registry, and print the digest")
	addCondition(cmd, &opts.condition)
	opts.output.addTo(flags)
	addProgress(cmd, env, &opts.progress)
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	return cmd
}

func runTag(ctx context.Context, env environment, opts tagOptions, source string, targets []string) error {
	name, err := manifest.ParseName(source)
	if err != nil {
		return err
	}
	parse := manifest.ParseListName
	if opts.remote {
		parse = func(s string) (reference.NamedTagged, error) { return parseTarget(name, s, manifest.SameRegistry) }
	}
	names, err := parseAll(targets, parse)
	if err != nil {
		return err
	}
	t := newToolsShowing(env, opts.output.quiet, opts.progress)
	if !opts.remote {
		if opts.output != (output{}) || opts.condition.IsSet() {
			return invalid("--if-digest, --no-clobber, --quiet, --digest-file and --metadata-file require --remote")
		}
		return publish.Tag(ctx, env.lists(), t.daemon, name, names)
	}
	files, err := opts.output.open(env)
	if err != nil {
		return err
	}
	defer files.discard()
	d, err := transfer.Tag(ctx, t.registries(opts.network), t.reporter, name, names, opts.condition)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(env.Out(), d.Digest)
	err = files.write(d, names[0], names[1:])
	if err == nil {
		t.lastLine(names[0], d.Digest, 0, names)
	}
	return err
}
