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

// Recorder is told what is going to be removed, before it is.
type Recorder interface {
	// Add returns when the lines are where they outlast the process.
	Add(lines ...Recorded) error
}

// Recorded is a name that was removed, with what it takes to put it back while the registry has its blobs:
// a line of a record, as JSON.
type Recorded struct {
	// Name is the reference, by tag or digest.
	Name      string        `json:"name"`
	Digest    digest.Digest `json:"digest"`
	MediaType string        `json:"mediaType"`
	// Manifest has its bytes.
	Manifest []byte `json:"manifest"`
}

// maxRecorded is more than a line with the largest manifest has, in base64.
const maxRecorded = 8 << 20

// ReadRecorded returns the lines of a record, less one that was not written to its end: it was not removed.
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
			return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "line %d is no line of a record (%w)", n, err)
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

// Restore puts back what was recorded, the last first, since an index goes before what it lists. A tag that
// names something else by now stays as it is; the manifest comes back without it. What cannot be put back is
// part of the error; the rest goes on. restored is told of each name.
func Restore(ctx context.Context, a manifest.Access, recorded []Recorded, restored func(name reference.Named)) error {
	var errs []error
	for _, line := range slices.Backward(recorded) {
		name, err := manifest.ParseName(line.Name)
		if err != nil {
			return err
		}
		put, err := line.restore(ctx, a, name)
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

// restore returns what was put back, the name or the manifest alone; nil when it was there.
func (r Recorded) restore(ctx context.Context, a manifest.Access, name reference.Named) (reference.Named, error) {
	now, err := a.Registry.Digest(ctx, name)
	if err == nil && now != r.Digest {
		a.Notes.Warn("%s points at %s now, not at %s: it stays", manifest.Familiar(name), now, r.Digest)
		name = manifest.AtDigest(name, r.Digest)
		_, err = a.Registry.Digest(ctx, name)
	}
	if !errdefs.IsNotFound(err) {
		return nil, err
	}
	return name, a.Registry.Put(ctx, name, manifest.NewContent(r.MediaType, r.Manifest))
}
