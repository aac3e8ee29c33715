package repository

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

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
