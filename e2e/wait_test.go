package e2e

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// --wait asks again for a tag that does not exist yet.
func TestWait(t *testing.T) {
	var asked atomic.Int64
	var f far
	f = newFar(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if strings.HasSuffix(r.URL.Path, "/manifests/arm64") && asked.Add(1) == 1 {
				harness.Put(t, f.registry, "app", "arm64", images.Image(images.Spec{Platform: arm64}))
			}
		})
	})
	e := harness.NewEnv(t)
	harness.Put(t, f.registry, "app", "amd64", images.Image(images.Spec{Platform: amd64}))
	name := func(tag string) string { return f.line.Host + "/app:" + tag }
	r := harness.Run(t, e, "docker", "multiarch", "create", "--push", "--wait", "10m", name("1"), name("amd64"), name("arm64"))
	if r.Code != 0 || asked.Load() < 2 {
		t.Errorf("got exit code %d after %d requests, want 0 after more than one: %s", r.Code, asked.Load(), r.Stderr)
	}
	says(t, r.Stderr, "waiting up to 10m0s for "+name("arm64"), name("arm64")+" came after")
	harness.Complete(t, f.registry, "app", "1")
	multiarch(t, e, "exists", "--wait", "10m", "--platform", "linux/arm64", name("1"))
	r = harness.Run(t, e, "docker", "multiarch", "exists", "--wait", "1ms", "--platform", "linux/s390x", name("1"))
	says(t, r.Stderr, "waiting up to 1ms for "+name("1")+" linux/s390x")
	if r.Code != 1 {
		t.Errorf("got exit code %d, want 1: %s", r.Code, r.Stderr)
	}
}
