package verify

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// contentKey is an image or a blob of a repository.
type contentKey struct {
	repo   string
	digest digest.Digest
}

// imageResult is the result of checking an image.
type imageResult struct {
	// platform is that of the config, nil if the config could not be read.
	platform *ocispec.Platform
	findings []Finding
}

// imageConfig is the part of a config that is checked.
type imageConfig struct {
	ocispec.Platform
	Config struct {
		Entrypoint, Cmd words
		Env             []string
		WorkingDir      string
		Volumes         any // a map
		ArgsEscaped     bool
	} `json:"config"`
	RootFS struct {
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
	// read says that the config could be read.
	read     bool
	findings []Finding
}

// words is an entrypoint or command, which old images have as a single string.
type words []string

// UnmarshalJSON accepts both forms.
func (w *words) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) != nil {
		return json.Unmarshal(data, (*[]string)(w))
	}
	if one != "" {
		*w = words{one}
	}
	return nil
}

// image checks an image: its config, its layers, and the program that it runs.
func (v *verifier) image(ctx context.Context, repo reference.Named, n manifest.Node) imageResult {
	config := sync.OnceValue(func() imageConfig { return v.config(ctx, repo, n) })
	results := make([]layerResult, len(n.Layers))
	var group sync.WaitGroup
	for i, d := range n.Layers {
		group.Go(func() { results[i] = v.layer(ctx, repo, n, i, d, config) })
	}
	c := config()
	group.Wait()
	out := imageResult{findings: c.findings}
	if c.read {
		out.platform = &c.Platform
		if got, want := len(c.RootFS.DiffIDs), len(n.Layers); got != want {
			out.findings = append(out.findings, finding(SeverityError, n.Config.Digest, "config %s has diff_ids of %d layers, but the manifest has %d layers", n.Config.Digest, got, want))
		}
	}
	for _, r := range results {
		out.findings = append(out.findings, r.findings...)
	}
	if v.options.Deep && c.read {
		out.findings = append(out.findings, programFindings(ctx, n, c, results)...)
	}
	for _, d := range n.Layers {
		v.layers.release(keyOfLayer(repo, n, d))
	}
	return out
}

// config reads the config of an image. The config of another artifact is fetched but not parsed: it can be anything.
func (v *verifier) config(ctx context.Context, repo reference.Named, n manifest.Node) (c imageConfig) {
	if n.Config == nil {
		return c // a superseded artifact manifest
	}
	d := *n.Config
	raw, err := v.from.Blob(ctx, repo, d)
	switch {
	case err != nil:
		c.findings = append(c.findings, readFinding(d.Digest, "config "+d.Digest.String(), repo, err))
	case int64(len(raw)) != d.Size:
		c.findings = append(c.findings, sizeFinding(d, "config", int64(len(raw))))
	}
	if err != nil || !manifest.IsImageConfig(d.MediaType) {
		return c
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		c.findings = append(c.findings, finding(SeverityError, d.Digest, "config %s is not a valid image config (%v)", d.Digest, err))
		return c
	}
	c.read = true
	return c
}

// sizeFinding is the finding that a blob has another size than the manifest states.
func sizeFinding(d ocispec.Descriptor, object string, size int64) Finding {
	return finding(SeverityError, d.Digest, "%s %s has %d bytes, but the manifest says %d", object, d.Digest, size, d.Size)
}
