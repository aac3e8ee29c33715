package commands

import (
	"context"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

type repoRmOptions struct {
	network          network
	force, recursive bool
	dryRun           bool
	record           string
	assumeGone       []string
}

func newRepoRmCommand(env environment) *cobra.Command {
	var opts repoRmOptions
	cmd := &cobra.Command{
		Use:   "rm [OPTIONS] NAME [NAME...]",
		Short: "Delete manifests and indexes from a registry, with all their tags",
		Long: "Delete manifests and indexes from a registry, with all tags that point to them.\n" +
			"NAME has a tag or a digest. What a remaining index lists is not deleted.",
		Args: cli.RequiresMinArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoRm(cmd.Context(), env, opts, args)
		},
		ValidArgsFunction: offer(env.registryNames),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&opts.force, "force", "f", false, "Do not prompt for confirmation")
	flags.BoolVarP(&opts.recursive, "recursive", "r", false, "Also delete the images, attestations and signatures that nothing else needs")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "Only list what would be removed")
	flags.StringVar(&opts.record, "record", "", "Append what is removed to this file, for 'repo restore'")
	addAssumeGone(flags, &opts.assumeGone)
	opts.network.addTo(flags, "Allow communication with an insecure registry")
	return cmd
}

func runRepoRm(ctx context.Context, env environment, opts repoRmOptions, args []string) error {
	names, err := parseAll(args, manifest.ParseName)
	if err == nil {
		err = checkAssumeGone(names[0], opts.assumeGone)
	}
	if err != nil {
		return err
	}
	if opts.dryRun && (opts.force || opts.record != "") {
		return invalid("--dry-run cannot be combined with --force or --record: nothing is removed")
	}
	confirmed := func(steps []repository.Step) (bool, error) {
		switch {
		case opts.force:
			return true, nil
		case opts.dryRun:
			return false, display.Plan(env.Out(), steps, "", len(names) > 1, true)
		}
		yes, err := env.confirm(ctx, "delete from the registry:\n"+strings.TrimSuffix(display.Removal(steps), "\n"))
		if err == nil && !yes && !env.In().IsTerminal() {
			err = manifest.WithHint(manifest.Errorf(errdefs.ErrFailedPrecondition, "nothing was removed: the removal was not confirmed"), "to remove without confirmation: --force")
		}
		return yes, err
	}
	return recorded(env, opts.record, func(t tools, record func(...repository.Recorded) error) error {
		removal := repository.Removal{Confirm: confirmed, DryRun: opts.dryRun, Record: record, AssumeGone: opts.assumeGone, Removed: printRemoved(env)}
		return repository.Remove(ctx, t.registries(opts.network), t.reporter, names, opts.recursive, removal)
	})
}

func addAssumeGone(flags *pflag.FlagSet, names *[]string) {
	flags.StringArrayVar(names, "assume-gone", nil, "Assume that this tag or digest is gone if it is listed but cannot be read (can be repeated)")
}

// checkAssumeGone returns an error for patterns and for references of repo, which are neither tags nor digests. Other names
// are possible, since registries list some that are not valid tags.
func checkAssumeGone(repo reference.Named, names []string) error {
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "*?[]") || strings.HasPrefix(name, reference.FamiliarName(repo)+":") {
			return badValue("--assume-gone %q is neither a tag nor a digest", name)
		}
	}
	return nil
}
