package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// WarnRebuilt starts to ask the daemon for the images that entries of the list were pushed from, and returns a function that
// warns of those that are other images now. A daemon that cannot be reached, or does not answer within daemonCompared, is
// ignored. The list is not kept if purge is true.
func (p Publication) WarnRebuilt(ctx context.Context, clients Clients, purge bool) (warn func()) {
	sources := groupBySource(p.List, func(e manifest.Entry) bool { return e.LocalID != "" })
	warnings := make([]string, len(sources))
	ctx, cancel := context.WithTimeout(ctx, daemonCompared)
	ask := sync.OnceFunc(func() {
		manifest.Concurrently(len(sources), func(i int) { warnings[i] = p.rebuilt(ctx, clients, sources[i], purge) })
	})
	go ask()
	return func() {
		ask()
		cancel()
		for _, w := range warnings {
			if w != "" {
				clients.Reporter.Warn("%s", w)
			}
		}
	}
}

// rebuilt returns a warning if the daemon has another image of that name than the one that entries were pushed from.
func (p Publication) rebuilt(ctx context.Context, clients Clients, entries []manifest.Entry, purge bool) string {
	source, was := entries[0].Source, entries[0].LocalID
	local, err := clients.find(ctx, source)
	if err != nil || local.ID == was || slices.ContainsFunc(local.Manifests, func(m manifest.LocalManifest) bool {
		return m.Subject == "" && manifest.List{Entries: entries}.Digests()[m.Descriptor.Digest]
	}) {
		return ""
	}
	command := p.amendCommand(entries, local, purge)
	return fmt.Sprintf("%s in %s has changed since it was pushed (was %s, now %s); pushing the old image (to take the new one: %s)",
		manifest.Familiar(source), daemonOf(source), short(was), short(local.ID), command)
}

// amendCommand returns the command that replaces entries, all those of one source, with the daemon's image of that name: in
// the local list or, if that is not kept, in the registry.
func (p Publication) amendCommand(entries []manifest.Entry, local manifest.Local, purge bool) string {
	source, list := manifest.Familiar(entries[0].Source), manifest.Familiar(p.List.Name)
	words := []string{"docker multiarch create --amend"}
	if purge {
		words = append(words, "--push")
		for _, tag := range TagsOf(p.Tags) {
			words = append(words, "--tag "+tag)
		}
	}
	if s, err := ParseSource(source, list); err == nil && !s.Plain && !manifest.IsOfContext(s.Ref) {
		words = append(words, "--from daemon")
	}
	if platforms := onlyPlatforms(entries, local); platforms != "" {
		words = append(words, "--platform "+platforms)
	}
	return strings.Join(append(words, list, source), " ")
}

// onlyPlatforms returns the platforms of entries for --platform, "" unless the local image has all of them and others.
func onlyPlatforms(entries []manifest.Entry, local manifest.Local) string {
	var names []string
	left := listOf(local).Platforms()
	for _, e := range entries {
		p := manifest.Platform{Platform: e.ImagePlatform()}
		switch {
		case !e.IsImage():
		case !slices.ContainsFunc(left, p.Matches):
			return ""
		default:
			names, left = append(names, p.String()), slices.DeleteFunc(left, p.Matches)
		}
	}
	if len(left) == 0 {
		return ""
	}
	return strings.Join(names, ",")
}
