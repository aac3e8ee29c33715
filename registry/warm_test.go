package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/distribution/reference"
)

// piped is a network of pipes that counts those that are open.
type piped struct {
	dials, open atomic.Int32
	// refuse are so many dials that fail first.
	refuse atomic.Int32
}

func (p *piped) warm() *warmConnections {
	return &warmConnections{dial: p.dial, address: func() string { return "a.example.com:443" }}
}

func (p *piped) dial(context.Context, string, string) (net.Conn, error) {
	p.dials.Add(1)
	if p.refuse.Add(-1) >= 0 {
		return nil, errors.New("refused")
	}
	p.open.Add(1)
	conn, _ := net.Pipe()
	return &counted{conn, func() { p.open.Add(-1) }}, nil
}

// wants checks how many connections were opened, and how many are open, once all goroutines wait.
func (p *piped) wants(t *testing.T, dials, open int32) {
	t.Helper()
	synctest.Wait()
	if p.dials.Load() != dials || p.open.Load() != open {
		t.Errorf("got %d dials and %d open connections, want %d and %d", p.dials.Load(), p.open.Load(), dials, open)
	}
}

func TestWarmConnectionsAreTakenFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p piped
		s := p.warm()
		first, err := s.DialContext(t.Context(), "tcp", "a.example.com:443")
		if err != nil {
			t.Fatal(err)
		}
		s.want(3)
		p.wants(t, 1, 1) // whether they are useful is not known yet
		s.connected(first)
		p.wants(t, 3, 3)
		for range 3 {
			if _, err := s.DialContext(t.Context(), "tcp", "a.example.com:443"); err != nil {
				t.Fatal(err)
			}
		}
		p.wants(t, 4, 4)
		if _, err := s.DialContext(t.Context(), "tcp", "elsewhere.example.com:443"); err != nil {
			t.Fatal(err)
		}
		s.want(4)
		p.wants(t, 5, 5)
		first.Close()
		s.connected(first)
		p.wants(t, 5, 4) // what was wanted once is not opened again
		s.want(4)
		p.wants(t, 6, 5)
	})
}

func TestWarmConnectionsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p piped
		s := p.warm()
		s.useful = true
		p.refuse.Store(1)
		s.want(1)
		if _, err := s.DialContext(t.Context(), "tcp", "a.example.com:443"); err != nil {
			t.Error(err)
		}
		p.wants(t, 2, 1)
	})
}

func TestWarmConnectionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p piped
		s := p.warm()
		s.useful = true
		s.want(3)
		if _, err := s.DialContext(t.Context(), "tcp", "a.example.com:443"); err != nil {
			t.Fatal(err)
		}
		p.wants(t, 3, 3)
		<-time.After(warmTime)
		p.wants(t, 3, 1)
		if s.open != 1 || len(s.ready) != 0 {
			t.Errorf("got %d open and %d ready, want 1 and 0", s.open, len(s.ready))
		}
	})
}

// dials returns what gets a value for each connection that c opens to an address.
func dials(c *Client, address string) <-chan struct{} {
	made := make(chan struct{}, 100)
	tune := c.tune
	c.tune = func(t *http.Transport) {
		tune(t)
		dial := t.DialContext
		t.DialContext = func(ctx context.Context, protocol, to string) (net.Conn, error) {
			if to == address {
				made <- struct{}{}
			}
			return dial(ctx, protocol, to)
		}
	}
	return made
}

// receive returns after n values.
func receive(ctx context.Context, t *testing.T, made <-chan struct{}, n int) {
	for i := range n {
		select {
		case <-made:
		case <-ctx.Done():
			t.Errorf("got %d connections, want %d", i, n)
			return
		}
	}
}

// The challenge of a registry is waited for with a connection for each request that it holds up.
func TestConnectionsForAChallenge(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.putImage("app", "1")
	c := n.client(Options{Credentials: credential(Credential{Username: "me", Secret: "hunter22"})})
	made := dials(c, "a.example.com:443")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	guard, first := basic("me", "hunter22"), sync.Once{}
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		first.Do(func() { receive(ctx, t, made, 10) })
		return guard(w, r)
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if _, err := c.Fetch(ctx, parse(t, "a.example.com/app:1")); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := len(f.requests()); got != 11 {
		t.Errorf("got %d requests, want 11", got)
	}
}

// What is going to be copied is waited for with a connection for each of its layers.
func TestConnectionsForACopy(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, address string }{
		"from the source":   {"a.example.com/app", "b.example.com/app:1", "a.example.com:443"},
		"within a registry": {"a.example.com/app", "a.example.com/other:1", "a.example.com:443"},
		"to the target":     {"a.example.com/app", "b.example.com/app:1", "b.example.com:443"},
	} {
		t.Run(name, func(t *testing.T) {
			n, f, g := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.secure("b.example.com:443", g)
			image := f.putImage("app", "1", f.putBlob("app", []byte("1")), f.putBlob("app", []byte("2")))
			c := n.client(Options{})
			made := dials(c, tt.address)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			from, to := parse(t, tt.from), parse(t, tt.to)
			if _, err := c.Fetch(ctx, parse(t, tt.from+":1")); err != nil {
				t.Fatal(err)
			}
			c.Prefetch(ctx, to, []reference.Named{from, from})
			go c.prefetch(ctx, from, to, image)
			receive(ctx, t, made, 2)
			if err := c.Copy(ctx, from, image, to); err != nil {
				t.Error(err)
			}
		})
	}
}

// All requests can share one connection, or go to a proxy.
func TestConnectionsThatAreOfNoUse(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("h2.example.com:443", f)
	image := f.putImage("app", "1", f.putBlob("app", []byte("1")), f.putBlob("app", []byte("2")))
	c := n.client(Options{})
	made := dials(c, "h2.example.com:443")
	from, to := parse(t, "h2.example.com/app"), parse(t, "h2.example.com/other:1")
	if _, err := c.Fetch(t.Context(), parse(t, "h2.example.com/app:1")); err != nil {
		t.Fatal(err)
	}
	c.Prefetch(t.Context(), to, []reference.Named{from})
	go c.prefetch(t.Context(), from, to, image)
	if err := c.Copy(t.Context(), from, image, to); err != nil || len(made) != 1 {
		t.Errorf("got %d connections, error %v, want 1", len(made), err)
	}
	for name, want := range map[string]string{"a.example.com": "a.example.com:443", "[::1]:5000": "[::1]:5000", "proxied.example.com": ""} {
		tune := c.tune
		c.tune = func(tr *http.Transport) {
			tune(tr)
			tr.Proxy = func(r *http.Request) (*url.URL, error) {
				if r.URL.Host == "proxied.example.com" {
					return &url.URL{Scheme: "http", Host: "proxy.example.com:3128"}, nil
				}
				return nil, nil
			}
		}
		if got := c.host(name).warm.address(); got != want {
			t.Errorf("%s: got address %q, want %q", name, got, want)
		}
	}
}
