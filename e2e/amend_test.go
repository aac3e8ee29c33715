package e2e

import (
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// An image that was built again between create and push is not pushed instead of the one that was resolved; --amend
// takes the new one.
func TestRebuiltImageIsRefusedUntilAmended(t *testing.T) {
	onEachStore(t, func(s *scene) {
		a := s.load(s.plain("amd64"), amd64)
		s.load(s.plain("arm64"), arm64)
		s.multiarch("create", s.list, s.plain("amd64"), s.plain("arm64"))
		rebuilt := s.load(s.plain("arm64"), arm64, "rebuilt")
		s.refused([]string{"has changed since the list was created", "create --amend " + s.list + " " + s.plain("arm64")}, "push", "--purge", s.list)
		s.refused([]string{"--amend", "--replace", s.list}, "create", s.list, s.plain("arm64"))
		s.multiarch("create", "--amend", s.list, s.plain("arm64"))
		s.multiarch("push", s.list)
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, rebuilt)
		again := s.load(s.plain("arm64"), arm64, "again")
		s.multiarch("create", "-a", s.list, s.plain("arm64"))
		s.multiarch("push", s.list)
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, again)
		s.noWarning(s.multiarch("push", s.list).Stderr)
		last := s.load(s.plain("arm64"), arm64, "last")
		command := "docker multiarch create --amend " + s.list + " " + s.plain("arm64")
		says(s.T, s.multiarch("push", "--dry-run", s.list).Stderr, "WARNING: "+s.plain("arm64")+" in the daemon has changed", command)
		says(s.T, s.multiarch("push", s.list).Stderr, "WARNING: "+s.plain("arm64")+" in the daemon has changed", command)
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, again)
		s.docker(strings.Fields(command)[1:]...)
		s.noWarning(s.multiarch("push", s.list).Stderr)
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, last)
	})
}

// Annotations survive a push that resolves pending entries, and the annotated platform replaces the one found in the
// image.
func TestAnnotatedPendingImages(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.load(s.plain("a"), amd64)
		s.load(s.plain("b"), amd64)
		r := s.multiarch("create", s.list, s.plain("a"), s.plain("b"))
		says(s.T, r.Stderr, "WARNING", s.plain("a"), s.plain("b"), "linux/amd64")
		s.multiarch("annotate", s.list, s.plain("b"), "--arch", "arm", "--variant", "v7", "--annotation", "k=v")
		s.multiarch("annotate", s.list, "--index-annotation", "list=1")
		r = s.multiarch("push", s.list)
		s.noWarning(r.Stderr)
		index := s.holds("1", "linux/amd64", "linux/arm/v7")
		if index.Annotations["list"] != "1" || index.Manifests[1].Annotations["k"] != "v" {
			s.Errorf("got annotations %v and %v, want list=1 and k=v", index.Annotations, index.Manifests[1].Annotations)
		}
		s.nothingPending()
	})
}

// A staging name that already exists in the daemon or in the registry is not overwritten.
func TestStagingNameThatExists(t *testing.T) {
	onEachStore(t, func(s *scene) {
		mine := s.load(s.plain("amd64"), amd64)
		id := strings.TrimPrefix(harness.Images(s.T, s.daemon)[s.plain("amd64")], "sha256:")
		staging := "1-linux-amd64-" + id[:12]
		s.load(s.name(staging), arm64)
		other := s.put(s.repo, staging+"-2", images.Spec{Platform: riscv64})
		before := s.daemonTags()
		s.multiarch("create", s.list, s.plain("amd64"))
		s.multiarch("push", "--purge", s.list)
		s.holdsImages(s.holds("1", "linux/amd64"), mine)
		tags := harness.Tags(s.T, s.registry, s.repo)
		if tags[staging] != "" || tags[staging+"-2"] != other.Digest().String() || tags[staging+"-3"] == "" {
			s.Errorf("got tags %v, want %s-2 to be kept and %[2]s-3 to be pushed", tags, staging)
		}
		s.sameDaemonTags(before)

		// The user's own tag of the same image is kept, too.
		s.docker("tag", s.plain("amd64"), s.name(staging+"-3"))
		s.docker("tag", s.plain("amd64"), s.name(staging))
		before = s.daemonTags()
		s.multiarch("create", "--push", s.name("1"), s.plain("amd64"))
		s.holdsImages(s.holds("1", "linux/amd64"), mine)
		s.sameDaemonTags(before)
	})
}

// An image ID is not a source, and a digest is one only if the registry has it.
func TestImageIDsAndDigestsAsSources(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.load(s.name("amd64"), amd64)
		id := harness.Images(s.T, s.daemon)[s.name("amd64")]
		short := strings.TrimPrefix(id, "sha256:")[:12]
		s.refused([]string{"no such manifest", short}, "create", s.list, s.registry.Host+"/"+s.repo+"/"+short)
		s.refused([]string{short}, "create", "--from", "daemon", s.list, short)
		s.refused([]string{"reference"}, "create", s.list, id)
		s.docker("push", s.name("amd64"))
		digest := harness.Get(s.T, s.registry, s.repo, "amd64").Digest.String()
		at := s.registry.Host + "/" + s.repo + "@" + digest
		r := s.multiarch("create", s.list, at)
		s.noWarning(r.Stderr)
		s.multiarch("push", s.list)
		if index := s.holds("1", "linux/amd64"); index.Manifests[0].Digest.String() != digest {
			s.Errorf("got child %s, want %s", index.Manifests[0].Digest, digest)
		}
		s.refused([]string{at, "tag"}, "create", "--replace", "--from", "daemon", s.list, at)
	})
}
