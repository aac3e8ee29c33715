package registry

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

// listen starts a server that takes each connection with serve, which returns when the test is over at the latest, and
// returns its address.
func listen(t *testing.T, serve func(conn net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

// silent takes what it is sent and never answers.
func silent(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// tunnels is a proxy that answers each CONNECT so.
func tunnels(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		buffer := make([]byte, 4096)
		if n, _ := conn.Read(buffer); strings.HasPrefix(string(buffer[:n]), "CONNECT registry.example.com:443 ") {
			_, _ = io.WriteString(conn, answer)
		}
		if strings.Contains(answer, " 200 ") {
			silent(conn)
		}
		conn.Close()
	}
}

// What makes no progress before a connection is open ends with the idle timeout, and a proxy is named that did not do what
// it is for. Neither is tried for long.
func TestNoConnectionOpens(t *testing.T) {
	for name, tt := range map[string]struct {
		proxy bool
		serve func(net.Conn)
		want  string
	}{
		"silent registry":    {false, silent, "no progress for 100ms"},
		"silent proxy":       {true, silent, "through the proxy PROXY: no progress for 100ms"},
		"tunnel to nothing":  {true, tunnels("HTTP/1.1 200 OK\r\n\r\n"), "through the proxy PROXY: no progress for 100ms"},
		"proxy answers 502":  {true, tunnels("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), "the proxy PROXY answered 502 Bad Gateway"},
		"proxy wants a name": {true, tunnels("HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n"), "the proxy PROXY answered 407 Proxy Authentication Required"},
		"proxy hangs up":     {true, func(conn net.Conn) { conn.Close() }, "through the proxy PROXY: "},
	} {
		for _, retries := range []time.Duration{-1, 0} {
			t.Run(fmt.Sprint(name, ", retries ", retries == 0), func(t *testing.T) {
				address := listen(t, tt.serve)
				c := newNetwork(t).client(Options{RetryTimeout: retries})
				c.connect = 100 * time.Millisecond
				tune := c.tune
				c.tune = func(tr *http.Transport) {
					tune(tr)
					if tt.proxy {
						tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: address})
					}
					tr.DialContext = func(ctx context.Context, protocol, _ string) (net.Conn, error) {
						return new(net.Dialer).DialContext(ctx, protocol, address)
					}
				}
				_, err := c.Fetch(t.Context(), parse(t, "registry.example.com/app:1"))
				wantError(t, err, errdefs.ErrUnavailable, "registry.example.com: GET manifest", strings.ReplaceAll(tt.want, "PROXY", address))
				if strings.Contains(fmt.Sprint(err), "gave up after") && retries < 0 {
					t.Errorf("got error %v, want one attempt", err)
				}
			})
		}
	}
}
