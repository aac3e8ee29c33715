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
	network        network
	tags           []string
	allTags        bool
	filters        []string
	platforms      []string
	referrers      bool
	force          bool
	dryRun         bool
	quiet          bool
	username       string
	passwordStdin  bool
	digestFile     string
	metadataFile   string
	progress       string
}

func newImportCommand(env environment) *cobra.Command {
	var opts importOptions
	cmd := &cobra.Command{
		Use:   "import [OPTIONS] SOURCE TARGET",
		Short: "Copy an image or a manifest list from one registry to another",
		Long: "Copy an image or a manifest list, with all its platforms and attestations, from a repository to another\n" +
			"one, in the same registry or in another. Digests stay what they are, what is there is not sent, and tags\n" +
			"are put last. A TARGET without a tag takes the tag of SOURCE.\n\n" +
			"With --progress json there is an object on a line of standard error for each step of a blob: digest,\n" +
			"size, sent (both in bytes) and state (sending, sent, mounted or exists).",
		Example: `docker multiarch import alpine:3.22 registry.example.com/mirror/alpine
docker multiarch import --platform linux/amd64,linux/arm64 --referrers quay.io/team/app:1.0 registry.example.com/app:1.0
docker multiarch import --all-tags --filter '1.*' quay.io/team/app registry.example.com/app`,
		Args: cli.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.source, opts.target = args[0], args[1]
			return runImport(cmd.Context(), env, opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	flags.StringArrayVarP(&opts.tags, "tag", "t", nil, "Put this tag in the repository of TARGET too")
	flags.BoolVarP(&opts.allTags, "all-tags", "a", false, "Import all tags; SOURCE and TARGET are repositories")
	flags.StringArrayVar(&opts.filters, "filter", nil, `With --all-tags, only tags that match a pattern ("1.*", "regex:1[.].*")`)
	flags.StringSliceVar(&opts.platforms, "platform", nil, "Import only these platforms, with their attestations")
	flags.BoolVar(&opts.referrers, "referrers", false, "Import signatures and other artifacts that refer to the image, too")
	flags.BoolVarP(&opts.force, "force", "f", false, "Move tags that name something else")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "Show the digest and what would be sent, and change nothing")
	flags.BoolVarP(&opts.quiet, "quiet", "q", false, "Print the digest only")
	flags.StringVar(&opts.username, "src-username", "", "User name for the registry of SOURCE (with --src-password-stdin)")
	flags.BoolVar(&opts.passwordStdin, "src-password-stdin", false, "Take the password for the registry of SOURCE from stdin")
	flags.StringVar(&opts.digestFile, "digest-file", "", "Write the digest to this file")
	flags.StringVar(&opts.metadataFile, "metadata-file", "", "Write metadata of the image to this file, as JSON")
	addProgress(cmd, &opts.progress)
	completeFlags(cmd, map[string][]string{"platform": manifest.KnownPlatforms()})
	return cmd
}

// request returns what the flags and arguments ask for.
func (o importOptions) request() (i transfer.Import, err error) {
	if err := o.contradiction(); err != nil {
		return i, err
	}
	i = transfer.Import{AllTags: o.allTags, Referrers: o.referrers, Force: o.force}
	if i.Filters, err = parsePatterns("filter", o.filters); err != nil {
		return i, err
	}
	if i.Source, err = manifest.ParseReference(o.source); err != nil {
		return i, err
	}
	if i.Target, err = manifest.ParseReference(o.target); err != nil {
		return i, err
	}
	if _, digested := i.Target.(reference.Digested); digested {
		return i, invalid("TARGET %s names a digest, but it is the source that says which: give a tag or a repository", o.target)
	}
	if i.Platforms, err = manifest.ParsePlatforms(o.platforms); err != nil {
		return i, err
	}
	if o.allTags {
		if !reference.IsNameOnly(i.Source) || !reference.IsNameOnly(i.Target) {
			return i, invalid("with --all-tags SOURCE and TARGET are repositories, without a tag or digest")
		}
		return i, nil
	}
	i.Source = reference.TagNameOnly(i.Source)
	i.Tags, err = o.targetTags(i.Source, i.Target)
	return i, err
}

// targetTags returns the names that the image gets: TARGET with its own tag or the source's, then those of
// the flag.
func (o importOptions) targetTags(source, target reference.Named) ([]reference.NamedTagged, error) {
	var tags []string
	if named, ok := target.(reference.Tagged); ok {
		tags = append(tags, named.Tag())
	} else if named, ok := source.(reference.Tagged); ok {
		tags = append(tags, named.Tag())
	}
	return parseTags(target, append(tags, o.tags...))
}

// contradiction returns an error for flags that cannot stand together or have an unknown value.
func (o importOptions) contradiction() error {
	switch {
	case len(o.filters) > 0 && !o.allTags:
		return invalid("--filter goes with --all-tags")
	case o.allTags && len(o.tags) > 0:
		return invalid("--all-tags keeps the names of the tags, so --tag has no place with it")
	case o.allTags && o.digestFile+o.metadataFile != "":
		return invalid("--digest-file and --metadata-file are for one image; with --all-tags the digests are on standard output")
	case o.username == "" && o.passwordStdin:
		return invalid("--src-password-stdin needs --src-username")
	case o.username != "" && !o.passwordStdin:
		return invalid("--src-username needs --src-password-stdin: a password in the arguments would be seen by others")
	}
	return checkProgress(o.progress)
}

// password returns the standard input as docker login takes a password from it, unless ctx ends first.
func password(ctx context.Context, in io.Reader) (string, error) {
	type input struct {
		raw []byte
		err error
	}
	read := make(chan input, 1)
	go func() {
		raw, err := io.ReadAll(io.LimitReader(in, maxPassword+1))
		read <- input{raw, err}
	}()
	var raw []byte
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case i := <-read:
		if i.err != nil {
			return "", i.err
		}
		raw = i.raw
	}
	secret := withoutNewline(string(raw))
	if secret == "" || len(raw) > maxPassword {
		return "", invalid("--src-password-stdin: standard input is empty or longer than 64 KiB, so it is no password")
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
	t := newTools(env, opts.quiet).withProgress(opts.progress, opts.quiet)
	defer t.progress.Close()
	access, err := t.importAccess(ctx, opts, &request)
	if err != nil {
		return err
	}
	if opts.dryRun {
		plan, err := transfer.PlanImport(ctx, access, request)
		if err == nil {
			display.ImportPlan(env.Out(), t.notes, plan, opts.quiet)
		}
		return err
	}
	files, err := openResults(env.path(opts.digestFile), env.path(opts.metadataFile))
	if err != nil {
		return err
	}
	defer files.discard()
	imported, err := transfer.RunImport(ctx, access, request)
	t.progress.Close()
	if len(imported) > 0 {
		t.progress.Summarize(t.notes)
		display.Imported(env.Out(), imported, opts.quiet)
	}
	if err != nil || opts.allTags {
		return err
	}
	return files.write(imported[0].Descriptor, imported[0].Name, request.Tags[min(1, len(request.Tags)):])
}

// importAccess returns what the import works with. A credential that was given for the source is read, and
// sent to nobody else.
func (t tools) importAccess(ctx context.Context, opts importOptions, request *transfer.Import) (manifest.Access, error) {
	own := t.registryOptions(opts.network)
	if opts.username != "" {
		secret, err := password(ctx, t.env.In())
		if err != nil {
			return manifest.Access{}, err
		}
		reading := own
		reading.Credentials = func(context.Context, string, string, []string) (registry.Credential, error) {
			return registry.Credential{Username: opts.username, Secret: secret}, nil
		}
		own.From = registry.New(reading)
		request.From = own.From
	}
	return manifest.Access{Registry: registry.New(own), Notes: t.notes}, nil
}
