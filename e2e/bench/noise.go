package main

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
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

// putNoise puts an image with this many layers of noise under a tag. A layer is never in memory as a whole: the
// memory of the benchmark itself would count as that of the programs it starts.
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
		digester := digest.Canonical.Digester()
		n, err := io.Copy(digester.Hash(), noise(seed, size))
		if err != nil {
			return err
		}
		layer.Digest, layer.Size = digester.Digest(), n
		if err := upload(ctx, r, repo, layer, noise(seed, size)); err != nil {
			return err
		}
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

// noise returns size bytes of noise in a gzip stream, since some programs compress uncompressed layers.
func noise(seed [32]byte, size int64) io.Reader {
	out, in := io.Pipe()
	go func() {
		w, err := gzip.NewWriterLevel(in, gzip.NoCompression)
		if err == nil {
			_, err = io.CopyN(w, rand.NewChaCha8(seed), size)
			err = errors.Join(err, w.Close())
		}
		in.CloseWithError(err)
	}()
	return out
}

// upload sends a blob in one piece.
func upload(ctx context.Context, r *servers.Registry, repo string, d ocispec.Descriptor, content io.Reader) error {
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
	query.Set("digest", d.Digest.String())
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target.String(), content)
	if err != nil {
		return err
	}
	req.ContentLength = d.Size
	if resp, err = r.HTTP.Do(req); err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("uploading %s: %s", d.Digest, resp.Status)
	}
	return nil
}
