package commands

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// completionTimeout bounds the wait of a shell for the daemon.
const completionTimeout = 2 * time.Second

// completeFlags offers fixed values for flags.
func completeFlags(cmd *cobra.Command, values map[string][]string) {
	for flag, v := range values {
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(v, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag does not exist
		}
	}
}

// commonPlatforms are offered before the other known ones.
var commonPlatforms = []string{"linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/amd64/v3", "windows/amd64"}

// completePlatforms offers platforms, also after a comma those that are not given yet.
func completePlatforms(cmd *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := cmd.RegisterFlagCompletionFunc(flag, platformsAfter); err != nil {
			panic(err) // the flag does not exist
		}
	}
}

func platformsAfter(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	given := typed[:strings.LastIndex(typed, ",")+1]
	var out []string
	for _, p := range append(slices.Clone(commonPlatforms), manifest.KnownPlatforms()...) {
		if !slices.Contains(strings.Split(given, ","), p) && !slices.Contains(out, given+p) {
			out = append(out, given+p)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
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
func (e environment) listNames() []string {
	var out []string
	for s, err := range e.lists().All() {
		if err == nil && s.List.Name != nil {
			out = append(out, display.ListName(s))
		}
	}
	return out
}

// imageNames returns the names of the images in the daemon, none if it does not answer.
func (e environment) imageNames(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	names, _ := newTools(e, true).daemon.List(ctx)
	return names
}

// completeListNames offers local lists that are not among the arguments yet.
func (e environment) completeListNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names := slices.DeleteFunc(e.listNames(), func(s string) bool { return slices.Contains(args, s) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeListThenEntry offers local lists, then the sources of the list that the first argument names.
func (e environment) completeListThenEntry(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return e.completeListNames(cmd, args, typed)
	}
	name, err := manifest.ParseListName(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := e.lists().Get(name)
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
func (e environment) completeListThenImages(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return e.completeListNames(cmd, args, typed)
	}
	return e.imageNames(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
}

// completeListOrImage offers local lists and images of the daemon as the one argument.
func (e environment) completeListOrImage(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return e.completeListsAndImages(cmd, args, typed)
}

// completeListsAndImages offers local lists and images of the daemon.
func (e environment) completeListsAndImages(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return append(e.listNames(), e.imageNames(cmd.Context())...), cobra.ShellCompDirectiveNoFileComp
}
