package manifest

import (
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Listed is a manifest in a listing of the registry. Unknown fields are zero.
type Listed struct {
	Digest    digest.Digest
	MediaType string
	// Tags are the tags of the manifest in the order of the registry.
	Tags []string
	// Others are further names of the manifest that are not valid tags.
	Others []string
	// Size is the size of the image in bytes, as reported by the registry.
	Size int64
	// Platform is that of an image.
	Platform ocispec.Platform
	// Created is when the manifest was pushed, Updated when it or one of its tags was last changed.
	Created, Updated time.Time
	// Locked reports that the registry refuses to delete the manifest.
	Locked bool
	// Attributes are the permissions, nil if the registry has none.
	Attributes *Attributes
}

// Time is the later of Created and Updated.
func (l Listed) Time() time.Time {
	if l.Updated.After(l.Created) {
		return l.Updated
	}
	return l.Created
}

// Attributes are the permissions of a manifest in Azure Container Registry.
type Attributes struct {
	Delete bool `json:"deleteEnabled"` // whether it can be deleted
	Write  bool `json:"writeEnabled"`  // whether it can be changed
	Read   bool `json:"readEnabled"`   // whether it can be pulled
	List   bool `json:"listEnabled"`   // whether it is listed
}
