package repository

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// newBoundedRepo has three indexes of two images each, of which one is in all of them, and the image keep.
func newBoundedRepo(t *testing.T) *testRepo {
	r := &testRepo{Fixture: fakes.NewFixture(), T: t}
	shared := r.Registry.Image(t, app+":x", ocispec.MediaTypeImageManifest, "linux/amd64")
	for i := range 3 {
		own := r.Registry.Image(t, app+":x", ocispec.MediaTypeImageManifest, "linux/arm64", fmt.Sprint(i))
		r.Registry.Index(t, fmt.Sprintf("%s:old-%d", app, i), ocispec.MediaTypeImageIndex, shared, own)
	}
	r.Registry.Image(t, app+":keep", ocispec.MediaTypeImageManifest, "linux/s390x")
	delete(r.Registry.Manifests, app+":x")
	return r
}

// A bounded purge ends without an error and says what is left. What an index needs is removed with it, unless another
// index that is left needs it, so that purges of a few deletions each remove all that one purge removes.
func TestPurgeWithMaxDeletes(t *testing.T) {
	for deletes, want := range map[int][]string{
		1: {"keep old-0 old-1 old-2, 8 manifests"},
		2: {"keep old-1 old-2, 6 manifests", "keep old-2, 4 manifests", "keep old-2, 4 manifests"},
		3: {"keep old-1 old-2, 6 manifests", "keep old-2, 4 manifests", "keep, 1 manifests"},
		4: {"keep old-2, 4 manifests", "keep, 1 manifests"},
		6: {"keep old-2, 4 manifests", "keep, 1 manifests"},
		7: {"keep, 1 manifests"},
	} {
		t.Run(fmt.Sprint(deletes), func(t *testing.T) {
			r := newBoundedRepo(t)
			for _, want := range want {
				o := r.removal()
				o.MaxDeletes, r.names, r.Notes.Notes = deletes, nil, nil
				s := Selection{Filters: fakes.Patterns(t, "old-*"), Recursive: true}
				if err := Purge(t.Context(), r.Registry, r.Notes, fakes.Named(t, app), s, o); err != nil {
					t.Fatal(err)
				}
				r.has(want)
				left := slices.ContainsFunc(r.Notes.Notes, func(s string) bool {
					return strings.Contains(s, "exceed --max-deletes") && strings.Contains(s, "are left")
				})
				if left != strings.Contains(want, "old") {
					t.Errorf("got notes %q, want one of what is left: %t", r.Notes.Notes, !left)
				}
			}
		})
	}
}

func TestPurgeWithMaxTime(t *testing.T) {
	for name, tt := range map[string]struct {
		planning, removing time.Duration
		left               int
	}{
		"in time":          {0, 0, 0},
		"while planning":   {time.Hour, 0, 100},
		"while it removes": {0, time.Hour, 100 - boundedSteps},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &testRepo{Fixture: fakes.NewFixture(), T: t}
				r.Registry.Image(t, app+":keep", ocispec.MediaTypeImageManifest, "linux/s390x")
				for i := range 100 {
					r.Registry.Image(t, fmt.Sprintf("%s:old-%02d", app, i), ocispec.MediaTypeImageManifest, "linux/arm64", fmt.Sprint(i))
				}
				o := r.removal(func() { <-time.After(tt.planning) })
				o.MaxTime = time.Hour
				o.Removed = func(reference.Named) { <-time.After(tt.removing) }
				if err := Purge(t.Context(), r.Registry, r.Notes, fakes.Named(t, app), Selection{Filters: fakes.Patterns(t, "old-*")}, o); err != nil {
					t.Fatal(err)
				}
				tags, _, _ := r.Registry.Tags(t.Context(), fakes.Named(t, app))
				if len(tags)-1 != tt.left {
					t.Errorf("got %d tags left, want %d", len(tags)-1, tt.left)
				}
				want := fmt.Sprintf("stopped after --max-time 1h0m0s; %d tags and %d manifests are left", tt.left, tt.left)
				if got := slices.ContainsFunc(r.Notes.Notes, func(s string) bool { return strings.Contains(s, want) }); got != (tt.left > 0) {
					t.Errorf("got notes %q, want %q: %t", r.Notes.Notes, want, !got)
				}
			})
		})
	}
}
