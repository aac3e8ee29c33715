package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// TLS sends requests over connections of its own: to the registry, to its token service, and where redirects and
// uploads lead. No request goes over plain HTTP, or to a server without a verified certificate, that is not
// permitted to.
type TLS struct {
	Server *Server
	// New returns a transport that is not in use yet.
	New func() *http.Transport
	// Bare offers no client certificate.
	Bare bool
	// Connected is called with the connection of each request to the registry; nil for nothing.
	Connected func(net.Conn)

	wires sync.Map // of *wire, by wireKey
}

// wireKey is a server, and whether its certificate is verified.
type wireKey struct {
	server     string
	unverified bool
}

// wire is the transport for one server. wantsCert says that the server has asked for a client certificate and has
// not answered since.
type wire struct {
	*http.Transport
	wantsCert, answered atomic.Bool
}

// ClientCertError is the failure of a request to a server that asks for a client certificate. Over HTTP/2 the
// failure itself does not say that.
type ClientCertError struct{ Err error }

func (e *ClientCertError) Unwrap() error { return e.Err }
func (e *ClientCertError) Error() string { return e.Err.Error() }

// ProxyError is the failure of a request at a proxy, or of the tunnel that the proxy opened.
type ProxyError struct {
	// Host is the proxy. Status is its answer, 0 when there was none.
	Host   string
	Status int
	Err    error
}

func (e *ProxyError) Unwrap() error { return e.Err }
func (e *ProxyError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("the proxy %s answered %s", e.Host, StatusText(e.Status))
	}
	return fmt.Sprintf("through the proxy %s: %v", e.Host, e.Err)
}

// RoundTrip sends r. The end of a connection may be met by another request than the one that opened it, so what a
// server has asked for is remembered until it has answered once: then it does without.
func (t *TLS) RoundTrip(r Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !t.permitsPlain(r.Context(), r.URL) {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, &PlainHTTPError{r.URL.Host}
	}
	w := t.wire(wireKey{r.URL.Host, t.unverified(r.URL)})
	var connected atomic.Bool
	resp, err := w.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			connected.Store(true)
			if t.Connected != nil && t.Server.Owns(r.URL) {
				t.Connected(got.Conn)
			}
			r.gotConn(got.Conn)
		},
	})))
	if err == nil {
		w.answered.Store(true)
		return resp, nil
	}
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(record.RecordHeader[:]) == "HTTP/" {
		return nil, http.ErrSchemeMismatch
	}
	if w.wantsCert.Load() && !w.answered.Load() && !isTimeout(err) {
		err = &ClientCertError{err}
	}
	if !connected.Load() || r.URL.Scheme == "http" {
		err = w.throughProxy(r, err)
	}
	return nil, err
}

// throughProxy adds to the failure of a request the proxy that it was sent through, if any.
func (w *wire) throughProxy(r Request, err error) error {
	if w.Proxy == nil || is[*ProxyError](err) {
		return err
	}
	if proxy, failed := w.Proxy(r.Request); failed == nil && proxy != nil {
		return &ProxyError{Host: proxy.Host, Err: err}
	}
	return err
}

// refuseTunnel returns the failure of a request for a tunnel that a proxy refused.
func refuseTunnel(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &ProxyError{Host: proxy.Host, Status: resp.StatusCode}
}

// wire returns the transport for a server, made at the first call.
func (t *TLS) wire(key wireKey) *wire {
	if w, ok := t.wires.Load(key); ok {
		return w.(*wire)
	}
	w := &wire{Transport: t.New()}
	w.OnProxyConnectResponse = refuseTunnel
	if config := w.TLSClientConfig; config != nil {
		if t.Bare {
			config.Certificates = nil
		}
		config.InsecureSkipVerify = key.unverified
		config.GetClientCertificate = w.present(config.Certificates)
	}
	first, _ := t.wires.LoadOrStore(key, w)
	return first.(*wire)
}

// present offers the certificate that a server asks for, if there is one, as crypto/tls does by itself.
func (w *wire) present(have []tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		w.wantsCert.Store(true)
		for i := range have {
			if asked.SupportsCertificate(&have[i]) == nil {
				return &have[i], nil
			}
		}
		return &tls.Certificate{}, nil
	}
}

// permitsPlain reports whether u may be reached over plain HTTP. A registry that speaks it may have its token
// service on another port.
func (t *TLS) permitsPlain(ctx context.Context, u *url.URL) bool {
	own := t.Server.URL()
	if own.Scheme == "http" && strings.EqualFold(u.Hostname(), own.Hostname()) {
		return true
	}
	return !t.Server.Owns(u) && t.Server.Permits(ctx, u.Host)
}

func (t *TLS) unverified(u *url.URL) bool {
	if t.Server.Owns(u) {
		return t.Server.Endpoint().Unverified
	}
	return t.Server.Insecure || Loopback(u.Host)
}
