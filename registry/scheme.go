package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"syscall"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// reach sends r. A registry that may be one without HTTPS is tried out by one request, for whose
// connection the others wait, not for its answer; any other only when HTTPS has failed.
func (h *host) reach(ctx context.Context, r request) (*http.Response, error) {
	_, known := h.settled.Load()
	if known || !h.client.options.Insecure && !loopback(h.name) {
		resp, err := h.trip(ctx, r)
		if err == nil {
			h.settled.Store(struct{}{})
			return resp, nil
		}
		if known || r.stream != nil || ctx.Err() != nil || !h.otherWay(ctx, err) {
			return nil, err
		}
	}
	var tried *trial
	_, err := h.settled.Do(ctx, func() (struct{}, error) {
		tried = h.tryOut(ctx, r)
		return struct{}{}, tried.settle()
	})
	switch {
	case tried != nil:
		return tried.answer()
	case err != nil:
		return nil, err
	}
	return h.trip(ctx, r)
}

// otherWay reports whether a request that failed by HTTPS may succeed otherwise.
func (h *host) otherWay(ctx context.Context, err error) bool {
	var untrusted *tls.CertificateVerificationError
	return (errors.As(err, &untrusted) || maybePlain(err, h.Host)) && h.permitted(ctx, h.name)
}

// trial is a request that finds out how a registry is spoken to.
type trial struct {
	connect         sync.Once
	connected, done chan struct{}
	resp            *http.Response
	err             error
}

func (h *host) tryOut(ctx context.Context, r request) *trial {
	t := &trial{connected: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.resp, t.err = h.negotiate(ctx, r, t)
	}()
	return t
}

// settle returns nil as soon as the registry's way is known.
func (t *trial) settle() error {
	select {
	case <-t.connected:
		return nil
	case <-t.done:
		return t.err
	}
}

func (t *trial) answer() (*http.Response, error) {
	<-t.done
	return t.resp, t.err
}

// watch returns a context for the request whose connection settles the registry's way.
func (t *trial) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		t.connect.Do(func() { close(t.connected) })
	}})
}

// negotiate sends r by HTTPS and, where that fails in a way that a registry without HTTPS or without a
// known certificate shows, and the registry is permitted to be one, without them.
func (h *host) negotiate(ctx context.Context, r request, t *trial) (*http.Response, error) {
	resp, err := h.tripSecure(context.WithValue(ctx, probe{}, true), r, t)
	if err == nil || ctx.Err() != nil || h.way.Load().scheme != "https" || gaveUpOn(err) != nil || !maybePlain(err, h.Host) {
		return resp, err
	}
	if h.permitted(ctx, h.name) {
		return h.tripPlain(ctx, r, t, err)
	}
	return nil, err
}

// tripSecure sends r by HTTPS, and without a known certificate where that is permitted.
func (h *host) tripSecure(ctx context.Context, r request, t *trial) (*http.Response, error) {
	resp, err := h.trip(t.watch(ctx), r)
	var untrusted *tls.CertificateVerificationError
	now := h.way.Load()
	if errors.As(err, &untrusted) && !now.unverified && h.permitted(ctx, h.name) {
		h.way.Store(&way{now.scheme, true})
		return h.trip(t.watch(ctx), r)
	}
	return resp, err
}

// tripPlain sends r by plain HTTP. When that fails too, and HTTPS had not failed at a server of plain
// HTTP, the registry is not settled on it, and the error is that of HTTPS. What takes plain HTTP for a bad
// request speaks HTTPS, and is asked that way again.
func (h *host) tripPlain(ctx context.Context, r request, t *trial, secure error) (*http.Response, error) {
	before := h.way.Load()
	h.way.Store(&way{"http", before.unverified})
	if errors.Is(secure, http.ErrSchemeMismatch) {
		return h.trip(t.watch(ctx), r)
	}
	resp, err := h.trip(ctx, r)
	if err == nil && resp.StatusCode != http.StatusBadRequest {
		return resp, nil
	}
	h.way.Store(before)
	if err == nil {
		discard(resp)
		return h.tripSecure(ctx, r, t)
	}
	return nil, secure
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
	var wanted *clientCertError
	if errors.As(err, &wanted) {
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
		return h.overTLS(h.lax, req)
	}
	return h.overTLS(h.strict, req)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// plainTo reports whether req may go by plain HTTP. A registry that is settled on it may have its token
// service beside it, on another port.
func (h *host) plainTo(req *http.Request) bool {
	if h.way.Load().scheme == "http" && req.URL.Hostname() == (&url.URL{Host: h.Host}).Hostname() {
		return true
	}
	return !h.owns(req.URL) && h.permitted(req.Context(), req.URL.Host)
}

func (h *host) unverifiedTo(u *url.URL) bool {
	if h.owns(u) {
		return h.way.Load().unverified
	}
	return h.client.options.Insecure || loopback(u.Host)
}

// owns reports whether u is on the registry itself: scheme, host and port.
func (h *host) owns(u *url.URL) bool {
	return sameServer(u, &url.URL{Scheme: h.way.Load().scheme, Host: h.Host})
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
