package manifest

import (
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Listed is a manifest as a registry's own listing has it. What that does not tell is the zero value.
type Listed struct {
	Digest    digest.Digest
	MediaType string
	// Tags are those that name the manifest, in the registry's order; none when it is untagged.
	Tags []string
	// Size is in bytes what the registry says the image takes.
	Size int64
	// Platform is that of an image.
	Platform ocispec.Platform
	// Created is when the manifest came into the registry, Updated when it or a tag of it was last changed.
	Created, Updated time.Time
	// Locked says that the registry would refuse to delete it.
	Locked bool
	// Attributes say what the registry permits, nil where it does not tell.
	Attributes *Attributes
}

// Time is when the manifest came into the registry, or was last changed there: the later of both.
func (l Listed) Time() time.Time {
	if l.Updated.After(l.Created) {
		return l.Updated
	}
	return l.Created
}

// Attributes are what Azure Container Registry permits to be done to a manifest.
type Attributes struct {
	Delete bool `json:"deleteEnabled"`
	Write  bool `json:"writeEnabled"`
	Read   bool `json:"readEnabled"`
	List   bool `json:"listEnabled"`
}
