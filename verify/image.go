package verify

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/verify/program"
)

// imageKey is an image of a repository.
type imageKey struct {
	repo   string
	digest digest.Digest
}

// judged is what was found out about an image.
type judged struct {
	// platform is what the config says, nil when it could not be read.
	platform *ocispec.Platform
	findings []Finding
}

// imageConfig is what Verify reads in a config.
type imageConfig struct {
	ocispec.Platform
	Config struct {
		Entrypoint, Cmd words
		Env             []string
		WorkingDir      string
		ArgsEscaped     bool
	} `json:"config"`
	RootFS struct {
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
	// read says that it was there and could be read.
	read     bool
	findings []Finding
}

// words are an entrypoint, or a single string in the configs of old images.
type words []string

// UnmarshalJSON takes both forms.
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

// image looks at an image: its config, its layers, and what it runs.
func (v *verifier) image(ctx context.Context, repo reference.Named, n manifest.Node) judged {
	config := sync.OnceValue(func() imageConfig { return v.config(ctx, repo, n) })
	found := make([]foundLayer, len(n.Layers))
	var group sync.WaitGroup
	for i, d := range n.Layers {
		group.Go(func() { found[i] = v.layer(ctx, repo, n, i, d, config) })
	}
	c := config()
	group.Wait()
	out := judged{findings: c.findings}
	if c.read {
		out.platform = &c.Platform
		if have, want := len(c.RootFS.DiffIDs), len(n.Layers); have != want {
			out.findings = append(out.findings, finding(Unsound, n.Config.Digest, "config %s has diff_ids of %d layers, the manifest has %d layers", n.Config.Digest, have, want))
		}
	}
	for _, f := range found {
		out.findings = append(out.findings, f.findings...)
	}
	if v.deep && c.read {
		out.findings = append(out.findings, runs(ctx, n, c, found)...)
	}
	for _, d := range n.Layers {
		v.layers.release(keyOfLayer(repo, n, d))
	}
	return out
}

// config reads the config of an image, or that of another artifact, which is JSON or anything else.
func (v *verifier) config(ctx context.Context, repo reference.Named, n manifest.Node) (c imageConfig) {
	d := *n.Config
	raw, err := v.from.Blob(ctx, repo, d)
	switch {
	case err != nil:
		c.findings = append(c.findings, fault(d.Digest, "config "+d.Digest.String(), repo, err))
	case int64(len(raw)) != d.Size:
		c.findings = append(c.findings, wrongSize(d, "config", int64(len(raw))))
	}
	if err != nil || !manifest.IsImageConfig(d.MediaType) {
		return c
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		c.findings = append(c.findings, finding(Unsound, d.Digest, "config %s is not valid JSON of an image (%v)", d.Digest, err))
		return c
	}
	c.read = true
	return c
}

func wrongSize(d ocispec.Descriptor, object string, size int64) Finding {
	return finding(Unsound, d.Digest, "%s %s has %d bytes, the manifest says %d", object, d.Digest, size, d.Size)
}

// runs returns the findings on what an image runs: whether that is for the platform of its config.
func runs(ctx context.Context, n manifest.Node, c imageConfig, found []foundLayer) []Finding {
	platform := manifest.Normalize(c.Platform)
	if c.OS == "unknown" || c.Architecture == "unknown" {
		return nil // an attestation
	}
	layers := make([]*program.Layer, len(found))
	for i, f := range found {
		layers[i] = f.layer
	}
	programs, unfound := program.Find(ctx, program.Command{
		OS: platform.OS, Args: append(append([]string{}, c.Config.Entrypoint...), c.Config.Cmd...),
		Escaped: c.Config.ArgsEscaped, Env: c.Config.Env, Dir: c.Config.WorkingDir,
	}, layers)
	var out []Finding
	for _, p := range programs {
		switch p.Program.Fit(platform.OS, platform.Architecture) {
		case program.Misfits:
			out = append(out, finding(Unsound, n.Descriptor.Digest, "%s is %s, but the image is for %s", p.Path, p.Program, manifest.FormatPlatform(c.Platform)))
		case program.Undecided:
			if p.Program.Format != program.Script && p.Program.Format != "" {
				out = append(out, finding(Remark, n.Descriptor.Digest, "%s is %s, which cannot be compared with %s", p.Path, p.Program, manifest.FormatPlatform(c.Platform)))
			}
		case program.Fits:
		}
	}
	if unfound != "" {
		out = append(out, finding(Remark, n.Descriptor.Digest, "what the image runs could not be compared with its platform: %s", unfound))
	}
	return out
}

// isArchive reports whether a layer of this media type is part of a file system; older manifests do not
// say.
func isArchive(mediaType string) bool { return mediaType == "" || strings.Contains(mediaType, "tar") }
