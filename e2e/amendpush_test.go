package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// tagDigest asks a registry for the digest of the tag that a request writes, "" if it does not exist.
func tagDigest(registry http.Handler, r *http.Request) string {
	head := r.Clone(r.Context())
	head.Method, head.Body, head.ContentLength = http.MethodHead, http.NoBody, 0
	head.Header = http.Header{"Accept": {ocispec.MediaTypeImageIndex, "application/vnd.docker.distribution.manifest.list.v2+json"}}
	answer := httptest.NewRecorder()
	registry.ServeHTTP(answer, head)
	if answer.Code != http.StatusOK {
		return ""
	}
	return answer.Header().Get("Docker-Content-Digest")
}

// conditional makes a registry check the conditions of writes, on the digest that a tag points to.
func conditional(next http.Handler) http.Handler {
	var writing sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		match, absent := r.Header.Get("If-Match"), r.Header.Get("If-None-Match") != ""
		if r.Method != http.MethodPut || match == "" && !absent {
			next.ServeHTTP(w, r)
			return
		}
		writing.Lock()
		defer writing.Unlock()
		current := tagDigest(next, r)
		if absent && current != "" || match != "" && match != `"`+current+`"` {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Jobs that add their platform to one list at once lose nothing where the registry checks conditions; elsewhere each warns.
func TestAmendManyAtOnce(t *testing.T) {
	for name, guard := range map[string]func(http.Handler) http.Handler{"conditional": conditional, "unconditional": open} {
		t.Run(name, func(t *testing.T) {
			f, e := newFar(t, guard), harness.NewEnv(t)
			var variants []string
			for _, arch := range farPlatforms {
				variants = append(variants, "linux/"+arch, "freebsd/"+arch)
			}
			for _, p := range variants {
				os, arch, _ := strings.Cut(p, "/")
				harness.Put(t, f.registry, "app", os+"-"+arch, images.Image(images.Spec{Seed: p, Format: images.OCI, Platform: ocispec.Platform{OS: os, Architecture: arch}}))
			}
			list := f.line.Host + "/app:1"
			results := make([]harness.Result, len(variants))
			var group sync.WaitGroup
			for i, p := range variants {
				group.Go(func() {
					results[i] = harness.Run(t, e, "docker", "multiarch", "create", "--push", "--amend", list, f.line.Host+"/app:"+strings.Replace(p, "/", "-", 1))
				})
			}
			group.Wait()
			tree := harness.MustRun(t, e, "docker", "multiarch", "inspect", "--tree", list)
			lost := 0
			for i, p := range variants {
				if !strings.Contains(tree, p+" ") && !strings.Contains(tree, p+"/") {
					lost++
				}
				warned := strings.Contains(results[i].Stderr, "did not confirm conditional updates")
				if results[i].Code != 0 && (name == "conditional" || !strings.Contains(results[i].Stderr, "other clients write the tag")) {
					t.Errorf("%s: got exit code %d: %s", p, results[i].Code, results[i].Stderr)
				}
				if name == "unconditional" && !warned {
					t.Errorf("%s: got no warning: %s", p, results[i].Stderr)
				}
			}
			t.Logf("lost %d of %d", lost, len(variants))
			if name == "conditional" && lost > 0 {
				t.Errorf("got %d of %d platforms lost, want none:\n%s", lost, len(variants), tree)
			}
			// Again, one after the other: nothing is written, or what was lost is added.
			for _, p := range variants {
				multiarch(t, e, "create", "--push", "--amend", list, f.line.Host+"/app:"+strings.Replace(p, "/", "-", 1))
			}
			tree = harness.MustRun(t, e, "docker", "multiarch", "inspect", "--tree", list)
			if n := strings.Count(tree, "sha256:"); n < len(variants) {
				t.Errorf("got %d digests, want %d:\n%s", n, len(variants), tree)
			}
			harness.Complete(t, f.registry, "app", "1")
		})
	}
}

// A dry run of an amendment shows the index and writes nothing; without a list in the registry it is a new one.
func TestAmendDryRun(t *testing.T) {
	s := newScene(t, harness.V3)
	s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	s.put(s.repo, "arm64", images.Spec{Platform: arm64})
	for _, arch := range []string{"amd64", "arm64"} {
		unchanged := s.unchanged()
		dry := s.multiarch("create", "--push", "--amend", "--dry-run", s.list, s.name(arch))
		quiet := s.multiarch("create", "--push", "--amend", "--dry-run", "--quiet", s.list, s.name(arch))
		unchanged()
		if pushed := s.multiarch("create", "--push", "--amend", "--quiet", s.list, s.name(arch)); quiet.Stdout != pushed.Stdout {
			t.Errorf("got the digest %s in a dry run, want %s", quiet.Stdout, pushed.Stdout)
		}
		if want := string(harness.Get(t, s.registry, s.repo, "1").Raw); strings.TrimSuffix(dry.Stdout, "\n") != want {
			t.Errorf("got dry run\n%s\nwant what is written then:\n%s", dry.Stdout, want)
		}
	}
	s.holds("1", "linux/amd64", "linux/arm64/v8")
	s.refused([]string{"--no-clobber"}, "create", "--push", "--amend", "--no-clobber", s.list, s.name("amd64"))
}
