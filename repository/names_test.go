package repository

import (
	"testing"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
)

// Some registries list digests among the tags: like a tag, such a name keeps its manifest and all below it.
func TestListedDigestIsKept(t *testing.T) {
	all := Selection{All: true, Recursive: true}
	untagged := Selection{All: true, Recursive: true, Untagged: true}
	const none, later = "", "later"
	for name, tt := range map[string]struct {
		tag     string // what the listed digest is that of
		when    string
		listing bool
		run     func(r *testRepo, between ...func()) error
		want    string
	}{
		"child":              {"amd64", none, false, func(r *testRepo, between ...func()) error { return r.purge(all, between...) }, "sig, 2 manifests"},
		"index":              {"1", none, false, func(r *testRepo, between ...func()) error { return r.purge(all, between...) }, "sig, 4 manifests"},
		"index, later":       {"1", later, false, func(r *testRepo, between ...func()) error { return r.purge(all, between...) }, "sig, 4 manifests"},
		"inventory":          {"1", none, true, func(r *testRepo, between ...func()) error { return r.purge(untagged, between...) }, "sig, 4 manifests"},
		"inventory, later":   {"2", later, true, func(r *testRepo, between ...func()) error { return r.purge(untagged, between...) }, "1 manifests"},
		"removed by another": {"amd64", none, false, func(r *testRepo, between ...func()) error { return r.remove(true, r.removal(between...), app+":1") }, "2 amd64 sig, 3 manifests"},
		"removed by digest":  {"2", none, false, func(r *testRepo, between ...func()) error { return r.remove(false, r.removal(between...), r.at("2")) }, "1 amd64 sig, 4 manifests"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.Registry.HasListing = tt.listing
			d := r.digest(tt.tag)
			list := func() { r.Registry.Others = []string{d.String()} }
			between := func() {}
			if tt.when == later {
				list, between = between, list
			}
			list()
			if err := tt.run(r, between); err != nil {
				t.Errorf("got error %v, want none", err)
			}
			r.has(tt.want)
		})
	}
}

// What other names that are not tags point to is not known: nothing is removed that it may need.
func TestListedNameIsNoTag(t *testing.T) {
	for name, others := range map[string][]string{"name": {"+1"}, "digest of another kind": {"blake3:00", "\x1b[31m"}} {
		r := newTestRepo(t)
		r.Registry.Others = others
		before := r.content()
		for _, err := range []error{r.purge(Selection{Filters: fakes.Patterns(t, "2")}), r.remove(true, r.removal(), app+":2")} {
			if !errdefs.IsFailedPrecondition(err) {
				t.Errorf("%s: got error %v, want an ErrFailedPrecondition error", name, err)
			}
			r.fails(err, "h.example.com lists names of h.example.com/app that are not valid tags", "nothing was removed", "--assume-gone \"")
		}
		r.has(before)
		if err := r.remove(false, r.removal(), app+":2"); err != nil {
			t.Errorf("%s: got error %v, want none for a manifest that was named", name, err)
		}
		r.has("1 amd64 sig, 4 manifests")
		gone := r.removal()
		gone.AssumeGone = others
		if err := Purge(t.Context(), r.Registry, r.Notes, fakes.Named(t, app), Selection{Filters: fakes.Patterns(t, "amd64")}, gone); err != nil {
			t.Errorf("%s: got error %v, want none for names that are gone", name, err)
		}
	}
}

// A listed digest is shown, also without a tag.
func TestManifestsOfListedDigest(t *testing.T) {
	r := newTestRepo(t)
	d := r.digest("2")
	delete(r.Registry.Manifests, app+":2")
	r.Registry.Others = []string{d.String()}
	records, err := collected(Manifests(t.Context(), r.Registry, r.Notes, fakes.Named(t, app), Query{Detail: DetailManifest}))
	if err != nil || len(records) != 5 || records[len(records)-1].Digest != d {
		t.Errorf("got %v, error %v, want %s last", recordLines(records), err, d)
	}
}
