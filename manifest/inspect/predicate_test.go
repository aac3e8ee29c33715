package inspect_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// statementOf returns an in-toto statement on a digest.
func statementOf(predicateType, predicate string, of digest.Digest) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":%q,"subject":[{"name":"_","digest":{"sha256":%q}}],"predicate":%s}`,
		predicateType, of.Encoded(), predicate)
}

// envelope returns a DSSE envelope of a statement.
func envelope(statement string) string {
	return fmt.Sprintf(`{"payloadType":"application/vnd.in-toto+json","payload":%q,"signatures":[]}`, base64.StdEncoding.EncodeToString([]byte(statement)))
}

// attached stores a manifest with one layer, as attestations and referrers are, under a tag.
func attached(t *testing.T, m *fakes.Registry, tag string, subject *ocispec.Descriptor, layerType, document string, annotations ...string) ocispec.Descriptor {
	t.Helper()
	layer := manifest.NewContent(layerType, []byte(document))
	m.Blobs[layer.Descriptor.Digest] = layer.Raw
	if len(annotations) > 0 {
		layer.Descriptor.Annotations = map[string]string{annotations[0]: annotations[1]}
	}
	m.Blobs[ocispec.DescriptorEmptyJSON.Digest] = []byte("{}")
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: layerType,
		Config: ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{layer.Descriptor}, Subject: subject,
	})
	if err != nil {
		t.Fatal(err)
	}
	d := m.Store(fakes.Named(t, example+":"+tag), ocispec.MediaTypeImageManifest, raw)
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: int64(len(raw))}
}

func TestPredicates(t *testing.T) {
	const (
		spdx   = "https://spdx.dev/Document"
		slsa   = "https://slsa.dev/provenance/v1"
		inToto = "application/vnd.in-toto+json"
		// notation is a JWS: its payload is base64 for URLs, without padding.
		notation = `{"payload":"eyJ0YXJnZXRBcnRpZmFjdCI6eyJuIjoifn4_In19","protected":"eyJhIjoxfQ","signature":"x_-"}`
	)
	for _, tt := range []struct {
		name string
		// attach attaches to the image, and returns what the index lists beside it.
		attach   func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor
		platform string
		want     string // JSON, or the error
		warning  string
	}{
		{"none", nil, "", "has no SBOM", ""},
		{"BuildKit", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			d := attached(t, m, "a", nil, inToto, statementOf(spdx, `{"n":1}`, image.Digest), inspect.AnnotationPredicateType, spdx)
			d.Annotations = map[string]string{manifest.AnnotationReferenceType: manifest.ReferenceTypeAttestation, manifest.AnnotationReferenceDigest: image.Digest.String()}
			return []ocispec.Descriptor{d}
		}, "", `{"n":1}`, ""},
		{"BuildKit, of an image without a name", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			d := attached(t, m, "a", nil, inToto, `{"predicateType":"`+spdx+`","subject":[],"predicate":{"n":1}}`, inspect.AnnotationPredicateType, spdx)
			d.Annotations = map[string]string{manifest.AnnotationReferenceType: manifest.ReferenceTypeAttestation, manifest.AnnotationReferenceDigest: image.Digest.String()}
			return []ocispec.Descriptor{d}
		}, "", `{"n":1}`, ""},
		{"provenance only", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, inToto, statementOf(slsa, `{"n":1}`, image.Digest))
			return nil
		}, "", "has no SBOM", ""},
		{"sigstore bundle", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			bundle := fmt.Sprintf(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":%s}`, envelope(statementOf(spdx, `{"n":2}`, image.Digest)))
			attached(t, m, "a", &image, "application/vnd.dev.sigstore.bundle.v0.3+json", bundle)
			return nil
		}, "", `{"n":2}`, ""},
		{"oras", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, "application/spdx+json", `{"spdxVersion":"SPDX-2.3"}`)
			attached(t, m, "b", &image, "application/vnd.cyclonedx+json", `{"bomFormat":"CycloneDX"}`)
			attached(t, m, "c", &image, "application/x-other+json", `{"other":1}`)
			return nil
		}, "linux/amd64", `[{"bomFormat":"CycloneDX"},{"spdxVersion":"SPDX-2.3"}]`, ""},
		{"cosign's tag", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, manifest.ReferrersTag(image.Digest)+".att", nil, "application/vnd.dsse.envelope.v1+json", envelope(statementOf(spdx, `{"n":3}`, image.Digest)), "predicateType", spdx)
			return nil
		}, "", `{"n":3}`, ""},
		{"of another image", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, inToto, statementOf(spdx, `{"n":1}`, digest.FromString("other")))
			return nil
		}, "", "describes " + digest.FromString("other").String() + ", not", ""},
		{"and of another image", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, inToto, statementOf(spdx, `{"n":1}`, digest.FromString("other")))
			attached(t, m, "b", &image, inToto, statementOf(spdx, `{"n":2}`, image.Digest))
			return nil
		}, "", `{"n":2}`, "; skipped"},
		{"no JSON", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, inToto, "{")
			return nil
		}, "", "is not valid JSON", ""},
		{"unreadable manifest", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			m.Store(fakes.Named(t, example+":"+manifest.ReferrersTag(image.Digest)+".att"), ocispec.MediaTypeImageManifest, []byte("["))
			return nil
		}, "", "cannot be read", ""},
		{"no JSON beside one", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, inToto, "{")
			attached(t, m, "b", &image, "application/spdx+json", `{"spdxVersion":"SPDX-2.3"}`)
			return nil
		}, "", `{"spdxVersion":"SPDX-2.3"}`, "; skipped"},
		{"oras, without a media type", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, ocispec.MediaTypeImageLayer, `{"spdxVersion":"SPDX-2.3"}`, ocispec.AnnotationTitle, "sbom.spdx.json")
			attached(t, m, "b", &image, ocispec.MediaTypeImageLayer, "text", ocispec.AnnotationTitle, "README.md")
			attached(t, m, "c", &image, ocispec.MediaTypeImageLayer, "{", ocispec.AnnotationTitle, "odd.json")
			return nil
		}, "", `{"spdxVersion":"SPDX-2.3"}`, "[]"},
		{"oras, a damaged file", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, ocispec.MediaTypeImageLayer, "{", ocispec.AnnotationTitle, "sbom.spdx.json")
			return nil
		}, "", "is not valid JSON", ""},
		{"SPDX 3", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, "application/spdx+json", `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}`)
			return nil
		}, "", `spdx-context.jsonld`, "[]"},
		{"SPDX that is no JSON", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, "text/spdx", "SPDXVersion: SPDX-2.3")
			return nil
		}, "", "(text/spdx) is not valid JSON", ""},
		{"somebody's referrers tag", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			m.NoReferrers = true
			m.Image(t, example+":"+manifest.ReferrersTag(image.Digest), ocispec.MediaTypeImageManifest, "linux/amd64", "other")
			d := attached(t, m, "a", nil, inToto, statementOf(spdx, `{"n":1}`, image.Digest), inspect.AnnotationPredicateType, spdx)
			d.Annotations = map[string]string{manifest.AnnotationReferenceType: manifest.ReferenceTypeAttestation, manifest.AnnotationReferenceDigest: image.Digest.String()}
			return []ocispec.Descriptor{d}
		}, "", `{"n":1}`, "is not an index of referrers; skipped"},
		{"none for the platform", nil, "linux/amd64", "has no SBOM for linux/amd64", ""},
		{"signature of Notation", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, "application/spdx+json", `{"spdxVersion":"SPDX-2.3"}`)
			attached(t, m, "b", &image, "application/jose+json", notation)
			return nil
		}, "", `{"spdxVersion":"SPDX-2.3"}`, ""},
		{"only a signature of Notation", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, "application/jose+json", notation)
			return nil
		}, "", "has no SBOM", ""},
		{"other JSON", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			attached(t, m, "a", &image, "application/spdx+json", `{"spdxVersion":"SPDX-2.3"}`)
			attached(t, m, "b", &image, "application/x-other+json", `[{"subject":1}]`)
			attached(t, m, "c", &image, "application/x-more+json", `{"subject":"all","predicateType":1,"payload":{}}`)
			return nil
		}, "", `{"spdxVersion":"SPDX-2.3"}`, ""},
		{"too many", func(m *fakes.Registry, image ocispec.Descriptor) []ocispec.Descriptor {
			for n := range 97 { // and the two tags of cosign for the image and for its index
				attached(t, m, fmt.Sprint("a", n), &image, inToto, statementOf(slsa, fmt.Sprint(n), image.Digest))
			}
			return nil
		}, "", "too many attestations and referrers to read them all (1 too many)", ""},
		{"other platform", nil, "linux/s390x", "has no image for linux/s390x (it has: linux/amd64)", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := fakes.NewFixture()
			image := w.Registry.Image(t, example+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
			children := []ocispec.Descriptor{image}
			if tt.attach != nil {
				children = append(children, tt.attach(w.Registry, image)...)
			}
			w.Registry.Index(t, example+":1", ocispec.MediaTypeImageIndex, children...)
			got, warnings := predicates(t, w, "1", tt.platform)
			if !strings.Contains(got, tt.want) || !strings.Contains(warnings, tt.warning) {
				t.Errorf("got %s and warnings %q, want %s and %q", got, warnings, tt.want, tt.warning)
			}
		})
	}
}

// predicates returns the SBOMs under a tag as JSON, or the error, and the warnings.
func predicates(t *testing.T, w fakes.Fixture, tag, platform string) (string, string) {
	t.Helper()
	found, err := inspect.Read(t.Context(), w.Lists, w.Registry, fakes.Named(t, example+":"+tag))
	if err != nil {
		t.Fatal(err)
	}
	var only *manifest.Platform
	if platform != "" {
		p, err := manifest.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		only = &p
	}
	var lines manifest.Diagnostics
	p, err := found.Predicates(t.Context(), w.Registry, &lines, inspect.SBOM, only)
	if err != nil {
		return err.Error(), fmt.Sprint(lines)
	}
	raw, err := json.Marshal(p.Value())
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), fmt.Sprint(lines)
}

// A list has an object by platform; what is attached to the index counts for each image.
func TestPredicatesOfList(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, example+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	arm64 := w.Registry.Image(t, example+":arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	attached(t, w.Registry, "sbom", &amd64, "application/spdx+json", `{"spdxVersion":"SPDX-2.3"}`)
	index := w.Registry.Index(t, example+":1", ocispec.MediaTypeImageIndex, amd64, arm64)
	if got, warnings := predicates(t, w, "1", ""); got != `{"linux/amd64":{"spdxVersion":"SPDX-2.3"}}` || !strings.Contains(warnings, "no SBOM for linux/arm64") {
		t.Errorf("got %s and warnings %s, want the SBOM of linux/amd64 and a warning for linux/arm64", got, warnings)
	}
	attached(t, w.Registry, "both", &index, "application/vnd.cyclonedx+json", `{"bomFormat":"CycloneDX"}`)
	want := `{"linux/amd64":[{"bomFormat":"CycloneDX"},{"spdxVersion":"SPDX-2.3"}],"linux/arm64":{"bomFormat":"CycloneDX"}}`
	if got, warnings := predicates(t, w, "1", ""); got != want || warnings != "[]" {
		t.Errorf("got %s and warnings %s, want %s", got, warnings, want)
	}
	w.Registry.Errs[example+":"+manifest.ReferrersTag(arm64.Digest)+".att"] = errdefs.ErrUnavailable
	if got, _ := predicates(t, w, "1", ""); !strings.Contains(got, "unavailable") {
		t.Errorf("got %s, want the error of reading a tag", got)
	}
}

// Of two images for one platform all are shown, and what describes an index is read, and warned of, once.
func TestPredicatesOfOnePlatform(t *testing.T) {
	w := fakes.NewFixture()
	one := w.Registry.Image(t, example+":one", ocispec.MediaTypeImageManifest, "linux/amd64")
	two := w.Registry.Image(t, example+":two", ocispec.MediaTypeImageManifest, "linux/amd64", "two")
	attached(t, w.Registry, "a", &one, "application/spdx+json", `{"spdxVersion":"SPDX-2.2"}`)
	attached(t, w.Registry, "b", &two, "application/spdx+json", `{"spdxVersion":"SPDX-2.3"}`)
	index := w.Registry.Index(t, example+":1", ocispec.MediaTypeImageIndex, one, two)
	attached(t, w.Registry, "c", &index, "application/spdx+json", `{`)
	attached(t, w.Registry, "d", &index, "application/vnd.cyclonedx+json", `{"bomFormat":"CycloneDX"}`)
	got, warnings := predicates(t, w, "1", "")
	if want := `{"linux/amd64":[{"bomFormat":"CycloneDX"},{"spdxVersion":"SPDX-2.2"},{"spdxVersion":"SPDX-2.3"}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := strings.Count(warnings, "is not valid JSON"); n != 1 {
		t.Errorf("got %d warnings of what describes the index, want 1: %s", n, warnings)
	}
}

// An entry of a local list has the attestations that the list has of it.
func TestPredicatesOfEntry(t *testing.T) {
	w := fakes.NewFixture()
	image := w.Registry.Image(t, example+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	d := attached(t, w.Registry, "a", nil, "application/vnd.in-toto+json", statementOf("https://spdx.dev/Document", `{"n":1}`, image.Digest))
	d.Annotations = map[string]string{manifest.AnnotationReferenceType: manifest.ReferenceTypeAttestation, manifest.AnnotationReferenceDigest: image.Digest.String()}
	w.Registry.Index(t, example+":1", ocispec.MediaTypeImageIndex, image, d)
	if _, err := publish.Create(t.Context(), w.Lists, w.Clients(), fakes.Creation(t, example+":local", example+":1")); err != nil {
		t.Fatal(err)
	}
	found, err := inspect.ReadEntry(t.Context(), w.Lists, w.Registry, fakes.Named(t, example+":local"), "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	p, err := found.Predicates(t.Context(), w.Registry, &manifest.Diagnostics{}, inspect.SBOM, nil)
	if raw, _ := json.Marshal(p.Value()); err != nil || string(raw) != `{"n":1}` {
		t.Errorf("got %s and error %v, want the SBOM", raw, err)
	}
	found, err = inspect.Read(t.Context(), w.Lists, w.Registry, manifest.AtDigest(fakes.Named(t, example+":1"), image.Digest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = found.Predicates(t.Context(), w.Registry, &manifest.Diagnostics{}, inspect.SBOM, nil); !strings.Contains(manifest.Hint(err), "name that, with --platform") {
		t.Errorf("got error %v with hint %q, want one to the index", err, manifest.Hint(err))
	}
}
