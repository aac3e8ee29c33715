package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
)

// Scheme sends requests to a registry by the scheme that it speaks. A registry that may do without HTTPS is probed
// by one request, for whose connection the others wait, not for its answer; any other only after HTTPS has failed.
type Scheme struct {
	Next   RoundTripper
	Server *Server
	// Plain sends a request over plain HTTP where that is not permitted, without any credential: it only explains why HTTPS
	// fails. It may be nil.
	Plain RoundTripper

	// isPlain is whether the server answers that as a registry, settled is done once the scheme is known.
	isPlain memo.Once[bool]
	settled memo.Once[struct{}]
}

// RoundTrip sends r by the scheme of the server, if it goes there.
func (s *Scheme) RoundTrip(r Request) (*http.Response, error) {
	if r.URL.Host != s.Server.Host {
		return s.Next.RoundTrip(r)
	}
	_, known := s.settled.Load()
	if known || !s.Server.Insecure && !Loopback(s.Server.Name) {
		var connected atomic.Bool
		resp, err := s.Next.RoundTrip(s.address(r.onConnect(func(net.Conn) { connected.Store(true) })))
		if err == nil {
			s.settled.Store(struct{}{})
			return resp, nil
		}
		// Without HTTPS, or without a verified certificate, the request may succeed.
		isInsecure := is[*tls.CertificateVerificationError](err) || maybePlain(err, s.Server.Host)
		if known || !r.repeatable() || r.Context().Err() != nil || !isInsecure || !s.Server.Permits(r.Context(), s.Server.Name) {
			if !known && !connected.Load() {
				err = s.explain(r.Context(), err)
			}
			return nil, err
		}
	}
	var own *probe
	_, err := s.settled.Do(r.Context(), func() (none struct{}, _ error) {
		own = s.probe(r)
		select {
		case <-own.connected.Done():
			return none, nil
		case <-own.done:
			return none, own.err
		}
	})
	switch {
	case own != nil:
		<-own.done
		return own.resp, own.err
	case err != nil:
		return nil, err
	}
	return s.Next.RoundTrip(s.address(r))
}

// address returns r with the scheme known so far.
func (s *Scheme) address(r Request) Request {
	if scheme := s.Server.Endpoint().Scheme; r.URL.Scheme != scheme {
		u := *r.URL
		u.Scheme = scheme
		r.Request = r.WithContext(r.Context())
		r.URL = &u
	}
	return r
}

// explain returns the failure of HTTPS, err, or http.ErrSchemeMismatch if the server hung up and answers plain HTTP as a
// registry does.
func (s *Scheme) explain(ctx context.Context, err error) error {
	if s.Plain == nil || isPermanent(err) || !hungUp(err) || s.Server.Permits(ctx, s.Server.Name) {
		return err
	}
	plain, failed := s.isPlain.Do(ctx, func() (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Server.Host+"/v2/", nil)
		if err != nil {
			return false, err
		}
		resp, err := s.Plain.RoundTrip(Request{Request: req})
		if err != nil {
			return false, ctx.Err()
		}
		defer Discard(resp)
		return resp.StatusCode == http.StatusUnauthorized || resp.Header.Get("Docker-Distribution-Api-Version") != "", nil
	})
	if failed == nil && plain {
		return http.ErrSchemeMismatch
	}
	return err
}

// probe is a request that shows which scheme the server speaks.
type probe struct {
	// connected ends once there is a connection, by connect.
	connected context.Context
	connect   context.CancelFunc
	done      chan struct{}
	resp      *http.Response
	err       error
}

func (s *Scheme) probe(r Request) *probe {
	p := &probe{done: make(chan struct{})}
	p.connected, p.connect = context.WithCancel(context.Background())
	go func() {
		defer close(p.done)
		p.resp, p.err = s.negotiate(r, p)
	}()
	return p
}

// watch returns r, whose connection settles the scheme.
func (p *probe) watch(r Request) Request {
	return r.onConnect(func(net.Conn) { p.connect() })
}

func (p *probe) isConnected() bool { return p.connected.Err() != nil }

// negotiate sends r by HTTPS. When that fails without a connection, in a way that shows a server without HTTPS or
// without a verified certificate, and the server is permitted to be one, it sends r without them.
func (s *Scheme) negotiate(r Request, p *probe) (*http.Response, error) {
	resp, err := s.secure(r, p)
	if err == nil || r.Context().Err() != nil || p.isConnected() || s.Server.Endpoint().Scheme != "https" || !maybePlain(err, s.Server.Host) {
		return resp, err
	}
	if s.Server.Permits(r.Context(), s.Server.Name) {
		return s.plain(r, p, err)
	}
	return nil, err
}

// secure sends r by HTTPS, and without verifying the certificate where that is permitted.
func (s *Scheme) secure(r Request, p *probe) (*http.Response, error) {
	resp, err := s.Next.RoundTrip(s.address(p.watch(r)))
	now := s.Server.Endpoint()
	if is[*tls.CertificateVerificationError](err) && !now.Unverified && s.Server.Permits(r.Context(), s.Server.Name) {
		s.Server.SetEndpoint(Endpoint{now.Scheme, true})
		return s.Next.RoundTrip(s.address(p.watch(r)))
	}
	return resp, err
}

// plain sends r by plain HTTP. When that fails too, and HTTPS had not failed at a server of plain HTTP, the scheme
// is not settled, and the error is that of HTTPS. A server that takes plain HTTP for a bad request may speak HTTPS,
// and is asked by that again; when it still does not, and did not refuse plain HTTP as such, that was its answer.
func (s *Scheme) plain(r Request, p *probe, secure error) (*http.Response, error) {
	before := s.Server.Endpoint()
	s.Server.SetEndpoint(Endpoint{"http", before.Unverified})
	if errors.Is(secure, http.ErrSchemeMismatch) {
		return s.Next.RoundTrip(s.address(p.watch(r)))
	}
	resp, err := s.Next.RoundTrip(s.address(r))
	if err == nil && resp.StatusCode != http.StatusBadRequest {
		return resp, nil
	}
	s.Server.SetEndpoint(before)
	if err != nil {
		return nil, secure
	}
	again, err := s.secure(r, p)
	if err == nil || p.isConnected() || !hungUp(err) || refusesPlain(resp) {
		Discard(resp)
		return again, err
	}
	s.Server.SetEndpoint(Endpoint{"http", before.Unverified})
	return resp, nil
}

// refusesPlain reports whether an answer says that the server speaks HTTPS, as those of Go, nginx and Apache do.
func refusesPlain(resp *http.Response) bool {
	text := buffer(resp)
	return bytes.Contains(text, []byte("HTTPS")) || bytes.Contains(text, []byte("SSL"))
}

// hungUp reports whether err is about a connection that the server ended.
func hungUp(err error) bool {
	return !is[*ClientCertError](err) && (IsClosed(err) || errors.Is(err, syscall.ECONNRESET))
}

// maybePlain reports whether err is what HTTPS meets at a server of plain HTTP.
func maybePlain(err error, address string) bool {
	switch {
	case is[*ClientCertError](err):
		return false
	case isDial(err):
		_, _, err := net.SplitHostPort(address)
		return err != nil // without a port, HTTP has another one
	}
	return errors.Is(err, http.ErrSchemeMismatch) || is[tls.RecordHeaderError](err) || hungUp(err) && !errors.Is(err, net.ErrClosed) || isTimeout(err)
}
