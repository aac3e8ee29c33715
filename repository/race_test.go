package repository

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// racedRepo is a repository of 24 images with the tags old-00 to old-23, and the image keep, for tests of what others do
// during a purge.
type racedRepo struct {
	*testRepo
	images []ocispec.Descriptor
	raw    map[digest.Digest][]byte
	// requests are those since the plan was confirmed; act is called before each with its number.
	requests []string
	act      func(n int, request string)
}

func newRacedRepo(t *testing.T) *racedRepo {
	r := &racedRepo{testRepo: &testRepo{Fixture: fakes.NewFixture(), T: t}, raw: map[digest.Digest][]byte{}}
	for i := range 24 {
		r.images = append(r.images, r.Registry.Image(t, fmt.Sprintf("%s:old-%02d", app, i), ocispec.MediaTypeImageManifest, "linux/amd64", fmt.Sprint(i)))
	}
	r.Registry.Image(t, app+":keep", ocispec.MediaTypeImageManifest, "linux/arm64")
	for _, raw := range r.Registry.Manifests {
		r.raw[digest.FromBytes(raw)] = raw
	}
	return r
}

// push pushes an image of the repository under another tag, as another client would at this moment.
func (r *racedRepo) push(tag string, d digest.Digest) {
	r.Registry.Store(fakes.Named(r.T, app+":"+tag), ocispec.MediaTypeImageManifest, r.raw[d])
}

// purge purges the tags old-*, while others act.
func (r *racedRepo) purge() error {
	return r.testRepo.purge(Selection{Filters: fakes.Patterns(r.T, "old-*"), Recursive: true}, func() {
		r.Registry.Asked = func(request string) {
			r.requests = append(r.requests, request)
			r.act(len(r.requests)-1, request)
		}
	})
}

// isComplete reports whether a tag exists with everything that it needs.
func (r *racedRepo) isComplete(tag string) bool {
	r.Registry.Asked = nil
	g := manifest.NewGraph(r.Registry)
	roots, err := g.Read(r.Context(), fakes.Named(r.T, app+":"+tag))
	if err != nil || roots[0].Err != nil {
		return false
	}
	return !slices.ContainsFunc(g.Below(roots[0].Digest), func(d digest.Digest) bool {
		_, err := r.Registry.Fetch(r.Context(), manifest.AtDigest(fakes.Named(r.T, app), d))
		return err != nil
	})
}

// registryKinds are how registries treat the tags of a deleted manifest.
var registryKinds = map[string]func(*fakes.Registry){
	"tags deleted":  func(*fakes.Registry) {},
	"tags dangling": func(m *fakes.Registry) { m.Dangling = true },
	"tags separate": func(m *fakes.Registry) { m.Separate = true },
	"inventory":     func(m *fakes.Registry) { m.HasListing = true },
}

// race purges once for each request of a purge, or only for each step-th, with act before that request.
func race(t *testing.T, step int, act func(r *racedRepo, point int), check func(r *racedRepo, point int)) {
	for name, kind := range registryKinds {
		t.Run(name, func(t *testing.T) {
			for point, more := 0, true; more; point += step {
				synctest.Test(t, func(t *testing.T) {
					r := newRacedRepo(t)
					kind(r.Registry)
					acted := false
					r.act = func(n int, _ string) {
						if n == point {
							acted = true
							act(r, point)
						}
					}
					if err := r.purge(); err != nil {
						t.Errorf("point %d: got error %v, want none", point, err)
					}
					if more = acted; more {
						check(r, point)
					}
				})
			}
		})
	}
}

// A new name of an image is kept unless it comes after the last listing before that image is deleted, and the registry
// deletes it with the image: no client can see that. A name that is seen and whose image was deleted gets it back.
func TestPurgeKeepsNewNames(t *testing.T) {
	points, lost := 0, 0
	race(t, 1, func(r *racedRepo, point int) {
		r.push("new", r.images[point%24].Digest)
	}, func(r *racedRepo, point int) {
		points++
		if r.isComplete("new") {
			return
		}
		lost++
		image := "delete " + app + "@" + r.images[point%24].Digest.String()
		after := r.requests[point:]
		deleted := max(slices.Index(after, image), slices.Index(after, strings.Replace(image, "delete", "deleting", 1)))
		if listed := slices.Index(after, "list "+app); r.Registry.Separate || deleted < 0 || listed >= 0 && listed < deleted {
			r.Errorf("point %d: %s was lost, and a listing came between: %q", point, image, after)
		}
	})
	t.Logf("%d of %d new names were lost", lost, points)
}

// A new name is kept also if only the listing has it that comes after a listed tag has disappeared.
func TestPurgeKeepsNewNamesBesideLostOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRacedRepo(t)
		r.act = func(_ int, request string) {
			if request == "fetch "+app+":keep" && r.Registry.Manifests[app+":keep"] != nil {
				delete(r.Registry.Manifests, app+":keep")
				r.push("new", r.images[0].Digest)
			}
		}
		if err := r.purge(); err != nil {
			t.Fatal(err)
		}
		if !r.isComplete("new") {
			t.Errorf("got %s in the repository, want new with its manifest; warnings %q", r.content(), r.Notes.Warnings)
		}
	})
}

// A list that is pushed during a purge is complete after it.
func TestPurgeKeepsNewLists(t *testing.T) {
	points, restored := 0, 0
	for _, tag := range []string{"new", "keep", "old-05"} {
		race(t, 3, func(r *racedRepo, point int) {
			r.Registry.Index(r.T, app+":"+tag, ocispec.MediaTypeImageIndex, r.images[point%24], r.images[(point+7)%24])
		}, func(r *racedRepo, point int) {
			removed := func(s string) bool { return strings.HasPrefix(s, "delet") }
			if !slices.ContainsFunc(r.requests[point:], removed) || r.requests[point] == "untag "+app+":"+tag {
				return // it lists what did not exist any more, or comes between the last look at its tag and its removal
			}
			points++
			if !r.isComplete(tag) {
				r.Errorf("point %d: %s has lost content", point, tag)
			}
			if slices.ContainsFunc(r.Notes.Warnings, func(s string) bool { return strings.Contains(s, "it was restored") }) {
				restored++
			}
		})
	}
	t.Logf("%d lists, images of %d were restored", points, restored)
}

// A deletion whose answer was lost is repeated after another look at the tags, unless somebody has given the manifest
// another; if answers are lost for ever it is an error.
func TestPurgeWithLostAnswers(t *testing.T) {
	lost := manifest.Errorf(manifest.ErrAnswerLost, "connection reset")
	for name, tt := range map[string]struct {
		times int
		then  func(r *racedRepo)
		want  string
		words string
	}{
		"twice":         {2, func(*racedRepo) {}, "keep, 1 manifests", ""},
		"for ever":      {99, func(*racedRepo) {}, "keep old-03, 2 manifests", "removing h.example.com/app:old-03: connection reset"},
		"new tag":       {1, func(r *racedRepo) { r.push("new", r.images[3].Digest) }, "keep new, 2 manifests", ""},
		"its tag moves": {1, func(r *racedRepo) { r.Registry.Manifests[app+":old-03"] = r.Registry.Manifests[app+":keep"] }, "keep old-03, 2 manifests", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRacedRepo(t)
			ref := "delete " + manifest.AtDigest(fakes.Named(t, app), r.images[3].Digest).String()
			times := 0
			r.act = func(_ int, request string) {
				if request != ref {
					return
				}
				if times++; times <= tt.times {
					r.Registry.Errs[ref] = lost
					tt.then(r)
				} else {
					delete(r.Registry.Errs, ref)
				}
			}
			err := r.purge()
			if tt.words == "" && err != nil {
				t.Errorf("got error %v, want none", err)
			} else if tt.words != "" {
				r.fails(err, tt.words)
			}
			r.has(tt.want)
		})
	}
}

// A tag that is kept, and that somebody removes with its manifest during a purge, stays removed.
func TestPurgeDoesNotRestoreWhatOthersRemove(t *testing.T) {
	race(t, 3, func(r *racedRepo, point int) {
		d := digest.FromBytes(r.Registry.Manifests[app+":keep"])
		delete(r.Registry.Manifests, app+":keep")
		delete(r.Registry.Manifests, app+"@"+d.String())
	}, func(r *racedRepo, point int) {
		if r.Registry.Asked = nil; r.content() != "0 manifests" {
			r.Errorf("point %d: got %s in the repository, want nothing; warnings %q", point, r.content(), r.Notes.Warnings)
		}
	})
}

// What was deleted before a name appears that answers 404 for ever is put back, with those of its tags that do not exist.
func TestPurgeRestoresTags(t *testing.T) {
	for name, kind := range registryKinds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRacedRepo(t)
				kind(r.Registry)
				r.push("old-second", r.images[5].Digest)
				before := r.content()
				deletions, hidden := 0, ""
				r.act = func(_ int, request string) {
					if strings.HasPrefix(request, "deleting ") {
						deletions++
					}
					if request == "list "+app && deletions == 2*minBatch {
						deletions = 0
						d := r.Registry.Index(t, app+":hidden", ocispec.MediaTypeImageIndex, r.images[0]).Digest
						r.push("old-03", r.images[20].Digest)
						hidden = app + "@" + d.String()
						r.Registry.Errs[app+":hidden"], r.Registry.Errs[hidden] = errUnknown, errUnknown
					}
				}
				r.fails(r.purge(), "answers 404", "app:hidden")
				r.Registry.Asked = nil
				delete(r.Registry.Manifests, app+":hidden")
				delete(r.Registry.Manifests, hidden)
				r.has(before)
				if got := r.digest("old-03"); got != r.images[20].Digest {
					t.Errorf("got %s for a tag that was pushed meanwhile, want %s", got, r.images[20].Digest)
				}
				r.warns("were restored with their tags")
			})
		})
	}
}

// What is recorded and restored of a large repository is in a temporary file.
func TestPurgeSpills(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRacedRepo(t)
	for i := range r.images {
		raw := strings.Replace(string(r.raw[r.images[i].Digest]), "{", `{"unknown":"`+strings.Repeat("x", 1<<19)+`",`, 1)
		r.images[i].Digest = r.Registry.Store(fakes.Named(t, fmt.Sprintf("%s:old-%02d", app, i)), ocispec.MediaTypeImageManifest, []byte(raw))
	}
	deletions := 0
	o := r.removal(func() {
		r.Registry.Asked = func(request string) {
			if strings.HasPrefix(request, "deleting ") {
				deletions++
			}
			if request == "list "+app && deletions == 2*minBatch {
				deletions = 0
				r.Registry.Index(t, app+":new", ocispec.MediaTypeImageIndex, r.images...)
			}
		}
	})
	if err := Purge(t.Context(), r.Registry, r.Notes, fakes.Named(t, app), Selection{Filters: fakes.Patterns(t, "old-*"), Recursive: true}, o); err != nil {
		t.Fatal(err)
	}
	recorded, err := ReadRecorded(&r.record) // which checks the digests
	if err != nil {
		t.Error(err)
	}
	if !r.isComplete("new") || len(recorded) < 2*minBatch {
		t.Errorf("got %s in the repository and %d recorded, want new with its images and %d", r.content(), len(recorded), 2*minBatch)
	}
}

// A removed tag that is pushed while the manifest is deleted that it points to then, is restored where it would point to
// nothing.
func TestPurgeRestoresPushedTags(t *testing.T) {
	for image := range 2 { // which old-00 is pushed with: the same, and another
		synctest.Test(t, func(t *testing.T) {
			r := newRacedRepo(t)
			r.Registry.Dangling = true
			other := "deleting " + app + "@" + r.images[image].Digest.String()
			r.act = func(_ int, request string) {
				if request == other {
					r.push("old-00", r.images[image].Digest)
				}
			}
			if err := r.purge(); err != nil {
				t.Fatal(err)
			}
			if !r.isComplete("old-00") || r.digest("old-00") != r.images[image].Digest {
				t.Errorf("image %d: got %s in the repository, want old-00 with its manifest; warnings %q", image, r.content(), r.Notes.Warnings)
			}
			r.warns("keeping it", "was restored")
		})
	}
}

// A registry that deletes a manifest with its tag is not taken for one that keeps it because somebody pushes it again. Its
// other tags are restored or, where they may be tags of other manifests, reported.
func TestManifestsPushedDuringUntag(t *testing.T) {
	purge := func(r *testRepo) error {
		return r.purge(Selection{Filters: fakes.Patterns(r.T, "old-*")}, func() {})
	}
	untag := func(r *testRepo) error { return r.untag(false, "old-1", "old-2") }
	for _, tt := range []struct {
		name   string
		remove func(r *testRepo) error
		pushed int // the deletion of the manifest that is pushed
		gone   string
	}{
		{"purge", purge, 1, ""},
		{"untag, first", untag, 1, "keep-1 and stable-1"},
		{"untag, second", untag, 2, ""},
		{"untag, no other tags", func(r *testRepo) error {
			delete(r.Registry.Manifests, app+":keep-1")
			delete(r.Registry.Manifests, app+":stable-1")
			delete(r.Registry.Manifests, app+":1")
			return untag(r)
		}, 1, "2, keep-2 and stable-2"},
	} {
		r := newTestRepo(t)
		r.Registry.Greedy = true
		for _, image := range []string{"1", "2"} {
			for _, tag := range []string{"old-", "keep-", "stable-"} {
				r.retag(image, tag+image)
			}
		}
		raw := map[digest.Digest][]byte{r.digest("1"): r.Registry.Manifests[app+":1"], r.digest("2"): r.Registry.Manifests[app+":2"]}
		left := tt.pushed
		r.Registry.Asked = func(request string) {
			verb, ref, _ := strings.Cut(request, " ")
			d := digest.Digest(strings.TrimPrefix(ref, app+"@"))
			if verb == "deleting" {
				left--
			} else if left == 0 && verb == "fetch" && raw[d] != nil {
				left--
				r.Registry.Store(fakes.Named(t, app+":new"), r.Registry.Types[d], raw[d])
			}
		}
		if err := tt.remove(r); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		r.Registry.Asked = nil
		if tt.gone != "" {
			r.warns("no longer exist, and the registry may have deleted them together with a tag of sha256:", tt.gone)
			continue
		}
		for _, tag := range []string{"keep-1", "stable-1", "keep-2", "stable-2", "new"} {
			if r.Registry.Manifests[app+":"+tag] == nil {
				t.Errorf("%s: got no tag %s, want it; warnings %q", tt.name, tag, r.Notes.Warnings)
			}
		}
	}
}

// Where a registry keeps the manifests of removed tags, the first removal is checked by another listing of the tags.
func TestUntagRequests(t *testing.T) {
	r := newTestRepo(t)
	var requests []string
	r.Registry.Asked = func(request string) { requests = append(requests, strings.Fields(request)[0]) }
	if err := r.untag(false, "1", "2"); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(requests, " "), "fetch fetch list fetch untag fetch list fetch untag fetch"; got != want {
		t.Errorf("got requests %s, want %s", got, want)
	}
}

// A tag that another client has moved while the answer to its removal was lost is kept.
func TestUntagIsAborted(t *testing.T) {
	r := newTestRepo(t)
	r.Registry.Errs["untag "+app+":1"] = manifest.Errorf(errdefs.ErrAborted, "moved")
	r.Registry.Asked = func(request string) {
		if request == "untag "+app+":1" {
			r.retag("2", "1")
		}
	}
	if err := r.untag(false, "1"); err != nil {
		t.Fatal(err)
	}
	r.warns("app:1 now points to")
	if len(r.names) > 0 || r.digest("1") != r.digest("2") {
		t.Errorf("got %s for the tag and %q removed, want %s and none", r.digest("1"), r.names, r.digest("2"))
	}
}

// A removal that ends early restores what was pushed during its last deletions.
func TestEarlyEndRestores(t *testing.T) {
	for _, how := range []string{"cancel", "unavailable"} {
		r := newRacedRepo(t)
		r.Registry.Separate = true // the tags stay
		ctx, cancel := context.WithCancel(r.Context())
		deletions := 0
		r.act = func(_ int, request string) {
			if !strings.HasPrefix(request, "delete ") {
				return
			}
			switch deletions++; {
			case deletions == 1:
				for i, tag := range []string{"new-0", "new-1", "new-2"} {
					r.push(tag, r.images[i].Digest)
				}
			case deletions == 5 && how == "cancel":
				cancel()
			}
		}
		if how == "unavailable" {
			failing := manifest.AtDigest(fakes.Named(t, app), r.images[5].Digest).String()
			r.Registry.Errs["delete "+failing] = manifest.Errorf(errdefs.ErrUnavailable, "503")
		}
		s := Selection{Filters: fakes.Patterns(t, "old-*"), Recursive: true}
		err := Purge(ctx, r.Registry, r.Notes, fakes.Named(t, app), s, r.removal(func() {
			r.Registry.Asked = func(request string) { r.act(0, request) }
		}))
		cancel()
		if err == nil {
			t.Errorf("%s: got no error, want one", how)
		}
		for _, tag := range []string{"new-0", "new-1", "new-2"} {
			if !r.isComplete(tag) {
				t.Errorf("%s: got the tag %s without what it needs, want that restored; warnings %q", how, tag, r.Notes.Warnings)
			}
		}
	}
}

// A tag that is listed late and answers 404 is restored, also if a tag has moved immediately before it was to be removed.
func TestPurgeRestoresTagsAfterOneHasMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRacedRepo(t)
		r.Registry.Dangling = true
		deletions, moved := 0, false
		r.act = func(_ int, request string) {
			if strings.HasPrefix(request, "deleting ") {
				if deletions++; deletions == minBatch { // from now on only the tag old-20 is to be removed
					r.Registry.Index(t, app+":new", ocispec.MediaTypeImageIndex, r.images[20])
				}
			}
			if deletions == minBatch && !moved && request == "fetch "+app+":old-20" {
				moved = true
				r.push("old-20", r.images[21].Digest)
				r.Registry.Manifests[app+":late"] = r.raw[r.images[0].Digest]
			}
		}
		if err := r.purge(); err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{"new", "late", "old-20"} {
			if !moved || !r.isComplete(tag) {
				t.Errorf("got %s in the repository, want %s with all it needs; warnings %q", r.content(), tag, r.Notes.Warnings)
			}
		}
	})
}

// Where a registry keeps the tags of a deleted manifest, one that is pushed again with it is kept, whichever is looked at
// first.
func TestPurgeKeepsTagsPushedAgain(t *testing.T) {
	for look := range 3 {
		r := newRacedRepo(t)
		r.Registry.Separate = true
		at := app + "@" + r.images[0].Digest.String()
		deleted, looks := false, 0
		r.act = func(_ int, request string) {
			switch {
			case request == "deleting "+at:
				deleted = true
			case deleted && (request == "fetch "+at || request == "fetch "+app+":old-00"):
				if looks == look {
					r.push("old-00", r.images[0].Digest)
				}
				looks++
			}
		}
		if err := r.purge(); err != nil {
			t.Fatal(err)
		}
		if !r.isComplete("old-00") {
			t.Errorf("pushed before look %d: got %s in the repository, want old-00 with its manifest", look, r.content())
		}
	}
}

// A removal that is interrupted after it has listed new and moved tags restores what these need.
func TestEarlyEndAfterListingRestores(t *testing.T) {
	for _, tag := range []string{"new", "keep"} {
		r := newRacedRepo(t)
		ctx, cancel := context.WithCancel(t.Context())
		pushed := false
		r.act = func(_ int, request string) {
			if strings.HasPrefix(request, "delete ") && !pushed {
				pushed = true
				r.Registry.Index(t, app+":"+tag, ocispec.MediaTypeImageIndex, r.images[:minBatch]...)
			}
		}
		o := r.removal(func() {
			r.Registry.Asked = func(request string) { r.act(0, request) }
		})
		o.Removed = func(reference.Named) { cancel() }
		s := Selection{Filters: fakes.Patterns(t, "old-*"), Recursive: true}
		err := Purge(ctx, r.Registry, r.Notes, fakes.Named(t, app), s, o)
		if !errdefs.IsCanceled(err) || !r.isComplete(tag) {
			t.Errorf("got error %v and %s in the repository, want a canceled one and %s with its images; warnings %q", err, r.content(), tag, r.Notes.Warnings)
		}
	}
}

// cutOff is a registry whose answers to deletions are not waited for.
type cutOff struct {
	*fakes.Registry
	cancel func()
}

func (c cutOff) Delete(ctx context.Context, at reference.Canonical) error {
	err := c.Registry.Delete(ctx, at)
	c.cancel()
	return cmp.Or(err, ctx.Err())
}

// A removal that ends before any answer to its deletions restores what was pushed meanwhile.
func TestEarlyEndRestoresWithoutAnswers(t *testing.T) {
	r := newRacedRepo(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.act = func(_ int, request string) {
		if strings.HasPrefix(request, "delete ") && r.Registry.Manifests[app+":new"] == nil {
			r.Registry.Index(t, app+":new", ocispec.MediaTypeImageIndex, r.images[:minBatch]...)
		}
	}
	s := Selection{Filters: fakes.Patterns(t, "old-*"), Recursive: true}
	err := Purge(ctx, cutOff{r.Registry, cancel}, r.Notes, fakes.Named(t, app), s, r.removal(func() {
		r.Registry.Asked = func(request string) { r.act(0, request) }
	}))
	if !errdefs.IsCanceled(err) || !r.isComplete("new") {
		t.Errorf("got error %v and %s in the repository, want a canceled one and new with its images; warnings %q", err, r.content(), r.Notes.Warnings)
	}
}
