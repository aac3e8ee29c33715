package e2e

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// gate stands in front of a registry, under a host name of its own, and holds back
// the requests that stop names until it is opened.
type gate struct {
	Host    string
	arrived chan struct{} // closed when the first request is held back
	open    func()
}

// newGate makes a gate that holds back what stop selects.
func newGate(t testing.TB, r *servers.Registry, stop func(*http.Request) bool) *gate {
	t.Helper()
	proxy := newProxy(t, r)
	opened := make(chan struct{})
	g := &gate{arrived: make(chan struct{}), open: sync.OnceFunc(func() { close(opened) })}
	arrive := sync.OnceFunc(func() { close(g.arrived) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stop(r) {
			arrive()
			select {
			case <-opened:
			case <-r.Context().Done():
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(g.open)
	g.Host = strings.TrimPrefix(server.URL, "http://")
	return g
}

// silence is for servers whose clients go away: that is what tests are about.
var silence = log.New(io.Discard, "", 0)

// newProxy hands requests on to a registry, which names itself in its answers by
// the host that the client asked for.
func newProxy(t testing.TB, r *servers.Registry) http.Handler {
	t.Helper()
	target, err := url.Parse(r.Base)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host
	}
	return &httputil.ReverseProxy{Rewrite: rewrite, ErrorLog: silence}
}

// An upload, the list's manifest, and any request at all: what tests hold back.
func isUpload(r *http.Request) bool {
	return r.Method == http.MethodPatch || r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/")
}

func isListPut(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1")
}

func isAny(*http.Request) bool { return true }
