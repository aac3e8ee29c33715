package registry

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Inventory returns all manifests of a repository as the registry's own listing has them. The error is
// errdefs.ErrNotImplemented for a registry that offers none: the distribution spec has a listing of tags
// alone.
func (c *Client) Inventory(_ context.Context, repo reference.Named) ([]manifest.Listed, error) {
	return nil, manifest.Errorf(errdefs.ErrNotImplemented, "%s lists tags alone: manifests without a tag cannot be seen", reference.Domain(repo))
}
