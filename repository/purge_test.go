package repository

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/go-units"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Tags are removed and manifests are kept, also those that only the registry's inventory lists.
func TestPurgeKeepsManifests(t *testing.T) {
	for _, listed := range []bool{false, true} {
		r := newTestRepo(t)
		r.Registry.HasListing = listed
		if err := r.purge(Selection{All: true, KeepManifests: true}); err != nil {
			t.Error(err)
		}
		r.has("sig, 5 manifests")
	}
	r := newTestRepo(t)
	r.Registry.NoUntag = true
	r.fails(r.purge(Selection{All: true, KeepManifests: true}), "does not remove a tag without its manifest", "nothing was removed")
	r.has("1 2 amd64 sig, 5 manifests")
}

// newRepositories has the tags keep, old-1 and old-2 in each repository.
func newRepositories(t *testing.T, paths ...string) *testRepo {
	r := &testRepo{Fixture: fakes.NewFixture(), T: t}
	for _, path := range paths {
		for _, tag := range []string{"keep", "old-1", "old-2"} {
			r.Registry.Image(t, "h.example.com/"+path+":"+tag, ocispec.MediaTypeImageManifest, "linux/amd64", path, tag)
		}
	}
	return r
}

// tags are those of all repositories.
func (r *testRepo) tags() string {
	tagged := slices.DeleteFunc(slices.Sorted(maps.Keys(r.Registry.Manifests)), func(ref string) bool { return strings.Contains(ref, "@") })
	return strings.ReplaceAll(strings.Join(tagged, " "), "h.example.com/", "")
}

func (r *testRepo) purgeAll(filter string, o Removal) error {
	r.Helper()
	return PurgeAll(r.Context(), r.Registry, r.Notes, "h.example.com", fakes.Patterns(r.T, filter)[0], Selection{Filters: fakes.Patterns(r.T, "old-*")}, o)
}

func TestPurgeAll(t *testing.T) {
	settleAtOnce(t)
	denied := manifest.Errorf(errdefs.ErrPermissionDenied, "denied")
	for name, tt := range map[string]struct {
		filter string
		change func(r *testRepo, o *Removal)
		want   string
		words  []string // of the error
		note   string
	}{
		"those that match": {"team/*", func(*testRepo, *Removal) {}, "other:keep other:old-1 other:old-2 team/a:keep team/b:keep", nil, "h.example.com/team/b: 2 of 3 tags match"},
		"none":             {"x*", func(*testRepo, *Removal) {}, "other:keep other:old-1 other:old-2 team/a:keep team/a:old-1 team/a:old-2 team/b:keep team/b:old-1 team/b:old-2", nil, "No repository of h.example.com matches"},
		"an error stops only its own": {"regex:.*", func(r *testRepo, _ *Removal) { r.Registry.Errs["tags h.example.com/team/a"] = denied },
			"other:keep team/a:keep team/a:old-1 team/a:old-2 team/b:keep", []string{"denied; nothing was removed from h.example.com/team/a"}, ""},
		"a tag that answers 404 stops only its own": {"regex:.*", func(r *testRepo, _ *Removal) {
			r.Registry.Errs["h.example.com/team/a:keep"] = errUnknown
		}, "other:keep team/a:keep team/a:old-1 team/a:old-2 team/b:keep", []string{"team/a:keep", "nothing was removed from h.example.com/team/a"}, ""},
		"the registry is down": {"regex:.*", func(r *testRepo, _ *Removal) {
			r.Registry.Errs["tags h.example.com/team/a"] = manifest.Errorf(errdefs.ErrUnavailable, "down")
		}, "other:keep team/a:keep team/a:old-1 team/a:old-2 team/b:keep team/b:old-1 team/b:old-2", []string{"down"}, ""},
		"max deletes": {"regex:.*", func(_ *testRepo, o *Removal) { o.MaxDeletes = 3 },
			"other:keep team/a:keep team/a:old-2 team/b:keep team/b:old-1 team/b:old-2", nil, "1 repositories are left"},
		"max time": {"regex:.*", func(_ *testRepo, o *Removal) { o.MaxTime = time.Nanosecond },
			"other:keep other:old-1 other:old-2 team/a:keep team/a:old-1 team/a:old-2 team/b:keep team/b:old-1 team/b:old-2", nil, "2 repositories are left"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepositories(t, "team/a", "team/b", "other")
			o := r.removal()
			tt.change(r, &o)
			err := r.purgeAll(tt.filter, o)
			if r.fails(err, tt.words...); len(tt.words) == 0 && err != nil {
				t.Error(err)
			}
			if got := r.tags(); got != tt.want {
				t.Errorf("got tags %s, want %s", got, tt.want)
			}
			if notes := fmt.Sprint(r.Notes.Notes); !strings.Contains(notes, tt.note) {
				t.Errorf("got notes %s, want %q", notes, tt.note)
			}
		})
	}
}

// A repository that is still in the catalog and has nothing left is no error.
func TestPurgeAllOfAnEmptyRepository(t *testing.T) {
	r := newRepositories(t, "a", "b")
	var planned []reference.Named
	o := Removal{Confirm: func(steps []Step) (bool, error) {
		for _, s := range steps {
			planned = append(planned, s.Repo)
		}
		return false, nil
	}}
	r.Registry.Listing = func() {
		for ref := range r.Registry.Manifests {
			if strings.HasPrefix(ref, "h.example.com/a") {
				delete(r.Registry.Manifests, ref)
			}
		}
	}
	if err := r.purgeAll("*", o); err != nil || fmt.Sprint(planned) != "[h.example.com/b h.example.com/b]" {
		t.Errorf("got error %v and steps of %v, want two of h.example.com/b", err, planned)
	}
}

// What was removed is measured without what remaining manifests need, as far as these are known.
func TestRemovedSize(t *testing.T) {
	for _, tt := range []struct {
		name    string
		listed  bool
		removed []string
		want    string
	}{
		{"all known", true, []string{"a"}, "removed 1 tags and 1 manifests, which frees %s in the repository"},
		{"others may exist", false, []string{"a"}, "removed 1 tags and 1 manifests, which frees up to %s in the repository"},
		{"one unreadable", true, []string{"a", "invalid"}, "removed 2 tags and 2 manifests, which frees at least %s in the repository"},
		{"both", false, []string{"a", "invalid"}, "removed 2 tags and 2 manifests"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &testRepo{Fixture: fakes.NewFixture(), T: t}
			r.Registry.HasListing = tt.listed
			a := r.Registry.Image(t, app+":a", ocispec.MediaTypeImageManifest, "linux/amd64", "same config")
			r.Registry.Image(t, app+":b", manifest.MediaTypeDockerManifest, "linux/amd64", "same config")
			if len(tt.removed) > 1 {
				r.Registry.Store(fakes.Named(t, app+":invalid"), ocispec.MediaTypeImageManifest, []byte("{"))
			}
			var names []string
			for _, tag := range tt.removed {
				names = append(names, app+":"+tag)
			}
			o := r.removal()
			o.Record = nil // which takes only what can be read
			if err := r.remove(false, o, names...); err != nil {
				t.Fatal(err)
			}
			want := app + ": " + strings.Replace(tt.want, "%s", units.HumanSizeWithPrecision(float64(a.Size), 3), 1)
			if !slices.Contains(r.Notes.Notes, want) {
				t.Errorf("got notes %q, want %q", r.Notes.Notes, want)
			}
		})
	}
}

// Steps have the platforms and sizes that were read.
func TestStepsAreDescribed(t *testing.T) {
	r := newTestRepo(t)
	o := r.removal()
	o.Confirm = func(steps []Step) (bool, error) {
		var sum int64
		for _, step := range steps {
			if sum += step.ImageSize; step.Kind == manifest.KindIndex {
				sum -= 2 * step.ImageSize
				sum += step.Size
			}
			if want := map[string]string{manifest.KindIndex: "linux/amd64 linux/arm64", manifest.KindImage: "linux/arm64"}[step.Kind]; strings.Join(step.Platforms, " ") != want {
				t.Errorf("got platforms %q of the %s, want %s", step.Platforms, step.Kind, want)
			}
		}
		if len(steps) != 2 || sum >= 0 {
			t.Errorf("got %+v, want an index that is larger than its image of the same list", steps)
		}
		return false, nil
	}
	if err := Purge(t.Context(), r.Registry, r.Notes, fakes.Named(t, app), Selection{Filters: fakes.Patterns(t, "1"), Recursive: true}, o); err != nil {
		t.Fatal(err)
	}
}
