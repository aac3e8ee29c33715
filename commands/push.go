package commands

import (
	"context"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

type pushOptions struct {
	purge     purge
	network   network
	dryRun    bool
	tags      []string
	condition manifest.Condition
	output    output
	progress  string
	// to is a layout, "" for the registry of name.
	to    string
	force bool
}

func newPushCommand(env environment) *cobra.Command {
	var opts pushOptions
	cmd := &cobra.Command{
		Use:   "push [OPTIONS] NAME",
		Short: "Push a manifest list to a repository",
		Long: "Push a local manifest list: first the images that are only in the daemon, then those that its repository\n" +
			"does not have, then the list. If NAME is not a local list, the local image of that name is pushed.\n" +
			"With --to, the list is written to a folder or, if PATH ends in .tar, to a tar." + progressHelp,
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPush(cmd.Context(), env, opts, args[0])
		},
		ValidArgsFunction: atMost(1, offer(env.listNames, env.imageNames)),
	}
	flags := cmd.Flags()
	flags.VarPF(&parsed[purge]{&opts.purge, parsePurge, "false", "bool"}, "purge", "p", `Remove the local manifest list after push; --purge=tags also removes the tags of its images in the repository`).
		NoOptDefVal = "true"
	opts.network.addTo(flags, "Allow push to an insecure registry")
	flags.StringVar(&opts.to, "to", "", "Write the list to an OCI image layout, oci-layout://PATH[:TAG], instead of its registry")
	flags.BoolVarP(&opts.force, "force", "f", false, "With --to, replace an archive that exists, or move a tag")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "Show the list, its digest and what would be sent, without changing anything")
	flags.StringArrayVarP(&opts.tags, "tag", "t", nil, "Also push under this tag, or under this name with a registry and a tag")
	addCondition(cmd, &opts.condition)
	opts.output.addTo(flags)
	addProgress(cmd, env, &opts.progress)
	completeWith(cmd, offer(env.registryNames), "tag")
	completeFlag(cmd, "purge", "true", "false", "tags")
	return cmd
}

func runPush(ctx context.Context, env environment, opts pushOptions, typed string) error {
	name, err := manifest.ParseListName(typed)
	if err != nil {
		return err
	}
	tags, copies, err := parsePublished(name, opts.tags)
	if err != nil {
		return err
	}
	if err := opts.output.checkDryRun(opts.dryRun); err != nil {
		return err
	}
	if opts.force && opts.to == "" {
		return invalid("--force requires --to")
	}
	t := newToolsShowing(env, opts.output.quiet, opts.progress)
	if opts.to != "" {
		return t.pushTo(ctx, opts, name)
	}
	p := publish.Publication{Tags: tags, Copies: copies, Condition: opts.condition}
	registries := t.registries(opts.network)
	clients := t.clients(registries)
	if opts.dryRun {
		return t.planPush(ctx, clients, name, p, opts.output.quiet)
	}
	names := slices.Concat([]reference.NamedTagged{name}, tags, copies)
	return t.publish(ctx, registries, opts.output, names, opts.purge.tags, func() (publish.Pushed, error) {
		return publish.PushLocal(ctx, env.lists(), clients, name, p, opts.purge.list)
	})
}

// pushTo writes the local list called name to a layout.
func (t tools) pushTo(ctx context.Context, opts pushOptions, name reference.NamedTagged) error {
	if opts.dryRun || len(opts.tags) > 0 || opts.condition.IsSet() || opts.purge.tags {
		return invalid("--to cannot be combined with --dry-run, --tag, --if-digest, --no-clobber and --purge=tags")
	}
	to, err := parseEnd(opts.to)
	if err != nil {
		return badValue("--to: %w", err)
	}
	if !manifest.IsLayout(to) {
		return badValue("--to %s: expected oci-layout://PATH[:TAG]", opts.to)
	}
	if err := t.env.checkRefs(to); err != nil {
		return err
	}
	tag := name.Tag()
	if typed, ok := to.(reference.Tagged); ok {
		tag = typed.Tag()
	}
	layouts := &t.env.shown.layouts
	if err := layouts.Target(to, opts.force, func(string) string { return name.String() }); err != nil {
		return err
	}
	files, err := opts.output.open(t.env)
	if err != nil {
		return err
	}
	defer files.discard()
	target := manifest.AtTag(to, tag)
	p := publish.Publication{List: manifest.List{Name: target}, Condition: manifest.Condition{NoClobber: !opts.force}}
	pushed, err := publish.PushTo(ctx, t.env.lists(), t.clients(t.registries(opts.network)), name, p, opts.purge.list, layouts.Commit)
	if errdefs.IsAlreadyExists(err) && manifest.Hint(err) == "" {
		return manifest.WithHint(err, "to move the tag: --force")
	}
	if err != nil {
		return err
	}
	display.Pushed(t.env.Out(), pushed, opts.output.quiet)
	if err := files.write(pushed.Descriptor, target, nil); err != nil {
		return err
	}
	t.lastLine(target, pushed.Descriptor.Digest, 0, nil)
	return nil
}
