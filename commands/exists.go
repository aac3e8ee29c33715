package commands

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify"
)

type existsOptions struct {
	platforms []manifest.Platform
	network   network
	wait      time.Duration
}

func newExistsCommand(env environment) *cobra.Command {
	var opts existsOptions
	cmd := &cobra.Command{
		Use:   "exists [OPTIONS] NAME [NAME...]",
		Short: "Check whether registries have images or manifest lists",
		Long: "Check whether registries have images or manifest lists, by their tags or digests.\n" +
			"The exit code is 0 if all exist, 1 if one does not, and 2 if it could not be determined." + platformHelp,
		Example: `docker multiarch exists registry.example.com/app:1
docker multiarch exists --platform linux/amd64,linux/arm64 registry.example.com/app:1`,
		Annotations: answers("It exists.", "It does not exist."),
		Args:        cli.RequiresMinArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExists(cmd.Context(), env, opts, args)
		},
		ValidArgsFunction: env.completeNames,
	}
	flags := cmd.Flags()
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	addPlatforms(cmd, &opts.platforms, "platform", "Check for an image for this platform, too (can be repeated)")
	addTimeout(flags, &opts.wait, "wait", `Wait this long for what does not exist yet ("90s", "10m")`)
	return cmd
}

func runExists(ctx context.Context, env environment, opts existsOptions, args []string) error {
	names, err := parseAll(args, env.parseName)
	if err != nil {
		return err
	}
	t := newTools(env, false)
	registries := t.registries(opts.network)
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			what := manifest.Familiar(name)
			for _, p := range opts.platforms {
				what += " " + p.String()
			}
			errs[i] = manifest.Await(ctx, opts.wait, t.reporter, what, func() error { return verify.Exists(ctx, registries, name, opts.platforms) })
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err == nil || ctx.Err() != nil || !slices.ContainsFunc(errs, errdefs.IsNotFound) {
		return err
	}
	return &verdict{exitNo, errors.Join(errs...)}
}
