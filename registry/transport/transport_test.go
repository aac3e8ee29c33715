package transport

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// server stands in for all servers: it answers each request with handler and records what it was sent.
type server struct {
	handler http.HandlerFunc

	mu   sync.Mutex
	seen []*http.Request
}

func (s *server) RoundTrip(r Request) (*http.Response, error) {
	s.mu.Lock()
	s.seen = append(s.seen, r.Request)
	s.mu.Unlock()
	if r.GetBody != nil {
		r.Request = r.WithContext(r.Context())
		r.Body, _ = r.GetBody()
	}
	if r.Body == nil {
		r.Request = r.WithContext(r.Context())
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	s.handler(w, r.Request)
	resp := w.Result()
	resp.Request = r.Request
	return resp, nil
}

func (s *server) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// urls returns the requests as METHOD URL.
func (s *server) urls() (out []string) {
	for _, r := range s.requests() {
		out = append(out, r.Method+" "+r.URL.String())
	}
	return out
}

// roundTripperOf is a round tripper without state.
type roundTripperOf func(Request) (*http.Response, error)

func (f roundTripperOf) RoundTrip(r Request) (*http.Response, error) { return f(r) }

// registry returns a registry's server, whose name resolves to these addresses.
func registry(endpoint string, addresses ...string) *Server {
	u, _ := url.Parse(endpoint)
	s := &Server{Name: u.Host, Host: u.Host, Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		var out []netip.Addr
		for _, a := range addresses {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}}
	s.SetEndpoint(Endpoint{Scheme: u.Scheme})
	return s
}

func get(t *testing.T, address string, scopes ...string) Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Request{Request: req, Scopes: scopes}
}

// noWait returns a budget whose waits take no time.
func noWait(limit time.Duration) *Budget {
	b := NewBudget(limit, func(string, ...any) {})
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	b.SetClock(Clock{Now: func() time.Time { return now }, Sleep: func(_ context.Context, d time.Duration) error {
		now = now.Add(d)
		return nil
	}})
	return b
}

func wantRefused(t *testing.T, err error, words ...string) {
	t.Helper()
	var refused *RefusedError
	var plain *PlainHTTPError
	if !errors.As(err, &refused) && !errors.As(err, &plain) {
		t.Errorf("got error %v, want a refusal", err)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got error %v, want %q in it", err, word)
		}
	}
}
