package manifest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Content is a manifest or an index: its bytes as a registry sent them or as they are going to be pushed, and a
// descriptor with their media type, digest and size. The bytes are never marshaled again, so the digest stays the same.
type Content struct {
	Descriptor ocispec.Descriptor
	Raw        []byte
}

// NewContent returns raw as content of this media type, with its SHA-256 digest.
func NewContent(mediaType string, raw []byte) Content {
	return Content{ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, raw}
}

// Checked is content that is compared with a digest while it is read: its last bytes are only returned if it has that digest.
type Checked interface {
	io.Reader
	// CheckedDigest returns the digest.
	CheckedDigest() digest.Digest
}

// ReadImage returns the entry of an image manifest, its platform read from the config when desc has none and it is
// no artifact.
func ReadImage(ctx context.Context, registry Fetcher, ref reference.Named, c Content) (Entry, error) {
	desc := c.Descriptor
	if !IsImage(desc.MediaType) {
		return Entry{}, Errorf(errdefs.ErrInvalidArgument, "%s is not an image manifest but %q", Familiar(ref), desc.MediaType)
	}
	config, _, err := ParseImage(c.Raw)
	if err != nil {
		return Entry{}, fmt.Errorf("reading manifest %s: %w", Familiar(ref), err)
	}
	e := Entry{Ref: ref, Source: ref, Descriptor: desc, Raw: c.Raw}
	if StatedPlatform(desc) != nil {
		return e, nil
	}
	platform := e.Platform()
	if e.ArtifactType() == "" {
		if platform, e.Revision, err = ReadPlatform(ctx, registry, ref, config); err != nil {
			return Entry{}, fmt.Errorf("reading the config of %s: %w", Familiar(ref), err)
		}
	}
	e.Descriptor.Platform = &platform
	return e, nil
}

// ReadPlatform returns the platform that an image config states, and the revision of its source if it states one.
func ReadPlatform(ctx context.Context, registry Fetcher, ref reference.Named, config ocispec.Descriptor) (ocispec.Platform, string, error) {
	raw, err := registry.Blob(ctx, ref, config)
	if err != nil {
		return ocispec.Platform{}, "", err
	}
	var image struct {
		Config struct{ Labels map[string]string } `json:"config"`
	}
	_ = json.Unmarshal(raw, &image) // a config without labels, or with odd ones
	platform, err := ParseConfig(raw)
	return platform, OneLine(image.Config.Labels[ocispec.AnnotationRevision], 64), err
}

// WithRaw returns the entry with its bytes, which lists of older docker versions and of registries lack.
func (e Entry) WithRaw(ctx context.Context, registry Fetcher) (Entry, error) {
	if len(e.Raw) > 0 || e.IsPending() {
		return e, nil
	}
	c, err := registry.Fetch(ctx, AtDigest(e.Ref, e.Descriptor.Digest))
	e.Raw = c.Raw
	return e, err
}
