package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// speaking returns a wire to a server that speaks a scheme only, or has a certificate that is not trusted.
func speaking(scheme string, s *Server, sent *[]string) RoundTripper {
	return roundTripperOf(func(r Request) (*http.Response, error) {
		*sent = append(*sent, r.URL.Scheme)
		switch {
		case scheme == "untrusted" && r.URL.Scheme == "https" && !s.Endpoint().Unverified:
			return nil, &tls.CertificateVerificationError{Err: errors.New("unknown authority")}
		case scheme == "http" && r.URL.Scheme == "https":
			return nil, http.ErrSchemeMismatch
		case scheme == "closing" && r.URL.Scheme == "https":
			return nil, io.EOF
		case scheme == "https" && r.URL.Scheme == "http":
			return &http.Response{StatusCode: http.StatusBadRequest, Body: http.NoBody, Request: r.Request}, nil
		case scheme == "down":
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}
		r.gotConn(nil)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r.Request}, nil
	})
}

func TestScheme(t *testing.T) {
	for name, tt := range map[string]struct {
		speaks             string
		host               string
		insecure, asDaemon bool
		want               []string // the schemes of two requests
		fails              bool
	}{
		"HTTPS":                          {speaks: "https", want: []string{"https", "https"}},
		"HTTPS, insecure":                {speaks: "https", insecure: true, want: []string{"https", "https"}},
		"plain HTTP":                     {speaks: "http", want: []string{"https", "https"}, fails: true},
		"plain HTTP, insecure":           {speaks: "http", insecure: true, want: []string{"https", "http", "http"}},
		"plain HTTP, loopback":           {speaks: "http", host: "localhost:5000", want: []string{"https", "http", "http"}},
		"plain HTTP, by the daemon":      {speaks: "http", asDaemon: true, want: []string{"https", "https", "http", "http"}},
		"closes TLS, insecure":           {speaks: "closing", insecure: true, want: []string{"https", "http", "http"}},
		"untrusted":                      {speaks: "untrusted", want: []string{"https", "https"}, fails: true},
		"untrusted, insecure":            {speaks: "untrusted", insecure: true, want: []string{"https", "https", "https"}},
		"port closed, insecure":          {speaks: "down", host: "r.example.com:5000", insecure: true, want: []string{"https", "https"}, fails: true},
		"port closed, insecure, no port": {speaks: "down", insecure: true, want: []string{"https", "http", "https", "http"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.host == "" {
				tt.host = "r.example.com"
			}
			s := registry("https://" + tt.host)
			s.Insecure = tt.insecure
			s.InsecureHost = func(context.Context, string) bool { return tt.asDaemon }
			var sent []string
			scheme := &Scheme{Server: s, Next: speaking(tt.speaks, s, &sent)}
			for range 2 {
				resp, err := scheme.RoundTrip(get(t, "https://"+tt.host+"/v2/"))
				if (err != nil) != tt.fails {
					t.Errorf("got %v, error %v, want a failure %t", resp, err, tt.fails)
				}
			}
			if !slices.Equal(sent, tt.want) {
				t.Errorf("got schemes %q, want %q", sent, tt.want)
			}
		})
	}
}

// The others wait for the connection of the probe, not for its answer.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := registry("http://localhost:5000")
		scheme := &Scheme{Server: s, Next: roundTripperOf(func(r Request) (*http.Response, error) {
			<-time.After(time.Second)
			r.gotConn(nil)
			<-time.After(time.Minute)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r.Request}, nil
		})}
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				resp, err := scheme.RoundTrip(get(t, "http://localhost:5000/v2/"))
				wantStatus(t, resp, err, 200)
			})
		}
		group.Wait()
		if got, want := time.Since(start), 2*time.Second+time.Minute; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// What goes elsewhere keeps its scheme.
func TestSchemeOfOthers(t *testing.T) {
	s := registry("http://r.example.com")
	var sent []string
	scheme := &Scheme{Server: s, Next: roundTripperOf(func(r Request) (*http.Response, error) {
		sent = append(sent, r.URL.String())
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r.Request}, nil
	})}
	for _, address := range []string{"https://store.example.com/x", "https://r.example.com/x"} {
		if _, err := scheme.RoundTrip(get(t, address)); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"https://store.example.com/x", "http://r.example.com/x"}; !slices.Equal(sent, want) {
		t.Errorf("got %q, want %q", sent, want)
	}
}
