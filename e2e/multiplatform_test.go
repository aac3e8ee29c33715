package e2e

import (
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// newIndexScene is a scene with the daemon that stores indexes.
func newIndexScene(t *testing.T) *scene {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.useDaemon(harness.Daemon(t, harness.Containerd))
	return s
}

// oci returns an OCI image; another version of a platform is another image.
func (s *scene) oci(p ocispec.Platform, version string) images.Manifest {
	return images.Image(images.Spec{Seed: s.repo + version, Platform: p, Format: images.OCI})
}

// loadIndex loads an index into the daemon with the children that keep selects (nil: all).
func (s *scene) loadIndex(name string, index images.Manifest, keep func(images.Manifest) bool) {
	s.Helper()
	harness.LoadOCI(s.T, s.daemon, name, index, keep)
}

// A local image of several platforms differs from the registry's if one platform was built again; it does not if the
// daemon has only some of its platforms.
func TestCreateWarnsOfRebuiltPlatform(t *testing.T) {
	s := newIndexScene(t)
	a, b := s.oci(amd64, "1"), s.oci(arm64, "1")
	rebuilt := s.oci(arm64, "2")
	name := harness.Put(t, s.registry, s.repo, "multi", images.Attested(a, b))
	create := []string{"create", "--replace", s.list, name}

	s.loadIndex(name, images.Attested(a, b), nil)
	s.noWarning(s.multiarch(create...).Stderr)
	s.docker("rmi", name)
	s.loadIndex(name, images.Attested(a, b), func(m images.Manifest) bool { return m.Digest() == b.Digest() })
	s.noWarning(s.multiarch(create...).Stderr)

	s.docker("rmi", name)
	s.loadIndex(name, images.Attested(a, rebuilt), nil)
	says(t, s.multiarch(create...).Stderr, "WARNING", name, "--from daemon")
	s.multiarch("push", s.list)
	if index := s.holds("1", "linux/amd64", "linux/arm64/v8", "attestation", "attestation"); index.Manifests[1].Digest != b.Digest() {
		t.Errorf("got %s, want the registry's image %s", index.Manifests[1].Digest, b.Digest())
	}
	s.multiarch("create", "--replace", "--from", "daemon", s.list, name)
	s.multiarch("push", s.list)
	if index := s.holds("1", "linux/amd64", "linux/arm64/v8", "attestation", "attestation"); index.Manifests[1].Digest != rebuilt.Digest() {
		t.Errorf("got %s, want the daemon's image %s", index.Manifests[1].Digest, rebuilt.Digest())
	}
}

// A source of several platforms is still one source after its push: annotate requires a digest to select one of its
// images, and drop removes all of them.
func TestSourceOfSeveralPlatformsAfterPush(t *testing.T) {
	for place, name := range map[string]func(s *scene) string{
		"plain": func(s *scene) string { return s.plain("multi") }, "target": func(s *scene) string { return s.name("multi") },
	} {
		t.Run(place, func(t *testing.T) {
			s := newIndexScene(t)
			source := name(s)
			a, b := s.oci(amd64, ""), s.oci(arm64, "")
			loaded := source
			if place == "plain" {
				loaded = "docker.io/library/" + source
			}
			s.loadIndex(loaded, images.Attested(a, b), nil)
			other := s.put(s.repo, "riscv64", images.Spec{Platform: riscv64})
			s.multiarch("create", s.list, source, s.name("riscv64"))
			digests := []string{a.Digest().String(), b.Digest().String()}
			s.refused(digests, "annotate", s.list, source, "--variant", "v9")
			s.multiarch("push", s.list)
			s.refused(digests, "annotate", s.list, source, "--variant", "v9")
			s.multiarch("annotate", s.list, digests[0], "--variant", "v2")
			s.multiarch("annotate", s.list, digests[1], "--variant", "v9")
			s.multiarch("push", s.list)
			s.holds("1", "linux/amd64/v2", "linux/arm64/v9", "attestation", "attestation", "linux/riscv64")
			s.multiarch("drop", s.list, source)
			s.multiarch("push", s.list)
			s.holdsImages(s.holds("1", "linux/riscv64"), other)
		})
	}
}

// --purge=tags removes the staging tag of a whole index, and keeps another tag of the same index.
func TestPurgeTagsOfLocalIndex(t *testing.T) {
	s := newIndexScene(t)
	index := images.Attested(s.oci(amd64, ""), s.oci(arm64, ""))
	s.loadIndex("docker.io/library/"+s.plain("multi"), index, nil)
	harness.Put(t, s.registry, s.repo, "theirs", index)
	before := s.daemonTags()
	s.multiarch("create", s.list, s.plain("multi"))
	r := s.multiarch("push", "--purge=tags", s.list)
	says(t, r.Stderr, "Untagged "+s.name("1-multi-"))
	s.holds("1", "linux/amd64", "linux/arm64/v8", "attestation", "attestation")
	if tags, d := harness.Tags(t, s.registry, s.repo), index.Digest().String(); len(tags) != 2 || tags["theirs"] != d || tags["1"] != d {
		t.Errorf("got tags %v, want the list's and theirs, with the digest that the daemon has: %s", tags, d)
	}
	s.sameDaemonTags(before)
}

// A Docker list cannot have attestations: that is an error before anything is pushed.
func TestDockerListOfAttestedLocalImage(t *testing.T) {
	s := newIndexScene(t)
	for tag, index := range map[string]images.Manifest{
		"one": images.Attested(s.oci(amd64, "")), "two": images.Attested(s.oci(amd64, ""), s.oci(arm64, "")),
	} {
		s.loadIndex(s.name(tag), index, nil)
		words := []string{s.name(tag), "docker", "attestation"}
		s.refused(words, "create", "--type", "docker", s.list, s.name(tag))
		s.refused(words, "create", "--push", "--type", "docker", s.list, s.name(tag))
		s.refused(words, "create", "--push", "--dry-run", "--type", "docker", s.list, s.name(tag))
	}
	s.multiarch("create", "--push", "--type", "docker", "--attestations", "strip", s.list, s.name("two"))
	s.holds("1", "linux/amd64", "linux/arm64/v8")
	if m := harness.Get(t, s.registry, s.repo, "1"); m.MediaType != images.DockerList {
		t.Errorf("got media type %s, want %s", m.MediaType, images.DockerList)
	}
}
