package commands

import (
	"context"
	"errors"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify"
)

type verifyOptions struct {
	verify.Options
	digests []string
	shape   display.Listing
	network network
}

func newVerifyCommand(env environment) *cobra.Command {
	var opts verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [OPTIONS] NAME [NAME...]",
		Short: "Check the integrity of images and manifest lists in a registry",
		Long: "Check the integrity of images and manifest lists in a registry: that all manifests, configs and layers\n" +
			"exist with the right size and digest, and that platforms match the configs of the images.\n" +
			"The exit code is 0 if everything is valid, 1 if something is invalid, and 2 if it could not be determined.\n\n" +
			"With --digests, NAME is the repository that CI jobs pushed images to by digest. These images are checked, and\n" +
			"--require and --exact apply to all of them together, as to a list made of them." + platformHelp + "\n\n" +
			"With --format json, each line is an object for one name: name, digest, state (ok, invalid or unknown),\n" +
			"manifests (each with kind, platform, mediaType, digest, size and state) and findings (each with severity,\n" +
			"which is error, unknown or info, the digest of the object, the manifest that it belongs to, platform and\n" +
			"message; one about programs for another architecture also has programs: foreign, counted, paths and layers,\n" +
			"each with digest, foreign and the other platforms that have it).",
		Example: `docker multiarch verify registry.example.com/app:1
docker multiarch verify --exact linux/amd64,linux/arm64 registry.example.com/app:1
docker multiarch verify --digests ./digests --require linux/amd64,linux/arm64 registry.example.com/app
docker multiarch verify --deep --format json registry.example.com/app:1 registry.example.com/app:2`,
		Annotations: answers("Everything is valid.", "Something is invalid or does not exist."),
		Args:        cli.RequiresMinArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerify(cmd.Context(), env, opts, args)
		},
		ValidArgsFunction: env.completeNames,
	}
	f := cmd.Flags()
	opts.network.addTo(f, "Allow communication with an insecure registry")
	f.BoolVar(&opts.Deep, "deep", false, "Also read and unpack the layers, and check that the programs and libraries of images are built for their platforms")
	addPlatforms(cmd, &opts.Require, "require", "Report an error unless there is an image for this platform (can be repeated)")
	addPlatforms(cmd, &opts.Exact, "exact", "Report an error unless there are images for these platforms and no others")
	f.StringArrayVar(&opts.digests, "digests", nil, "Check the images that this file of a build, or folder of such files, names (can be repeated)")
	addShape(cmd, &opts.shape, flags.FormatHelp, "Show errors and failed checks only")
	return cmd
}

func runVerify(ctx context.Context, env environment, opts verifyOptions, args []string) error {
	if opts.shape.Quiet && opts.shape.Format != "" {
		return invalid("--quiet and --format cannot be combined")
	}
	names, err := parseAll(args, env.parseName)
	if err != nil {
		return err
	}
	t := newTools(env, opts.shape.Quiet)
	opts.Progress = t.progress
	if len(opts.digests) > 0 {
		if names, err = delivered(env, t, opts.digests, args); err != nil {
			return err
		}
		opts.Together = args[0]
	}
	results, err := verify.Check(ctx, t.registries(opts.network), names, opts.Options)
	if err != nil {
		return err
	}
	if err := display.Verified(env.Out(), results, opts.shape.Format, opts.shape.Quiet, opts.shape.NoTrunc); err != nil {
		return err
	}
	return conclusion(results, opts.shape.Quiet)
}

// delivered returns the images that the files of --digests name.
func delivered(env environment, t tools, digests, args []string) ([]reference.Named, error) {
	if len(args) != 1 {
		return nil, invalid("--digests requires a single repository, not %d names", len(args))
	}
	repository, err := manifest.ParseRepository(args[0])
	if err != nil {
		return nil, err
	}
	sources, diagnostics, err := readOutputs(env, digests, repository)
	if err != nil {
		return nil, err
	}
	diagnostics.Report(t.reporter)
	var names []reference.Named
	for _, s := range sources {
		names = append(names, s.Ref)
	}
	return names, nil
}

// conclusion returns the verdict on all results, nil if they are ok. Invalid takes precedence over unknown. With
// quiet the findings have been printed, and are enough.
func conclusion(results []verify.Result, quiet bool) error {
	names := map[verify.State][]string{}
	var errs []error
	var absent []string
	for _, r := range results {
		switch err := r.Absent(); {
		case err == nil:
			names[r.State] = append(names[r.State], r.Name)
		case quiet:
			names[r.State] = append(names[r.State], r.Name)
			continue
		default:
			absent = append(absent, err.Error())
		}
		for _, f := range r.Findings {
			if f.Err != nil {
				errs = append(errs, f.Err)
			}
		}
	}
	code, lines := 0, []string(nil)
	if unknown := names[verify.StateUnknown]; len(unknown) > 0 {
		code, lines = exitUnknown, append(lines, "could not be verified: "+strings.Join(unknown, ", "))
	}
	if invalid := names[verify.StateInvalid]; len(invalid) > 0 {
		code, lines = exitNo, append(lines, "invalid: "+strings.Join(invalid, ", "))
	}
	if len(absent) > 0 {
		code, lines = exitNo, append(lines, absent...)
	}
	switch {
	case code == 0:
		return nil
	case len(errs) > 0:
		return &verdict{code, manifest.Errorf(errs[0], "%s", strings.Join(lines, "\n"))} // for its hint
	case quiet:
		return &verdict{code, nil}
	}
	return &verdict{code, errors.New(strings.Join(lines, "\n"))}
}
