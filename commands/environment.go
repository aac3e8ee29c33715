package commands

import (
	"io"
	"path/filepath"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest/store"
)

// environment is where a command runs: at a terminal or in a step of a task, which has its own streams, local
// lists and working directory.
type environment struct {
	command.Cli
	// listsDir is the folder of the local manifest lists, "" for the user's.
	listsDir string
	// dir is the folder that file names in arguments are relative to, "" for the current one.
	dir string
}

// lists returns the store of the local manifest lists.
func (e environment) lists() *store.Store {
	if e.listsDir != "" {
		return store.New(e.listsDir)
	}
	return store.New(filepath.Join(config.Dir(), "manifests"))
}

// path returns the path of a file that an argument names, "" for "".
func (e environment) path(name string) string {
	if e.dir == "" || name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(e.dir, name)
}

// usage prints the usage of a command that only has subcommands.
func (e environment) usage(cmd *cobra.Command, _ []string) error {
	_, err := io.WriteString(e.Err(), "\n"+cmd.UsageString())
	return err
}
