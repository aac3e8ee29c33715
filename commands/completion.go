package commands

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// completionPatience bounds how long a shell waits for the daemon.
const completionPatience = 2 * time.Second

// completeFlags offers fixed values for flags.
func completeFlags(cmd *cobra.Command, values map[string][]string) {
	for flag, v := range values {
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(v, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag does not exist
		}
	}
}

// knownNames returns the known operating systems (0) or architectures (1).
func knownNames(part int) []string {
	var out []string
	for _, p := range manifest.KnownPlatforms() {
		out = append(out, strings.Split(p, "/")[part])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// listNames returns the names of the local lists.
func listNames() []string {
	var out []string
	for s, err := range usersLists().All() {
		if err == nil && s.List.Name != nil {
			out = append(out, display.ListName(s))
		}
	}
	return out
}

// imageNames returns the names of the daemon's images; none when it does not answer.
func imageNames(ctx context.Context, dockerCLI command.Cli) []string {
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	names, _ := newTools(dockerCLI, true).daemon.List(ctx)
	return names
}

// completeListNames offers local lists that are not among the arguments yet.
func completeListNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names := slices.DeleteFunc(listNames(), func(s string) bool { return slices.Contains(args, s) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeListThenEntry offers local lists, then the sources of the list that the first argument names.
func completeListThenEntry(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeListNames(cmd, args, typed)
	}
	name, err := manifest.ParseListName(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := usersLists().Get(name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, e := range list.Images() {
		if s := manifest.Familiar(e.Source); !slices.Contains(args, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeListThenImages offers local lists, then images of the daemon.
func completeListThenImages(dockerCLI command.Cli) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return completeListNames(cmd, args, typed)
		}
		return imageNames(cmd.Context(), dockerCLI), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeListOrImage offers local lists and images of the daemon as the one argument.
func completeListOrImage(dockerCLI command.Cli) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completeListsAndImages(dockerCLI)(cmd, args, typed)
	}
}

// completeListsAndImages offers local lists and images of the daemon.
func completeListsAndImages(dockerCLI command.Cli) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return append(listNames(), imageNames(cmd.Context(), dockerCLI)...), cobra.ShellCompDirectiveNoFileComp
	}
}
