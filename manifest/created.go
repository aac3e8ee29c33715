package manifest

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// EarliestCreated is the earliest time that counts as the creation time of an image: reproducible builds set one in
// 1970 or 1980.
var EarliestCreated = time.Date(1980, time.February, 1, 0, 0, 0, 0, time.UTC)

// ParseAge parses an age: a number of weeks or days, a number of hours, minutes or seconds, or several, as in "1d12h".
func ParseAge(s string) (time.Duration, error) {
	expected := Errorf(errdefs.ErrInvalidArgument, `expected an age ("45m", "12h", "30d", "1d12h", "2w")`)
	total, rest := time.Duration(0), s
	for _, unit := range []struct {
		name string
		time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, after, found := strings.Cut(rest, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 15) // 32,767 weeks would exceed a Duration
		if err != nil || n > uint64((math.MaxInt64-total)/unit.Duration) {
			return 0, expected
		}
		total, rest = total+time.Duration(n)*unit.Duration, after
	}
	if rest == "" && s != "" {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || strings.Trim(rest, "0123456789.hms") != "" || d > math.MaxInt64-total {
		return 0, expected
	}
	return total + d, nil
}

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

// imageConfig is what a graph keeps of an image config.
type imageConfig struct {
	platform                ocispec.Platform
	created                 time.Time
	platformErr, createdErr error
}

// config reads an image config, unless it was read before.
func (g *Graph) config(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (imageConfig, error) {
	return g.configs.Do(ctx, d.Digest, func() (c imageConfig, err error) {
		raw, err := g.fetch.Blob(ctx, repo, d)
		if err == nil {
			c.platform, c.platformErr = ParseConfig(raw)
			c.created, c.createdErr = ParseCreated(raw)
			internPlatform(&c.platform)
		}
		return c, err
	})
}

// Platform returns the platform in the config of the image n in the repository of repo, which it fetches.
func (g *Graph) Platform(ctx context.Context, repo reference.Named, n Node) (ocispec.Platform, error) {
	c, err := g.config(ctx, repo, *n.Config)
	return c.platform, cmp.Or(err, c.platformErr)
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
			return createdAnnotation(n.Annotations()), nil
		}
		c, err := g.config(ctx, repo, *n.Config)
		return c.created, cmp.Or(err, c.createdErr)
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
