package repository

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// newListedRepo is a repository with every kind of manifest.
func newListedRepo(t *testing.T) (m *fakes.Registry, digests map[string]digest.Digest) {
	t.Helper()
	m, digests = fakes.NewRegistry(), map[string]digest.Digest{}
	m.HasListing = false
	const app = "h.example.com/app:"
	amd64 := m.Image(t, app+"amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	arm64 := m.Image(t, app+"none", ocispec.MediaTypeImageManifest, "linux/arm64/v8")
	attestation := m.Attestation(t, app+"none", amd64.Digest)
	delete(m.Manifests, app+"none")
	list := m.Index(t, app+"list", ocispec.MediaTypeImageIndex, amd64, arm64, attestation)
	old := m.Dated(t, app+"old", `"2020-02-03T04:05:06Z"`)
	young := m.Dated(t, app+"new", `"2024-02-03T04:05:06Z"`)
	m.Store(fakes.Named(t, app+"new2"), ocispec.MediaTypeImageManifest, m.Manifests["h.example.com/app@"+young.Digest.String()])
	signature := m.Artifact(t, app+manifest.ReferrersTag(old.Digest)+".sig", "")
	m.Image(t, app+"bad", ocispec.MediaTypeImageManifest, "linux/386", "bad")
	m.Errs[app+"bad"] = manifest.Errorf(errdefs.ErrInvalidArgument, "app:bad is of Docker's schema 1")
	m.Image(t, app+"gone", ocispec.MediaTypeImageManifest, "linux/386", "gone")
	m.Errs[app+"gone"] = manifest.Errorf(errdefs.ErrNotFound, "app:gone unknown")
	for name, d := range map[string]digest.Digest{"amd64": amd64.Digest, "arm64": arm64.Digest, "attestation": attestation.Digest,
		"list": list.Digest, "old": old.Digest, "new": young.Digest, "signature": signature} {
		digests[name] = d
	}
	m.Log = nil
	return m, digests
}

// line is a record in a few words: name, kind, platforms and error.
func line(name string, r Record) string {
	var platforms []string
	for _, p := range r.Platforms {
		platforms = append(platforms, p.Platform)
	}
	return strings.Join(strings.Fields(strings.Join([]string{name, r.Kind, strings.Join(platforms, ","), r.Error}, " ")), " ")
}

func tagLines(tags []TagRecord) (out []string) {
	for _, t := range tags {
		out = append(out, line(t.Tag, t.Record))
	}
	return out
}

func TestTags(t *testing.T) {
	_, digests := newListedRepo(t)
	sig := manifest.ReferrersTag(digests["old"]) + ".sig"
	all := []string{"amd64 image linux/amd64", "bad app:bad is of Docker's schema 1", "gone not in the registry", "list index linux/amd64,linux/arm64/v8",
		"new image linux/amd64", "new2 image linux/amd64", "old image linux/amd64", sig + " artifact"}
	for name, tt := range map[string]struct {
		query          Query
		want           []string
		fetches, blobs int
		bad            bool // the error reports the tag bad
	}{
		"all":               {Query{Detail: DetailPlatform}, all, 8, 3, true},
		"manifests":         {Query{Detail: DetailManifest, Filter: fakes.Pattern(t, "new*")}, []string{"new image", "new2 image"}, 2, 0, false},
		"names":             {Query{}, []string{"amd64", "bad", "gone", "list", "new", "new2", "old", sig + " artifact"}, 0, 0, false},
		"first names":       {Query{Top: 1, Detail: DetailPlatform}, all[:1], 1, 1, false},
		"last names":        {Query{Top: 2, Reverse: true}, []string{sig + " artifact", "old"}, 0, 0, false},
		"newest, last":      {Query{ByTime: true, Reverse: true, Top: 2, Filter: fakes.Pattern(t, "[no]*")}, []string{all[5], all[4]}, 3, 2, false},
		"absent is no flaw": {Query{Filter: fakes.Pattern(t, "g*"), Detail: DetailPlatform}, all[2:3], 1, 0, false},
		"digest":            {Query{Digest: digests["new"], Detail: DetailPlatform}, all[4:6], 8 + 1, 1, true},
		"digest of nothing": {Query{Digest: digests["arm64"], Filter: fakes.Pattern(t, "[ln]*")}, nil, 3, 0, false},
		"newest":            {Query{ByTime: true, Top: 2, Filter: fakes.Pattern(t, "[go]*"), Detail: DetailPlatform}, []string{all[6], all[2]}, 2, 1, false},
		"newest of all":     {Query{ByTime: true, Top: 3, Filter: fakes.Pattern(t, "[^a]*")}, []string{all[4], all[5], all[6]}, 7 + 3, 3, true},
		"no match":          {Query{Filter: fakes.Pattern(t, "x"), Detail: DetailPlatform}, nil, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newListedRepo(t)
			tags, err := Tags(t.Context(), m, fakes.Named(t, "h.example.com/app"), tt.query)
			if tags == nil || !slices.Equal(tagLines(tags), tt.want) {
				t.Errorf("got tags %q, want %q", tagLines(tags), tt.want)
			}
			if tt.bad != errdefs.IsInvalidArgument(err) || !tt.bad && err != nil {
				t.Errorf("got error %v, want one of the tag bad: %t", err, tt.bad)
			}
			log := strings.Join(m.Log, "\n")
			if f, b := strings.Count(log, "fetch"), strings.Count(log, "blob"); f != tt.fetches || b != tt.blobs {
				t.Errorf("got requests for %d manifests and %d configs, want %d and %d:\n%s", f, b, tt.fetches, tt.blobs, log)
			}
		})
	}
}

// The download of an index is unknown, as its images are not read; times are read only if they are asked for.
func TestTagsDetail(t *testing.T) {
	m, _ := newListedRepo(t)
	for _, detail := range []Detail{DetailPlatform, DetailCreated} {
		tags, err := Tags(t.Context(), m, fakes.Named(t, "h.example.com/app"), Query{Detail: detail, Filter: fakes.Pattern(t, "[lo]*")})
		if err != nil || len(tags) != 2 {
			t.Fatalf("got tags %q and error %v, want list and old", tagLines(tags), err)
		}
		list, old := tags[0], tags[1]
		n, err := manifest.ParseNode(manifest.NewContent("", m.Manifests["h.example.com/app:old"]))
		if err != nil {
			t.Fatal(err)
		}
		size, imageSize := n.Descriptor.Size, n.Descriptor.Size+n.Config.Size
		if old.Size != size || old.ImageSize != imageSize || old.Platforms[0].ImageSize != imageSize {
			t.Errorf("got size %d and download %d of an image, want %d and %d", old.Size, old.ImageSize, size, imageSize)
		}
		if list.Size == 0 || list.Platforms[0].Size == 0 || list.ImageSize != 0 || list.Platforms[0].ImageSize != 0 {
			t.Errorf("got size %d and download %d of an index, want its size and no download", list.Size, list.ImageSize)
		}
		if (old.Created != nil) != (detail == DetailCreated) || list.Created != nil {
			t.Errorf("detail %d: got times %v of old and %v of list, want old's only with %d", detail, old.Created, list.Created, DetailCreated)
		}
	}
}

// A registry's inventory saves all requests but those for what it does not have.
func TestTagsOfAnInventory(t *testing.T) {
	m, digests := newListedRepo(t)
	m.HasListing = true
	m.Arrived = map[digest.Digest]time.Time{
		digests["old"]: time.Unix(3000, 0), digests["new"]: time.Unix(2000, 0), digests["list"]: time.Unix(1000, 0), digests["amd64"]: time.Unix(500, 0),
	}
	tags, err := Tags(t.Context(), m, fakes.Named(t, "h.example.com/app"), Query{ByTime: true, Top: 3, Filter: fakes.Pattern(t, "[non]*"), Detail: DetailCreated})
	want := []string{"old image linux/amd64", "new image linux/amd64", "new2 image linux/amd64"}
	if err != nil || !slices.Equal(tagLines(tags), want) {
		t.Errorf("got tags %q and error %v, want %q", tagLines(tags), err, want)
	}
	if want := "fetch h.example.com/app@"; len(m.Log) != 4 || !strings.HasPrefix(m.Log[0], want) {
		t.Errorf("got requests %q, want 2 manifests by digest and their configs", m.Log)
	}
	if got, want := tags[0].Created, time.Unix(3000, 0); got == nil || !got.Equal(want) || tags[0].ImageCreated != nil {
		t.Errorf("got created %v and imageCreated %v, want only the registry's time %s", got, tags[0].ImageCreated, want)
	}
}

func recordLines(records []Record) (out []string) {
	for _, r := range records {
		out = append(out, strings.Repeat("  ", r.Depth)+line(strings.Join(r.Tags, "+"), r))
	}
	return out
}

// collected returns the records of [Manifests].
func collected(records iter.Seq[Record], err error) ([]Record, error) {
	if records == nil {
		return nil, err
	}
	return slices.AppendSeq([]Record{}, records), err
}

func TestManifests(t *testing.T) {
	m, digests := newListedRepo(t)
	sig := manifest.ReferrersTag(digests["old"]) + ".sig"
	list := []string{"list index linux/amd64,linux/arm64/v8", "  amd64 image linux/amd64", "    attestation", "  image linux/arm64/v8"}
	young, old := []string{"new+new2 image linux/amd64"}, []string{"old image linux/amd64", "  " + sig + " artifact"}
	lost := []string{"bad app:bad is of Docker's schema 1", "gone not in the registry"}
	for name, tt := range map[string]struct {
		query Query
		want  []string
		bad   bool
	}{
		"all":      {Query{}, slices.Concat(lost, list, young, old), true},
		"filtered": {Query{Filter: fakes.Pattern(t, "o*")}, old, false},
		"a child":  {Query{Filter: fakes.Pattern(t, "amd64")}, []string{"amd64 image linux/amd64"}, false},
		"newest":   {Query{Filter: fakes.Pattern(t, "[on]*"), ByTime: true, Top: 1}, young, false},
		"reverse":  {Query{Filter: fakes.Pattern(t, "[on]*"), ByTime: true, Reverse: true}, slices.Concat(old, young), false},
		"first":    {Query{Filter: fakes.Pattern(t, "[^bg]*"), Top: 1}, list, false},
		"none":     {Query{Filter: fakes.Pattern(t, "x")}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newListedRepo(t)
			notes := &fakes.Reporter{}
			tt.query.Detail = DetailCreated
			records, err := collected(Manifests(t.Context(), m, notes, fakes.Named(t, "h.example.com/app"), tt.query))
			if records == nil || !slices.Equal(recordLines(records), tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(recordLines(records), "\n"), strings.Join(tt.want, "\n"))
			}
			if tt.bad != errdefs.IsInvalidArgument(err) || !tt.bad && err != nil {
				t.Errorf("got error %v, want one of the tag bad: %t", err, tt.bad)
			}
			if len(notes.Notes) != 1 || !strings.Contains(notes.Notes[0], "lists tags alone") {
				t.Errorf("got notes %q, want that the registry has no inventory", notes.Notes)
			}
		})
	}
	records, _ := collected(Manifests(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app"), Query{Filter: fakes.Pattern(t, "list"), Detail: DetailPlatform}))
	if r := records[1]; !slices.Equal(r.Parents, []digest.Digest{digests["list"]}) || records[2].Subject != digests["amd64"] || len(records[0].Children) != 3 {
		t.Errorf("got %+v, want an index, its images and the attestation of one", records)
	}
	size := int64(len(m.Manifests["h.example.com/app:list"]))
	download := size // images and attestations share no blobs here
	for _, r := range records[1:] {
		download += r.ImageSize
	}
	if r := records[0]; r.Size != size || r.ImageSize != download || r.Platforms[1].ImageSize != records[3].ImageSize {
		t.Errorf("got size %d and download %d of the index, want %d and %d", r.Size, r.ImageSize, size, download)
	}
}

// Referrers of what a tag points to are found by the referrers API. A registry without it is asked once.
func TestManifestsReferrers(t *testing.T) {
	for name, tt := range map[string]struct {
		without, fails bool
		want           []string
		asked          int
	}{
		"API":    {false, false, []string{"new+new2 image", "  artifact"}, 3},
		"none":   {true, false, []string{"new+new2 image"}, 1},
		"broken": {false, true, []string{"new+new2 image"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m, digests := newListedRepo(t)
			m.Artifact(t, "h.example.com/app:tmp", digests["new"])
			delete(m.Manifests, "h.example.com/app:tmp")
			m.NoReferrers = tt.without
			if tt.fails {
				m.Errs["referrers"] = manifest.Errorf(errdefs.ErrPermissionDenied, "h.example.com: no")
			}
			notes := &fakes.Reporter{}
			records, err := collected(Manifests(t.Context(), m, notes, fakes.Named(t, "h.example.com/app"), Query{Filter: fakes.Pattern(t, "[no]*"), Detail: DetailDigest}))
			got := recordLines(records)
			if err != nil || !slices.Equal(got[:len(got)-2], tt.want) { // old is last, with its signature
				t.Errorf("got %q and error %v, want %q first", got, err, tt.want)
			}
			if asked := strings.Count(strings.Join(m.Log, "\n"), "referrers of"); asked != tt.asked {
				t.Errorf("got %d requests for referrers, want %d", asked, tt.asked)
			}
			if warned := strings.Contains(strings.Join(notes.Warnings, "\n"), "h.example.com: no; referrers"); warned != tt.fails || len(notes.Warnings) > 1 {
				t.Errorf("got warnings %q, want one: %t", notes.Warnings, tt.fails)
			}
		})
	}
}

// The order by time does not need the times to be shown.
func TestManifestsByTime(t *testing.T) {
	m, digests := newListedRepo(t)
	m.Store(fakes.Named(t, "h.example.com/app:a-old"), ocispec.MediaTypeImageManifest, m.Manifests["h.example.com/app:old"])
	for _, lists := range []bool{false, true} {
		m.HasListing = lists
		m.Arrived = map[digest.Digest]time.Time{digests["new"]: time.Unix(2000, 0), digests["old"]: time.Unix(1000, 0)}
		m.Log = nil
		records, err := collected(Manifests(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app"), Query{Filter: fakes.Pattern(t, "[ano]*"), ByTime: true, Detail: DetailDigest}))
		if err != nil || len(records) < 3 || records[0].Digest != digests["new"] || records[1].Digest != digests["old"] {
			t.Errorf("got %q and error %v, want new before old", recordLines(records), err)
		}
		if configs := strings.Count(strings.Join(m.Log, "\n"), "blob"); lists && configs != strings.Count(strings.Join(recordLines(records), "\n"), " image")-2 {
			t.Errorf("got %d configs read, want one for each image that the inventory has no time of:\n%s", configs, strings.Join(recordLines(records), "\n"))
		}
	}
}

// An inventory has the manifests without a tag, and referrers among them are nested under their subjects.
func TestManifestsOfAnInventory(t *testing.T) {
	m, digests := newListedRepo(t)
	m.HasListing = true
	untagged := m.Dated(t, "h.example.com/app:tmp", `"2022-01-01T00:00:00Z"`)
	delete(m.Manifests, "h.example.com/app:tmp")
	referrer := m.Artifact(t, "h.example.com/app:tmp", digests["new"])
	delete(m.Manifests, "h.example.com/app:tmp")
	m.Arrived = map[digest.Digest]time.Time{digests["new"]: time.Unix(7, 0)}
	notes := &fakes.Reporter{}
	records, err := collected(Manifests(t.Context(), m, notes, fakes.Named(t, "h.example.com/app"), Query{Detail: DetailPlatform}))
	if err != nil || len(notes.Notes) > 0 {
		t.Errorf("got error %v and notes %q, want none", err, notes.Notes)
	}
	at := func(d digest.Digest) int {
		return slices.IndexFunc(records, func(r Record) bool { return r.Digest == d })
	}
	if i := at(untagged.Digest); i < 0 || records[i].Depth != 0 || records[i].Tags != nil {
		t.Errorf("got %q, want the untagged manifest among them", recordLines(records))
	}
	if i := at(referrer); i < 0 || records[i].Depth != 1 || records[i].Subject != digests["new"] || records[i-1].Digest != digests["new"] {
		t.Errorf("got %q, want the referrer under its subject", recordLines(records))
	}
	if r := records[at(digests["new"])]; r.Created == nil || !r.Created.Equal(time.Unix(7, 0)) {
		t.Errorf("got created %v, want the registry's time", r.Created)
	}
	seen := map[string]bool{}
	for _, ask := range m.Log {
		if seen[ask] && ask != "blob" {
			t.Errorf("got request %q twice, want it once", ask)
		}
		seen[ask] = true
	}
	records, err = collected(Manifests(t.Context(), m, notes, fakes.Named(t, "h.example.com/app"), Query{Filter: fakes.Pattern(t, "new"), Detail: DetailPlatform}))
	if err != nil || !slices.Equal(recordLines(records), []string{"new+new2 image linux/amd64", "  artifact"}) {
		t.Errorf("filtered: got %q and error %v, want new and its referrer", recordLines(records), err)
	}
}

// A tag can claim that an index refers to its own child, and an index can list what is absent.
func TestManifestsOfNonsense(t *testing.T) {
	m := fakes.NewRegistry()
	const app = "h.example.com/app:"
	image := m.Image(t, app+"image", ocispec.MediaTypeImageManifest, "linux/amd64")
	lost := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("lost"), Size: 4, Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64"}}
	m.Index(t, app+manifest.ReferrersTag(image.Digest)+".sig", ocispec.MediaTypeImageIndex, image, lost, image)
	self := m.Image(t, app+"self", ocispec.MediaTypeImageManifest, "linux/s390x")
	m.Store(fakes.Named(t, app+manifest.ReferrersTag(self.Digest)), ocispec.MediaTypeImageManifest, m.Manifests[app+"self"])
	records, err := collected(Manifests(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app"), Query{Detail: DetailCreated}))
	if err != nil || len(records) != 4 {
		t.Fatalf("got %q and error %v, want 4 manifests", recordLines(records), err)
	}
	for _, r := range records {
		if r.Digest == lost.Digest && (r.Depth == 0 || r.Error != "not in the registry") || r.Digest == self.Digest && r.Depth != 0 {
			t.Errorf("got %q, want the absent image nested, and the image self not", recordLines(records))
		}
		if r.Children != nil && (r.ImageSize != 0 || r.Platforms[0].ImageSize == 0 || r.Platforms[1].ImageSize != 0) {
			t.Errorf("got %+v, want no download of an index that is incomplete", r)
		}
	}
}

func TestListingOfNothing(t *testing.T) {
	m := fakes.NewRegistry()
	repo := fakes.Named(t, "h.example.com/app")
	_, tagsErr := Tags(t.Context(), m, repo, Query{Detail: DetailPlatform})
	_, manifestsErr := Manifests(t.Context(), m, &fakes.Reporter{}, repo, Query{})
	_, showErr := Show(t.Context(), m, &fakes.Reporter{}, repo)
	for _, err := range []error{tagsErr, manifestsErr, showErr} {
		if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "h.example.com/app") || !strings.HasPrefix(manifest.Hint(err), "docker multiarch repo ") {
			t.Errorf("got error %v with the hint %q, want an ErrNotFound error of h.example.com/app with a command", err, manifest.Hint(err))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, _ = newListedRepo(t)
	_, tagsErr = Tags(ctx, m, repo, Query{Detail: DetailPlatform})
	_, manifestsErr = Manifests(ctx, m, &fakes.Reporter{}, repo, Query{})
	_, showErr = Show(ctx, m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app:list"))
	for _, err := range []error{tagsErr, manifestsErr, showErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want %v", err, context.Canceled)
		}
	}
}

func TestUnreadIsBounded(t *testing.T) {
	var failures []error
	for i := range 12 {
		failures = append(failures, manifest.Errorf(errdefs.ErrUnavailable, "tag %d", i))
	}
	err := unread(failures)
	if !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "tag 4") || strings.Contains(err.Error(), "tag 5") || !strings.Contains(err.Error(), "7 more") {
		t.Errorf("got error %v, want tag 0 to tag 4 and 7 more", err)
	}
	if err := unread([]error{nil, errdefs.ErrNotFound}); err != nil {
		t.Errorf("got error %v, want none of what is absent", err)
	}
}

func TestShow(t *testing.T) {
	for _, without := range []bool{false, true} { // the referrers API
		m, digests := newListedRepo(t)
		m.NoReferrers = without
		referrer := m.Artifact(t, "h.example.com/app:tmp", digests["arm64"])
		delete(m.Manifests, "h.example.com/app:tmp")
		if without {
			m.Index(t, "h.example.com/app:"+manifest.ReferrersTag(digests["arm64"]), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: referrer})
		}
		shown, err := Show(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app:list"))
		if err != nil || shown.Name != "h.example.com/app:list" || shown.Digest != digests["list"] || shown.ImageSize == 0 {
			t.Errorf("got %+v and error %v, want app:list with its download", shown.Record, err)
		}
		if got := recordLines(shown.Manifests); !slices.Equal(got, []string{"  image linux/amd64", "    attestation", "  image linux/arm64/v8"}) {
			t.Errorf("got manifests %q, want two images and an attestation", got)
		}
		found := slices.IndexFunc(shown.Referrers, func(r Record) bool { return r.Digest == referrer })
		if found < 0 || shown.Referrers[found].Subject != digests["arm64"] || shown.Referrers[found].ImageSize == 0 {
			t.Errorf("without the referrers API: %t: got referrers %q, want one of arm64", without, recordLines(shown.Referrers))
		}
		shown, err = Show(t.Context(), m, &fakes.Reporter{}, manifest.AtDigest(fakes.Named(t, "h.example.com/app"), digests["old"]))
		if err != nil || shown.Created == nil || len(shown.Referrers) != 1 || shown.Referrers[0].Digest != digests["signature"] {
			t.Errorf("got %+v and error %v, want the image old and its signature", shown, err)
		}
		shown, err = Show(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app:"+manifest.ReferrersTag(digests["old"])+".sig"))
		if err != nil || shown.Kind != manifest.KindArtifact || shown.Subject != digests["old"] {
			t.Errorf("got %+v and error %v, want an artifact whose subject is old", shown, err)
		}
		_, err = Show(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app:bad"))
		if !errdefs.IsInvalidArgument(err) {
			t.Errorf("got error %v, want an ErrInvalidArgument error", err)
		}
	}
}

// catalog is a Lister with these repositories.
type catalog struct {
	*fakes.Registry
	paths []string
	err   error
}

func (c catalog) Repositories(context.Context, string) ([]string, error) {
	return slices.Clone(c.paths), c.err
}

func TestRepositories(t *testing.T) {
	c := catalog{paths: []string{"team/b", "app", "team/a", "app", "team/a/c"}}
	for filter, want := range map[string][]string{
		"": {"app", "team/a", "team/a/c", "team/b"}, "team/*": {"team/a", "team/b"}, "?pp": {"app"}, "regex:team/.*": {"team/a", "team/a/c", "team/b"}, "x": {},
	} {
		if got, err := Repositories(t.Context(), c, "h.example.com", fakes.Pattern(t, filter)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q and error %v, want %q", filter, got, err, want)
		}
	}
	for _, tt := range []struct {
		registry  string
		err, kind error
		words     string
	}{
		{"docker.io", errdefs.ErrUnauthenticated, errdefs.ErrNotImplemented, "docker.io does not list its repositories"},
		{"h.example.com", errdefs.ErrNotFound, errdefs.ErrNotImplemented, "it has no catalog"},
		{"h.example.com", errdefs.ErrNotImplemented, errdefs.ErrNotImplemented, "it has no catalog"},
		{"h.example.com", errdefs.ErrPermissionDenied, errdefs.ErrPermissionDenied, "only for administrators"},
		{"h.example.com", errdefs.ErrUnavailable, errdefs.ErrUnavailable, "unavailable"},
	} {
		_, err := Repositories(t.Context(), catalog{err: tt.err}, tt.registry, manifest.Pattern{})
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s, %v: got error %v, want %v with %q", tt.registry, tt.err, err, tt.kind, tt.words)
		}
	}
}

// A purge keeps the tags that a listing in the same order has first or, by name, last.
func TestListingAndKeepAgree(t *testing.T) {
	m := fakes.NewRegistry()
	repo := reference.TrimNamed(fakes.Named(t, "h.example.com/app"))
	v9, v10 := m.Dated(t, "h.example.com/app:v9", `"2021-01-01T00:00:00Z"`), m.Dated(t, "h.example.com/app:v10", `"2022-01-01T00:00:00Z"`)
	m.Dated(t, "h.example.com/app:v2", `"2020-01-01T00:00:00Z"`) // its time is not in the inventory
	m.HasListing, m.Arrived = true, map[digest.Digest]time.Time{v9.Digest: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), v10.Digest: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for keep := range 3 {
		for _, byTime := range []bool{false, true} {
			listed, err := Tags(t.Context(), m, repo, Query{ByTime: byTime})
			if err != nil {
				t.Fatal(err)
			}
			if !byTime { // the last by name are kept, and the newest, which a listing has first
				slices.Reverse(listed)
			}
			var want, got []string
			for _, tag := range listed[keep:] {
				want = append(want, tag.Tag)
			}
			no := func(steps []Step) (bool, error) {
				for _, step := range steps {
					got = append(got, step.Tags...)
				}
				return false, nil
			}
			if err := Purge(t.Context(), m, &fakes.Reporter{}, repo, Selection{All: true, Keep: keep, ByName: !byTime}, Removal{Confirm: no}); err != nil {
				t.Fatal(err)
			}
			slices.Sort(want)
			if slices.Sort(got); !slices.Equal(got, want) || len(got) != 3-keep {
				t.Errorf("keep %d, by time %v: got %q to remove, want %q", keep, byTime, got, want)
			}
		}
	}
	l := manifest.Listed{Created: time.Unix(1, 0), Updated: time.Unix(2, 0)}
	r := Record{}
	if r.setListed(l); !r.Time().Equal(l.Updated) {
		t.Errorf("got time %s of a record, want that of its update %s", r.Time(), l.Updated)
	}
}

// Of the many manifests of a large repository only what their records need is kept in memory, whatever they consist of.
func TestManifestsMemory(t *testing.T) {
	const images, layers, limit = 500, 40, 4096
	m := fakes.NewRegistry()
	m.NoReferrers = true
	repo := fakes.Named(t, "h.example.com/app")
	for i := range images {
		config := fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","created":"2024-01-01T00:00:%02dZ","seed":"%d"}`, i%60, i)
		m.Blobs[digest.FromBytes(config)] = config
		raw := fmt.Appendf(nil, `{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"annotations":{"name":"%d"},"layers":[`,
			ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, digest.FromBytes(config), len(config), i)
		for j := range layers {
			raw = fmt.Appendf(raw, `{"mediaType":%q,"digest":"sha256:%064x","size":10},`, ocispec.MediaTypeImageLayerGzip, i*layers+j)
		}
		m.Store(manifest.AtTag(repo, fmt.Sprint("t", i)), ocispec.MediaTypeImageManifest, append(raw[:len(raw)-1], "]}"...))
	}
	heap := func() uint64 {
		m.Log = nil
		runtime.GC()
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := heap()
	records, err := Manifests(t.Context(), m, &fakes.Reporter{}, repo, Query{Detail: DetailCreated})
	if got := int(heap()-before) / images; err != nil || got > limit {
		t.Errorf("got %d bytes for each manifest and error %v, want at most %d", got, err, limit)
	}
	count := 0
	for r := range records {
		count++
		if r.Layers != layers || r.ImageSize != r.Size+int64(layers*10)+int64(len(m.Blobs[configOf(t, m, r.Digest)])) || r.Annotations["name"] != r.Tags[0][1:] || r.Created == nil {
			t.Fatalf("got %+v, want %d layers, the annotation and the time of the image", r, layers)
		}
	}
	if count != images {
		t.Errorf("got %d records, want %d", count, images)
	}
}

func configOf(t *testing.T, m *fakes.Registry, d digest.Digest) digest.Digest {
	t.Helper()
	config, _, err := manifest.ParseImage(m.Manifests["h.example.com/app@"+d.String()])
	if err != nil {
		t.Fatal(err)
	}
	return config.Digest
}

// A dry run keeps no bytes of manifests, and removes nothing whatever is confirmed.
func TestDryRun(t *testing.T) {
	m, _ := newListedRepo(t)
	delete(m.Errs, "h.example.com/app:bad")
	delete(m.Errs, "h.example.com/app:gone")
	before := len(m.Manifests)
	planned := 0
	o := Removal{DryRun: true, Confirm: func(steps []Step) (bool, error) { planned = len(steps); return true, nil }}
	err := Purge(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app"), Selection{All: true, Filters: fakes.Patterns(t, "*")}, o)
	if err != nil || planned == 0 || len(m.Manifests) != before {
		t.Errorf("got %d steps, %d manifests left and error %v, want steps and all %d", planned, len(m.Manifests), err, before)
	}
	planned = 0
	err = Remove(t.Context(), m, &fakes.Reporter{}, []reference.Named{fakes.Named(t, "h.example.com/app:list")}, true, o)
	if err != nil || planned == 0 || len(m.Manifests) != before {
		t.Errorf("got %d steps of one name, %d manifests left and error %v, want steps and all %d", planned, len(m.Manifests), err, before)
	}
}
