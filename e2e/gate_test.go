package e2e

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// gate is a server in front of another one, with its own host name. It blocks the requests that stop selects until it
// is opened.
type gate struct {
	Host    string
	arrived chan struct{} // closed when the first request is blocked
	open    func()
}

// newGate returns a gate that blocks what stop selects.
func newGate(t testing.TB, r *servers.Registry, stop func(*http.Request) bool) *gate {
	t.Helper()
	proxy := newProxy(t, r)
	g, pass := closedGate(t)
	g.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stop(r) && pass(r.Context()) != nil {
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	return g
}

// newDaemonGate returns a gate in front of a daemon that blocks the responses to the requests that stop selects: the
// daemon has started or finished them.
func newDaemonGate(t testing.TB, d *servers.Daemon, stop func(*http.Request) bool) *gate {
	t.Helper()
	g, pass := closedGate(t)
	g.serve(t, newDaemonProxy(t, d, func(r *http.Request) error {
		if stop(r) {
			return pass(r.Context())
		}
		return nil
	}))
	return g
}

// newDaemonProxy forwards requests to a daemon, and its responses after a call of answered.
func newDaemonProxy(t testing.TB, d *servers.Daemon, answered func(*http.Request) error) http.Handler {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(d.Host, "unix://"))
	}
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport:      transport,
		FlushInterval:  -1,
		ErrorLog:       silence,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) {},
		ModifyResponse: func(rsp *http.Response) error { return answered(rsp.Request) },
	}
}

// closedGate returns a gate without a server, and a function that waits until it is opened or the context ends.
func closedGate(t testing.TB) (g *gate, pass func(context.Context) error) {
	opened := make(chan struct{})
	g = &gate{arrived: make(chan struct{}), open: sync.OnceFunc(func() { close(opened) })}
	arrive := sync.OnceFunc(func() { close(g.arrived) })
	return g, func(ctx context.Context) error {
		arrive()
		select {
		case <-opened:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (g *gate) serve(t testing.TB, h http.Handler) {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	t.Cleanup(g.open)
	g.Host = strings.TrimPrefix(server.URL, "http://")
}

// silence is the log of servers whose clients disconnect, as the tests intend.
var silence = log.New(io.Discard, "", 0)

// newProxy forwards requests to a registry. The Host header of the client is kept, so that the registry refers to
// itself by it.
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
	// Connections of its own: a request that its client gives up may end the next one on its connection.
	own := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(own.CloseIdleConnections)
	return &httputil.ReverseProxy{Rewrite: rewrite, Transport: own, ErrorLog: silence}
}

// The requests that tests block: an upload, the PUT of the list, and any request.
func isUpload(r *http.Request) bool {
	return r.Method == http.MethodPatch || r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/")
}

func isListPut(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1")
}

func isAny(*http.Request) bool { return true }
