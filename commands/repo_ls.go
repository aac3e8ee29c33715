package commands

import (
	"context"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

type repoLsOptions struct {
	filter  manifest.Pattern
	format  string
	quiet   bool
	network network
}

func newRepoLsCommand(env environment) *cobra.Command {
	var opts repoLsOptions
	cmd := &cobra.Command{
		Use:     "ls [OPTIONS] REGISTRY",
		Aliases: []string{"list"},
		Short:   "List the repositories of a registry",
		Long: "List the repositories of a registry, one per line. Many registries, including Docker Hub, only\n" +
			"allow administrators to list them, or nobody.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoLs(cmd.Context(), env, opts, args[0])
		},
		ValidArgsFunction: atMost(1, offer(env.registryHosts)),
	}
	flags := cmd.Flags()
	addPattern(flags, &opts.filter, "filter", `Only list repositories whose path matches this pattern ("team/*", "regex:team/.*"; * matches anything but /)`)
	addFormat(cmd, &opts.format, `Format output using a custom template ("table", "json" or a Go template over .Repository and .Name)`, "table", "json")
	flags.BoolVarP(&opts.quiet, "quiet", "q", false, "Only display names, which other commands take")
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	return cmd
}

func runRepoLs(ctx context.Context, env environment, opts repoLsOptions, typed string) error {
	registry, err := manifest.ParseRegistry(typed)
	if err != nil {
		return err
	}
	paths, err := repository.Repositories(ctx, newTools(env, false).registries(opts.network), registry, opts.filter)
	if err != nil {
		return err
	}
	if opts.quiet {
		opts.format = "{{.Name}}"
	}
	return display.Repositories(env.Out(), registry, paths, opts.format)
}
