package transport

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// wireTo returns a wire whose connections all lead to server, and the registry it belongs to.
func wireTo(t *testing.T, endpoint string, server *httptest.Server) *TLS {
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	return &TLS{Server: registry(endpoint), New: func() *http.Transport {
		tr := server.Client().Transport.(*http.Transport).Clone()
		tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		}
		t.Cleanup(tr.CloseIdleConnections)
		return tr
	}}
}

func ok(http.ResponseWriter, *http.Request) {}

func TestPlainHTTPIsPermitted(t *testing.T) {
	for name, tt := range map[string]struct {
		registry, target   string
		insecure, asDaemon bool
		ok                 bool
	}{
		"an HTTPS registry":              {"https://r.example.com", "http://r.example.com/", false, false, false},
		"an HTTP registry":               {"http://r.example.com", "http://r.example.com/", false, false, true},
		"another port of it":             {"http://r.example.com", "http://r.example.com:5001/", false, false, true},
		"another server":                 {"http://r.example.com", "http://store.example.com/", false, false, false},
		"another server, insecure":       {"http://r.example.com", "http://store.example.com/", true, false, true},
		"another server, by the daemon":  {"http://r.example.com", "http://store.example.com/", false, true, true},
		"this machine":                   {"http://r.example.com", "http://localhost:5000/", false, false, true},
		"HTTPS registry, its other port": {"https://r.example.com", "http://r.example.com:5001/", false, false, false},
	} {
		wire := wireTo(t, tt.registry, httptest.NewServer(http.HandlerFunc(ok)))
		wire.Server.Insecure = tt.insecure
		wire.Server.InsecureHost = func(context.Context, string) bool { return tt.asDaemon }
		resp, err := wire.RoundTrip(get(t, tt.target))
		if err == nil {
			resp.Body.Close()
		}
		var plain *PlainHTTPError
		if (err == nil) != tt.ok || !tt.ok && !errors.As(err, &plain) {
			t.Errorf("%s: got error %v, want permitted %t", name, err, tt.ok)
		}
	}
}

// The certificate of the registry may go unverified, without that being so for other servers.
func TestUnverifiedIsForTheRegistryOnly(t *testing.T) {
	wire := wireTo(t, "https://r.invalid", httptest.NewTLSServer(http.HandlerFunc(ok)))
	connected := 0
	wire.Connected = func(net.Conn) { connected++ }
	wire.Server.SetEndpoint(Endpoint{Scheme: "https", Unverified: true})
	for address, want := range map[string]bool{"https://r.invalid/": true, "https://store.invalid/": false, "https://localhost/": true} {
		resp, err := wire.RoundTrip(get(t, address))
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: got error %v, want an answer %t", address, err, want)
		}
	}
	if connected != 1 {
		t.Errorf("got %d reported connections, want the one to the registry", connected)
	}
}

func TestSchemeMismatch(t *testing.T) {
	wire := wireTo(t, "https://r.example.com", httptest.NewServer(http.HandlerFunc(ok)))
	if _, err := wire.RoundTrip(get(t, "https://r.example.com/")); !errors.Is(err, http.ErrSchemeMismatch) {
		t.Errorf("got error %v, want %v", err, http.ErrSchemeMismatch)
	}
}

// A body is closed when the request is refused.
func TestRefusedBodyIsClosed(t *testing.T) {
	wire := &TLS{Server: registry("https://r.example.com")}
	body := &closing{Reader: strings.NewReader("x")}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://r.example.com/", body)
	if _, err := wire.RoundTrip(Request{Request: req}); err == nil || !body.closed {
		t.Errorf("got error %v, closed %t, want a refusal and a closed body", err, body.closed)
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}
