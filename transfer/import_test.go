package transfer

import (
	"context"
	"encoding/json"
	"errors"
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

// registry has a list of two platforms and an attestation under from.example.com/app:1. It also is the registry of
// the target.
type registry struct {
	*fakes.Registry
	report                          *fakes.Reporter
	amd64, arm64, attestation, list ocispec.Descriptor
}

func newRegistry(t *testing.T) *registry {
	m := fakes.NewRegistry()
	r := &registry{Registry: m, report: &fakes.Reporter{}}
	r.amd64 = m.Image(t, "from.example.com/app:amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	r.arm64 = m.Image(t, "from.example.com/app:arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	r.attestation = m.Attestation(t, "from.example.com/app:att", r.amd64.Digest)
	r.list = m.Index(t, "from.example.com/app:1", ocispec.MediaTypeImageIndex, r.amd64, r.arm64, r.attestation)
	m.Log = nil
	return r
}

// request returns a request like those of the command.
func request(t *testing.T, source, target string, change func(*Request)) Request {
	t.Helper()
	q := Request{Source: fakes.Named(t, source), Target: fakes.Named(t, target)}
	if tag, ok := q.Target.(reference.NamedTagged); ok {
		q.Tags = []reference.NamedTagged{tag}
	}
	if change != nil {
		change(&q)
	}
	return q
}

func (r *registry) run(t *testing.T, q Request) ([]Imported, error) {
	t.Helper()
	return Import(t.Context(), r.Registry, r.report, q)
}

// tags returns the tags of a repository.
func (r *registry) tags(t *testing.T, repo string) []string {
	t.Helper()
	tags, _, err := r.Tags(t.Context(), reference.TrimNamed(fakes.Named(t, repo)))
	if err != nil && !errdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	return tags
}

// writes returns the logged requests that write.
func (r *registry) writes() []string {
	return slices.DeleteFunc(slices.Clone(r.Log), func(line string) bool {
		return !strings.HasPrefix(line, "copy ") && !strings.HasPrefix(line, "put ") && !strings.HasPrefix(line, "blobs of ")
	})
}

// Everything below a list is copied once before its tags are written, and its digest is kept.
func TestImportList(t *testing.T) {
	r := newRegistry(t)
	got, err := r.run(t, request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) {
		q.Tags = append(q.Tags, fakes.ListName(t, "to.example.com/app:latest"))
	}))
	if err != nil || len(got) != 1 || got[0].Descriptor.Digest != r.list.Digest || len(got[0].Children) != 3 {
		t.Fatalf("got %v, error %v, want %s with 3 children", got, err, r.list.Digest)
	}
	last := r.Log[len(r.Log)-4 : len(r.Log)-2] // the tags are checked after that
	if want := []string{"put to.example.com/app:1", "put to.example.com/app:latest"}; !slices.Equal(last, want) {
		t.Errorf("got last requests %q, want %q", last, want)
	}
	if n := strings.Count(strings.Join(r.Log, "\n"), "copy "); n != 3 {
		t.Errorf("got %d copies, want 3: %q", n, r.Log)
	}
	if got := strings.Count(fmt.Sprint(r.Prefetched), "image "); got != 3 {
		t.Errorf("prefetched: got %q, want 3 images", r.Prefetched)
	}
	r.Log = nil
	got, err = r.run(t, request(t, "from.example.com/app:1", "to.example.com/app:1", nil))
	if err != nil || got[0].Descriptor.Digest != r.list.Digest || len(r.Log) != 2+3 || !strings.Contains(fmt.Sprint(r.report.Notes), "up to date") {
		t.Errorf("second import: got %v, error %v, requests %q, notes %q, want 5 requests and \"up to date\"", got, err, r.Log, r.report.Notes)
	}
}

func TestImportImage(t *testing.T) {
	r := newRegistry(t)
	got, err := r.run(t, request(t, "from.example.com/app:amd64", "to.example.com/app:x", nil))
	want := []string{"blobs of from.example.com/app:amd64 to to.example.com/app", "fetch to.example.com/app:x", "put to.example.com/app:x", "fetch to.example.com/app:x"}
	if err != nil || got[0].Descriptor.Digest != r.amd64.Digest || !slices.Equal(r.Log[len(r.Log)-4:], want) {
		t.Errorf("got %v, error %v, requests %q, want %s and last requests %q", got, err, r.Log, r.amd64.Digest, want)
	}
	bare := request(t, "from.example.com/app@"+r.list.Digest.String(), "to.example.com/app:x", func(q *Request) { q.Tags = nil })
	got, err = r.run(t, bare)
	if err != nil || got[0].Name.String() != "to.example.com/app@"+r.list.Digest.String() || !slices.Equal(r.tags(t, "to.example.com/app"), []string{"x"}) {
		t.Errorf("without a tag: got %v, error %v, tags %q, want the digest and no new tag", got, err, r.tags(t, "to.example.com/app"))
	}
	r.Log = nil
	if _, err = r.run(t, bare); err != nil || len(r.Log) != 2+3 {
		t.Errorf("without a tag again: got error %v, requests %q, want 5 requests", err, r.Log)
	}
}

func TestImportNestedIndex(t *testing.T) {
	r := newRegistry(t)
	outer := r.Index(t, "from.example.com/app:outer", ocispec.MediaTypeImageIndex, r.list, r.arm64)
	r.Log = nil
	if _, err := r.run(t, request(t, "from.example.com/app:outer", "to.example.com/app:1", nil)); err != nil {
		t.Fatal(err)
	}
	want := []string{"put to.example.com/app@" + r.list.Digest.String(), "fetch to.example.com/app:1", "put to.example.com/app:1", "fetch to.example.com/app:1"}
	if got := r.Log[len(r.Log)-4:]; !slices.Equal(got, want) || r.Manifests["to.example.com/app@"+outer.Digest.String()] == nil {
		t.Errorf("got last requests %q, want %q", got, want)
	}
}

// An error of the source, or of a tag of the target, is found before anything is written.
func TestImportRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(*registry)
		change  func(*Request)
		is      func(error) bool
		words   []string
	}{
		"no source": {func(r *registry) { delete(r.Manifests, "from.example.com/app:1") }, nil, errdefs.IsNotFound, []string{"importing from.example.com/app:1"}},
		"incomplete": {func(r *registry) { delete(r.Manifests, "from.example.com/app@"+r.arm64.Digest.String()) }, nil, errdefs.IsFailedPrecondition,
			[]string{"is incomplete", "does not have linux/arm64 sha256:", "--platform linux/amd64"}},
		"without an attestation": {func(r *registry) { delete(r.Manifests, "from.example.com/app@"+r.attestation.Digest.String()) }, nil, errdefs.IsFailedPrecondition,
			[]string{"does not have the attestation sha256:", "--platform linux/arm64"}},
		"unreadable child": {func(r *registry) {
			r.Errs["from.example.com/app@"+r.arm64.Digest.String()] = manifest.Errorf(errdefs.ErrUnavailable, "unavailable")
		}, nil, errdefs.IsUnavailable, []string{"reading a child of the index sha256:", "unavailable"}},
		"wrong size": {func(r *registry) {
			small := r.arm64
			small.Size--
			raw, _ := manifest.MarshalIndex(ocispec.MediaTypeImageIndex, []ocispec.Descriptor{small}, nil, nil)
			r.Manifests["from.example.com/app:1"] = raw
			r.Types[digest.FromBytes(raw)] = ocispec.MediaTypeImageIndex
		}, nil, errdefs.IsDataLoss, []string{"bytes, but it has"}},
		"no such platform": {nil, func(q *Request) { q.Platforms, _ = manifest.ParsePlatforms([]string{"linux/amd64", "linux/s390x"}) }, errdefs.IsNotFound,
			[]string{"no image for linux/s390x (it has: linux/amd64 and linux/arm64)"}},
		"image of another platform": {nil, func(q *Request) {
			q.Source, _ = manifest.ParseName("from.example.com/app:arm64")
			q.Platforms, _ = manifest.ParsePlatforms([]string{"linux/amd64"})
		}, errdefs.IsNotFound, []string{"no image for linux/amd64 (it has: linux/arm64)"}},
		"tag of another image": {func(r *registry) { r.Manifests["to.example.com/app:1"] = r.Manifests["from.example.com/app:amd64"] }, nil, errdefs.IsAlreadyExists,
			[]string{"to.example.com/app:1 already points to sha256:", "--force"}},
		"forbidden target": {func(r *registry) {
			r.Errs["to.example.com/app:1"] = manifest.Errorf(errdefs.ErrPermissionDenied, "denied")
		}, nil, errdefs.IsPermissionDenied, nil},
		"forbidden target that has to be absent": {func(r *registry) {
			r.Errs["to.example.com/app:1"] = manifest.Errorf(errdefs.ErrPermissionDenied, "denied")
		}, func(q *Request) { q.Force, q.Condition.Absent = true, true }, errdefs.IsPermissionDenied, nil},
		"unavailable target": {func(r *registry) {
			r.Errs["to.example.com/app:1"] = manifest.Errorf(errdefs.ErrUnavailable, "unavailable")
		}, func(q *Request) { q.Force = true }, errdefs.IsUnavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			if tt.prepare != nil {
				tt.prepare(r)
			}
			before := maps.Clone(r.Manifests)
			got, err := r.run(t, request(t, "from.example.com/app:1", "to.example.com/app:1", tt.change))
			if len(got) != 0 || !tt.is(err) {
				t.Fatalf("got %v, error %v, want no image and an error of another kind", got, err)
			}
			for _, word := range tt.words {
				if text := err.Error() + "\n" + manifest.Hint(err); !strings.Contains(text, word) {
					t.Errorf("got error %q, want %q in it", text, word)
				}
			}
			if writes := r.writes(); len(r.Manifests) != len(before) || len(writes) > 0 {
				t.Errorf("got requests that write %q, want none", writes)
			}
		})
	}
}

func TestImportForce(t *testing.T) {
	r := newRegistry(t)
	r.Manifests["to.example.com/app:1"] = r.Manifests["from.example.com/app:amd64"]
	r.Errs["to.example.com/app:2"] = manifest.Errorf(errdefs.ErrUnauthenticated, "unauthorized")
	_, err := r.run(t, request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) {
		q.Force = true
		q.Tags = append(q.Tags, fakes.ListName(t, "to.example.com/app:2"))
	}))
	got := strings.Join(r.Log, "\n")
	if err != nil || digest.FromBytes(r.Manifests["to.example.com/app:1"]) != r.list.Digest {
		t.Errorf("got error %v, want %s under the tag; requests:\n%s", err, r.list.Digest, got)
	}
}

// An index without some platforms is the same, byte for byte, except for their images and attestations.
func TestImportPlatforms(t *testing.T) {
	r := newRegistry(t)
	lost := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("lost"), Size: 4, Platform: &ocispec.Platform{OS: "windows", Architecture: "amd64"}}
	children := []ocispec.Descriptor{lost, r.amd64, r.arm64, r.attestation}
	var texts []string
	for _, c := range children {
		raw, _ := json.Marshal(c)
		texts = append(texts, string(raw))
	}
	text := func(children ...string) []byte {
		return fmt.Appendf(nil, "{ \"annotations\":{\"z\":\"1\",\"a\":\"2\"},\n\t\"manifests\" : [ %s ],\"x\":[1], \"mediaType\":%q,\"schemaVersion\":2}\n",
			strings.Join(children, " ,\n"), ocispec.MediaTypeImageIndex)
	}
	r.Store(fakes.Named(t, "from.example.com/app:odd"), ocispec.MediaTypeImageIndex, text(texts...))
	for platforms, want := range map[string][]byte{
		"linux/amd64":             text(texts[1], texts[3]),
		"linux/arm64":             text(texts[2]),
		"linux/arm64,linux/amd64": text(texts[1:]...),
	} {
		got, err := r.run(t, request(t, "from.example.com/app:odd", "to.example.com/app:1", func(q *Request) {
			q.Force = true
			q.Platforms, _ = manifest.ParsePlatforms(strings.Split(platforms, ","))
		}))
		if err != nil || string(r.Manifests["to.example.com/app:1"]) != string(want) || got[0].Descriptor.Digest != digest.FromBytes(want) {
			t.Errorf("%s: error %v, got\n%s\nwant\n%s", platforms, err, r.Manifests["to.example.com/app:1"], want)
		}
	}
	if want := "without the other platforms its digest is sha256:"; !strings.Contains(fmt.Sprint(r.report.Notes), want) {
		t.Errorf("got notes %q, want %q", r.report.Notes, want)
	}
	r.Log = nil
	got, err := r.run(t, request(t, "from.example.com/app:amd64", "to.example.com/app:amd64", func(q *Request) {
		q.Platforms, _ = manifest.ParsePlatforms([]string{"linux/amd64"})
	}))
	if err != nil || got[0].Descriptor.Digest != r.amd64.Digest {
		t.Errorf("got %v, error %v, want %s", got, err, r.amd64.Digest)
	}
}

func TestImportPlatformOfSharedImage(t *testing.T) {
	r := newRegistry(t)
	shared := r.amd64
	shared.Platform = &ocispec.Platform{OS: "linux", Architecture: "s390x"}
	r.Index(t, "from.example.com/app:shared", ocispec.MediaTypeImageIndex, r.amd64, shared, r.attestation)
	for _, platform := range []string{"linux/s390x", "linux/amd64"} {
		_, err := r.run(t, request(t, "from.example.com/app:shared", "to.example.com/app:shared", func(q *Request) {
			q.Force = true
			q.Platforms, _ = manifest.ParsePlatforms([]string{platform})
		}))
		children, _, _ := manifest.ParseIndex(r.Manifests["to.example.com/app:shared"])
		if err != nil || len(children) != 2 || manifest.FormatPlatform(*children[0].Platform) != platform || children[1].Digest != r.attestation.Digest {
			t.Errorf("got %v, error %v, want %s with its attestation", children, err, platform)
		}
	}
}

// An image whose annotations or subject are invalid is imported as it is.
func TestImportOddImage(t *testing.T) {
	r := newRegistry(t)
	raw := r.Manifests["from.example.com/app:amd64"]
	raw = slices.Concat(raw[:len(raw)-1], []byte(`,"annotations":{"a":1},"subject":{"digest":"x"}}`))
	odd := r.amd64
	odd.Digest, odd.Size = r.Store(fakes.Named(t, "from.example.com/app:odd"), odd.MediaType, raw), int64(len(raw))
	r.Index(t, "from.example.com/app:index", ocispec.MediaTypeImageIndex, r.arm64, odd)
	for _, tag := range []string{"odd", "index"} {
		if _, err := r.run(t, request(t, "from.example.com/app:"+tag, "to.example.com/app:"+tag, nil)); err != nil {
			t.Errorf("%s: got error %v, want none", tag, err)
		}
	}
	if got := r.Manifests["to.example.com/app@"+odd.Digest.String()]; string(got) != string(raw) {
		t.Errorf("got %s, want %s", got, raw)
	}
}

func TestImportPlatformVariants(t *testing.T) {
	r := newRegistry(t)
	v6 := r.Image(t, "from.example.com/app:v6", ocispec.MediaTypeImageManifest, "linux/arm/v6")
	v7 := r.Image(t, "from.example.com/app:v7", ocispec.MediaTypeImageManifest, "linux/arm")
	r.Index(t, "from.example.com/app:arm", ocispec.MediaTypeImageIndex, v6, v7)
	r.Index(t, "from.example.com/app:armel", ocispec.MediaTypeImageIndex, v6)
	run := func(tag, platform string) error {
		_, err := r.run(t, request(t, "from.example.com/app:"+tag, "to.example.com/app:arm", func(q *Request) {
			q.Force = true
			q.Platforms, _ = manifest.ParsePlatforms([]string{platform})
		}))
		return err
	}
	for platform, want := range map[string]int{"linux/arm": 1, "linux/arm/*": 2} {
		err := run("arm", platform)
		children, _, _ := manifest.ParseIndex(r.Manifests["to.example.com/app:arm"])
		if err != nil || len(children) != want || children[want-1].Digest != v7.Digest {
			t.Errorf("%s: got %v, error %v, want %d images", platform, children, err, want)
		}
	}
	if want := "--platform linux/arm does not include linux/arm/v6; for all variants: linux/arm/*"; !strings.Contains(fmt.Sprint(r.report.Notes), want) {
		t.Errorf("got notes %q, want %q", r.report.Notes, want)
	}
	if err := run("armel", "linux/arm"); !errdefs.IsNotFound(err) || !strings.Contains(manifest.Hint(err), "linux/arm/*") {
		t.Errorf("got %v with hint %q, want a hint of all variants", err, manifest.Hint(err))
	}
}

func TestImportPlatformsOfOddIndexes(t *testing.T) {
	r := newRegistry(t)
	bare := r.arm64
	bare.Platform = nil
	other := ocispec.Descriptor{MediaType: "application/x", Digest: digest.FromString("x"), Size: 1}
	raw := fmt.Appendf(nil, `{"manifests":[{"mediaType":%q,"digest":%q,"size":%d},{"mediaType":%q,"digest":%q,"size":1}]}`,
		bare.MediaType, bare.Digest, bare.Size, other.MediaType, other.Digest)
	r.Store(fakes.Named(t, "from.example.com/app:bare"), ocispec.MediaTypeImageIndex, raw)
	nested := fmt.Appendf(nil, `{"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, ocispec.MediaTypeImageIndex, r.list.Digest, r.list.Size)
	r.Store(fakes.Named(t, "from.example.com/app:nested"), ocispec.MediaTypeImageIndex, nested)
	twice := slices.Concat([]byte(`{"Manifests":[{"digest":"`+other.Digest.String()+`"}],`), raw[1:])
	r.Store(fakes.Named(t, "from.example.com/app:twice"), ocispec.MediaTypeImageIndex, twice)
	for tag, want := range map[string]string{"bare": "", "nested": "lists another index", "twice": "2 lists of manifests"} {
		_, err := r.run(t, request(t, "from.example.com/app:"+tag, "to.example.com/app:"+tag, func(q *Request) {
			q.Platforms, _ = manifest.ParsePlatforms([]string{"linux/arm64"})
		}))
		if want == "" && err != nil || want != "" && (!errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got error %v, want %q", tag, err, want)
		}
	}
	if want := other.Digest.String() + ", which has no platform that --platform could include; skipped"; !strings.Contains(fmt.Sprint(r.report.Notes), want) {
		t.Errorf("got notes %q, want %q", r.report.Notes, want)
	}
	want := fmt.Sprintf(`{"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, bare.MediaType, bare.Digest, bare.Size)
	if got := string(r.Manifests["to.example.com/app:bare"]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The version of Windows that an index does not state is read from the config, only where a version is asked for.
func TestImportOfWindowsVersion(t *testing.T) {
	r := newRegistry(t)
	old := r.Image(t, "from.example.com/app:old", ocispec.MediaTypeImageManifest, "windows(10.0.20348.1)/amd64")
	current := r.Image(t, "from.example.com/app:current", ocispec.MediaTypeImageManifest, "windows(10.0.26100.1)/amd64")
	old.Platform.OSVersion, current.Platform.OSVersion = "", ""
	lost := old
	lost.Digest = digest.FromString("lost")
	r.Index(t, "from.example.com/app:win", ocispec.MediaTypeImageIndex, r.amd64, old, current, lost)
	for platform, want := range map[string]ocispec.Descriptor{"windows(10.0.26100.1)/amd64": current, "linux/amd64": r.amd64} {
		r.Log = nil
		q := request(t, "from.example.com/app:win", "to.example.com/app:"+want.Digest.Encoded(), nil)
		q.Platforms, _ = manifest.ParsePlatforms([]string{platform})
		images, err := r.run(t, q)
		if err != nil {
			t.Errorf("%s: %v", platform, err)
			continue
		}
		raw := r.Manifests["to.example.com/app@"+images[0].Descriptor.Digest.String()]
		got, _, err := manifest.ParseIndex(raw)
		if err != nil || len(got) != 1 || got[0].Digest != want.Digest || got[0].Platform.OSVersion != "" {
			t.Errorf("%s: got %s and error %v, want %s as in the source", platform, raw, err, want.Digest)
		}
		if configs := strings.Count(strings.Join(r.Log, " "), "blob "); (configs > 0) != (want.Digest == current.Digest) {
			t.Errorf("%s: got %d configs read by %q", platform, configs, r.Log)
		}
	}
	if want := lost.Digest.String(); !strings.Contains(fmt.Sprint(r.report.Warnings), want) {
		t.Errorf("got warnings %q, want one of %s", r.report.Warnings, want)
	}
	_, err := r.run(t, request(t, "from.example.com/app:win", "to.example.com/app:none", func(q *Request) {
		q.Platforms, _ = manifest.ParsePlatforms([]string{"windows(10.0.17763.1)/amd64"})
	}))
	if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "windows(10.0.20348.1)/amd64, windows(10.0.26100.1)/amd64") {
		t.Errorf("got error %v, want one with the versions of the images", err)
	}
}

func TestImportAllTags(t *testing.T) {
	r := newRegistry(t)
	r.Manifests["to.example.com/app:arm64"] = r.Manifests["from.example.com/app:amd64"]
	all := func(filters ...string) Request {
		return Request{
			Source: reference.TrimNamed(fakes.Named(t, "from.example.com/app")), Target: reference.TrimNamed(fakes.Named(t, "to.example.com/app")),
			AllTags: true, Filters: fakes.Patterns(t, filters...),
		}
	}
	got, err := r.run(t, all("a??64", "1"))
	if !errdefs.IsAlreadyExists(err) || !strings.Contains(err.Error(), "importing from.example.com/app:arm64: to.example.com/app:arm64 already points") {
		t.Errorf("got error %v, want that arm64 exists", err)
	}
	if tags, want := r.tags(t, "to.example.com/app"), []string{"1", "amd64", "arm64"}; len(got) != 2 || !slices.Equal(tags, want) {
		t.Errorf("got %v and tags %q, want 2 images and tags %q", got, tags, want)
	}
	if _, err := r.run(t, all("x*")); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "none of the 4 tags of from.example.com/app matches") {
		t.Errorf("got error %v, want that no tag matches", err)
	}
	none := all()
	none.Source = reference.TrimNamed(fakes.Named(t, "from.example.com/none"))
	if _, err := r.run(t, none); !errdefs.IsNotFound(err) {
		t.Errorf("got error %v for an absent repository, want one of not found", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Import(ctx, r.Registry, r.report, all()); !errdefs.IsCanceled(err) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

// With several tags, what cannot be read is reported, and the others are planned and imported.
func TestImportAllTagsReportsTagsThatCannotBeRead(t *testing.T) {
	r := newRegistry(t)
	odd := r.Store(fakes.Named(t, "from.example.com/app:odd"), "application/x", []byte("{"))
	delete(r.Manifests, "from.example.com/app@"+r.list.Digest.String())
	r.Errs["from.example.com/app:1"] = manifest.Errorf(errdefs.ErrUnavailable, "unavailable")
	q := Request{
		Source: reference.TrimNamed(fakes.Named(t, "from.example.com/app")), Target: reference.TrimNamed(fakes.Named(t, "to.example.com/app")),
		AllTags: true, Filters: fakes.Patterns(t, "1", "odd", "a??64"),
	}
	words := []string{"importing from.example.com/app:1: unavailable", "importing from.example.com/app:odd: manifest " + odd.String()}
	check := func(what string, images int, err error) {
		t.Helper()
		for _, word := range words {
			if images != 2 || err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: got %d images and error %v, want 2 and %q", what, images, err, word)
			}
		}
	}
	plan, err := Plan(t.Context(), r.Registry, r.report, q)
	check("plan", len(plan.Images), err)
	if plan.Missing.Manifests != 2 || len(plan.Tags) != 2 {
		t.Errorf("got plan %+v, want 2 manifests and tags", plan)
	}
	got, err := r.run(t, q)
	check("import", len(got), err)
	if tags, want := r.tags(t, "to.example.com/app"), []string{"amd64", "arm64"}; !slices.Equal(tags, want) {
		t.Errorf("got tags %q, want %q", tags, want)
	}
}

// referrer puts a referrer of a subject and returns its digest.
func (r *registry) referrer(t *testing.T, subject digest.Digest, kind string) digest.Digest {
	t.Helper()
	config := digest.FromString("{}")
	r.Blobs[config] = []byte("{}")
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[],"subject":{"digest":%q,"size":1}}`,
		ocispec.MediaTypeImageManifest, kind, config, subject)
	d := digest.FromBytes(raw)
	return r.Store(fakes.Named(t, "from.example.com/app@"+d.String()), ocispec.MediaTypeImageManifest, raw)
}

// Referrers of the list, of an image, and of a referrer are imported, and those under tags of cosign.
func TestImportReferrers(t *testing.T) {
	for _, without := range []bool{false, true} {
		t.Run(fmt.Sprint("NoReferrers=", without), func(t *testing.T) {
			r := newRegistry(t)
			ofList, ofImage := r.referrer(t, r.list.Digest, "a/list"), r.referrer(t, r.amd64.Digest, "a/image")
			ofReferrer := r.referrer(t, ofImage, "a/referrer")
			cosign := r.referrer(t, digest.FromString("nothing"), "a/cosign")
			r.Manifests["from.example.com/app:"+manifest.ReferrersTag(r.arm64.Digest)+".sig"] = r.Manifests["from.example.com/app@"+cosign.String()]
			old := ocispec.Descriptor{MediaType: "a/old", Digest: digest.FromString("old"), Size: 1}
			if r.NoReferrers = without; without {
				for subject, d := range map[digest.Digest]digest.Digest{r.list.Digest: ofList, r.amd64.Digest: ofImage, ofImage: ofReferrer} {
					r.Index(t, "from.example.com/app:"+manifest.ReferrersTag(subject), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: d})
				}
				r.Index(t, "to.example.com/app:"+manifest.ReferrersTag(r.list.Digest), ocispec.MediaTypeImageIndex, old)
			}
			q := request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) { q.Referrers = true })
			if _, err := r.run(t, q); err != nil {
				t.Fatal(err)
			}
			for _, d := range []digest.Digest{ofList, ofImage, ofReferrer, cosign} {
				if r.Manifests["to.example.com/app@"+d.String()] == nil {
					t.Errorf("referrer %s was not imported", d)
				}
			}
			if last, want := r.Log[len(r.Log)-2:], []string{"put to.example.com/app:1", "fetch to.example.com/app:1"}; !slices.Equal(last, want) {
				t.Errorf("got last requests %q, want %q", last, want)
			}
			for subject, want := range map[digest.Digest][]digest.Digest{r.list.Digest: {old.Digest, ofList}, r.amd64.Digest: {ofImage}, ofImage: {ofReferrer}} {
				got, err := manifest.Referrers(t.Context(), r, manifest.AtDigest(q.Target, subject))
				if !without {
					want = slices.DeleteFunc(want, func(d digest.Digest) bool { return d == old.Digest })
				}
				if err != nil || !slices.EqualFunc(got, want, func(d ocispec.Descriptor, w digest.Digest) bool { return d.Digest == w }) {
					t.Errorf("got referrers of %s %v, error %v, want %q", subject, got, err, want)
				}
			}
			if want := "4 referrers and cosign tags, 4 of them new"; !strings.Contains(fmt.Sprint(r.report.Notes), want) {
				t.Errorf("got notes %q, want %q", r.report.Notes, want)
			}
			r.Log = nil
			if _, err := r.run(t, q); err != nil || len(r.writes()) > 0 {
				t.Errorf("second import: got error %v and requests that write %q, want none", err, r.writes())
			}
		})
	}
}

// A listed referrer that does not exist or refers to something else is skipped with a warning. A tag of cosign that
// points to something else is kept.
func TestImportOddReferrers(t *testing.T) {
	r := newRegistry(t)
	r.NoReferrers = true
	gone := ocispec.Descriptor{Digest: digest.FromString("gone"), Size: 1}
	odd := r.Store(fakes.Named(t, "from.example.com/app:odd"), "application/x", []byte("{"))
	partial := r.Index(t, "from.example.com/app:partial", ocispec.MediaTypeImageIndex, gone)
	r.Index(t, "from.example.com/app:"+manifest.ReferrersTag(r.list.Digest), ocispec.MediaTypeImageIndex, gone, gone, ocispec.Descriptor{Digest: r.amd64.Digest},
		ocispec.Descriptor{Digest: odd}, ocispec.Descriptor{Digest: partial.Digest})
	cosign := manifest.ReferrersTag(r.list.Digest) + ".sig"
	r.Manifests["from.example.com/app:"+cosign] = r.Manifests["from.example.com/app:amd64"]
	r.Manifests["to.example.com/app:"+cosign] = r.Manifests["from.example.com/app:arm64"]
	q := request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) { q.Referrers = true })
	_, err := r.run(t, q)
	for _, word := range []string{
		gone.Digest.String(), odd.String() + ", a referrer of " + r.list.Digest.String() + ", cannot be imported: ", partial.Digest.String() + " is incomplete",
		"does not exist; skipped", "does not refer to it; skipped", "use --force to move it",
	} {
		if err != nil || !strings.Contains(fmt.Sprint(r.report.Warnings), word) {
			t.Errorf("got error %v and warnings %q, want %q", err, r.report.Warnings, word)
		}
	}
	q.Force = true
	if _, err := r.run(t, q); err != nil || digest.FromBytes(r.Manifests["to.example.com/app:"+cosign]) != r.amd64.Digest {
		t.Errorf("with Force: got error %v, want the tag of cosign moved", err)
	}
}

// A referrers tag that points to something else than an index of referrers is kept, and named in a warning. One that
// points to the subject does not exist: GitLab resolves it so.
func TestImportOddReferrersTags(t *testing.T) {
	for name, tt := range map[string]struct {
		where string
		odd   func(r *registry) ocispec.Descriptor
		kept  bool
		words []string
	}{
		"source, the subject": {"from", func(r *registry) ocispec.Descriptor { return r.list }, false, nil},
		"source, an image":    {"from", func(r *registry) ocispec.Descriptor { return r.arm64 }, true, []string{"is not an index of referrers; skipped"}},
		"target, the subject": {"to", func(r *registry) ocispec.Descriptor { return r.list }, false, nil},
		"target, an image":    {"to", func(r *registry) ocispec.Descriptor { return r.arm64 }, true, []string{"is not an index of referrers; it is kept", "and 1 referrers of"}},
		"target, a list of images": {"to", func(r *registry) ocispec.Descriptor {
			return r.Index(t, "from.example.com/app:other", ocispec.MediaTypeImageIndex, r.arm64)
		}, true, []string{"is not an index of referrers; it is kept"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.NoReferrers = true
			tag := "example.com/app:" + manifest.ReferrersTag(r.list.Digest)
			signature := r.referrer(t, r.list.Digest, "a/b")
			r.Index(t, "from."+tag, ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: signature})
			d := tt.odd(r)
			r.Manifests[tt.where+"."+tag] = r.Manifests["from.example.com/app@"+d.Digest.String()]
			_, err := r.run(t, request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) { q.Referrers = true }))
			if err != nil {
				t.Fatal(err)
			}
			if kept := digest.FromBytes(r.Manifests[tt.where+"."+tag]) == d.Digest; tt.where == "to" && kept != tt.kept {
				t.Errorf("got the tag kept: %t, want %t", kept, tt.kept)
			}
			got := fmt.Sprint(r.report.Warnings)
			for _, word := range append(tt.words, manifest.ReferrersTag(r.list.Digest)) {
				if strings.Contains(got, word) != tt.kept {
					t.Errorf("got warnings %q, want %q in them: %t", got, word, tt.kept)
				}
			}
			if _, listed := r.Manifests["to.example.com/app@"+signature.String()]; listed != (tt.where == "to") {
				t.Errorf("got the referrer copied: %t, want %t", listed, tt.where == "to")
			}
		})
	}
}

// modern is a registry that refuses the superseded artifact manifests.
type modern struct{ *fakes.Registry }

func (m modern) Copy(ctx context.Context, from reference.Named, c manifest.Content, to reference.Named) error {
	if manifest.IsArtifact(c.Descriptor.MediaType) {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "unknown media type")
	}
	return m.Registry.Copy(ctx, from, c, to)
}

// Superseded artifact manifests are imported as referrers, and skipped with a warning where the target refuses them.
func TestImportArtifacts(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		r := newRegistry(t)
		r.NoReferrers = true
		const mediaType = "application/vnd.cncf.oras.artifact.manifest.v1+json"
		raw := fmt.Appendf(nil, `{"mediaType":%q,"artifactType":"a/b","blobs":[{"digest":%q,"size":3}],"subject":{"digest":%q,"size":1}}`,
			mediaType, digest.FromString("sig"), r.list.Digest)
		artifact := r.Store(fakes.Named(t, "from.example.com/app@"+digest.FromBytes(raw).String()), mediaType, raw)
		cosign := manifest.ReferrersTag(r.list.Digest) + ".sig"
		r.Store(fakes.Named(t, "from.example.com/app:"+cosign), mediaType, raw)
		signature := r.referrer(t, r.list.Digest, "a/c")
		r.Index(t, "from.example.com/app:"+manifest.ReferrersTag(r.list.Digest), ocispec.MediaTypeImageIndex,
			ocispec.Descriptor{Digest: artifact}, ocispec.Descriptor{Digest: signature})
		q := request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) { q.Referrers = true })
		var to Registry = r.Registry
		want, note := []digest.Digest{artifact, signature}, "2 referrers and cosign tags, 2 of them new"
		if refuses {
			to, want, note = modern{r.Registry}, want[1:], "1 referrers and cosign tags, 1 of them new"
		}
		if _, err := Import(t.Context(), to, r.report, q); err != nil {
			t.Fatalf("refuses %t: %v", refuses, err)
		}
		listed, err := manifest.TaggedReferrers(t.Context(), r, manifest.AtDigest(q.Target, r.list.Digest))
		var got []digest.Digest
		for _, d := range listed.Manifests {
			got = append(got, d.Digest)
			if _, copied := r.Manifests["to.example.com/app@"+d.Digest.String()]; !copied {
				t.Errorf("refuses %t: %s is listed, but was not copied", refuses, d.Digest)
			}
		}
		if err != nil || !slices.Equal(got, want) || !strings.Contains(fmt.Sprint(r.report.Notes), note) {
			t.Errorf("refuses %t: got the referrers %q, error %v and notes %q, want %q and %q", refuses, got, err, r.report.Notes, want, note)
		}
		if _, tagged := r.Manifests["to.example.com/app:"+cosign]; tagged == refuses {
			t.Errorf("refuses %t: got the tag %s written: %t", refuses, cosign, tagged)
		}
		warned := strings.Contains(fmt.Sprint(r.report.Warnings), artifact.String()+", which has the superseded type "+mediaType)
		if warned != refuses {
			t.Errorf("refuses %t: got warnings %q", refuses, r.report.Warnings)
		}
	}
}

// A superseded artifact manifest that an index lists is imported with it. If the target refuses it, the error says how to
// import the images only.
func TestImportArtifactEntry(t *testing.T) {
	for _, mediaType := range []string{"application/vnd.oci.artifact.manifest.v1+json", "application/vnd.cncf.oras.artifact.manifest.v1+json"} {
		r := newRegistry(t)
		raw := fmt.Appendf(nil, `{"mediaType":%q,"artifactType":"a/b","blobs":[{"digest":%q,"size":3}]}`, mediaType, digest.FromString("sig"))
		artifact := ocispec.Descriptor{MediaType: mediaType, Size: int64(len(raw)), ArtifactType: "a/b",
			Digest: r.Store(fakes.Named(t, "from.example.com/app@"+digest.FromBytes(raw).String()), mediaType, raw)}
		list := r.Index(t, "from.example.com/app:1", ocispec.MediaTypeImageIndex, r.amd64, r.arm64, artifact)
		q := request(t, "from.example.com/app:1", "to.example.com/app:1", nil)
		_, err := Import(t.Context(), modern{r.Registry}, r.report, q)
		for _, want := range []string{"to.example.com/app refuses " + artifact.Digest.String() + ", an entry of the index", mediaType, "unknown media type"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got error %v, want %q in it", err, want)
			}
		}
		if want := "to import the images only: --platform linux/amd64,linux/arm64"; manifest.Hint(err) != want {
			t.Errorf("got hint %q, want %q", manifest.Hint(err), want)
		}
		if _, err := r.Digest(t.Context(), q.Target); !errdefs.IsNotFound(err) {
			t.Errorf("got error %v for the target, want none pushed", err)
		}

		q.Platforms, _ = manifest.ParsePlatforms([]string{"linux/amd64", "linux/arm64"})
		images, err := Import(t.Context(), modern{r.Registry}, r.report, q)
		if err != nil {
			t.Fatalf("the images only: %v", err)
		}
		left, _, err := manifest.ParseIndex(r.Manifests["to.example.com/app@"+images[0].Descriptor.Digest.String()])
		if err != nil || len(left) != 2 || !strings.Contains(fmt.Sprint(r.report.Notes), artifact.Digest.String()+", which has no platform") {
			t.Errorf("got %d entries, error %v and notes %q, want the 2 images and a note of the artifact", len(left), err, r.report.Notes)
		}

		q = request(t, "from.example.com/app:1", "old.example.com/app:1", nil)
		if _, err := r.run(t, q); err != nil {
			t.Errorf("a registry that takes it: got error %v", err)
		}
		if d, err := r.Digest(t.Context(), q.Target); err != nil || d != list.Digest || r.Manifests["old.example.com/app@"+artifact.Digest.String()] == nil {
			t.Errorf("got %s and error %v, want %s with the artifact", d, err, list.Digest)
		}
	}
}

// racing is a registry that loses the first referrers index that is put, as if another client had overwritten it.
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
	r := newRegistry(t)
	r.NoReferrers = true
	d := r.referrer(t, r.list.Digest, "a/b")
	r.Index(t, "from.example.com/app:"+manifest.ReferrersTag(r.list.Digest), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: d})
	q := request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) { q.Referrers = true })
	if _, err := Import(t.Context(), &racing{Registry: r.Registry}, r.report, q); err != nil {
		t.Fatal(err)
	}
	if got, err := manifest.Referrers(t.Context(), r, manifest.AtDigest(q.Target, r.list.Digest)); err != nil || len(got) != 1 || got[0].ArtifactType != "a/b" {
		t.Errorf("got referrers %v, error %v, want one of type a/b", got, err)
	}
}

func TestPlan(t *testing.T) {
	r := newRegistry(t)
	q := request(t, "from.example.com/app:1", "to.example.com/app:1", nil)
	before := maps.Clone(r.Manifests)
	plan, err := Plan(t.Context(), r.Registry, r.report, q)
	if err != nil || plan.Missing.Manifests != 4 || plan.Existing.Blobs != 3 || plan.Images[0].Descriptor.Digest != r.list.Digest || len(plan.Tags) != 1 || plan.Mounted {
		t.Errorf("got plan %+v, error %v, want 4 missing manifests, 3 existing blobs and a tag", plan, err)
	}
	if !maps.EqualFunc(before, r.Manifests, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Errorf("got requests that write %q, want none", r.writes())
	}
	if _, err := r.run(t, q); err != nil {
		t.Fatal(err)
	}
	plan, err = Plan(t.Context(), r.Registry, r.report, q)
	if err != nil || plan.Missing != (Size{}) || plan.Existing != (Size{}) || len(plan.Tags) != 0 {
		t.Errorf("after the import: got plan %+v, error %v, want nothing to do", plan, err)
	}
}

func TestTag(t *testing.T) {
	r := newRegistry(t)
	tag := func(targets ...string) error {
		var names []reference.NamedTagged
		for _, n := range targets {
			names = append(names, fakes.ListName(t, n))
		}
		r.Log = nil
		d, err := Tag(t.Context(), r.Registry, r.report, fakes.Named(t, "from.example.com/app:1"), names, manifest.Condition{})
		if err == nil && d.Digest != r.list.Digest {
			t.Errorf("got digest %s, want %s", d.Digest, r.list.Digest)
		}
		return err
	}
	if err := tag("from.example.com/app:2", "from.example.com/app:amd64"); err != nil || len(r.Log) != 5 {
		t.Errorf("got error %v, requests %q, want 5", err, r.Log)
	}
	if err := tag("from.example.com/other:2"); err != nil || r.Manifests["from.example.com/other@"+r.attestation.Digest.String()] == nil || r.Log[len(r.Log)-1] != "put from.example.com/other:2" {
		t.Errorf("another repository: got error %v, requests %q, want everything copied and the tag written last", err, r.Log)
	}
	err := tag("from.example.com/app:3", "to.example.com/app:3")
	if want := "docker multiarch import from.example.com/app:1 to.example.com/app:3"; !errdefs.IsInvalidArgument(err) || !strings.Contains(manifest.Hint(err), want) || len(r.Log) != 0 {
		t.Errorf("another registry: got error %v, hint %q, requests %q, want hint %q and no request", err, manifest.Hint(err), r.Log, want)
	}
}

// concurrentWriter is a registry where another client writes a tag during an import.
type concurrentWriter struct {
	*fakes.Registry
	tag reference.Named
	raw []byte
}

func (r concurrentWriter) Copy(ctx context.Context, from reference.Named, c manifest.Content, to reference.Named) error {
	r.Mu.Lock()
	r.Store(r.tag, ocispec.MediaTypeImageIndex, r.raw)
	r.Mu.Unlock()
	return r.Registry.Copy(ctx, from, c, to)
}

// A tag that another client writes during an import is kept without Force.
func TestImportMeetsAnotherClient(t *testing.T) {
	for name, tt := range map[string]struct {
		force, same, wantErr bool
	}{"another image": {wantErr: true}, "another image, forced": {force: true}, "the same image": {same: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			written := []byte(`{"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[]}`)
			if tt.same {
				written = r.Manifests["from.example.com/app:1"]
			}
			q := request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) { q.Force = tt.force })
			_, err := Import(t.Context(), concurrentWriter{r.Registry, q.Target, written}, r.report, q)
			if errdefs.IsAlreadyExists(err) != tt.wantErr || !tt.wantErr && err != nil {
				t.Errorf("got error %v, want one that the tag exists: %t", err, tt.wantErr)
			}
			if got := digest.FromBytes(r.Manifests["to.example.com/app:1"]); (got == r.list.Digest) == tt.wantErr {
				t.Errorf("got %s under the tag, want %s: %t", got, r.list.Digest, !tt.wantErr)
			}
		})
	}
}

// overwriting is a registry where another client writes a tag, or removes it if there are no bytes, right after it was
// written.
type overwriting struct {
	*fakes.Registry
	tag string
	raw []byte
}

func (r overwriting) Put(ctx context.Context, ref reference.Named, c manifest.Content, tags ...string) error {
	err := r.Registry.Put(ctx, ref, c, tags...)
	r.Mu.Lock()
	defer r.Mu.Unlock()
	if r.raw == nil {
		delete(r.Manifests, r.tag)
	} else if r.Manifests[r.tag] != nil {
		r.Manifests[r.tag] = r.raw
	}
	return err
}

// Without Force, a tag that points to something else right after it was written is an error that names it.
func TestImportLooksAtItsTags(t *testing.T) {
	for name, tt := range map[string]struct {
		other, force, gone bool
		words              []string
	}{
		"ours":                 {},
		"another image":        {other: true, words: []string{"to.example.com/app:latest was pushed, but points to sha256:", "not sha256:", "--force"}},
		"another image, force": {other: true, force: true},
		"no image":             {gone: true, words: []string{"checking what was pushed", "to.example.com/app:latest"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			to := overwriting{r.Registry, "to.example.com/app:latest", r.Manifests["from.example.com/app:1"]}
			if tt.other {
				to.raw = r.Manifests["from.example.com/app:amd64"]
			}
			if tt.gone {
				to.raw = nil
			}
			got, err := Import(t.Context(), to, r.report, request(t, "from.example.com/app:1", "to.example.com/app:1", func(q *Request) {
				q.Force = tt.force
				q.Tags = append(q.Tags, fakes.ListName(t, "to.example.com/app:latest"))
			}))
			if (err != nil) != (tt.words != nil) || (len(got) == 0) != (err != nil) {
				t.Fatalf("got %v and error %v, want an error: %t", got, err, tt.words != nil)
			}
			for _, word := range tt.words {
				if text := err.Error() + manifest.Hint(err); !strings.Contains(text, word) {
					t.Errorf("got error %q, want %q in it", text, word)
				}
			}
		})
	}
}

// meeting is a registry where two imports wait for each other before and after they write a tag.
type meeting struct {
	*fakes.Registry
	before, after *sync.WaitGroup
}

func (r meeting) Put(ctx context.Context, ref reference.Named, c manifest.Content, tags ...string) error {
	r.before.Done()
	r.before.Wait()
	err := r.Registry.Put(ctx, ref, c, tags...)
	r.after.Done()
	r.after.Wait()
	return err
}

// Of two imports of different images to one tag, at least one reports the other.
func TestImportsOfOneTagAtOnce(t *testing.T) {
	r := newRegistry(t)
	var group sync.WaitGroup
	to := meeting{r.Registry, &sync.WaitGroup{}, &sync.WaitGroup{}}
	to.before.Add(2)
	to.after.Add(2)
	errs := make([]error, 2)
	for n, tag := range []string{"amd64", "arm64"} {
		group.Go(func() {
			_, errs[n] = Import(t.Context(), to, &fakes.Reporter{}, request(t, "from.example.com/app:"+tag, "to.example.com/app:1", nil))
		})
	}
	group.Wait()
	if aborted := errdefs.IsAborted(errs[0]); aborted == errdefs.IsAborted(errs[1]) || errors.Join(errs...) == nil {
		t.Errorf("got errors %v, want one of them to name the image of the other", errs)
	}
}

func isDigestTag(tag string) bool {
	_, ok := manifest.CutDigestTag(tag)
	return ok
}

// An error after some of the tags in several repositories were written names those, and the others.
func TestTagReportsWhatWasWritten(t *testing.T) {
	targets := []string{"from.example.com/a:1", "from.example.com/b:1", "from.example.com/a:2", "from.example.com/app:2"}
	for _, tt := range []struct{ fails, want string }{
		{"put from.example.com/b:1", "(from.example.com/a:1, from.example.com/a:2, from.example.com/app:2 written, from.example.com/b:1 not)"},
		{"put from.example.com/app:2", "(from.example.com/a:1, from.example.com/a:2, from.example.com/b:1 written, from.example.com/app:2 not)"},
		{"copy", "(no tag was written)"},
	} {
		r := newRegistry(t)
		var names []reference.NamedTagged
		for _, n := range targets {
			names = append(names, fakes.ListName(t, n))
		}
		r.Errs[tt.fails] = errors.New("503")
		_, err := Tag(t.Context(), r.Registry, r.report, fakes.Named(t, "from.example.com/app:1"), names, manifest.Condition{})
		if err == nil || !strings.HasPrefix(err.Error(), "tagging from.example.com/app:1: ") || !strings.Contains(err.Error(), "503 "+tt.want) {
			t.Errorf("%s: got %v, want %s at its end", tt.fails, err, tt.want)
		}
	}
}
