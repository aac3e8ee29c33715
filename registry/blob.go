package registry

import (
	"context"
	"io"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// BlobSize returns how many bytes the blob d of the repository of repo has, -1 when the registry does not say. It
// does not read the blob: where the registry has no HEAD, it ends the GET. The error is errdefs.ErrNotFound when the
// registry does not have the blob.
func (c *Client) BlobSize(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (int64, error) {
	p, err := c.blobOf(repo, d)
	if err != nil {
		return 0, err
	}
	resp, err := p.blob(ctx, http.MethodHead, d, pullScope(p.repo), nil)
	if isHeadRefused(err) {
		resp, err = p.blob(ctx, http.MethodGet, d, pullScope(p.repo), nil)
	}
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.ContentLength, nil
}

// OpenBlob returns the content of the blob d of the repository of repo. Reading it to its end returns io.EOF only when
// all of it had the digest and the size of d; a transfer that is interrupted continues.
func (c *Client) OpenBlob(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (io.ReadCloser, error) {
	p, err := c.blobOf(repo, d)
	if err != nil {
		return nil, err
	}
	p, release, err := p.acquire(ctx)
	if err != nil {
		return nil, err
	}
	content, err := p.open(ctx, d, nil)
	if err != nil {
		release()
		return nil, err
	}
	return releasing{content, release}, nil
}

func (c *Client) blobOf(repo reference.Named, d ocispec.Descriptor) (repository, error) {
	if err := d.Digest.Validate(); err != nil {
		return repository{}, manifest.Errorf(errdefs.ErrInvalidArgument, "blob %q of %s: %w", d.Digest, repo.Name(), err)
	}
	return c.repository(repo)
}
