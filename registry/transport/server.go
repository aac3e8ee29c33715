package transport

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// Server is the server of a registry: its names, its endpoint, and what is permitted.
type Server struct {
	// Name is the registry's name in references, Host its host and port.
	Name, Host string
	// Insecure permits plain HTTP and certificates that cannot be verified, for all servers.
	Insecure bool
	// InsecureHost permits the same for one host; nil for none.
	InsecureHost func(ctx context.Context, host string) bool
	// Lookup resolves host names; nil for the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

	endpoint atomic.Pointer[Endpoint]
}

// Endpoint is how a server is spoken to.
type Endpoint struct {
	Scheme string
	// Unverified says that the certificate is not verified.
	Unverified bool
}

// Endpoint returns how the server is spoken to.
func (s *Server) Endpoint() Endpoint { return *s.endpoint.Load() }

// SetEndpoint changes how the server is spoken to.
func (s *Server) SetEndpoint(e Endpoint) { s.endpoint.Store(&e) }

// URL returns the root of the server.
func (s *Server) URL() *url.URL { return &url.URL{Scheme: s.Endpoint().Scheme, Host: s.Host} }

// Owns reports whether u is on the server itself: scheme, host and port.
func (s *Server) Owns(u *url.URL) bool { return SameServer(u, s.URL()) }

// NameOf returns the name of the server of u in errors.
func (s *Server) NameOf(u *url.URL) string {
	if s.Owns(u) {
		return s.Name
	}
	return u.Host
}

// Permits reports whether a host may do without HTTPS or a verified certificate.
func (s *Server) Permits(ctx context.Context, host string) bool {
	if s.Insecure || Loopback(host) {
		return true
	}
	return s.InsecureHost != nil && s.InsecureHost(ctx, host)
}

// Loopback reports whether a host, with or without a port, is this machine.
func Loopback(host string) bool {
	ok, err := docker.MatchLocalhost(host)
	return ok && err == nil
}

func (s *Server) addresses(ctx context.Context) []netip.Addr {
	host := s.URL().Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}
	}
	lookup := s.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	addrs, _ := lookup(ctx, host)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs
}
