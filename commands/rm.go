package commands

import (
	"context"
	"errors"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func newRmCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use:   "rm LIST [LIST...]",
		Short: "Delete one or more manifest lists from local storage",
		Long:  "Delete one or more manifest lists from local storage. Images are never deleted.",
		Args:  cli.RequiresMinArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRm(cmd.Context(), env, args)
		},
		ValidArgsFunction: offer(env.otherListNames),
	}
}

// runRm removes the lists that exist and reports the others, as docker manifest does.
func runRm(ctx context.Context, env environment, lists []string) error {
	var errs []error
	for _, typed := range lists {
		name, err := manifest.ParseName(typed)
		if err == nil {
			err = env.lists().Remove(ctx, name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
