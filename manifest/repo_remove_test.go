package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const tidied = "h.example.com/app"

// garden is a repository that things are removed from.
type garden struct {
	world
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
	y := &garden{world: newWorld(), T: t}
	a := y.registry.image(t, tidied+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	b := y.registry.image(t, tidied+":arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	delete(y.registry.manifests, tidied+":arm64")
	y.registry.index(t, tidied+":1", ocispec.MediaTypeImageIndex, a, b)
	y.registry.image(t, tidied+":"+ReferrersTag(a.Digest)+".sig", ocispec.MediaTypeImageManifest, "linux/386")
	y.registry.image(t, tidied+":2", ocispec.MediaTypeImageManifest, "linux/riscv64")
	return y
}

// retag gives what one tag names another name.
func (y *garden) retag(from, to string) {
	y.registry.manifests[tidied+":"+to] = y.registry.manifests[tidied+":"+from]
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
	for ref := range y.registry.manifests {
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
	p, err := PlanPurge(y.Context(), y.access(), named(y.T, tidied), s)
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
		"one":               {Selection{Filters: patterns(t, "2")}, false, "1 amd64 sig @@@@"},
		"a child's tag":     {Selection{Filters: patterns(t, "amd64")}, false, "1 2 sig @@@@@"},
		"an index":          {Selection{Filters: patterns(t, "1")}, false, "2 amd64 sig @@@@"},
		"its images, too":   {Selection{Filters: patterns(t, "1"), Recursive: true}, false, "2 amd64 sig @@@"},
		"listed":            {Selection{Filters: patterns(t, "1")}, true, "2 amd64 sig @@@"},
		"with its child":    {Selection{Filters: patterns(t, "1", "amd64")}, false, "2 sig @@@"},
		"all":               {Selection{All: true}, false, "@"},
		"all in depth":      {Selection{All: true, Recursive: true}, false, ""},
		"nothing":           {Selection{Filters: patterns(t, "3")}, false, "1 2 amd64 sig @@@@@"},
		"nothing of age":    {Selection{All: true, Before: time.Now()}, false, "1 2 amd64 sig @@@@@"},
		"nothing untagged":  {Selection{Untagged: true}, true, "1 2 amd64 sig @@@@@"},
		"all of the listed": {Selection{All: true, Untagged: true}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.registry.lists = tt.listed
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
			if err := Restore(t.Context(), y.access(), recorded, func(reference.Named) {}); err != nil {
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
	p := y.plan(Selection{Filters: patterns(t, "1", "2", "4"), Recursive: true})
	y.retag("1", "new")
	y.retag("amd64", "4")
	delete(y.registry.manifests, tidied+":2")
	y.registry.log = nil
	if err := p.CarryOut(t.Context(), nil, y.removed); err != nil {
		t.Fatal(err)
	}
	y.leaves("3 4 amd64 new sig @@@@@")
	if said := strings.Join(y.notes.warnings, "\n"); !strings.Contains(said, "app:new is new: it stays") || !strings.Contains(said, "app:4 points at") {
		t.Errorf("said %s", said)
	}
	looked := "fetch h.example.com/app@" + y.digest("new").String() // whether it outlived its tag
	for _, line := range y.registry.log {
		if strings.HasPrefix(line, "fetch h.example.com/app@") && line != looked {
			t.Errorf("read again: %s", line)
		}
	}
}

// A tag that stays and is not there at the second look protects what it named, all the same.
func TestPurgeRepositoryLosesATag(t *testing.T) {
	y := newGarden(t)
	p := y.plan(Selection{Filters: patterns(t, "amd64", "2")})
	y.registry.errs[tidied+":1"] = Errorf(errdefs.ErrNotFound, "unknown")
	if err := p.CarryOut(t.Context(), nil, y.removed); err != nil {
		t.Fatal(err)
	}
	y.leaves("1 sig @@@@")
	if said := strings.Join(y.notes.warnings, "\n"); !strings.Contains(said, "app:1 is gone: what it named stays") {
		t.Errorf("said %s", said)
	}
}

// A registry that listed its manifests and does not any more is not taken for one that lists tags alone.
func TestPurgeRepositoryLosesTheListing(t *testing.T) {
	y := newGarden(t)
	y.registry.lists = true
	before := y.left()
	p := y.plan(Selection{Filters: patterns(t, "1", "2")})
	y.registry.lists = false
	y.says(p.CarryOut(t.Context(), nil, y.removed), "lists tags alone", "nothing was removed")
	y.leaves(before)
}

// A registry that cannot do what is planned, or whose contents cannot be read, is left as it is.
func TestPurgeRepositoryRefusedBeforehand(t *testing.T) {
	broken := Errorf(errdefs.ErrUnavailable, "broken")
	for name, tt := range map[string]struct {
		change    func(y *garden)
		selection Selection
		kind      error
		says      string
	}{
		"no repository": {func(y *garden) { clear(y.registry.manifests) }, Selection{All: true}, errdefs.ErrNotFound, "no such repository: h.example.com/app; 'docker multiarch repo ls h.example.com'"},
		"no list of tags": {func(y *garden) { y.registry.errs["tags "+tidied] = Errorf(errdefs.ErrPermissionDenied, "denied") },
			Selection{All: true}, errdefs.ErrPermissionDenied, "denied; nothing was removed from h.example.com/app"},
		"an unreadable root": {func(y *garden) { y.registry.errs[tidied+":2"] = broken }, Selection{Filters: patterns(t, "1")}, errdefs.ErrUnavailable, "reading h.example.com/app:2: broken"},
		"an unreadable child": {func(y *garden) {
			_, raw, err := y.registry.Fetch(y.Context(), named(y.T, tidied+":1"))
			if err != nil {
				y.Fatal(err)
			}
			children, _, err := ParseIndex(raw)
			if err != nil {
				y.Fatal(err)
			}
			y.registry.errs[atDigest(named(y.T, tidied), children[1].Digest).String()] = broken
		}, Selection{Filters: patterns(t, "2")}, errdefs.ErrUnavailable, "broken"},
		"junk":          {func(y *garden) { y.registry.manifests[tidied+":2"] = []byte("{") }, Selection{Filters: patterns(t, "1")}, errdefs.ErrInvalidArgument, "not valid JSON"},
		"no deletion":   {func(y *garden) { y.registry.errs["deletes "+tidied] = Errorf(errdefs.ErrNotImplemented, "405") }, Selection{Filters: patterns(t, "2")}, errdefs.ErrNotImplemented, "DELETE_ENABLED"},
		"no permission": {func(y *garden) { y.registry.errs["deletes "+tidied] = Errorf(errdefs.ErrPermissionDenied, "403") }, Selection{Filters: patterns(t, "2")}, errdefs.ErrPermissionDenied, "403"},
		"no untagging":  {func(y *garden) { y.registry.noUntag = true }, Selection{Filters: patterns(t, "amd64", "2")}, errdefs.ErrNotImplemented, "--via-placeholder"},
		"no listing":    {func(*garden) {}, Selection{Untagged: true}, errdefs.ErrNotImplemented, "lists tags alone"},
		"every tag":     {func(*garden) {}, Selection{Filters: patterns(t, "*")}, errdefs.ErrInvalidArgument, "--all"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			tt.change(y)
			before := y.left()
			p, err := PlanPurge(t.Context(), y.access(), named(t, tidied), tt.selection)
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
	index := atDigest(named(t, tidied), y.digest("1"))
	y.registry.errs["delete "+index.String()] = Errorf(errdefs.ErrConflict, "locked")
	err := y.purge(Selection{Filters: patterns(t, "1", "2"), Recursive: true})
	y.says(err, "removing h.example.com/app:1: locked", "stays, since what needs it could not be deleted")
	y.leaves("1 amd64 sig @@@@")

	y = newGarden(t)
	y.registry.deaf = true
	y.says(y.purge(Selection{Filters: patterns(t, "2")}), "has h.example.com/app@sha256:", "does not remove it")

	y = newGarden(t)
	y.registry.errs["delete "+atDigest(named(t, tidied), y.digest("2")).String()] = Errorf(errdefs.ErrNotFound, "gone")
	p := y.plan(Selection{Filters: patterns(t, "2")})
	y.registry.errs["deletes "+tidied] = nil
	y.says(p.CarryOut(t.Context(), nil, y.removed), "does not remove it")

	y = newGarden(t)
	y.record.full = true
	y.says(y.purge(Selection{Filters: patterns(t, "2")}), "no space left")
	y.leaves("1 2 amd64 sig @@@@@")
}

// Where a tagged manifest cannot be deleted its tags go first; if it is refused then, too, they are back.
func TestPurgeRepositoryTagsFirst(t *testing.T) {
	y := newGarden(t)
	y.retag("2", "3")
	y.registry.tagsFirst = true
	if err := y.purge(Selection{Filters: patterns(t, "2", "3")}); err != nil {
		t.Error(err)
	}
	y.leaves("1 amd64 sig @@@@")

	y = newGarden(t)
	y.retag("2", "3")
	y.registry.errs["delete "+atDigest(named(t, tidied), y.digest("2")).String()] = Errorf(errdefs.ErrInvalidArgument, "400")
	y.says(y.purge(Selection{Filters: patterns(t, "2", "3")}), "400")
	y.leaves("1 2 3 amd64 sig @@@@@")
}

func (y *garden) digest(tag string) digest.Digest {
	got, err := y.registry.Digest(y.Context(), named(y.T, tidied+":"+tag))
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
	p := y.plan(Selection{Filters: patterns(t, "1", "3"), Recursive: true})
	y.registry.deleted = cancel
	y.registry.errs["untag "+tidied+":3"] = Errorf(errdefs.ErrPermissionDenied, "locked")
	if err := p.CarryOut(ctx, &y.record, y.removed); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if said := strings.Join(y.notes.warnings, "\n"); said != "removing "+tidied+":3: locked" {
		t.Errorf("said %s", said)
	}
	y.leaves("2 3 amd64 sig @@@@") // the index; not its images
}

// What refers to something that goes goes with it, as the referrers API tells.
func TestPurgeRepositoryAsksForReferrers(t *testing.T) {
	for _, recursive := range []bool{false, true} {
		y := newGarden(t)
		d := y.digest("2")
		y.registry.put(atDigest(named(t, tidied), d), ocispec.MediaTypeImageManifest, y.registry.manifests[tidied+":2"])
		raw := []byte(`{"mediaType":"` + ocispec.MediaTypeImageManifest + `","config":{"digest":"` + d.String() + `"},"layers":[],"subject":{"digest":"` + d.String() + `"}}`)
		y.registry.put(atDigest(named(t, tidied), digest.FromBytes(raw)), ocispec.MediaTypeImageManifest, raw)
		if err := y.purge(Selection{Filters: patterns(t, "2"), Recursive: recursive}); err != nil {
			t.Fatal(err)
		}
		y.leaves(map[bool]string{false: "1 amd64 sig @@@@@", true: "1 amd64 sig @@@@"}[recursive])
	}
}

// A registry that deletes a manifest with its tag gets it back, with the tags that stay.
func TestUntagPutsBack(t *testing.T) {
	for name, run := range map[string]func(y *garden) error{
		"purge": func(y *garden) error { return y.purge(Selection{Filters: patterns(t, "amd64", "go")}) },
		"untag": func(y *garden) error { return y.untag(false, "amd64", "go") },
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.retag("amd64", "stay")
			y.retag("amd64", "go")
			y.registry.greedy = true
			if err := run(y); err != nil {
				t.Fatal(err)
			}
			y.leaves("1 2 sig stay @@@@@")
			if len(y.notes.warnings) == 0 || !strings.Contains(y.notes.warnings[0], "it was put back") {
				t.Errorf("said %v", y.notes.warnings)
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
		"purge":      {"amd64", func(y *garden) error { return y.purge(Selection{Filters: patterns(t, "go*")}) }, "1 2 amd64 go2 sig @@@@@"},
		"untag":      {"amd64", func(y *garden) error { return y.untag(false, "go1", "go2") }, "1 2 amd64 go2 sig @@@@@"},
		"tags first": {"2", func(y *garden) error { return y.remove(false, agree, tidied+":go1") }, "1 amd64 go2 sig @@@@"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.retag(tt.of, "go1")
			y.retag(tt.of, "go2")
			y.registry.tagsFirst = true
			y.registry.deleted = func() { y.retag("1", "go2") }
			if err := tt.run(y); err != nil {
				t.Fatal(err)
			}
			y.leaves(tt.left)
			if said := strings.Join(y.notes.warnings, "\n"); y.digest("go2") != y.digest("1") || slices.Contains(y.gone, "go2") || !strings.Contains(said, "app:go2 points at") {
				t.Errorf("go2 is %s, told %v, said %s", y.digest("go2"), y.gone, said)
			}
		})
	}
}

// When a manifest that a tag took along cannot be put back, no other tag goes.
func TestUntagCannotPutBack(t *testing.T) {
	for name, run := range map[string]func(y *garden) error{
		"purge": func(y *garden) error { return y.purge(Selection{Filters: patterns(t, "amd64", "3", "4", "5")}) },
		"untag": func(y *garden) error { return y.untag(false, "amd64", "3", "4", "5") },
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			for _, tag := range []string{"3", "4", "5"} {
				y.retag("2", tag)
			}
			y.registry.greedy = true
			for _, tag := range []string{"2", "amd64"} {
				y.registry.errs["put "+atDigest(named(t, tidied), y.digest(tag)).String()] = Errorf(errdefs.ErrPermissionDenied, "no pushes")
			}
			y.says(run(y), "together with its tag, and it could not be put back: no pushes")
			if n := strings.Count(strings.Join(y.registry.log, "\n"), "untag "); n != 1 || len(y.gone) > 0 {
				t.Errorf("%d tags were removed, told %v", n, y.gone)
			}
		})
	}
}

// An interruption comes too late for a tag that is being removed: what it takes along is back.
func TestUntagInterrupted(t *testing.T) {
	for name, run := range map[string]func(ctx context.Context, y *garden) error{
		"purge": func(ctx context.Context, y *garden) error {
			return y.plan(Selection{Filters: patterns(t, "go", "more")}).CarryOut(ctx, nil, y.removed)
		},
		"untag": func(ctx context.Context, y *garden) error {
			return Untag(ctx, y.access(), []reference.NamedTagged{listName(t, tidied+":go"), listName(t, tidied+":more")}, false, y.removed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.retag("amd64", "go")
			y.retag("2", "more")
			y.registry.greedy = true
			ctx, cancel := context.WithCancel(t.Context())
			y.registry.deleted = cancel
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
		names = append(names, listName(y.T, tidied+":"+tag))
	}
	return Untag(y.Context(), y.access(), names, viaPlaceholder, y.removed)
}

func TestUntag(t *testing.T) {
	y := newGarden(t)
	y.says(y.untag(false, "none", "2", "amd64", "2"), "app:none unknown")
	y.leaves("1 sig @@@@@")
	if strings.Join(y.gone, " ") != "2 amd64" {
		t.Errorf("told %v", y.gone)
	}

	y = newGarden(t)
	clear(y.registry.manifests)
	y.says(y.untag(false, "1"), "no such repository: h.example.com/app; 'docker multiarch repo ls h.example.com'")

	y = newGarden(t)
	y.registry.errs[tidied+":2"] = Errorf(errdefs.ErrPermissionDenied, "denied")
	y.says(y.untag(false, "1", "2"), "denied", "nothing was removed")
	y.leaves("1 2 amd64 sig @@@@@")

	y = newGarden(t)
	y.registry.noUntag = true
	y.says(y.untag(false, "1", "2"), "does not remove a tag without its manifest", "--via-placeholder", "nothing was removed")
	y.leaves("1 2 amd64 sig @@@@@")
}

func TestUntagViaPlaceholder(t *testing.T) {
	y := newGarden(t)
	y.registry.noUntag = true
	if err := y.untag(true, "1", "amd64"); err != nil {
		t.Fatal(err)
	}
	y.leaves("2 sig @@@@@")

	y = newGarden(t)
	if err := y.untag(true, "1"); err != nil || slices.ContainsFunc(y.registry.log, func(s string) bool { return strings.HasPrefix(s, "put") }) {
		t.Errorf("%v, %v", err, y.registry.log)
	}

	y = newGarden(t)
	y.registry.noUntag = true
	y.registry.errs["deletes "+tidied] = Errorf(errdefs.ErrNotImplemented, "405")
	y.says(y.untag(true, "1"), "does not delete manifests", "nothing was removed")
	y.leaves("1 2 amd64 sig @@@@@")

	y = newGarden(t)
	y.registry.noUntag, y.registry.deaf = true, true
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
		"to be displaced": {Errorf(errdefs.ErrNotFound, "404"), nil, true, "2 sig @@@@@", nil},
		"refused":         {Errorf(errdefs.ErrNotImplemented, "405"), nil, true, "2 sig @@@@@", nil},
		"denied":          {Errorf(errdefs.ErrPermissionDenied, "403"), nil, true, "1 2 sig @@@@@", []string{"403"}},
		"not permitted":   {Errorf(errdefs.ErrNotFound, "404"), nil, false, "1 2 sig @@@@@", []string{"does not remove it", "--via-placeholder"}},
		"no deletion":     {Errorf(errdefs.ErrNotFound, "404"), Errorf(errdefs.ErrNotImplemented, "405"), true, "1 2 sig @@@@@", []string{"does not delete manifests"}},
	} {
		t.Run(name, func(t *testing.T) {
			y := newGarden(t)
			y.registry.errs["untag "+tidied+":1"], y.registry.errs["deletes "+tidied] = tt.refusal, tt.deletes
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
		refs = append(refs, named(y.T, name))
	}
	return Remove(y.Context(), y.access(), refs, recursive, confirm, y.removed)
}

func agree([]Row) (bool, error) { return true, nil }

func TestRemove(t *testing.T) {
	sig := func(y *garden) string { return tidied + ":" + ReferrersTag(y.digest("amd64")) + ".sig" }
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
	y.registry.put(named(t, tidied+":junk"), ocispec.MediaTypeImageManifest, []byte("{"))
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
	y.registry.image(t, "h.example.com/other:1", ocispec.MediaTypeImageManifest, "linux/s390x")
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
	if left := slices.Sorted(maps.Keys(y.registry.manifests)); strings.Contains(strings.Join(left, " "), "other") || !slices.Contains(left, tidied+":2") {
		t.Errorf("left: %v", left)
	}
}
