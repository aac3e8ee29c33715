package manifest

import (
	"cmp"
	"strings"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// architectures maps words to the architectures that they name, without the usual variant of one.
var architectures = map[string]string{
	"amd64": "amd64", "x64": "amd64", "i386": "386", "i686": "386",
	"arm64": "arm64", "aarch64": "arm64", "arm64v8": "arm64", "armv8": "arm64",
	"arm": "arm", "armhf": "arm/v7", "armv7": "arm/v7", "armv7l": "arm/v7", "arm32v7": "arm/v7",
	"armel": "arm/v6", "armv6": "arm/v6", "armv6l": "arm/v6", "arm32v6": "arm/v6", "armv5": "arm/v5", "arm32v5": "arm/v5",
	"ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "mips64le": "mips64le", "loong64": "loong64", "loongarch64": "loong64",
}

// ArchitectureIn returns the architecture that the words of a name contain, "" for none or several.
func ArchitectureIn(name string) string {
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

// NamedArchitecture returns the architecture that the tag of a reference or otherwise its path names, "" for none.
func NamedArchitecture(ref reference.NamedTagged) string {
	return cmp.Or(ArchitectureIn(ref.Tag()), ArchitectureIn(reference.Path(ref)))
}

// OfArchitecture returns the platform that matches those of an operating system with an architecture, of any variant unless
// that has one.
func OfArchitecture(os, arch string) Platform {
	arch, variant, _ := strings.Cut(arch, "/")
	return Platform{ocispec.Platform{OS: os, Architecture: arch, Variant: cmp.Or(variant, AnyVariant)}}
}
