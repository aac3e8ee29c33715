package commands

import (
	"context"
	"io"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry"
	"github.com/docker-multiarch/docker-multiarch/transfer"
)

type importOptions struct {
	source, target string
	transfer       transfer.Request // what flags set of it
	network        network
	tags           []string
	dryRun         bool
	output         output
	username       string
	passwordStdin  bool
	progress       string
}

func newImportCommand(env environment) *cobra.Command {
	var opts importOptions
	cmd := &cobra.Command{
		Use:     "import [OPTIONS] SOURCE TARGET",
		Aliases: []string{"copy"},
		Short:   "Copy an image or a manifest list from one registry to another",
		Long: "Copy an image or a manifest list, with all its platforms and attestations, to another repository, in the\n" +
			"same registry or in another one. Digests are preserved, existing content is not sent again, and tags are\n" +
			"written last. A TARGET without a tag gets the tag of SOURCE.\n" +
			"\n" +
			"SOURCE can also be an OCI image layout, oci-layout://PATH[:TAG][@DIGEST], or an archive of docker save,\n" +
			"docker-archive://PATH[:NAME]; TARGET a layout in a folder or, if PATH ends in .tar, in a tar." + progressHelp + platformHelp,
		Example: `docker multiarch import alpine:3.22 registry.example.com/mirror/alpine
docker multiarch import --platform linux/amd64,linux/arm64 --referrers quay.io/team/app:1.0 registry.example.com/app:1.0
docker multiarch import --all-tags --filter '1.*' quay.io/team/app registry.example.com/app
docker multiarch import --all-tags --referrers registry.example.com/app oci-layout://backup.tar`,
		Args: cli.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.source, opts.target = args[0], args[1]
			return runImport(cmd.Context(), env, opts)
		},
		ValidArgsFunction: atMost(2, offer(env.registryNames)),
	}
	flags := cmd.Flags()
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	flags.StringArrayVarP(&opts.tags, "tag", "t", nil, "Add this tag in the repository of TARGET, too")
	flags.BoolVarP(&opts.transfer.AllTags, "all-tags", "a", false, "Import all tags; SOURCE and TARGET are repositories")
	addPatterns(flags, &opts.transfer.Filters, "filter", `With --all-tags, only import tags that match a pattern ("1.*", "regex:1[.].*")`)
	addPlatforms(cmd, &opts.transfer.Platforms, "platform", "Import only these platforms, with their attestations")
	flags.BoolVar(&opts.transfer.Referrers, "referrers", false, "Also import referrers of the image, such as signatures")
	addCondition(cmd, &opts.transfer.Condition)
	flags.BoolVarP(&opts.transfer.Force, "force", "f", false, "Move tags that point to something else, replace a tar that exists, and check the blobs of existing content")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "Show the digest and what would be sent, without changing anything")
	opts.output.addTo(flags)
	flags.StringVar(&opts.username, "src-username", "", "User name for the registry of SOURCE (with --src-password-stdin)")
	flags.BoolVar(&opts.passwordStdin, "src-password-stdin", false, "Read the password for the registry of SOURCE from stdin")
	addProgress(cmd, env, &opts.progress)
	return cmd
}

// request returns the request that flags and arguments describe.
func (o importOptions) request() (r transfer.Request, err error) {
	if err := o.check(); err != nil {
		return r, err
	}
	r = o.transfer
	if r.Source, err = parseEnd(o.source); err != nil {
		return r, err
	}
	if r.Target, err = parseEnd(o.target); err != nil {
		return r, err
	}
	if _, digested := r.Target.(reference.Digested); digested {
		return r, invalid("TARGET %s has a digest, which is determined by SOURCE: use a tag or a repository", o.target)
	}
	if o.transfer.AllTags {
		if !reference.IsNameOnly(r.Source) || !reference.IsNameOnly(r.Target) {
			return r, invalid("with --all-tags, SOURCE and TARGET must be repositories, without a tag or digest")
		}
		return r, nil
	}
	if r.Source, err = manifest.ParseNameOrLayout(o.source); err != nil {
		return r, err
	}
	r.Tags, err = o.targetTags(r.Source, r.Target)
	return r, err
}

// parseEnd parses SOURCE or TARGET, which has no tag if none was typed.
func parseEnd(typed string) (reference.Named, error) {
	ref, err := manifest.ParseNameOrLayout(typed)
	switch {
	case err != nil:
		return nil, err
	case !manifest.IsLayout(ref):
		return manifest.ParseReference(typed)
	}
	if tagged, ok := ref.(reference.Tagged); ok && tagged.Tag() == manifest.OnlyImage {
		return reference.TrimNamed(ref), nil
	}
	return ref, nil
}

// announceTarget says that a layout is going to be written, if the target is one.
func (o importOptions) announceTarget(env environment, r transfer.Request) error {
	if err := env.checkRefs(r.Source, r.Target); err != nil || !manifest.IsLayout(r.Target) {
		return err
	}
	layouts := &env.shown.layouts
	return layouts.Target(r.Target, o.transfer.Force, func(tag string) string {
		source := r.Source
		if _, isDigestTag := manifest.CutDigestTag(tag); isDigestTag {
			return ""
		}
		if o.transfer.AllTags {
			source = manifest.AtTag(source, tag)
		}
		if manifest.IsLayout(source) {
			source = layouts.FullName(source)
		}
		if source == nil {
			return ""
		}
		return manifest.AtTag(source, tag).String()
	})
}

// targetTags returns the tags that the image gets: that of TARGET or else of SOURCE, then those of the flag.
func (o importOptions) targetTags(source, target reference.Named) ([]reference.NamedTagged, error) {
	var tags []string
	if named, ok := target.(reference.Tagged); ok {
		tags = append(tags, named.Tag())
	} else if named, ok := source.(reference.Tagged); ok && named.Tag() != manifest.OnlyImage {
		tags = append(tags, named.Tag())
	}
	if manifest.IsLayout(target) && len(tags)+len(o.tags) == 0 {
		return nil, invalid("%s has no tag, and neither has %s: expected %s:TAG", o.target, o.source, o.target)
	}
	return parseTags(target, append(tags, o.tags...))
}

// check returns an error for flags that cannot be combined.
func (o importOptions) check() error {
	switch {
	case o.transfer.Force && o.transfer.Condition.NoClobber:
		return badValue("--force and --no-clobber cannot be combined")
	case len(o.transfer.Filters) > 0 && !o.transfer.AllTags:
		return invalid("--filter requires --all-tags")
	case o.transfer.AllTags && len(o.tags) > 0:
		return invalid("--tag cannot be combined with --all-tags, which keeps the names of the tags")
	case o.transfer.AllTags && o.output.digestFile+o.output.metadataFile != "":
		return invalid("--digest-file and --metadata-file cannot be combined with --all-tags, which prints the digests on standard output")
	case o.username == "" && o.passwordStdin:
		return invalid("--src-password-stdin requires --src-username")
	case o.username != "" && !o.passwordStdin:
		return invalid("--src-username requires --src-password-stdin: other users can see passwords in arguments")
	}
	return o.output.checkDryRun(o.dryRun)
}

// password reads a password from standard input as docker login does, until ctx is done.
func password(ctx context.Context, in io.Reader) (string, error) {
	var raw []byte
	read := make(chan error, 1)
	go func() {
		var err error
		raw, err = io.ReadAll(io.LimitReader(in, maxPassword+1))
		read <- err
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case err := <-read:
		if err != nil {
			return "", err
		}
	}
	secret := withoutNewline(string(raw))
	if secret == "" || len(raw) > maxPassword {
		return "", invalid("--src-password-stdin: standard input is empty or longer than 64 KiB, so it is not a password")
	}
	return secret, nil
}

// maxPassword is longer than any token.
const maxPassword = 64 << 10

func runImport(ctx context.Context, env environment, opts importOptions) error {
	request, err := opts.request()
	if err != nil {
		return err
	}
	if err := opts.announceTarget(env, request); err != nil {
		return err
	}
	t := newToolsShowing(env, opts.output.quiet, opts.progress)
	client, err := t.importRegistry(ctx, opts)
	if err != nil {
		return err
	}
	if opts.dryRun {
		plan, err := transfer.Plan(ctx, client, t.reporter, request)
		if len(plan.Images) > 0 {
			display.ImportPlan(env.Out(), t.reporter, plan, opts.output.quiet)
		}
		return opts.withHint(err, request.Source)
	}
	files, err := opts.output.open(env)
	if err != nil {
		return err
	}
	defer files.discard()
	imported, err := transfer.Import(ctx, client, t.reporter, request)
	err = env.shown.layouts.Commit(ctx, opts.withHint(err, request.Source))
	if err != nil && env.shown.layouts.WritesArchive() {
		if opts.transfer.AllTags && len(imported) > 0 && manifest.Hint(err) == "" {
			err = manifest.WithHint(err, "to keep the tags that could be read, write them to a folder")
		}
		return err
	}
	t.progress.Close()
	if len(imported) > 0 {
		t.progress.Summarize(t.reporter)
		display.Imported(env.Out(), imported, opts.output.quiet)
	}
	if opts.transfer.AllTags && env.pushed != nil {
		for _, i := range imported {
			env.pushed(i.Descriptor, []string{i.Name.String()})
		}
	}
	if err != nil || opts.transfer.AllTags {
		return err
	}
	err = files.write(imported[0].Descriptor, imported[0].Name, request.Tags[min(1, len(request.Tags)):])
	if err == nil {
		t.lastLine(imported[0].Name, imported[0].Descriptor.Digest, 0, request.Tags)
	}
	return err
}

// withHint returns err with a hint if the registry of the source refused the login of the flags.
func (o importOptions) withHint(err error, source reference.Named) error {
	at := refusedBy(err)
	if o.username == "" || at == nil || at.Registry() != reference.Domain(source) {
		return err
	}
	return manifest.WithHint(err, "check --src-username and the password on standard input, which are used for %s", at.Registry())
}

// importRegistry returns the registry client of an import. It sends a login that is given for the source to no other
// registry.
func (t tools) importRegistry(ctx context.Context, opts importOptions) (*registry.Client, error) {
	target := t.registryOptions(opts.network)
	if opts.username != "" {
		secret, err := password(ctx, t.env.In())
		if err != nil {
			return nil, err
		}
		source := target
		source.Credentials = func(context.Context, string, string, []string) (registry.Credential, error) {
			return registry.Credential{Username: opts.username, Secret: secret}, nil
		}
		source.WithoutLogin, source.Forget = nil, nil
		target.From = registry.New(source)
	}
	t.progress.Start("the registry")
	return registry.New(target), nil
}
