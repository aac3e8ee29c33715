package transport

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// RefusedError refuses to send a request where a registry leads.
type RefusedError struct{ reason string }

func (e *RefusedError) Error() string { return e.reason }

// PlainHTTPError refuses plain HTTP to a host.
type PlainHTTPError struct{ Host string }

func (e *PlainHTTPError) Error() string {
	return fmt.Sprintf("%s would be reached over plain HTTP; --insecure permits that", e.Host)
}

// CheckRedirect returns an error unless the registry may redirect from one URL to another: by http or https,
// never from https to http, and to a private address only when the registry has one.
func (s *Server) CheckRedirect(ctx context.Context, from, to *url.URL) error {
	switch {
	case to.Scheme != "http" && to.Scheme != "https" || to.Host == "":
		return &RefusedError{"redirect to a URL that is not http or https"}
	case from.Scheme == "https" && to.Scheme == "http":
		return &RefusedError{"redirect from HTTPS to plain HTTP on " + to.Host}
	}
	return s.CheckAddress(ctx, to, "redirect")
}

// checkRealm returns an error unless tokens may be requested from realm: that takes HTTPS when the registry
// speaks it, and a private address only when the registry has one.
func (s *Server) checkRealm(ctx context.Context, realm *url.URL) error {
	switch {
	case realm.Scheme != "http" && realm.Scheme != "https" || realm.Host == "":
		return &RefusedError{"the challenge names no token service"}
	case realm.Scheme == "http" && s.Endpoint().Scheme == "https" && !s.Insecure && !Loopback(realm.Host):
		return &PlainHTTPError{realm.Host}
	}
	return s.CheckAddress(ctx, realm, "token service")
}

// CheckAddress returns an error when u has a literal address that only this machine or its network can reach, unless the
// registry is there as well.
func (s *Server) CheckAddress(ctx context.Context, u *url.URL, what string) error {
	own := s.URL()
	if u.Hostname() == own.Hostname() {
		return nil
	}
	addr, literal := address(u.Hostname())
	switch {
	case !literal:
		return nil
	case isMetadata(addr):
		if self, ok := address(own.Hostname()); ok && isMetadata(self) {
			return nil
		}
	case !isPrivate(addr) || slices.ContainsFunc(s.addresses(ctx), isPrivate):
		return nil
	}
	return &RefusedError{fmt.Sprintf("%s at the private address %s, while %s is public", what, u.Host, s.Name)}
}

// address returns the address that a host name is literally. For the forms that only some resolvers take for
// addresses, as 127.1 or 0x7f000001, it returns the zero address.
func address(host string) (addr netip.Addr, literal bool) {
	host, _, _ = strings.Cut(host, "%") // whatever the zone is
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap(), true
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	last := host[strings.LastIndex(host, ".")+1:]
	return netip.Addr{}, last != "" && (strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x"))
}

// metadata are addresses outside the link-local range at which clouds offer credentials to their machines.
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200")}

// isMetadata reports whether an address is link-local or that of a cloud's metadata service, or of a form that
// hides its value.
func isMetadata(addr netip.Addr) bool {
	return !addr.IsValid() || addr.IsLinkLocalUnicast() || slices.Contains(metadata, addr)
}

// isPrivate reports whether an address cannot be reached from elsewhere.
func isPrivate(addr netip.Addr) bool {
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsUnspecified() || isMetadata(addr) || sharedRange.Contains(addr)
}

// sharedRange is for networks behind carriers' NAT: https://www.rfc-editor.org/rfc/rfc6598.
var sharedRange = netip.MustParsePrefix("100.64.0.0/10")
