package publish_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// amend publishes sources into the list that the registry has under tag 1, and returns that list.
func amend(t *testing.T, w fakes.Fixture, change func(*publish.Creation), sources ...string) (string, error) {
	t.Helper()
	c := fakes.Creation(t, repo+":1", sources...)
	if change != nil {
		change(&c)
	}
	_, err := publish.AmendPublished(t.Context(), w.Clients(), c)
	return string(w.Registry.Manifests[repo+":1"]), err
}

func platforms(t *testing.T, index string) (out []string) {
	t.Helper()
	children, _, err := manifest.ParseIndex([]byte(index))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range children {
		name := "attestation"
		if !manifest.IsAttestation(d) {
			name = manifest.FormatPlatform(*d.Platform)
		}
		out = append(out, name)
	}
	return out
}

// TestAmendPublished replaces and adds entries of a list in a registry, and keeps everything else of its bytes.
func TestAmendPublished(t *testing.T) {
	w := fakes.NewFixture()
	old, other := w.Registry.Image(t, repo+":old", oci, "linux/amd64", "old"), w.Registry.Image(t, repo+":other", oci, "linux/s390x")
	attestation := w.Registry.Attestation(t, repo+":attestation", old.Digest)
	child := func(d ocispec.Descriptor, more string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":%q,"architecture":%q}%s}`,
			d.MediaType, d.Digest, d.Size, d.Platform.OS, d.Platform.Architecture, more)
	}
	note := fmt.Sprintf(`,"annotations":{%q:%q,%q:%q}`, manifest.AnnotationReferenceType, manifest.ReferenceTypeAttestation, manifest.AnnotationReferenceDigest, old.Digest)
	index := func(children ...string) string {
		return `{ "schemaVersion":2, "x-top":{"a":1},"manifests":[` + strings.Join(children, " , ") + `],"annotations":{"k":"v"},"mediaType":"` + ocispec.MediaTypeImageIndex + `" }`
	}
	base := index(child(old, ""), child(other, `,"x-child":[2]`), child(attestation, note))
	w.Registry.Store(fakes.Named(t, repo+":1"), ocispec.MediaTypeImageIndex, []byte(base))

	if got, err := amend(t, w, nil, repo+":old", repo+":other"); err != nil || got != base {
		t.Errorf("the same images: got %s, %v, want the bytes as before", got, err)
	}
	if !slices.Contains(w.Notes.Notes, repo+":1 is unchanged") || slices.Contains(w.Registry.Log, "put "+repo+":1") {
		t.Errorf("the same images: got notes %q and requests %q, want no write", w.Notes.Notes, w.Registry.Log)
	}
	fresh, added := w.Registry.Image(t, repo+":new", oci, "linux/amd64", "new"), w.Registry.Image(t, repo+":arm64", oci, "linux/arm64")
	got, err := amend(t, w, nil, repo+":new", repo+":arm64")
	entry := func(d ocispec.Descriptor) string {
		return fmt.Sprintf(`{"mediaType":%q,"size":%d,"digest":%q,"platform":{"architecture":%q,"os":%q}}`, d.MediaType, d.Size, d.Digest, d.Platform.Architecture, d.Platform.OS)
	}
	if want := index(entry(fresh), child(other, `,"x-child":[2]`), entry(added)); err != nil || got != want {
		t.Errorf("another image of one platform and one more: got\n%s, %v, want\n%s", got, err, want)
	}
}

// TestAmendKeepsOurBytes builds the same list in one step and in several.
func TestAmendKeepsOurBytes(t *testing.T) {
	w := fakes.NewFixture()
	names := []string{repo + ":amd64", repo + ":arm64", repo + ":s390x"}
	for _, name := range names {
		w.Registry.Image(t, name, ocispec.MediaTypeImageManifest, "linux/"+strings.TrimPrefix(name, repo+":"))
	}
	whole, err := publish.CreateAndPush(t.Context(), w.Clients(), fakes.Creation(t, repo+":whole", names...))
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for _, name := range names {
		if got, err = amend(t, w, nil, name); err != nil {
			t.Fatal(err)
		}
	}
	if digest.FromString(got) != whole.Descriptor.Digest {
		t.Errorf("got %s, want %s", got, w.Registry.Manifests[repo+":whole"])
	}
}

func TestAmendRefused(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(w fakes.Fixture) (children []ocispec.Descriptor)
		change  func(*publish.Creation)
		want    string
		hint    string
	}{
		"single image": {func(w fakes.Fixture) []ocispec.Descriptor {
			w.Registry.Image(t, repo+":1", ocispec.MediaTypeImageManifest, "linux/386")
			return nil
		}, nil, "is a single image", "docker multiarch create --push " + repo + ":1 " + repo + "@sha256:"},
		"several of the platform": {func(w fakes.Fixture) []ocispec.Descriptor {
			return []ocispec.Descriptor{w.Registry.Image(t, repo+":a", ocispec.MediaTypeImageManifest, "linux/amd64", "a"), w.Registry.Image(t, repo+":b", ocispec.MediaTypeImageManifest, "linux/amd64", "b")}
		}, nil, "has several entries for linux/amd64: sha256:", ""},
		"required platform": {nil, func(c *publish.Creation) { c.Require, _ = manifest.ParsePlatforms([]string{"linux/arm64"}) }, "no image for linux/arm64", ""},
		"exact platforms": {func(w fakes.Fixture) []ocispec.Descriptor {
			return []ocispec.Descriptor{w.Registry.Image(t, repo+":a", ocispec.MediaTypeImageManifest, "linux/s390x")}
		}, func(c *publish.Creation) { c.Exact, _ = manifest.ParsePlatforms([]string{"linux/amd64"}) }, "linux/s390x", ""},
		"digest": {nil, func(c *publish.Creation) { c.Condition.Digest = one }, "--if-digest", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := fakes.NewFixture()
			w.Registry.Image(t, repo+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
			if c.prepare != nil {
				if children := c.prepare(w); children != nil {
					w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, children...)
				}
			}
			w.Registry.Log = nil
			_, err := amend(t, w, c.change, repo+":amd64")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(manifest.Hint(err), c.hint) {
				t.Errorf("got %v (%s), want %q (%s)", err, manifest.Hint(err), c.want, c.hint)
			}
			if slices.ContainsFunc(w.Registry.Log, func(line string) bool { return strings.HasPrefix(line, "put ") }) {
				t.Errorf("got requests %q, want no write", w.Registry.Log)
			}
		})
	}
}

// racing is a registry that another client writes to immediately before and after conditional writes.
type racing struct {
	*fakes.Registry
	before, after func()
}

func (r racing) PutIf(ctx context.Context, tag reference.NamedTagged, c manifest.Content, before digest.Digest) error {
	r.before()
	defer r.after()
	return r.Registry.PutIf(ctx, tag, c, before)
}

// TestAmendConcurrently has another client write the tag just before and just after ours.
func TestAmendConcurrently(t *testing.T) {
	for name, c := range map[string]struct {
		conditional   bool
		before, after int // how often the other client writes
		want          []string
		refused       bool
	}{
		"before, conditional":             {true, 2, 0, []string{"linux/s390x", "linux/arm64"}, false},
		"after":                           {false, 0, 1, []string{"linux/s390x", "linux/arm64"}, false},
		"after, five times":               {false, 0, 5, []string{"linux/s390x", "linux/arm64"}, false},
		"after, again and again":          {false, 0, 1000, []string{"linux/s390x"}, true},
		"before, again and again, proven": {true, 1000, 0, []string{"linux/s390x"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := fakes.NewFixture()
				w.Registry.Image(t, repo+":arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
				s390x := w.Registry.Image(t, repo+":s390x", ocispec.MediaTypeImageManifest, "linux/s390x")
				w.Registry.Conditional = c.conditional
				writes := 0
				write := func(left *int) func() {
					return func() {
						if *left--; *left >= 0 {
							writes++ // another list each time
							s390x.Annotations = map[string]string{"write": fmt.Sprint(writes)}
							w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, s390x)
						}
					}
				}
				clients := w.Clients()
				clients.Registry = racing{w.Registry, write(&c.before), write(&c.after)}
				_, err := publish.AmendPublished(t.Context(), clients, fakes.Creation(t, repo+":1", repo+":arm64"))
				refused := errdefs.IsAborted(err) || errdefs.IsFailedPrecondition(err)
				if refused != c.refused || !refused && err != nil {
					t.Fatalf("got %v, want it refused: %t", err, c.refused)
				}
				if p := platforms(t, string(w.Registry.Manifests[repo+":1"])); !slices.Equal(p, c.want) {
					t.Errorf("got %v, want %v", p, c.want)
				}
				warned := strings.Contains(strings.Join(w.Notes.Warnings, "\n"), "h.example.com did not confirm conditional updates")
				if warned != !c.conditional {
					t.Errorf("got warnings %q", w.Notes.Warnings)
				}
			})
		})
	}
}

const oci = ocispec.MediaTypeImageManifest

// TestAmendWithLocalImage adds an image of the daemon, whose own name is one of the tags of the list.
func TestAmendWithLocalImage(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, repo+":amd64", oci, "linux/amd64")
	w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, amd64)
	built := fakes.NewRegistry()
	built.Image(t, repo+":2", oci, "linux/arm64")
	w.Daemon.Holds(t, built, repo+":2", repo+":2")
	got, err := amend(t, w, func(c *publish.Creation) {
		c.Choice.From = publish.InDaemon
		c.Tags = []reference.NamedTagged{fakes.ListName(t, repo+":2")}
	}, repo+":2")
	if err != nil {
		t.Fatal(err)
	}
	if p := platforms(t, got); !slices.Equal(p, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("got %v, want both platforms", p)
	}
	if slices.Contains(w.Daemon.Log, "push "+repo+":2") || string(w.Registry.Manifests[repo+":2"]) != got {
		t.Errorf("got %q, want the tag of the list pushed only with the list", w.Daemon.Log)
	}
}

// meanwhile is a registry in which another client adds an image to the list while images are copied.
type meanwhile struct {
	*fakes.Registry
	write func()
}

func (r meanwhile) Copy(ctx context.Context, from reference.Named, c manifest.Content, to reference.Named) error {
	r.write()
	return r.Registry.Copy(ctx, from, c, to)
}

// TestAmendReadsAgain has another client write the tag, and a registry that checks no conditions, while images are copied.
func TestAmendReadsAgain(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*publish.Creation)
		want   string
	}{
		"kept":        {nil, ""},
		"condition":   {func(c *publish.Creation) { c.Condition.Absent = true }, "requires that it is absent"},
		"annotations": {func(c *publish.Creation) { c.Annotations.Index = map[string]string{"k": "v"} }, "amending it keeps its annotations"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := fakes.NewFixture()
				w.Registry.Image(t, "h.example.com/other:arm64", oci, "linux/arm64")
				s390x := w.Registry.Image(t, repo+":s390x", oci, "linux/s390x")
				clients := w.Clients()
				clients.Registry = meanwhile{w.Registry, func() { w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, s390x) }}
				creation := fakes.Creation(t, repo+":1", "h.example.com/other:arm64")
				want := []string{"linux/s390x", "linux/arm64"}
				if c.change != nil {
					c.change(&creation)
					want = want[:1]
				}
				_, err := publish.AmendPublished(t.Context(), clients, creation)
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				if got := platforms(t, string(w.Registry.Manifests[repo+":1"])); !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			})
		})
	}
}

// TestAmendConditionOfAllTags checks the condition on the tags beside the name.
func TestAmendConditionOfAllTags(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, repo+":amd64", oci, "linux/amd64")
	w.Registry.Image(t, repo+":arm64", oci, "linux/arm64")
	base := w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, amd64)
	w.Registry.Image(t, repo+":2", oci, "linux/s390x")
	_, err := amend(t, w, func(c *publish.Creation) {
		c.Condition.Digest, c.Tags = base.Digest, []reference.NamedTagged{fakes.ListName(t, repo+":2")}
	}, repo+":arm64")
	if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), repo+":2 points to") || digest.FromBytes(w.Registry.Manifests[repo+":1"]) != base.Digest {
		t.Errorf("got %v, want an error about tag 2 and nothing written", err)
	}
}

// TestAmendAttestations replaces the attestations of an image that is listed already.
func TestAmendAttestations(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, repo+":amd64", oci, "linux/amd64")
	first := w.Registry.Attestation(t, repo+":first", amd64.Digest)
	again := w.Registry.Image(t, repo+":again", oci, "linux/386", "again")
	again.Platform, again.Annotations = first.Platform, first.Annotations
	w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, amd64, first)
	w.Registry.Index(t, repo+":new", ocispec.MediaTypeImageIndex, amd64, again)
	got, err := amend(t, w, nil, repo+":new")
	if err != nil || strings.Contains(got, first.Digest.String()) || !strings.Contains(got, again.Digest.String()) {
		t.Errorf("got %s, %v, want the new attestation only", got, err)
	}
	if got, err = amend(t, w, nil, repo+":amd64"); err != nil || !strings.Contains(got, again.Digest.String()) {
		t.Errorf("the image only: got %s, %v, want its attestation kept", got, err)
	}
}

// TestAmendVariants keeps both images of a platform that clients can choose between.
func TestAmendVariants(t *testing.T) {
	w := fakes.NewFixture()
	old := w.Registry.Image(t, repo+":old", oci, "linux/amd64", "old")
	gzip, zstd := w.Registry.Image(t, repo+":gzip", oci, "linux/amd64", "gzip"), w.Registry.Image(t, repo+":zstd", oci, "linux/amd64", "zstd")
	zstd.Annotations = map[string]string{manifest.AnnotationZstd: "true"}
	w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, old)
	w.Registry.Index(t, repo+":new", ocispec.MediaTypeImageIndex, gzip, zstd)
	got, err := amend(t, w, nil, repo+":new")
	if err != nil || !strings.Contains(got, gzip.Digest.String()) || !strings.Contains(got, zstd.Digest.String()) {
		t.Errorf("got %s, %v, want both images", got, err)
	}
}

// TestAmendListedImage annotates an image that is listed already.
func TestAmendListedImage(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, repo+":amd64", oci, "linux/amd64")
	attestation := w.Registry.Attestation(t, repo+":attestation", amd64.Digest)
	amd64.Annotations = map[string]string{"old": "1"}
	w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, amd64, attestation)
	annotated := func(c *publish.Creation) {
		c.Annotations.Descriptors = []manifest.DescriptorAnnotation{{Key: "k", Value: "v"}}
	}
	got, err := amend(t, w, annotated, repo+":amd64")
	if err != nil {
		t.Fatal(err)
	}
	children, _, _ := manifest.ParseIndex([]byte(got))
	if len(children) != 2 || children[0].Annotations["k"] != "v" || children[0].Annotations["old"] != "1" {
		t.Errorf("got %s, want the image annotated, and its attestation", got)
	}
	again, err := amend(t, w, annotated, repo+":amd64")
	if err != nil || again != got {
		t.Errorf("again: got %s, %v, want %s", again, err, got)
	}
}

// TestAmendType refuses another media type than the list has.
func TestAmendType(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, repo+":amd64", oci, "linux/amd64")
	w.Registry.Image(t, repo+":arm64", oci, "linux/arm64")
	w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, amd64)
	_, err := amend(t, w, func(c *publish.Creation) { c.MediaType = manifest.MediaTypeDockerList }, repo+":arm64")
	if err == nil || !strings.Contains(err.Error(), "--type") {
		t.Errorf("got %v, want an error about --type", err)
	}
}

// TestAmendReportsMove reports that the tag moved.
func TestAmendReportsMove(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, repo+":amd64", oci, "linux/amd64")
	w.Registry.Image(t, repo+":arm64", oci, "linux/arm64")
	base := w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, amd64)
	got, err := amend(t, w, nil, repo+":arm64")
	if want := "moved " + repo + ":1 from " + base.Digest.String() + " to " + digest.FromString(got).String(); err != nil || !slices.Contains(w.Notes.Notes, want) {
		t.Errorf("got notes %q, %v, want %q", w.Notes.Notes, err, want)
	}
}

// tagging is a registry in which another client amends the list when its other tags have been written.
type tagging struct {
	*fakes.Registry
	amend func()
}

func (r tagging) Put(ctx context.Context, ref reference.Named, c manifest.Content, tags ...string) error {
	defer r.amend()
	return r.Registry.Put(ctx, ref, c, tags...)
}

// TestAmendTags leaves no older list under the other tags than under the name.
func TestAmendTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := fakes.NewFixture()
		arm64 := w.Registry.Image(t, repo+":arm64", oci, "linux/arm64")
		s390x := w.Registry.Image(t, repo+":s390x", oci, "linux/s390x")
		clients := w.Clients()
		clients.Registry = tagging{w.Registry, func() { w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, arm64, s390x) }}
		c := fakes.Creation(t, repo+":1", repo+":arm64")
		c.Tags = []reference.NamedTagged{fakes.ListName(t, repo+":2")}
		pushed, err := publish.AmendPublished(t.Context(), clients, c)
		got, want := digest.FromBytes(w.Registry.Manifests[repo+":2"]), digest.FromBytes(w.Registry.Manifests[repo+":1"])
		if err != nil || got != want || pushed.Descriptor.Digest != want {
			t.Errorf("got tag 2 at %s and the result %s, %v, want %s", got, pushed.Descriptor.Digest, err, want)
		}
	})
}

// losing is a registry whose answer to the first conditional write is lost, while another client writes the tag.
type losing struct {
	*fakes.Registry
	lose func() error
}

func (r losing) PutIf(ctx context.Context, tag reference.NamedTagged, c manifest.Content, before digest.Digest) error {
	if err := r.lose(); err != nil {
		return err
	}
	return r.Registry.PutIf(ctx, tag, c, before)
}

// TestAmendUnproven takes only a refused condition for a proof that the registry checks conditions.
func TestAmendUnproven(t *testing.T) {
	for _, kind := range []error{errdefs.ErrAborted, errdefs.ErrConflict} {
		synctest.Test(t, func(t *testing.T) {
			w := fakes.NewFixture()
			w.Registry.Image(t, repo+":arm64", oci, "linux/arm64")
			s390x := w.Registry.Image(t, repo+":s390x", oci, "linux/s390x")
			clients, first := w.Clients(), true
			clients.Registry = losing{w.Registry, func() error {
				if !first {
					return nil
				}
				first = false
				w.Registry.Index(t, repo+":1", ocispec.MediaTypeImageIndex, s390x)
				return kind
			}}
			_, err := publish.AmendPublished(t.Context(), clients, fakes.Creation(t, repo+":1", repo+":arm64"))
			if err != nil || len(w.Notes.Warnings) != 1 {
				t.Errorf("%v: got %v and warnings %q, want one about conditional updates", kind, err, w.Notes.Warnings)
			}
			if got := platforms(t, string(w.Registry.Manifests[repo+":1"])); len(got) != 2 {
				t.Errorf("%v: got %v, want both platforms", kind, got)
			}
		})
	}
}
