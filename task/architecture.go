package task

import (
	"cmp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// architecture reports tags that name another architecture than the image is built for.
func (l *linter) architecture(i int, b Build) {
	s := l.file.Steps[i]
	from, read := l.stage(s, b)
	seen := map[string]bool{}
	for _, t := range b.Tags {
		arch := architectureOf(t.Tag())
		if arch == "" {
			arch = architectureOf(reference.Path(t))
		}
		if arch == "" || seen[arch] {
			continue
		}
		seen[arch] = true
		if other := architectureOf(b.File); other != "" && differ(arch, other) {
			l.stepf(i, "build", "the tag %s names %s, but the Dockerfile %s names %s", t.Tag(), arch, show(b.File), other)
		}
		if len(b.Platforms) > 0 && !slices.ContainsFunc(b.Platforms, func(p string) bool { return isFor(p, arch) }) {
			l.stepf(i, "build", "the tag %s names %s, but --platform is %s", t.Tag(), arch, manifest.OneLine(strings.Join(b.Platforms, ","), maxShown))
		}
		base := architectureOf(from.base)
		switch {
		case from.platform != "" && !isFor(from.platform, arch):
			l.stepf(i, "build", "the tag %s names %s, but the platform in the Dockerfile's FROM is %s", t.Tag(), arch, show(from.platform))
		case from.platform == "" && base != "" && differ(arch, base):
			l.stepf(i, "build", "the tag %s names %s, but the base image of the Dockerfile names %s: %s", t.Tag(), arch, base, show(from.base))
		case read && len(b.Platforms) == 0 && from.platform == "" && base == "" && s.Context == "":
			l.stepf(i, "build", "the tag %s names %s, but neither --platform nor the Dockerfile does: the image is built for the daemon's own architecture", t.Tag(), arch)
		}
	}
}

// stage returns the final stage of a build, and whether its Dockerfile could be read.
func (l *linter) stage(s Step, b Build) (stage, bool) {
	raw, err := l.dockerfile(s)
	if err != nil {
		return stage{}, false
	}
	return finalStage(readStages(raw), b.Target), true
}

// architectures maps words to the architectures that they name, without the usual variant of one.
var architectures = map[string]string{
	"amd64": "amd64", "x64": "amd64", "i386": "386", "i686": "386",
	"arm64": "arm64", "aarch64": "arm64", "arm64v8": "arm64", "armv8": "arm64",
	"arm": "arm", "armhf": "arm/v7", "armv7": "arm/v7", "armv7l": "arm/v7", "arm32v7": "arm/v7",
	"armel": "arm/v6", "armv6": "arm/v6", "armv6l": "arm/v6", "arm32v6": "arm/v6", "armv5": "arm/v5", "arm32v5": "arm/v5",
	"ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "mips64le": "mips64le", "loong64": "loong64", "loongarch64": "loong64",
}

// architectureOf returns the architecture that the words of a name contain, "" for none or several.
func architectureOf(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "x86_64", "amd64")
	name = strings.ReplaceAll(name, "x86-64", "amd64")
	arch := ""
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return r > '~' || strings.ContainsRune("/:._-+@ ", r) }) {
		a, ok := architectures[word]
		if ok && arch != "" && a != arch {
			return ""
		}
		arch = cmp.Or(a, arch)
	}
	return arch
}

// differ reports whether two architectures are different, and neither is a variant of the other.
func differ(a, b string) bool { return !isFor("linux/"+a, b) && !isFor("linux/"+b, a) }

// isFor reports whether a platform has an architecture; true for an invalid platform.
func isFor(platform, arch string) bool {
	is, err := manifest.ParsePlatform(platform)
	want, _ := manifest.ParsePlatform("linux/" + arch)
	want.OS = is.OS
	if want.Variant == "" {
		want.Variant = manifest.AnyVariant
	}
	return err != nil || want.Matches(is.Platform)
}
