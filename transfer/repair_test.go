package transfer

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An import over an index that lacks manifests below it copies those; with Force it also checks the blobs of the others.
// A new tag is only written when all of it exists.
func TestImportRepairs(t *testing.T) {
	for name, tt := range map[string]struct {
		lost   func(r *registry) []ocispec.Descriptor // in the target
		gone   func(r *registry) ocispec.Descriptor   // in the source
		change func(*Request)
		want   []string // the writes, with Familiar names
	}{
		"nothing is lost": {want: nil},
		"one image":       {lost: func(r *registry) []ocispec.Descriptor { return []ocispec.Descriptor{r.arm64} }, want: []string{"copy"}},
		"an image and its attestation": {
			lost: func(r *registry) []ocispec.Descriptor { return []ocispec.Descriptor{r.amd64, r.attestation} },
			want: []string{"copy", "copy"},
		},
		"an image, and another is gone in the source": {
			lost: func(r *registry) []ocispec.Descriptor { return []ocispec.Descriptor{r.arm64} },
			gone: func(r *registry) ocispec.Descriptor { return r.amd64 },
			want: []string{"copy"},
		},
		"one image, and a new tag": {
			lost:   func(r *registry) []ocispec.Descriptor { return []ocispec.Descriptor{r.arm64} },
			change: func(q *Request) { q.Tags = append(q.Tags, manifest.AtTag(q.Target, "2")) },
			want:   []string{"copy", "put to.example.com/app:2"},
		},
		"one image, forced": {
			lost:   func(r *registry) []ocispec.Descriptor { return []ocispec.Descriptor{r.arm64} },
			change: func(q *Request) { q.Force = true },
			want:   []string{"blobs of", "blobs of", "copy"},
		},
		"nothing, forced": {change: func(q *Request) { q.Force = true }, want: []string{"blobs of", "blobs of", "blobs of"}},
		"one image, by digest": {
			lost:   func(r *registry) []ocispec.Descriptor { return []ocispec.Descriptor{r.arm64} },
			change: func(q *Request) { q.Tags = nil },
			want:   []string{"copy"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			if _, err := r.run(t, request(t, "from.example.com/app:1", "to.example.com/app:1", nil)); err != nil {
				t.Fatal(err)
			}
			if tt.lost != nil {
				for _, d := range tt.lost(r) {
					delete(r.Manifests, "to.example.com/app@"+d.Digest.String())
				}
			}
			if tt.gone != nil {
				delete(r.Manifests, "from.example.com/app@"+tt.gone(r).Digest.String())
			}
			r.Log = nil
			q := request(t, "from.example.com/app:1", "to.example.com/app:1", tt.change)
			plan, err := Plan(t.Context(), r.Registry, r.report, q)
			copies := len(slices.DeleteFunc(slices.Clone(tt.want), func(line string) bool { return line != "copy" }))
			if err != nil || plan.Missing.Manifests != copies || len(r.writes()) > 0 {
				t.Errorf("got plan %+v, error %v and writes %q, want %d missing manifests", plan, err, r.writes(), copies)
			}
			got, err := r.run(t, q)
			if err != nil || len(got) != 1 || len(got[0].Children) != copies {
				t.Errorf("got %+v, error %v, want %d children", got, err, copies)
			}
			writes := r.writes()
			slices.Sort(writes)
			if !slices.EqualFunc(writes, tt.want, strings.HasPrefix) {
				t.Errorf("got writes %q, want %q", writes, tt.want)
			}
			for _, d := range []ocispec.Descriptor{r.amd64, r.arm64, r.attestation} {
				if r.Manifests["to.example.com/app@"+d.Digest.String()] == nil {
					t.Errorf("the target lacks %s", d.Digest)
				}
			}
			if lacks := fmt.Sprintf("but lacks %d of the manifests", copies); strings.Contains(fmt.Sprint(r.report.Notes), lacks) != (copies > 0) {
				t.Errorf("got notes %q, want %q in them: %t", r.report.Notes, lacks, copies > 0)
			}
		})
	}
}

// The target's indexes below an index are read: one that is missing is written after its images, and images that one lists
// may be missing.
func TestImportRepairsNestedIndexes(t *testing.T) {
	for name, lost := range map[string]func(r *registry) []digest.Digest{
		"an image below an index": func(r *registry) []digest.Digest { return []digest.Digest{r.arm64.Digest} },
		"an index":                func(r *registry) []digest.Digest { return []digest.Digest{r.list.Digest} },
		"both":                    func(r *registry) []digest.Digest { return []digest.Digest{r.arm64.Digest, r.list.Digest} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.Index(t, "from.example.com/app:outer", ocispec.MediaTypeImageIndex, r.list)
			q := request(t, "from.example.com/app:outer", "to.example.com/app:1", nil)
			if _, err := r.run(t, q); err != nil {
				t.Fatal(err)
			}
			for _, d := range lost(r) {
				delete(r.Manifests, "to.example.com/app@"+d.String())
			}
			if _, err := r.run(t, q); err != nil {
				t.Fatal(err)
			}
			for _, d := range lost(r) {
				if r.Manifests["to.example.com/app@"+d.String()] == nil {
					t.Errorf("the target lacks %s", d)
				}
			}
			r.Log = nil
			if _, err := r.run(t, q); err != nil || len(r.writes()) > 0 {
				t.Errorf("again: got error %v and writes %q, want none", err, r.writes())
			}
		})
	}
}

// Whether the target has a child must be known before an import calls it complete.
func TestImportFailsWhereAChildIsUnknown(t *testing.T) {
	r := newRegistry(t)
	q := request(t, "from.example.com/app:1", "to.example.com/app:1", nil)
	if _, err := r.run(t, q); err != nil {
		t.Fatal(err)
	}
	r.Errs["to.example.com/app@"+r.arm64.Digest.String()] = fmt.Errorf("unavailable")
	got, err := r.run(t, q)
	if err == nil || len(got) > 0 || !strings.Contains(err.Error(), "checking what to.example.com/app has of "+r.list.Digest.String()) {
		t.Errorf("got %v and error %v, want one that says what was checked", got, err)
	}
}

// With Force, referrers that the target has are checked down to their blobs, and manifests below them are copied.
func TestImportRepairsReferrers(t *testing.T) {
	r := newRegistry(t)
	signature := r.referrer(t, r.list.Digest, "a/b")
	q := request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) { q.Referrers = true })
	if _, err := r.run(t, q); err != nil {
		t.Fatal(err)
	}
	q.Force, r.Log = true, nil
	if _, err := r.run(t, q); err != nil || len(r.writes()) != 4 {
		t.Errorf("got error %v and writes %q, want the blobs of three children and a referrer checked", err, r.writes())
	}
	delete(r.Manifests, "to.example.com/app@"+signature.String())
	q.Force = false
	if _, err := r.run(t, q); err != nil || r.Manifests["to.example.com/app@"+signature.String()] == nil {
		t.Errorf("got error %v, want the referrer copied again", err)
	}
}

// Without the referrers API, manifests with a subject below an index are listed under the referrers tags, also without
// Referrers, except those that are imported with that tag itself.
func TestImportKeepsReferrersTags(t *testing.T) {
	for _, allTags := range []bool{false, true} {
		t.Run(fmt.Sprint("AllTags=", allTags), func(t *testing.T) {
			r := newRegistry(t)
			r.NoReferrers = true
			signature := r.referrer(t, r.amd64.Digest, "a/b")
			size := int64(len(r.Manifests["from.example.com/app@"+signature.String()]))
			entry := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: signature, Size: size}
			tag := manifest.ReferrersTag(r.amd64.Digest)
			r.Index(t, "from.example.com/app:2", ocispec.MediaTypeImageIndex, r.amd64, entry)
			theirs := r.Index(t, "from.example.com/app:"+tag, ocispec.MediaTypeImageIndex, entry)
			q := request(t, "from.example.com/app:2", "to.example.com/app:2", nil)
			if allTags {
				q = Request{Source: reference.TrimNamed(q.Source), Target: reference.TrimNamed(q.Target), AllTags: true}
			}
			if _, err := r.run(t, q); err != nil || len(r.report.Warnings) > 0 {
				t.Fatalf("got error %v and warnings %q, want none", err, r.report.Warnings)
			}
			index, err := manifest.TaggedReferrers(t.Context(), r, manifest.AtDigest(q.Target, r.amd64.Digest))
			if err != nil || len(index.Manifests) != 1 || index.Manifests[0].Digest != signature {
				t.Errorf("got referrers %v, error %v, want %s", index.Manifests, err, signature)
			}
			if same := digest.FromBytes(r.Manifests["to.example.com/app:"+tag]) == theirs.Digest; same != allTags {
				t.Errorf("got the index of the source under the referrers tag: %t, want %t", same, allTags)
			}
		})
	}
}

// The referrers tag of an artifact that is itself imported is kept, and so is that of one that is tagged in another
// repository.
func TestArtifactsAreListed(t *testing.T) {
	r := newRegistry(t)
	r.NoReferrers = true
	signature := r.referrer(t, r.amd64.Digest, "a/b")
	r.Manifests["from.example.com/app:sig"] = r.Manifests["from.example.com/app@"+signature.String()]
	if _, err := r.run(t, request(t, "from.example.com/app:sig", "to.example.com/app:sig", nil)); err != nil {
		t.Fatal(err)
	}
	other := fakes.ListName(t, "from.example.com/other:sig")
	if _, err := Tag(t.Context(), r.Registry, r.report, fakes.Named(t, "from.example.com/app:sig"), []reference.NamedTagged{other}, manifest.Condition{}); err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{"to.example.com/app", "from.example.com/other"} {
		index, err := manifest.TaggedReferrers(t.Context(), r, manifest.AtDigest(fakes.Named(t, repo), r.amd64.Digest))
		if err != nil || len(index.Manifests) != 1 || index.Manifests[0].Digest != signature || index.Manifests[0].ArtifactType != "a/b" {
			t.Errorf("%s: got referrers %v, error %v, want %s", repo, index.Manifests, err, signature)
		}
	}
}
