package commands

import (
	"cmp"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/streams"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/layout"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
)

// environment is where a command runs: at a terminal or in a step of a task, which has its own streams, local
// lists and files.
type environment struct {
	command.Cli
	// args are the arguments of docker.
	args []string
	// listsDir is the folder of the local manifest lists, "" for the user's.
	listsDir string
	// step has the files of a step of a task, and is nil otherwise.
	step files
	// pushed is called for what a command has pushed, nil if nobody asks.
	pushed func(ocispec.Descriptor, []string)
	// shown is what the command shows.
	shown *shown
}

// shown holds what a command shows while it runs, and the first error of writing its result.
type shown struct {
	progress  *display.Progress
	reporter  *display.Reporter
	unwritten atomic.Pointer[error]
	// layouts are the layouts and archives that the command uses.
	layouts layout.Layouts
}

// parseName parses the name of an image in a registry or in a layout. A step of a task may not name a layout: it could read
// any file of this machine.
func (e environment) parseName(typed string) (reference.Named, error) {
	ref, err := manifest.ParseNameOrLayout(typed)
	if err == nil {
		err = e.checkRefs(ref)
	}
	return ref, err
}

// checkRefs returns an error for a reference that a step of a task may not use.
func (e environment) checkRefs(refs ...reference.Named) error {
	outside := func(ref reference.Named) bool { return manifest.IsLayout(ref) || manifest.IsOfContext(ref) }
	if i := slices.IndexFunc(refs, outside); i >= 0 && e.step != nil {
		return invalid("%s: a step of a task can only use images of registries and of the daemon", manifest.Familiar(refs[i]))
	}
	return nil
}

// Out returns the stream for results, and ends the progress that is shown: another event starts it again. Commands need not
// check writes to it: see finish. Terminals accept everything.
func (e environment) Out() *streams.Out {
	e.endProgress()
	out := e.Cli.Out()
	if out.IsTerminal() {
		return out
	}
	return streams.NewOut(resultWriter{out, e.shown})
}

type resultWriter struct {
	io.Writer
	shown *shown
}

func (w resultWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		w.shown.unwritten.CompareAndSwap(nil, &err)
	}
	return n, err
}

func (e environment) endProgress() {
	if e.shown.progress != nil {
		e.shown.progress.Close()
	}
}

// progress shows progress in one of the modes of package display until there is a result, or the command ends. Notes and
// warnings appear above it.
func (e environment) progress(mode string, quiet bool) (*display.Progress, *display.Reporter) {
	p := display.NewProgress(e.Err(), mode)
	r := display.NewReporter(p, quiet)
	e.shown.progress, e.shown.reporter = p, r
	return p, r
}

// interrupted reports what an interrupted command has copied, if that is kept.
func (e environment) interrupted() {
	if e.shown.progress != nil && !e.shown.layouts.WritesArchive() {
		e.shown.progress.SummarizeInterrupted(e.shown.reporter)
	}
}

// progressMode is the default mode: that of docker buildx if there is one, but not in a step, which has no terminal.
func (e environment) progressMode() string {
	if mode := os.Getenv("BUILDKIT_PROGRESS"); e.step == nil && slices.Contains(display.ProgressModes, mode) {
		return mode
	}
	return display.ProgressAuto
}

// lists returns the store of the local manifest lists.
func (e environment) lists() *store.Store {
	dir := cmp.Or(e.listsDir, filepath.Join(config.Dir(), "manifests"))
	lists := store.New(dir)
	lists.Waiting = func() {
		var out io.Writer = display.Prose{Out: e.Err()}
		if e.shown.progress != nil {
			out = e.shown.progress
		}
		display.NewReporter(out, false).Note("Waiting for another command that changes the local manifest lists in %s", dir)
	}
	return lists
}

// files returns the files that arguments name.
func (e environment) files() files {
	if e.step != nil {
		return e.step
	}
	return hostFiles{}
}

// subcommand checks the arguments of a command that only has subcommands. The error for an unknown one suggests that with the
// nearest name.
func subcommand(cmd *cobra.Command, args []string) error {
	err := cli.NoArgs(cmd, args)
	if err == nil {
		return nil
	}
	paths := map[string]string{}
	for _, c := range cmd.Commands() {
		for _, name := range append(c.Aliases, c.Name()) {
			paths[name] = c.CommandPath()
		}
		for _, below := range c.Commands() {
			if name := below.Name(); name == args[0] {
				paths[name] = cmp.Or(paths[name], below.CommandPath())
			}
		}
	}
	if near := manifest.Nearest(args[0], slices.Sorted(maps.Keys(paths))); near != "" {
		return manifest.WithHint(err, "did you mean: %s", paths[near])
	}
	return err
}

// usage prints the usage of a command that only has subcommands.
func (e environment) usage(cmd *cobra.Command, _ []string) error {
	_, err := io.WriteString(e.Err(), "\n"+cmd.UsageString())
	return err
}

// confirm prompts for confirmation.
func (e environment) confirm(ctx context.Context, what string) (bool, error) {
	//nolint:staticcheck // the docker CLI's own prompt; its successor is internal, and the version is pinned
	return command.PromptForConfirmation(ctx, e.In(), e.Out(), "WARNING! This will "+what+"\nAre you sure you want to continue?")
}
