package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Put stores raw under the tag of ref, or else under its digest. When ref has a digest, raw must have
// it.
func (c *Client) Put(ctx context.Context, ref reference.Named, mediaType string, raw []byte) error {
	p, err := c.repository(ref)
	if err != nil {
		return err
	}
	name := object(ref)
	if digested, ok := ref.(reference.Digested); ok {
		if actual := digested.Digest().Algorithm().FromBytes(raw); actual != digested.Digest() {
			return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the manifest to store is %s", manifest.Familiar(ref), actual)
		}
	}
	if tagged, ok := ref.(reference.Tagged); ok {
		name = tagged.Tag()
	}
	r := request{
		method: http.MethodPut, what: "manifest " + manifest.Familiar(ref),
		repo: p.repo, path: "manifests/" + name, body: raw,
		header: http.Header{"Content-Type": {mediaType}}, scopes: []string{pushScope(p.repo)},
	}
	return p.persist(ctx, func() error {
		resp, err := p.do(ctx, r)
		if err != nil {
			return garbled(err)
		}
		defer discard(resp)
		return checkStored(ref, resp.Header.Get("Docker-Content-Digest"), raw)
	})
}

// garbled makes err, of what was sent with the right digest, one of kind errdefs.ErrDataLoss when the
// registry says that the digest is another.
func garbled(err error) error {
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && refused.hasCode("DIGEST_INVALID") {
		refused.kind = errdefs.ErrDataLoss
	}
	return err
}

// checkStored compares the digest that the registry has stored raw under, where it tells.
func checkStored(ref reference.Named, stored string, raw []byte) error {
	if stored == "" {
		return nil
	}
	ours, theirs := digest.FromBytes(raw), digest.Digest(stored)
	if theirs.Validate() == nil {
		ours = theirs.Algorithm().FromBytes(raw)
	}
	if ours != theirs {
		return manifest.Errorf(errdefs.ErrDataLoss, "%s: the registry stored %s, but what was sent is %s",
			manifest.Familiar(ref), manifest.OneLine(stored, maxMessage), ours)
	}
	return nil
}
