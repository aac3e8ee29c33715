package registry

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// loseDeletion loses the answer to the first DELETE, with a status or none, and carries it out if done. then runs after it.
func (f *fake) loseDeletion(status int, done bool, name string, then func()) {
	struck := false
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete || struck {
			return false
		}
		struck = true
		if done {
			f.serveManifest(httptest.NewRecorder(), r, "app", name)
		}
		then()
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
		return true
	}
}

// After a lost answer a tag is looked at; its removal is repeated only if nobody else has moved it.
func TestUntagWithLostAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		status  int
		done    bool
		moved   bool
		deletes int
		kind    error
	}{
		"done":            {0, true, false, 1, nil},
		"done, 504":       {504, true, false, 1, nil},
		"not done":        {0, false, false, 2, nil},
		"not done, 500":   {500, false, false, 2, nil},
		"not done, 429":   {429, false, false, 2, nil},
		"done, moved":     {0, true, true, 1, errdefs.ErrAborted},
		"not done, moved": {502, false, true, 1, errdefs.ErrAborted},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.put("app", "1", ocispec.MediaTypeImageIndex, []byte(oldList))
			c, ref := n.client(Options{}), tagged(t, "a.example.com/app:1")
			if _, err := c.Digest(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
			f.loseDeletion(tt.status, tt.done, "1", func() {
				if tt.moved {
					f.put("app", "1", ocispec.MediaTypeImageIndex, []byte(emptyIndex))
				}
			})
			checkKind(t, c.Untag(t.Context(), ref), tt.kind)
			if _, exists := f.manifest("app", "1"); f.count("DELETE") != tt.deletes || exists != tt.moved {
				t.Errorf("got %q and the tag exists: %t, want %d DELETEs and %t", f.requests(), exists, tt.deletes, tt.moved)
			}
		})
	}
}

// The deletion of a manifest whose answer was lost is not repeated: what its tags are now is for the caller to find out.
func TestDeleteWithLostAnswer(t *testing.T) {
	d := digest.FromString(oldList)
	for name, tt := range map[string]struct {
		status int
		done   bool
		kind   error
	}{
		"done":          {0, true, nil},
		"done, 502":     {502, true, nil},
		"not done":      {0, false, manifest.ErrAnswerLost},
		"not done, 500": {500, false, manifest.ErrAnswerLost},
		"not done, 503": {503, false, nil}, // a refusal, after which it is repeated
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.put("app", d.String(), ocispec.MediaTypeImageIndex, []byte(oldList))
			f.loseDeletion(tt.status, tt.done, d.String(), func() {})
			checkKind(t, n.client(Options{}).Delete(t.Context(), parse(t, "a.example.com/app@"+d.String()).(reference.Canonical)), tt.kind)
			if _, exists := f.manifest("app", d.String()); exists != (tt.kind != nil) {
				t.Errorf("got %q and the manifest exists: %t, want %t", f.requests(), exists, tt.kind != nil)
			}
		})
	}
}

// While answers are lost, each deletion of a manifest is followed by a longer wait, until the retry budget is exhausted.
func TestDeleteWaitsAfterLostAnswer(t *testing.T) {
	d := digest.FromString(oldList)
	for name, tt := range map[string]struct {
		lost  int
		words []string // of the error
	}{
		"some":     {8, nil},
		"for ever": {99, []string{"502 Bad Gateway", "gave up after "}},
	} {
		t.Run(name, func(t *testing.T) {
			n, f, clock := newNetwork(t), newFake(), newClock()
			n.secure("a.example.com:443", f)
			f.put("app", d.String(), ocispec.MediaTypeImageIndex, []byte(oldList))
			deletes := 0
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodDelete {
					return false
				}
				if deletes++; deletes <= tt.lost {
					w.WriteHeader(http.StatusBadGateway)
				}
				return deletes <= tt.lost
			}
			c, err := n.client(Options{}), error(nil)
			clock.rule(c.budget)
			for deletes < 99 {
				if err = c.Delete(t.Context(), parse(t, "a.example.com/app@"+d.String()).(reference.Canonical)); !errors.Is(err, manifest.ErrAnswerLost) {
					break
				}
			}
			if tt.words == nil {
				checkKind(t, err, nil)
			} else {
				wantError(t, err, errdefs.ErrUnavailable, tt.words...)
			}
			if waits := clock.waits; len(waits) != min(tt.lost, deletes-1) || slices.Max(waits) < 10*waits[0] {
				t.Errorf("got waits %s for %d deletions, want longer ones between them", waits, deletes)
			}
			if got := clock.waited(); tt.words != nil && got != c.budget.Limit() {
				t.Errorf("waited %s altogether, want %s", got, c.budget.Limit())
			}
		})
	}
}
