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

// names returns what an argument may be that follows others.
type names func(cmd *cobra.Command, args []string) []string

// offer offers names. The shell adds no space to a registry that is the only match.
func offer(kinds ...names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, kind := range kinds {
			out = append(out, kind(cmd, args)...)
		}
		whole := func(name string) bool { return strings.HasPrefix(name, typed) && !strings.HasSuffix(name, "/") }
		if slices.ContainsFunc(out, whole) {
			return out, cobra.ShellCompDirectiveNoFileComp
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// then offers what first returns for the first argument and what others returns for those after it.
func then(first, others cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return first(cmd, args, typed)
		}
		return others(cmd, args, typed)
	}
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

// completeNames offers local lists that are not among the arguments yet, and registries.
func (e environment) completeNames(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return offer(e.otherListNames, e.registryNames)(cmd, args, typed)
}

// listNames returns the names of the local lists.
func (e environment) listNames(*cobra.Command, []string) (out []string) {
	for s, err := range e.lists().All() {
		if err == nil && s.List.Name != nil {
			out = append(out, display.ListName(s))
		}
	}
	return out
}

// otherListNames returns the names of the local lists that are not among the arguments yet.
func (e environment) otherListNames(cmd *cobra.Command, args []string) []string {
	return slices.DeleteFunc(e.listNames(cmd, args), func(s string) bool { return slices.Contains(args, s) })
}

// entryNames returns the sources and platforms of the list that the first argument names.
func (e environment) entryNames(_ *cobra.Command, args []string) (out []string) {
	name, err := manifest.ParseListName(args[0])
	if err != nil {
		return nil
	}
	list, err := e.lists().Get(name)
	if err != nil {
		return nil
	}
	for _, e := range list.Images() {
		for _, s := range []string{manifest.Familiar(e.Source), manifest.FormatPlatform(e.Platform())} {
			if !slices.Contains(args, s) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// imageNames returns the names of the images in the daemon, none if it does not answer.
func (e environment) imageNames(cmd *cobra.Command, _ []string) []string {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	names, _ := newTools(e, true).daemon.List(ctx)
	return names
}

// registryNames returns registries with the slash that the name of a repository follows.
func (e environment) registryNames(cmd *cobra.Command, args []string) []string {
	hosts := e.registryHosts(cmd, args)
	for i := range hosts {
		hosts[i] += "/"
	}
	return hosts
}

// registryHosts returns the registries that config.json has a login or a credential helper for. No helper is run.
func (e environment) registryHosts(*cobra.Command, []string) (hosts []string) {
	file := e.ConfigFile()
	for _, key := range append(slices.Collect(maps.Keys(file.AuthConfigs)), slices.Collect(maps.Keys(file.CredentialHelpers))...) {
		if host, err := manifest.ParseRegistry(credentials.ConvertToHostname(key)); err == nil && host != noRegistry {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
