package commands

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

type pushOptions struct {
	name         string
	purge        purge
	insecure     bool
	quiet        bool
	dryRun       bool
	tags         []string
	digestFile   string
	metadataFile string
}

func newPushCommand(dockerCLI command.Cli) *cobra.Command {
	var opts pushOptions
	cmd := &cobra.Command{
		Use:   "push [OPTIONS] MANIFEST_LIST",
		Short: "Push a manifest list to a repository",
		Long: "Push a local manifest list: first the images that are pending in the daemon, then those that its\n" +
			"repository lacks, then the list. A name that is no local list, but a local image, is pushed as it is.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.name = args[0]
			return runPush(cmd.Context(), dockerCLI, opts)
		},
		ValidArgsFunction: completeListNames,
	}
	flags := cmd.Flags()
	flags.VarPF(&opts.purge, "purge", "p", `Remove the local manifest list after push; "tags" removes the images' own tags in the repository too`).
		NoOptDefVal = "true"
	flags.BoolVar(&opts.insecure, "insecure", false, "Allow push to an insecure registry")
	flags.BoolVarP(&opts.quiet, "quiet", "q", false, "Print the digest only")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "Show the list, its digest and what would be sent, and change nothing")
	flags.StringArrayVarP(&opts.tags, "tag", "t", nil, "Push under this tag too")
	flags.StringVar(&opts.digestFile, "digest-file", "", "Write the digest to this file")
	flags.StringVar(&opts.metadataFile, "metadata-file", "", "Write metadata of the list to this file, as JSON")
	completeFlags(cmd, map[string][]string{"purge": {"true", "false", "tags"}})
	return cmd
}

func runPush(ctx context.Context, dockerCLI command.Cli, opts pushOptions) error {
	name, err := manifest.ParseListName(opts.name)
	if err != nil {
		return err
	}
	tags, err := parseTags(name, opts.tags)
	if err != nil {
		return err
	}
	t := newTools(dockerCLI, opts.quiet)
	if opts.dryRun {
		list, err := localLists().Get(name)
		list.Name = name
		return t.showPlan(list, tags, opts.quiet, err)
	}
	files, err := openResults(opts.digestFile, opts.metadataFile)
	if err != nil {
		return err
	}
	defer files.discard()
	registries := t.registries(opts.insecure)
	pushed, err := t.push(ctx, registries, name, tags, opts.purge.list)
	if err != nil {
		return err
	}
	display.Children(dockerCLI.Out(), pushed, opts.quiet)
	if err := files.write(pushed.Descriptor, name, tags); err != nil {
		return err
	}
	if opts.purge.tags {
		return manifest.PurgeTags(ctx, registries, t.notes, pushed, tags)
	}
	return nil
}

// push pushes the local list called name or, when there is none, the local image.
func (t tools) push(ctx context.Context, registries manifest.Registry, name reference.NamedTagged, tags []reference.NamedTagged, purge bool) (manifest.Pushed, error) {
	pushed, err := manifest.PushLocal(ctx, localLists(), registries, t.daemon, t.notes, name, tags, purge)
	if !errdefs.IsNotFound(err) || pushed.Descriptor.Digest != "" {
		return pushed, err
	}
	image, imageErr := manifest.PushImage(ctx, registries, t.daemon, name, tags)
	if errdefs.IsNotFound(imageErr) || errdefs.IsUnavailable(imageErr) {
		return image, manifest.Errorf(errdefs.ErrNotFound, "%w; nor is it pushed as a local image: %v", err, imageErr)
	}
	return image, imageErr
}
