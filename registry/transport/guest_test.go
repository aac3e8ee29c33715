package transport

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	otherHost  = "other.example.com"
	otherRealm = "https://auth.other.example.com/token"
)

// guests is another registry that wants tokens, and its token service; bare has the requests without a client
// certificate.
type guests struct {
	server
	challenge string
	valid     string
	bare      []string
}

// guest returns a Guest of r.example.com that sends all requests to g.
func (g *guests) guest(registryURL string) *Guest {
	s := registry(registryURL)
	budget := noWait(-1)
	bare := roundTripperOf(func(r Request) (*http.Response, error) {
		g.bare = append(g.bare, r.URL.String())
		return g.RoundTrip(r)
	})
	return &Guest{Next: g, Bare: bare, Server: s, Tokens: &Tokens{
		Exchange: &Redirect{Next: bare, Server: s, Stay: true}, Budget: budget, UserAgent: "test",
	}}
}

func newGuests() *guests {
	g := &guests{valid: "t", challenge: `Bearer realm="` + otherRealm + `",service="o",scope="repository:app:pull"`}
	g.handler = func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/token"):
			fmt.Fprintf(w, `{"token":%q}`, g.valid)
		case r.Header.Get("Authorization") != "Bearer "+g.valid:
			w.Header().Set("WWW-Authenticate", g.challenge)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	return g
}

func away(t *testing.T, method, address string) Request {
	t.Helper()
	r := get(t, address, pull)
	r.Method, r.redirected = method, true
	return r
}

// The challenge of another registry is answered once, with a token to pull that takes no credential and no client
// certificate.
func TestGuestPulls(t *testing.T) {
	const layer = "https://" + otherHost + "/v2/app/blobs/sha256:1"
	const list = "https://" + otherHost + "/v2/app/manifests/1"
	for name, tt := range map[string]struct{ challenge, scope string }{
		"as it is":      {`scope="repository:app:pull"`, pull},
		"another name":  {`scope="repository:moved/app:pull"`, "repository:moved/app:pull"},
		"only pull":     {`scope="repository:app:pull,push,delete"`, pull},
		"several":       {`scope="registry:catalog:* repository:app:push repository:b:pull"`, "repository:b:pull"},
		"no repository": {`scope="registry:catalog:*"`, pull},
		"no scope":      {`service="o"`, pull},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuests()
			g.challenge = `Bearer realm="` + otherRealm + `",` + tt.challenge
			guest := g.guest("https://r.example.com")
			for _, r := range []Request{away(t, "GET", list), away(t, "HEAD", layer), away(t, "GET", layer)} {
				resp, err := guest.RoundTrip(r)
				wantStatus(t, resp, err, 200)
			}
			token := 0
			for _, r := range g.requests() {
				if got := r.URL.Query()["scope"]; r.URL.Path == "/token" {
					token++
					if !slices.Equal(got, []string{tt.scope}) || r.Header.Get("Authorization") != "" || r.Method != http.MethodGet {
						t.Errorf("got token request %s %s %v, want scope %s without a login", r.Method, r.URL, r.Header, tt.scope)
					}
				}
			}
			if token != 1 || len(g.requests()) != 5 || len(g.bare) != 4 {
				t.Errorf("got %d token requests, requests %q, %q without a certificate, want 1, 5 in total, 4", token, g.urls(), g.bare)
			}
			g.valid = "t2"
			resp, err := guest.RoundTrip(away(t, "GET", list))
			wantStatus(t, resp, err, 200) // after a stale token
		})
	}
}

// Whatever else is asked of another server is not answered.
func TestGuestRefuses(t *testing.T) {
	const list = "https://" + otherHost + "/v2/app/manifests/1"
	here := away(t, "GET", list)
	here.redirected = false
	for name, tt := range map[string]struct {
		r         Request
		challenge string
	}{
		"not redirected":   {here, ""},
		"the registry":     {away(t, "GET", manifest), ""},
		"a write":          {away(t, "PUT", list), ""},
		"a deletion":       {away(t, "DELETE", list), ""},
		"a listing":        {away(t, "GET", "https://"+otherHost+"/v2/app/tags/list"), ""},
		"an upload":        {away(t, "GET", "https://"+otherHost+"/v2/app/blobs/uploads/1"), ""},
		"no registry":      {away(t, "GET", "https://"+otherHost+"/store/1"), ""},
		"a password":       {away(t, "GET", list), `Basic realm="x"`},
		"no token service": {away(t, "GET", list), `Bearer service="x"`},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuests()
			if tt.challenge != "" {
				g.challenge = tt.challenge
			}
			resp, err := g.guest("https://r.example.com").RoundTrip(tt.r)
			wantStatus(t, resp, err, 401)
			if len(g.requests()) != 1 {
				t.Errorf("got requests %q, want one", g.urls())
			}
		})
	}
}

// A token service of another registry is bound by the rules for that of the registry.
func TestGuestGuards(t *testing.T) {
	for name, tt := range map[string]struct {
		realm, want string
	}{
		"plain HTTP":          {"http://auth.other.example.com/token", "plain HTTP"},
		"private":             {"https://10.0.0.1/token", "private address"},
		"metadata of a cloud": {"https://169.254.169.254/token", "private address"},
		"another scheme":      {"file:///token", "names no token service"},
		"invalid":             {"https://%zz/token", "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuests()
			g.challenge = `Bearer realm="` + tt.realm + `"`
			_, err := g.guest("https://r.example.com").RoundTrip(away(t, "GET", "https://"+otherHost+"/v2/app/manifests/1"))
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(g.requests()) != 1 {
				t.Errorf("got error %v after %q, want %q after one request", err, g.urls(), tt.want)
			}
		})
	}
}

// A token that the other registry refuses is not requested again for one request.
func TestGuestIsRefusedForGood(t *testing.T) {
	g := newGuests()
	g.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			_, _ = io.WriteString(w, `{"token":"t"}`)
			return
		}
		w.Header().Set("WWW-Authenticate", g.challenge)
		w.WriteHeader(http.StatusUnauthorized)
	}
	resp, err := g.guest("https://r.example.com").RoundTrip(away(t, "GET", "https://"+otherHost+"/v2/app/manifests/1"))
	wantStatus(t, resp, err, 401)
	if got := len(g.requests()); got != 3 {
		t.Errorf("got %d requests, want 3", got)
	}
}
