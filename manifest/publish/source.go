package publish

import (
	"cmp"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Location is where sources are resolved.
type Location string

// The locations of sources; Anywhere is both.
const (
	Anywhere   Location = ""
	InDaemon   Location = "daemon"
	InRegistry Location = "registry"
)

// Source is a source as the user named it.
type Source struct {
	Ref reference.Named
	// Plain reports that the daemon is asked first: the name was typed without a registry, and it is a single word or
	// the name of the list has a registry.
	Plain bool
	// Output is the file of a build that names the source, which is then only resolved in its registry; "" for none.
	Output string
}

// ParseSource returns the source that was typed for a list whose name was typed as list.
func ParseSource(typed, list string) (Source, error) {
	ref, err := manifest.ParseSourceName(typed)
	if err != nil {
		return Source{}, err
	}
	plain := !HasRegistry(typed) && (!strings.Contains(typed, "/") || HasRegistry(list))
	return Source{Ref: ref, Plain: plain}, nil
}

// HasRegistry reports whether a reference was typed with a registry, by the rule of
// github.com/distribution/reference: the part before the first slash has a dot, a colon or an upper-case letter, or is
// localhost.
func HasRegistry(typed string) bool {
	host, _, ok := strings.Cut(typed, "/")
	return ok && (strings.ContainsAny(host, ".:") || host == "localhost" || strings.ToLower(host) != host)
}

// Choice selects what the sources contribute.
type Choice struct {
	// From restricts where sources are resolved.
	From Location
	// Platforms are those to keep; all if empty.
	Platforms []manifest.Platform
	// Strip skips attestations.
	Strip bool
}

// keeps reports whether an image of platform p is wanted.
func (c Choice) keeps(p ocispec.Platform) bool {
	return len(c.Platforms) == 0 || slices.ContainsFunc(c.Platforms, func(k manifest.Platform) bool { return k.Matches(p) })
}

// check returns an errdefs.ErrNotFound error unless there is an entry for each wanted platform. Offered are all platforms.
func (c Choice) check(entries []manifest.Entry, offered []ocispec.Platform) error {
	for _, p := range c.Platforms {
		if slices.ContainsFunc(entries, func(e manifest.Entry) bool { return e.MayBeFor(p) }) {
			continue
		}
		names := cmp.Or(manifest.JoinSome(manifest.PlatformNames(offered)), "none")
		err := manifest.Errorf(errdefs.ErrNotFound, "no source has an image for %s (they have: %s)", p, names)
		return manifest.HintVariants(err, c.Platforms, offered)
	}
	return nil
}

// needsVariant reports whether it depends on the variant of local, which the daemon does not report, whether that is
// wanted. It returns the platform that includes all variants.
func (c Choice) needsVariant(local manifest.Local) (manifest.Platform, bool) {
	p := local.Platform
	i := slices.IndexFunc(c.Platforms, func(k manifest.Platform) bool { return k.OfAnyVariant().Matches(p) })
	if i < 0 || !local.NoVariant || !manifest.IsAnyArm(p) {
		return manifest.Platform{}, false
	}
	every := c.Platforms[i].OfAnyVariant()
	return every, !slices.ContainsFunc(c.Platforms, func(k manifest.Platform) bool { return k.Variant == manifest.AnyVariant && k.Matches(p) })
}
