package commands

import (
	"io"
	"path/filepath"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest/store"
)

// environment is where a command runs: at a terminal or in a step of a task, which has its own streams, local
// lists and files.
type environment struct {
	command.Cli
	// listsDir is the folder of the local manifest lists, "" for the user's.
	listsDir string
	// step has the files of a step of a task, and is nil otherwise.
	step files
	// pushed is called for what a command has pushed, nil if nobody asks.
	pushed func(ocispec.Descriptor, []string)
}

// lists returns the store of the local manifest lists.
func (e environment) lists() *store.Store {
	if e.listsDir != "" {
		return store.New(e.listsDir)
	}
	return store.New(filepath.Join(config.Dir(), "manifests"))
}

// files returns the files that arguments name.
func (e environment) files() files {
	if e.step != nil {
		return e.step
	}
	return hostFiles{}
}

// usage prints the usage of a command that only has subcommands.
func (e environment) usage(cmd *cobra.Command, _ []string) error {
	_, err := io.WriteString(e.Err(), "\n"+cmd.UsageString())
	return err
}
