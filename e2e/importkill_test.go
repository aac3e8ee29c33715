package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/wire"
)

// kills is how often an import is killed, each time at a random one of its importRequests requests.
const (
	kills          = 50
	importRequests = 1 + 3*20 + 8 + 1
)

// An import that is killed at any moment leaves either no tag or the complete list; the next one uploads only missing
// blobs.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	m := newImportScene(t, harness.RegistryOptions{})
	proxy := newProxy(t, m.target)
	var left atomic.Int64
	arrived, dead := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left.Add(-1) == 0 {
			arrived <- struct{}{}
			<-dead
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host, repo := strings.TrimPrefix(server.URL, "http://"), m.repo
	var mu sync.Mutex
	var sent []string // digests that the next import uploads
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		sent = append(sent, r.URL.Query().Get("digest"))
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(second.Close)
	partly, random := 0, newRandom(t)
	for n := range kills {
		m.repo = fmt.Sprint(repo, "/", n)
		at := 1 + random.Int64N(importRequests)
		left.Store(at)
		r := m.start("import", m.from, host+"/"+m.repo)
		<-arrived
		if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = r.cmd.Wait()
		dead <- struct{}{}
		if _, err := m.target.Get(t.Context(), m.repo, "1"); err == nil {
			harness.Complete(t, m.target, m.repo, "1")
		} else if !errors.Is(err, wire.ErrNotFound) {
			t.Fatal(err)
		}
		there := m.existingBlobs()
		if len(there) > 0 {
			partly++
		}
		mu.Lock()
		sent = nil
		mu.Unlock()
		m.arrives(m.imports(m.from, strings.TrimPrefix(second.URL, "http://")+"/"+m.repo), "1", m.list.Digest())
		mu.Lock()
		for _, d := range sent {
			if there[d] {
				t.Errorf("killed at request %d: got another upload of %s, want none", at, d)
			}
		}
		mu.Unlock()
		if t.Failed() {
			return
		}
	}
	if partly == 0 {
		t.Error("got no blob left after any kill, want some to resume from")
	}
}

// existingBlobs returns the blobs of the list that the target repository has.
func (m *importScene) existingBlobs() map[string]bool {
	m.Helper()
	there := map[string]bool{}
	for _, image := range m.list.Children {
		for _, b := range image.Blobs {
			ok, err := m.target.HasBlob(m.Context(), m.repo, b.Descriptor.Digest)
			if err != nil {
				m.Fatal(err)
			}
			if ok {
				there[b.Descriptor.Digest.String()] = true
			}
		}
	}
	return there
}

// Ctrl-C ends an import at once, without a tag; the next one resumes.
func TestImportInterrupted(t *testing.T) {
	for name, interrupt := range receivers {
		for stage, stop := range map[string]func(*http.Request) bool{"upload": isUpload, "tag": isListPut} {
			t.Run(name+"/"+stage, func(t *testing.T) {
				t.Parallel()
				m := newImportScene(t, harness.RegistryOptions{})
				g := newGate(t, m.target, stop)
				old := images.Image(images.Spec{Seed: m.repo + "old", Platform: amd64})
				harness.Put(t, m.target, m.repo, "1", old)
				r := m.start("import", "--force", m.from, g.Host+"/"+m.repo)
				m.await(g)
				if err := interrupt(r.cmd); err != nil {
					t.Fatal(err)
				}
				r.ends(130)
				says(t, r.stderr.String(), "interrupted")
				if now := harness.Get(t, m.target, m.repo, "1").Digest; now != old.Digest() {
					t.Errorf("got the tag at %s, want %s", now, old.Digest())
				}
				g.open()
				m.arrives(m.imports("--force", m.from, g.Host+"/"+m.repo), "1", m.list.Digest())
			})
		}
	}
}
