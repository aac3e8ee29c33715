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
)

// spareTime is how long a connection waits for its first request: less than servers do.
const spareTime = 4 * time.Second

// spares are connections to a registry that are opened before the requests that are going to need them.
// A registry that takes all requests over one connection gets none, nor one behind a proxy.
type spares struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	// address returns the registry's own, "" when it is behind a proxy.
	address func() string

	mu sync.Mutex
	// useful says that requests need a connection each; wanted is how many there should be, open how many
	// there are.
	useful       bool
	wanted, open int
	ready        []*spare
}

// spare is a connection; opened is closed when conn or err is there.
type spare struct {
	opened chan struct{}
	conn   net.Conn
	err    error
}

// want opens connections until there are n, now or as soon as it is known that they are of use.
func (s *spares) want(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = max(s.wanted, n)
	s.fill()
}

// connected is told of each connection that a request to the registry gets.
func (s *spares) connected(conn net.Conn) {
	secure, ok := conn.(*tls.Conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.useful = !ok || secure.ConnectionState().NegotiatedProtocol != "h2"
	s.fill()
}

func (s *spares) fill() {
	if !s.useful {
		return
	}
	address := s.address()
	for ; address != "" && s.open < s.wanted; s.open++ {
		added := &spare{opened: make(chan struct{})}
		s.ready = append(s.ready, added)
		go s.add(added, address)
	}
	s.wanted = 0
}

func (s *spares) add(added *spare, address string) {
	ctx, cancel := context.WithTimeout(context.Background(), spareTime)
	defer cancel()
	added.conn, added.err = s.connect(ctx, "tcp", address)
	close(added.opened)
	if added.err == nil {
		time.AfterFunc(spareTime, func() {
			if s.remove(added) {
				added.conn.Close()
			}
		})
	}
}

// remove reports whether nobody took the connection.
func (s *spares) remove(old *spare) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.ready, old)
	if i >= 0 {
		s.ready = slices.Delete(s.ready, i, i+1)
	}
	return i >= 0
}

// take returns the oldest connection, nil when there is none.
func (s *spares) take() *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		return nil
	}
	first := s.ready[0]
	s.ready = s.ready[1:]
	return first
}

// DialContext returns a spare connection, or else opens one.
func (s *spares) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
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
func (s *spares) connect(ctx context.Context, network, address string) (net.Conn, error) {
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

// counted is a connection whose end is told.
type counted struct {
	net.Conn
	end func()
}

// Close closes the connection.
func (c *counted) Close() error {
	c.end()
	return c.Conn.Close()
}

// want opens connections for n requests that are going to be under way at a time.
func (h *host) want(n int) { h.spares.want(min(n, cap(h.slots))) }

// address returns where the registry is reached, "" when that is behind a proxy.
func (h *host) address() string {
	base := &url.URL{Scheme: h.way.Load().scheme, Host: h.Host}
	if h.strict.Proxy != nil {
		if through, err := h.strict.Proxy(&http.Request{URL: base}); err != nil || through != nil {
			return ""
		}
	}
	return net.JoinHostPort(base.Hostname(), port(base))
}
