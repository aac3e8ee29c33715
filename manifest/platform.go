package manifest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Platform matches platforms as clients do: no variant is v1 for amd64, v8 for arm64 and v7 for arm, and without an OS
// version any matches. The variant [AnyVariant] matches all.
type Platform struct{ ocispec.Platform }

// AnyVariant is the variant of a [Platform] that matches all variants of an architecture.
const AnyVariant = "*"

// ParsePlatform parses OS/ARCHITECTURE[/VARIANT], with the OS version as OS(VERSION). It replaces aliases such as
// aarch64. The error for an unknown platform names the nearest known one.
func ParsePlatform(s string) (Platform, error) {
	os, rest, _ := strings.Cut(s, "/")
	if os == "" || rest == "" {
		example := ", as in linux/arm64"
		if near, ok := nearestPlatform(ocispec.Platform{OS: "linux", Architecture: os}); ok && rest == "" {
			example = ": did you mean " + FormatPlatform(near) + "?"
		}
		return Platform{}, Errorf(errdefs.ErrInvalidArgument, "%q is not a platform: expected OS/ARCHITECTURE[/VARIANT]%s", OneLine(s, MaxPlatform), example)
	}
	os, version, hasVersion := strings.Cut(os, "(")
	arch, variant, _ := strings.Cut(rest, "/")
	if hasVersion {
		var closed bool
		if version, closed = strings.CutSuffix(version, ")"); !closed || version == "" {
			return Platform{}, Errorf(errdefs.ErrInvalidArgument, "%q is not a platform: put the OS version in parentheses, as in windows(10.0.20348.1)/amd64", s)
		}
	}
	p := Unalias(ocispec.Platform{OS: os, OSVersion: version, Architecture: arch, Variant: variant})
	if err := checkKnown(p.OS, p.Architecture); err != nil {
		return Platform{}, err
	}
	return Platform{p}, nil
}

// ParsePlatforms parses each of specs, see [ParsePlatform].
func ParsePlatforms(specs []string) ([]Platform, error) {
	var out []Platform
	for _, spec := range specs {
		p, err := ParsePlatform(spec)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Matches reports whether p matches other.
func (p Platform) Matches(other ocispec.Platform) bool {
	a, b := Normalize(p.Platform), Normalize(other)
	return a.OS == b.OS && a.Architecture == b.Architecture &&
		(p.Variant == AnyVariant || a.Variant == b.Variant) &&
		(p.OSVersion == "" || a.OSVersion == b.OSVersion)
}

// NeedsVersion reports whether it depends on the version of Windows, which p lacks, whether one of wanted matches it.
func NeedsVersion(wanted []Platform, p ocispec.Platform) bool {
	return LacksVersion(&p) && slices.ContainsFunc(wanted, func(w Platform) bool {
		p.OSVersion = w.OSVersion
		return w.OSVersion != "" && w.Matches(p)
	})
}

// OfAnyVariant returns p for all variants.
func (p Platform) OfAnyVariant() Platform {
	p.Variant = AnyVariant
	return p
}

// OtherVariants returns a sentence on those of existing that have another variant than platforms in wanted without a
// variant, and how to include them; "" if there is none.
func OtherVariants(wanted []Platform, existing []ocispec.Platform) string {
	var sentences []string
	for _, w := range wanted {
		every := w.OfAnyVariant()
		var others []string
		for _, p := range existing {
			if name := FormatPlatform(p); w.Variant == "" && every.Matches(p) && !slices.ContainsFunc(wanted, func(w Platform) bool { return w.Matches(p) }) && !slices.Contains(others, name) {
				others = append(others, name)
			}
		}
		if len(others) > 0 {
			sentences = append(sentences, w.String()+" does not include "+JoinSome(others)+"; for all variants: "+every.String())
		}
	}
	return OneLine(strings.Join(sentences, "; "), maxVariants)
}

// HintVariants returns err with the sentence of [OtherVariants] as a hint.
func HintVariants(err error, wanted []Platform, existing []ocispec.Platform) error {
	if others := OtherVariants(wanted, existing); others != "" {
		return WithHint(err, "%s", others)
	}
	return err
}

// maxVariants bounds the bytes of a sentence on platforms, whose names come from a registry.
const maxVariants = 1000

func (p Platform) String() string { return FormatPlatform(p.Platform) }

// FormatPlatform returns OS/ARCHITECTURE[/VARIANT], with the OS version as OS(VERSION); a missing part is
// "unknown".
func FormatPlatform(p ocispec.Platform) string {
	os, arch := cmp.Or(p.OS, "unknown"), cmp.Or(p.Architecture, "unknown")
	if p.OSVersion != "" {
		os += "(" + p.OSVersion + ")"
	}
	if p.Variant != "" {
		arch += "/" + p.Variant
	}
	return os + "/" + arch
}

// PlatformNames names platforms in an error, each once.
func PlatformNames(platforms []ocispec.Platform) (out []string) {
	for _, p := range platforms {
		if name := OneLine(FormatPlatform(p), MaxPlatform); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// StatedPlatform returns the platform of d, nil if the operating system or architecture is missing.
func StatedPlatform(d ocispec.Descriptor) *ocispec.Platform {
	if p := d.Platform; p != nil && p.OS != "" && p.Architecture != "" {
		return p
	}
	return nil
}

// HasPlatform reports whether d is for a platform that clients can choose.
func HasPlatform(d ocispec.Descriptor) bool {
	p := StatedPlatform(d)
	return p != nil && !isUnknown(*p)
}

// isUnknown reports whether p is the platform of manifests that no client is meant to run.
func isUnknown(p ocispec.Platform) bool { return p.OS == "unknown" && p.Architecture == "unknown" }

// Normalize is platforms.Normalize, except that an empty OS stays empty instead of becoming the one of this machine.
func Normalize(p ocispec.Platform) ocispec.Platform {
	n := platforms.Normalize(p)
	if p.OS == "" {
		n.OS = ""
	}
	return n
}

// PlatformKey is equal for platforms that clients consider the same.
func PlatformKey(p ocispec.Platform) string {
	n := Normalize(p)
	features := slices.Sorted(slices.Values(n.OSFeatures))
	return strings.Join(append([]string{n.OS, n.Architecture, n.Variant, n.OSVersion}, features...), "\x00")
}

// Unalias returns p with aliases in OS and architecture, such as macos and aarch64, replaced by the
// standard names; the variant that an alias implies is set when p has none.
func Unalias(p ocispec.Platform) ocispec.Platform {
	n := Normalize(ocispec.Platform{OS: p.OS, Architecture: p.Architecture})
	if n.Architecture == p.Architecture { // no alias: the variant is a default
		n.Variant = ""
	}
	p.OS, p.Architecture, p.Variant = n.OS, n.Architecture, cmp.Or(p.Variant, n.Variant)
	return p
}

// knownArches are the architectures of each OS that Go, the OCI image spec or docker manifest name
// ("go tool dist list" of Go 1.26; image-spec v1.1 config.md; docker/cli v28 cli/command/manifest).
var knownArches = map[string][]string{
	"aix":       {"ppc64"},
	"android":   {"386", "amd64", "arm", "arm64"},
	"darwin":    {"386", "amd64", "arm", "arm64"},
	"dragonfly": {"amd64"},
	"freebsd":   {"386", "amd64", "arm", "arm64", "riscv64"},
	"illumos":   {"amd64"},
	"ios":       {"amd64", "arm64"},
	"js":        {"wasm"},
	"linux": {"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
		"ppc64le", "riscv64", "s390x", "sparc64"},
	"netbsd":  {"386", "amd64", "arm", "arm64"},
	"openbsd": {"386", "amd64", "arm", "arm64", "mips64", "ppc64", "riscv64"},
	"plan9":   {"386", "amd64", "arm"},
	"solaris": {"amd64"},
	"wasi":    {"wasm"},
	"wasip1":  {"wasm"},
	"windows": {"386", "amd64", "arm", "arm64"},
}

// KnownPlatforms returns the accepted platforms as OS/ARCHITECTURE, sorted.
func KnownPlatforms() []string {
	var out []string
	for os, arches := range knownArches {
		for _, arch := range arches {
			out = append(out, os+"/"+arch)
		}
	}
	slices.Sort(out)
	return out
}

// checkKnown returns an errdefs.ErrInvalidArgument error if os/arch is not a known platform. It names the nearest known one.
func checkKnown(os, arch string) error {
	arches := knownArches[os]
	if slices.Contains(arches, arch) {
		return nil
	}
	p := ocispec.Platform{OS: os, Architecture: arch}
	given := OneLine(FormatPlatform(p), MaxPlatform)
	if os == "" || arch == "" {
		return Errorf(errdefs.ErrInvalidArgument, "platform %s is incomplete: set both --os and --arch", given)
	}
	near, ok := nearestPlatform(p)
	switch {
	case ok:
		return Errorf(errdefs.ErrInvalidArgument, "unknown platform %s: did you mean %s?", given, FormatPlatform(near))
	case arches != nil:
		return Errorf(errdefs.ErrInvalidArgument, "unknown platform %s: architectures of %s are %s", given, os, strings.Join(arches, ", "))
	}
	return Errorf(errdefs.ErrInvalidArgument, "unknown platform %s: operating systems are %s", given, strings.Join(slices.Sorted(maps.Keys(knownArches)), ", "))
}

// nearestPlatform returns the known platform that p is probably meant to be, and whether there is one: its architecture may
// be another name of one, as aarch64, end in its variant, as armv7 and arm32v7, or have a typo.
func nearestPlatform(p ocispec.Platform) (ocispec.Platform, bool) {
	p = Unalias(p)
	arches := knownArches[p.OS]
	if i := strings.LastIndexByte(p.Architecture, 'v'); i > 0 {
		base := strings.Replace(p.Architecture[:i], "arm32", "arm", 1)
		if _, err := strconv.Atoi(p.Architecture[i+1:]); err == nil && slices.Contains(arches, base) {
			p.Architecture, p.Variant = base, p.Architecture[i:]
		}
	}
	if slices.Contains(arches, p.Architecture) {
		return p, true
	}
	if near := Nearest(p.Architecture, arches); near != "" {
		p.Architecture = near
		return p, true
	}
	near := Nearest(p.OS+"/"+p.Architecture, KnownPlatforms())
	if near == "" || arches != nil {
		return p, false
	}
	p.OS, p.Architecture, _ = strings.Cut(near, "/")
	return p, true
}

// MaxPlatform bounds the bytes of a platform in an error.
const MaxPlatform = 100

// LacksVersion reports whether a platform is one of Windows without its version, by which nodes select their image.
func LacksVersion(p *ocispec.Platform) bool {
	return p != nil && strings.EqualFold(p.OS, "windows") && p.OSVersion == ""
}

// MaxTag is the longest tag, from https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md.
const MaxTag = 128

// PlatformName returns operating system, architecture and variant with separator between them, as a part of a tag or
// of a file name.
func PlatformName(p ocispec.Platform, separator string) string {
	parts := slices.DeleteFunc([]string{p.OS, p.Architecture, p.Variant}, func(s string) bool { return s == "" })
	tag := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, strings.Join(parts, separator))
	return tag[:min(len(tag), MaxTag/3)]
}

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
