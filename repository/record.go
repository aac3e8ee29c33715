package repository

import (
	"math"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Record is a manifest of a repository as listings show it. What is not told is the zero value. The names
// in JSON are those of 'az acr manifest list-metadata' where they mean the same.
type Record struct {
	Digest          digest.Digest `json:"digest,omitempty"`
	Tags            []string      `json:"tags,omitempty"`
	Kind            string        `json:"kind,omitempty"`
	MediaType       string        `json:"mediaType,omitempty"`
	ConfigMediaType string        `json:"configMediaType,omitempty"`
	ArtifactType    string        `json:"artifactType,omitempty"`
	// OS and Architecture are those of an image; Platforms has it, or each image that an index lists.
	OS           string           `json:"os,omitempty"`
	Architecture string           `json:"architecture,omitempty"`
	Platforms    []PlatformRecord `json:"platforms,omitempty"`
	// Size is in bytes what it takes to download: manifest, config and layers; for an index all that is
	// below it, each blob once.
	Size   int64 `json:"imageSize,omitempty"`
	Layers int   `json:"layers,omitempty"`
	// Created is when the image says it was made; CreatedTime when it came into the registry and
	// LastUpdateTime when it was last changed there, where the registry tells.
	Created              *time.Time           `json:"created,omitempty"`
	CreatedTime          *time.Time           `json:"createdTime,omitempty"`
	LastUpdateTime       *time.Time           `json:"lastUpdateTime,omitempty"`
	ChangeableAttributes *manifest.Attributes `json:"changeableAttributes,omitempty"`
	// Children are what an index lists, Parents the indexes that list this; Subject is what it describes or
	// refers to.
	Children    []digest.Digest   `json:"children,omitempty"`
	Parents     []digest.Digest   `json:"parents,omitempty"`
	Subject     digest.Digest     `json:"subject,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Error is why the rest is not told, and Err the same.
	Error string `json:"error,omitempty"`
	Err   error  `json:"-"`
	// Depth is how many others the record stands under.
	Depth int `json:"-"`

	// detail is how much was looked up, platform what the registry's own listing says.
	detail   Detail
	platform ocispec.Platform
}

// PlatformRecord is an image of an index.
type PlatformRecord struct {
	Platform string        `json:"platform"`
	Digest   digest.Digest `json:"digest"`
	Size     int64         `json:"imageSize,omitempty"`
}

// Time is that of Listed or else, where that is not told, when the image says it was made.
func (r Record) Time() time.Time {
	told := manifest.Listed{Created: timeOrZero(r.CreatedTime), Updated: timeOrZero(r.LastUpdateTime)}.Time()
	if told.IsZero() {
		return timeOrZero(r.Created)
	}
	return told
}

// Detail is how much a listing tells of each manifest, and so what it has to ask.
type Detail int

// Each detail includes those before it.
const (
	// DetailName is what the list of tags has.
	DetailName Detail = iota
	// DetailDigest is the digest.
	DetailDigest
	// DetailManifest is what the manifest says.
	DetailManifest
	// DetailPlatform is what the config of an image says of its platform.
	DetailPlatform
	// DetailCreated is when images were made, those that an index lists included.
	DetailCreated
)

// recordOf returns what the manifest itself says.
func recordOf(n manifest.Node) Record {
	r := Record{
		Digest: n.Descriptor.Digest, MediaType: n.Descriptor.MediaType, Kind: n.Kind(), Layers: len(n.Layers),
		ArtifactType: n.ArtifactType, Annotations: n.Annotations, detail: DetailManifest,
	}
	if n.Subject != nil {
		r.Subject = n.Subject.Digest
	}
	if n.Config != nil {
		r.ConfigMediaType, r.Size = n.Config.MediaType, sizeOf(n)
	}
	for _, child := range n.Children {
		r.Children = append(r.Children, child.Digest)
		if p := child.Platform; p != nil && manifest.AttestationSubject(child) == "" {
			r.Platforms = append(r.Platforms, PlatformRecord{Platform: manifest.FormatPlatform(*p), Digest: child.Digest})
		}
	}
	return r
}

// setPlatform gives the record of an image its platform.
func (r *Record) setPlatform(p ocispec.Platform) {
	if p.OS == "" && p.Architecture == "" {
		return
	}
	r.OS, r.Architecture = p.OS, p.Architecture
	r.Platforms = []PlatformRecord{{Platform: manifest.FormatPlatform(p), Digest: r.Digest, Size: r.Size}}
}

// setListed takes over what the registry's own listing says.
func (r *Record) setListed(l manifest.Listed) {
	r.CreatedTime, r.LastUpdateTime, r.ChangeableAttributes = timeOrNil(l.Created), timeOrNil(l.Updated), l.Attributes
}

// fail notes why there is no more to be told.
func (r *Record) fail(err error) {
	r.Err, r.Error = err, err.Error()
	if errdefs.IsNotFound(err) {
		r.Error = "not in the registry"
	}
}

func timeOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// sizeOf returns what it takes to download images: their manifests, configs and layers, each once. It is 0
// when that is more than can be counted.
func sizeOf(nodes ...manifest.Node) int64 {
	total, seen := int64(0), map[digest.Digest]bool{}
	add := func(d ocispec.Descriptor) bool {
		if seen[d.Digest] {
			return true
		}
		seen[d.Digest] = true
		if total > math.MaxInt64-d.Size {
			return false
		}
		total += d.Size
		return true
	}
	for _, n := range nodes {
		parts := append([]ocispec.Descriptor{n.Descriptor}, n.Layers...)
		if n.Config != nil {
			parts = append(parts, *n.Config)
		}
		if slices.ContainsFunc(parts, func(d ocispec.Descriptor) bool { return !add(d) }) {
			return 0
		}
	}
	return total
}
