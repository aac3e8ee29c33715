package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Check walks from a tag or digest of repo down to the last layer, and returns everything that is absent or differs
// from its descriptor in digest, size or media type, joined; nil if the content is complete. Foreign layers may be
// absent.
func (c Client) Check(ctx context.Context, repo, tagOrDigest string) error {
	m, err := c.Get(ctx, repo, tagOrDigest)
	if err != nil {
		return err
	}
	return c.checkBelow(ctx, repo, m)
}

func (c Client) checkBelow(ctx context.Context, repo string, m Manifest) error {
	var content struct {
		MediaType string
		Config    *ocispec.Descriptor
		Layers    []ocispec.Descriptor
		Manifests []ocispec.Descriptor
	}
	if err := json.Unmarshal(m.Raw, &content); err != nil {
		return fmt.Errorf("manifest %s: %w", m.Digest, err)
	}
	var problems []error
	if content.MediaType != "" && content.MediaType != m.MediaType {
		problems = append(problems, fmt.Errorf("manifest %s: got media type %[3]s, want %[2]s", m.Digest, content.MediaType, m.MediaType))
	}
	for _, d := range content.Manifests {
		problems = append(problems, c.checkChild(ctx, repo, d))
	}
	blobs := content.Layers
	if content.Config != nil {
		blobs = append(blobs, *content.Config)
	}
	for _, d := range blobs {
		problems = append(problems, c.checkBlob(ctx, repo, d))
	}
	return errors.Join(problems...)
}

func (c Client) checkChild(ctx context.Context, repo string, d ocispec.Descriptor) error {
	m, err := c.Get(ctx, repo, d.Digest.String())
	switch {
	case err != nil:
		return err
	case m.Digest != d.Digest || int64(len(m.Raw)) != d.Size || m.MediaType != d.MediaType:
		return fmt.Errorf("got manifest %s (%d bytes, %s), want %s (%d bytes, %s)",
			m.Digest, len(m.Raw), m.MediaType, d.Digest, d.Size, d.MediaType)
	}
	return c.checkBelow(ctx, repo, m)
}

func (c Client) checkBlob(ctx context.Context, repo string, d ocispec.Descriptor) error {
	data, err := c.Blob(ctx, repo, d.Digest)
	switch {
	case errors.Is(err, ErrNotFound) && len(d.URLs) > 0:
		return nil
	case err != nil:
		return err
	case digest.FromBytes(data) != d.Digest || int64(len(data)) != d.Size:
		return fmt.Errorf("got blob %s (%d bytes), want %s (%d bytes)", digest.FromBytes(data), len(data), d.Digest, d.Size)
	}
	return nil
}
