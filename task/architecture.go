package task

import (
	"cmp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// architecture reports tags that say another architecture than what is built for.
func (l *linter) architecture(i int, b Build) {
	s := l.file.Steps[i]
	from, read := l.stage(s, b)
	said := map[string]bool{}
	for _, t := range b.Tags {
		arch := architectureOf(t.Tag())
		if arch == "" {
			arch = architectureOf(reference.Path(t))
		}
		if arch == "" || said[arch] {
			continue
		}
		said[arch] = true
		if other := architectureOf(b.File); other != "" && differ(arch, other) {
			l.stepf(i, "build", "the tag %s says %s, and the name of the Dockerfile %s says %s", t.Tag(), arch, show(b.File), other)
		}
		if len(b.Platforms) > 0 && !slices.ContainsFunc(b.Platforms, func(p string) bool { return isFor(p, arch) }) {
			l.stepf(i, "build", "the tag %s says %s, and --platform says %s", t.Tag(), arch, manifest.OneLine(strings.Join(b.Platforms, ","), maxShown))
		}
		base := architectureOf(from.base)
		switch {
		case from.platform != "" && !isFor(from.platform, arch):
			l.stepf(i, "build", "the tag %s says %s, and FROM in the Dockerfile says %s", t.Tag(), arch, show(from.platform))
		case from.platform == "" && base != "" && differ(arch, base):
			l.stepf(i, "build", "the tag %s says %s, and the image that the Dockerfile begins from says %s: %s", t.Tag(), arch, base, show(from.base))
		case read && len(b.Platforms) == 0 && from.platform == "" && base == "" && s.Context == "":
			l.stepf(i, "build", "the tag %s says %s, but neither --platform nor the Dockerfile does: it is built for the daemon's own architecture", t.Tag(), arch)
		}
	}
}

// stage returns the stage of a Dockerfile that a build ends with, and whether the Dockerfile could be read.
func (l *linter) stage(s Step, b Build) (stage, bool) {
	raw, err := l.dockerfile(s)
	if err != nil {
		return stage{}, false
	}
	return builtStage(readStages(raw), b.Target), true
}

// architectures are the words that say one, and the name of that; a variant that is the usual one is left out.
var architectures = map[string]string{
	"amd64": "amd64", "x64": "amd64", "i386": "386", "i686": "386",
	"arm64": "arm64", "aarch64": "arm64", "arm64v8": "arm64", "armv8": "arm64",
	"arm": "arm", "armhf": "arm/v7", "armv7": "arm/v7", "armv7l": "arm/v7", "arm32v7": "arm/v7",
	"armel": "arm/v6", "armv6": "arm/v6", "armv6l": "arm/v6", "arm32v6": "arm/v6", "armv5": "arm/v5", "arm32v5": "arm/v5",
	"ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "mips64le": "mips64le", "loong64": "loong64", "loongarch64": "loong64",
}

// architectureOf returns the architecture that the words of a name say, "" when they say none or several.
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

// differ reports whether two architectures are not the same, nor one a kind of the other.
func differ(a, b string) bool { return !isFor("linux/"+a, b) && !isFor("linux/"+b, a) }

// isFor reports whether a platform is of an architecture; one that cannot be read is.
func isFor(platform, arch string) bool {
	is, err := manifest.ParsePlatform(platform)
	want, _ := manifest.ParsePlatform("linux/" + arch)
	want.OS = is.OS
	return err != nil || want.Matches(is.Platform)
}
