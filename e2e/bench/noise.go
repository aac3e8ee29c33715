package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// putNoise puts an image of this many layers of noise under a tag. A layer is never in memory: what the
// benchmark itself had there would count as what the programs it starts had.
func putNoise(ctx context.Context, r *servers.Registry, repo, arch string, layers int, size int64) error {
	small := images.Image(images.Spec{Seed: repo + arch, Platform: ocispec.Platform{OS: "linux", Architecture: arch}})
	var m ocispec.Manifest
	if err := json.Unmarshal(small.Raw, &m); err != nil {
		return err
	}
	layer := m.Layers[0]
	m.Layers = nil
	for i := range layers {
		seed := sha256.Sum256(fmt.Append(nil, repo, arch, i))
		noise := func() io.Reader { return io.LimitReader(rand.NewChaCha8(seed), size) }
		d, err := digest.FromReader(noise())
		if err != nil {
			return err
		}
		if err := upload(ctx, r, repo, d, noise(), size); err != nil {
			return err
		}
		layer.Digest, layer.Size = d, size
		m.Layers = append(m.Layers, layer)
	}
	if err := r.PutBlob(ctx, repo, small.Blobs[0].Data); err != nil {
		return err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return r.PutManifest(ctx, repo, arch, m.MediaType, raw)
}

// upload sends a blob in one piece.
func upload(ctx context.Context, r *servers.Registry, repo string, d digest.Digest, content io.Reader, size int64) error {
	resp, err := r.HTTP.Post(r.Base+"/v2/"+repo+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	resp.Body.Close()
	target, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return err
	}
	query := target.Query()
	query.Set("digest", d.String())
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target.String(), content)
	if err != nil {
		return err
	}
	req.ContentLength = size
	if resp, err = r.HTTP.Do(req); err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("uploading %s: %s", d, resp.Status)
	}
	return nil
}
