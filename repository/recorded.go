package repository

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Recorded is a name that was removed, with what is needed to restore it while the registry has its blobs. It is a line of
// a record, as JSON.
type Recorded struct {
	Name      string        `json:"name"`      // the reference, by tag or digest
	Digest    digest.Digest `json:"digest"`    // of the manifest
	MediaType string        `json:"mediaType"` // of the manifest
	Manifest  []byte        `json:"manifest"`  // its bytes
}

// maxRecorded is longer than a line with the largest manifest, in base64.
const maxRecorded = 8 << 20

// ReadRecorded returns the lines of a record, without a last one that is incomplete: that was not removed.
func ReadRecorded(r io.Reader) ([]Recorded, error) {
	var out []Recorded
	lines := bufio.NewReaderSize(r, maxRecorded)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		var recorded Recorded
		if err := json.Unmarshal(line, &recorded); err != nil {
			return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "line %d is not a line of a record (%w)", n, err)
		}
		if recorded.Digest.Validate() != nil || recorded.Digest.Algorithm().FromBytes(recorded.Manifest) != recorded.Digest {
			return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "line %d: the manifest does not have the digest %q", n, recorded.Digest)
		}
		if _, err := manifest.ParseName(recorded.Name); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, recorded)
	}
}

// Restore restores what was recorded, the last first, since an index is removed before what it lists. A tag that points to
// something else now is kept; the manifest is restored without it. What cannot be restored is part of the error; the rest
// is restored. restored is called with each name.
func Restore(ctx context.Context, registry Registry, report manifest.Reporter, recorded []Recorded, restored func(name reference.Named)) error {
	var errs []error
	for _, line := range slices.Backward(recorded) {
		name, err := manifest.ParseName(line.Name)
		if err != nil {
			return err
		}
		put, err := line.restore(ctx, registry, report, name)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			errs = append(errs, fmt.Errorf("restoring %s: %w", manifest.Familiar(name), err))
		case put != nil:
			restored(put)
		}
	}
	return errors.Join(errs...)
}

// restore returns what was restored, the name or only the manifest; nil if it exists.
func (r Recorded) restore(ctx context.Context, registry Registry, report manifest.Reporter, name reference.Named) (reference.Named, error) {
	now, err := registry.Digest(ctx, name)
	if err == nil && now != r.Digest {
		report.Warn("%s", movedText(manifest.Familiar(name), now, r.Digest))
		name = manifest.AtDigest(name, r.Digest)
		_, err = registry.Digest(ctx, name)
	}
	if !errdefs.IsNotFound(err) {
		return nil, err
	}
	return name, registry.Put(ctx, name, manifest.NewContent(r.MediaType, r.Manifest))
}
