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
		Short: "Put back what 'repo purge --record FILE' has removed",
		Long: "Put back the tags and manifests that 'repo purge --record FILE' has removed, as long as the\n" +
			"registry still has their layers. A tag that names something else by now stays as it is.",
		Args: cli.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepoRestore(cmd.Context(), env, opts, args[0])
		},
	}
	opts.addTo(cmd.Flags(), "Allow communication with an insecure registry")
	return cmd
}

func runRepoRestore(ctx context.Context, env environment, opts network, path string) error {
	file, err := os.Open(env.path(path))
	if err != nil {
		return err
	}
	defer file.Close()
	recorded, err := repository.ReadRecorded(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return repository.Restore(ctx, newTools(env, false).access(opts), recorded, func(name reference.Named) {
		_, _ = fmt.Fprintln(env.Out(), "Restored", manifest.Familiar(name))
	})
}
