package images

import (
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Index returns an index (Format OCI) or manifest list (Docker) of children, which may be indexes themselves.
func Index(format Format, children ...Manifest) Manifest {
	manifests := make([]ocispec.Descriptor, 0, len(children))
	for _, c := range children {
		manifests = append(manifests, c.Descriptor)
	}
	mediaType := mediaTypes[format].index
	raw := encode(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: mediaType,
		Manifests: manifests,
	})
	return Manifest{Descriptor: newBlob(mediaType, raw).Descriptor, Raw: raw, Children: children}
}

// Attested returns an OCI index as made by buildx: the images, then an attestation manifest for each.
func Attested(images ...Manifest) Manifest {
	children := slices.Clone(images)
	for _, image := range images {
		children = append(children, Attestation(image))
	}
	return Index(OCI, children...)
}

// Attestation returns an attestation manifest of image: its platform is unknown/unknown, and the annotations of its
// descriptor have the digest of the image.
func Attestation(image Manifest) Manifest {
	const predicate = "https://slsa.dev/provenance/v0.2"
	statement := newBlob("application/vnd.in-toto+json", encode(map[string]any{
		"_type":         "https://in-toto.io/Statement/v0.1",
		"predicateType": predicate,
		"subject": []map[string]any{{
			"name": "_", "digest": map[string]string{"sha256": image.Digest().Encoded()},
		}},
		"predicate": map[string]any{"buildType": "https://mobyproject.org/buildkit@v1"},
	}))
	statement.Descriptor.Annotations = map[string]string{"in-toto.io/predicate-type": predicate}
	platform := ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	config := ocispec.Image{Platform: platform}
	config.RootFS.Type = "layers"
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, statement.Descriptor.Digest)
	m := newImage(ocispec.MediaTypeImageManifest,
		[]Blob{newBlob(ocispec.MediaTypeImageConfig, encode(config)), statement}, &platform)
	m.Descriptor.Annotations = map[string]string{
		"vnd.docker.reference.type":   "attestation-manifest",
		"vnd.docker.reference.digest": image.Digest().String(),
	}
	return m
}

// Artifact returns a referrer of a subject, such as a signature or an SBOM.
func Artifact(artifactType string, subject Manifest) Manifest {
	config := newBlob(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	content := newBlob(artifactType, []byte(artifactType+" of "+subject.Digest().String()))
	d := subject.Descriptor
	raw := encode(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType,
		Config:       config.Descriptor,
		Layers:       []ocispec.Descriptor{content.Descriptor},
		Subject:      &ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size},
	})
	return Manifest{Descriptor: newBlob(ocispec.MediaTypeImageManifest, raw).Descriptor, Raw: raw, Blobs: []Blob{config, content}}
}

// DigestTag returns a tag named after a digest: without a suffix that of the referrers for registries without the
// referrers API, with a suffix of cosign that of a signature or an SBOM.
func DigestTag(d digest.Digest, suffix string) string {
	return d.Algorithm().String() + "-" + d.Encoded() + suffix
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
