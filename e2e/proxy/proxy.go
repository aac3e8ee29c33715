// Package proxy puts a line with a delay between a client and a registry: a connection takes a round trip to open,
// and each request on it another. It counts the traffic, and can require bearer tokens from a token service of its
// own ([Tokens]) and let requests fail ([Faults]); package internal/throttle limits their rates. It speaks HTTP/1.1 without TLS; a TLS handshake fails at once and
// is counted as a probe.
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

// Line is a listener behind the delay.
type Line struct {
	// Host is its address, "127.0.0.1:PORT".
	Host  string
	delay time.Duration

	server  *http.Server
	end     context.CancelFunc // ends all requests
	mu      sync.Mutex
	traffic Traffic
}

// Traffic is what a line has carried.
type Traffic struct {
	// Requests are the methods and paths with queries, in the order of their arrival.
	Requests []string
	// Connections is the number of connections that carried a request, Probes that of the others.
	Connections, Probes int
}

// Start puts handler behind a line with this round trip time.
func Start(delay time.Duration, handler http.Handler) (*Line, error) {
	return StartShaped(delay, 0, handler)
}

// StartShaped is Start for a line that carries at most rate bytes per second to handler on each connection, 0 for no
// limit.
func StartShaped(delay time.Duration, rate int, handler http.Handler) (*Line, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if rate > 0 {
		listener = shaped{listener, rate}
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

// Close closes the line and its connections.
func (l *Line) Close() error {
	l.end()
	return l.server.Close()
}

// Take returns the traffic since the start of the line or the last call of Take.
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

// connection is the state of a connection.
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

// pass forwards a request after its round trip, which starts when its connection is open.
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

// To returns a handler that forwards requests to the registry at base, with the Host header of the client.
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
