package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// isLost reports whether the answer to a request was lost, so that it may have been carried out.
func isLost(err error) bool {
	interrupted, ok := errors.AsType[*transport.InterruptedError](err)
	return ok && interrupted.Lost
}

// lostAnswer makes err, of a request that is sent once, a lost answer unless the registry refused it.
func lostAnswer(err error) error {
	_, interrupted := errors.AsType[*transport.InterruptedError](err)
	if exhausted(err) == nil && (interrupted || transport.MayPass(refusalOf(err).Status)) {
		return &transport.InterruptedError{Err: err, Lost: true}
	}
	return err
}

// unexpected returns the error for an answer that is a success, but not one that the specification has for the request:
// a proxy may have given it.
func (h *host) unexpected(r request, resp *http.Response) error {
	e := h.newError(r)
	e.Status, e.kind, e.cause = resp.StatusCode, errdefs.ErrUnavailable, errors.New("it is not 201 Created, and the registry does not have it")
	return &transport.InterruptedError{Err: e, Few: true, Lost: true}
}

// recordTag records what a tag points to; d is empty if it does not exist.
func (c *Client) recordTag(name reference.Named, d digest.Digest) {
	_, tagged := name.(reference.Tagged)
	if _, digested := name.(reference.Digested); tagged && !digested {
		c.tags.Store(name.String(), d)
	}
}

// lastSeen returns what a tag was last seen to point to, "" if it did not exist, nil if that is unknown.
func (c *Client) lastSeen(name reference.Named) *digest.Digest {
	d, known := c.tags.Load(name.String())
	if !known {
		return nil
	}
	before := d.(digest.Digest)
	return &before
}

// tookEffect reports whether a PUT of raw, or a DELETE if raw is nil, whose answer was lost has been carried out on a tag or
// digest. The error is errdefs.ErrAborted when another client has moved a tag: it points to something else than before. If
// before is nil, that is not checked.
func (p repository) tookEffect(ctx context.Context, at reference.Named, raw []byte, before *digest.Digest) (bool, error) {
	what, tag := "push of "+manifest.Familiar(at), "the tag"
	if raw == nil {
		what, tag = "removal of the tag "+manifest.Familiar(at), "it"
	}
	now, err := p.client.Digest(ctx, at)
	switch {
	case errdefs.IsNotFound(err):
		return raw == nil, nil
	case err != nil:
		return false, fmt.Errorf("the answer to the %s was lost: %w", what, err)
	case raw != nil && isDigestOf(now, raw):
		return true, nil
	case before != nil && *before != now:
		return false, manifest.Errorf(errdefs.ErrAborted, "the answer to the %s was lost, and another client has moved %s to %s", what, tag, now)
	}
	return false, nil
}
