// Package repository lists what a repository of a registry has, and removes from it: tags and manifests with
// their metadata, untag, delete, purge, and what puts back what a purge recorded. It reaches a registry through
// the interfaces of package manifest, never a daemon and never a local list.
package repository

import (
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Contents is what a repository has, as far as it can be seen.
type Contents struct {
	// Tags has what each tag names.
	Tags map[string]digest.Digest
	// Manifests are those that were met.
	Manifests map[digest.Digest]Held
	// Listed says that the registry lists its manifests: there are no others.
	Listed bool
}

// Held is a manifest of a repository.
type Held struct {
	MediaType string
	// Children are what an index lists; they need not be there.
	Children []digest.Digest
	// Subjects are what the manifest is about: what it refers to, and the images that an index says it
	// attests.
	Subjects []digest.Digest
	// Time is that of Listed or, where the registry does not tell, when the image was made; zero
	// when that is not known.
	Time time.Time
	// Locked says that the registry would refuse to delete it.
	Locked bool
}

// digestTags returns the digest tags of the manifests of the contents, with the digest of that. What they
// name is about it.
func (c Contents) digestTags() map[string]digest.Digest {
	subjects := make(map[string]digest.Digest, len(c.Manifests))
	for d := range c.Manifests {
		subjects[manifest.ReferrersTag(d)] = d
	}
	out := map[string]digest.Digest{}
	for tag := range c.Tags {
		form, ok := manifest.CutDigestTag(tag)
		if d := subjects[form]; ok && d != "" {
			out[tag] = d
		}
	}
	return out
}

// tagsByDigest returns the tags that name each manifest, sorted.
func (c Contents) tagsByDigest() map[digest.Digest][]string {
	out := map[digest.Digest][]string{}
	for tag, d := range c.Tags {
		out[d] = append(out[d], tag)
	}
	for _, tags := range out {
		slices.Sort(tags)
	}
	return out
}

// add puts a node that was read into the contents, with what an index tells of its children.
func (c Contents) add(n manifest.Node) {
	held := c.Manifests[n.Descriptor.Digest]
	held.MediaType = n.Descriptor.MediaType
	if n.Subject != nil {
		held.Subjects = append(held.Subjects, n.Subject.Digest)
	}
	for _, child := range n.Children {
		held.Children = append(held.Children, child.Digest)
		if subject := manifest.AttestationSubject(child); subject != "" {
			attestation := c.Manifests[child.Digest]
			attestation.Subjects = append(attestation.Subjects, subject)
			c.Manifests[child.Digest] = attestation
		}
	}
	c.Manifests[n.Descriptor.Digest] = held
}
