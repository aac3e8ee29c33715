package e2e

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// One command publishes a list in several registries, from images of the daemon or of a registry, with one digest.
func TestPublishInSeveralRegistries(t *testing.T) {
	onEachStore(t, func(s *scene) {
		other := harness.NewRegistry(s.T, harness.RegistryOptions{Kind: harness.V28})
		s.load(s.plain("amd64"), amd64)
		s.put(s.repo, "arm64", images.Spec{Platform: arm64})
		copies := []string{"-t", "latest", "-t", other.Host + "/mirror/app:1", "-t", other.Host + "/mirror/app:2", "-t", s.registry.Host + "/" + s.repo + "/near:1"}
		r := s.multiarch(append([]string{"create", "--push", s.list, s.plain("amd64"), s.name("arm64")}, copies...)...)
		s.pushedLast(r.Stdout, "1")
		digest := harness.Tags(s.T, s.registry, s.repo)["1"]
		check := func(r harness.Result) {
			s.Helper()
			far, near := harness.Tags(s.T, other, "mirror/app"), harness.Tags(s.T, s.registry, s.repo+"/near")
			if far["1"] != digest || far["2"] != digest || near["1"] != digest || strings.Count(r.Stdout, digest) != 1 {
				s.Errorf("got %v and %v, want %s under each, and printed once: %s", far, near, digest, r.Stdout)
			}
			harness.Complete(s.T, other, "mirror/app", "2")
			harness.Complete(s.T, s.registry, s.repo+"/near", "1")
		}
		check(r)
		s.multiarch("create", s.name("local"), s.name("arm64"))
		s.multiarch("push", "-t", other.Host+"/mirror/app:1", s.name("local"))
		if tags := harness.Tags(s.T, other, "mirror/app"); tags["1"] == digest {
			s.Errorf("got %v, want tag 1 moved", tags)
		}
		s.load(s.name("image"), amd64)
		r = s.multiarch("push", "-t", other.Host+"/mirror/app:image", s.name("image"))
		if got, want := harness.Tags(s.T, other, "mirror/app")["image"], harness.Tags(s.T, s.registry, s.repo)["image"]; got != want {
			s.Errorf("got %s of the image, want %s", got, want)
		}
		s.refusedWith(125, []string{"neither a tag nor a name with a registry", s.registry.Host + "/" + s.repo}, "create", "--push", "-t", "team/other:1", s.list, s.name("arm64"))
	})
}

// No tag moves in any registry unless the content is in all of them and they answer: a registry that refuses the login, one
// that dies before the tags. If one dies later, the error says which tags were written.
func TestPublishWithAFailingRegistry(t *testing.T) {
	var dead, stored atomic.Int64 // dead: 1 before the content, 2 when that is complete, 3 for its last tag
	home, e := newFar(t, open), harness.NewEnv(t)
	away := newFar(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tag := strings.HasSuffix(r.URL.Path, "/manifests/2") || strings.HasSuffix(r.URL.Path, "/manifests/1")
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256:") {
				defer stored.Add(1)
			}
			switch mode := dead.Load(); {
			case mode == 1, mode == 2 && tag && stored.Load() == 3, mode == 3 && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/2"):
				http.Error(w, "", http.StatusForbidden)
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	names := home.seed(t, "app", 2)
	list, first, second := home.line.Host+"/app:list", away.line.Host+"/app:1", away.line.Host+"/app:2"
	args := append([]string{"multiarch", "create", "--push", list, "-t", first, "-t", second}, names...)
	for mode, words := range [][]string{1: {first, "403"}, 2: {"403", "no tag was written"}, 3: {"403", "(" + first + " written, " + list + ", " + second + " not)"}} {
		if words == nil {
			continue
		}
		dead.Store(int64(mode))
		stored.Store(0)
		r := harness.Run(t, e, "docker", args...)
		if r.Code != 1 {
			t.Errorf("mode %d: got exit code %d, want 1: %s", mode, r.Code, r.Stderr)
		}
		says(t, r.Stderr, words...)
		harness.Absent(t, home.registry, "app", "list")
		if mode < 3 {
			harness.Absent(t, away.registry, "app", "1")
		}
	}
	dead.Store(0)
	multiarch(t, e, args[1:]...)
	harness.Complete(t, home.registry, "app", "list")
	harness.Complete(t, away.registry, "app", "2")
}

// However many registries a list is published in, each blob is read from its source once; none is read if one of the
// registries has it.
func TestPublishReadsContentOnce(t *testing.T) {
	var read atomic.Int64
	from, e := newFar(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				read.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	}), harness.NewEnv(t)
	first, second := harness.NewRegistry(t, harness.RegistryOptions{}), harness.NewRegistry(t, harness.RegistryOptions{})
	names := from.seed(t, "app", 2)
	for _, tt := range []struct {
		list, tag string
		blobs     int64
	}{
		{from.line.Host + "/app:list", first.Host + "/app:1", 2 * 3}, // a config and two layers for each image
		{second.Host + "/app:1", first.Host + "/app:2", 2},           // configs, for their platforms
		{second.Host + "/mirror:1", first.Host + "/mirror:1", 2 * 3},
	} {
		read.Store(0)
		multiarch(t, e, append([]string{"create", "--push", tt.list, "-t", tt.tag, "-t", from.line.Host + "/mirror:1"}, names...)...)
		if got := read.Load(); got != tt.blobs {
			t.Errorf("%s: got %d blobs read from the source, want %d", tt.list, got, tt.blobs)
		}
	}
	harness.Complete(t, first, "app", "2")
	harness.Complete(t, second, "app", "1")
	harness.Complete(t, from.registry, "mirror", "1")
}
