package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/docker/cli/cli"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

type annotateOptions struct {
	list             string
	source           string
	platform         ocispec.Platform
	whole            string
	annotations      []string
	indexAnnotations []string
	clear            bool
}

func newAnnotateCommand(env environment) *cobra.Command {
	var opts annotateOptions
	cmd := &cobra.Command{
		Use:   "annotate [OPTIONS] LIST [SOURCE]",
		Short: "Add additional information to a local image manifest",
		Long: "Add additional information to the entry of SOURCE in a local manifest list.\n" +
			"Omit SOURCE to annotate only the list itself, with --index-annotation.",
		Args: cli.RequiresRangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.list = args[0]
			if len(args) == 2 {
				opts.source = args[1]
			}
			return runAnnotate(cmd.Context(), env, opts)
		},
		ValidArgsFunction: then(offer(env.otherListNames), offer(env.entryNames)),
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.whole, "platform", "", "Set operating system, architecture and variant (linux/arm/v7)")
	flags.StringVar(&opts.platform.OS, "os", "", "Set operating system")
	flags.StringVar(&opts.platform.Architecture, "arch", "", "Set architecture")
	flags.StringVar(&opts.platform.OSVersion, "os-version", "", "Set operating system version")
	flags.StringSliceVar(&opts.platform.OSFeatures, "os-features", []string{}, "Set operating system feature")
	flags.StringVar(&opts.platform.Variant, "variant", "", "Set architecture variant")
	addAnnotations(flags, &opts.annotations, &opts.indexAnnotations, "the entry")
	flags.BoolVar(&opts.clear, "clear", false, "First remove the annotations, variant, OS version and OS features of the entry")
	completeWith(cmd, platformsAfter, "platform")
	completeFlag(cmd, "os", knownNames(0)...)
	completeFlag(cmd, "arch", knownNames(1)...)
	return cmd
}

// annotation returns what the flags ask for.
func (o annotateOptions) annotation() (a manifest.Annotation, skipped []string, err error) {
	a.Clear = o.clear
	a.Platform = manifest.Unalias(o.platform)
	if o.whole != "" {
		if o.platform.OS+o.platform.Architecture+o.platform.Variant != "" {
			return a, nil, invalid("--platform cannot be combined with --os, --arch and --variant")
		}
		p, err := manifest.ParsePlatform(o.whole)
		if err == nil && p.Variant == manifest.AnyVariant {
			err = invalid("%s is not one platform", o.whole)
		}
		if err != nil {
			return a, nil, fmt.Errorf("--platform: %w", err)
		}
		p.OSVersion, p.OSFeatures = cmp.Or(p.OSVersion, a.Platform.OSVersion), a.Platform.OSFeatures
		a.Platform, a.NoVariant = p.Platform, true
	}
	parsed, err := parseAnnotations(o.annotations, "manifest-descriptor", o.indexAnnotations)
	if err != nil {
		return a, nil, err
	}
	a.List, a.Descriptor = parsed.Index, map[string]string{}
	for _, d := range parsed.Descriptors {
		if d.Platform != nil {
			a.ByPlatform = append(a.ByPlatform, d)
		} else {
			a.Descriptor[d.Key] = d.Value
		}
	}
	p := a.Platform
	onEntry := a.Clear || len(a.Descriptor) > 0 || p.OS+p.Architecture+p.OSVersion+p.Variant != "" || len(p.OSFeatures) > 0
	if o.source == "" && (onEntry || len(a.List)+len(a.ByPlatform) == 0) {
		return a, nil, invalid("name the SOURCE in %s to annotate, or annotate only the list with --index-annotation", o.list)
	}
	return a, parsed.Skipped, nil
}

func runAnnotate(ctx context.Context, env environment, opts annotateOptions) error {
	a, skipped, err := opts.annotation()
	if bad, ok := errors.AsType[*flagError](err); ok { // it is an error like others in docker manifest annotate
		return bad.error
	}
	if err != nil {
		return err
	}
	warnLevels(newTools(env, false).reporter, skipped)
	name, err := manifest.ParseListName(opts.list)
	if err != nil {
		return fmt.Errorf("annotate: error parsing name for manifest list %s: %w", opts.list, err)
	}
	return publish.AnnotateLocal(ctx, env.lists(), name, opts.source, a)
}
