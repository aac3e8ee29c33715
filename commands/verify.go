package commands

import (
	"context"
	"errors"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify"
)

type verifyOptions struct {
	names   []string
	deep    bool
	format  string
	quiet   bool
	network network
}

func newVerifyCommand(env environment) *cobra.Command {
	var opts verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [OPTIONS] NAME [NAME...]",
		Short: "Find out whether images and manifest lists in registries are sound",
		Long: "Find out whether images and manifest lists in registries are sound: everything is there, with the\n" +
			"size and digest that it should have, and platforms are what the images say themselves.\n" +
			"The exit code is 0 when all is sound, 1 when something is not, and 2 when that could not be told.\n\n" +
			"With --format json there is an object on each line, one for each name: name, digest, state (sound,\n" +
			"unsound or untold), manifests (each with kind, platform, mediaType, digest, size and state) and findings\n" +
			"(each with severity, which is unsound, untold or note, the digest of the object, the manifest that it\n" +
			"belongs to, platform and message).",
		Example: `docker multiarch verify registry.example.com/app:1
docker multiarch verify --deep --format json registry.example.com/app:1 registry.example.com/app:2`,
		Args: cli.RequiresMinArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.names = args
			return runVerify(cmd.Context(), env, opts)
		},
		ValidArgsFunction: env.completeListNames,
	}
	f := cmd.Flags()
	opts.network.addTo(f, "Allow communication with an insecure registry")
	f.BoolVar(&opts.deep, "deep", false, "Read and unpack the layers too, and check that the programs that images run are for their platforms")
	f.StringVar(&opts.format, "format", "", flags.FormatHelp)
	f.BoolVarP(&opts.quiet, "quiet", "q", false, "Only display what is not sound or could not be told")
	completeFlags(cmd, map[string][]string{"format": {"json", "table"}})
	return untold(cmd)
}

func runVerify(ctx context.Context, env environment, opts verifyOptions) error {
	if opts.quiet && opts.format != "" {
		return invalid("--quiet and --format are two ways to show one thing: give one of them")
	}
	if _, err := display.ParseTemplate(opts.format); err != nil {
		return err
	}
	names, err := parseAll(opts.names, manifest.ParseName)
	if err != nil {
		return err
	}
	found, err := verify.Verify(ctx, newTools(env, opts.quiet).registries(opts.network), names, opts.deep)
	if err != nil {
		return err
	}
	if err := display.Verified(env.Out(), found, opts.format, opts.quiet); err != nil {
		return err
	}
	return conclusion(found, opts.quiet)
}

// conclusion is nil when all is sound. What is not sound outweighs what could not be told; with quiet the
// output has said it.
func conclusion(found []verify.Verification, quiet bool) error {
	names := map[verify.Soundness][]string{}
	var errs []error
	for _, v := range found {
		names[v.State] = append(names[v.State], v.Name)
		for _, f := range v.Findings {
			if f.Err != nil {
				errs = append(errs, f.Err)
			}
		}
	}
	code, words := 0, []string(nil)
	if untold := names[verify.Untold]; len(untold) > 0 {
		code, words = exitUntold, append(words, "whether this is sound could not be told: "+strings.Join(untold, ", "))
	}
	if unsound := names[verify.Unsound]; len(unsound) > 0 {
		code, words = exitNo, append(words, "not sound: "+strings.Join(unsound, ", "))
	}
	switch {
	case code == 0:
		return nil
	case len(errs) > 0:
		return &verdict{code, manifest.Errorf(errs[0], "%s", strings.Join(words, "\n"))} // for its remedy
	case quiet:
		return &verdict{code, nil}
	}
	return &verdict{code, errors.New(strings.Join(words, "\n"))}
}
