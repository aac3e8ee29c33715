package repository

import (
	"context"
	"errors"
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

// library is a repository with all that is met.
func library(t *testing.T) (m *fakes.Registry, digests map[string]digest.Digest) {
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

// line is a record in a few words.
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

func TestListTags(t *testing.T) {
	_, digests := library(t)
	sig := manifest.ReferrersTag(digests["old"]) + ".sig"
	all := []string{"amd64 image linux/amd64", "bad app:bad is of Docker's schema 1", "gone not in the registry", "list index linux/amd64,linux/arm64/v8",
		"new image linux/amd64", "new2 image linux/amd64", "old image linux/amd64", sig + " artifact"}
	for name, tt := range map[string]struct {
		query          Query
		want           []string
		fetches, blobs int
		bad            bool // the error tells of the bad tag
	}{
		"all":               {Query{Detail: DetailPlatform}, all, 8, 4, true},
		"manifests":         {Query{Detail: DetailManifest, Filter: fakes.Pattern(t, "new*")}, []string{"new image", "new2 image"}, 2, 0, false},
		"names":             {Query{}, []string{"amd64", "bad", "gone", "list", "new", "new2", "old", sig + " artifact"}, 0, 0, false},
		"first names":       {Query{Top: 1, Detail: DetailPlatform}, all[:1], 1, 1, false},
		"absent is no flaw": {Query{Filter: fakes.Pattern(t, "g*"), Detail: DetailPlatform}, all[2:3], 1, 0, false},
		"digest":            {Query{Digest: digests["new"], Detail: DetailPlatform}, all[4:6], 8 + 1, 1, true},
		"digest of nothing": {Query{Digest: digests["arm64"], Filter: fakes.Pattern(t, "[ln]*")}, nil, 3, 0, false},
		"newest":            {Query{ByTime: true, Top: 2, Filter: fakes.Pattern(t, "[go]*"), Detail: DetailPlatform}, []string{all[6], all[2]}, 2, 2, false},
		"newest of all":     {Query{ByTime: true, Top: 3, Filter: fakes.Pattern(t, "[^a]*")}, []string{all[4], all[5], all[6]}, 7 + 3, 3*2 + 1, true},
		"no match":          {Query{Filter: fakes.Pattern(t, "x"), Detail: DetailPlatform}, nil, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := library(t)
			tags, err := ListTags(t.Context(), m, fakes.Named(t, "h.example.com/app"), tt.query)
			if tags == nil || !slices.Equal(tagLines(tags), tt.want) {
				t.Errorf("got %q", tagLines(tags))
			}
			if tt.bad != errdefs.IsInvalidArgument(err) || !tt.bad && err != nil {
				t.Error(err)
			}
			log := strings.Join(m.Log, "\n")
			if f, b := strings.Count(log, "fetch"), strings.Count(log, "blob"); f != tt.fetches || b != tt.blobs {
				t.Errorf("%d manifests and %d configs were asked for:\n%s", f, b, log)
			}
		})
	}
}

// The sizes of images are told, those of indexes are not; times are told only when they are asked for.
func TestListTagsTellsNothingElse(t *testing.T) {
	m, _ := library(t)
	for _, detail := range []Detail{DetailPlatform, DetailCreated} {
		tags, err := ListTags(t.Context(), m, fakes.Named(t, "h.example.com/app"), Query{Detail: detail, Filter: fakes.Pattern(t, "[lo]*")})
		if err != nil || len(tags) != 2 {
			t.Fatal(tags, err)
		}
		list, old := tags[0], tags[1]
		raw := m.Manifests["h.example.com/app:old"]
		n, err := manifest.ParseNode(manifest.NewContent("", raw))
		if err != nil {
			t.Fatal(err)
		}
		if list.Size != 0 || list.Platforms[0].Size != 0 || old.Size != n.Descriptor.Size+n.Config.Size || old.Platforms[0].Size != old.Size {
			t.Errorf("sizes %d, %d", list.Size, old.Size)
		}
		if (old.Created != nil) != (detail == DetailCreated) || list.Created != nil || old.CreatedTime != nil {
			t.Errorf("times %v, %v", list.Time(), old.Time())
		}
	}
}

// A registry's own listing saves all requests but those for what it does not tell.
func TestListTagsFromListing(t *testing.T) {
	m, digests := library(t)
	m.HasListing = true
	m.Arrived = map[digest.Digest]time.Time{
		digests["old"]: time.Unix(3000, 0), digests["new"]: time.Unix(2000, 0), digests["list"]: time.Unix(1000, 0), digests["amd64"]: time.Unix(500, 0),
	}
	tags, err := ListTags(t.Context(), m, fakes.Named(t, "h.example.com/app"), Query{ByTime: true, Top: 3, Filter: fakes.Pattern(t, "[non]*"), Detail: DetailCreated})
	want := []string{"old image linux/amd64", "new image linux/amd64", "new2 image linux/amd64"}
	if err != nil || !slices.Equal(tagLines(tags), want) {
		t.Errorf("got %q, %v", tagLines(tags), err)
	}
	if want := "fetch h.example.com/app@"; len(m.Log) != 4 || !strings.HasPrefix(m.Log[0], want) {
		t.Errorf("%q", m.Log)
	}
	if got := tags[0].Time(); !got.Equal(time.Unix(3000, 0)) || tags[0].Created != nil {
		t.Errorf("%s, %v", got, tags[0].Created)
	}
}

func recordLines(records []Record) (out []string) {
	for _, r := range records {
		out = append(out, strings.Repeat("  ", r.Depth)+line(strings.Join(r.Tags, "+"), r))
	}
	return out
}

func TestListManifests(t *testing.T) {
	m, digests := library(t)
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
		"first":    {Query{Filter: fakes.Pattern(t, "[^bg]*"), Top: 1}, list, false},
		"none":     {Query{Filter: fakes.Pattern(t, "x")}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := library(t)
			notes := &fakes.Reporter{}
			tt.query.Detail = DetailCreated
			records, err := ListManifests(t.Context(), m, notes, fakes.Named(t, "h.example.com/app"), tt.query)
			if records == nil || !slices.Equal(recordLines(records), tt.want) {
				t.Errorf("got\n%s", strings.Join(recordLines(records), "\n"))
			}
			if tt.bad != errdefs.IsInvalidArgument(err) || !tt.bad && err != nil {
				t.Error(err)
			}
			if len(notes.Notes) != 1 || !strings.Contains(notes.Notes[0], "lists tags alone") {
				t.Errorf("%q", notes.Notes)
			}
		})
	}
	records, _ := ListManifests(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app"), Query{Filter: fakes.Pattern(t, "list"), Detail: DetailPlatform})
	if r := records[1]; !slices.Equal(r.Parents, []digest.Digest{digests["list"]}) || records[2].Subject != digests["amd64"] || len(records[0].Children) != 3 {
		t.Errorf("relations: %+v", records)
	}
	var sum int64 // the parts of images and attestations differ
	for _, r := range records[1:] {
		sum += r.Size
	}
	raw := int64(len(m.Manifests["h.example.com/app:list"]))
	if records[0].Size != sum+raw || records[0].Platforms[1].Size != records[3].Size {
		t.Errorf("index of %d bytes, its parts %d and %d", records[0].Size, sum, raw)
	}
}

// What refers to what a tag names is found by the referrers API. A registry without it is asked once.
func TestListManifestsReferrers(t *testing.T) {
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
			m, digests := library(t)
			m.Artifact(t, "h.example.com/app:tmp", digests["new"])
			delete(m.Manifests, "h.example.com/app:tmp")
			m.NoReferrers = tt.without
			if tt.fails {
				m.Errs["referrers"] = manifest.Errorf(errdefs.ErrPermissionDenied, "h.example.com: no")
			}
			notes := &fakes.Reporter{}
			records, err := ListManifests(t.Context(), m, notes, fakes.Named(t, "h.example.com/app"), Query{Filter: fakes.Pattern(t, "[no]*"), Detail: DetailDigest})
			got := recordLines(records)
			if err != nil || !slices.Equal(got[:len(got)-2], tt.want) { // what is old is last, with its signature
				t.Errorf("%q, %v", got, err)
			}
			if asked := strings.Count(strings.Join(m.Log, "\n"), "referrers of"); asked != tt.asked {
				t.Errorf("asked %d times", asked)
			}
			if warned := strings.Contains(strings.Join(notes.Warnings, "\n"), "h.example.com: no; what refers"); warned != tt.fails || len(notes.Warnings) > 1 {
				t.Errorf("%q", notes.Warnings)
			}
		})
	}
}

// The order of times is the same when no times are shown.
func TestListManifestsByTimeUnseen(t *testing.T) {
	m, digests := library(t)
	m.Store(fakes.Named(t, "h.example.com/app:a-old"), ocispec.MediaTypeImageManifest, m.Manifests["h.example.com/app:old"])
	for _, lists := range []bool{false, true} {
		m.HasListing = lists
		m.Arrived = map[digest.Digest]time.Time{digests["new"]: time.Unix(2000, 0), digests["old"]: time.Unix(1000, 0)}
		m.Log = nil
		records, err := ListManifests(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app"), Query{Filter: fakes.Pattern(t, "[ano]*"), ByTime: true, Detail: DetailDigest})
		if err != nil || len(records) < 3 || records[0].Digest != digests["new"] || records[1].Digest != digests["old"] {
			t.Errorf("%q, %v", recordLines(records), err)
		}
		if configs := strings.Count(strings.Join(m.Log, "\n"), "blob"); lists && configs != strings.Count(strings.Join(recordLines(records), "\n"), " image")-2 {
			t.Errorf("%d configs for\n%s", configs, strings.Join(recordLines(records), "\n"))
		}
	}
}

// Where the registry lists manifests, those without a tag are there; what no tag leads to is found by its
// subject.
func TestListManifestsFromListing(t *testing.T) {
	m, digests := library(t)
	m.HasListing = true
	untagged := m.Dated(t, "h.example.com/app:tmp", `"2022-01-01T00:00:00Z"`)
	delete(m.Manifests, "h.example.com/app:tmp")
	referrer := m.Artifact(t, "h.example.com/app:tmp", digests["new"])
	delete(m.Manifests, "h.example.com/app:tmp")
	m.Arrived = map[digest.Digest]time.Time{digests["new"]: time.Unix(7, 0)}
	notes := &fakes.Reporter{}
	records, err := ListManifests(t.Context(), m, notes, fakes.Named(t, "h.example.com/app"), Query{Detail: DetailPlatform})
	if err != nil || len(notes.Notes) > 0 {
		t.Error(err, notes.Notes)
	}
	at := func(d digest.Digest) int {
		return slices.IndexFunc(records, func(r Record) bool { return r.Digest == d })
	}
	if i := at(untagged.Digest); i < 0 || records[i].Depth != 0 || records[i].Tags != nil {
		t.Errorf("no untagged manifest: %q", recordLines(records))
	}
	if i := at(referrer); i < 0 || records[i].Depth != 1 || records[i].Subject != digests["new"] || records[i-1].Digest != digests["new"] {
		t.Errorf("the referrer is elsewhere: %q", recordLines(records))
	}
	if r := records[at(digests["new"])]; r.CreatedTime == nil || !r.Time().Equal(time.Unix(7, 0)) {
		t.Errorf("time %v", r.CreatedTime)
	}
	seen := map[string]bool{}
	for _, ask := range m.Log {
		if seen[ask] && ask != "blob" {
			t.Errorf("asked again: %s", ask)
		}
		seen[ask] = true
	}
	records, err = ListManifests(t.Context(), m, notes, fakes.Named(t, "h.example.com/app"), Query{Filter: fakes.Pattern(t, "new"), Detail: DetailPlatform})
	if err != nil || !slices.Equal(recordLines(records), []string{"new+new2 image linux/amd64", "  artifact"}) {
		t.Errorf("filtered: %q, %v", recordLines(records), err)
	}
}

// Tags can claim that a manifest belongs to what is below it, and indexes can list what is absent.
func TestListManifestsOfNonsense(t *testing.T) {
	m := fakes.NewRegistry()
	const app = "h.example.com/app:"
	image := m.Image(t, app+"image", ocispec.MediaTypeImageManifest, "linux/amd64")
	lost := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("lost"), Size: 4, Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64"}}
	m.Index(t, app+manifest.ReferrersTag(image.Digest)+".sig", ocispec.MediaTypeImageIndex, image, lost, image)
	self := m.Image(t, app+"self", ocispec.MediaTypeImageManifest, "linux/s390x")
	m.Store(fakes.Named(t, app+manifest.ReferrersTag(self.Digest)), ocispec.MediaTypeImageManifest, m.Manifests[app+"self"])
	records, err := ListManifests(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app"), Query{Detail: DetailCreated})
	if err != nil || len(records) != 4 {
		t.Fatalf("%q, %v", recordLines(records), err)
	}
	for _, r := range records {
		if r.Digest == lost.Digest && (r.Depth == 0 || r.Error != "not in the registry") || r.Digest == self.Digest && r.Depth != 0 {
			t.Errorf("%q", recordLines(records))
		}
		if r.Children != nil && (r.Size != 0 || r.Platforms[0].Size == 0 || r.Platforms[1].Size != 0) {
			t.Errorf("sizes of an index that is not whole: %+v", r)
		}
	}
}

func TestListingOfNothing(t *testing.T) {
	m := fakes.NewRegistry()
	repo := fakes.Named(t, "h.example.com/app")
	_, tagsErr := ListTags(t.Context(), m, repo, Query{Detail: DetailPlatform})
	_, manifestsErr := ListManifests(t.Context(), m, &fakes.Reporter{}, repo, Query{})
	_, showErr := Show(t.Context(), m, &fakes.Reporter{}, repo)
	for _, err := range []error{tagsErr, manifestsErr, showErr} {
		if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "h.example.com/app") || !strings.Contains(err.Error(), "'docker multiarch repo ") {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, _ = library(t)
	_, tagsErr = ListTags(ctx, m, repo, Query{Detail: DetailPlatform})
	_, manifestsErr = ListManifests(ctx, m, &fakes.Reporter{}, repo, Query{})
	_, showErr = Show(ctx, m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app:list"))
	for _, err := range []error{tagsErr, manifestsErr, showErr} {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
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
		t.Error(err)
	}
	if err := unread(nil); err != nil {
		t.Error(err)
	}
}

func TestShow(t *testing.T) {
	for _, without := range []bool{false, true} { // the referrers API
		m, digests := library(t)
		m.NoReferrers = without
		referrer := m.Artifact(t, "h.example.com/app:tmp", digests["arm64"])
		delete(m.Manifests, "h.example.com/app:tmp")
		if without {
			m.Index(t, "h.example.com/app:"+manifest.ReferrersTag(digests["arm64"]), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: referrer})
		}
		shown, err := Show(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app:list"))
		if err != nil || shown.Name != "h.example.com/app:list" || shown.Digest != digests["list"] || shown.Size == 0 {
			t.Errorf("%+v, %v", shown.Record, err)
		}
		if got := recordLines(shown.Manifests); !slices.Equal(got, []string{"  image linux/amd64", "    attestation", "  image linux/arm64/v8"}) {
			t.Errorf("%q", got)
		}
		found := slices.IndexFunc(shown.Referrers, func(r Record) bool { return r.Digest == referrer })
		if found < 0 || shown.Referrers[found].Subject != digests["arm64"] || shown.Referrers[found].Size == 0 {
			t.Errorf("without %v: %q", without, recordLines(shown.Referrers))
		}
		shown, err = Show(t.Context(), m, &fakes.Reporter{}, manifest.AtDigest(fakes.Named(t, "h.example.com/app"), digests["old"]))
		if err != nil || shown.Created == nil || len(shown.Referrers) != 1 || shown.Referrers[0].Digest != digests["signature"] {
			t.Errorf("%+v, %v", shown, err)
		}
		shown, err = Show(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app:"+manifest.ReferrersTag(digests["old"])+".sig"))
		if err != nil || shown.Kind != manifest.KindArtifact || shown.Subject != digests["old"] {
			t.Errorf("%+v, %v", shown, err)
		}
		_, err = Show(t.Context(), m, &fakes.Reporter{}, fakes.Named(t, "h.example.com/app:bad"))
		if !errdefs.IsInvalidArgument(err) {
			t.Error(err)
		}
	}
}

// catalog is a Lister that answers with this.
type catalog struct {
	*fakes.Registry
	paths []string
	err   error
}

func (c catalog) Repositories(context.Context, string) ([]string, error) {
	return slices.Clone(c.paths), c.err
}

func TestListRepositories(t *testing.T) {
	c := catalog{paths: []string{"team/b", "app", "team/a", "app", "team/a/c"}}
	for filter, want := range map[string][]string{
		"": {"app", "team/a", "team/a/c", "team/b"}, "team/*": {"team/a", "team/b"}, "?pp": {"app"}, "regex:team/.*": {"team/a", "team/a/c", "team/b"}, "x": {},
	} {
		if got, err := ListRepositories(t.Context(), c, "h.example.com", fakes.Pattern(t, filter)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", filter, got, err)
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
		{"h.example.com", errdefs.ErrPermissionDenied, errdefs.ErrPermissionDenied, "administrators alone"},
		{"h.example.com", errdefs.ErrUnavailable, errdefs.ErrUnavailable, "unavailable"},
	} {
		_, err := ListRepositories(t.Context(), catalog{err: tt.err}, tt.registry, manifest.Pattern{})
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s, %v: %v", tt.registry, tt.err, err)
		}
	}
}

// What a purge keeps by time or by name is what a listing by the same has first or last.
func TestListingAndKeepAgree(t *testing.T) {
	m := fakes.NewRegistry()
	repo := reference.TrimNamed(fakes.Named(t, "h.example.com/app"))
	v9, v10 := m.Dated(t, "h.example.com/app:v9", `"2021-01-01T00:00:00Z"`), m.Dated(t, "h.example.com/app:v10", `"2022-01-01T00:00:00Z"`)
	m.Dated(t, "h.example.com/app:v2", `"2020-01-01T00:00:00Z"`) // the registry does not tell when it came
	m.HasListing, m.Arrived = true, map[digest.Digest]time.Time{v9.Digest: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), v10.Digest: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for keep := range 3 {
		for _, byTime := range []bool{false, true} {
			listed, err := ListTags(t.Context(), m, repo, Query{ByTime: byTime})
			if err != nil {
				t.Fatal(err)
			}
			if !byTime { // the last by name stay, and the newest, which a listing has first
				slices.Reverse(listed)
			}
			p, err := PlanPurge(t.Context(), manifest.Access{Registry: m, Notes: &fakes.Reporter{}}, repo, Selection{All: true, Keep: keep, ByName: !byTime})
			if err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for _, tag := range listed[keep:] {
				want = append(want, tag.Tag)
			}
			for _, row := range p.Rows() {
				got = append(got, row.Tags...)
			}
			slices.Sort(want)
			if slices.Sort(got); !slices.Equal(got, want) || len(got) != 3-keep {
				t.Errorf("keep %d, by time %v: %q go, not %q", keep, byTime, got, want)
			}
		}
	}
	l := manifest.Listed{Created: time.Unix(1, 0), Updated: time.Unix(2, 0)}
	r := Record{}
	if r.setListed(l); !l.Time().Equal(l.Updated) || !r.Time().Equal(l.Updated) {
		t.Errorf("%s, %s", l.Time(), r.Time())
	}
}
