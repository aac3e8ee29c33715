package transport

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// redirecting returns a server that redirects according to the map, by URL.
func redirecting(status int, to map[string]string) *server {
	return &server{handler: func(w http.ResponseWriter, r *http.Request) {
		if location, ok := to[r.URL.String()]; ok {
			w.Header().Set("Location", location)
			w.WriteHeader(status)
		}
	}}
}

func TestRedirectFollows(t *testing.T) {
	next := redirecting(307, map[string]string{
		"https://r.example.com/1":       "/2",
		"https://r.example.com/2":       "https://me:secret@store.example.com/3#x",
		"https://store.example.com/3#x": "https://r.example.com/4",
	})
	redirect := &Redirect{Next: next, Server: registry("https://r.example.com")}
	r := get(t, "https://r.example.com/1")
	r.Header = http.Header{"Accept": {"a"}, "Accept-Encoding": {"identity"}, "X-Secret": {"s"}, "Authorization": {"Basic x"}}
	resp, err := redirect.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %v, error %v, want 200", resp, err)
	}
	want := []string{
		"GET https://r.example.com/1", "GET https://r.example.com/2", "GET https://store.example.com/3#x", "GET https://r.example.com/4",
	}
	if got := next.urls(); !slices.Equal(got, want) {
		t.Errorf("got requests %q, want %q", got, want)
	}
	for i, sent := range next.requests() {
		if got, want := sent.Header.Get("X-Secret") != "", i < 2; got != want {
			t.Errorf("request %d: got header of the registry %t, want %t", i, got, want)
		}
		if h := sent.Header; h.Get("Accept") != "a" || h.Get("Accept-Encoding") != "identity" {
			t.Errorf("request %d: got headers %v, want Accept and Accept-Encoding", i, h)
		}
		if user := sent.URL.User; user != nil {
			t.Errorf("request %d: got user %v from the redirect, want none", i, user)
		}
	}
}

func TestRedirectRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		registry, location string
		insecure, stay     bool
		want               string
	}{
		"another scheme":                {location: "file:///etc/passwd", want: "not http or https"},
		"another scheme, with a host":   {location: "gopher://a.example.com/", want: "not http or https"},
		"no host":                       {location: "https:///x", want: "not http or https"},
		"invalid":                       {location: "https://%zz", want: "invalid URL"},
		"HTTPS to HTTP":                 {location: "http://store.example.com/", want: "plain HTTP on store.example.com"},
		"HTTPS to HTTP, itself":         {location: "http://r.example.com/", want: "plain HTTP"},
		"HTTPS to HTTP, insecure":       {location: "http://store.example.com/", insecure: true, want: "plain HTTP"},
		"private address":               {location: "https://10.0.0.1/", want: "private address 10.0.0.1"},
		"metadata, of a private server": {registry: "https://10.0.0.2", location: "https://169.254.169.254/", want: "169.254.169.254"},
		"token service elsewhere":       {location: "https://other.example.com/", stay: true, want: "another server, other.example.com"},
		"for ever":                      {location: "/", want: "more than 10 redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.registry == "" {
				tt.registry = "https://r.example.com"
			}
			next := &server{handler: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", tt.location)
				w.WriteHeader(http.StatusFound)
			}}
			s := registry(tt.registry)
			s.Insecure = tt.insecure
			_, err := (&Redirect{Next: next, Server: s, Stay: tt.stay}).RoundTrip(get(t, tt.registry+"/x"))
			wantRefused(t, err, tt.want)
			for _, sent := range next.urls() {
				if !strings.HasPrefix(sent, "GET "+tt.registry) {
					t.Errorf("got request %s, want none elsewhere", sent)
				}
			}
		})
	}
}

// A redirect that would make a PUT a GET, or that a body cannot follow, is the answer.
func TestRedirectKeepsTheMethod(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, repeatable := range []bool{true, false} {
			next := redirecting(status, map[string]string{"https://r.example.com/x": "/y"})
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://r.example.com/x", strings.NewReader("body"))
			if !repeatable {
				req.GetBody = nil
			}
			resp, err := (&Redirect{Next: next, Server: registry("https://r.example.com")}).RoundTrip(Request{Request: req})
			if err != nil {
				t.Fatal(err)
			}
			follows := status >= 307 && repeatable
			if got := resp.StatusCode == http.StatusOK; got != follows {
				t.Errorf("%d, repeatable body %t: got followed %t, want %t", status, repeatable, got, follows)
			}
		}
	}
}
