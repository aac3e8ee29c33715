// Package proxy puts a wire of a known length between a client and a registry: a connection takes a round
// trip to open, and each request on it another. It counts what passes, and can ask for bearer tokens,
// which a token service beside it issues. It speaks HTTP/1.1 without TLS; a TLS handshake that somebody
// tries is answered at once and counted as a probe.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Line is a listener at the far end of the wire.
type Line struct {
	// Host is its address, "127.0.0.1:PORT".
	Host  string
	delay time.Duration

	server  *http.Server
	end     context.CancelFunc // of the requests that are under way
	mu      sync.Mutex
	traffic Traffic
}

// Traffic is what passed a line.
type Traffic struct {
	// Requests are method and path with query, in the order of their arrival.
	Requests []string
	// Connections are those that carried a request, Probes those that did not.
	Connections, Probes int
}

// Start puts handler behind a line with this round trip time.
func Start(delay time.Duration, handler http.Handler) (*Line, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	l := &Line{Host: listener.Addr().String(), delay: delay, end: end}
	l.server = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.pass(w, r, handler) }),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       func(ctx context.Context, _ net.Conn) context.Context { return l.opened(ctx) },
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = l.server.Serve(listener) }()
	return l, nil
}

// Close closes the line with what is on it.
func (l *Line) Close() error {
	l.end()
	return l.server.Close()
}

// Take returns the traffic since the line was started or Take was called last.
func (l *Line) Take() Traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.traffic
	l.traffic = Traffic{}
	return t
}

// Plus returns the sum of both.
func (t Traffic) Plus(other Traffic) Traffic {
	return Traffic{
		slices.Concat(t.Requests, other.Requests), t.Connections + other.Connections, t.Probes + other.Probes,
	}
}

// connection is what is known of one.
type connection struct {
	opened time.Time
	used   atomic.Bool // it has carried a request
}

// connectionKey is the key of a request's *connection.
type connectionKey struct{}

func (l *Line) opened(ctx context.Context) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.traffic.Probes++
	return context.WithValue(ctx, connectionKey{}, &connection{opened: time.Now()})
}

// pass lets a request through when its round trip is over, which begins when its connection is open.
func (l *Line) pass(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	c := r.Context().Value(connectionKey{}).(*connection)
	l.mu.Lock()
	l.traffic.Requests = append(l.traffic.Requests, r.Method+" "+r.URL.RequestURI())
	if c.used.CompareAndSwap(false, true) {
		l.traffic.Connections++
		l.traffic.Probes--
	}
	l.mu.Unlock()
	open := max(l.delay-time.Since(c.opened), 0)
	select {
	case <-r.Context().Done():
	case <-time.After(open + l.delay):
		handler.ServeHTTP(w, r)
	}
}

// To hands requests on to the registry at base, as if it were at the address the client asked for.
func To(base string) (http.Handler, error) {
	target, err := url.Parse(base)
	if err != nil || target.Host == "" {
		return nil, errors.Join(err, fmt.Errorf("no address of a registry: %q", base))
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		Transport:     &http.Transport{MaxIdleConnsPerHost: 128, DisableCompression: true},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}, nil
}
