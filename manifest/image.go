package manifest

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Local is an image in the daemon's image store.
type Local struct {
	// Name is the name under which it was found; podman has app:1 as localhost/app:1.
	Name reference.Named
	// ID is the image ID: the digest of the config (graph-driver store), or of the image's index or
	// manifest (containerd store).
	ID digest.Digest
	// Platform is the platform of the image; of an image with several platforms that which the daemon would run.
	Platform ocispec.Platform
	// NoVariant reports that Platform may lack the variant of the image: the daemon does not report variants.
	NoVariant bool
	// RepoDigests are the known digests of the image in registries.
	RepoDigests []digest.Digest
	// Manifests are the manifests the image consists of, if the daemon reports them (containerd store, API
	// 1.48): one, or the children of an index.
	Manifests []LocalManifest
}

// LocalManifest is a manifest of a local image.
type LocalManifest struct {
	// Descriptor has a Platform if it is that of an image.
	Descriptor ocispec.Descriptor
	// Available reports that all of its content is in the store of the daemon.
	Available bool
	// Subject is the digest of the image that an attestation manifest describes, empty for an image.
	Subject digest.Digest
}

// Images is the daemon's image store.
type Images interface {
	// Find returns the image that the daemon has under ref; an errdefs.ErrNotFound error if there is none, an
	// errdefs.ErrUnavailable error if the daemon cannot be reached.
	Find(ctx context.Context, ref reference.Named) (Local, error)
	// Tag adds a name to the image with this ID.
	Tag(ctx context.Context, id digest.Digest, as reference.NamedTagged) error
	// Untag removes a name; an image that has another is kept.
	Untag(ctx context.Context, name reference.NamedTagged) error
	// Push sends the image called name to the registry in its name, all of it or, unless platform is nil, only the
	// manifest of that platform. It returns the digest that name has in the registry then, "" if the daemon does not
	// report it. The error is errdefs.ErrNotFound if the daemon does not have name (any more), errdefs.ErrAborted if
	// the registry refused the image because it lacks a blob of it. Several goroutines may call it.
	Push(ctx context.Context, name reference.NamedTagged, platform *ocispec.Platform) (digest.Digest, error)
	// Save stores an image, all of it or, unless platform is nil, only the manifest of that platform, in a temporary archive
	// and returns the reference to it, see [IsLayout]. Several goroutines may call it.
	Save(ctx context.Context, image Local, platform *ocispec.Platform) (reference.NamedTagged, error)
}

// Text returns the manifest of the entry, indented by tabs.
func (e Entry) Text() ([]byte, error) {
	if len(e.Raw) == 0 {
		return nil, Errorf(errdefs.ErrFailedPrecondition, "%s has no manifest: it is pending until the list is pushed", Familiar(e.Ref))
	}
	var out bytes.Buffer
	err := json.Indent(&out, e.Raw, "", "\t")
	return out.Bytes(), err
}

// ImageManifest is an entry in the JSON form of docker manifest (docker/cli v28, cli/manifest/types), with the
// same names in the same order: the output of inspect -v, and the content of its file in the local store.
type ImageManifest struct {
	Ref              string             // the reference
	Descriptor       ocispec.Descriptor // media type, digest, size and platform
	Raw              []byte             `json:",omitempty"` // bytes of the manifest
	SchemaV2Manifest json.RawMessage    `json:",omitempty"` // a Docker manifest
	OCIManifest      json.RawMessage    `json:",omitempty"` // an OCI manifest
}

// ImageManifest returns the entry in the form of docker manifest. A manifest that docker manifest cannot parse, and
// that would make it fail on the whole list, is only in Raw.
func (e Entry) ImageManifest() ImageManifest {
	out := ImageManifest{Ref: e.Ref.String(), Descriptor: e.Descriptor, Raw: e.Raw}
	var m ocispec.Manifest
	if len(e.Raw) == 0 || json.Unmarshal(e.Raw, &m) != nil {
		return out
	}
	switch mediaType := e.Descriptor.MediaType; {
	case mediaType == MediaTypeDockerManifest && m.MediaType == mediaType:
		out.SchemaV2Manifest = e.Raw
	case mediaType == ocispec.MediaTypeImageManifest && (m.MediaType == "" || m.MediaType == mediaType):
		out.OCIManifest = e.Raw
	}
	return out
}
