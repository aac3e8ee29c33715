package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"syscall"

	"github.com/containerd/errdefs"
)

// patient sends a request again while it fails in a way that may pass, and the patience of the client
// lasts. Then the failure is a *gaveUp, never the answer itself: nobody above must take it for a reason
// to try again. A body that can be sent once only is left to those who can make it anew.
type patient struct {
	host *host
	next http.RoundTripper
}

// gaveUp is the failure of a request that was tried enough.
type gaveUp struct {
	// status is the one of the last answer and body the start of what it said; status is 0 when there was
	// no answer, for the reason err.
	status int
	body   []byte
	err    error
	// sent is the Authorization header, which body may echo.
	sent string
	// tried says how much was tried, "" for once.
	tried string
}

func (e *gaveUp) Unwrap() error { return e.err }
func (e *gaveUp) Error() string {
	if e.err != nil {
		return e.err.Error()
	}
	return statusText(e.status)
}

func statusText(status int) string { return fmt.Sprintf("%d %s", status, http.StatusText(status)) }

// brokenOff is the failure of a transfer that may go well when it is begun again.
type brokenOff struct{ error }

func (e *brokenOff) Unwrap() error { return e.error }

// staleToken is the refusal of an upload, which cannot be sent again with another token as it is.
type staleToken struct{ error }

func (e *staleToken) Unwrap() error { return e.error }

// RoundTrip sends req until there is an answer to hand on.
func (p patient) RoundTrip(req *http.Request) (*http.Response, error) {
	t := p.host.client.tries(p.host.called(req.URL))
	for {
		resp, connected, err := p.try(req, t.n)
		f, ok := p.host.passing(req, resp, err, connected)
		switch {
		case !ok:
			return resp, err
		case !repeatable(req) && err == nil:
			return resp, nil
		case !repeatable(req):
			return nil, &brokenOff{err}
		}
		failure := &gaveUp{err: err, sent: req.Header.Get("Authorization")}
		if resp != nil {
			failure.status, failure.body = resp.StatusCode, drain(resp)
		}
		if !t.again(req.Context(), f) {
			if err := req.Context().Err(); err != nil {
				return nil, err
			}
			failure.tried = t.String()
			return nil, failure
		}
	}
}

// try sends req once more after n tries, and returns whether a server was reached.
func (p patient) try(req *http.Request, n int) (resp *http.Response, connected bool, err error) {
	var reached atomic.Bool
	sent := req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			reached.Store(true)
			if p.host.owns(req.URL) {
				p.host.spares.connected(got.Conn)
			}
		},
	}))
	if n > 0 && req.GetBody != nil {
		if sent.Body, err = req.GetBody(); err != nil {
			return nil, false, err
		}
	}
	resp, err = p.next.RoundTrip(sent)
	if resp != nil {
		resp.Request = req
	}
	return resp, reached.Load(), err
}

func repeatable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// called returns what a person knows the server of u by.
func (h *host) called(u *url.URL) string {
	if h.owns(u) {
		return h.name
	}
	return u.Host
}

// passing reports whether the outcome of a request may be another one soon. What kept a first request by
// HTTPS from a server that may speak plain HTTP is for negotiate.
func (h *host) passing(req *http.Request, resp *http.Response, err error, connected bool) (fault, bool) {
	switch {
	case err == nil && mayPass(resp.StatusCode):
		after := retryAfter(resp.Header, h.client.patience.now())
		return fault{why: statusText(resp.StatusCode), after: after}, true
	case err == nil || req.Context().Err() != nil:
		return fault{}, false
	case !connected && h.probes(req) && maybePlain(err, h.Host) && h.permitted(req.Context(), h.name):
		return fault{}, false
	}
	return transient(err, connected)
}

// mayPass reports whether a status is about the moment and not about the request.
func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusInsufficientStorage:
		return false
	}
	return status >= 500
}

// transient reports whether a request that got no answer may get one soon. What is not known to pass is,
// once a server was reached, tried a few times.
func transient(err error, connected bool) (fault, bool) {
	var dial *net.OpError
	var timeout net.Error
	var wanted *clientCertError
	switch {
	case permanent(err):
		return fault{}, false
	case errors.As(err, &wanted):
		return fault{why: "the connection failed", few: true}, connected
	case errors.As(err, &timeout) && timeout.Timeout():
		return fault{why: "no answer", few: true, slow: true}, true
	case errors.As(err, &dial) && dial.Op == "dial":
		return fault{}, false
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return fault{why: "the connection was reset"}, true
	case closed(err):
		return fault{why: "the connection was closed"}, true
	}
	return fault{why: "the connection failed", few: true}, connected
}

// closed reports whether the server closed the connection: net.ErrClosed is what an upload meets when the
// transport has noticed that first.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// permanent reports whether err is about who may speak to whom, or about what was said.
func permanent(err error) bool {
	var untrusted *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var plain *plainError
	var large *http.MaxBytesError
	return errors.As(err, &untrusted) || errors.As(err, &unknown) || errors.As(err, &record) ||
		errors.As(err, &plain) || errors.As(err, &large) || errors.Is(err, http.ErrSchemeMismatch)
}

// drain returns the start of what an answer says, and closes it in a way that keeps its connection.
func drain(resp *http.Response) []byte {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	resp.Body.Close()
	return body
}

// gaveUpOn returns the failure of a request that was tried enough, nil when err is none.
func gaveUpOn(err error) *gaveUp {
	var failure *gaveUp
	if errors.As(err, &failure) {
		return failure
	}
	return nil
}

// persist runs a transfer again while it breaks off and the patience of the client lasts, and once more
// when it brings something else than it should, or was refused a token that may have run out.
func (h *host) persist(ctx context.Context, transfer func() error) error {
	t := h.client.tries(h.name)
	second := false
	var stale *staleToken
	for {
		err := transfer()
		f, broken := breaksOff(err)
		switch {
		case err == nil || ctx.Err() != nil || gaveUpOn(err) != nil:
			return err
		case broken:
			if !t.again(ctx, f) {
				return t.describe(ctx, err)
			}
		case !second && (errdefs.IsDataLoss(err) || errors.As(err, &stale)):
			second = true
		default:
			return err
		}
	}
}

// describe adds to err how much was tried, where it does not say so itself.
func (t *tries) describe(ctx context.Context, err error) error {
	if tried := t.String(); tried != "" && ctx.Err() == nil && gaveUpOn(err) == nil {
		return fmt.Errorf("%w (%s)", err, tried)
	}
	return err
}

// breaksOff reports whether err is about a transfer that broke off.
func breaksOff(err error) (fault, bool) {
	var broken *brokenOff
	if !errors.As(err, &broken) {
		return fault{}, false
	}
	var refused *Error
	if errors.As(broken.error, &refused) && refused.Status != 0 {
		return fault{why: statusText(refused.Status), after: refused.after, few: refused.hasCode(blobUnknown)}, true
	}
	return transient(err, true)
}
