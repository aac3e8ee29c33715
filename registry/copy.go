package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// Copy copies an image from the repository of from into that of to, under its digest and after its blobs. Blobs are
// mounted if both repositories are in one registry, otherwise streamed; an image is copied once, and so is a blob that
// several images share. If to has a tag, the images that its list names are there already.
func (c *Client) Copy(ctx context.Context, from reference.Named, image manifest.Content, to reference.Named) error {
	job, err := c.newCopyJob(from, image, to)
	if err != nil {
		return err
	}
	named := manifest.AtDigest(to, image.Descriptor.Digest)
	_, err = c.copiedImages.Do(ctx, named.String(), func() (none struct{}, _ error) {
		if job.source.host != job.target.host && c.hasCopy(ctx, to, image.Descriptor.Digest) {
			return none, nil
		}
		if err := c.copyBlobs(ctx, job); err != nil {
			return none, err
		}
		return none, c.Put(ctx, named, image)
	})
	return err
}

// CopyBlobs is Copy without the manifest itself, for one that is going to be put under a tag.
func (c *Client) CopyBlobs(ctx context.Context, from reference.Named, image manifest.Content, to reference.Named) error {
	job, err := c.newCopyJob(from, image, to)
	if err != nil {
		return err
	}
	return c.copyBlobs(ctx, job)
}

// copyJob is the copy of an image's blobs from one repository to another.
type copyJob struct {
	source, target repository
	blobs          []ocispec.Descriptor
}

func (c *Client) newCopyJob(from reference.Named, image manifest.Content, to reference.Named) (copyJob, error) {
	blobs, err := blobsOf(image)
	if err != nil {
		return copyJob{}, fmt.Errorf("copying %s from %s: %w", image.Descriptor.Digest, from.Name(), err)
	}
	return copyJob{source: c.origin().repository(from), target: c.repository(to), blobs: blobs}, nil
}

// blobsOf returns the blobs that image names, each once, without foreign layers.
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
	n, err := manifest.ParseNode(image)
	if err != nil {
		return nil, err
	}
	var blobs []ocispec.Descriptor
	seen := map[digest.Digest]bool{}
	for _, b := range n.Blobs() {
		if !manifest.IsForeign(b.MediaType) && !seen[b.Digest] {
			seen[b.Digest] = true
			blobs = append(blobs, b)
		}
	}
	return blobs, nil
}

func (c *Client) copyBlobs(ctx context.Context, job copyJob) error {
	if job.source.name == job.target.name && job.source.repo == job.target.repo {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range job.blobs {
		group.Go(func() error {
			_, err := c.copiedBlobs.Do(ctx, job.target.at(b.Digest), func() (none struct{}, _ error) {
				return none, c.copyBlob(ctx, job.source, job.target, b)
			})
			return err
		})
	}
	return group.Wait()
}

// copyBlob copies one blob, unless the target has it. A mount needs no check for that.
func (c *Client) copyBlob(ctx context.Context, source, target repository, b ocispec.Descriptor) error {
	mounted, session, err := c.tryMount(ctx, c.near(source, target, b), target, b)
	if mounted || err != nil {
		return err
	}
	if session == nil {
		exists, err := target.has(ctx, b)
		if exists {
			c.assumed.Store(target.at(b.Digest), source)
			c.report(b, manifest.Present, 0)
		}
		if exists || err != nil {
			return err
		}
	}
	if source.host == target.host || source.cached(b) != nil {
		return c.sendBlob(ctx, source, target, b, session)
	}
	return c.sendOnce(ctx, source, target, b, session)
}

// tryMount mounts a blob of source, a repository of the target's registry. It returns an upload session if the registry asks
// for the blob instead. The error is that of ctx.
func (c *Client) tryMount(ctx context.Context, source, target repository, b ocispec.Descriptor) (mounted bool, session *url.URL, err error) {
	if !target.mayMount(ctx, source) {
		return false, nil, nil
	}
	session, err = target.mount(ctx, source, b)
	if err == nil && session == nil {
		c.assumed.Store(target.at(b.Digest), source)
		c.report(b, manifest.Mounted, 0)
		return true, nil, nil
	}
	return false, session, ctx.Err()
}

// mayMount reports whether one token can cover both repositories: they are in one registry and have one credential.
func (p repository) mayMount(ctx context.Context, source repository) bool {
	if source.host != p.host {
		return false
	}
	to, err := p.credential(ctx, []string{pushScope(p.repo)})
	from, failed := p.credential(ctx, []string{pullScope(source.repo)})
	return to == from && (err == nil) == (failed == nil)
}

// sendAssumed uploads those blobs of an image that were not sent, since the registry mounted them or claimed to have
// them: all, or those that it does not claim to have now. It reports whether there were any.
func (p repository) sendAssumed(ctx context.Context, image manifest.Content, all bool) (bool, error) {
	blobs, err := blobsOf(image)
	if err != nil {
		return false, nil //nolint:nilerr // it is an index, which has none
	}
	var sent atomic.Bool
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range blobs {
		source, assumed := p.client.assumed.Load(p.at(b.Digest))
		if !assumed {
			continue
		}
		group.Go(func() error {
			if !all {
				if exists, err := p.hasNow(ctx, b); exists || err != nil {
					return err
				}
			}
			p.client.assumed.Delete(p.at(b.Digest))
			sent.Store(true)
			return p.client.sendBlob(ctx, source.(repository), p, b, nil)
		})
	}
	err = group.Wait()
	return sent.Load(), err
}

// sendBlob uploads one blob, in session if that is not nil.
func (c *Client) sendBlob(ctx context.Context, source, target repository, b ocispec.Descriptor, session *url.URL) error {
	c.report(b, manifest.Sending, 0)
	to, transferred := target, false
	defer func() {
		if !transferred {
			to.cancelUpload(ctx, session)
		}
	}()
	if target.retries.IsLimited(transport.Writes) { // what waits takes no room
		var err error
		if session == nil {
			err = target.retry(ctx, func() (err error) {
				session, err = target.startUpload(ctx)
				return err
			})
		}
		if err == nil {
			target.permit, err = target.retries.Permit(ctx, transport.Writes)
		}
		if err != nil {
			return err
		}
	}
	target, release, err := target.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if source.acquired = source.host == target.host; !source.acquired {
		if source, release, err = source.acquire(ctx); err != nil {
			return err
		}
		defer release()
	}
	transferred = true
	if err := transfer(ctx, source, target, b, session); err != nil {
		return err
	}
	c.report(b, manifest.Sent, b.Size)
	return nil
}

// begin opens a blob and, unless there is one, an upload session for it concurrently. If there is no session, cancel
// ends the reading; if there is no blob, the session is returned with the error.
func begin(ctx context.Context, cancel func(), source, target repository, b ocispec.Descriptor, session *url.URL) (*verified, *url.URL, error) {
	var content *verified
	var opening, starting error
	var group sync.WaitGroup
	group.Go(func() {
		if content = source.cached(b); content == nil {
			content, opening = source.open(ctx, b, func(n int64) { target.client.report(b, manifest.Sending, n) })
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

// mount mounts a blob of another repository of the registry. It returns an upload session when the registry asks for
// the blob instead, nil when it has mounted it.
func (p repository) mount(ctx context.Context, source repository, b ocispec.Descriptor) (*url.URL, error) {
	resp, err := p.do(ctx, request{
		method: http.MethodPost, what: "mount of blob " + b.Digest.String() + " in " + p.repo,
		repo: p.repo, path: "blobs/uploads/", query: url.Values{"mount": {b.Digest.String()}, "from": {source.repo}},
		send: transport.Request{Scopes: []string{pushScope(p.repo), pullScope(source.repo)}, Attempts: mountAttempts},
	})
	if err != nil {
		return nil, err
	}
	transport.Discard(resp)
	if resp.StatusCode != http.StatusCreated {
		return p.session(resp)
	}
	if resp.Header.Get("Location") == "" && resp.Header.Get("Docker-Content-Digest") == "" { // not the registry's own answer
		if exists, err := p.hasNow(ctx, b); err != nil || !exists {
			return p.startUpload(ctx)
		}
	}
	return nil, nil
}
