package registry

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// Untag removes a tag and keeps the manifest it points to. The error is errdefs.ErrNotFound when there is no such
// tag, errdefs.ErrNotImplemented when the registry cannot delete tags. If an answer is lost the request is repeated only if
// the tag still exists; it is errdefs.ErrAborted if that was moved by another client.
func (c *Client) Untag(ctx context.Context, name reference.NamedTagged) error {
	p := c.repository(name)
	lost, before := false, c.lastSeen(name)
	err := p.retry(ctx, func() error {
		if lost {
			if gone, err := p.tookEffect(ctx, name, nil, before); gone || err != nil {
				return err
			}
		}
		err := p.untag(ctx, name, true)
		lost = isLost(err)
		return err
	})
	if err == nil {
		c.recordTag(name, "")
	}
	return err
}

// Delete removes a manifest or index, by its digest and with all tags that point to it. The error is
// errdefs.ErrNotFound when the registry does not have it, errdefs.ErrNotImplemented when it cannot delete manifests. It
// is manifest.ErrAnswerLost when the answer is lost and the manifest exists: another client may have pushed it again.
// It is returned after a wait, and only while the retry budget lasts.
func (c *Client) Delete(ctx context.Context, at reference.Canonical) error {
	p := c.repository(at)
	err := p.deleteManifest(ctx, at, true)
	if !isLost(err) {
		return err
	}
	earlier, _ := c.lost.LoadAndDelete(at.String())
	attempts, _ := earlier.(*transport.Attempts)
	if attempts == nil {
		attempts = c.budget.Attempts(p.name, 0)
	}
	f := interruption(err)
	more := f != nil && attempts.Wait(ctx, *f)
	_, resolveErr := c.Digest(ctx, at)
	switch {
	case errdefs.IsNotFound(resolveErr):
		return nil
	case resolveErr != nil:
		return fmt.Errorf("the answer to the deletion of %s was lost: %w", manifest.Familiar(at), resolveErr)
	case !more:
		return describe(ctx, err, attempts)
	}
	c.lost.Store(at.String(), attempts)
	return manifest.Errorf(manifest.ErrAnswerLost, "%w", err)
}

// untag and deleteManifest make the request for a tag and for a manifest, with once only until an answer is lost.
func (p repository) untag(ctx context.Context, name reference.NamedTagged, once bool) error {
	root, path := "", "manifests/"
	if azureHost().MatchString(p.name) {
		root, path = azureRoot, "_tags/"
	}
	err := p.delete(ctx, "tag "+manifest.Familiar(name), root, path+name.Tag(), once)
	// Registries that delete only by digest take the tag for an invalid digest.
	if refused := refusalOf(err); refused.Status == http.StatusBadRequest || refused.hasCode("UNSUPPORTED", "DIGEST_INVALID") {
		refused.kind = errdefs.ErrNotImplemented
	}
	return err
}

func (p repository) deleteManifest(ctx context.Context, at reference.Canonical, once bool) error {
	err := p.delete(ctx, "manifest "+manifest.Familiar(at), "", "manifests/"+at.Digest().String(), once)
	if refused := refusalOf(err); refused.hasCode("UNSUPPORTED") {
		refused.kind = errdefs.ErrNotImplemented
	}
	return err
}

// delete deletes a manifest or a tag; root is "" for the distribution API.
func (p repository) delete(ctx context.Context, what, root, path string, once bool) error {
	resp, err := p.do(ctx, request{
		method: http.MethodDelete, what: what, repo: p.repo, root: root, path: path,
		send: transport.Request{Scopes: []string{deleteScope(p.repo)}, LoginFirst: true, Once: once},
	})
	if err != nil && once {
		return lostAnswer(err)
	}
	if err != nil {
		return err
	}
	transport.Discard(resp)
	p.client.count(manifest.CountedRemovals, 1)
	return nil
}

// Deletes returns nil when manifests of a repository can be deleted, as far as an attempt to delete a random digest
// shows. The error is errdefs.ErrNotImplemented when the registry cannot delete manifests.
func (c *Client) Deletes(ctx context.Context, repo reference.Named) error {
	p := c.repository(repo)
	return absent(p.deleteManifest(ctx, manifest.AtDigest(repo, digest.FromString(rand.Text())), false))
}

// Untags is Deletes for tags.
func (c *Client) Untags(ctx context.Context, repo reference.Named) error {
	p := c.repository(repo)
	return absent(p.untag(ctx, manifest.AtTag(repo, strings.ToLower("absent-"+rand.Text())), false))
}

// KnownToUntag reports whether it is known, without a request, that the registry of a repository removes tags.
func (*Client) KnownToUntag(repo reference.Named) bool {
	return azureHost().MatchString(reference.Domain(repo))
}

// absent returns the error for the deletion of something that does not exist.
func absent(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
