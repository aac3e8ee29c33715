package manifest

import (
	"context"
	"io"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Fetcher reads from registries. It verifies the digest and size of all content, and refuses content larger than
// 4 MiB.
type Fetcher interface {
	// Digest returns the digest of what ref names, an errdefs.ErrNotFound error if it does not exist.
	Digest(ctx context.Context, ref reference.Named) (digest.Digest, error)
	// Fetch returns the manifest or index that ref names. The error is errdefs.ErrNotFound when the
	// registry does not have it.
	Fetch(ctx context.Context, ref reference.Named) (Content, error)
	// Blob returns a small blob of the repository that repo names: the config d of an image.
	Blob(ctx context.Context, repo reference.Named, d ocispec.Descriptor) ([]byte, error)
}

// Target is the registry that a list is pushed to.
type Target interface {
	// Source returns the reader of the repositories that Copy copies from: the registry client itself, unless it
	// reads them with a login of their own.
	Source() Reader
	// Copy copies the image manifest c with all blobs it names from the repository of from into that of
	// to, under its digest. Foreign layers are not copied. If to has a tag, the
	// list under that tag is about to be replaced: its content exists in the repository.
	Copy(ctx context.Context, from reference.Named, c Content, to reference.Named) error
	// CopyBlobs is Copy without the manifest itself, for one that Put stores under a tag.
	CopyBlobs(ctx context.Context, from reference.Named, c Content, to reference.Named) error
	// Put stores the bytes of c with its media type under the tag or digest of ref, and under tags. An error after some of
	// several tags were written has a method Written that returns those.
	Put(ctx context.Context, ref reference.Named, c Content, tags ...string) error
	// PutIf is Put on the condition that the tag points to before, or does not exist if that is "". Most registries do not
	// check the condition. One that does returns an errdefs.ErrFailedPrecondition error if it is not met.
	PutIf(ctx context.Context, tag reference.NamedTagged, c Content, before digest.Digest) error
}

// Subjects keeps track of manifests that have a subject.
type Subjects interface {
	// Referrers is that of [Lister].
	Referrers(ctx context.Context, subject reference.Canonical) ([]ocispec.Descriptor, error)
	// Unlisted returns the manifests with a subject that were put in the repository of repo since the last call, except
	// those that the registry acknowledged as referrers.
	Unlisted(repo reference.Named) []Node
}

// Lister lists the content of a registry.
type Lister interface {
	// Repositories returns the paths of the repositories of a registry, named as in a reference.
	Repositories(ctx context.Context, registry string) ([]string, error)
	// Tags returns the tags of the repository of repo, all valid; an errdefs.ErrNotFound error if there is no such
	// repository. Others are listed names that are not valid tags: some registries list digests.
	Tags(ctx context.Context, repo reference.Named) (tags, others []string, err error)
	// Referrers returns the descriptors of the referrers of subject; an errdefs.ErrNotImplemented error when the
	// registry has no referrers API.
	Referrers(ctx context.Context, subject reference.Canonical) ([]ocispec.Descriptor, error)
	// Inventory returns all manifests of the repository of repo, untagged ones included. Their digests and
	// tags are valid. The error is errdefs.ErrNotImplemented if the registry has no such listing, or not for this
	// account.
	Inventory(ctx context.Context, repo reference.Named) ([]Listed, error)
}

// Reader fetches and lists content of a registry.
type Reader interface {
	Fetcher
	Lister
}

// Blobs reads configs and layers.
type Blobs interface {
	// BlobSize returns the size in bytes of the blob d in the repository of repo, -1 if the registry does not
	// report it; an errdefs.ErrNotFound error if it does not exist.
	BlobSize(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (int64, error)
	// OpenBlob returns the content of the blob. Reading it to its end fails with an errdefs.ErrDataLoss
	// error when it does not have the digest and the size of d.
	OpenBlob(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (io.ReadCloser, error)
}

// Deleter removes tags and manifests from a registry. The error is errdefs.ErrNotImplemented if the registry
// cannot do that.
type Deleter interface {
	// Untag removes a tag and nothing else.
	Untag(ctx context.Context, name reference.NamedTagged) error
	// Delete removes a manifest with all its tags. The error is ErrAnswerLost if the manifest exists after an answer was
	// lost: it is deleted again only after a look at its tags.
	Delete(ctx context.Context, at reference.Canonical) error
	// Untags and Deletes return nil if that is possible in the repository of repo. They remove nothing.
	Untags(ctx context.Context, repo reference.Named) error
	Deletes(ctx context.Context, repo reference.Named) error
}

// Prefetcher prepares a push, so that no request is sent twice or later than it could be.
type Prefetcher interface {
	// Prefetch announces that images of the repositories in from are going to be copied to that of to, and
	// a list of them put under the name to. What is going to be copied is best fetched from the Fetcher that
	// it returns: for each image, that also fetches what Copy needs to know, until ctx is done. It does not
	// block, and changes nothing in a registry.
	Prefetch(ctx context.Context, to reference.Named, from []reference.Named) Fetcher
}

// Announcer is a registry that reports how long the rest takes where it limits its rates.
type Announcer interface {
	// Announce says that n manifests or tags are going to be removed from the registry of repo, or images to be imported from
	// or into it, and how many are worked on at once if each takes several requests. Call done for each.
	Announce(repo reference.Named, n, atOnce int) (done func())
}

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

// Registry reads sources from registries and writes lists to them.
type Registry interface {
	Fetcher
	Target
	Prefetcher
	Subjects
}
