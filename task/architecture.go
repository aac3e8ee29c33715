package task

import (
	"slices"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// architecture reports tags that name another architecture than the image is built for.
func (l *linter) architecture(i int, b Build) {
	s := l.file.Steps[i]
	raw, unread := l.dockerfile(s)
	var from stage
	if unread == nil {
		from = finalStage(readStages(raw), b.Target)
	}
	seen := map[string]bool{}
	for _, t := range b.Tags {
		arch := manifest.NamedArchitecture(t)
		if arch == "" || seen[arch] {
			continue
		}
		seen[arch] = true
		if other := manifest.ArchitectureIn(b.File); other != "" && differ(arch, other) {
			l.stepf(i, "build", "the tag %s names %s, but the Dockerfile %s names %s", t.Tag(), arch, show(b.File), other)
		}
		if len(b.Platforms) > 0 && !slices.ContainsFunc(b.Platforms, func(p string) bool { return isFor(p, arch) }) {
			l.stepf(i, "build", "the tag %s names %s, but --platform is %s", t.Tag(), arch, manifest.OneLine(strings.Join(b.Platforms, ","), maxShown))
		}
		base := manifest.ArchitectureIn(from.base)
		switch {
		case from.platform != "" && !isFor(from.platform, arch):
			l.stepf(i, "build", "the tag %s names %s, but the platform in the Dockerfile's FROM is %s", t.Tag(), arch, show(from.platform))
		case from.platform == "" && base != "" && differ(arch, base):
			l.stepf(i, "build", "the tag %s names %s, but the base image of the Dockerfile names %s: %s", t.Tag(), arch, base, show(from.base))
		case unread == nil && len(b.Platforms) == 0 && from.platform == "" && base == "" && s.Context == "":
			l.stepf(i, "build", "the tag %s names %s, but neither --platform nor the Dockerfile does: the image is built for the daemon's own architecture", t.Tag(), arch)
		}
	}
}

// differ reports whether two architectures are different, and neither is a variant of the other.
func differ(a, b string) bool { return !isFor("linux/"+a, b) && !isFor("linux/"+b, a) }

// isFor reports whether a platform has an architecture; true for an invalid platform.
func isFor(platform, arch string) bool {
	is, err := manifest.ParsePlatform(platform)
	return err != nil || manifest.OfArchitecture(is.OS, arch).Matches(is.Platform)
}
