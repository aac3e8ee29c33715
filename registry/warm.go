package registry

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// warmTime is how long a connection waits for its first request: less than servers do.
const warmTime = 4 * time.Second

// warmConnections are connections to a registry that are opened before the requests that are going to need them. A
// registry that takes all requests over one connection gets none, nor does one behind a proxy.
type warmConnections struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	// address returns that of the registry, "" when it is behind a proxy.
	address func() string

	mu sync.Mutex
	// useful says that requests need a connection each; wanted is how many there should be, open how many
	// there are.
	useful       bool
	wanted, open int
	ready        []*warmConnection
}

// warmConnection is a connection; opened is closed once conn or err is set.
type warmConnection struct {
	opened chan struct{}
	conn   net.Conn
	err    error
}

// want opens connections until there are n, now or as soon as it is known that they are of use.
func (s *warmConnections) want(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = max(s.wanted, n)
	s.fill()
}

// connected is called with the connection of each request to the registry.
func (s *warmConnections) connected(conn net.Conn) {
	secure, ok := conn.(*tls.Conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.useful = !ok || secure.ConnectionState().NegotiatedProtocol != "h2"
	s.fill()
}

func (s *warmConnections) fill() {
	if !s.useful {
		return
	}
	address := s.address()
	for ; address != "" && s.open < s.wanted; s.open++ {
		added := &warmConnection{opened: make(chan struct{})}
		s.ready = append(s.ready, added)
		go s.add(added, address)
	}
	s.wanted = 0
}

func (s *warmConnections) add(added *warmConnection, address string) {
	ctx, cancel := context.WithTimeout(context.Background(), warmTime)
	defer cancel()
	added.conn, added.err = s.connect(ctx, "tcp", address)
	close(added.opened)
	if added.err == nil {
		time.AfterFunc(warmTime, func() {
			if s.remove(added) {
				added.conn.Close()
			}
		})
	}
}

// remove removes a connection and reports whether it had not been taken.
func (s *warmConnections) remove(old *warmConnection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.ready, old)
	if i >= 0 {
		s.ready = slices.Delete(s.ready, i, i+1)
	}
	return i >= 0
}

// take returns the oldest connection, nil when there is none.
func (s *warmConnections) take() *warmConnection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		return nil
	}
	first := s.ready[0]
	s.ready = s.ready[1:]
	return first
}

// DialContext returns a warm connection, or opens one.
func (s *warmConnections) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if address != s.address() {
		return s.dial(ctx, network, address)
	}
	if taken := s.take(); taken != nil {
		<-taken.opened
		if taken.err == nil {
			return taken.conn, nil
		}
	}
	s.mu.Lock()
	s.open++
	s.mu.Unlock()
	return s.connect(ctx, network, address)
}

// connect opens a connection that is counted in open until it is closed.
func (s *warmConnections) connect(ctx context.Context, network, address string) (net.Conn, error) {
	end := sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
	})
	conn, err := s.dial(ctx, network, address)
	if err != nil {
		end()
		return nil, err
	}
	return &counted{conn, end}, nil
}

// counted is a connection that calls end when it is closed.
type counted struct {
	net.Conn
	end func()
}

// Close closes the connection.
func (c *counted) Close() error {
	c.end()
	return c.Conn.Close()
}

// warmUp opens connections for n concurrent requests.
func (h *host) warmUp(n int) { h.warm.want(min(n, cap(h.semaphore))) }

// address returns where the registry is reached, "" when that is behind a proxy.
func (h *host) address(proxy func(*http.Request) (*url.URL, error)) string {
	base := h.server.URL()
	if proxy != nil {
		if through, err := proxy(&http.Request{URL: base}); err != nil || through != nil {
			return ""
		}
	}
	return net.JoinHostPort(base.Hostname(), transport.Port(base))
}
