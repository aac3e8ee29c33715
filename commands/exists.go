package commands

import (
	"context"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify"
)

type existsOptions struct {
	name      string
	platforms []string
	network   network
	wait      time.Duration
}

func newExistsCommand(env environment) *cobra.Command {
	var opts existsOptions
	cmd := &cobra.Command{
		Use:   "exists [OPTIONS] NAME",
		Short: "Check whether a registry has an image or manifest list",
		Long: "Check whether a registry has an image or manifest list, by its tag or digest.\n" +
			"The exit code is 0 if it exists, 1 if it does not, and 2 if it could not be determined." + platformHelp,
		Example: `docker multiarch exists registry.example.com/app:1
docker multiarch exists --platform linux/amd64,linux/arm64 registry.example.com/app:1`,
		Annotations: answers("It exists.", "It does not exist."),
		Args:        cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.name = args[0]
			return runExists(cmd.Context(), env, opts)
		},
		ValidArgsFunction: env.completeListNames,
	}
	flags := cmd.Flags()
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	flags.StringSliceVar(&opts.platforms, "platform", nil, "Check for an image for this platform, too (can be repeated)")
	addWait(flags, &opts.wait, "Wait this long for what does not exist yet")
	completeFlags(cmd, map[string][]string{"platform": manifest.KnownPlatforms()})
	return cmd
}

func runExists(ctx context.Context, env environment, opts existsOptions) error {
	name, err := env.parseName(opts.name)
	if err != nil {
		return err
	}
	platforms, err := parsePlatforms("platform", opts.platforms)
	if err != nil {
		return err
	}
	t := newTools(env, false)
	registries := t.registries(opts.network)
	err = manifest.Await(ctx, opts.wait, t.reporter, strings.Join(append([]string{manifest.Familiar(name)}, opts.platforms...), " "), func() error {
		return verify.Exists(ctx, registries, name, platforms)
	})
	if errdefs.IsNotFound(err) {
		return &verdict{exitNo, err}
	}
	return err
}
