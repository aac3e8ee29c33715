// Package wire speaks the registry protocol in plain requests, for tests and the demo: it puts content into a
// registry and reads back what a registry has. It shares no code with the plugin, so that it can check the plugin
// independently. It has no retries, tokens and mounts.
package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// ErrNotFound is the error for a 404 of the registry.
var ErrNotFound = errors.New("not found")

// Client sends requests to one registry.
type Client struct {
	Base           string // "http://127.0.0.1:5000"
	User, Password string // for basic auth, when User is not empty
	HTTP           *http.Client
}

// Manifest is the response of a registry for a tag or digest.
type Manifest struct {
	MediaType string
	Digest    digest.Digest // of Raw, computed here
	Raw       []byte
}

// Index decodes the manifest as an index.
func (m Manifest) Index() (ocispec.Index, error) {
	var index ocispec.Index
	err := json.Unmarshal(m.Raw, &index)
	return index, err
}

// Get fetches the manifest of repo under a tag or digest.
func (c Client) Get(ctx context.Context, repo, tagOrDigest string) (Manifest, error) {
	header := http.Header{"Accept": {
		images.DockerManifest, images.DockerList, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex,
	}}
	rsp, body, err := c.do(ctx, http.MethodGet, "/v2/"+repo+"/manifests/"+tagOrDigest, header, nil)
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{MediaType: rsp.Header.Get("Content-Type"), Digest: digest.FromBytes(body), Raw: body}, nil
}

// Tags lists the tags of repo: none for a repository that does not exist.
func (c Client) Tags(ctx context.Context, repo string) ([]string, error) {
	_, body, err := c.do(ctx, http.MethodGet, "/v2/"+repo+"/tags/list?n=1000", nil, nil)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list struct{ Tags []string }
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("tags of %s: %w", repo, err)
	}
	return list.Tags, nil
}

// Snapshot maps the tags of a repository to their digests.
func (c Client) Snapshot(ctx context.Context, repo string) (map[string]string, error) {
	tags, err := c.Tags(ctx, repo)
	if err != nil {
		return nil, err
	}
	digests := make(map[string]string, len(tags))
	for _, tag := range tags {
		m, err := c.Get(ctx, repo, tag)
		if err != nil {
			return nil, err
		}
		digests[tag] = m.Digest.String()
	}
	return digests, nil
}

// Blob fetches a config or layer.
func (c Client) Blob(ctx context.Context, repo string, d digest.Digest) ([]byte, error) {
	_, body, err := c.do(ctx, http.MethodGet, "/v2/"+repo+"/blobs/"+d.String(), nil, nil)
	return body, err
}

// HasBlob reports whether repo has the blob.
func (c Client) HasBlob(ctx context.Context, repo string, d digest.Digest) (bool, error) {
	_, _, err := c.do(ctx, http.MethodHead, "/v2/"+repo+"/blobs/"+d.String(), nil, nil)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Put puts m and everything below it, m last, under a tag or its digest.
func (c Client) Put(ctx context.Context, repo, tagOrDigest string, m images.Manifest) error {
	for _, child := range m.Children {
		if err := c.Put(ctx, repo, child.Digest().String(), child); err != nil {
			return err
		}
	}
	for _, b := range m.Blobs {
		if b.Data == nil {
			continue
		}
		if err := c.PutBlob(ctx, repo, b.Data); err != nil {
			return err
		}
	}
	return c.PutManifest(ctx, repo, tagOrDigest, m.Descriptor.MediaType, m.Raw)
}

// PutBlob uploads a blob in one piece.
func (c Client) PutBlob(ctx context.Context, repo string, data []byte) error {
	rsp, _, err := c.do(ctx, http.MethodPost, "/v2/"+repo+"/blobs/uploads/", nil, nil)
	if err != nil {
		return err
	}
	target, err := url.Parse(rsp.Header.Get("Location"))
	if err != nil {
		return fmt.Errorf("upload location: %w", err)
	}
	query := target.Query()
	query.Set("digest", digest.FromBytes(data).String())
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	_, _, err = c.do(ctx, http.MethodPut, target.Path+"?"+query.Encode(), header, data)
	return err
}

// PutManifest puts raw unchecked under a tag or digest.
func (c Client) PutManifest(ctx context.Context, repo, tagOrDigest, mediaType string, raw []byte) error {
	header := http.Header{"Content-Type": {mediaType}}
	_, _, err := c.do(ctx, http.MethodPut, "/v2/"+repo+"/manifests/"+tagOrDigest, header, raw)
	return err
}

// Delete removes a manifest by digest, with all its tags.
func (c Client) Delete(ctx context.Context, repo string, d digest.Digest) error {
	_, _, err := c.do(ctx, http.MethodDelete, "/v2/"+repo+"/manifests/"+d.String(), nil, nil)
	return err
}

// DeleteBlob removes a config or layer, even if a manifest references it.
func (c Client) DeleteBlob(ctx context.Context, repo string, d digest.Digest) error {
	_, _, err := c.do(ctx, http.MethodDelete, "/v2/"+repo+"/blobs/"+d.String(), nil, nil)
	return err
}

// do sends one request and reads the whole response; any status but 2xx is an error.
func (c Client) do(
	ctx context.Context, method, path string, header http.Header, body []byte,
) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if c.User != "" {
		req.SetBasicAuth(c.User, c.Password)
	}
	rsp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer rsp.Body.Close()
	answer, err := io.ReadAll(rsp.Body)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s %s: %w", method, path, err)
	case rsp.StatusCode == http.StatusNotFound:
		return nil, nil, fmt.Errorf("%s %s: %w", method, path, ErrNotFound)
	case rsp.StatusCode/100 != 2:
		return nil, nil, fmt.Errorf("%s %s: %s: %s", method, path, rsp.Status, strings.TrimSpace(string(answer)))
	}
	return rsp, answer, nil
}
