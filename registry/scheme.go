package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// negotiate sends r by HTTPS and, where that fails in a way that a registry without HTTPS or without a
// known certificate shows, and the registry is permitted to be one, without them. What worked stays
// settled.
func (h *host) negotiate(ctx context.Context, r request) (*http.Response, error) {
	resp, err := h.tripSecure(context.WithValue(ctx, probe{}, true), r)
	if err == nil || ctx.Err() != nil || h.Scheme != "https" || gaveUpOn(err) != nil || !maybePlain(err, h.Host) {
		return resp, err
	}
	if h.permitted(ctx, h.name) {
		return h.tripPlain(ctx, r, err)
	}
	return nil, err
}

// tripSecure sends r by HTTPS, and without a known certificate where that is permitted.
func (h *host) tripSecure(ctx context.Context, r request) (*http.Response, error) {
	resp, err := h.trip(ctx, r)
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) && !h.unverified && h.permitted(ctx, h.name) {
		h.unverified = true
		return h.trip(ctx, r)
	}
	return resp, err
}

// tripPlain sends r by plain HTTP. When that fails too, the registry is not settled on it, and the error
// is that of HTTPS. What takes plain HTTP for a bad request speaks HTTPS, and is asked that way again.
func (h *host) tripPlain(ctx context.Context, r request, secure error) (*http.Response, error) {
	h.Scheme = "http"
	resp, err := h.trip(ctx, r)
	mismatch := errors.Is(secure, http.ErrSchemeMismatch)
	if err == nil && (mismatch || resp.StatusCode != http.StatusBadRequest) {
		return resp, nil
	}
	h.Scheme = "https"
	if err == nil {
		discard(resp)
		return h.tripSecure(ctx, r)
	}
	if !mismatch {
		err = secure
	}
	return nil, err
}

// probe is the context key of a request that is to show which scheme the registry speaks.
type probe struct{}

// probes reports whether req goes by HTTPS to a registry whose scheme is not settled.
func (h *host) probes(req *http.Request) bool {
	return req.Context().Value(probe{}) != nil && req.URL.Scheme == "https" && h.owns(req.URL)
}

// permitted reports whether a host may do without HTTPS or a known certificate.
func (h *host) permitted(ctx context.Context, name string) bool {
	if h.client.options.Insecure || loopback(name) {
		return true
	}
	return h.client.options.InsecureHost != nil && h.client.options.InsecureHost(ctx, name)
}

func loopback(name string) bool {
	ok, err := docker.MatchLocalhost(name)
	return ok && err == nil
}

// maybePlain reports whether err is what HTTPS meets at a server of plain HTTP.
func maybePlain(err error, address string) bool {
	var alert tls.AlertError
	if errors.As(err, &alert) {
		return false
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		_, _, err := net.SplitHostPort(address)
		return err != nil // without a port, HTTP has another one
	}
	var record tls.RecordHeaderError
	var timeout net.Error
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		(errors.As(err, &timeout) && timeout.Timeout())
}

// RoundTrip is the way of every request made for this registry: its own, those to its token service
// and those that a redirect or an upload sends elsewhere. It lets nothing go by plain HTTP, or to a
// server without a known certificate, that is not permitted to.
func (h *host) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" && !h.plainTo(req) {
		closeBody(req)
		return nil, &plainError{req.URL.Host}
	}
	if h.unverifiedTo(req.URL) {
		return h.client.watched(h.lax, req)
	}
	return h.client.watched(h.strict, req)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// plainTo reports whether req may go by plain HTTP. A registry that is settled on it may have its token
// service beside it, on another port.
func (h *host) plainTo(req *http.Request) bool {
	if h.Scheme == "http" && req.URL.Hostname() == (&url.URL{Host: h.Host}).Hostname() {
		return true
	}
	return !h.owns(req.URL) && h.permitted(req.Context(), req.URL.Host)
}

func (h *host) unverifiedTo(u *url.URL) bool {
	if h.owns(u) {
		return h.unverified
	}
	return h.client.options.Insecure || loopback(u.Host)
}

// owns reports whether u is on the registry itself: scheme, host and port.
func (h *host) owns(u *url.URL) bool {
	return sameServer(u, &url.URL{Scheme: h.Scheme, Host: h.Host})
}

func sameServer(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Hostname() == b.Hostname() && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// plainError refuses plain HTTP.
type plainError struct{ host string }

func (e *plainError) Error() string {
	return fmt.Sprintf("%s would be spoken to by plain HTTP; --insecure permits that", e.host)
}
