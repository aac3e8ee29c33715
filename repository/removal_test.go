package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

const app = "h.example.com/app"

// testRepo is a repository from which tests remove.
type testRepo struct {
	fakes.Fixture
	*testing.T
	names  []string // that were reported as removed
	record lines
}

// lines are a record that can be full.
type lines struct {
	bytes.Buffer
	full bool
}

func (l *lines) Add(recorded ...Recorded) error {
	if l.full {
		return errors.New("no space left")
	}
	for _, r := range recorded {
		if err := json.NewEncoder(l).Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// newTestRepo has the index 1 of two images, one of which has the tag amd64 and a signature, and the image 2.
func newTestRepo(t *testing.T) *testRepo {
	r := &testRepo{Fixture: fakes.NewFixture(), T: t}
	a := r.Registry.Image(t, app+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	b := r.Registry.Image(t, app+":arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	delete(r.Registry.Manifests, app+":arm64")
	r.Registry.Index(t, app+":1", ocispec.MediaTypeImageIndex, a, b)
	r.Registry.Image(t, app+":"+manifest.ReferrersTag(a.Digest)+".sig", ocispec.MediaTypeImageManifest, "linux/386")
	r.Registry.Image(t, app+":2", ocispec.MediaTypeImageManifest, "linux/riscv64")
	return r
}

// retag makes the tag to point to what from points to.
func (r *testRepo) retag(from, to string) {
	r.Registry.Manifests[app+":"+to] = r.Registry.Manifests[app+":"+from]
}

func (r *testRepo) digest(tag string) digest.Digest {
	r.Helper()
	got, err := r.Registry.Digest(r.Context(), fakes.Named(r.T, app+":"+tag))
	if err != nil {
		r.Fatal(err)
	}
	return got
}

// at is the manifest that a tag points to.
func (r *testRepo) at(tag string) string {
	r.Helper()
	return manifest.AtDigest(fakes.Named(r.T, app), r.digest(tag)).String()
}

func (r *testRepo) removed(name reference.Named) {
	switch n := name.(type) {
	case reference.Canonical:
		r.names = append(r.names, "manifest")
	case reference.Tagged:
		r.names = append(r.names, n.Tag())
	}
}

// content has the tags, those of signatures as "sig", and the number of manifests.
func (r *testRepo) content() string {
	var tags []string
	n := 0
	for ref := range r.Registry.Manifests {
		if _, ok := strings.CutPrefix(ref, app+"@"); ok {
			n++
		} else if strings.HasSuffix(ref, ".sig") {
			tags = append(tags, "sig")
		} else {
			tags = append(tags, strings.TrimPrefix(ref, app+":"))
		}
	}
	slices.Sort(tags)
	return strings.TrimPrefix(strings.Join(tags, " ")+fmt.Sprintf(", %d manifests", n), ", ")
}

func (r *testRepo) has(want string) {
	r.Helper()
	if got := r.content(); got != want {
		r.Errorf("got %s in the repository, want %s", got, want)
	}
}

// fails checks that an error and its hint have these words.
func (r *testRepo) fails(err error, words ...string) {
	r.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error()+"\n"+manifest.Hint(err), word) {
			r.Errorf("got error %v with the hint %q, want %q in it", err, manifest.Hint(err), word)
		}
	}
}

// warns checks that a warning has these words.
func (r *testRepo) warns(words ...string) {
	r.Helper()
	for _, word := range words {
		if !slices.ContainsFunc(r.Notes.Warnings, func(s string) bool { return strings.Contains(s, word) }) {
			r.Errorf("got warnings %q, want one with %q", r.Notes.Warnings, word)
		}
	}
}

// removal agrees to a removal, after between has run.
func (r *testRepo) removal(between ...func()) Removal {
	agree := func([]Step) (bool, error) {
		for _, run := range between {
			run()
		}
		return true, nil
	}
	return Removal{Confirm: agree, Record: r.record.Add, Removed: r.removed}
}

// purge purges a selection. between runs once that is planned.
func (r *testRepo) purge(s Selection, between ...func()) error {
	r.Helper()
	return Purge(r.Context(), r.Registry, r.Notes, fakes.Named(r.T, app), s, r.removal(between...))
}

func (r *testRepo) remove(recursive bool, o Removal, names ...string) error {
	r.Helper()
	var refs []reference.Named
	for _, name := range names {
		refs = append(refs, fakes.Named(r.T, name))
	}
	return Remove(r.Context(), r.Registry, r.Notes, refs, recursive, o)
}

func (r *testRepo) untag(viaPlaceholder bool, tags ...string) error {
	r.Helper()
	var names []reference.NamedTagged
	for _, tag := range tags {
		names = append(names, fakes.ListName(r.T, app+":"+tag))
	}
	return Untag(r.Context(), r.Registry, r.Notes, names, viaPlaceholder, r.removal())
}

func TestPurge(t *testing.T) {
	for name, tt := range map[string]struct {
		selection Selection
		listed    bool
		want      string
	}{
		"one":              {Selection{Filters: fakes.Patterns(t, "2")}, false, "1 amd64 sig, 4 manifests"},
		"a child's tag":    {Selection{Filters: fakes.Patterns(t, "amd64")}, false, "1 2 sig, 5 manifests"},
		"an index":         {Selection{Filters: fakes.Patterns(t, "1")}, false, "2 amd64 sig, 4 manifests"},
		"its images, too":  {Selection{Filters: fakes.Patterns(t, "1"), Recursive: true}, false, "2 amd64 sig, 3 manifests"},
		"inventory":        {Selection{Filters: fakes.Patterns(t, "1")}, true, "2 amd64 sig, 3 manifests"},
		"with its child":   {Selection{Filters: fakes.Patterns(t, "1", "amd64")}, false, "2 sig, 3 manifests"},
		"all":              {Selection{All: true}, false, "1 manifests"},
		"recursive, two":   {Selection{All: true, Recursive: true}, false, "0 manifests"},
		"nothing":          {Selection{Filters: fakes.Patterns(t, "3")}, false, "1 2 amd64 sig, 5 manifests"},
		"unknown age":      {Selection{All: true, Before: time.Now()}, false, "1 2 amd64 sig, 5 manifests"},
		"nothing untagged": {Selection{Untagged: true}, true, "1 2 amd64 sig, 5 manifests"},
		"all, inventory":   {Selection{All: true, Untagged: true}, true, "0 manifests"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.Registry.HasListing = tt.listed
			before := r.content()
			if err := r.purge(tt.selection, func() { r.has(before) }); err != nil {
				t.Fatal(err)
			}
			r.has(tt.want)
			recorded, err := ReadRecorded(&r.record)
			if err != nil {
				t.Fatal(err)
			}
			if err := Restore(t.Context(), r.Registry, r.Notes, recorded, func(reference.Named) {}); err != nil {
				t.Fatal(err)
			}
			r.has(before)
		})
	}
}

// What has changed since the plan was made is kept, which is reported.
func TestPurgeKeepsWhatChanges(t *testing.T) {
	r := newTestRepo(t)
	r.retag("2", "3")
	r.retag("2", "4")
	err := r.purge(Selection{Filters: fakes.Patterns(t, "1", "2", "4"), Recursive: true}, func() {
		r.retag("1", "new")
		r.retag("amd64", "4")
		delete(r.Registry.Manifests, app+":2")
		r.Registry.Log = nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.has("3 4 amd64 new sig, 5 manifests")
	r.warns("app:new is new: keeping it", "app:4 now points to")
	checked := "fetch " + r.at("new") // whether the registry deleted it with its tag
	for _, line := range r.Registry.Log {
		if strings.HasPrefix(line, "fetch "+app+"@") && line != checked {
			t.Errorf("got %q after the plan was made, want no manifest fetched again", line)
		}
	}
}

// A tag that is kept and has been removed by others when the purge begins protects what it pointed to.
func TestPurgeKeepsWhatALostTagNeeds(t *testing.T) {
	r := newTestRepo(t)
	err := r.purge(Selection{Filters: fakes.Patterns(t, "amd64", "2")}, func() { delete(r.Registry.Manifests, app+":1") })
	if err != nil {
		t.Fatal(err)
	}
	r.has("sig, 4 manifests")
	r.warns("app:1 no longer exists: keeping the manifest it pointed to")
}

// A manifest that nothing needs any more, since somebody has moved a tag, is kept: its removal was not confirmed.
func TestPurgeKeepsWhatWasNotConfirmed(t *testing.T) {
	r := newTestRepo(t)
	err := r.purge(Selection{Filters: fakes.Patterns(t, "1"), Recursive: true}, func() { r.retag("2", "amd64") })
	if err != nil {
		t.Fatal(err)
	}
	r.has("2 amd64 sig, 3 manifests")
}

var errUnknown = manifest.Errorf(errdefs.ErrNotFound, "registry: unknown")

// A name that the registry lists and still answers 404 for ends a removal: what it needs is not known.
func TestListedNameAnswers404(t *testing.T) {
	purge := func(r *testRepo) error {
		return r.purge(Selection{Filters: fakes.Patterns(r.T, "amd64", "2"), Recursive: true})
	}
	rm := func(r *testRepo) error { return r.remove(true, r.removal(), app+":amd64", app+":2") }
	hide := func(r *testRepo) { r.Registry.Errs[app+":1"], r.Registry.Errs[r.at("1")] = errUnknown, errUnknown }
	hideLater := func(r *testRepo) { // after the plan was made
		listings := 0
		r.Registry.Listing = func() {
			if listings++; listings == 2 {
				r.Registry.Errs[app+":1"] = errUnknown
			}
		}
	}
	for name, tt := range map[string]struct {
		inventory bool
		hide      func(r *testRepo)
		run       func(r *testRepo) error
	}{
		"purge":                 {false, hide, purge},
		"purge, inventory":      {true, hide, purge},
		"rm":                    {false, hide, rm},
		"rm, inventory":         {true, hide, rm},
		"purge, after the plan": {false, hideLater, purge},
		"rm, after the plan":    {false, hideLater, rm},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newTestRepo(t)
				r.Registry.HasListing = tt.inventory
				before := r.content()
				tt.hide(r)
				err := tt.run(r)
				if !errdefs.IsFailedPrecondition(err) {
					t.Errorf("got error %v, want an ErrFailedPrecondition error", err)
				}
				r.fails(err, "h.example.com answers 404 for names that are listed in h.example.com/app", "app:1", "nothing was removed")
				r.has(before)
			})
		})
	}
}

// What is listed and cannot be read is taken for gone if it is named exactly; a name that can be read never is.
func TestAssumeGone(t *testing.T) {
	lose := func(r *testRepo) { // the index 1, below the index outer
		index, err := r.Registry.Fetch(r.Context(), fakes.Named(r.T, app+":1"))
		if err != nil {
			r.Fatal(err)
		}
		r.Registry.Index(r.T, app+":outer", ocispec.MediaTypeImageIndex, index.Descriptor)
		for _, name := range []string{app + ":1", r.at("1")} {
			delete(r.Registry.Manifests, name)
		}
	}
	hide := func(r *testRepo) { r.Registry.Errs[app+":1"], r.Registry.Errs[r.at("1")] = errUnknown, errUnknown }
	for name, tt := range map[string]struct {
		inventory  bool
		change     func(r *testRepo)
		assumed    func(r *testRepo) string
		hint, want string
	}{
		"a tag":            {false, hide, func(*testRepo) string { return "1" }, "docker multiarch repo untag h.example.com/app:1", "1, 2 manifests"},
		"a tag, inventory": {true, hide, func(*testRepo) string { return "1" }, "docker multiarch repo untag h.example.com/app:1", "1, 2 manifests"},
		"a nested index":   {false, lose, func(r *testRepo) string { return r.lostIndex().String() }, "--assume-gone sha256:", "outer, 2 manifests"},
		"junk": {false, func(r *testRepo) {
			r.Registry.Store(fakes.Named(r.T, app+":junk"), ocispec.MediaTypeImageManifest, []byte("{"))
		}, func(*testRepo) string { return digest.FromString("{").String() }, "--assume-gone sha256:", "1 junk sig, 5 manifests"},
		"what can be read": {false, func(r *testRepo) { hide(r); r.retag("amd64", "kept") }, func(*testRepo) string { return "kept" }, "repo untag", ""},
		"another tag":      {false, hide, func(*testRepo) string { return "2" }, "repo untag", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newTestRepo(t)
				tt.change(r)
				r.Registry.HasListing = tt.inventory
				before := r.content()
				s := Selection{Filters: fakes.Patterns(r.T, "amd64", "2"), Recursive: true, All: true}
				err := r.purge(s)
				r.fails(err, tt.hint, "nothing was removed")
				r.has(before)
				o := r.removal()
				o.AssumeGone = []string{tt.assumed(r)}
				err = Purge(t.Context(), r.Registry, r.Notes, fakes.Named(t, app), s, o)
				if tt.want == "" {
					r.fails(err, tt.hint)
					tt.want = before
				} else if err != nil {
					t.Fatal(err)
				}
				r.has(tt.want)
			})
		})
	}
}

// lostIndex is the index that the index outer lists.
func (r *testRepo) lostIndex() digest.Digest {
	children, _, err := manifest.ParseIndex(r.Registry.Manifests[app+":outer"])
	if err != nil {
		r.Fatal(err)
	}
	return children[0].Digest
}

// A tag that is listed and whose manifest is gone is removed, also by a placeholder; one that is late is read.
func TestUntagOfGoneManifest(t *testing.T) {
	for name, tt := range map[string]struct {
		change         func(r *testRepo)
		viaPlaceholder bool
		want           string
		words          []string
	}{
		"gone":             {func(*testRepo) {}, false, "1 amd64 sig, 4 manifests", nil},
		"placeholder":      {func(r *testRepo) { r.Registry.NoUntag = true }, true, "1 amd64 sig, 4 manifests", nil},
		"no placeholder":   {func(r *testRepo) { r.Registry.NoUntag = true }, false, "1 2 amd64 sig, 4 manifests", []string{"--via-placeholder"}},
		"refused with 404": {func(r *testRepo) { r.Registry.Errs["untag "+app+":2"] = errUnknown }, false, "1 2 amd64 sig, 4 manifests", []string{"lists h.example.com/app:2 and does not remove it", "--via-placeholder"}},
		"404, placeholder": {func(r *testRepo) { r.Registry.Errs["untag "+app+":2"] = errUnknown }, true, "1 amd64 sig, 4 manifests", nil},
		"late": {func(r *testRepo) {
			r.Registry.Errs[app+":2"] = errUnknown
			r.Registry.Listing = func() { delete(r.Registry.Errs, app+":2") }
		}, false, "1 amd64 sig, 4 manifests", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newTestRepo(t)
				r.Registry.Dangling = true
				delete(r.Registry.Manifests, r.at("2"))
				tt.change(r)
				err := r.untag(tt.viaPlaceholder, "2")
				if (err != nil) != (tt.words != nil) {
					t.Errorf("got error %v, want one with %q", err, tt.words)
				}
				r.fails(err, tt.words...)
				r.has(tt.want)
			})
		})
	}
}

// A tag that answers 404 and that a second listing lacks has been removed by others; one that was late is read.
func TestListedNameIsGoneOrLate(t *testing.T) {
	late := func(r *testRepo, name string, _ digest.Digest) { delete(r.Registry.Errs, name) }
	for name, tt := range map[string]struct {
		listing bool
		second  func(r *testRepo, name string, index digest.Digest) // before the second listing
		want    string
	}{
		"a tag that is gone": {false, func(r *testRepo, name string, _ digest.Digest) { delete(r.Registry.Manifests, name) }, "2 manifests"},
		"a tag that is late": {false, late, "1 sig, 4 manifests"},
		"a manifest that is gone": {true, func(r *testRepo, _ string, index digest.Digest) {
			maps.DeleteFunc(r.Registry.Manifests, func(_ string, raw []byte) bool { return digest.FromBytes(raw) == index })
		}, "1 manifests"},
		"a manifest that is late": {true, late, "1 sig, 4 manifests"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			index, absent := r.digest("1"), app+":1"
			r.Registry.HasListing = tt.listing
			if tt.listing { // the digest of the tag is listed
				absent, r.Registry.Errs[absent] = r.at("1"), errUnknown
			}
			r.Registry.Errs[absent] = errUnknown
			listings := 0
			r.Registry.Listing = func() {
				if listings++; listings == 2 {
					tt.second(r, absent, index)
				}
			}
			planned := 0
			err := r.purge(Selection{Filters: fakes.Patterns(t, "amd64", "2"), All: true, Recursive: true}, func() { planned = listings })
			if err != nil {
				t.Fatal(err)
			}
			r.has(tt.want)
			if planned != 2 {
				t.Errorf("got %d listings before the plan, want 2", planned)
			}
		})
	}
}

// Without --recursive rm removes only what was named: a name that answers 404 is a warning.
func TestRemoveWarnsOfListedNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRepo(t)
		r.Registry.Errs[app+":1"] = errUnknown
		if err := r.remove(false, r.removal(), app+":2"); err != nil {
			t.Fatal(err)
		}
		r.has("1 amd64 sig, 4 manifests")
		if len(r.Notes.Warnings) == 0 || !strings.Contains(r.Notes.Warnings[0], "answers 404") {
			t.Errorf("got warnings %q, want one of app:1", r.Notes.Warnings)
		}
	})
}

// At most ten names are listed.
func TestListedNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRepo(t)
		for i := range 12 {
			tag := fmt.Sprintf("t%02d", i)
			r.retag("2", tag)
			r.Registry.Errs[app+":"+tag] = errUnknown
		}
		r.fails(r.purge(Selection{Filters: fakes.Patterns(t, "1")}), "app:t09 and 2 more")
	})
}

// A registry that had an inventory and no longer has one is an error: what has no tag would not be kept.
func TestPurgeLosesTheInventory(t *testing.T) {
	r := newTestRepo(t)
	r.Registry.HasListing = true
	before := r.content()
	err := r.purge(Selection{Filters: fakes.Patterns(t, "1", "2")}, func() { r.Registry.HasListing = false })
	r.fails(err, "lists tags alone", "nothing was removed")
	r.has(before)
}

// If the registry cannot do what is planned, or a manifest cannot be read, nothing is removed.
func TestPurgeIsRefusedBeforehand(t *testing.T) {
	broken := manifest.Errorf(errdefs.ErrUnavailable, "broken")
	for name, tt := range map[string]struct {
		change    func(r *testRepo)
		selection Selection
		kind      error
		words     string
	}{
		"no repository": {func(r *testRepo) { clear(r.Registry.Manifests) }, Selection{All: true}, errdefs.ErrNotFound, "no such repository: h.example.com/app"},
		"no list of tags": {func(r *testRepo) {
			r.Registry.Errs["tags "+app] = manifest.Errorf(errdefs.ErrPermissionDenied, "denied")
		},
			Selection{All: true}, errdefs.ErrPermissionDenied, "denied; nothing was removed from h.example.com/app"},
		"an unreadable root": {func(r *testRepo) { r.Registry.Errs[app+":2"] = broken }, Selection{Filters: fakes.Patterns(t, "1")}, errdefs.ErrUnavailable, "reading h.example.com/app:2: broken"},
		"an unreadable child": {func(r *testRepo) {
			index, err := r.Registry.Fetch(r.Context(), fakes.Named(r.T, app+":1"))
			if err != nil {
				r.Fatal(err)
			}
			children, _, err := manifest.ParseIndex(index.Raw)
			if err != nil {
				r.Fatal(err)
			}
			r.Registry.Errs[manifest.AtDigest(fakes.Named(r.T, app), children[1].Digest).String()] = broken
		}, Selection{Filters: fakes.Patterns(t, "2")}, errdefs.ErrUnavailable, "broken"},
		"junk": {func(r *testRepo) { r.Registry.Manifests[app+":2"] = []byte("{") }, Selection{Filters: fakes.Patterns(t, "1")}, errdefs.ErrInvalidArgument, "not valid JSON"},
		"no deletion": {func(r *testRepo) {
			r.Registry.Errs["deletes "+app] = manifest.Errorf(errdefs.ErrNotImplemented, "405")
		}, Selection{Filters: fakes.Patterns(t, "2")}, errdefs.ErrNotImplemented, "DELETE_ENABLED"},
		"no permission": {func(r *testRepo) {
			r.Registry.Errs["deletes "+app] = manifest.Errorf(errdefs.ErrPermissionDenied, "403")
		}, Selection{Filters: fakes.Patterns(t, "2")}, errdefs.ErrPermissionDenied, "403"},
		"no untagging": {func(r *testRepo) { r.Registry.NoUntag = true }, Selection{Filters: fakes.Patterns(t, "amd64", "2")}, errdefs.ErrNotImplemented, "--via-placeholder"},
		"no listing":   {func(*testRepo) {}, Selection{Untagged: true}, errdefs.ErrNotImplemented, "lists tags alone"},
		"every tag":    {func(*testRepo) {}, Selection{Filters: fakes.Patterns(t, "*")}, errdefs.ErrInvalidArgument, "--all"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			tt.change(r)
			before := r.content()
			err := r.purge(tt.selection)
			if !errors.Is(err, tt.kind) {
				t.Errorf("got error %v, want %v", err, tt.kind)
			}
			r.fails(err, tt.words, "nothing was removed")
			r.has(before)
			if r.record.Len() > 0 {
				t.Errorf("got record %s, want none", &r.record)
			}
		})
	}
}

// A refusal is an error and keeps what the refused manifest needs; the rest is removed. A registry that answers 404 and
// still has the manifest has refused, too.
func TestPurgeIsRefusedByTheRegistry(t *testing.T) {
	r := newTestRepo(t)
	index := manifest.AtDigest(fakes.Named(t, app), r.digest("1"))
	r.Registry.Errs["delete "+index.String()] = manifest.Errorf(errdefs.ErrConflict, "locked")
	err := r.purge(Selection{Filters: fakes.Patterns(t, "1", "2"), Recursive: true})
	r.fails(err, "removing h.example.com/app:1: locked", "is kept: a manifest that needs it could not be deleted")
	r.has("1 amd64 sig, 4 manifests")

	r = newTestRepo(t)
	r.Registry.Deaf = true
	r.fails(r.purge(Selection{Filters: fakes.Patterns(t, "2")}), "has h.example.com/app@sha256:", "does not remove it")

	r = newTestRepo(t)
	r.Registry.Errs["delete "+r.at("2")] = manifest.Errorf(errdefs.ErrNotFound, "gone")
	r.fails(r.purge(Selection{Filters: fakes.Patterns(t, "2")}), "does not remove it")

	r = newTestRepo(t)
	r.record.full = true
	r.fails(r.purge(Selection{Filters: fakes.Patterns(t, "2")}), "no space left")
	r.has("1 2 amd64 sig, 5 manifests")
}

// If a tagged manifest cannot be deleted its tags are removed first; if it is refused even then, they are restored.
func TestPurgeRemovesTagsFirst(t *testing.T) {
	r := newTestRepo(t)
	r.retag("2", "3")
	r.Registry.TagsFirst = true
	if err := r.purge(Selection{Filters: fakes.Patterns(t, "2", "3")}); err != nil {
		t.Error(err)
	}
	r.has("1 amd64 sig, 4 manifests")

	r = newTestRepo(t)
	r.retag("2", "3")
	r.Registry.Errs["delete "+r.at("2")] = manifest.Errorf(errdefs.ErrInvalidArgument, "400")
	r.fails(r.purge(Selection{Filters: fakes.Patterns(t, "2", "3")}), "400")
	r.has("1 2 3 amd64 sig, 5 manifests")
}

// A refusal before an interruption is reported.
func TestPurgeInterrupted(t *testing.T) {
	r := newTestRepo(t)
	r.retag("2", "3")
	ctx, cancel := context.WithCancel(t.Context())
	r.Registry.Deleted = cancel
	r.Registry.Errs["untag "+app+":3"] = manifest.Errorf(errdefs.ErrPermissionDenied, "locked")
	selection := Selection{Filters: fakes.Patterns(t, "1", "3"), Recursive: true}
	if err := Purge(ctx, r.Registry, r.Notes, fakes.Named(t, app), selection, r.removal()); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	if want := []string{"removing " + app + ":3: locked"}; !slices.Equal(r.Notes.Warnings, want) {
		t.Errorf("got warnings %q, want %q", r.Notes.Warnings, want)
	}
	r.has("2 3 amd64 sig, 4 manifests") // only the index was removed
}

// Referrers, which the referrers API lists, are removed with their subject.
func TestPurgeAsksForReferrers(t *testing.T) {
	for _, recursive := range []bool{false, true} {
		r := newTestRepo(t)
		d := r.digest("2")
		r.Registry.Store(manifest.AtDigest(fakes.Named(t, app), d), ocispec.MediaTypeImageManifest, r.Registry.Manifests[app+":2"])
		raw := []byte(`{"mediaType":"` + ocispec.MediaTypeImageManifest + `","config":{"digest":"` + d.String() + `"},"layers":[],"subject":{"digest":"` + d.String() + `"}}`)
		r.Registry.Store(manifest.AtDigest(fakes.Named(t, app), digest.FromBytes(raw)), ocispec.MediaTypeImageManifest, raw)
		if err := r.purge(Selection{Filters: fakes.Patterns(t, "2"), Recursive: recursive}); err != nil {
			t.Fatal(err)
		}
		r.has(map[bool]string{false: "1 amd64 sig, 5 manifests", true: "1 amd64 sig, 4 manifests"}[recursive])
	}
}

// On a registry that deletes referrers with their subject, what a tag leads to is complete after a purge: the subject of a
// referrer that a kept index lists is kept, and so is a tagged referrer of an untagged referrer of a kept image.
func TestPurgeKeepsSubjects(t *testing.T) {
	r := newTestRepo(t)
	r.Registry.Cascade = true
	listed := r.Registry.Artifact(t, app+":listed", r.digest("2"))
	delete(r.Registry.Manifests, app+":listed")
	r.Registry.Index(t, app+":keep", ocispec.MediaTypeImageIndex, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: listed, Size: 1})
	inner := r.Registry.Artifact(t, app+":inner", r.digest("amd64"))
	delete(r.Registry.Manifests, app+":inner")
	r.Registry.Artifact(t, app+":old", inner)
	if err := r.purge(Selection{Filters: fakes.Patterns(t, "2", "old"), Recursive: true}); err != nil {
		t.Fatal(err)
	}
	r.has("1 amd64 keep sig, 9 manifests")
}

// A manifest that the registry deletes with a tag is restored, with the tags that are kept.
func TestUntagRestoresManifests(t *testing.T) {
	for name, run := range map[string]func(r *testRepo) error{
		"purge": func(r *testRepo) error { return r.purge(Selection{Filters: fakes.Patterns(t, "amd64", "go")}) },
		"untag": func(r *testRepo) error { return r.untag(false, "amd64", "go") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.retag("amd64", "kept")
			r.retag("amd64", "go")
			r.Registry.Greedy = true
			if err := run(r); err != nil {
				t.Fatal(err)
			}
			r.has("1 2 kept sig, 5 manifests")
			r.warns("it was restored")
		})
	}
}

// A tag that moves at the last moment is kept, and not reported as removed.
func TestUntagKeepsWhatMoves(t *testing.T) {
	for name, tt := range map[string]struct {
		of   string // what the tags point to
		run  func(r *testRepo) error
		want string
	}{
		"purge":      {"amd64", func(r *testRepo) error { return r.purge(Selection{Filters: fakes.Patterns(t, "go*")}) }, "1 2 amd64 go2 sig, 5 manifests"},
		"untag":      {"amd64", func(r *testRepo) error { return r.untag(false, "go1", "go2") }, "1 2 amd64 go2 sig, 5 manifests"},
		"tags first": {"2", func(r *testRepo) error { return r.remove(false, r.removal(), app+":go1") }, "1 amd64 go2 sig, 4 manifests"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.retag(tt.of, "go1")
			r.retag(tt.of, "go2")
			r.Registry.TagsFirst = true
			r.Registry.Deleted = func() { r.retag("1", "go2") }
			if err := tt.run(r); err != nil {
				t.Fatal(err)
			}
			r.has(tt.want)
			r.warns("app:go2 now points to")
			if r.digest("go2") != r.digest("1") || slices.Contains(r.names, "go2") {
				t.Errorf("got %s for go2 and %q removed, want %s and not go2", r.digest("go2"), r.names, r.digest("1"))
			}
		})
	}
}

// If a manifest that was deleted with a tag cannot be restored, no other tag is removed.
func TestUntagCannotRestore(t *testing.T) {
	for name, run := range map[string]func(r *testRepo) error{
		"purge": func(r *testRepo) error { return r.purge(Selection{Filters: fakes.Patterns(t, "amd64", "3", "4", "5")}) },
		"untag": func(r *testRepo) error { return r.untag(false, "amd64", "3", "4", "5") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			for _, tag := range []string{"3", "4", "5"} {
				r.retag("2", tag)
			}
			r.Registry.Greedy = true
			for _, tag := range []string{"2", "amd64"} {
				r.Registry.Errs["put "+r.at(tag)] = manifest.Errorf(errdefs.ErrPermissionDenied, "no pushes")
			}
			r.fails(run(r), "together with its tag, and it could not be restored: no pushes")
			if n := strings.Count(strings.Join(r.Registry.Log, "\n"), "untag "); n != 1 || len(r.names) > 0 {
				t.Errorf("got %d tags removed and %q reported, want 1 and none", n, r.names)
			}
		})
	}
}

// An interruption during the removal of a tag comes too late: what is deleted with it is restored.
func TestUntagInterrupted(t *testing.T) {
	for name, run := range map[string]func(ctx context.Context, r *testRepo) error{
		"purge": func(ctx context.Context, r *testRepo) error {
			return Purge(ctx, r.Registry, r.Notes, fakes.Named(t, app), Selection{Filters: fakes.Patterns(t, "go", "more")}, r.removal())
		},
		"untag": func(ctx context.Context, r *testRepo) error {
			return Untag(ctx, r.Registry, r.Notes, []reference.NamedTagged{fakes.ListName(t, app+":go"), fakes.ListName(t, app+":more")}, false, Removal{Removed: r.removed})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.retag("amd64", "go")
			r.retag("2", "more")
			r.Registry.Greedy = true
			ctx, cancel := context.WithCancel(t.Context())
			r.Registry.Deleted = cancel
			if err := run(ctx, r); !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v, want %v", err, context.Canceled)
			}
			r.has("1 2 amd64 more sig, 5 manifests")
		})
	}
}

func TestUntag(t *testing.T) {
	r := newTestRepo(t)
	r.fails(r.untag(false, "none", "2", "amd64", "2"), "app:none unknown")
	r.has("1 sig, 5 manifests")
	if strings.Join(r.names, " ") != "2 amd64" {
		t.Errorf("got %q reported, want 2 and amd64", r.names)
	}

	r = newTestRepo(t)
	clear(r.Registry.Manifests)
	r.fails(r.untag(false, "1"), "no such repository: h.example.com/app")

	r = newTestRepo(t)
	r.Registry.Errs[app+":2"] = manifest.Errorf(errdefs.ErrPermissionDenied, "denied")
	r.fails(r.untag(false, "1", "2"), "denied", "nothing was removed")
	r.has("1 2 amd64 sig, 5 manifests")

	r = newTestRepo(t)
	r.Registry.NoUntag = true
	r.fails(r.untag(false, "1", "2"), "does not remove a tag without its manifest", "--via-placeholder", "nothing was removed")
	r.has("1 2 amd64 sig, 5 manifests")
}

// What is removed before an interruption is counted, and can be restored.
func TestUntagRecords(t *testing.T) {
	r := newTestRepo(t)
	before := r.content()
	ctx, cancel := context.WithCancel(t.Context())
	o := r.removal()
	o.Removed = func(reference.Named) { cancel() }
	err := Untag(ctx, r.Registry, r.Notes, []reference.NamedTagged{fakes.ListName(t, app+":1"), fakes.ListName(t, app+":2")}, false, o)
	if want := "Removed 1 of 2 tags"; !errors.Is(err, context.Canceled) || !slices.Contains(r.Notes.Notes, want) {
		t.Errorf("got error %v and notes %q, want %v and %q", err, r.Notes.Notes, context.Canceled, want)
	}
	r.has("2 amd64 sig, 5 manifests")
	recorded, err := ReadRecorded(&r.record)
	if err == nil {
		err = Restore(t.Context(), r.Registry, r.Notes, recorded, func(reference.Named) {})
	}
	if err != nil || len(recorded) != 1 {
		t.Errorf("got %d lines and error %v, want one line that was restored", len(recorded), err)
	}
	r.has(before)
}

func TestUntagViaPlaceholder(t *testing.T) {
	r := newTestRepo(t)
	r.Registry.NoUntag = true
	if err := r.untag(true, "1", "amd64"); err != nil {
		t.Fatal(err)
	}
	r.has("2 sig, 5 manifests")

	r = newTestRepo(t)
	if err := r.untag(true, "1"); err != nil || slices.ContainsFunc(r.Registry.Log, func(s string) bool { return strings.HasPrefix(s, "put") }) {
		t.Errorf("got error %v and requests %q, want no placeholder", err, r.Registry.Log)
	}

	r = newTestRepo(t)
	r.Registry.NoUntag = true
	r.Registry.Errs["deletes "+app] = manifest.Errorf(errdefs.ErrNotImplemented, "405")
	r.fails(r.untag(true, "1"), "does not delete manifests", "nothing was removed")
	r.has("1 2 amd64 sig, 5 manifests")

	r = newTestRepo(t)
	r.Registry.NoUntag, r.Registry.Deaf = true, true
	was := r.digest("1")
	r.fails(r.untag(true, "1"), "removing the tag h.example.com/app:1")
	if now := r.digest("1"); now != was || len(r.names) > 0 {
		t.Errorf("got %s for the tag and %q reported, want %s and none", now, r.names, was)
	}
}

// A tag that somebody pushes while it is removed by a placeholder is kept, whether the placeholder can be deleted or not.
func TestUntagViaPlaceholderKeepsWhatIsPushed(t *testing.T) {
	for _, refusal := range []error{nil, manifest.Errorf(errdefs.ErrConflict, "locked")} {
		for _, at := range []string{"before", "after"} {
			r := newTestRepo(t)
			r.Registry.NoUntag = true
			r.Registry.Asked = func(request string) {
				if at == "before" && strings.HasPrefix(request, "delete ") || at == "after" && strings.HasPrefix(request, "deleting ") {
					r.retag("2", "1")
					if refusal != nil {
						r.Registry.Errs[strings.Replace(request, "deleting", "delete", 1)] = refusal
					}
				}
			}
			if err := r.untag(true, "1"); err != nil {
				t.Errorf("pushed %s the deletion: got error %v, want none", at, err)
			}
			r.warns("app:1 now points to " + r.digest("2").String())
			if r.digest("1") != r.digest("2") || len(r.names) > 0 {
				t.Errorf("pushed %s the deletion: got %s for the tag and %q removed, want %s and none", at, r.digest("1"), r.names, r.digest("2"))
			}
		}
	}
}

// Where a registry deletes a manifest with its tag, only those of its other tags are restored that do not exist.
func TestUntagKeepsSiblingsThatMoved(t *testing.T) {
	for name, run := range map[string]func(r *testRepo) error{
		"purge": func(r *testRepo) error { return r.purge(Selection{Filters: fakes.Patterns(t, "go")}) },
		"untag": func(r *testRepo) error { return r.untag(false, "go") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			for _, tag := range []string{"go", "moved", "kept"} {
				r.retag("amd64", tag)
			}
			r.Registry.Greedy = true
			r.Registry.Asked = func(request string) {
				if strings.HasPrefix(request, "deleting ") {
					r.retag("2", "moved")
				}
			}
			if err := run(r); err != nil {
				t.Fatal(err)
			}
			r.has("1 2 amd64 kept moved sig, 5 manifests")
			if r.digest("moved") != r.digest("2") || r.digest("kept") != r.digest("amd64") {
				t.Errorf("got %s and %s for moved and kept, want %s and %s", r.digest("moved"), r.digest("kept"), r.digest("2"), r.digest("amd64"))
			}
		})
	}
}

// Where a registry deletes a manifest with its tag, another tag that has moved meanwhile is restored as it was moved.
func TestPurgeRestoresSiblingsThatMoved(t *testing.T) {
	r := newTestRepo(t)
	r.Registry.Greedy = true
	r.retag("amd64", "old-1")
	r.retag("amd64", "moved")
	r.retag("2", "old-2") // which is removed with moved
	want, untagged := r.digest("2"), false
	r.Registry.Asked = func(request string) {
		switch {
		case request == "untag "+app+":old-1":
			untagged = true
		case untagged && request == "fetch "+app+":moved":
			untagged = false
			r.retag("2", "moved")
		}
	}
	if err := r.purge(Selection{Filters: fakes.Patterns(t, "old-*")}); err != nil {
		t.Fatal(err)
	}
	r.has("1 2 amd64 moved sig, 5 manifests")
	if got := r.digest("moved"); got != want {
		t.Errorf("got %s for moved, want %s; warnings %q", got, want, r.Notes.Warnings)
	}
}

// movedTag is a registry that loses the answer when a manifest is put back with its tags, of which somebody moves one.
type movedTag struct {
	*fakes.Registry
	move func()
}

func (m *movedTag) Put(ctx context.Context, ref reference.Named, c manifest.Content, tags ...string) error {
	if move := m.move; move != nil && len(tags) > 0 {
		m.move = nil
		move()
		return manifest.Errorf(errdefs.ErrAborted, "the answer was lost, and another client has moved the tag")
	}
	return m.Registry.Put(ctx, ref, c, tags...)
}

// movedUntag is a registry that loses the answer when it removes a tag, which somebody writes then.
type movedUntag struct {
	*fakes.Registry
	move func()
}

func (m movedUntag) Untag(ctx context.Context, name reference.NamedTagged) error {
	if err := m.Registry.Untag(ctx, name); err != nil {
		return err
	}
	m.move()
	return manifest.Errorf(errdefs.ErrAborted, "the answer was lost, and another client has moved the tag")
}

// A manifest that was deleted with a tag is put back also if somebody writes that tag meanwhile.
func TestUntagRestoresAfterTheTagMoved(t *testing.T) {
	r := newTestRepo(t)
	r.retag("amd64", "kept")
	r.Registry.Greedy = true
	registry := movedUntag{r.Registry, func() { r.retag("2", "amd64") }}
	names := []reference.NamedTagged{fakes.ListName(t, app+":amd64")}
	if err := Untag(t.Context(), registry, r.Notes, names, false, r.removal()); err != nil {
		t.Fatal(err)
	}
	r.has("1 2 amd64 kept sig, 5 manifests")
	r.warns("app:amd64 now points to", "it was restored")
	if r.digest("amd64") != r.digest("2") {
		t.Errorf("got %s for amd64, want %s", r.digest("amd64"), r.digest("2"))
	}
}

// A manifest is put back also if its other tags are moved meanwhile.
func TestUntagRestoresBesideMovedTags(t *testing.T) {
	for _, kept := range []bool{false, true} { // another tag that does not move
		r := newTestRepo(t)
		r.retag("amd64", "moved")
		want := "1 2 moved sig, 5 manifests"
		if kept {
			r.retag("amd64", "kept")
			want = "1 2 kept moved sig, 5 manifests"
		}
		r.Registry.Greedy = true
		registry := &movedTag{r.Registry, func() { r.retag("2", "moved") }}
		names := []reference.NamedTagged{fakes.ListName(t, app+":amd64")}
		if err := Untag(t.Context(), registry, r.Notes, names, false, r.removal()); err != nil {
			t.Errorf("another tag %t: got error %v, want none", kept, err)
		}
		r.has(want)
		if r.digest("moved") != r.digest("2") {
			t.Errorf("another tag %t: got %s for moved, want %s", kept, r.digest("moved"), r.digest("2"))
		}
	}
}

// Where a registry deletes a manifest with its tag, another tag that somebody has removed before is not restored.
func TestUntagDoesNotRestoreWhatWasRemoved(t *testing.T) {
	for name, run := range map[string]func(r *testRepo) error{
		"untag": func(r *testRepo) error { return r.untag(false, "go-1", "go-2") },
		"push --purge=tags": func(r *testRepo) error {
			c, err := r.Registry.Fetch(t.Context(), fakes.Named(t, app+":go-1"))
			pushed := publish.Pushed{Publication: publish.Publication{List: manifest.List{Name: fakes.ListName(t, app+":1")}}}
			for _, tag := range []string{"go-1", "go-2"} {
				ref := fakes.Named(t, app+":"+tag)
				pushed.List.Entries = append(pushed.List.Entries, manifest.Entry{Ref: ref, Source: ref, Descriptor: c.Descriptor, Raw: c.Raw})
			}
			return errors.Join(err, PurgeTags(t.Context(), r.Registry, r.Notes, pushed))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			for _, tag := range []string{"go-1", "go-2", "removed", "kept"} {
				r.retag("amd64", tag)
			}
			r.Registry.Greedy = true
			resolved := 0
			r.Registry.Asked = func(request string) {
				if request != "fetch "+app+":go-1" {
					return
				}
				if resolved++; resolved == 2 { // immediately before its removal
					r.retag("2", "go-1")
					delete(r.Registry.Manifests, app+":removed")
				}
			}
			if err := run(r); err != nil {
				t.Fatal(err)
			}
			r.has("1 2 amd64 go-1 kept sig, 5 manifests")
			r.warns("app:go-1 now points to")
		})
	}
}

// A registry may refuse to remove a tag only once it is asked to.
func TestUntagIsRefusedLate(t *testing.T) {
	for name, tt := range map[string]struct {
		refusal, deletes error
		viaPlaceholder   bool
		want             string
		words            []string
	}{
		"not found":      {manifest.Errorf(errdefs.ErrNotFound, "404"), nil, true, "2 sig, 5 manifests", nil},
		"refused":        {manifest.Errorf(errdefs.ErrNotImplemented, "405"), nil, true, "2 sig, 5 manifests", nil},
		"denied":         {manifest.Errorf(errdefs.ErrPermissionDenied, "403"), nil, true, "1 2 sig, 5 manifests", []string{"403"}},
		"no placeholder": {manifest.Errorf(errdefs.ErrNotFound, "404"), nil, false, "1 2 sig, 5 manifests", []string{"does not remove it", "--via-placeholder"}},
		"no deletion":    {manifest.Errorf(errdefs.ErrNotFound, "404"), manifest.Errorf(errdefs.ErrNotImplemented, "405"), true, "1 2 sig, 5 manifests", []string{"does not delete manifests"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.Registry.Errs["untag "+app+":1"], r.Registry.Errs["deletes "+app] = tt.refusal, tt.deletes
			err := r.untag(tt.viaPlaceholder, "1", "amd64")
			if (err != nil) != (tt.words != nil) {
				t.Errorf("got error %v, want one with %q", err, tt.words)
			}
			r.fails(err, tt.words...)
			r.has(tt.want)
		})
	}
}

func TestRemove(t *testing.T) {
	sig := func(r *testRepo) string { return app + ":" + manifest.ReferrersTag(r.digest("amd64")) + ".sig" }
	for name, tt := range map[string]struct {
		recursive bool
		names     func(r *testRepo) []string
		want      string
		words     []string
	}{
		"a tag":    {false, func(*testRepo) []string { return []string{app + ":2"} }, "1 amd64 sig, 4 manifests", nil},
		"a digest": {false, func(r *testRepo) []string { return []string{app + "@" + r.digest("2").String()} }, "1 amd64 sig, 4 manifests", nil},
		"twice": {false, func(r *testRepo) []string {
			return []string{app + ":2", app + ":2", app + "@" + r.digest("2").String()}
		}, "1 amd64 sig, 4 manifests", nil},
		"an index":         {false, func(*testRepo) []string { return []string{app + ":1"} }, "2 amd64 sig, 4 manifests", nil},
		"recursive":        {true, func(*testRepo) []string { return []string{app + ":1"} }, "2 amd64 sig, 3 manifests", nil},
		"recursive, two":   {true, func(*testRepo) []string { return []string{app + ":1", app + ":amd64"} }, "2, 1 manifests", nil},
		"part of an index": {false, func(*testRepo) []string { return []string{app + ":amd64", app + ":2"} }, "1 amd64 sig, 4 manifests", []string{"app:1 needs it", "repo untag"}},
		"a signature":      {false, func(r *testRepo) []string { return []string{sig(r)} }, "1 2 amd64, 4 manifests", nil},
		"absent":           {false, func(*testRepo) []string { return []string{app + ":none", app + ":2"} }, "1 amd64 sig, 4 manifests", []string{"app:none unknown"}},
		"nothing":          {false, func(*testRepo) []string { return []string{app + ":none"} }, "1 2 amd64 sig, 5 manifests", []string{"app:none unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			err := r.remove(tt.recursive, r.removal(), tt.names(r)...)
			if (err != nil) != (tt.words != nil) {
				t.Errorf("got error %v, want one with %q", err, tt.words)
			}
			r.fails(err, tt.words...)
			r.has(tt.want)
		})
	}
}

// A manifest that cannot be read can be removed by name; otherwise it stops a removal.
func TestRemoveJunk(t *testing.T) {
	r := newTestRepo(t)
	r.Registry.Store(fakes.Named(t, app+":junk"), ocispec.MediaTypeImageManifest, []byte("{"))
	r.fails(r.remove(true, r.removal(), app+":2"), "not valid JSON", "nothing was removed")
	o := r.removal()
	o.Record = nil // which cannot have it
	if err := r.remove(true, o, app+":junk", app+":2"); err != nil {
		t.Fatal(err)
	}
	r.has("1 amd64 sig, 4 manifests")
}

// All that is removed is shown before, and a tag that is new then keeps its manifest.
func TestRemoveIsConfirmed(t *testing.T) {
	r := newTestRepo(t)
	r.retag("2", "3")
	r.Registry.Image(t, "h.example.com/other:1", ocispec.MediaTypeImageManifest, "linux/s390x")
	var shown []Step
	no := Removal{Confirm: func(steps []Step) (bool, error) { shown = steps; return false, nil }, Removed: r.removed}
	if err := r.remove(false, no, app+":2", "h.example.com/other:1"); err != nil || len(r.names) > 0 {
		t.Errorf("got error %v and %q removed, want nothing removed", err, r.names)
	}
	if len(shown) != 2 || strings.Join(shown[0].Tags, " ") != "2 3" || shown[1].Repo.Name() != "h.example.com/other" {
		t.Errorf("got %v to confirm, want the tags 2 and 3, and h.example.com/other", shown)
	}
	err := r.remove(false, r.removal(func() { r.retag("2", "late") }), app+":2", "h.example.com/other:1")
	r.fails(err, "app:late points to it")
	left := slices.Sorted(maps.Keys(r.Registry.Manifests))
	if strings.Contains(strings.Join(left, " "), "other") || !slices.Contains(left, app+":2") {
		t.Errorf("got %q left, want %s:2 and nothing of h.example.com/other", left, app)
	}
}

// --assume-gone is for names that answer 404 or are no manifests, not for those that cannot be read at the moment.
func TestAssumeGoneIsNotForFailures(t *testing.T) {
	for _, failure := range []error{errdefs.ErrUnavailable, errdefs.ErrUnauthenticated, errdefs.ErrPermissionDenied} {
		r := newTestRepo(t) // 1 lists the image of amd64
		r.Registry.Errs[app+":1"] = manifest.Errorf(failure, "no")
		before := r.content()
		o := r.removal()
		o.AssumeGone = []string{"1"}
		err := Purge(r.Context(), r.Registry, r.Notes, fakes.Named(t, app), Selection{Filters: fakes.Patterns(t, "amd64")}, o)
		if got := r.content(); err == nil || got != before {
			t.Errorf("%v: got content %s and error %v, want nothing removed and an error", failure, got, err)
		}
	}
}

// emptied is a registry with a listing of manifests that drops a repository with its last manifest.
type emptied struct{ *fakes.Registry }

func (e emptied) Inventory(ctx context.Context, repo reference.Named) ([]manifest.Listed, error) {
	listed, err := e.Registry.Inventory(ctx, repo)
	if err == nil && len(listed) == 0 {
		return nil, manifest.Errorf(errdefs.ErrNotImplemented, "no listing")
	}
	return listed, err
}

func TestPurgeOfEverything(t *testing.T) {
	r := newTestRepo(t)
	r.Registry.HasListing = true
	s := Selection{All: true, Untagged: true}
	if err := Purge(r.Context(), emptied{r.Registry}, r.Notes, fakes.Named(t, app), s, r.removal()); err != nil {
		t.Errorf("got error %v, want none", err)
	}
}

// The listings of a removal stay few where most manifests have no tag.
func TestListingsOfUntaggedManifests(t *testing.T) {
	r := &testRepo{Fixture: fakes.NewFixture(), T: t}
	r.Registry.HasListing = true
	r.Registry.Image(t, app+":keep", ocispec.MediaTypeImageManifest, "linux/arm64")
	for i := range 400 {
		r.Registry.Image(t, app+":x", ocispec.MediaTypeImageManifest, "linux/amd64", fmt.Sprint(i))
		delete(r.Registry.Manifests, app+":x")
	}
	lists := 0
	err := r.purge(Selection{Untagged: true}, func() {
		r.Registry.Asked = func(request string) {
			if strings.HasPrefix(request, "list ") {
				lists++
			}
		}
	})
	if err != nil || lists > 40 {
		t.Errorf("got %d listings and error %v, want at most 40", lists, err)
	}
}
