package e2e

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// A source that is named more than once, in any notation, is one entry.
func TestSourceNamedTwice(t *testing.T) {
	onEachStore(t, func(s *scene) {
		a := s.load(s.plain("a"), amd64)
		b := s.put(s.repo, "b", images.Spec{Platform: arm64})
		sources := []string{s.plain("a"), s.name("b"), s.plain("a"), "docker.io/library/" + s.plain("a"), s.name("b")}
		r := s.multiarch(append([]string{"create", s.list}, sources...)...)
		s.noWarning(r.Stderr)
		if n := strings.Count(r.Stderr, "in the daemon"); n != 1 {
			s.Errorf("got %d notes on the source, want 1:\n%s", n, r.Stderr)
		}
		s.multiarch("push", s.list)
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
		s.nothingPending()
		s.multiarch(append([]string{"create", "--amend", s.list}, sources...)...)
		s.multiarch("push", s.list)
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
		s.multiarch(append([]string{"create", "--push", s.name("2")}, sources...)...)
		s.holdsImages(s.holds("2", "linux/amd64", "linux/arm64/v8"), a, b)
	})
}

// An index and one of its children, in either order, add the index's entries.
func TestIndexAndChildOfIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	a := images.Image(images.Spec{Seed: s.repo, Platform: amd64, Format: images.OCI})
	b := images.Image(images.Spec{Seed: s.repo, Platform: arm64, Format: images.OCI})
	index := harness.Put(t, s.registry, s.repo, "index", images.Attested(a, b))
	child := s.registry.Host + "/" + s.repo + "@" + b.Digest().String()
	for name, sources := range map[string][]string{"before": {child, index}, "after": {index, child}} {
		r := s.multiarch(append([]string{"create", "--replace", s.list}, sources...)...)
		saysNot(t, r.Stderr, "WARNING")
		s.multiarch("push", s.list)
		s.multiarch(append([]string{"create", "--push", s.name("2")}, sources...)...)
		for _, tag := range []string{"1", "2"} {
			harness.Complete(t, s.registry, s.repo, tag)
			pushed, err := harness.Get(t, s.registry, s.repo, tag).Index()
			if err != nil {
				t.Fatal(err)
			}
			got := slices.Sorted(slices.Values(platformsOf(pushed)))
			if want := []string{"attestation", "attestation", "linux/amd64", "linux/arm64/v8"}; !slices.Equal(got, want) {
				t.Errorf("%s: got platforms %v of %s, want %v", name, got, tag, want)
			}
		}
		s.multiarch("annotate", s.list, child, "--variant", "v8")
	}
}

// Sources that docker manifest would not find are reported in a line, others are not.
func TestCreateReportsWhereSourcesAre(t *testing.T) {
	onEachStore(t, func(s *scene) {
		other := harness.Registry(s.T, harness.V28)
		away := harness.Put(s.T, other, s.repo, "away", images.Image(images.Spec{Seed: s.repo, Platform: arm64}))
		s.put(s.repo, "same", images.Spec{Platform: riscv64})
		s.load(s.plain("local"), amd64)
		for _, args := range [][]string{{"create"}, {"create", "--push"}, {"create", "--dry-run", "--replace"}} {
			r := s.multiarch(append(args, s.list, away, s.plain("local"), s.name("same"))...)
			says(s.T, r.Stderr, away+" is in the registry "+other.Host, s.plain("local")+" is in the daemon")
			saysNot(s.T, r.Stderr, s.name("same")+" is")
			saysNot(s.T, r.Stdout, "is in the")
		}
	})
}

// If a source no longer exists when its list is pushed, that is an error, also if the daemon has an image with the
// list's name, which is not pushed instead.
func TestPushOfListWithoutItsSource(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.put(s.repo, "1", images.Spec{Platform: amd64})
		s.load(s.list, arm64)
		s.load(s.plain("gone"), amd64)
		s.load(s.plain("kept"), riscv64)
		s.multiarch("create", s.list, s.plain("kept"), s.plain("gone"))
		s.docker("rmi", s.plain("gone"))
		for _, flag := range []string{"--purge=false", "--purge", "--purge=tags", "--quiet"} {
			s.refused([]string{s.plain("gone"), "daemon has no image"}, "push", flag, s.list)
		}
	})
}

// The same holds for a source whose content was deleted in another registry.
func TestPushOfListWithoutItsBlob(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.put(s.repo, "1", images.Spec{Platform: amd64})
		away := s.put(s.repo+"/away", "1", images.Spec{Platform: arm64, Layers: 3})
		lost := away.Blobs[2].Descriptor.Digest.String()
		proxy := newProxy(s.T, s.registry)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, lost) {
				http.NotFound(w, r)
				return
			}
			proxy.ServeHTTP(w, r)
		}))
		s.Cleanup(server.Close)
		source := strings.TrimPrefix(server.URL, "http://") + "/" + s.repo + "/away:1"
		s.load(s.list, riscv64)
		s.multiarch("create", s.list, source)
		for _, flag := range []string{"--purge=false", "--purge", "--purge=tags", "--quiet"} {
			s.refused([]string{source, lost}, "push", flag, s.list)
		}
		s.refused([]string{source, lost}, "create", "--push", s.list, source)
	})
}
