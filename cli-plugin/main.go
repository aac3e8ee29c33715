// Command docker-multiarch is a Docker CLI plugin: the docker command runs it as 'docker multiarch', and it
// works the same when it is called directly.
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/docker-multiarch/docker-multiarch/commands"
	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli-plugins/plugin"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/debug"
	"go.opentelemetry.io/otel"
)

func main() {
	otel.SetErrorHandler(debug.OTELErrorHandler) // reported only with --debug
	log.SetOutput(io.Discard)                    // net/http logs the protocol errors of servers
	os.Args = commands.PluginArgs(os.Args)
	go func() { os.Exit(<-commands.Abandoned) }()
	cli, err := command.NewDockerCli()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	err = plugin.RunPlugin(cli, commands.NewRootCommand(cli), metadata.Metadata{
		SchemaVersion:    "0.1.0",
		Vendor:           "docker-multiarch",
		Version:          commands.Version,
		ShortDescription: commands.Short,
		URL:              "https://github.com/docker-multiarch/docker-multiarch",
	})
	os.Exit(commands.Report(cli.Err(), err))
}
