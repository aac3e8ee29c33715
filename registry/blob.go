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
// does not read the blob: where the answer to a HEAD does not decide, it ends the GET. The error is errdefs.ErrNotFound when the
// registry does not have the blob.
func (c *Client) BlobSize(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (int64, error) {
	p, err := c.blobOf(repo, d)
	if err != nil {
		return 0, err
	}
	resp, err := p.blob(ctx, http.MethodHead, d, pullScope(p.repo), nil)
	if err == nil {
		resp.Body.Close()
	}
	if isHeadRefused(err) || err == nil && !isBlob(resp, d) {
		if resp, err = p.blob(ctx, http.MethodGet, d, pullScope(p.repo), nil); err == nil {
			resp.Body.Close()
		}
	}
	if err != nil {
		return 0, err
	}
	return resp.ContentLength, nil
}

// isBlob reports whether a successful answer to a HEAD is about the blob d: it has a length or, without one, the digest.
// Proxies and web servers answer 200 to anything.
func isBlob(resp *http.Response, d ocispec.Descriptor) bool {
	if resp.ContentLength < 0 {
		return resp.Header.Get("Docker-Content-Digest") == d.Digest.String()
	}
	return resp.ContentLength > 0 || d.Digest == d.Digest.Algorithm().FromBytes(nil)
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
