package e2e

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Local images are pushed two at a time: the registry answers the manifests of the first two only when it has received
// both.
func TestPushesOverlap(t *testing.T) {
	onEachStore(t, func(s *scene) {
		forward := newProxy(s.T, s.registry)
		g, pass := closedGate(s.T)
		var received atomic.Int32
		g.serve(s.T, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/1-") {
				if received.Add(1) == 2 {
					g.open()
				}
				if pass(r.Context()) != nil {
					return
				}
			}
			forward.ServeHTTP(w, r)
		}))
		late := time.AfterFunc(time.Minute, func() {
			s.Errorf("got %d manifests, want 2 before the first is answered", received.Load())
			g.open()
		})
		defer late.Stop()
		s390x := ocispec.Platform{OS: "linux", Architecture: "s390x"}
		a, b, c := s.load(s.plain("amd64"), amd64), s.load(s.plain("arm64"), arm64), s.load(s.plain("s390x"), s390x)
		before := s.daemonTags()
		list := g.Host + "/" + s.repo + ":1"
		s.multiarch("create", "--push", list, s.plain("amd64"), s.plain("arm64"), s.plain("s390x"))
		late.Stop()
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8", "linux/s390x"), a, b, c)
		s.sameDaemonTags(before)
	})
}
