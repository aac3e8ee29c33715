package registry

import (
	"context"
	"errors"
	"net/url"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
)

// holders are the repositories that have blobs which are copied to several registries: each is read from its source at most
// once, and not at all if one of the targets has it.
type holders struct {
	mu      sync.Mutex
	targets []repository // those that Prefetch has announced
	// inRegistry has a repository that has the blob, by registry and digest.
	inRegistry sync.Map
	// first has the target that had or got the blob first.
	first memo.Memo[digest.Digest, repository]
}

// inRegistry is a key of holders.
type inRegistry struct {
	*host
	digest.Digest
}

// addTarget records a repository that is going to be written.
func (h *holders) addTarget(target repository) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.targets = append(h.targets, target)
}

// others returns the targets in other registries than those of a copy; none if its source is a target.
func (h *holders) others(source, target repository) []repository {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []repository
	for _, t := range h.targets {
		if t.host == source.host && t.repo == source.repo {
			return nil
		}
		if t.host != source.host && t.host != target.host {
			out = append(out, t)
		}
	}
	return out
}

// near returns a repository of the target's registry that has a blob of source, and source if there is none.
func (c *Client) near(source, target repository, b ocispec.Descriptor) repository {
	c.holders.inRegistry.LoadOrStore(inRegistry{source.host, b.Digest}, source)
	if near, ok := c.holders.inRegistry.Load(inRegistry{target.host, b.Digest}); ok && source.host != target.host {
		return near.(repository)
	}
	return source
}

// sendOnce uploads a blob from another registry, in session if that is not nil. It reads it from another target if that has
// it, or has just got it.
func (c *Client) sendOnce(ctx context.Context, source, target repository, b ocispec.Descriptor, session *url.URL) error {
	send := func(from repository) error {
		err := c.sendBlob(ctx, from, target, b, session)
		if err == nil {
			c.holders.inRegistry.LoadOrStore(inRegistry{target.host, b.Digest}, target)
		}
		return err
	}
	sent := false
	holder, err := c.holders.first.Do(ctx, b.Digest, func() (repository, error) {
		for _, other := range c.holders.others(source, target) {
			if exists, err := other.has(ctx, b); exists && err == nil {
				return other, nil
			}
		}
		sent = true
		return target, send(source)
	})
	switch {
	case sent:
		return err
	case ctx.Err() != nil:
		target.cancelUpload(ctx, session)
		return err
	case err != nil: // of the upload to another target
		return send(source)
	case holder.host == target.host && session == nil:
		var mounted bool
		if mounted, session, err = c.tryMount(ctx, holder, target, b); mounted || err != nil {
			return err
		}
	}
	err = send(holder)
	failed, ok := errors.AsType[*Error](err)
	if (ok && failed.Host == holder.name || errdefs.IsDataLoss(err)) && ctx.Err() == nil {
		session = nil
		err = send(source)
	}
	return err
}
