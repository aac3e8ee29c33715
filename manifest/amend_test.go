package manifest_test

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
)

// amend publishes sources into the list that the registry has under tag 1, and returns that list.
func amend(t *testing.T, w fakes.Fixture, change func(*manifest.Creation), sources ...string) (string, error) {
	t.Helper()
	c := fakes.Creation(t, repo+":1", sources...)
	if change != nil {
		change(&c)
	}
	_, err := manifest.PublishAmended(t.Context(), w.Clients(), c)
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
	oci := ocispec.MediaTypeImageManifest
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
	whole, err := manifest.Publish(t.Context(), w.Clients(), fakes.Creation(t, repo+":whole", names...))
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
		change  func(*manifest.Creation)
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
		"required platform": {nil, func(c *manifest.Creation) { c.Require, _ = manifest.ParsePlatforms([]string{"linux/arm64"}) }, "no image for linux/arm64", ""},
		"exact platforms": {func(w fakes.Fixture) []ocispec.Descriptor {
			return []ocispec.Descriptor{w.Registry.Image(t, repo+":a", ocispec.MediaTypeImageManifest, "linux/s390x")}
		}, func(c *manifest.Creation) { c.Exact, _ = manifest.ParsePlatforms([]string{"linux/amd64"}) }, "linux/s390x", ""},
		"digest": {nil, func(c *manifest.Creation) { c.Condition.Digest = one }, "--if-digest", ""},
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
				_, err := manifest.PublishAmended(t.Context(), clients, fakes.Creation(t, repo+":1", repo+":arm64"))
				refused := errdefs.IsAborted(err) || errdefs.IsConflict(err)
				if refused != c.refused || !refused && err != nil {
					t.Fatalf("got %v, want it refused: %t", err, c.refused)
				}
				if p := platforms(t, string(w.Registry.Manifests[repo+":1"])); !slices.Equal(p, c.want) {
					t.Errorf("got %v, want %v", p, c.want)
				}
				warned := strings.Contains(strings.Join(w.Notes.Warnings, "\n"), "h.example.com did not confirm conditional updates")
				if warned != (!c.conditional && !refused) {
					t.Errorf("got warnings %q", w.Notes.Warnings)
				}
			})
		})
	}
}
