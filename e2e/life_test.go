package e2e

import (
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// The whole life of a list in each registry: made of the images of its platforms, pushed, read, copied to another registry
// and back, renamed and removed.
func TestLifeOfAList(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		a := s.put(s.repo, "amd64", images.Spec{Platform: amd64})
		b := s.put(s.repo, "arm64", images.Spec{Platform: arm64})
		s.multiarch("create", s.list, s.name("amd64"), s.name("arm64"))
		s.multiarch("annotate", "--index-annotation", "org.opencontainers.image.title=app", s.list)
		s.multiarch("push", "--purge", s.list)
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
		d := s.digestOf("1")
		at := s.repository() + "@" + d

		says(s.T, s.multiarch("inspect", s.list).Stdout, a.Digest().String(), b.Digest().String())
		says(s.T, s.multiarch("repo", "ls", s.registry.Host).Stdout, s.repo)
		says(s.T, s.multiarch("repo", "tags", s.repository()).Stdout, "amd64", "arm64", "linux/amd64, linux/arm64/v8")
		if got := s.multiarch("repo", "manifests", "-q", s.repository()).Stdout; strings.Count(got, "\n") != 3 {
			s.Errorf("got manifests\n%swant the list and its images", got)
		}
		says(s.T, s.multiarch("repo", "show", s.list).Stdout, d, a.Digest().Encoded()[:12], "app")
		s.multiarch("verify", "--deep", s.list)
		s.multiarch("exists", "--platform", "linux/arm64", s.list)

		other := harness.Registry(s.T, harness.V3)
		elsewhere := other.Host + "/" + s.repo + "/mirror:1"
		for range 2 { // the second finds everything there
			s.multiarch("import", s.list, elsewhere)
			s.multiarch("import", elsewhere, s.name("back"))
		}
		if got := s.digestOf("back"); got != d || harness.Get(s.T, other, s.repo+"/mirror", "1").Digest.String() != d {
			s.Errorf("got %s after import, want %s", got, d)
		}
		s.multiarch("import", "--platform", "linux/arm64", elsewhere, s.name("arm"))
		s.multiarch("tag", "--remote", s.list, s.name("stable"))
		s.tagsAre("1", "amd64", "arm64", "back", "arm", "stable")
		s.refused([]string{"--force"}, "import", elsewhere, s.name("arm"))

		untag := []string{"repo", "untag", s.name("back")}
		if !s.untagsAlone() {
			s.refused([]string{"does not remove a tag without its manifest", "--via-placeholder"}, untag...)
			untag = append(untag, "--via-placeholder")
		}
		s.multiarch(untag...)
		s.multiarch("repo", "rm", "-f", s.name("arm"))
		s.tagsAre("1", "amd64", "arm64", "stable")
		s.holds("stable", "linux/amd64", "linux/arm64/v8")

		dry := s.multiarch("repo", "purge", "--filter", "1", "--filter", "stable", "-r", s.repository())
		says(s.T, dry.Stderr, "2 of 4 tags match; 2 tags and 1 manifests to remove")
		s.tagsAre("1", "amd64", "arm64", "stable")
		purged := s.multiarch("repo", "purge", "--filter", "1", "--filter", "stable", "-r", "--force", s.repository())
		says(s.T, purged.Stdout, "Untagged "+s.list, "Untagged "+s.name("stable"), "Deleted "+at)
		s.tagsAre("amd64", "arm64")
		harness.Absent(s.T, s.registry, s.repo, d)
		for _, image := range []images.Manifest{a, b} {
			harness.Complete(s.T, s.registry, s.repo, image.Digest().String())
		}
		s.multiarch("repo", "purge", "--all", "--filter", "*", "--force", s.repository())
		s.tagsAre()
		s.refused([]string{"no such manifest: " + s.list}, "inspect", s.list)
	})
}
