//go:build ignore

// Command empty is a Docker CLI plugin without commands of its own: what package plugin costs, and so the
// least that the start of a plugin can take.
//
// `make bench` compiles this file by its name from the project's folder, so that docker/cli and everything
// below it have the versions that the plugin has. The e2e module itself does not depend on docker/cli.
package main

import (
	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli-plugins/plugin"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

func main() {
	plugin.Run(func(command.Cli) *cobra.Command {
		return &cobra.Command{Use: "empty", Short: "Do nothing", Run: func(*cobra.Command, []string) {}}
	}, metadata.Metadata{SchemaVersion: "0.1.0", Vendor: "docker-multiarch", Version: "v0.0.0"})
}
