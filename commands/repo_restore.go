package commands

import (
	"context"
	"fmt"
	"os"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

func newRepoRestoreCommand(env environment) *cobra.Command {
	var opts network
	cmd := &cobra.Command{
		Use:   "restore [OPTIONS] FILE",
		Short: "Restore what was removed with --record FILE",
		Long: "Restore the tags and manifests that 'repo purge', 'repo rm' or 'repo untag' removed with --record FILE, as\n" +
			"long as the registry still has their layers. A tag that now points to something else is not changed.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoRestore(cmd.Context(), env, opts, args[0])
		},
	}
	opts.addTo(cmd.Flags(), "Allow communication with an insecure registry")
	return cmd
}

func runRepoRestore(ctx context.Context, env environment, opts network, path string) error {
	file, err := env.files().OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	recorded, err := repository.ReadRecorded(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	t := newTools(env, false)
	return repository.Restore(ctx, t.registries(opts), t.reporter, recorded, func(name reference.Named) {
		_, _ = fmt.Fprintln(env.Out(), "Restored", manifest.Familiar(name))
	})
}
