package manifest

import (
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Place is where sources are looked up.
type Place string

// The places a source can be looked up in; Anywhere is both.
const (
	Anywhere   Place = ""
	InDaemon   Place = "daemon"
	InRegistry Place = "registry"
)

// Source is a source as the user named it.
type Source struct {
	Ref reference.Named
	// Plain says that the daemon is asked first: the name was typed without a registry, and it is one
	// word or the list's name has a registry.
	Plain bool
}

// ParseSource returns the source that typed names for the list whose name was typed as list.
func ParseSource(typed, list string) (Source, error) {
	if _, err := digest.Parse(typed); err == nil { // else the repository "sha256" of Docker Hub
		return Source{}, Errorf(errdefs.ErrInvalidArgument, "%s is an image ID, not a reference: "+
			"give the image a tag with 'docker tag' and name that", typed)
	}
	ref, err := ParseName(typed)
	if err != nil {
		return Source{}, err
	}
	plain := !hasRegistry(typed) && (!strings.Contains(typed, "/") || hasRegistry(list))
	return Source{ref, plain}, nil
}

// hasRegistry reports whether a reference was typed with a registry, by the rule of
// github.com/distribution/reference: the part before the first slash has a dot, a colon or a capital, or
// is localhost.
func hasRegistry(typed string) bool {
	host, _, ok := strings.Cut(typed, "/")
	return ok && (strings.ContainsAny(host, ".:") || host == "localhost" || strings.ToLower(host) != host)
}

// Choice says what is taken from the sources.
type Choice struct {
	// From restricts where sources are looked up.
	From Place
	// Platforms are the ones to keep; all when empty.
	Platforms []Platform
	// Strip leaves attestations out.
	Strip bool
}

// keeps reports whether an image of platform p is to be taken.
func (c Choice) keeps(p ocispec.Platform) bool {
	return len(c.Platforms) == 0 || slices.ContainsFunc(c.Platforms, func(k Platform) bool { return k.Matches(p) })
}
