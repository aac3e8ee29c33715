package registry

import (
	"bytes"
	"context"
	"io"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Prefetch announces that images of the repositories in from are going to be copied to that of to, and a list
// of them put under the name to. From now on each token covers all of that. Images that are fetched from the
// Fetcher that it returns are prepared for Copy until ctx is done: it asks which of their blobs the target
// has, and opens the connections that Copy needs. It only reads.
func (c *Client) Prefetch(ctx context.Context, to reference.Named, from []reference.Named) manifest.Fetcher {
	target, foreign := c.repository(to), 0
	c.holders.addTarget(target)
	scopes := map[*host][]string{target.host: {pushScope(target.repo)}}
	for _, ref := range from {
		source := c.origin().repository(ref)
		scopes[source.host] = append(scopes[source.host], pullScope(source.repo))
		if source.host != target.host {
			foreign++
		}
	}
	for h, s := range scopes { // one token covers what the operation needs at one registry
		h.login.Widen(s)
	}
	if foreign > 0 {
		target.warmUp(foreign)
		go c.listed(ctx, to)
	}
	return &prefetcher{Client: c.origin(), ctx: ctx, to: to, target: c}
}

// prefetcher fetches from the source what is going to be copied to the target.
type prefetcher struct {
	*Client
	ctx    context.Context
	to     reference.Named
	target *Client
}

// Fetch fetches a manifest and, for an image, starts to prefetch what its copy needs.
func (p *prefetcher) Fetch(ctx context.Context, ref reference.Named) (manifest.Content, error) {
	c, err := p.Client.Fetch(ctx, ref)
	if err == nil && manifest.IsImage(c.Descriptor.MediaType) && (p.Client != p.target || ref.Name() != p.to.Name()) {
		go p.target.prefetch(p.ctx, ref, p.to, c)
	}
	return c, err
}

// prefetch asks what Copy needs to know of an image from another registry, and opens the connections that blobs from
// another repository are going to need. Copy meets the errors.
func (c *Client) prefetch(ctx context.Context, from, to reference.Named, image manifest.Content) {
	job, err := c.newCopyJob(from, image, to)
	if err != nil {
		return
	}
	if job.source.host == job.target.host {
		job.source.warmUp(int(job.source.layers.Add(int64(len(job.blobs)))))
		return
	}
	if c.hasCopy(ctx, to, image.Descriptor.Digest) {
		return
	}
	job.source.warmUp(int(job.source.layers.Add(int64(len(job.blobs) - 1)))) // the config is read for its platform
	for _, b := range job.blobs {
		go func() { _, _ = job.target.has(ctx, b) }()
	}
}

// hasCopy reports whether the target has an image already. It asks only about images in the list that the push is
// going to replace: for others it is the blobs that matter.
func (c *Client) hasCopy(ctx context.Context, to reference.Named, d digest.Digest) bool {
	if !c.listed(ctx, to)[d] {
		return false
	}
	at := manifest.AtDigest(to, d)
	there, err := c.images.Do(ctx, at.String(), func() (bool, error) {
		_, err := c.Digest(ctx, at)
		if errdefs.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	return there && err == nil
}

// listed returns the digests that the index called name in a registry lists now; none when that is unknown.
func (c *Client) listed(ctx context.Context, name reference.Named) map[digest.Digest]bool {
	if _, ok := name.(reference.Tagged); !ok {
		return nil
	}
	digests, _ := c.lists.Do(ctx, name.String(), func() (map[digest.Digest]bool, error) {
		index, err := c.Fetch(ctx, name)
		if err != nil || !manifest.IsIndex(index.Descriptor.MediaType) {
			return nil, ctx.Err()
		}
		children, _, err := manifest.ParseIndex(index.Raw)
		digests := map[digest.Digest]bool{}
		for _, child := range children {
			digests[child.Digest] = err == nil
		}
		return digests, nil
	})
	return digests
}

// has reports whether the blob is in the repository.
func (p repository) has(ctx context.Context, b ocispec.Descriptor) (bool, error) {
	return p.client.blobs.Do(ctx, p.at(b.Digest), func() (bool, error) { return p.hasNow(ctx, b) })
}

// hasNow is has without what is known from before. A registry that refuses to say, or answers with something else, does
// not have it: the upload shows why.
func (p repository) hasNow(ctx context.Context, b ocispec.Descriptor) (bool, error) {
	size, sure, err := p.size(ctx, b, pushScope(p.repo))
	if errdefs.IsUnauthorized(err) || errdefs.IsNotFound(err) || isHeadRefused(err) {
		return false, nil
	}
	return err == nil && sure && (b.Size == 0 || size < 0 || size == b.Size), err
}

// cached returns a config that was read before, nil when it was not.
func (p repository) cached(b ocispec.Descriptor) *verified {
	raw, ok := p.client.configs.Load(p.at(b.Digest))
	if !ok || b.Size > 0 && int64(len(raw)) != b.Size {
		return nil
	}
	return newVerified("blob "+b.Digest.String(), io.NopCloser(bytes.NewReader(raw)), b.Digest, int64(len(raw)))
}

// at names a blob or manifest of the repository.
func (p repository) at(d digest.Digest) string { return p.name + "/" + p.repo + "@" + d.String() }
