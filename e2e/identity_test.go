package e2e

import (
	"encoding/json"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// One image for several platforms is an entry for each of them in the local store, where docker manifest reads,
// annotates, pushes and removes them.
func TestOneImageForSeveralPlatforms(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	for _, tool := range []string{"docker", "multiarch"} {
		image := s.oci(amd64, tool)
		var children []images.Manifest
		for _, p := range []ocispec.Platform{amd64, {OS: "linux", Architecture: "arm"}, arm64, {OS: "windows", Architecture: "amd64", OSVersion: "1"}, {OS: "windows", Architecture: "amd64", OSVersion: "2"}} {
			child := image
			child.Descriptor.Platform = &p
			children = append(children, child)
		}
		source := harness.Put(t, s.registry, s.repo, "noarch-"+tool, images.Index(images.OCI, children...))
		entry := s.registry.Host + "/" + s.repo + "@" + image.Digest().String()
		want := []string{"linux/amd64/v2", "linux/arm", "linux/arm64/v8", "windows/amd64", "windows/amd64"}

		s.multiarch("create", s.list, source)
		s.docker("manifest", "annotate", "--variant", "v2", s.list, entry)
		var shown ocispec.Index
		if err := json.Unmarshal([]byte(s.docker("manifest", "inspect", s.list)), &shown); err != nil || len(shown.Manifests) != len(want) {
			t.Errorf("docker manifest inspect: got %v, error %v, want %s", shown.Manifests, err, want)
		}
		if tool == "docker" {
			s.docker("manifest", "push", "--insecure", s.list)
		} else {
			s.multiarch("push", s.list)
		}
		for _, d := range s.holds("1", want...).Manifests {
			if d.Digest != image.Digest() {
				t.Errorf("after %s: got digest %s, want %s", tool, d.Digest, image.Digest())
			}
		}
		s.multiarch("annotate", "--variant", "v9", s.list, "linux/arm64/v8")
		s.multiarch("drop", s.list, "linux/arm")
		says(t, s.refused([]string{"linux/amd64/v2"}, "annotate", "--variant", "v1", s.list, entry).Stderr, "linux/arm64/v9")
		s.docker("manifest", "rm", s.list)
		if files := s.store(); len(files) != 0 {
			t.Errorf("got %v after docker manifest rm, want no files", files)
		}
	}
}

// Artifacts and attestations that no longer name their image travel with an image of the daemon.
func TestArtifactsOfLocalImage(t *testing.T) {
	s := newIndexScene(t)
	a, b := s.oci(amd64, "1"), s.oci(arm64, "1")
	artifact, lost := images.Artifact("application/vnd.amazon.soci.index.v2+json", a), images.Attestation(b)
	artifact.Descriptor.ArtifactType = "application/vnd.amazon.soci.index.v2+json"
	lost.Descriptor.Annotations = nil
	name := s.registry.Host + "/other/" + s.repo + ":multi"
	s.loadIndex(name, images.Index(images.OCI, a, b, artifact, lost), nil)
	s.multiarch("create", s.list, name)
	s.noWarning(s.multiarch("push", s.list).Stderr)
	index := s.holds("1", "linux/amd64", "linux/arm64/v8", "none", "unknown/unknown")
	if d := index.Manifests[2]; d.Digest != artifact.Digest() || d.ArtifactType != artifact.Descriptor.ArtifactType {
		t.Errorf("got %+v, want the artifact %s", d, artifact.Digest())
	}
	if d := index.Manifests[3]; d.Digest != lost.Digest() {
		t.Errorf("got %+v, want the attestation %s", d, lost.Digest())
	}
}
