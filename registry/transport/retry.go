package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/containerd/errdefs"
)

// Retry sends a request again while it fails in a way that may pass and the budget lasts. Then the error is an
// *ExhaustedError, never the answer, so that no caller retries again. A body that can be sent only once is not sent
// again: its failure is an *InterruptedError, after which a caller may start again with a new body.
type Retry struct {
	Next   RoundTripper
	Server *Server
	Budget *Budget
	// Tokens says that all requests are for tokens: each attempt is bounded, with the answer.
	Tokens bool

	// lanes limit the requests to the rates that the server accepts.
	lanes [classes]lane
}

// ExhaustedError is the failure of a request whose attempts are exhausted.
type ExhaustedError struct {
	// Status is that of the last answer and Body its start; Status is 0 when there was none, because of Err.
	Status int
	Body   []byte
	Err    error
	// Sent is the Authorization header, which Body may echo.
	Sent string
	// Tried says how much was tried, if that was more than once.
	Tried string

	header http.Header
}

func (e *ExhaustedError) Unwrap() error { return e.Err }
func (e *ExhaustedError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return StatusText(e.Status)
}

// StatusText returns a status and its name.
func StatusText(status int) string { return fmt.Sprintf("%d %s", status, http.StatusText(status)) }

// InterruptedError is the failure of a transfer that may succeed when it is started again.
type InterruptedError struct {
	Err error
	// Few limits the attempts, see [Fault].
	Few bool
	// Lost says that the transfer may have been carried out, and only its answer was lost.
	Lost bool
}

func (e *InterruptedError) Unwrap() error { return e.Err }
func (e *InterruptedError) Error() string { return e.Err.Error() }

// ReadError is the error of [Request.Read].
type ReadError struct{ Err error }

func (e *ReadError) Unwrap() error { return e.Err }
func (e *ReadError) Error() string { return e.Err.Error() }

// RoundTrip sends r until there is an answer to return.
func (t *Retry) RoundTrip(r Request) (*http.Response, error) {
	var resp *http.Response
	var err error
	var failure *ExhaustedError
	reread := false
	attempts := t.Budget.Attempts(t.Server.NameOf(r.URL), r.Attempts)
	done := attempts.Run(r.Context(), func() *Fault {
		r.attempt++
		var connected atomic.Bool
		var pause *Fault
		resp, pause, err = t.paced(r.onConnect(func(net.Conn) { connected.Store(true) }))
		f := t.fault(r.Context(), resp, err, connected.Load())
		if pause != nil && f != nil {
			f.Limited, f.final, f.again, f.progress, f.wait = true, pause.final, pause.again, pause.progress, pause.wait
		}
		switch {
		case f == nil && errdefs.IsDataLoss(err) && !reread:
			reread = true
			return &Fault{AtOnce: true}
		case f == nil:
			if err == nil {
				t.Budget.answered(attempts.spending)
			}
			return nil
		case !r.repeatable() || r.Once && isLost(resp, err, connected.Load()):
			if err != nil {
				err = &InterruptedError{Err: err}
			}
			return nil
		}
		failure = exhausted(resp, err)
		return f
	})
	switch {
	case done && err != nil:
		return nil, err
	case done:
		return resp, nil
	case r.Context().Err() != nil:
		return nil, r.Context().Err()
	}
	t.lane(r).giveUp(t.Budget.Now())
	failure.Tried = attempts.String()
	return nil, failure
}

// Announce says that n items of work follow, which take about as many requests each, and how many are worked on at once if
// each takes several. Call done for each item.
func (t *Retry) Announce(n, atOnce int) (done func()) {
	for c := range t.lanes {
		t.lanes[c].announce(n, atOnce)
	}
	return func() {
		for c := range t.lanes {
			t.lanes[c].finish()
		}
	}
}

// lane returns the state of the class of a request.
func (t *Retry) lane(r Request) *lane { return &t.lanes[classOf(r, t.Tokens)] }

// paced sends r when its class may send one and there is room for it, and reads the answer. After a refusal with 429 it
// also returns what follows from the state of the class.
func (t *Retry) paced(r Request) (*http.Response, *Fault, error) {
	l := t.lane(r)
	pauses, release, err := t.acquire(r, l)
	if err != nil {
		return nil, nil, err
	}
	if t.Tokens {
		ctx, cancel := context.WithTimeout(r.Context(), tokenTimeout)
		defer cancel()
		r.Request = r.WithContext(ctx)
	}
	resp, err := t.Next.RoundTrip(r)
	if err != nil {
		release()
	} else {
		resp.Body = OnClose{resp.Body, release}
	}
	now := t.Budget.Now()
	pause := l.release(pauses, resp, err, now)
	if pause != nil {
		t.reportRate(l, r, resp)
	}
	if err == nil {
		err = r.read(resp)
	}
	if t.Tokens && err == nil && resp.StatusCode > 299 {
		buffer(resp) // its context ends here
	}
	return resp, pause, err
}

// acquire waits until r may be sent, at first for its class and then for room, so that what waits for the class takes none.
// It returns how many pauses there were, and a function that releases the room.
func (t *Retry) acquire(r Request, l *lane) (pauses int, release func(), err error) {
	urgent := r.Permit != nil && r.Permit.Urgent
	for {
		if p := r.Permit; p != nil && (!p.used.Swap(true) || urgent) {
			pauses = p.pauses
		} else {
			pauses, err = l.acquire(r.Context(), t.Budget.clock)
		}
		if err != nil || r.Acquire == nil {
			return pauses, func() {}, err
		}
		release, err = r.Acquire(r.Context())
		if err != nil || urgent || !l.isLimited(pauses) {
			return pauses, release, err
		}
		release()
	}
}

// IsLimited reports whether the registry has limited the rate of a class.
func (t *Retry) IsLimited(class Class) bool { return t.lanes[class].isLimited(0) }

// Permit waits until a request of a class may be sent.
func (t *Retry) Permit(ctx context.Context, class Class) (*Permit, error) {
	pauses, err := t.lanes[class].acquire(ctx, t.Budget.clock)
	return &Permit{pauses: pauses}, err
}

// OnClose is a body that calls Then when it is closed.
type OnClose struct {
	io.ReadCloser
	Then func()
}

// Close closes the body.
func (b OnClose) Close() error {
	defer b.Then()
	return b.ReadCloser.Close()
}

// reportRate reports the rate that the server accepts, once that is known.
func (t *Retry) reportRate(l *lane, r Request, resp *http.Response) {
	perMinute, remaining, ok := l.report(t.Budget.Now())
	if !ok {
		return
	}
	server := t.Server.NameOf(r.URL)
	if resp != nil {
		server = t.Server.NameOf(resp.Request.URL)
	}
	text := fmt.Sprintf("%s allows about %s %s a minute", server, count(perMinute), classOf(r, t.Tokens))
	if remaining > 0 {
		minutes := int(math.Ceil(float64(remaining) / perMinute))
		text += fmt.Sprintf(": about %d minutes for the remaining %s", minutes, count(float64(remaining)))
	}
	t.Budget.warn("%s", text)
}

// read reads an answer of a status of 2xx, if r wants that.
func (r Request) read(resp *http.Response) error {
	if r.Read == nil || resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil
	}
	defer resp.Body.Close()
	if err := r.Read(resp); err != nil {
		return &ReadError{err}
	}
	return nil
}

// exhausted returns the error for an attempt that must be the last one. It buffers the answer.
func exhausted(resp *http.Response, err error) *ExhaustedError {
	if busy, ok := errors.AsType[*busyError](err); ok {
		e := *busy.ExhaustedError
		return &e
	}
	if err != nil {
		return &ExhaustedError{Err: err}
	}
	return &ExhaustedError{
		Status: resp.StatusCode, Body: buffer(resp), Sent: resp.Request.Header.Get("Authorization"), header: resp.Header,
	}
}

// fault returns the fault that may pass; nil when there is none, or when it will not.
func (t *Retry) fault(ctx context.Context, resp *http.Response, err error, connected bool) *Fault {
	switch {
	case err == nil && MayPass(resp.StatusCode):
		return &Fault{
			Why: StatusText(resp.StatusCode), After: RetryAfter(resp.Header, t.Budget.Now()), server: t.Server.NameOf(resp.Request.URL),
		}
	case err == nil || ctx.Err() != nil:
		return nil
	}
	if busy, ok := errors.AsType[*busyError](err); ok {
		return &Fault{Why: StatusText(busy.Status), After: RetryAfter(busy.header, t.Budget.Now())}
	}
	if is[*ReadError](err) {
		if interrupted, ok := errors.AsType[*InterruptedError](err); ok {
			return Transient(interrupted.Err, true)
		}
		return nil
	}
	f := Transient(err, connected)
	if failed, ok := errors.AsType[*url.Error](err); ok && f != nil {
		if u, err := url.Parse(failed.URL); err == nil {
			f.server = t.Server.NameOf(u)
		}
	}
	return f
}

// is reports whether err is, or wraps, an error of type E.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// isLost reports whether a failed request may have been carried out: it was sent, and the server or a gateway before it
// did not refuse it.
func isLost(resp *http.Response, err error, connected bool) bool {
	if err != nil {
		return connected && !is[*busyError](err)
	}
	return resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable
}

// MayPass reports whether a status is about the moment and not about the request.
func MayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusInsufficientStorage:
		return false
	}
	return status >= 500
}

// Transient returns the fault of a request that got no answer; nil when it will not pass. What is not known to
// pass is tried a few times once a server was reached.
func Transient(err error, connected bool) *Fault {
	proxy, _ := errors.AsType[*ProxyError](err)
	switch {
	case isPermanent(err):
		return nil
	case is[*ClientCertError](err):
	case proxy != nil && MayPass(proxy.Status):
		return &Fault{Why: proxy.Error(), Few: true}
	case isTimeout(err):
		return &Fault{Why: "no answer", Few: true, slow: true}
	case isDial(err):
		return nil
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || isStreamReset(err):
		return &Fault{Why: "the connection was reset"}
	case IsClosed(err):
		return &Fault{Why: "the connection was closed"}
	}
	if !connected {
		return nil
	}
	return &Fault{Why: "the connection failed", Few: true}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// isDial reports whether err is about a connection that could not be opened.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// streamError has the fields of the error that net/http returns for a stream of HTTP/2 that was reset, and copies to any
// type that has them.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("HTTP/2 stream reset, code %d", e.Code) }

// Codes of https://www.rfc-editor.org/rfc/rfc9113#section-7 that another attempt does not change.
const (
	protocolError  = 0x1
	http11Required = 0xd
)

// isStreamReset reports whether a server of HTTP/2 reset a stream, or ended the connection with GOAWAY or without a word.
// Only the first of these errors has a type.
func isStreamReset(err error) bool {
	if stream, ok := errors.AsType[streamError](err); ok {
		return stream.Code != protocolError && stream.Code != http11Required
	}
	text := err.Error()
	return strings.Contains(text, "http2: ") && (strings.Contains(text, "GOAWAY") || strings.Contains(text, "client connection lost"))
}

// isPermanent reports whether err is about trust, permissions or the protocol, which a retry does not change.
func isPermanent(err error) bool {
	return is[*tls.CertificateVerificationError](err) || is[x509.UnknownAuthorityError](err) || is[tls.RecordHeaderError](err) ||
		is[*PlainHTTPError](err) || is[*RefusedError](err) || is[*http.MaxBytesError](err) ||
		is[*TokenError](err) || is[*CredentialError](err) || errors.Is(err, http.ErrSchemeMismatch)
}
