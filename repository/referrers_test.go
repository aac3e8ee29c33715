package repository

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// slowReferrers is a registry that answers requests for referrers after the first one only once answer is closed.
type slowReferrers struct {
	manifest.Reader
	asked  atomic.Int64
	answer chan struct{}
}

func (r *slowReferrers) Referrers(context.Context, reference.Canonical) ([]ocispec.Descriptor, error) {
	if r.asked.Add(1) > 1 {
		<-r.answer
	}
	return nil, nil
}

// Lists of referrers are in memory while they are read, so a bounded number is read at a time.
func TestReferrersListsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &slowReferrers{Reader: fakes.NewRegistry(), answer: make(chan struct{})}
		var of []digest.Digest
		for i := range 3 * maxReferrersLists {
			of = append(of, digest.FromString(fmt.Sprint(i)))
		}
		done := make(chan []error)
		go func() {
			_, errs := newSnapshot(r, fakes.Named(t, app)).readReferrers(t.Context(), of)
			done <- errs
		}()
		synctest.Wait()
		if got := r.asked.Load() - 1; got != maxReferrersLists {
			t.Errorf("got %d lists at a time, want %d", got, maxReferrersLists)
		}
		close(r.answer)
		if errs := <-done; len(errs) > 0 || r.asked.Load() != int64(len(of)) {
			t.Errorf("got %d lists, errors %v, want %d", r.asked.Load(), errs, len(of))
		}
	})
}

// unknownReferrers is a registry that refuses to list the referrers of a manifest that it does not have.
type unknownReferrers struct{ *fakes.Registry }

func (r unknownReferrers) Referrers(ctx context.Context, subject reference.Canonical) ([]ocispec.Descriptor, error) {
	if _, err := r.Digest(ctx, subject); err != nil {
		return nil, manifest.Errorf(errdefs.ErrNotImplemented, "404")
	}
	return r.Registry.Referrers(ctx, subject)
}

// An index without one of its images is shown with the referrers of the others, in whatever order they are requested.
func TestReferrersBesideAbsentManifests(t *testing.T) {
	for seed := range 8 {
		m := fakes.NewRegistry()
		a := m.Image(t, app+":1", ocispec.MediaTypeImageManifest, "linux/amd64", fmt.Sprint(seed))
		b := m.Image(t, app+":2", ocispec.MediaTypeImageManifest, "linux/arm64", fmt.Sprint(seed))
		m.Index(t, app+":1", ocispec.MediaTypeImageIndex, a, b)
		m.Artifact(t, app+":2", b.Digest)
		delete(m.Manifests, app+"@"+a.Digest.String())
		shown, err := Show(t.Context(), unknownReferrers{m}, &fakes.Reporter{}, fakes.Named(t, app+":1"))
		if err != nil || len(shown.Referrers) != 1 {
			t.Errorf("seed %d: got %d referrers and error %v, want 1", seed, len(shown.Referrers), err)
		}
	}
}
