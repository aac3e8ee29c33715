package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// Untag removes a tag and leaves the manifest it names. The error is errdefs.ErrNotFound when there is
// no such tag, errdefs.ErrNotImplemented when the registry deletes no tags.
func (c *Client) Untag(ctx context.Context, name reference.NamedTagged) error {
	p, err := c.repository(name)
	if err != nil {
		return err
	}
	resp, err := p.do(ctx, request{
		method: http.MethodDelete, what: "tag " + reference.FamiliarName(name) + ":" + name.Tag(),
		repo: p.repo, path: "manifests/" + name.Tag(),
		scopes: []string{"repository:" + p.repo + ":pull,delete"},
	})
	var refused *Error
	if errors.As(err, &refused) && refused.service == "" {
		// Registries that delete by digest only take the tag for a bad digest.
		if refused.Status == http.StatusBadRequest || refused.hasCode("UNSUPPORTED", "DIGEST_INVALID") {
			refused.kind = errdefs.ErrNotImplemented
		}
	}
	if err != nil {
		return err
	}
	discard(resp)
	return nil
}
