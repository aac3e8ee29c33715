package commands

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

type createOptions struct {
	creation                      publish.Creation // what flags set of it
	list                          string
	sources                       []string
	amend                         bool
	replace                       bool
	network                       network
	from                          string
	attestations                  string
	push                          bool
	tags                          []string
	output                        output
	progress                      string
	purge                         string
	digests                       []string
	annotations, indexAnnotations []string
	mediaType                     string
	dryRun                        bool
}

func newCreateCommand(env environment) *cobra.Command {
	var opts createOptions
	cmd := &cobra.Command{
		Use:   "create [OPTIONS] LIST [SOURCE...]",
		Short: "Create a local manifest list for annotating and pushing to a registry",
		Long: "Create a local manifest list of images in the local daemon or in any registry.\n" +
			"A SOURCE is a local image, a tag or digest in a registry, or an index, which contributes all its platforms;\n" +
			"also an OCI image layout, oci-layout://PATH[:TAG][@DIGEST], an archive of docker save,\n" +
			"docker-archive://PATH[:NAME], or an image of another docker context, context://NAME/IMAGE." +
			progressHelp + platformHelp,
		Example: `docker multiarch create registry.example.com/app:1 app:amd64 app:arm64
docker multiarch create --push registry.example.com/app:1 app:amd64 app:arm64
docker multiarch create --push registry.example.com/app:1 --digests ./digests --exact linux/amd64,linux/arm64`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(opts.digests) > 0 {
				return cli.RequiresMinArgs(1)(cmd, args)
			}
			return cli.RequiresMinArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.list, opts.sources = args[0], args[1:]
			return runCreate(cmd.Context(), env, opts)
		},
		ValidArgsFunction: then(env.completeNames, offer(env.imageNames, env.registryNames)),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&opts.amend, "amend", "a", false, "Amend an existing manifest list, with --push the one in the registry")
	flags.BoolVar(&opts.replace, "replace", false, "Replace an existing manifest list")
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	addChoice(cmd, &opts.from, "from", "", `Only look up sources in the daemon or in registries ("daemon", "registry")`, "daemon", "registry")
	addTimeout(flags, &opts.creation.Wait, "wait", `Wait this long for sources that do not exist yet ("90s", "10m")`)
	addPlatforms(cmd, &opts.creation.Choice.Platforms, "platform", "Only include these platforms of the sources")
	addChoice(cmd, &opts.attestations, "attestations", "keep", `Attestations of the images ("keep", "strip")`, "keep", "strip")
	flags.BoolVar(&opts.push, "push", false, "Push immediately, without a local list")
	flags.StringArrayVarP(&opts.tags, "tag", "t", nil, "Also push under this tag, or under this name with a registry and a tag (with --push)")
	flags.StringArrayVar(&opts.digests, "digests", nil, "Add the images of this file or folder that builds wrote: digests, or metadata files")
	addPlatforms(cmd, &opts.creation.Require, "require", "Fail if the list does not have these platforms")
	addPlatforms(cmd, &opts.creation.Exact, "exact", "Fail if the list does not have these platforms, or has others")
	addAnnotations(flags, &opts.annotations, &opts.indexAnnotations, "the list")
	addChoice(cmd, &opts.mediaType, "type", "", `Media type of the list ("docker", "oci"; default: derived from the images)`, "docker", "oci")
	addCondition(cmd, &opts.creation.Condition)
	opts.output.addTo(flags)
	addProgress(cmd, env, &opts.progress)
	addChoice(cmd, &opts.purge, "purge", "", `With "tags", also remove the tags of the images in the repository`, "tags")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "Show the list, its digest and what would be sent, without changing anything")
	completeWith(cmd, offer(env.registryNames), "tag")
	return cmd
}

// parse returns the list that flags and arguments describe.
func (o createOptions) parse() (c publish.Creation, err error) {
	if err := o.contradiction(); err != nil {
		return c, err
	}
	c = o.creation
	if c.Name, err = manifest.ParseListName(o.list); err != nil {
		return c, fmt.Errorf("error parsing name for manifest list %s: %w", o.list, err)
	}
	for _, typed := range o.sources {
		s, err := publish.ParseSource(typed, o.list)
		if err != nil {
			return c, err
		}
		c.Sources = append(c.Sources, s)
	}
	switch {
	case o.amend:
		c.Existing = publish.Amend
	case o.replace:
		c.Existing = publish.Replace
	}
	c.Choice.From, c.Choice.Strip = publish.Location(o.from), o.attestations == "strip"
	c.MediaType = map[string]string{"docker": manifest.MediaTypeDockerList, "oci": ocispec.MediaTypeImageIndex}[o.mediaType]
	if c.Annotations, err = parseAnnotations(o.annotations, "index", o.indexAnnotations); err != nil {
		return c, err
	}
	c.Tags, c.Copies, err = parsePublished(c.Name, o.tags)
	return c, err
}

// contradiction returns an error for flags that cannot be combined.
func (o createOptions) contradiction() error {
	switch {
	case o.amend && o.replace:
		return invalid("--amend and --replace cannot be combined")
	case o.push && o.amend && o.creation.Condition.NoClobber:
		return invalid("--amend moves the tag, and --no-clobber does not allow that")
	case o.push && o.replace:
		return invalid("--push makes the list without the local store, so there is nothing to --replace")
	case len(o.digests) > 0 && o.from == "daemon":
		return invalid("--digests names images in a registry, which --from daemon does not ask")
	case !o.push && (o.creation.Condition.IsSet() || o.output != output{} || o.purge != ""):
		return invalid("--if-digest, --no-clobber, --quiet, --digest-file, --metadata-file and --purge require --push")
	case len(o.tags) > 0 && !o.push:
		return manifest.WithHint(invalid("--tag requires --push"),
			"to push the local list under more tags later: docker multiarch push --tag %s %s", o.tags[0], o.list)
	}
	return o.output.checkDryRun(o.dryRun)
}

func runCreate(ctx context.Context, env environment, opts createOptions) error {
	c, err := opts.parse()
	if err != nil {
		return err
	}
	for i, s := range c.Sources {
		if err := env.checkRefs(s.Ref); err != nil {
			return err
		}
		if manifest.IsLayout(s.Ref) && !opts.push { // a later push may run in another folder
			path, err := filepath.Abs(manifest.LayoutPath(s.Ref))
			if err != nil {
				return err
			}
			c.Sources[i].Ref = manifest.AtLayoutPath(s.Ref, path)
		}
	}
	outputs, diagnostics, err := readOutputs(env, opts.digests, c.Name)
	if err != nil {
		return err
	}
	c.Sources = append(c.Sources, outputs...)
	t := newToolsShowing(env, opts.output.quiet, opts.progress)
	diagnostics.Report(t.reporter)
	warnLevels(t.reporter, c.Annotations.Skipped)
	noteOfficial(t.reporter, opts.list, c.Name)
	registries := t.registries(opts.network)
	lists, clients := env.lists(), t.clients(registries)
	var list manifest.List
	switch {
	case opts.push && !opts.dryRun:
		push := publish.CreateAndPush
		if opts.amend {
			push = publish.AmendPublished
		}
		names := slices.Concat([]reference.NamedTagged{c.Name}, c.Tags, c.Copies)
		return t.publish(ctx, registries, opts.output, names, opts.purge == "tags", func() (publish.Pushed, error) { return push(ctx, clients, c) })
	case opts.push && opts.amend:
		index, err := publish.PreviewAmend(ctx, clients, c)
		if err == nil {
			t.showIndex(index, opts.output.quiet)
		}
		return err
	case opts.push:
		list, err = publish.Assemble(ctx, clients, c)
	case opts.dryRun:
		list, err = publish.Preview(ctx, lists, clients, c)
	default:
		list, err = publish.Create(ctx, lists, clients, c)
	}
	switch {
	case err != nil:
		return err
	case opts.dryRun:
		return t.showPlan(ctx, clients, publish.Publication{List: list, Tags: c.Tags, Copies: c.Copies, Condition: c.Condition}, opts.output.quiet)
	}
	_, _ = fmt.Fprintln(env.Out(), "Created manifest list", list.Name)
	return nil
}

// noteOfficial notes that a name without registry and user stands for one of Docker's own.
func noteOfficial(report manifest.Reporter, typed string, name reference.NamedTagged) {
	if !strings.Contains(typed, "/") {
		report.Note("%s is %s, which only Docker can push to; use NAME/%[1]s for Docker Hub, or HOST/%[1]s", manifest.Familiar(name), name)
	}
}
