package manifest

import (
	"context"
	"encoding/json"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// EarliestCreated is the earliest time that counts as the creation time of an image: reproducible builds set one in
// 1970 or 1980.
var EarliestCreated = time.Date(1980, time.February, 1, 0, 0, 0, 0, time.UTC)

// ParseCreated returns the creation time in the bytes of an image config, the zero time if it has none or one before
// EarliestCreated.
func ParseCreated(raw []byte) (time.Time, error) {
	var config struct {
		Created *time.Time `json:"created"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return time.Time{}, Errorf(errdefs.ErrInvalidArgument, "image config is not valid JSON (%w)", err)
	}
	if config.Created == nil || config.Created.Before(EarliestCreated) {
		return time.Time{}, nil
	}
	return *config.Created, nil
}

// Created returns the creation time of the image d in the repository of repo: for an index the latest of its images,
// attestations aside. It is the zero time if one of them has none or one before EarliestCreated. It fetches the
// configs.
func (g *Graph) Created(ctx context.Context, repo reference.Named, d digest.Digest) (time.Time, error) {
	n, err := g.Node(d)
	if err != nil {
		return time.Time{}, err
	}
	if n.Config != nil {
		if !IsImageConfig(n.Config.MediaType) {
			return createdAnnotation(n.Annotations), nil
		}
		raw, err := g.Blob(ctx, repo, *n.Config)
		if err != nil {
			return time.Time{}, err
		}
		return ParseCreated(raw)
	}
	var latest time.Time
	for _, child := range n.Children {
		if AttestationSubject(child) != "" {
			continue
		}
		made, err := g.Created(ctx, repo, child.Digest)
		if err != nil || made.IsZero() {
			return time.Time{}, err
		}
		if made.After(latest) {
			latest = made
		}
	}
	return latest, nil
}

// createdAnnotation returns the time that the annotation of the OCI image spec gives.
func createdAnnotation(annotations map[string]string) time.Time {
	made, err := time.Parse(time.RFC3339, annotations[ocispec.AnnotationCreated])
	if err != nil || made.Before(EarliestCreated) {
		return time.Time{}
	}
	return made
}
