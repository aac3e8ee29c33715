package registry

import (
	"context"
	"io"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// BlobSize returns how many bytes the blob d of the repository of repo has, -1 when the registry does not say. It
// does not read the blob: where the answer to a HEAD does not decide, it ends the GET. The error is errdefs.ErrNotFound
// when the registry does not have the blob.
func (c *Client) BlobSize(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (int64, error) {
	p, err := c.blobOf(repo, d)
	if err != nil {
		return 0, err
	}
	size, _, err := p.size(ctx, d, pullScope(p.repo))
	c.count(manifest.CountedBlobs, 1)
	return size, err
}

// size returns the size of a blob, -1 if it is unknown, and whether the answer is about that blob.
func (p repository) size(ctx context.Context, d ocispec.Descriptor, scope string) (size int64, sure bool, err error) {
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		var resp *http.Response
		if resp, err = p.blob(ctx, method, d, scope, nil); err == nil {
			resp.Body.Close()
			size, sure = resp.ContentLength, isBlob(resp, d)
		}
		if sure || err != nil && !isHeadRefused(err) {
			break
		}
	}
	return size, sure, err
}

// isBlob reports whether a successful answer is about the blob d: it has a length or, without one, the digest.
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
	read := int64(0)
	content, err := p.open(ctx, d, func(n int64) {
		read = n
		c.report(d, manifest.Reading, n)
	})
	if err != nil {
		release()
		return nil, err
	}
	return transport.OnClose{ReadCloser: content, Then: func() {
		release()
		c.report(d, manifest.Read, read)
	}}, nil
}

func (c *Client) blobOf(repo reference.Named, d ocispec.Descriptor) (repository, error) {
	if err := d.Digest.Validate(); err != nil {
		return repository{}, manifest.Errorf(errdefs.ErrInvalidArgument, "blob %q of %s: %w", d.Digest, repo.Name(), err)
	}
	return c.repository(repo), nil
}
