package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// Untag removes a tag and keeps the manifest it points to. The error is errdefs.ErrNotFound when there is no such
// tag, errdefs.ErrNotImplemented when the registry cannot delete tags.
func (c *Client) Untag(ctx context.Context, name reference.NamedTagged) error {
	p, err := c.repository(name)
	if err != nil {
		return err
	}
	err = p.delete(ctx, "tag "+manifest.Familiar(name), name.Tag())
	var refused *Error
	if errors.As(err, &refused) && refused.service == "" {
		// Registries that delete only by digest take the tag for an invalid digest.
		if refused.Status == http.StatusBadRequest || refused.hasCode("UNSUPPORTED", "DIGEST_INVALID") {
			refused.kind = errdefs.ErrNotImplemented
		}
	}
	return err
}

// Delete removes a manifest or index, by its digest and with all tags that point to it. The error is
// errdefs.ErrNotFound when the registry does not have it, errdefs.ErrNotImplemented when it cannot delete manifests.
func (c *Client) Delete(ctx context.Context, at reference.Canonical) error {
	p, err := c.repository(at)
	if err != nil {
		return err
	}
	err = p.delete(ctx, "manifest "+manifest.Familiar(at), at.Digest().String())
	var refused *Error
	if errors.As(err, &refused) && refused.service == "" && refused.hasCode("UNSUPPORTED") {
		refused.kind = errdefs.ErrNotImplemented
	}
	return err
}

// delete deletes a manifest by tag or digest.
func (p repository) delete(ctx context.Context, what, name string) error {
	resp, err := p.do(ctx, request{
		method: http.MethodDelete, what: what, repo: p.repo, path: "manifests/" + name,
		scopes: []string{deleteScope(p.repo)}, loginFirst: true,
	})
	if err != nil {
		return err
	}
	transport.Discard(resp)
	return nil
}

// Deletes returns nil when manifests of a repository can be deleted, as far as an attempt to delete a random digest
// shows. The error is errdefs.ErrNotImplemented when the registry cannot delete manifests.
func (c *Client) Deletes(ctx context.Context, repo reference.Named) error {
	at, err := reference.WithDigest(reference.TrimNamed(repo), digest.FromString(rand.Text()))
	if err != nil {
		return err
	}
	return absent(c.Delete(ctx, at))
}

// Untags is Deletes for tags.
func (c *Client) Untags(ctx context.Context, repo reference.Named) error {
	name, err := reference.WithTag(reference.TrimNamed(repo), strings.ToLower("absent-"+rand.Text()))
	if err != nil {
		return err
	}
	return absent(c.Untag(ctx, name))
}

// absent returns the error for the deletion of something that does not exist.
func absent(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
