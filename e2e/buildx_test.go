package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// build builds an image with buildx under name, with its attestations.
func (s *scene) build(name, platforms string) {
	s.Helper()
	dockerfile := "FROM scratch\nCOPY content /\n"
	for file, content := range map[string]string{"Dockerfile": dockerfile, "content": name} {
		if err := os.WriteFile(filepath.Join(s.Dir, file), []byte(content), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	s.docker("buildx", "build", "-q", "--platform", platforms, "-t", name, s.Dir)
	s.Cleanup(func() { _ = s.daemon.RemoveImage(s.Context(), name) })
}

// newBuildxScene is a scene with buildx and the daemon with the containerd store, which keeps attestations.
func newBuildxScene(t *testing.T) *scene {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.useDaemon(harness.Daemon(t, harness.Containerd))
	s.UseBuildx(t)
	return s
}

// Images built by buildx keep their attestations in the list, whether they are in the daemon or in a registry;
// --attestations strip drops them.
func TestBuildxImagesKeepAttestations(t *testing.T) {
	for _, test := range []struct {
		name  string
		args  []string
		wants []string
	}{
		{"keep", nil, []string{"linux/amd64", "attestation", "linux/arm64", "attestation"}},
		{"strip", []string{"--attestations", "strip"}, []string{"linux/amd64", "linux/arm64"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newBuildxScene(t)
			s.build(s.plain("amd64"), "linux/amd64")
			s.build(s.name("arm64"), "linux/arm64")
			before := s.daemonTags()
			s.multiarch(append([]string{"create", s.list, s.plain("amd64"), s.name("arm64")}, test.args...)...)
			s.multiarch("push", s.list)
			local := s.holds("1", test.wants...)
			s.nothingPending()
			s.sameDaemonTags(before)

			// In the registry the same images are indexes.
			r := s.multiarch("create", "--replace", "--from", "registry", s.list, s.name("arm64"))
			if test.name == "keep" {
				says(t, r.Stderr, "is an index; using linux/arm64 and 1 attestation")
			}
			s.multiarch(append([]string{"create", "--push", s.name("2"), s.name("arm64")}, test.args...)...)
			remote := s.holds("2", test.wants[len(test.wants)/2:]...)
			if remote.Manifests[0].Digest != local.Manifests[len(test.wants)/2].Digest {
				t.Errorf("got %s from the registry, want %s as from the daemon", remote.Manifests[0].Digest, local.Manifests[len(test.wants)/2].Digest)
			}
		})
	}
}

// A build for several platforms is one source with several entries; --platform selects some of them.
func TestBuildxMultiPlatformImage(t *testing.T) {
	s := newBuildxScene(t)
	s.build(s.plain("all"), "linux/amd64,linux/arm64,linux/riscv64")
	before := s.daemonTags()
	s.multiarch("create", s.list, s.plain("all"))
	says(t, s.multiarch("inspect", "--tree", s.list).Stdout, "linux/amd64", "linux/arm64", "linux/riscv64", "pending")
	s.multiarch("push", s.list)
	s.holds("1", "linux/amd64", "linux/arm64", "linux/riscv64", "attestation", "attestation", "attestation")
	s.nothingPending()
	tree := s.multiarch("inspect", "--tree", s.list).Stdout
	if strings.Count(tree, "└── attestation") != 3 {
		t.Errorf("got tree, want each attestation under its image:\n%s", tree)
	}
	s.multiarch("create", "--push", "--platform", "linux/arm64,linux/riscv64", "--attestations", "strip", s.name("2"), s.plain("all"))
	s.holds("2", "linux/arm64", "linux/riscv64")
	s.multiarch("drop", s.list, "linux/arm64")
	s.multiarch("push", "-t", "3", s.list)
	s.holds("3", "linux/amd64", "linux/riscv64", "attestation", "attestation")
	s.sameDaemonTags(before)
}

// If the daemon has only some platforms of an index, these are pushed, under any name, and a warning names the
// missing ones.
func TestPushOfPartialIndex(t *testing.T) {
	for _, place := range []string{"plain", "target"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			s.useDaemon(harness.Daemon(t, harness.Containerd))
			name, loaded := s.plain("part"), "docker.io/library/"+s.plain("part")
			if place == "target" {
				name, loaded = s.name("part"), s.name("part")
			}
			var all []images.Manifest
			for _, p := range []ocispec.Platform{amd64, arm64, riscv64} {
				all = append(all, images.Image(images.Spec{Seed: s.repo, Platform: p, Format: images.OCI}))
			}
			harness.LoadOCI(t, s.daemon, loaded, images.Attested(all...), func(m images.Manifest) bool {
				return m.Descriptor.Platform.Architecture != "arm64"
			})
			before := s.daemonTags()
			r := s.multiarch("create", s.list, name)
			says(t, r.Stderr, "WARNING", "linux/arm64", name)
			r = s.multiarch("push", s.list)
			says(t, r.Stderr, "WARNING", "attestations cannot be pushed")
			s.holdsImages(s.holds("1", "linux/amd64", "linux/riscv64"), all[0], all[2])
			s.nothingPending()
			s.sameDaemonTags(before)
			s.refused([]string{"linux/arm64", "docker pull --platform"}, "create", "--replace", "--platform", "linux/arm64", s.list, name)
		})
	}
}
