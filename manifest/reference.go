package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// ParseReference returns s as a normalized reference, without a tag if s has none.
func ParseReference(s string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q is not a reference (%w): expected [REGISTRY/]REPOSITORY[:TAG|@DIGEST]", s, err)
	}
	return named, nil
}

// ParseName is ParseReference with the tag "latest" if s has neither tag nor digest, as docker manifest parses its
// arguments.
func ParseName(s string) (reference.Named, error) {
	named, err := ParseReference(s)
	if err != nil {
		return nil, err
	}
	return reference.TagNameOnly(named), nil
}

// ParseListName is ParseName for the name of a list, which has a tag and no digest.
func ParseListName(s string) (reference.NamedTagged, error) {
	named, err := ParseName(s)
	if err != nil {
		return nil, err
	}
	if _, ok := named.(reference.Canonical); ok {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%s has a digest, but the name of a manifest list has a tag", s)
	}
	return named.(reference.NamedTagged), nil
}

// Familiar returns ref in its familiar form, without the host of Docker Hub and "library".
func Familiar(ref reference.Named) string {
	if ref == nil {
		return "the list"
	}
	return reference.FamiliarString(ref)
}

// AtDigest returns the reference of the valid digest d in the repository of ref.
func AtDigest(ref reference.Named, d digest.Digest) reference.Canonical {
	at, err := reference.WithDigest(reference.TrimNamed(ref), d)
	if err != nil {
		panic(err) // the digest was not validated
	}
	return at
}

// AtTag returns the reference of a valid tag in the repository of ref.
func AtTag(ref reference.Named, tag string) reference.NamedTagged {
	at, err := reference.WithTag(reference.TrimNamed(ref), tag)
	if err != nil {
		panic(err) // the tag was not checked
	}
	return at
}

// SameRepository reports whether a and b are in the same repository of the same registry.
func SameRepository(a, b reference.Named) bool { return a.Name() == b.Name() }

// SameRegistry reports whether a and b are in the same registry.
func SameRegistry(a, b reference.Named) bool {
	return reference.Domain(a) == reference.Domain(b) && !IsLayout(a)
}

// JoinAnd joins words for a sentence: "a", "a and b", "a, b and c".
func JoinAnd(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// maxNamed is the number of words that JoinSome names.
const maxNamed = 10

// JoinSome joins words for a sentence, only the first of a long list.
func JoinSome(words []string) string {
	if more := len(words) - maxNamed; more > 0 {
		return JoinAnd(append(slices.Clone(words[:maxNamed]), fmt.Sprintf("%d more", more)))
	}
	return JoinAnd(words)
}

// DockerHub is the name of Docker Hub in references.
const DockerHub = "docker.io"

// ParseRegistry returns the name of the registry s, HOST[:PORT], in references.
func ParseRegistry(s string) (string, error) {
	named, err := reference.ParseNormalizedNamed(s + "/repository")
	if err != nil || reference.Path(named) != "repository" && s != DockerHub && s != "index."+DockerHub {
		return "", Errorf(errdefs.ErrInvalidArgument, "%q is not a registry: expected HOST[:PORT], as in registry.example.com or localhost:5000", s)
	}
	return reference.Domain(named), nil
}

// ParseRepository returns the repository that s names.
func ParseRepository(s string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q is not a repository (%w): expected [REGISTRY/]REPOSITORY", s, err)
	}
	if !reference.IsNameOnly(named) {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q is not a repository: omit the tag or digest, as in %s", s, reference.FamiliarName(named))
	}
	return named, nil
}
