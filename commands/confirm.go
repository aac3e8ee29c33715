package commands

import (
	"context"

	"github.com/docker/cli/cli/command"
)

// confirm prompts for confirmation.
func confirm(ctx context.Context, env environment, what string) (bool, error) {
	//nolint:staticcheck // the docker CLI's own prompt; its successor is internal, and the version is pinned
	return command.PromptForConfirmation(ctx, env.In(), env.Out(), "WARNING! This will "+what+"\nAre you sure you want to continue?")
}
