package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// shop is a registry with a list of two platforms and their attestations under from.example.com/app:1, and
// what a person asks of it.
type shop struct {
	*fakes.Registry
	said                      *fakes.Reporter
	amd64, arm64, attestation ocispec.Descriptor
	list                      ocispec.Descriptor
}

func newShop(t *testing.T) *shop {
	m := fakes.NewRegistry()
	s := &shop{Registry: m, said: &fakes.Reporter{}}
	s.amd64 = m.Image(t, "from.example.com/app:amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	s.arm64 = m.Image(t, "from.example.com/app:arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	s.attestation = m.Attestation(t, "from.example.com/app:att", s.amd64.Digest)
	s.list = m.Index(t, "from.example.com/app:1", ocispec.MediaTypeImageIndex, s.amd64, s.arm64, s.attestation)
	m.Log = nil
	return s
}

// order returns an Import of a source as the command makes it.
func order(t *testing.T, source, target string, change func(*Import)) Import {
	t.Helper()
	i := Import{Source: fakes.Named(t, source), Target: fakes.Named(t, target)}
	if tag, ok := i.Target.(reference.NamedTagged); ok {
		i.Tags = []reference.NamedTagged{tag}
	}
	if change != nil {
		change(&i)
	}
	return i
}

func (s *shop) run(t *testing.T, i Import) ([]Imported, error) {
	t.Helper()
	return RunImport(t.Context(), manifest.Access{Registry: s.Registry, Notes: s.said}, i)
}

// has returns the names under a repository, tags alone.
func (s *shop) tags(t *testing.T, repo string) []string {
	t.Helper()
	tags, err := s.Tags(t.Context(), reference.TrimNamed(fakes.Named(t, repo)))
	if err != nil && !errdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	return tags
}

// All that is below is there before the tag is put, once; the digest stays.
func TestImportList(t *testing.T) {
	s := newShop(t)
	done, err := s.run(t, order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) {
		i.Tags = append(i.Tags, fakes.ListName(t, "to.example.com/app:latest"))
	}))
	if err != nil || len(done) != 1 || done[0].Descriptor.Digest != s.list.Digest || len(done[0].Children) != 3 {
		t.Fatalf("%v, %v", done, err)
	}
	last := s.Log[len(s.Log)-2:]
	if want := []string{"put to.example.com/app:1", "put to.example.com/app:latest"}; !slices.Equal(last, want) {
		t.Errorf("%q", s.Log)
	}
	if n := strings.Count(strings.Join(s.Log, "\n"), "copy "); n != 3 {
		t.Errorf("%d copies: %q", n, s.Log)
	}
	if got := strings.Count(fmt.Sprint(s.Prefetched), "image "); got != 3 {
		t.Errorf("prefetched: got %q, want 3 images", s.Prefetched)
	}
	s.Log = nil
	done, err = s.run(t, order(t, "from.example.com/app:1", "to.example.com/app:1", nil))
	if err != nil || done[0].Descriptor.Digest != s.list.Digest || len(s.Log) != 2 || !strings.Contains(fmt.Sprint(s.said.Notes), "up to date") {
		t.Errorf("%v, %v, %q, %q", done, err, s.Log, s.said.Notes)
	}
}

func TestImportImage(t *testing.T) {
	s := newShop(t)
	done, err := s.run(t, order(t, "from.example.com/app:amd64", "to.example.com/app:x", nil))
	want := []string{"blobs of from.example.com/app:amd64 to to.example.com/app", "fetch to.example.com/app:x", "put to.example.com/app:x"}
	if err != nil || done[0].Descriptor.Digest != s.amd64.Digest || !slices.Equal(s.Log[len(s.Log)-3:], want) {
		t.Errorf("%v, %v, %q", done, err, s.Log)
	}
	bare := order(t, "from.example.com/app@"+s.list.Digest.String(), "to.example.com/app:x", func(i *Import) { i.Tags = nil })
	done, err = s.run(t, bare)
	if err != nil || done[0].Name.String() != "to.example.com/app@"+s.list.Digest.String() || !slices.Equal(s.tags(t, "to.example.com/app"), []string{"x"}) {
		t.Errorf("%v, %v", done, err)
	}
	s.Log = nil
	if _, err = s.run(t, bare); err != nil || len(s.Log) != 2 {
		t.Errorf("%v, %q", err, s.Log)
	}
}

func TestImportNestedIndex(t *testing.T) {
	s := newShop(t)
	outer := s.Index(t, "from.example.com/app:outer", ocispec.MediaTypeImageIndex, s.list, s.arm64)
	s.Log = nil
	if _, err := s.run(t, order(t, "from.example.com/app:outer", "to.example.com/app:1", nil)); err != nil {
		t.Fatal(err)
	}
	want := []string{"put to.example.com/app@" + s.list.Digest.String(), "fetch to.example.com/app:1", "put to.example.com/app:1"}
	if got := s.Log[len(s.Log)-3:]; !slices.Equal(got, want) || s.Manifests["to.example.com/app@"+outer.Digest.String()] == nil {
		t.Errorf("%q", got)
	}
}

// Whatever is wrong with the source, or with a name of the target, is told before anything is written.
func TestImportRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(*shop)
		change  func(*Import)
		is      func(error) bool
		words   []string
	}{
		"no source": {func(s *shop) { delete(s.Manifests, "from.example.com/app:1") }, nil, errdefs.IsNotFound, []string{"importing from.example.com/app:1"}},
		"sparse": {func(s *shop) { delete(s.Manifests, "from.example.com/app@"+s.arm64.Digest.String()) }, nil, errdefs.IsFailedPrecondition,
			[]string{"not complete", "lacks linux/arm64 sha256:", "--platform"}},
		"without an attestation": {func(s *shop) { delete(s.Manifests, "from.example.com/app@"+s.attestation.Digest.String()) }, nil, errdefs.IsFailedPrecondition,
			[]string{"lacks the attestation sha256:"}},
		"child that cannot be read": {func(s *shop) {
			s.Errs["from.example.com/app@"+s.arm64.Digest.String()] = manifest.Errorf(errdefs.ErrUnavailable, "out of order")
		}, nil, errdefs.IsUnavailable, []string{"reading a child of the index sha256:", "out of order"}},
		"wrong size": {func(s *shop) {
			small := s.arm64
			small.Size--
			raw, _ := manifest.MarshalIndex(ocispec.MediaTypeImageIndex, []ocispec.Descriptor{small}, nil)
			s.Manifests["from.example.com/app:1"] = raw
			s.Types[digest.FromBytes(raw)] = ocispec.MediaTypeImageIndex
		}, nil, errdefs.IsDataLoss, []string{"bytes, but it has"}},
		"no such platform": {nil, func(i *Import) { i.Platforms, _ = manifest.ParsePlatforms([]string{"linux/amd64", "linux/s390x"}) }, errdefs.IsNotFound,
			[]string{"nothing for linux/s390x", "linux/amd64 and linux/arm64"}},
		"image of another platform": {nil, func(i *Import) {
			i.Source, _ = manifest.ParseName("from.example.com/app:arm64")
			i.Platforms, _ = manifest.ParsePlatforms([]string{"linux/amd64"})
		}, errdefs.IsNotFound, []string{"nothing for linux/amd64", "there is linux/arm64"}},
		"tag of another image": {func(s *shop) { s.Manifests["to.example.com/app:1"] = s.Manifests["from.example.com/app:amd64"] }, nil, errdefs.IsAlreadyExists,
			[]string{"to.example.com/app:1 is sha256:", "--force"}},
		"target that may not be seen": {func(s *shop) {
			s.Errs["to.example.com/app:1"] = manifest.Errorf(errdefs.ErrPermissionDenied, "denied")
		}, nil, errdefs.IsPermissionDenied, nil},
		"target out of order": {func(s *shop) {
			s.Errs["to.example.com/app:1"] = manifest.Errorf(errdefs.ErrUnavailable, "out of order")
		}, func(i *Import) { i.Force = true }, errdefs.IsUnavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			before := maps.Clone(s.Manifests)
			done, err := s.run(t, order(t, "from.example.com/app:1", "to.example.com/app:1", tt.change))
			if len(done) != 0 || !tt.is(err) {
				t.Errorf("%v, %v", done, err)
			}
			for _, word := range tt.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is missing in %v", word, err)
				}
			}
			if len(s.Manifests) != len(before) || strings.Contains(fmt.Sprint(s.Log), "copy ") || strings.Contains(fmt.Sprint(s.Log), "put ") {
				t.Errorf("written: %q", s.Log)
			}
		})
	}
}

func TestImportForce(t *testing.T) {
	s := newShop(t)
	s.Manifests["to.example.com/app:1"] = s.Manifests["from.example.com/app:amd64"]
	s.Errs["to.example.com/app:2"] = manifest.Errorf(errdefs.ErrUnauthenticated, "unauthorized")
	_, err := s.run(t, order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) {
		i.Force = true
		i.Tags = append(i.Tags, fakes.ListName(t, "to.example.com/app:2"))
	}))
	got := strings.Join(s.Log, "\n")
	if err != nil || !strings.Contains(got, "to to.example.com/app:1") || digest.FromBytes(s.Manifests["to.example.com/app:1"]) != s.list.Digest {
		t.Errorf("%v\n%s", err, got)
	}
}

// An index with less platforms is the same, byte for byte, less the others and their attestations.
func TestImportPlatforms(t *testing.T) {
	s := newShop(t)
	lost := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("lost"), Size: 4, Platform: &ocispec.Platform{OS: "windows", Architecture: "amd64"}}
	children := []ocispec.Descriptor{lost, s.amd64, s.arm64, s.attestation}
	var texts []string
	for _, c := range children {
		raw, _ := json.Marshal(c)
		texts = append(texts, string(raw))
	}
	text := func(children ...string) []byte {
		return fmt.Appendf(nil, "{ \"annotations\":{\"z\":\"1\",\"a\":\"2\"},\n\t\"manifests\" : [ %s ],\"x\":[1], \"mediaType\":%q,\"schemaVersion\":2}\n",
			strings.Join(children, " ,\n"), ocispec.MediaTypeImageIndex)
	}
	s.Store(fakes.Named(t, "from.example.com/app:odd"), ocispec.MediaTypeImageIndex, text(texts...))
	for platforms, want := range map[string][]byte{
		"linux/amd64":             text(texts[1], texts[3]),
		"linux/arm64":             text(texts[2]),
		"linux/arm64,linux/amd64": text(texts[1:]...),
	} {
		done, err := s.run(t, order(t, "from.example.com/app:odd", "to.example.com/app:1", func(i *Import) {
			i.Force = true
			i.Platforms, _ = manifest.ParsePlatforms(strings.Split(platforms, ","))
		}))
		if err != nil || string(s.Manifests["to.example.com/app:1"]) != string(want) || done[0].Descriptor.Digest != digest.FromBytes(want) {
			t.Errorf("%s: %v\n%s\n%s", platforms, err, s.Manifests["to.example.com/app:1"], want)
		}
	}
	if said := fmt.Sprint(s.said.Notes); !strings.Contains(said, "less the other platforms it is sha256:") {
		t.Error(said)
	}
	s.Log = nil
	done, err := s.run(t, order(t, "from.example.com/app:amd64", "to.example.com/app:amd64", func(i *Import) {
		i.Platforms, _ = manifest.ParsePlatforms([]string{"linux/amd64"})
	}))
	if err != nil || done[0].Descriptor.Digest != s.amd64.Digest {
		t.Errorf("%v, %v", done, err)
	}
}

func TestImportPlatformsOfOddIndexes(t *testing.T) {
	s := newShop(t)
	bare := s.arm64
	bare.Platform = nil
	other := ocispec.Descriptor{MediaType: "application/x", Digest: digest.FromString("x"), Size: 1}
	raw := fmt.Appendf(nil, `{"manifests":[{"mediaType":%q,"digest":%q,"size":%d},{"mediaType":%q,"digest":%q,"size":1}]}`,
		bare.MediaType, bare.Digest, bare.Size, other.MediaType, other.Digest)
	s.Store(fakes.Named(t, "from.example.com/app:bare"), ocispec.MediaTypeImageIndex, raw)
	nested := fmt.Appendf(nil, `{"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, ocispec.MediaTypeImageIndex, s.list.Digest, s.list.Size)
	s.Store(fakes.Named(t, "from.example.com/app:nested"), ocispec.MediaTypeImageIndex, nested)
	twice := slices.Concat([]byte(`{"Manifests":[{"digest":"`+other.Digest.String()+`"}],`), raw[1:])
	s.Store(fakes.Named(t, "from.example.com/app:twice"), ocispec.MediaTypeImageIndex, twice)
	for tag, want := range map[string]string{"bare": "", "nested": "lists another index", "twice": "2 lists of manifests"} {
		_, err := s.run(t, order(t, "from.example.com/app:"+tag, "to.example.com/app:"+tag, func(i *Import) {
			i.Platforms, _ = manifest.ParsePlatforms([]string{"linux/arm64"})
		}))
		if want == "" && err != nil || want != "" && (!errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", tag, err)
		}
	}
	want := fmt.Sprintf(`{"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, bare.MediaType, bare.Digest, bare.Size)
	if got := string(s.Manifests["to.example.com/app:bare"]); got != want {
		t.Errorf("got %s", got)
	}
}

func TestImportAllTags(t *testing.T) {
	s := newShop(t)
	s.Manifests["to.example.com/app:arm64"] = s.Manifests["from.example.com/app:amd64"]
	all := func(filters ...string) Import {
		return Import{
			Source: reference.TrimNamed(fakes.Named(t, "from.example.com/app")), Target: reference.TrimNamed(fakes.Named(t, "to.example.com/app")),
			AllTags: true, Filters: fakes.Patterns(t, filters...),
		}
	}
	done, err := s.run(t, all("a??64", "1"))
	if !errdefs.IsAlreadyExists(err) || !strings.Contains(err.Error(), "importing from.example.com/app:arm64: to.example.com/app:arm64 is") {
		t.Error(err)
	}
	if got := s.tags(t, "to.example.com/app"); len(done) != 2 || !slices.Equal(got, []string{"1", "amd64", "arm64"}) {
		t.Errorf("%v, %v", done, got)
	}
	if _, err := s.run(t, all("x*")); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "4 tags, none of which is asked for") {
		t.Error(err)
	}
	none := all()
	none.Source = reference.TrimNamed(fakes.Named(t, "from.example.com/none"))
	if _, err := s.run(t, none); !errdefs.IsNotFound(err) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := RunImport(ctx, manifest.Access{Registry: s.Registry, Notes: s.said}, all()); !errdefs.IsCanceled(err) {
		t.Error(err)
	}
}

// referrer puts something that refers to a subject and returns its digest.
func (s *shop) referrer(t *testing.T, subject digest.Digest, kind string) digest.Digest {
	t.Helper()
	config := digest.FromString("{}")
	s.Blobs[config] = []byte("{}")
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[],"subject":{"digest":%q,"size":1}}`,
		ocispec.MediaTypeImageManifest, kind, config, subject)
	d := digest.FromBytes(raw)
	return s.Store(fakes.Named(t, "from.example.com/app@"+d.String()), ocispec.MediaTypeImageManifest, raw)
}

// Signatures of the list, of an image, and of a signature come along, and those of cosign's tags.
func TestImportReferrers(t *testing.T) {
	for _, without := range []bool{false, true} {
		t.Run(fmt.Sprint("without API ", without), func(t *testing.T) {
			s := newShop(t)
			ofList, ofImage := s.referrer(t, s.list.Digest, "a/list"), s.referrer(t, s.amd64.Digest, "a/image")
			ofReferrer := s.referrer(t, ofImage, "a/referrer")
			cosign := s.referrer(t, digest.FromString("nothing"), "a/cosign")
			s.Manifests["from.example.com/app:"+manifest.ReferrersTag(s.arm64.Digest)+".sig"] = s.Manifests["from.example.com/app@"+cosign.String()]
			old := ocispec.Descriptor{MediaType: "a/old", Digest: digest.FromString("old"), Size: 1}
			if s.NoReferrers = without; without {
				for subject, d := range map[digest.Digest]digest.Digest{s.list.Digest: ofList, s.amd64.Digest: ofImage, ofImage: ofReferrer} {
					s.Index(t, "from.example.com/app:"+manifest.ReferrersTag(subject), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: d})
				}
				s.Index(t, "to.example.com/app:"+manifest.ReferrersTag(s.list.Digest), ocispec.MediaTypeImageIndex, old)
			}
			i := order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) { i.Referrers = true })
			if _, err := s.run(t, i); err != nil {
				t.Fatal(err)
			}
			for _, d := range []digest.Digest{ofList, ofImage, ofReferrer, cosign} {
				if s.Manifests["to.example.com/app@"+d.String()] == nil {
					t.Errorf("%s is not there", d)
				}
			}
			if s.Log[len(s.Log)-1] != "put to.example.com/app:1" {
				t.Errorf("%q", s.Log)
			}
			for subject, want := range map[digest.Digest][]digest.Digest{s.list.Digest: {old.Digest, ofList}, s.amd64.Digest: {ofImage}, ofImage: {ofReferrer}} {
				got, err := manifest.Referrers(t.Context(), s, manifest.AtDigest(i.Target, subject))
				if !without {
					want = slices.DeleteFunc(want, func(d digest.Digest) bool { return d == old.Digest })
				}
				if err != nil || !slices.EqualFunc(got, want, func(d ocispec.Descriptor, w digest.Digest) bool { return d.Digest == w }) {
					t.Errorf("%s: %v, %v", subject, got, err)
				}
			}
			if said := fmt.Sprint(s.said.Notes, s.said.Warnings); !strings.Contains(said, "4 referrers and cosign tags, 4 of which are new") {
				t.Error(said)
			}
			s.Log = nil
			if _, err := s.run(t, i); err != nil || strings.Contains(fmt.Sprint(s.Log), "put ") || strings.Contains(fmt.Sprint(s.Log), "copy ") {
				t.Errorf("%v, %q", err, s.Log)
			}
		})
	}
}

// What is listed, but is not there or does not refer to the subject, is told and left out; a tag of cosign
// that names something else stays.
func TestImportOddReferrers(t *testing.T) {
	s := newShop(t)
	s.NoReferrers = true
	gone := ocispec.Descriptor{Digest: digest.FromString("gone"), Size: 1}
	s.Index(t, "from.example.com/app:"+manifest.ReferrersTag(s.list.Digest), ocispec.MediaTypeImageIndex, gone, ocispec.Descriptor{Digest: s.amd64.Digest})
	cosign := manifest.ReferrersTag(s.list.Digest) + ".sig"
	s.Manifests["from.example.com/app:"+cosign] = s.Manifests["from.example.com/app:amd64"]
	s.Manifests["to.example.com/app:"+cosign] = s.Manifests["from.example.com/app:arm64"]
	i := order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) { i.Referrers = true })
	_, err := s.run(t, i)
	said := fmt.Sprint(s.said.Warnings)
	for _, word := range []string{gone.Digest.String(), "is not there: left out", "but does not: left out", "it stays; --force moves it"} {
		if err != nil || !strings.Contains(said, word) {
			t.Errorf("%q is missing: %s, %v", word, said, err)
		}
	}
	i.Force = true
	if _, err := s.run(t, i); err != nil || digest.FromBytes(s.Manifests["to.example.com/app:"+cosign]) != s.amd64.Digest {
		t.Error(err)
	}
	s.Store(fakes.Named(t, "to.example.com/app:"+manifest.ReferrersTag(s.amd64.Digest)), ocispec.MediaTypeImageManifest, s.Manifests["from.example.com/app:amd64"])
	s.Index(t, "from.example.com/app:"+manifest.ReferrersTag(s.amd64.Digest), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: s.referrer(t, s.amd64.Digest, "a/b")})
	if _, err := s.run(t, i); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "is no index") {
		t.Error(err)
	}
}

// racing is a registry that forgets the first referrers index that is put, as when somebody else puts theirs
// at the same time.
type racing struct {
	*fakes.Registry
	once sync.Once
}

func (r *racing) Put(ctx context.Context, ref reference.Named, c manifest.Content, tags ...string) error {
	err := r.Registry.Put(ctx, ref, c, tags...)
	if tag, ok := ref.(reference.NamedTagged); ok && isDigestTag(tag.Tag()) {
		r.once.Do(func() {
			r.Mu.Lock()
			defer r.Mu.Unlock()
			delete(r.Manifests, ref.String())
		})
	}
	return err
}

func TestImportListsReferrersAgain(t *testing.T) {
	s := newShop(t)
	s.NoReferrers = true
	d := s.referrer(t, s.list.Digest, "a/b")
	s.Index(t, "from.example.com/app:"+manifest.ReferrersTag(s.list.Digest), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: d})
	i := order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) { i.Referrers = true })
	if _, err := RunImport(t.Context(), manifest.Access{Registry: &racing{Registry: s.Registry}, Notes: s.said}, i); err != nil {
		t.Fatal(err)
	}
	if got, err := manifest.Referrers(t.Context(), s, manifest.AtDigest(i.Target, s.list.Digest)); err != nil || len(got) != 1 || got[0].ArtifactType != "a/b" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPlanImport(t *testing.T) {
	s := newShop(t)
	i := order(t, "from.example.com/app:1", "to.example.com/app:1", nil)
	before := maps.Clone(s.Manifests)
	plan, err := PlanImport(t.Context(), manifest.Access{Registry: s.Registry, Notes: s.said}, i)
	if err != nil || plan.Missing.Manifests != 4 || plan.Present.Blobs != 3 || plan.Images[0].Descriptor.Digest != s.list.Digest || len(plan.Tags) != 1 || plan.Mounted {
		t.Errorf("%+v, %v", plan, err)
	}
	if !maps.EqualFunc(before, s.Manifests, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Error("written")
	}
	if _, err := s.run(t, i); err != nil {
		t.Fatal(err)
	}
	plan, err = PlanImport(t.Context(), manifest.Access{Registry: s.Registry, Notes: s.said}, i)
	if err != nil || plan.Missing != (Cargo{}) || plan.Present != (Cargo{}) || len(plan.Tags) != 0 {
		t.Errorf("%+v, %v", plan, err)
	}
}

func TestTagRemote(t *testing.T) {
	s := newShop(t)
	tag := func(targets ...string) error {
		var names []reference.NamedTagged
		for _, n := range targets {
			names = append(names, fakes.ListName(t, n))
		}
		s.Log = nil
		d, err := TagRemote(t.Context(), manifest.Access{Registry: s.Registry, Notes: s.said}, fakes.Named(t, "from.example.com/app:1"), names)
		if err == nil && d.Digest != s.list.Digest {
			t.Errorf("%s", d.Digest)
		}
		return err
	}
	if err := tag("from.example.com/app:2", "from.example.com/app:amd64"); err != nil || len(s.Log) != 3 {
		t.Errorf("%v, %q", err, s.Log)
	}
	if err := tag("from.example.com/other:2"); err != nil || s.Manifests["from.example.com/other@"+s.attestation.Digest.String()] == nil || s.Log[len(s.Log)-1] != "put from.example.com/other:2" {
		t.Errorf("%v, %q", err, s.Log)
	}
	err := tag("from.example.com/app:3", "to.example.com/app:3")
	if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "'docker multiarch import from.example.com/app:1 to.example.com/app:3'") || len(s.Log) != 0 {
		t.Errorf("%v, %q", err, s.Log)
	}
}

// rival puts a tag of the target while an import brings what is below it.
type rival struct {
	*fakes.Registry
	tag reference.Named
	raw []byte
}

func (r rival) Copy(ctx context.Context, from reference.Named, c manifest.Content, to reference.Named) error {
	r.Mu.Lock()
	r.Store(r.tag, ocispec.MediaTypeImageIndex, r.raw)
	r.Mu.Unlock()
	return r.Registry.Copy(ctx, from, c, to)
}

// A tag that somebody else puts meanwhile is theirs, unless tags may be moved; the same content is nobody's.
func TestImportMeetsARival(t *testing.T) {
	for name, tt := range map[string]struct {
		force, same bool
	}{"another image": {}, "forced": {force: true}, "the same image": {same: true}} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			theirs := []byte(`{"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[]}`)
			if tt.same {
				theirs = s.Manifests["from.example.com/app:1"]
			}
			i := order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) { i.Force = tt.force })
			_, err := RunImport(t.Context(), manifest.Access{Registry: rival{s.Registry, i.Target, theirs}, Notes: s.said}, i)
			refused := !tt.force && !tt.same
			if refused != errdefs.IsAlreadyExists(err) || !refused && err != nil {
				t.Error(err)
			}
			if now := s.Manifests["to.example.com/app:1"]; (digest.FromBytes(now) == s.list.Digest) == refused {
				t.Errorf("the tag is %s", now)
			}
		})
	}
}

func isDigestTag(tag string) bool {
	_, ok := manifest.CutDigestTag(tag)
	return ok
}
