package inspect_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
)

// configured stores an image with this config and layers, and returns its descriptor in an index.
func configured(t *testing.T, m *fakes.Registry, platform, config string, layers ...string) ocispec.Descriptor {
	t.Helper()
	c := manifest.NewContent(ocispec.MediaTypeImageConfig, []byte(config))
	m.Blobs[c.Descriptor.Digest] = c.Raw
	image := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: c.Descriptor}
	image.SchemaVersion = 2
	for _, l := range layers {
		image.Layers = append(image.Layers, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString(l), Size: int64(len(l))})
	}
	raw, err := json.Marshal(image)
	if err != nil {
		t.Fatal(err)
	}
	p, err := manifest.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	d := m.Store(fakes.Named(t, example+":"+digest.FromBytes(raw).Encoded()[:12]), image.MediaType, raw)
	return ocispec.Descriptor{MediaType: image.MediaType, Digest: d, Size: int64(len(raw)), Platform: &p.Platform}
}

func TestDiff(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := configured(t, w.Registry, "linux/amd64", `{"os":"linux","architecture":"amd64"}`, "base", "program")
	was := configured(t, w.Registry, "linux/arm64", `{"created":"2026-01-01T00:00:00Z","config":{
		"Env":["PATH=/bin","OLD=1"],"Entrypoint":["/app"],"User":"1","Labels":{"rev":"a"},"ExposedPorts":{"80/tcp":{}}}}`, "base", "base", "old layer")
	is := configured(t, w.Registry, "linux/arm64", `{"created":"2026-01-02T00:00:00Z","config":{
		"Env":["PATH=/bin:/sbin"],"Entrypoint":["/app","-v"],"User":"1","Labels":{"rev":"b"},"ExposedPorts":{"81/tcp":{}}}}`, "base", "a new layer")
	lost := amd64
	lost.Digest, lost.Platform = digest.FromString("lost"), was.Platform
	annotated := amd64
	annotated.Annotations = map[string]string{"k": "v"}
	attested, attestation := amd64, w.Registry.Attestation(t, example+":attestation", amd64.Digest)
	index := func(tag, mediaType string, children ...ocispec.Descriptor) {
		w.Registry.Index(t, example+":"+tag, mediaType, children...)
	}
	oci := ocispec.MediaTypeImageIndex
	index("1", oci, amd64, was)
	index("again", oci, amd64, was)
	index("turned", oci, was, amd64)
	index("2", oci, amd64, is)
	index("docker", manifest.MediaTypeDockerList, amd64, was)
	index("small", oci, amd64)
	index("lost", oci, amd64, lost)
	index("annotated", oci, annotated, was)
	index("attested", oci, attested, was, attestation)
	w.Registry.Store(fakes.Named(t, example+":spaced"), oci, append(w.Registry.Manifests[example+":1"], ' '))
	pending := fakes.ListName(t, example+":pending")
	local := manifest.List{Name: pending, Entries: []manifest.Entry{{
		Ref: fakes.Named(t, example+":arm64"), Source: fakes.Named(t, "app:arm64"),
		Descriptor: ocispec.Descriptor{Platform: was.Platform}, Pending: &manifest.Pending{ID: digest.FromString("id")},
	}}}
	if err := w.Lists.Replace(t.Context(), local); err != nil {
		t.Fatal(err)
	}
	index("arm64", oci, was)

	for _, tt := range []struct {
		old, new string
		state    inspect.DiffState
		want     []string
	}{
		{"1", "again", inspect.DiffSame, []string{"linux/amd64 same", "linux/arm64 same"}},
		{"1", "2", inspect.DiffChanged, []string{
			"linux/amd64 same", "linux/arm64 changed",
			`linux/arm64 created "2026-01-01T00:00:00Z" "2026-01-02T00:00:00Z"`,
			`linux/arm64 entrypoint "[\"/app\"]" "[\"/app\",\"-v\"]"`,
			`linux/arm64 env OLD "1" ""`, `linux/arm64 env PATH "/bin" "/bin:/sbin"`,
			`linux/arm64 label rev "a" "b"`, `linux/arm64 port 80/tcp "{}" ""`, `linux/arm64 port 81/tcp "" "{}"`,
			"linux/arm64 layers 1 shared, 2 removed, 1 added; 5 bytes more beside the manifest",
		}},
		{"1", "turned", inspect.DiffChanged, []string{`order "linux/amd64 linux/arm64" "linux/arm64 linux/amd64"`, "linux/amd64 same", "linux/arm64 same"}},
		{"1", "docker", inspect.DiffChanged, []string{fmt.Sprintf("mediaType %q %q", oci, manifest.MediaTypeDockerList), "linux/amd64 same", "linux/arm64 same"}},
		{"1", "small", inspect.DiffChanged, []string{"linux/amd64 same", "linux/arm64 removed"}},
		{"small", "1", inspect.DiffChanged, []string{"linux/amd64 same", "linux/arm64 added"}},
		{"1", "annotated", inspect.DiffChanged, []string{"linux/amd64 changed", `linux/amd64 descriptor annotation k "" "v"`, "linux/arm64 same"}},
		{"1", "attested", inspect.DiffChanged, []string{"linux/amd64 same", "linux/arm64 same", "linux/amd64 added"}},
		{"1", "spaced", inspect.DiffChanged, []string{"digest", "linux/amd64 same", "linux/arm64 same"}},
		{"1", "lost", inspect.DiffChanged, []string{"linux/amd64 same", "linux/arm64 changed", "linux/arm64 error"}},
		{"arm64", "pending", inspect.DiffUnknown, []string{"linux/arm64 unknown", "linux/arm64 error"}},
		{"pending", "pending", inspect.DiffSame, []string{"linux/arm64 same"}},
		{"pending", "small", inspect.DiffChanged, []string{"linux/arm64 removed", "linux/amd64 added"}},
	} {
		t.Run(tt.old+" "+tt.new, func(t *testing.T) {
			d, err := inspect.Diff(t.Context(), w.Lists, w.Registry, fakes.Named(t, example+":"+tt.old), fakes.Named(t, example+":"+tt.new))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range d.Changes {
				line := fmt.Sprintf("%s %q %q", c.Field, c.Old, c.New)
				if c.Field == "digest" {
					line = c.Field
				}
				got = append(got, line)
			}
			for _, e := range d.Entries {
				got = append(got, e.Platform+" "+string(e.State))
				for _, c := range e.Changes {
					got = append(got, fmt.Sprintf("%s %s %q %q", e.Platform, c.Field, c.Old, c.New))
				}
				if l := e.Layers; l != nil {
					got = append(got, fmt.Sprintf("%s layers %d shared, %d removed, %d added; %d bytes more beside the manifest", e.Platform, len(l.Shared), len(l.Removed), len(l.Added), e.NewImageSize-e.OldImageSize-(is.Size-was.Size)))
				}
				if e.Error != "" {
					got = append(got, e.Platform+" error")
				}
			}
			if got, want := strings.Join(got, "\n"), strings.Join(tt.want, "\n"); got != want || d.State != tt.state {
				t.Errorf("got %s:\n%s\nwant %s:\n%s", d.State, got, tt.state, want)
			}
		})
	}
}
