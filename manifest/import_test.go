package manifest

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
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// shop is a registry with a list of two platforms and their attestations under from.example.com/app:1, and
// what a person asks of it.
type shop struct {
	*memory
	said                      *said
	amd64, arm64, attestation ocispec.Descriptor
	list                      ocispec.Descriptor
}

func newShop(t *testing.T) *shop {
	m := newMemory()
	s := &shop{memory: m, said: &said{}}
	s.amd64 = m.image(t, "from.example.com/app:amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	s.arm64 = m.image(t, "from.example.com/app:arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	s.attestation = m.attestation(t, "from.example.com/app:att", s.amd64.Digest)
	s.list = m.index(t, "from.example.com/app:1", ocispec.MediaTypeImageIndex, s.amd64, s.arm64, s.attestation)
	m.log = nil
	return s
}

// order returns an Import of a source as the command makes it.
func order(t *testing.T, source, target string, change func(*Import)) Import {
	t.Helper()
	i := Import{Source: named(t, source), Target: named(t, target)}
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
	return RunImport(t.Context(), Access{Registry: s.memory, Notes: s.said}, i)
}

// has returns the names under a repository, tags alone.
func (s *shop) tags(t *testing.T, repo string) []string {
	t.Helper()
	tags, err := s.Tags(t.Context(), reference.TrimNamed(named(t, repo)))
	if err != nil && !errdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	return tags
}

// All that is below is there before the tag is put, once; the digest stays.
func TestImportList(t *testing.T) {
	s := newShop(t)
	done, err := s.run(t, order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) {
		i.Tags = append(i.Tags, listName(t, "to.example.com/app:latest"))
	}))
	if err != nil || len(done) != 1 || done[0].Descriptor.Digest != s.list.Digest || len(done[0].Children) != 3 {
		t.Fatalf("%v, %v", done, err)
	}
	last := s.log[len(s.log)-2:]
	if want := []string{"put to.example.com/app:1", "put to.example.com/app:latest"}; !slices.Equal(last, want) {
		t.Errorf("%q", s.log)
	}
	if n := strings.Count(strings.Join(s.log, "\n"), "copy "); n != 3 {
		t.Errorf("%d copies: %q", n, s.log)
	}
	if got := strings.Count(fmt.Sprint(s.expected), "image "); got != 3 {
		t.Errorf("%q", s.expected)
	}
	s.log = nil
	done, err = s.run(t, order(t, "from.example.com/app:1", "to.example.com/app:1", nil))
	if err != nil || done[0].Descriptor.Digest != s.list.Digest || len(s.log) != 2 || !strings.Contains(fmt.Sprint(s.said.notes), "up to date") {
		t.Errorf("%v, %v, %q, %q", done, err, s.log, s.said.notes)
	}
}

func TestImportImage(t *testing.T) {
	s := newShop(t)
	done, err := s.run(t, order(t, "from.example.com/app:amd64", "to.example.com/app:x", nil))
	want := []string{"blobs of from.example.com/app:amd64 to to.example.com/app", "fetch to.example.com/app:x", "put to.example.com/app:x"}
	if err != nil || done[0].Descriptor.Digest != s.amd64.Digest || !slices.Equal(s.log[len(s.log)-3:], want) {
		t.Errorf("%v, %v, %q", done, err, s.log)
	}
	bare := order(t, "from.example.com/app@"+s.list.Digest.String(), "to.example.com/app:x", func(i *Import) { i.Tags = nil })
	done, err = s.run(t, bare)
	if err != nil || done[0].Name.String() != "to.example.com/app@"+s.list.Digest.String() || !slices.Equal(s.tags(t, "to.example.com/app"), []string{"x"}) {
		t.Errorf("%v, %v", done, err)
	}
	s.log = nil
	if _, err = s.run(t, bare); err != nil || len(s.log) != 2 {
		t.Errorf("%v, %q", err, s.log)
	}
}

func TestImportNestedIndex(t *testing.T) {
	s := newShop(t)
	outer := s.index(t, "from.example.com/app:outer", ocispec.MediaTypeImageIndex, s.list, s.arm64)
	s.log = nil
	if _, err := s.run(t, order(t, "from.example.com/app:outer", "to.example.com/app:1", nil)); err != nil {
		t.Fatal(err)
	}
	want := []string{"put to.example.com/app@" + s.list.Digest.String(), "fetch to.example.com/app:1", "put to.example.com/app:1"}
	if got := s.log[len(s.log)-3:]; !slices.Equal(got, want) || s.manifests["to.example.com/app@"+outer.Digest.String()] == nil {
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
		"no source": {func(s *shop) { delete(s.manifests, "from.example.com/app:1") }, nil, errdefs.IsNotFound, []string{"importing from.example.com/app:1"}},
		"sparse": {func(s *shop) { delete(s.manifests, "from.example.com/app@"+s.arm64.Digest.String()) }, nil, errdefs.IsFailedPrecondition,
			[]string{"not complete", "lacks linux/arm64 sha256:", "--platform"}},
		"without an attestation": {func(s *shop) { delete(s.manifests, "from.example.com/app@"+s.attestation.Digest.String()) }, nil, errdefs.IsFailedPrecondition,
			[]string{"lacks the attestation sha256:"}},
		"child that cannot be read": {func(s *shop) {
			s.errs["from.example.com/app@"+s.arm64.Digest.String()] = Errorf(errdefs.ErrUnavailable, "out of order")
		}, nil, errdefs.IsUnavailable, []string{"reading a child of the index sha256:", "out of order"}},
		"wrong size": {func(s *shop) {
			small := s.arm64
			small.Size--
			raw, _ := MarshalIndex(ocispec.MediaTypeImageIndex, []ocispec.Descriptor{small}, nil)
			s.manifests["from.example.com/app:1"] = raw
			s.types[digest.FromBytes(raw)] = ocispec.MediaTypeImageIndex
		}, nil, errdefs.IsDataLoss, []string{"bytes, but it has"}},
		"no such platform": {nil, func(i *Import) { i.Platforms, _ = ParsePlatforms([]string{"linux/amd64", "linux/s390x"}) }, errdefs.IsNotFound,
			[]string{"nothing for linux/s390x", "linux/amd64 and linux/arm64"}},
		"image of another platform": {nil, func(i *Import) {
			i.Source, _ = ParseName("from.example.com/app:arm64")
			i.Platforms, _ = ParsePlatforms([]string{"linux/amd64"})
		}, errdefs.IsNotFound, []string{"nothing for linux/amd64", "there is linux/arm64"}},
		"tag of another image": {func(s *shop) { s.manifests["to.example.com/app:1"] = s.manifests["from.example.com/app:amd64"] }, nil, errdefs.IsAlreadyExists,
			[]string{"to.example.com/app:1 is sha256:", "--force"}},
		"target that may not be seen": {func(s *shop) {
			s.errs["to.example.com/app:1"] = Errorf(errdefs.ErrPermissionDenied, "denied")
		}, nil, errdefs.IsPermissionDenied, nil},
		"target out of order": {func(s *shop) {
			s.errs["to.example.com/app:1"] = Errorf(errdefs.ErrUnavailable, "out of order")
		}, func(i *Import) { i.Force = true }, errdefs.IsUnavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			before := maps.Clone(s.manifests)
			done, err := s.run(t, order(t, "from.example.com/app:1", "to.example.com/app:1", tt.change))
			if len(done) != 0 || !tt.is(err) {
				t.Errorf("%v, %v", done, err)
			}
			for _, word := range tt.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is missing in %v", word, err)
				}
			}
			if len(s.manifests) != len(before) || strings.Contains(fmt.Sprint(s.log), "copy ") || strings.Contains(fmt.Sprint(s.log), "put ") {
				t.Errorf("written: %q", s.log)
			}
		})
	}
}

func TestImportForce(t *testing.T) {
	s := newShop(t)
	s.manifests["to.example.com/app:1"] = s.manifests["from.example.com/app:amd64"]
	s.errs["to.example.com/app:2"] = Errorf(errdefs.ErrUnauthenticated, "unauthorized")
	_, err := s.run(t, order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) {
		i.Force = true
		i.Tags = append(i.Tags, listName(t, "to.example.com/app:2"))
	}))
	got := strings.Join(s.log, "\n")
	if err != nil || !strings.Contains(got, "to to.example.com/app:1") || digest.FromBytes(s.manifests["to.example.com/app:1"]) != s.list.Digest {
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
	s.put(named(t, "from.example.com/app:odd"), ocispec.MediaTypeImageIndex, text(texts...))
	for platforms, want := range map[string][]byte{
		"linux/amd64":             text(texts[1], texts[3]),
		"linux/arm64":             text(texts[2]),
		"linux/arm64,linux/amd64": text(texts[1:]...),
	} {
		done, err := s.run(t, order(t, "from.example.com/app:odd", "to.example.com/app:1", func(i *Import) {
			i.Force = true
			i.Platforms, _ = ParsePlatforms(strings.Split(platforms, ","))
		}))
		if err != nil || string(s.manifests["to.example.com/app:1"]) != string(want) || done[0].Descriptor.Digest != digest.FromBytes(want) {
			t.Errorf("%s: %v\n%s\n%s", platforms, err, s.manifests["to.example.com/app:1"], want)
		}
	}
	if said := fmt.Sprint(s.said.notes); !strings.Contains(said, "less the other platforms it is sha256:") {
		t.Error(said)
	}
	s.log = nil
	done, err := s.run(t, order(t, "from.example.com/app:amd64", "to.example.com/app:amd64", func(i *Import) {
		i.Platforms, _ = ParsePlatforms([]string{"linux/amd64"})
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
	s.put(named(t, "from.example.com/app:bare"), ocispec.MediaTypeImageIndex, raw)
	nested := fmt.Appendf(nil, `{"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, ocispec.MediaTypeImageIndex, s.list.Digest, s.list.Size)
	s.put(named(t, "from.example.com/app:nested"), ocispec.MediaTypeImageIndex, nested)
	twice := slices.Concat([]byte(`{"Manifests":[{"digest":"`+other.Digest.String()+`"}],`), raw[1:])
	s.put(named(t, "from.example.com/app:twice"), ocispec.MediaTypeImageIndex, twice)
	for tag, want := range map[string]string{"bare": "", "nested": "lists another index", "twice": "2 lists of manifests"} {
		_, err := s.run(t, order(t, "from.example.com/app:"+tag, "to.example.com/app:"+tag, func(i *Import) {
			i.Platforms, _ = ParsePlatforms([]string{"linux/arm64"})
		}))
		if want == "" && err != nil || want != "" && (!errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", tag, err)
		}
	}
	want := fmt.Sprintf(`{"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, bare.MediaType, bare.Digest, bare.Size)
	if got := string(s.manifests["to.example.com/app:bare"]); got != want {
		t.Errorf("got %s", got)
	}
}

func TestImportAllTags(t *testing.T) {
	s := newShop(t)
	s.manifests["to.example.com/app:arm64"] = s.manifests["from.example.com/app:amd64"]
	all := func(filters ...string) Import {
		return Import{
			Source: reference.TrimNamed(named(t, "from.example.com/app")), Target: reference.TrimNamed(named(t, "to.example.com/app")),
			AllTags: true, Filters: patterns(t, filters...),
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
	none.Source = reference.TrimNamed(named(t, "from.example.com/none"))
	if _, err := s.run(t, none); !errdefs.IsNotFound(err) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := RunImport(ctx, Access{Registry: s.memory, Notes: s.said}, all()); !errdefs.IsCanceled(err) {
		t.Error(err)
	}
}

// referrer puts something that refers to a subject and returns its digest.
func (s *shop) referrer(t *testing.T, subject digest.Digest, kind string) digest.Digest {
	t.Helper()
	config := digest.FromString("{}")
	s.blobs[config] = []byte("{}")
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[],"subject":{"digest":%q,"size":1}}`,
		ocispec.MediaTypeImageManifest, kind, config, subject)
	d := digest.FromBytes(raw)
	return s.put(named(t, "from.example.com/app@"+d.String()), ocispec.MediaTypeImageManifest, raw)
}

// Signatures of the list, of an image, and of a signature come along, and those of cosign's tags.
func TestImportReferrers(t *testing.T) {
	for _, without := range []bool{false, true} {
		t.Run(fmt.Sprint("without API ", without), func(t *testing.T) {
			s := newShop(t)
			ofList, ofImage := s.referrer(t, s.list.Digest, "a/list"), s.referrer(t, s.amd64.Digest, "a/image")
			ofReferrer := s.referrer(t, ofImage, "a/referrer")
			cosign := s.referrer(t, digest.FromString("nothing"), "a/cosign")
			s.manifests["from.example.com/app:"+ReferrersTag(s.arm64.Digest)+".sig"] = s.manifests["from.example.com/app@"+cosign.String()]
			old := ocispec.Descriptor{MediaType: "a/old", Digest: digest.FromString("old"), Size: 1}
			if s.noReferrers = without; without {
				for subject, d := range map[digest.Digest]digest.Digest{s.list.Digest: ofList, s.amd64.Digest: ofImage, ofImage: ofReferrer} {
					s.index(t, "from.example.com/app:"+ReferrersTag(subject), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: d})
				}
				s.index(t, "to.example.com/app:"+ReferrersTag(s.list.Digest), ocispec.MediaTypeImageIndex, old)
			}
			i := order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) { i.Referrers = true })
			if _, err := s.run(t, i); err != nil {
				t.Fatal(err)
			}
			for _, d := range []digest.Digest{ofList, ofImage, ofReferrer, cosign} {
				if s.manifests["to.example.com/app@"+d.String()] == nil {
					t.Errorf("%s is not there", d)
				}
			}
			if s.log[len(s.log)-1] != "put to.example.com/app:1" {
				t.Errorf("%q", s.log)
			}
			for subject, want := range map[digest.Digest][]digest.Digest{s.list.Digest: {old.Digest, ofList}, s.amd64.Digest: {ofImage}, ofImage: {ofReferrer}} {
				got, err := Referrers(t.Context(), s, atDigest(i.Target, subject))
				if !without {
					want = slices.DeleteFunc(want, func(d digest.Digest) bool { return d == old.Digest })
				}
				if err != nil || !slices.EqualFunc(got, want, func(d ocispec.Descriptor, w digest.Digest) bool { return d.Digest == w }) {
					t.Errorf("%s: %v, %v", subject, got, err)
				}
			}
			if said := fmt.Sprint(s.said.notes, s.said.warnings); !strings.Contains(said, "4 referrers and cosign tags, 4 of which are new") {
				t.Error(said)
			}
			s.log = nil
			if _, err := s.run(t, i); err != nil || strings.Contains(fmt.Sprint(s.log), "put ") || strings.Contains(fmt.Sprint(s.log), "copy ") {
				t.Errorf("%v, %q", err, s.log)
			}
		})
	}
}

// What is listed, but is not there or does not refer to the subject, is told and left out; a tag of cosign
// that names something else stays.
func TestImportOddReferrers(t *testing.T) {
	s := newShop(t)
	s.noReferrers = true
	gone := ocispec.Descriptor{Digest: digest.FromString("gone"), Size: 1}
	s.index(t, "from.example.com/app:"+ReferrersTag(s.list.Digest), ocispec.MediaTypeImageIndex, gone, ocispec.Descriptor{Digest: s.amd64.Digest})
	cosign := ReferrersTag(s.list.Digest) + ".sig"
	s.manifests["from.example.com/app:"+cosign] = s.manifests["from.example.com/app:amd64"]
	s.manifests["to.example.com/app:"+cosign] = s.manifests["from.example.com/app:arm64"]
	i := order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) { i.Referrers = true })
	_, err := s.run(t, i)
	said := fmt.Sprint(s.said.warnings)
	for _, word := range []string{gone.Digest.String(), "is not there: left out", "but does not: left out", "it stays; --force moves it"} {
		if err != nil || !strings.Contains(said, word) {
			t.Errorf("%q is missing: %s, %v", word, said, err)
		}
	}
	i.Force = true
	if _, err := s.run(t, i); err != nil || digest.FromBytes(s.manifests["to.example.com/app:"+cosign]) != s.amd64.Digest {
		t.Error(err)
	}
	s.put(named(t, "to.example.com/app:"+ReferrersTag(s.amd64.Digest)), ocispec.MediaTypeImageManifest, s.manifests["from.example.com/app:amd64"])
	s.index(t, "from.example.com/app:"+ReferrersTag(s.amd64.Digest), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: s.referrer(t, s.amd64.Digest, "a/b")})
	if _, err := s.run(t, i); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "is no index") {
		t.Error(err)
	}
}

// racing is a registry that forgets the first referrers index that is put, as when somebody else puts theirs
// at the same time.
type racing struct {
	*memory
	once sync.Once
}

func (r *racing) Put(ctx context.Context, ref reference.Named, mediaType string, raw []byte, tags ...string) error {
	err := r.memory.Put(ctx, ref, mediaType, raw, tags...)
	if tag, ok := ref.(reference.NamedTagged); ok && referrersTag.MatchString(tag.Tag()) {
		r.once.Do(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.manifests, ref.String())
		})
	}
	return err
}

func TestImportListsReferrersAgain(t *testing.T) {
	s := newShop(t)
	s.noReferrers = true
	d := s.referrer(t, s.list.Digest, "a/b")
	s.index(t, "from.example.com/app:"+ReferrersTag(s.list.Digest), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: d})
	i := order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) { i.Referrers = true })
	if _, err := RunImport(t.Context(), Access{Registry: &racing{memory: s.memory}, Notes: s.said}, i); err != nil {
		t.Fatal(err)
	}
	if got, err := Referrers(t.Context(), s, atDigest(i.Target, s.list.Digest)); err != nil || len(got) != 1 || got[0].ArtifactType != "a/b" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPlanImport(t *testing.T) {
	s := newShop(t)
	i := order(t, "from.example.com/app:1", "to.example.com/app:1", nil)
	before := maps.Clone(s.manifests)
	plan, err := PlanImport(t.Context(), Access{Registry: s.memory, Notes: s.said}, i)
	if err != nil || plan.Missing.Manifests != 4 || plan.Present.Blobs != 3 || plan.Images[0].Descriptor.Digest != s.list.Digest || len(plan.Tags) != 1 || plan.Mounted {
		t.Errorf("%+v, %v", plan, err)
	}
	if !maps.EqualFunc(before, s.manifests, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Error("written")
	}
	if _, err := s.run(t, i); err != nil {
		t.Fatal(err)
	}
	plan, err = PlanImport(t.Context(), Access{Registry: s.memory, Notes: s.said}, i)
	if err != nil || plan.Missing != (Cargo{}) || plan.Present != (Cargo{}) || len(plan.Tags) != 0 {
		t.Errorf("%+v, %v", plan, err)
	}
}

func TestTagRemote(t *testing.T) {
	s := newShop(t)
	tag := func(targets ...string) error {
		var names []reference.NamedTagged
		for _, n := range targets {
			names = append(names, listName(t, n))
		}
		s.log = nil
		d, err := TagRemote(t.Context(), Access{Registry: s.memory, Notes: s.said}, named(t, "from.example.com/app:1"), names)
		if err == nil && d.Digest != s.list.Digest {
			t.Errorf("%s", d.Digest)
		}
		return err
	}
	if err := tag("from.example.com/app:2", "from.example.com/app:amd64"); err != nil || len(s.log) != 3 {
		t.Errorf("%v, %q", err, s.log)
	}
	if err := tag("from.example.com/other:2"); err != nil || s.manifests["from.example.com/other@"+s.attestation.Digest.String()] == nil || s.log[len(s.log)-1] != "put from.example.com/other:2" {
		t.Errorf("%v, %q", err, s.log)
	}
	err := tag("from.example.com/app:3", "to.example.com/app:3")
	if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "'docker multiarch import from.example.com/app:1 to.example.com/app:3'") || len(s.log) != 0 {
		t.Errorf("%v, %q", err, s.log)
	}
}

// rival puts a tag of the target while an import brings what is below it.
type rival struct {
	*memory
	tag reference.Named
	raw []byte
}

func (r rival) Copy(ctx context.Context, from reference.Named, d ocispec.Descriptor, raw []byte, to reference.Named) error {
	r.mu.Lock()
	r.put(r.tag, ocispec.MediaTypeImageIndex, r.raw)
	r.mu.Unlock()
	return r.memory.Copy(ctx, from, d, raw, to)
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
				theirs = s.manifests["from.example.com/app:1"]
			}
			i := order(t, "from.example.com/app:1", "to.example.com/app:1", func(i *Import) { i.Force = tt.force })
			_, err := RunImport(t.Context(), Access{Registry: rival{s.memory, i.Target, theirs}, Notes: s.said}, i)
			refused := !tt.force && !tt.same
			if refused != errdefs.IsAlreadyExists(err) || !refused && err != nil {
				t.Error(err)
			}
			if now := s.manifests["to.example.com/app:1"]; (digest.FromBytes(now) == s.list.Digest) == refused {
				t.Errorf("the tag is %s", now)
			}
		})
	}
}
