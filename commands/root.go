// Package commands defines the commands of the plugin, one file for each: a constructor that declares flags and
// arguments, and a run function that checks them all, calls one operation of another package, and prints the result.
//
// [NewRootCommand] returns the tree of commands; [Report] turns an error into its message, hint and exit code. How
// images, lists and registries work is up to the packages that the commands call.
package commands

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
)

// Name is the plugin's name as a docker command.
const Name = "multiarch"

// Short is the plugin's line in 'docker --help'.
const Short = "Publish images for several architectures under one name"

// Version, Commit and Date describe the build; the Makefile sets them.
var (
	Version = "dev"
	Commit  = "unknown"
	Date    = "unknown"
)

// NewRootCommand returns 'docker multiarch' with all its commands.
func NewRootCommand(dockerCLI command.Cli) *cobra.Command {
	return newRootCommand(environment{Cli: dockerCLI, args: os.Args})
}

func newRootCommand(env environment) *cobra.Command {
	env.shown = &shown{}
	root := env.group(Name, Short)
	root.Long = Short + ".\n\n" +
		"Does what 'docker manifest' does, with images of the local daemon and of any registry,\n" +
		"and never leaves a half-made list behind."
	root.PersistentPreRunE = preRun
	version := root.Flags().Bool("version", false, "Show the version of the plugin")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if f := cmd.Flag("progress"); f != nil && asksForJSON(env.args) { // behind the flag that the error is about
			_ = f.Value.Set(display.ProgressJSON)
		}
		return inFormOfProgress(cmd, env, cli.FlagErrorFunc(cmd, err))
	})
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *version {
			return env.version()
		}
		return env.usage(cmd, args)
	}
	root.AddCommand(
		newCreateCommand(env),
		newAnnotateCommand(env),
		newDropCommand(env),
		newInspectCommand(env),
		newDiffCommand(env),
		newPushCommand(env),
		newRmCommand(env),
		newLsCommand(env),
		newPruneCommand(env),
		newTagCommand(env),
		newExistsCommand(env),
		newVerifyCommand(env),
		newImportCommand(env),
		env.group("repo", "List and clean up repositories of a registry",
			newRepoLsCommand(env),
			newRepoTagsCommand(env),
			newRepoManifestsCommand(env),
			newRepoShowCommand(env),
			newRepoUntagCommand(env),
			newRepoRmCommand(env),
			newRepoPurgeCommand(env),
			newRepoRestoreCommand(env),
		),
		newVersionCommand(env),
	)
	if env.step == nil { // tasks do not run tasks: they could read any file and variable of this machine
		root.AddCommand(env.group("task", "Run multi-step build, push and cmd files in the ACR Tasks format",
			outliving(newTaskRunCommand(env)),
			outliving(newTaskRenderCommand(env)),
			outliving(newTaskValidateCommand(env)),
			outliving(newTaskGraphCommand(env)),
		))
	}
	finish(root, env)
	return root
}

// group returns a command that only has subcommands.
func (e environment) group(name, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name + " COMMAND", Short: short, Args: subcommand, RunE: e.usage}
	cmd.AddCommand(subs...)
	return cmd
}

// finish makes cmd and all below it end the progress they show before an error is reported, summarize a copy
// that was interrupted, fail if their result could not be written, and have the exit codes of verdicts if these are annotated.
func finish(cmd *cobra.Command, env environment) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			err := run(cmd, args)
			env.endProgress()
			if errdefs.IsCanceled(err) {
				env.interrupted()
			}
			_ = env.shown.layouts.Close() // it removes temporary files
			if failed := env.shown.unwritten.Load(); failed != nil && (err == nil || err.Error() == "") {
				err = *failed
			}
			return inFormOfProgress(cmd, env, err)
		}
	}
	if cmd.Annotations[AnnotationUnknown] != "" {
		withVerdict(cmd)
	}
	for _, sub := range cmd.Commands() {
		finish(sub, env)
	}
}

// asksForJSON reports whether arguments have --progress json.
func asksForJSON(args []string) bool {
	i := slices.Index(args, "--progress") + 1
	return slices.Contains(args, "--progress=json") || i > 0 && i < len(args) && args[i] == display.ProgressJSON
}

// inFormOfProgress returns an error that is reported as the command shows its progress.
func inFormOfProgress(cmd *cobra.Command, env environment, err error) error {
	mode := env.progressMode()
	if f := cmd.Flag("progress"); f != nil {
		mode = f.Value.String()
	}
	if err != nil && mode == display.ProgressJSON {
		err = &jsonError{err}
	}
	return err
}

// PluginArgs returns the arguments that the docker command would have passed if the binary was called directly.
func PluginArgs(args []string) []string {
	if os.Getenv(metadata.ReexecEnvvar) != "" || len(args) > 1 &&
		(args[1] == Name || args[1] == metadata.MetadataSubcommandName || strings.HasPrefix(args[1], "__complete")) {
		return args
	}
	return append([]string{args[0], Name}, args[1:]...)
}

func newVersionCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of the plugin",
		Args:  cli.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return env.version() },

		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

// version prints the version of the plugin.
func (e environment) version() error {
	_, err := fmt.Fprintf(e.Out(), "docker-multiarch %s, commit %s, built %s\n", Version, Commit, Date)
	return err
}
