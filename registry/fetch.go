package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// maxManifest bounds the manifests and configs that are read, as registries do.
const maxManifest = 4 << 20

// Fetch returns the manifest or index that ref names, by its digest if it has one.
func (c *Client) Fetch(ctx context.Context, ref reference.Named) (got manifest.Content, err error) {
	p := c.repository(ref)
	r := p.manifest(http.MethodGet, ref)
	r.send.Read = func(resp *http.Response) (err error) {
		got, err = readManifest(ref, resp)
		return err
	}
	_, err = p.do(ctx, r)
	c.count(manifest.CountedManifests, 1)
	return got, c.answered(ref, got.Descriptor.Digest, err)
}

// answered records what a tag points to, if the answer to a request for it shows that. It returns err, and names the manifest
// if the registry does not have it.
func (c *Client) answered(ref reference.Named, d digest.Digest, err error) error {
	isAbsent := errdefs.IsNotFound(err)
	if err == nil || isAbsent {
		c.recordTag(ref, d)
	}
	if isAbsent {
		return manifest.NoManifest(ref, err)
	}
	return err
}

// readManifest returns the manifest or index in an answer.
func readManifest(ref reference.Named, resp *http.Response) (manifest.Content, error) {
	raw, err := readAll(resp, maxManifest)
	if err != nil {
		return manifest.Content{}, fmt.Errorf("manifest %s: %w", manifest.Familiar(ref), err)
	}
	if len(raw) == 0 { // it may not be the registry's own answer
		err := manifest.Errorf(errdefs.ErrUnavailable, "manifest %s: the registry returned nothing", manifest.Familiar(ref))
		return manifest.Content{}, &transport.InterruptedError{Err: err, Few: true}
	}
	d := ocispec.Descriptor{Size: int64(len(raw))}
	if d.Digest, err = checkDigest(ref, resp.Header.Get("Docker-Content-Digest"), raw); err != nil {
		return manifest.Content{}, err
	}
	if d.MediaType, err = mediaTypeOf(resp.Header.Get("Content-Type"), raw); err != nil {
		return manifest.Content{}, fmt.Errorf("%s is %w", manifest.Familiar(ref), err)
	}
	return manifest.Content{Descriptor: d, Raw: raw}, nil
}

// Digest returns the digest of what ref names, without its bytes if the registry supports that.
func (c *Client) Digest(ctx context.Context, ref reference.Named) (digest.Digest, error) {
	p := c.repository(ref)
	resp, err := p.do(ctx, p.manifest(http.MethodHead, ref))
	if isHeadRefused(err) {
		return c.fetchDigest(ctx, ref)
	}
	c.count(manifest.CountedManifests, 1)
	if err != nil {
		return "", c.answered(ref, "", err)
	}
	resp.Body.Close() // releases the semaphore for a request that may follow
	d := digest.Digest(resp.Header.Get("Docker-Content-Digest"))
	if d.Validate() != nil {
		return c.fetchDigest(ctx, ref)
	}
	if wanted, ok := ref.(reference.Digested); ok && wanted.Digest() != d {
		return "", mismatch(ref, wanted.Digest(), d)
	}
	return d, c.answered(ref, d, nil)
}

func (c *Client) fetchDigest(ctx context.Context, ref reference.Named) (digest.Digest, error) {
	got, err := c.Fetch(ctx, ref)
	return got.Descriptor.Digest, err
}

// manifest returns the request for the manifest that ref names.
func (p repository) manifest(method string, ref reference.Named) request {
	return request{
		method: method, what: whatManifest(ref),
		repo: p.repo, path: "manifests/" + object(ref),
		header: http.Header{"Accept": {accept}}, send: transport.Request{Scopes: []string{pullScope(p.repo)}},
	}
}

// whatManifest is the object of a request for the manifest that ref names.
func whatManifest(ref reference.Named) string { return "manifest " + manifest.Familiar(ref) }

// object returns the digest of ref, or else its tag.
func object(ref reference.Named) string {
	if digested, ok := ref.(reference.Digested); ok {
		return digested.Digest().String()
	}
	return reference.TagNameOnly(ref).(reference.Tagged).Tag()
}

// checkDigest returns the digest of raw, which has to be that of ref, or else the one that the registry claims, if it
// claims one.
func checkDigest(ref reference.Named, claimed string, raw []byte) (digest.Digest, error) {
	wanted := digest.Digest(claimed)
	if digested, ok := ref.(reference.Digested); ok {
		wanted = digested.Digest()
	}
	actual := digestLike(wanted, raw)
	if wanted != "" && actual != wanted {
		return "", mismatch(ref, wanted, actual)
	}
	return actual, nil
}

// digestLike returns the digest of raw by the algorithm of another digest, if that is valid.
func digestLike(other digest.Digest, raw []byte) digest.Digest {
	if other.Validate() != nil {
		return digest.FromBytes(raw)
	}
	return other.Algorithm().FromBytes(raw)
}

func mismatch(ref reference.Named, wanted, actual digest.Digest) error {
	return manifest.Errorf(errdefs.ErrDataLoss, "%s: the registry claims %s, but sent %s",
		manifest.Familiar(ref), manifest.OneLine(wanted.String(), maxMessage), manifest.OneLine(actual.String(), maxMessage))
}

// maxConfigs bounds the bytes of the configs that are kept in memory.
const maxConfigs = 4 << 20

// Blob returns the blob d of the repository of repo, checked against its digest and, if it is known, its size. It is
// read once, and not again when it is copied, unless there are many.
func (c *Client) Blob(ctx context.Context, repo reference.Named, d ocispec.Descriptor) ([]byte, error) {
	p, err := c.blobOf(repo, d)
	if err != nil {
		return nil, err
	}
	if d.Size > maxManifest {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "blob %s of %s is larger than 4 MiB", d.Digest, repo.Name())
	}
	read := int64(0)
	raw, err := c.configs.Do(ctx, p.at(d.Digest), func() ([]byte, error) {
		raw, err := p.readBlob(ctx, d)
		c.count(manifest.CountedBlobs, 1)
		read = int64(len(raw))
		return raw, err
	})
	if read > 0 && c.configBytes.Add(read) > maxConfigs {
		c.configs.Delete(p.at(d.Digest))
		c.configBytes.Add(-read)
	}
	if err == nil && d.Size > 0 && int64(len(raw)) != d.Size {
		return nil, manifest.Errorf(errdefs.ErrDataLoss, "blob %s of %s/%s has %d bytes instead of %d", d.Digest, p.name, p.repo, len(raw), d.Size)
	}
	return raw, err
}

// readBlob reads the blob d into memory, checked against its digest.
func (p repository) readBlob(ctx context.Context, d ocispec.Descriptor) (raw []byte, err error) {
	r := p.blobRequest(http.MethodGet, d, pullScope(p.repo), nil)
	r.send.Read = func(resp *http.Response) (err error) {
		if raw, err = readAll(resp, maxManifest); err != nil {
			return fmt.Errorf("blob %s of %s/%s: %w", d.Digest, p.name, p.repo, err)
		}
		if actual := d.Digest.Algorithm().FromBytes(raw); actual != d.Digest {
			return manifest.Errorf(errdefs.ErrDataLoss, "blob %s of %s/%s has the digest %s", d.Digest, p.name, p.repo, actual)
		}
		return nil
	}
	_, err = p.do(ctx, r)
	return raw, err
}

// blob requests a blob or, with a Range in header, a part of it.
func (p repository) blob(ctx context.Context, method string, d ocispec.Descriptor, scope string, header http.Header) (*http.Response, error) {
	return p.do(ctx, p.blobRequest(method, d, scope, header))
}

func (p repository) blobRequest(method string, d ocispec.Descriptor, scope string, header http.Header) request {
	return request{
		method: method, what: "blob " + d.Digest.String() + " of " + p.repo,
		repo: p.repo, path: "blobs/" + d.Digest.String(), header: header, send: transport.Request{Scopes: []string{scope}},
	}
}

// readAll returns the body of resp, at most limit bytes.
func readAll(resp *http.Response, limit int64) ([]byte, error) {
	tooLarge := manifest.Errorf(errdefs.ErrInvalidArgument, "larger than %d MiB", limit>>20)
	if resp.ContentLength > limit {
		return nil, tooLarge
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, interrupted(resp.Request.Context(), err)
	}
	if int64(len(raw)) > limit {
		return nil, tooLarge
	}
	return raw, nil
}

// interrupted returns the error for a body that was interrupted.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &transport.InterruptedError{Err: manifest.Errorf(errdefs.ErrUnavailable, "the transfer was interrupted: %w", err)}
}
