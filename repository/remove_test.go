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

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const tidied = "h.example.com/app"

// garden is a repository that things are removed from.
type garden struct {
	fakes.World
	*testing.T
	gone   []string
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

// newGarden has an index of two images, one of which has a tag of its own, a signature of it, and another image.
func newGarden(t *testing.T) *garden {
	y := &garden{World: fakes.NewWorld(), T: t}
	a := y.Registry.Image(t, tidied+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	b := y.Registry.Image(t, tidied+":arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	delete(y.Registry.Manifests, tidied+":arm64")
	y.Registry.Index(t, tidied+":1", ocispec.MediaTypeImageIndex, a, b)
	y.Registry.Image(t, tidied+":"+manifest.ReferrersTag(a.Digest)+".sig", ocispec.MediaTypeImageManifest, "linux/386")
	y.Registry.Image(t, tidied+":2", ocispec.MediaTypeImageManifest, "linux/riscv64")
	return y
}

// retag gives what one tag names another name.
func (y *garden) retag(from, to string) {
	y.Registry.Manifests[tidied+":"+to] = y.Registry.Manifests[tidied+":"+from]
}

func (y *garden) removed(name reference.Named) {
	switch n := name.(type) {
	case reference.Canonical:
		y.gone = append(y.gone, "manifest")
	case reference.Tagged:
		y.gone = append(y.gone, n.Tag())
	}
}

// left are the tags, those of signatures as "sig", and the number of manifests.
func (y *garden) left() string {
	var tags []string
	n := 0
	for ref := range y.Registry.Manifests {
		if rest, ok := strings.CutPrefix(ref, tidied+"@"); ok && rest != "" {
			n++
		} else if strings.HasSuffix(ref, ".sig") {
			tags = append(tags, "sig")
		} else {
			tags = append(tags, strings.TrimPrefix(ref, tidied+":"))
		}
	}
	slices.Sort(tags)
	return strings.Join(append(tags, strings.Repeat("@", n)), " ")
}

func (y *garden) leaves(want string) {
	y.Helper()
	if got := y.left(); got != want {
		y.Errorf("left: %s, not %s", got, want)
	}
}

func (y *garden) says(err error, words ...string) {
	y.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			y.Errorf("%q is missing in %v", word, err)
		}
	}
}

func (y *garden) plan(s Selection) *PlannedPurge {
	y.Helper()
	p, err := PlanPurge(y.Context(), y.Access(), fakes.Named(y.T, tidied), s)
	if err != nil {
		y.Fatal(err)
	}
	return p
}

func (y *garden) purge(s Selection) error {
	y.Helper()
	return y.plan(s).CarryOut(y.Context(), &y.record, y.removed)
}

func TestPurgeRepository(t *testing.T) {
	for name, tt := range map[string]struct {
		selection Selection
		listed    bool
		left      string
	}{
		"one":               {Selection{Filters: fakes.Patterns(t, "2")}, false, "1 amd64 sig @@@@"},
		"a child's tag":     {Selection{Filters: fakes.Patterns(t, "amd64")}, false, "1 2 sig @@@@@"},
		"an index":          {Selection{Filters: fakes.Patterns(t, "1")}, false, "2 amd64 sig @@@@"},
		"its images, too":   {Selection{Filters: fakes.Patterns(t, "1"), Recursive: true}, false, "2 amd64 sig @@@"},
		"listed":            {Selection{Filters: fakes.Patterns(t, "1")}, true, "2 amd64 sig @@@"},
		"with its child":    {Selection{Filters: fakes.Patterns(t, "1", "amd64")}, false, "2 sig @@@"},
		"all":               {Selection{All: true}, false, "@"},
		"all in depth":      {Selection{All: true, Recursive: true}, false, ""},
		"nothing":           {Selection{Filters: fakes.Patterns(t, "3")}, false, "1 2 amd64 sig @@@@@"},
		"nothing of age":    {Selection{All: true, Before: time.Now()}, false, "1 2 amd64 sig @@@@@"},
		"nothing untagged":  {Selection{Untagged: true}, true, "1 2 amd64 sig @@@@@"},
		"all of the listed": {Selection{All: true, Untagged: true}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.Registry.HasListing = tt.listed
			before := y.left()
			p := y.plan(tt.selection)
			y.leaves(before)
			if err := p.CarryOut(t.Context(), &y.record, y.removed); err != nil {
				t.Fatal(err)
			}
			y.leaves(tt.left)
			recorded, err := ReadRecorded(&y.record)
			if err != nil {
				t.Fatal(err)
			}
			if err := Restore(t.Context(), y.Access(), recorded, func(reference.Named) {}); err != nil {
				t.Fatal(err)
			}
			y.leaves(before)
		})
	}
}

// What has changed since the plan was made stays, and is told.
func TestPurgeRepositoryThatChanges(t *testing.T) {
	y := newGarden(t)
	y.retag("2", "3")
	y.retag("2", "4")
	p := y.plan(Selection{Filters: fakes.Patterns(t, "1", "2", "4"), Recursive: true})
	y.retag("1", "new")
	y.retag("amd64", "4")
	delete(y.Registry.Manifests, tidied+":2")
	y.Registry.Log = nil
	if err := p.CarryOut(t.Context(), nil, y.removed); err != nil {
		t.Fatal(err)
	}
	y.leaves("3 4 amd64 new sig @@@@@")
	if said := strings.Join(y.Notes.Warnings, "\n"); !strings.Contains(said, "app:new is new: it stays") || !strings.Contains(said, "app:4 points at") {
		t.Errorf("said %s", said)
	}
	looked := "fetch h.example.com/app@" + y.digest("new").String() // whether it outlived its tag
	for _, line := range y.Registry.Log {
		if strings.HasPrefix(line, "fetch h.example.com/app@") && line != looked {
			t.Errorf("read again: %s", line)
		}
	}
}

// A tag that is kept and has been removed by others when the purge begins protects what it pointed to.
func TestPurgeRepositoryLosesATag(t *testing.T) {
	y := newGarden(t)
	p := y.plan(Selection{Filters: fakes.Patterns(t, "amd64", "2")})
	delete(y.Registry.Manifests, tidied+":1")
	if err := p.CarryOut(t.Context(), nil, y.removed); err != nil {
		t.Fatal(err)
	}
	y.leaves("sig @@@@")
	if said := strings.Join(y.Notes.Warnings, "\n"); !strings.Contains(said, "app:1 is gone: what it named stays") {
		t.Errorf("said %s", said)
	}
}

// A name that the registry lists, twice, and does not have ends a removal: what it needs is not known.
func TestListedNameAnswers404(t *testing.T) {
	unknown := manifest.Errorf(errdefs.ErrNotFound, "registry: unknown")
	index := func(y *garden) string { return manifest.AtDigest(fakes.Named(y.T, tidied), y.digest("1")).String() }
	purge := func(y *garden) error {
		p, err := PlanPurge(y.Context(), y.Access(), fakes.Named(y.T, tidied), Selection{Filters: fakes.Patterns(y.T, "amd64", "2"), Recursive: true})
		if err == nil {
			err = p.CarryOut(y.Context(), &y.record, y.removed)
		}
		return err
	}
	rm := func(y *garden) error { return y.remove(true, agree, tidied+":amd64", tidied+":2") }
	for name, tt := range map[string]struct {
		listing bool
		absent  func(y *garden) string
		run     func(y *garden) error
	}{
		"purge, a tag":               {false, func(*garden) string { return tidied + ":1" }, purge},
		"purge, the tag's manifest":  {true, index, purge},
		"rm, a tag":                  {false, func(*garden) string { return tidied + ":1" }, rm},
		"rm, the tag's manifest":     {true, index, rm},
		"purge, between two answers": {false, func(*garden) string { return "" }, purge},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newGarden(t)
				y.Registry.HasListing = tt.listing
				before, absent := y.left(), tt.absent(y)
				if absent == "" { // the first plan sees the tag
					listings := 0
					y.Registry.Listing = func() {
						if listings++; listings == 2 {
							y.Registry.Errs[tidied+":1"] = unknown
						}
					}
				}
				y.Registry.Errs[absent] = unknown
				err := tt.run(y)
				if !errdefs.IsUnavailable(err) {
					t.Errorf("got %v, want an ErrUnavailable error", err)
				}
				y.says(err, "h.example.com lists names of h.example.com/app for which it answers 404", "h.example.com/app:1", "nothing was removed")
				y.leaves(before)
			})
		})
	}
}

// A tag that answers 404 and that a second listing lacks has been removed by others; one that was late is read.
func TestListedNameIsGoneOrLate(t *testing.T) {
	unknown := manifest.Errorf(errdefs.ErrNotFound, "registry: unknown")
	late := func(y *garden, name string, _ digest.Digest) { delete(y.Registry.Errs, name) }
	for name, tt := range map[string]struct {
		listing bool
		second  func(y *garden, name string, index digest.Digest) // before the second listing
		left    string
	}{
		"a tag that is gone": {false, func(y *garden, name string, _ digest.Digest) { delete(y.Registry.Manifests, name) }, "@@"},
		"a tag that is late": {false, late, "1 sig @@@@"},
		"a manifest that is gone": {true, func(y *garden, _ string, index digest.Digest) {
			maps.DeleteFunc(y.Registry.Manifests, func(_ string, raw []byte) bool { return digest.FromBytes(raw) == index })
		}, "@"},
		"a manifest that is late": {true, late, "1 sig @@@@"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			index, absent := y.digest("1"), tidied+":1"
			y.Registry.HasListing = tt.listing
			if tt.listing {
				absent = manifest.AtDigest(fakes.Named(t, tidied), index).String()
			}
			y.Registry.Errs[absent] = unknown
			listings := 0
			y.Registry.Listing = func() {
				if listings++; listings == 2 {
					tt.second(y, absent, index)
				}
			}
			if err := y.purge(Selection{Filters: fakes.Patterns(t, "amd64", "2"), All: true, Recursive: true}); err != nil {
				t.Fatal(err)
			}
			y.leaves(tt.left)
			if listings != 3 {
				t.Errorf("got %d listings, want 2 before the plan and 1 before the removal", listings)
			}
		})
	}
}

// Without --recursive rm removes only what was named: a name that answers 404 is a warning.
func TestRemoveWarnsOfListedNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newGarden(t)
		y.Registry.Errs[tidied+":1"] = manifest.Errorf(errdefs.ErrNotFound, "registry: unknown")
		if err := y.remove(false, agree, tidied+":2"); err != nil {
			t.Fatal(err)
		}
		y.leaves("1 amd64 sig @@@@")
		if len(y.Notes.Warnings) == 0 || !strings.Contains(y.Notes.Warnings[0], "answers 404") {
			t.Errorf("got warnings %q, want one of app:1", y.Notes.Warnings)
		}
	})
}

// At most ten names are listed.
func TestListedNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newGarden(t)
		for i := range 12 {
			tag := fmt.Sprintf("t%02d", i)
			y.retag("2", tag)
			y.Registry.Errs[tidied+":"+tag] = manifest.Errorf(errdefs.ErrNotFound, "registry: unknown")
		}
		_, err := PlanPurge(t.Context(), y.Access(), fakes.Named(t, tidied), Selection{Filters: fakes.Patterns(t, "1")})
		y.says(err, "app:t09 and 2 more")
	})
}

// A registry that listed its manifests and does not any more is not taken for one that lists tags alone.
func TestPurgeRepositoryLosesTheListing(t *testing.T) {
	y := newGarden(t)
	y.Registry.HasListing = true
	before := y.left()
	p := y.plan(Selection{Filters: fakes.Patterns(t, "1", "2")})
	y.Registry.HasListing = false
	y.says(p.CarryOut(t.Context(), nil, y.removed), "lists tags alone", "nothing was removed")
	y.leaves(before)
}

// A registry that cannot do what is planned, or whose contents cannot be read, is left as it is.
func TestPurgeRepositoryRefusedBeforehand(t *testing.T) {
	broken := manifest.Errorf(errdefs.ErrUnavailable, "broken")
	for name, tt := range map[string]struct {
		change    func(y *garden)
		selection Selection
		kind      error
		says      string
	}{
		"no repository": {func(y *garden) { clear(y.Registry.Manifests) }, Selection{All: true}, errdefs.ErrNotFound, "no such repository: h.example.com/app; 'docker multiarch repo ls h.example.com'"},
		"no list of tags": {func(y *garden) {
			y.Registry.Errs["tags "+tidied] = manifest.Errorf(errdefs.ErrPermissionDenied, "denied")
		},
			Selection{All: true}, errdefs.ErrPermissionDenied, "denied; nothing was removed from h.example.com/app"},
		"an unreadable root": {func(y *garden) { y.Registry.Errs[tidied+":2"] = broken }, Selection{Filters: fakes.Patterns(t, "1")}, errdefs.ErrUnavailable, "reading h.example.com/app:2: broken"},
		"an unreadable child": {func(y *garden) {
			index, err := y.Registry.Fetch(y.Context(), fakes.Named(y.T, tidied+":1"))
			if err != nil {
				y.Fatal(err)
			}
			children, _, err := manifest.ParseIndex(index.Raw)
			if err != nil {
				y.Fatal(err)
			}
			y.Registry.Errs[manifest.AtDigest(fakes.Named(y.T, tidied), children[1].Digest).String()] = broken
		}, Selection{Filters: fakes.Patterns(t, "2")}, errdefs.ErrUnavailable, "broken"},
		"junk": {func(y *garden) { y.Registry.Manifests[tidied+":2"] = []byte("{") }, Selection{Filters: fakes.Patterns(t, "1")}, errdefs.ErrInvalidArgument, "not valid JSON"},
		"no deletion": {func(y *garden) {
			y.Registry.Errs["deletes "+tidied] = manifest.Errorf(errdefs.ErrNotImplemented, "405")
		}, Selection{Filters: fakes.Patterns(t, "2")}, errdefs.ErrNotImplemented, "DELETE_ENABLED"},
		"no permission": {func(y *garden) {
			y.Registry.Errs["deletes "+tidied] = manifest.Errorf(errdefs.ErrPermissionDenied, "403")
		}, Selection{Filters: fakes.Patterns(t, "2")}, errdefs.ErrPermissionDenied, "403"},
		"no untagging": {func(y *garden) { y.Registry.NoUntag = true }, Selection{Filters: fakes.Patterns(t, "amd64", "2")}, errdefs.ErrNotImplemented, "--via-placeholder"},
		"no listing":   {func(*garden) {}, Selection{Untagged: true}, errdefs.ErrNotImplemented, "lists tags alone"},
		"every tag":    {func(*garden) {}, Selection{Filters: fakes.Patterns(t, "*")}, errdefs.ErrInvalidArgument, "--all"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			tt.change(y)
			before := y.left()
			p, err := PlanPurge(t.Context(), y.Access(), fakes.Named(t, tidied), tt.selection)
			if err == nil {
				err = p.CarryOut(t.Context(), &y.record, y.removed)
			}
			if !errors.Is(err, tt.kind) {
				t.Errorf("got %v", err)
			}
			y.says(err, tt.says, "nothing was removed")
			y.leaves(before)
			if y.record.Len() > 0 {
				t.Errorf("recorded %s", &y.record)
			}
		})
	}
}

// A refusal is an error and keeps what the refused manifest needs; the rest goes on. What is gone already
// is no error, unless it is there nevertheless.
func TestPurgeRepositoryRefusedOnTheWay(t *testing.T) {
	y := newGarden(t)
	index := manifest.AtDigest(fakes.Named(t, tidied), y.digest("1"))
	y.Registry.Errs["delete "+index.String()] = manifest.Errorf(errdefs.ErrConflict, "locked")
	err := y.purge(Selection{Filters: fakes.Patterns(t, "1", "2"), Recursive: true})
	y.says(err, "removing h.example.com/app:1: locked", "stays, since what needs it could not be deleted")
	y.leaves("1 amd64 sig @@@@")

	y = newGarden(t)
	y.Registry.Deaf = true
	y.says(y.purge(Selection{Filters: fakes.Patterns(t, "2")}), "has h.example.com/app@sha256:", "does not remove it")

	y = newGarden(t)
	y.Registry.Errs["delete "+manifest.AtDigest(fakes.Named(t, tidied), y.digest("2")).String()] = manifest.Errorf(errdefs.ErrNotFound, "gone")
	p := y.plan(Selection{Filters: fakes.Patterns(t, "2")})
	y.Registry.Errs["deletes "+tidied] = nil
	y.says(p.CarryOut(t.Context(), nil, y.removed), "does not remove it")

	y = newGarden(t)
	y.record.full = true
	y.says(y.purge(Selection{Filters: fakes.Patterns(t, "2")}), "no space left")
	y.leaves("1 2 amd64 sig @@@@@")
}

// Where a tagged manifest cannot be deleted its tags go first; if it is refused then, too, they are back.
func TestPurgeRepositoryTagsFirst(t *testing.T) {
	y := newGarden(t)
	y.retag("2", "3")
	y.Registry.TagsFirst = true
	if err := y.purge(Selection{Filters: fakes.Patterns(t, "2", "3")}); err != nil {
		t.Error(err)
	}
	y.leaves("1 amd64 sig @@@@")

	y = newGarden(t)
	y.retag("2", "3")
	y.Registry.Errs["delete "+manifest.AtDigest(fakes.Named(t, tidied), y.digest("2")).String()] = manifest.Errorf(errdefs.ErrInvalidArgument, "400")
	y.says(y.purge(Selection{Filters: fakes.Patterns(t, "2", "3")}), "400")
	y.leaves("1 2 3 amd64 sig @@@@@")
}

func (y *garden) digest(tag string) digest.Digest {
	got, err := y.Registry.Digest(y.Context(), fakes.Named(y.T, tidied+":"+tag))
	if err != nil {
		y.Fatal(err)
	}
	return got
}

// What was refused before an interruption is told.
func TestPurgeRepositoryInterrupted(t *testing.T) {
	y := newGarden(t)
	y.retag("2", "3")
	ctx, cancel := context.WithCancel(t.Context())
	p := y.plan(Selection{Filters: fakes.Patterns(t, "1", "3"), Recursive: true})
	y.Registry.Deleted = cancel
	y.Registry.Errs["untag "+tidied+":3"] = manifest.Errorf(errdefs.ErrPermissionDenied, "locked")
	if err := p.CarryOut(ctx, &y.record, y.removed); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if said := strings.Join(y.Notes.Warnings, "\n"); said != "removing "+tidied+":3: locked" {
		t.Errorf("said %s", said)
	}
	y.leaves("2 3 amd64 sig @@@@") // the index; not its images
}

// What refers to something that goes goes with it, as the referrers API tells.
func TestPurgeRepositoryAsksForReferrers(t *testing.T) {
	for _, recursive := range []bool{false, true} {
		y := newGarden(t)
		d := y.digest("2")
		y.Registry.Store(manifest.AtDigest(fakes.Named(t, tidied), d), ocispec.MediaTypeImageManifest, y.Registry.Manifests[tidied+":2"])
		raw := []byte(`{"mediaType":"` + ocispec.MediaTypeImageManifest + `","config":{"digest":"` + d.String() + `"},"layers":[],"subject":{"digest":"` + d.String() + `"}}`)
		y.Registry.Store(manifest.AtDigest(fakes.Named(t, tidied), digest.FromBytes(raw)), ocispec.MediaTypeImageManifest, raw)
		if err := y.purge(Selection{Filters: fakes.Patterns(t, "2"), Recursive: recursive}); err != nil {
			t.Fatal(err)
		}
		y.leaves(map[bool]string{false: "1 amd64 sig @@@@@", true: "1 amd64 sig @@@@"}[recursive])
	}
}

// A registry that deletes a manifest with its tag gets it back, with the tags that stay.
func TestUntagPutsBack(t *testing.T) {
	for name, run := range map[string]func(y *garden) error{
		"purge": func(y *garden) error { return y.purge(Selection{Filters: fakes.Patterns(t, "amd64", "go")}) },
		"untag": func(y *garden) error { return y.untag(false, "amd64", "go") },
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.retag("amd64", "stay")
			y.retag("amd64", "go")
			y.Registry.Greedy = true
			if err := run(y); err != nil {
				t.Fatal(err)
			}
			y.leaves("1 2 sig stay @@@@@")
			if len(y.Notes.Warnings) == 0 || !strings.Contains(y.Notes.Warnings[0], "it was put back") {
				t.Errorf("said %v", y.Notes.Warnings)
			}
		})
	}
}

// A tag that moves at the last moment stays where it is, and is not said to be gone.
func TestUntagLeavesWhatMoves(t *testing.T) {
	for name, tt := range map[string]struct {
		of   string // what the tags name
		run  func(y *garden) error
		left string
	}{
		"purge":      {"amd64", func(y *garden) error { return y.purge(Selection{Filters: fakes.Patterns(t, "go*")}) }, "1 2 amd64 go2 sig @@@@@"},
		"untag":      {"amd64", func(y *garden) error { return y.untag(false, "go1", "go2") }, "1 2 amd64 go2 sig @@@@@"},
		"tags first": {"2", func(y *garden) error { return y.remove(false, agree, tidied+":go1") }, "1 amd64 go2 sig @@@@"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.retag(tt.of, "go1")
			y.retag(tt.of, "go2")
			y.Registry.TagsFirst = true
			y.Registry.Deleted = func() { y.retag("1", "go2") }
			if err := tt.run(y); err != nil {
				t.Fatal(err)
			}
			y.leaves(tt.left)
			if said := strings.Join(y.Notes.Warnings, "\n"); y.digest("go2") != y.digest("1") || slices.Contains(y.gone, "go2") || !strings.Contains(said, "app:go2 points at") {
				t.Errorf("go2 is %s, told %v, said %s", y.digest("go2"), y.gone, said)
			}
		})
	}
}

// When a manifest that a tag took along cannot be put back, no other tag goes.
func TestUntagCannotPutBack(t *testing.T) {
	for name, run := range map[string]func(y *garden) error{
		"purge": func(y *garden) error { return y.purge(Selection{Filters: fakes.Patterns(t, "amd64", "3", "4", "5")}) },
		"untag": func(y *garden) error { return y.untag(false, "amd64", "3", "4", "5") },
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			for _, tag := range []string{"3", "4", "5"} {
				y.retag("2", tag)
			}
			y.Registry.Greedy = true
			for _, tag := range []string{"2", "amd64"} {
				y.Registry.Errs["put "+manifest.AtDigest(fakes.Named(t, tidied), y.digest(tag)).String()] = manifest.Errorf(errdefs.ErrPermissionDenied, "no pushes")
			}
			y.says(run(y), "together with its tag, and it could not be put back: no pushes")
			if n := strings.Count(strings.Join(y.Registry.Log, "\n"), "untag "); n != 1 || len(y.gone) > 0 {
				t.Errorf("%d tags were removed, told %v", n, y.gone)
			}
		})
	}
}

// An interruption comes too late for a tag that is being removed: what it takes along is back.
func TestUntagInterrupted(t *testing.T) {
	for name, run := range map[string]func(ctx context.Context, y *garden) error{
		"purge": func(ctx context.Context, y *garden) error {
			return y.plan(Selection{Filters: fakes.Patterns(t, "go", "more")}).CarryOut(ctx, nil, y.removed)
		},
		"untag": func(ctx context.Context, y *garden) error {
			return Untag(ctx, y.Access(), []reference.NamedTagged{fakes.ListName(t, tidied+":go"), fakes.ListName(t, tidied+":more")}, false, y.removed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.retag("amd64", "go")
			y.retag("2", "more")
			y.Registry.Greedy = true
			ctx, cancel := context.WithCancel(t.Context())
			y.Registry.Deleted = cancel
			if err := run(ctx, y); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			y.leaves("1 2 amd64 more sig @@@@@")
		})
	}
}

func (y *garden) untag(viaPlaceholder bool, tags ...string) error {
	y.Helper()
	var names []reference.NamedTagged
	for _, tag := range tags {
		names = append(names, fakes.ListName(y.T, tidied+":"+tag))
	}
	return Untag(y.Context(), y.Access(), names, viaPlaceholder, y.removed)
}

func TestUntag(t *testing.T) {
	y := newGarden(t)
	y.says(y.untag(false, "none", "2", "amd64", "2"), "app:none unknown")
	y.leaves("1 sig @@@@@")
	if strings.Join(y.gone, " ") != "2 amd64" {
		t.Errorf("told %v", y.gone)
	}

	y = newGarden(t)
	clear(y.Registry.Manifests)
	y.says(y.untag(false, "1"), "no such repository: h.example.com/app; 'docker multiarch repo ls h.example.com'")

	y = newGarden(t)
	y.Registry.Errs[tidied+":2"] = manifest.Errorf(errdefs.ErrPermissionDenied, "denied")
	y.says(y.untag(false, "1", "2"), "denied", "nothing was removed")
	y.leaves("1 2 amd64 sig @@@@@")

	y = newGarden(t)
	y.Registry.NoUntag = true
	y.says(y.untag(false, "1", "2"), "does not remove a tag without its manifest", "--via-placeholder", "nothing was removed")
	y.leaves("1 2 amd64 sig @@@@@")
}

func TestUntagViaPlaceholder(t *testing.T) {
	y := newGarden(t)
	y.Registry.NoUntag = true
	if err := y.untag(true, "1", "amd64"); err != nil {
		t.Fatal(err)
	}
	y.leaves("2 sig @@@@@")

	y = newGarden(t)
	if err := y.untag(true, "1"); err != nil || slices.ContainsFunc(y.Registry.Log, func(s string) bool { return strings.HasPrefix(s, "put") }) {
		t.Errorf("%v, %v", err, y.Registry.Log)
	}

	y = newGarden(t)
	y.Registry.NoUntag = true
	y.Registry.Errs["deletes "+tidied] = manifest.Errorf(errdefs.ErrNotImplemented, "405")
	y.says(y.untag(true, "1"), "does not delete manifests", "nothing was removed")
	y.leaves("1 2 amd64 sig @@@@@")

	y = newGarden(t)
	y.Registry.NoUntag, y.Registry.Deaf = true, true
	was := y.digest("1")
	y.says(y.untag(true, "1"), "removing the tag h.example.com/app:1")
	if now := y.digest("1"); now != was || len(y.gone) > 0 {
		t.Errorf("the tag names %s, not %s", now, was)
	}
}

// A registry may say only of a tag that is there that it does not remove it.
func TestUntagIsRefusedLate(t *testing.T) {
	for name, tt := range map[string]struct {
		refusal, deletes error
		viaPlaceholder   bool
		left             string
		says             []string
	}{
		"to be displaced": {manifest.Errorf(errdefs.ErrNotFound, "404"), nil, true, "2 sig @@@@@", nil},
		"refused":         {manifest.Errorf(errdefs.ErrNotImplemented, "405"), nil, true, "2 sig @@@@@", nil},
		"denied":          {manifest.Errorf(errdefs.ErrPermissionDenied, "403"), nil, true, "1 2 sig @@@@@", []string{"403"}},
		"not permitted":   {manifest.Errorf(errdefs.ErrNotFound, "404"), nil, false, "1 2 sig @@@@@", []string{"does not remove it", "--via-placeholder"}},
		"no deletion":     {manifest.Errorf(errdefs.ErrNotFound, "404"), manifest.Errorf(errdefs.ErrNotImplemented, "405"), true, "1 2 sig @@@@@", []string{"does not delete manifests"}},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.Registry.Errs["untag "+tidied+":1"], y.Registry.Errs["deletes "+tidied] = tt.refusal, tt.deletes
			err := y.untag(tt.viaPlaceholder, "1", "amd64")
			if (err != nil) != (tt.says != nil) {
				t.Error(err)
			}
			y.says(err, tt.says...)
			y.leaves(tt.left)
		})
	}
}

func (y *garden) remove(recursive bool, confirm Confirm, names ...string) error {
	y.Helper()
	var refs []reference.Named
	for _, name := range names {
		refs = append(refs, fakes.Named(y.T, name))
	}
	return Remove(y.Context(), y.Access(), refs, recursive, confirm, y.removed)
}

func agree([]Row) (bool, error) { return true, nil }

func TestRemove(t *testing.T) {
	sig := func(y *garden) string { return tidied + ":" + manifest.ReferrersTag(y.digest("amd64")) + ".sig" }
	for name, tt := range map[string]struct {
		recursive bool
		names     func(y *garden) []string
		left      string
		says      []string
	}{
		"a tag":    {false, func(*garden) []string { return []string{tidied + ":2"} }, "1 amd64 sig @@@@", nil},
		"a digest": {false, func(y *garden) []string { return []string{tidied + "@" + y.digest("2").String()} }, "1 amd64 sig @@@@", nil},
		"twice": {false, func(y *garden) []string {
			return []string{tidied + ":2", tidied + ":2", tidied + "@" + y.digest("2").String()}
		}, "1 amd64 sig @@@@", nil},
		"an index":         {false, func(*garden) []string { return []string{tidied + ":1"} }, "2 amd64 sig @@@@", nil},
		"in depth":         {true, func(*garden) []string { return []string{tidied + ":1"} }, "2 amd64 sig @@@", nil},
		"all in depth":     {true, func(*garden) []string { return []string{tidied + ":1", tidied + ":amd64"} }, "2 @", nil},
		"part of an index": {false, func(*garden) []string { return []string{tidied + ":amd64", tidied + ":2"} }, "1 sig amd64 @@@@", []string{"app:1 needs it", "repo untag"}},
		"a signature":      {false, func(y *garden) []string { return []string{sig(y)} }, "1 2 amd64 @@@@", nil},
		"absent":           {false, func(*garden) []string { return []string{tidied + ":none", tidied + ":2"} }, "1 amd64 sig @@@@", []string{"app:none unknown"}},
		"nothing":          {false, func(*garden) []string { return []string{tidied + ":none"} }, "1 2 amd64 sig @@@@@", []string{"app:none unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			err := y.remove(tt.recursive, agree, tt.names(y)...)
			if (err != nil) != (tt.says != nil) {
				t.Error(err)
			}
			y.says(err, tt.says...)
			if want := strings.Fields(tt.left); strings.Join(slices.Sorted(slices.Values(strings.Fields(y.left()))), " ") != strings.Join(slices.Sorted(slices.Values(want)), " ") {
				t.Errorf("left: %s", y.left())
			}
		})
	}
}

// What cannot be read can be removed by name, and hinders nothing then.
func TestRemoveJunk(t *testing.T) {
	y := newGarden(t)
	y.Registry.Store(fakes.Named(t, tidied+":junk"), ocispec.MediaTypeImageManifest, []byte("{"))
	y.says(y.remove(true, agree, tidied+":2"), "not valid JSON", "nothing was removed")
	if err := y.remove(true, agree, tidied+":junk", tidied+":2"); err != nil {
		t.Fatal(err)
	}
	y.leaves("1 amd64 sig @@@@")
}

// All that goes is shown before anything does, and a tag that comes meanwhile keeps its manifest.
func TestRemoveIsConfirmed(t *testing.T) {
	y := newGarden(t)
	y.retag("2", "3")
	y.Registry.Image(t, "h.example.com/other:1", ocispec.MediaTypeImageManifest, "linux/s390x")
	var shown []Row
	no := func(rows []Row) (bool, error) { shown = rows; return false, nil }
	if err := y.remove(false, no, tidied+":2", "h.example.com/other:1"); err != nil || len(y.gone) > 0 {
		t.Errorf("%v, %v", err, y.gone)
	}
	if len(shown) != 2 || strings.Join(shown[0].Tags, " ") != "2 3" || shown[1].Repo.Name() != "h.example.com/other" {
		t.Errorf("shown %v", shown)
	}
	late := func([]Row) (bool, error) { y.retag("2", "late"); return true, nil }
	y.says(y.remove(false, late, tidied+":2", "h.example.com/other:1"), "app:late points at it")
	if left := slices.Sorted(maps.Keys(y.Registry.Manifests)); strings.Contains(strings.Join(left, " "), "other") || !slices.Contains(left, tidied+":2") {
		t.Errorf("left: %v", left)
	}
}
