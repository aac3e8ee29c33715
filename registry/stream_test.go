package registry

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A stream of HTTP/2 that the server resets is requested again for as long as a connection of HTTP/1.1 is, in the middle
// of an answer as well.
func TestStreamIsReset(t *testing.T) {
	const resets = 6
	for name, answer := range map[string]func(w http.ResponseWriter){
		"no answer": func(http.ResponseWriter) {},
		"half an answer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"schemaVersion":`))
			w.(http.Flusher).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("h2.example.com:443", f)
			want := f.putImage("app", "1")
			var struck atomic.Int32
			f.before = func(w http.ResponseWriter, _ *http.Request) bool {
				if struck.Add(1) > resets {
					return false
				}
				answer(w)
				panic(http.ErrAbortHandler)
			}
			got, err := n.client(Options{}).Fetch(t.Context(), parse(t, "h2.example.com/app:1"))
			if err != nil || got.Descriptor.Digest != want.Descriptor.Digest {
				t.Errorf("got %v, error %v, want %v after %d resets", got.Descriptor, err, want.Descriptor, resets)
			}
			if f.protocol != "HTTP/2.0" {
				t.Errorf("got %s, want HTTP/2.0", f.protocol)
			}
		})
	}
}

// goAway takes a connection of HTTP/2 and answers its first request with GOAWAY, which claims to have processed it if last
// is its stream.
func goAway(conn net.Conn, last, code uint32) {
	defer conn.Close()
	_, _ = io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
	const headers, settings, goaway = 0x1, 0x4, 0x7
	frame := func(kind byte, payload []byte) {
		size := len(payload)
		_, _ = conn.Write(append([]byte{byte(size >> 16), byte(size >> 8), byte(size), kind, 0, 0, 0, 0, 0}, payload...))
	}
	frame(settings, nil)
	for header := make([]byte, 9); ; {
		if _, err := io.ReadFull(conn, header); err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, conn, int64(header[0])<<16|int64(header[1])<<8|int64(header[2]))
		if header[3] == headers {
			frame(goaway, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code))
			return
		}
	}
}

// A connection of HTTP/2 that the server gives up is one that was closed, whether it names an error and has received the
// request or not.
func TestConnectionGoesAway(t *testing.T) {
	const times = 6
	for name, tt := range map[string]struct{ last, code uint32 }{
		"received":         {1, 0},
		"received, error":  {1, 0x2},
		"not received":     {0, 0},
		"not taken, error": {0, 0xb},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("h2.example.com:443", f)
			f.putImage("app", "1")
			leaving := n.start("h2.leaving.example.com:443", f, (*httptest.Server).StartTLS)
			listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: leaving.TLS.Certificates, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go goAway(conn, tt.last, tt.code)
				}
			}()
			c := n.client(Options{})
			tune, dials := c.tune, atomic.Int32{}
			c.tune = func(tr *http.Transport) {
				tune(tr)
				tr.DialContext = func(ctx context.Context, protocol, address string) (net.Conn, error) {
					if dials.Add(1) <= times {
						return new(net.Dialer).DialContext(ctx, protocol, listener.Addr().String())
					}
					return n.dial(ctx, protocol, address)
				}
			}
			if _, err := c.Fetch(t.Context(), parse(t, "h2.example.com/app:1")); err != nil {
				t.Errorf("got error %v after %d dials, want none", err, dials.Load())
			}
			if got := dials.Load(); got <= times { // net/http may open one that it does not need
				t.Errorf("got %d connections, want more than %d", got, times)
			}
		})
	}
}
