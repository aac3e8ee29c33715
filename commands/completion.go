package commands

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli/config/credentials"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// completionTimeout bounds the wait of a shell for the daemon.
const completionTimeout = 2 * time.Second

// completeFlag offers fixed values for a flag.
func completeFlag(cmd *cobra.Command, flag string, values ...string) {
	completeWith(cmd, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp), flag)
}

// commonPlatforms are offered before the other known ones.
var commonPlatforms = []string{"linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/amd64/v3", "windows/amd64"}

// completeWith offers what complete returns for a flag.
func completeWith(cmd *cobra.Command, complete cobra.CompletionFunc, flag string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag does not exist
	}
}

// platformsAfter offers platforms, also after a comma those that are not given yet.
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

// completeListThenEntry offers local lists, then the sources and platforms of the list that the first argument names.
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
		for _, s := range []string{manifest.Familiar(e.Source), manifest.FormatPlatform(e.Platform())} {
			if !slices.Contains(args, s) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeNameThenEntry offers local lists and registries, then the entries of the list that the first argument names.
func (e environment) completeNameThenEntry(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return e.completeNames(cmd, args, typed)
	}
	return e.completeListThenEntry(cmd, args, typed)
}

// completeListThenImages offers local lists and registries, then images of the daemon and registries.
func (e environment) completeListThenImages(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return e.completeNames(cmd, args, typed)
	}
	return e.orRegistries(typed, e.imageNames(cmd.Context()))
}

// completeListOrImage offers local lists and images of the daemon.
func (e environment) completeListOrImage(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return append(e.listNames(), e.imageNames(cmd.Context())...), cobra.ShellCompDirectiveNoFileComp
}

// completeListsAndImages offers local lists, images of the daemon and registries.
func (e environment) completeListsAndImages(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return e.orRegistries(typed, append(e.listNames(), e.imageNames(cmd.Context())...))
}

// completeNames offers local lists that are not among the arguments yet, and registries.
func (e environment) completeNames(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	names, _ := e.completeListNames(cmd, args, typed)
	return e.orRegistries(typed, names)
}

// completeRepository offers registries, which the name of a repository follows.
func (e environment) completeRepository(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return e.orRegistries(typed, nil)
}

// completeRegistry offers registries.
func (e environment) completeRegistry(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return e.registryHosts(), cobra.ShellCompDirectiveNoFileComp
}

// atMost offers what complete returns for the first n arguments.
func atMost(n int, complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, typed)
	}
}

// orRegistries offers names and registries. The shell adds no space to a registry that is the only match.
func (e environment) orRegistries(typed string, names []string) ([]string, cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp
	if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, typed) }) {
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	for _, host := range e.registryHosts() {
		names = append(names, host+"/")
	}
	return names, directive
}

// registryHosts returns the registries that config.json has a login or a credential helper for. No helper is run.
func (e environment) registryHosts() []string {
	var hosts []string
	file := e.ConfigFile()
	for _, key := range append(slices.Collect(maps.Keys(file.AuthConfigs)), slices.Collect(maps.Keys(file.CredentialHelpers))...) {
		if host, err := manifest.ParseRegistry(credentials.ConvertToHostname(key)); err == nil && host != noRegistry {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
