package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Copy brings the image manifest image from the repository of from into that of to,
// under its digest and after its blobs. Blobs are mounted where both lie in one registry, and streamed
// where not; an image is brought once, and a blob that several images share, too. What the list called to
// has, where to has a tag, is there already.
func (c *Client) Copy(ctx context.Context, from reference.Named, image manifest.Content, to reference.Named) error {
	p, err := c.passageOf(from, image, to)
	if err != nil {
		return err
	}
	named, err := reference.WithDigest(reference.TrimNamed(to), image.Descriptor.Digest)
	if err != nil {
		return err
	}
	_, err = c.copiedImages.Do(ctx, named.String(), func() (none struct{}, _ error) {
		if p.source.host != p.target.host && c.hasCopy(ctx, to, image.Descriptor.Digest) {
			return none, nil
		}
		if err := c.copyBlobs(ctx, p); err != nil {
			return none, err
		}
		return none, c.Put(ctx, named, image)
	})
	return err
}

// CopyBlobs is Copy without the manifest itself, for one that is going to be put under a tag.
func (c *Client) CopyBlobs(ctx context.Context, from reference.Named, image manifest.Content, to reference.Named) error {
	p, err := c.passageOf(from, image, to)
	if err != nil {
		return err
	}
	return c.copyBlobs(ctx, p)
}

// passage is the way of an image's blobs from one repository to another.
type passage struct {
	source, target repository
	blobs          []ocispec.Descriptor
}

func (c *Client) passageOf(from reference.Named, image manifest.Content, to reference.Named) (p passage, err error) {
	if p.blobs, err = blobsOf(image); err != nil {
		return p, fmt.Errorf("copying %s from %s: %w", image.Descriptor.Digest, from.Name(), err)
	}
	if p.source, err = c.origin().repository(from); err == nil {
		p.target, err = c.repository(to)
	}
	return p, err
}

// blobsOf returns the blobs that image names, each once, less the foreign layers.
func blobsOf(image manifest.Content) ([]ocispec.Descriptor, error) {
	d := image.Descriptor
	if manifest.IsIndex(d.MediaType) {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "it is an index, not an image")
	}
	if err := d.Digest.Validate(); err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%w", err)
	}
	if actual := d.Digest.Algorithm().FromBytes(image.Raw); actual != d.Digest {
		return nil, manifest.Errorf(errdefs.ErrDataLoss, "the manifest's bytes have the digest %s", actual)
	}
	config, layers, err := manifest.ParseImage(image.Raw)
	if err != nil {
		return nil, err
	}
	var blobs []ocispec.Descriptor
	seen := map[digest.Digest]bool{}
	for _, b := range append([]ocispec.Descriptor{config}, layers...) {
		if !manifest.IsForeign(b.MediaType) && !seen[b.Digest] {
			seen[b.Digest] = true
			blobs = append(blobs, b)
		}
	}
	return blobs, nil
}

func (c *Client) copyBlobs(ctx context.Context, p passage) error {
	if p.source.name == p.target.name && p.source.repo == p.target.repo {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range p.blobs {
		group.Go(func() error {
			_, err := c.copiedBlobs.Do(ctx, p.target.at(b.Digest), func() (none struct{}, _ error) {
				return none, c.copyBlob(ctx, p.source, p.target, b)
			})
			return err
		})
	}
	return group.Wait()
}

// copyBlob brings one blob. It is looked for in the target first, but for a mount, which needs no look.
func (c *Client) copyBlob(ctx context.Context, source, target repository, b ocispec.Descriptor) error {
	var session *url.URL
	if source.host == target.host {
		var err error
		if session, err = target.mount(withTries(ctx, mountTries), source, b); err == nil && session == nil {
			c.tell(b, manifest.Mounted, 0)
			return nil
		}
		if err != nil && !mountRefused(err) && gaveUpOn(err) == nil {
			return err
		}
	}
	if session == nil {
		there, err := target.has(ctx, b)
		if there {
			c.tell(b, manifest.Present, 0)
		}
		if there || err != nil {
			return err
		}
	}
	c.tell(b, manifest.Sending, 0)
	ctx, leave, err := target.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, leave, err = source.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := transfer(ctx, source, target, b, session); err != nil {
		return err
	}
	c.tell(b, manifest.Sent, b.Size)
	return nil
}

// begin opens a blob and, unless there is one, an upload session for it side by side. When the session
// cannot be had, cancel ends the reading; when the blob cannot, the session is returned with the error.
func begin(ctx context.Context, cancel func(), source, target repository, b ocispec.Descriptor, session *url.URL) (*verified, *url.URL, error) {
	var content *verified
	var opening, starting error
	var group sync.WaitGroup
	group.Go(func() {
		if content = source.kept(b); content == nil {
			content, opening = source.open(ctx, b, func(n int64) { target.client.tell(b, manifest.Sending, n) })
		}
	})
	if session == nil {
		group.Go(func() {
			if session, starting = target.startUpload(ctx); starting != nil {
				cancel()
			}
		})
	}
	group.Wait()
	if starting != nil && opening == nil {
		content.Close()
	}
	if starting != nil {
		return nil, nil, starting
	}
	return content, session, opening
}

// mount makes a blob of another repository of the registry one of p's. It returns an upload session when
// the registry wants to be sent the blob instead, nil when it is there.
func (p repository) mount(ctx context.Context, source repository, b ocispec.Descriptor) (*url.URL, error) {
	resp, err := p.do(ctx, request{
		method: http.MethodPost, what: "mount of blob " + b.Digest.String() + " in " + p.repo,
		repo: p.repo, path: "blobs/uploads/", query: url.Values{"mount": {b.Digest.String()}, "from": {source.repo}},
		scopes: []string{pushScope(p.repo), pullScope(source.repo)},
	})
	if err != nil {
		return nil, err
	}
	defer discard(resp)
	if resp.StatusCode == http.StatusCreated {
		return nil, nil
	}
	return p.session(resp)
}

// mountRefused reports whether the blob can still be uploaded: the registry mounts nothing, or not from
// there, or not for this person.
func mountRefused(err error) bool {
	return errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err) ||
		errdefs.IsNotFound(err) || errdefs.IsNotImplemented(err)
}
