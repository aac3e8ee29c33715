package manifest

import (
	"context"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Local is an image in the daemon's image store.
type Local struct {
	// Name is the name it was found under.
	Name reference.Named
	// ID is the image ID: the digest of the config (graph-driver store), or of the image's index or
	// manifest (containerd store).
	ID digest.Digest
	// Platform is the image's platform; for an image of several platforms, of the one the daemon would
	// run.
	Platform ocispec.Platform
	// RepoDigests are the digests under which registries are known to have the image.
	RepoDigests []digest.Digest
	// Manifests are the manifests the image consists of, where the daemon tells (containerd store, API
	// 1.48): one, or the children of an index.
	Manifests []LocalManifest
}

// LocalManifest is a manifest of a local image.
type LocalManifest struct {
	// Descriptor has the Platform set for an image.
	Descriptor ocispec.Descriptor
	// Available says that all of its content is in the daemon's store.
	Available bool
	// Subject is the digest of the image that an attestation manifest describes, empty for an image.
	Subject digest.Digest
}

// Images is the local daemon.
type Images interface {
	// Find returns the image that ref names in the daemon's store; an errdefs.ErrNotFound error when
	// there is none, an errdefs.ErrUnavailable error when the daemon cannot be reached.
	Find(ctx context.Context, ref reference.Named) (Local, error)
	// Tag gives the image with this ID one more name.
	Tag(ctx context.Context, id digest.Digest, as reference.NamedTagged) error
	// Untag removes a name; the image stays while it has another.
	Untag(ctx context.Context, name reference.NamedTagged) error
	// Push sends the image called name to the registry in its name, all of it or, where platform is not
	// nil, the manifest of that platform alone. It returns the digest that name has in the registry
	// then; an errdefs.ErrNotFound error when the daemon does not have name (any more).
	Push(ctx context.Context, name reference.NamedTagged, platform *ocispec.Platform) (digest.Digest, error)
}
