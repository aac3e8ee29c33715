// Package transport sends requests to registries. It is a chain of round trippers, each with one job, that is
// composed once for each registry:
//
//   - [Retry] sends a request again while it fails in a way that may pass and the [Budget] lasts, and holds the requests of
//     a class back to the rate that the registry accepts.
//   - [Scheme] finds out whether the registry speaks HTTPS or plain HTTP.
//   - [Redirect] follows redirects, never to a place that the registry must not send us to.
//   - [Login] answers the registry's challenges with a password or a token, and keeps the tokens.
//   - [Guest] answers the challenges of other registries that it redirects to, without a credential.
//   - [IdleTimeout] ends a request whose connection makes no progress.
//   - [Trace] reports each attempt, for people who look for a fault.
//   - [TLS] is the connection: certificates, and no plain HTTP where that is not permitted.
//
// A [Request] carries all parameters beside the HTTP request; none hides in its context. Requests to
// a token service pass through a chain of their own, without Scheme and Login. What a registry is asked for,
// and what its answers mean, is left to package registry.
package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Request is an HTTP request and how it is to be sent.
type Request struct {
	*http.Request
	// Scopes are what a token for the request has to cover.
	Scopes []string
	// Attempts bounds how often the request is sent; 0 leaves that to the retry budget.
	Attempts int
	// Once says that the caller decides on another attempt when an answer is lost, since the request may have been
	// carried out. The failure is then an *InterruptedError or an answer.
	Once bool
	// LoginFirst logs in before the request if there is a credential: the answer to everyone may be a shorter one.
	LoginFirst bool
	// KeepSeeOther returns an answer of 303 to another server instead of following it: it leads to a web site.
	KeepSeeOther bool
	// Read reads the answer, of a status of 2xx, as part of the attempt: after an *InterruptedError the request is sent
	// again, after one of kind errdefs.ErrDataLoss once more. Other errors are returned as a *ReadError.
	Read func(*http.Response) error
	// Acquire waits for room to send the request, once nothing else has to be waited for, and returns a function that releases
	// it, which is called at the end of the answer; nil for unlimited room.
	Acquire func(context.Context) (func(), error)
	// Permit is what the request does not have to wait for, unless it was used, nil for none.
	Permit *Permit

	// redirected says that a redirect has led away from the server that the request was for.
	redirected bool
	// attempt counts from 1.
	attempt int
	// anonymous says that no credential is used.
	anonymous bool
	connected []func(net.Conn)
}

// RoundTripper sends a request and returns the answer, whose Request is the one that was sent last.
type RoundTripper interface {
	RoundTrip(r Request) (*http.Response, error)
}

// onConnect returns r, which calls f with each connection that it gets.
func (r Request) onConnect(f func(net.Conn)) Request {
	r.connected = append(slices.Clip(r.connected), f)
	return r
}

func (r Request) gotConn(conn net.Conn) {
	for _, f := range r.connected {
		f(conn)
	}
}

// reads reports whether r changes nothing.
func (r Request) reads() bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// repeatable reports whether the body can be sent again.
func (r Request) repeatable() bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// MaxErrorBody bounds the body of a refusal that is read.
const MaxErrorBody = 64 << 10

// Discard closes an answer in a way that keeps its connection.
func Discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, MaxErrorBody)
		resp.Body.Close()
	}
}

// buffer reads the start of an answer into memory, so that its connection serves the next request, and returns it.
func buffer(resp *http.Response) []byte {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, MaxErrorBody))
	Discard(resp)
	resp.Body = bodyOf(body)
	return body
}

func bodyOf(raw []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(raw)) }

// SameServer reports whether scheme, host and port are equal.
func SameServer(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && Port(a) == Port(b)
}

// Port returns the port of u, that of its scheme unless it names one.
func Port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// IsClosed reports whether err is about a connection that the server closed: net.ErrClosed is what an upload meets when
// the transport has noticed that first.
func IsClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
