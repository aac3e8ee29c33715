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
)

// Untag removes a tag and leaves the manifest it names. The error is errdefs.ErrNotFound when there is
// no such tag, errdefs.ErrNotImplemented when the registry deletes no tags.
func (c *Client) Untag(ctx context.Context, name reference.NamedTagged) error {
	p, err := c.repository(name)
	if err != nil {
		return err
	}
	err = p.delete(ctx, "tag "+manifest.Familiar(name), name.Tag())
	var refused *Error
	if errors.As(err, &refused) && refused.service == "" {
		// Registries that delete by digest only take the tag for a bad digest.
		if refused.Status == http.StatusBadRequest || refused.hasCode("UNSUPPORTED", "DIGEST_INVALID") {
			refused.kind = errdefs.ErrNotImplemented
		}
	}
	return err
}

// Delete removes a manifest or index, by its digest and with all tags that name it. The error is
// errdefs.ErrNotFound when it is not there, errdefs.ErrNotImplemented when the registry deletes nothing.
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

// delete asks for a manifest to be deleted by a tag or digest.
func (p repository) delete(ctx context.Context, what, name string) error {
	resp, err := p.do(ctx, request{
		method: http.MethodDelete, what: what, repo: p.repo, path: "manifests/" + name,
		scopes: []string{deleteScope(p.repo)},
	})
	if err != nil {
		return err
	}
	discard(resp)
	return nil
}

// Deletes returns nil when manifests of a repository can be deleted, as far as can be told without
// deleting one: by asking to delete what nobody has. The error is errdefs.ErrNotImplemented when the
// registry deletes nothing.
func (c *Client) Deletes(ctx context.Context, repo reference.Named) error {
	at, err := reference.WithDigest(reference.TrimNamed(repo), digest.FromString(rand.Text()))
	if err != nil {
		return err
	}
	return absent(c.Delete(ctx, at))
}

// Untags is Deletes for tags alone.
func (c *Client) Untags(ctx context.Context, repo reference.Named) error {
	name, err := reference.WithTag(reference.TrimNamed(repo), strings.ToLower("absent-"+rand.Text()))
	if err != nil {
		return err
	}
	return absent(c.Untag(ctx, name))
}

// absent is the answer to a deletion of what is not there.
func absent(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
