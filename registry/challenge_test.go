package registry

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/containerd/containerd/v2/core/remotes/docker/auth"
)

const challenger = "registry.example.com:5000"

// servers stands in for all servers: the registry has one challenge for everybody, the others have one
// answer. It keeps what would have gone to them.
type servers struct {
	challenge, location, answer string
	status                      int

	mu   sync.Mutex
	seen []sentRequest
}

// sentRequest is a request with its body.
type sentRequest struct {
	*http.Request
	body string
}

func (s *servers) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		defer r.Body.Close()
		body, _ = io.ReadAll(r.Body)
	}
	s.mu.Lock()
	s.seen = append(s.seen, sentRequest{r, string(body)})
	s.mu.Unlock()
	resp := &http.Response{Request: r, StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.answer))}
	if r.URL.Host == challenger {
		resp.StatusCode = http.StatusUnauthorized
		resp.Header["Www-Authenticate"] = []string{s.challenge}
	}
	if s.location != "" {
		resp.Header.Set("Location", s.location)
	}
	return resp, nil
}

// ask fetches a manifest from the registry, and returns the error.
func (s *servers) ask(t *testing.T, cred Credential) error {
	c := New(Options{Credentials: credential(cred), RetryTimeout: -1})
	c.host(challenger).compose(func() *http.Transport {
		wire := &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
		wire.RegisterProtocol("http", s)
		wire.RegisterProtocol("https", s)
		return wire
	})
	_, err := c.Fetch(t.Context(), parse(t, challenger+"/app:1"))
	return err
}

// entitled are the servers that a challenge entitles to a credential.
func entitled(challenge string) (all []string) {
	for _, c := range auth.ParseAuthHeader(http.Header{"Www-Authenticate": {challenge}}) {
		if c.Scheme == auth.BasicAuth {
			all = append(all, "https "+challenger)
		} else if u, err := url.Parse(c.Parameters["realm"]); err == nil {
			all = append(all, server(u))
		}
	}
	return all
}

func server(u *url.URL) string {
	p := u.Port()
	if p == "" {
		p = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + " " + u.Hostname() + ":" + p
}

// has reports whether a request shows the secret in any form.
func (r sentRequest) has(secret string) bool {
	_, password, _ := r.BasicAuth()
	for _, values := range r.Header {
		if strings.Contains(strings.Join(values, "\n"), secret) {
			return true
		}
	}
	return password == secret || strings.Contains(r.URL.String()+r.body, secret)
}

// check fails the test when a request went where it must not.
func (r sentRequest) check(t *testing.T, challenge, secret string, identity bool) {
	local := r.URL.Hostname() == "localhost" || net.ParseIP(r.URL.Hostname()).IsLoopback()
	if r.URL.Scheme != "https" && (r.URL.Scheme != "http" || !local) {
		t.Errorf("got %s %s, want HTTPS, or plain HTTP on this machine", r.Method, r.URL)
	}
	if r.has(secret) && !slices.Contains(entitled(challenge), server(r.URL)) {
		t.Errorf("got the secret in %s %s %v, want it only where the challenge leads", r.Method, r.URL, r.Header)
	}
	if identity && (sentRequest{r.Request, ""}).has(secret) {
		t.Errorf("got the identity token as a password in %s %s %v", r.Method, r.URL, r.Header)
	}
}

// Whatever a registry asks for and a token service answers: a credential reaches the registry when it asks
// for it, and the token service that it names, by HTTPS or on this machine; an identity token is no
// password; and what is requested and reported stays bounded.
func FuzzChallenge(f *testing.F) {
	const token = `{"token":"t"}`
	f.Add(`Bearer realm="https://auth.example.com/token",service="s",scope="repository:app:pull"`, 200, "", token)
	f.Add(`Bearer realm="https://auth.example.com/token",error="invalid_token"`, 401, "", "")
	f.Add(`bearer realm="http://auth.example.com/token"`, 200, "", token)
	f.Add(`Bearer realm="http://127.0.0.1:5001/token"`, 404, "", "{}")
	f.Add(`Bearer realm="https://auth.example.com:443/token"`, 307, "https://auth.example.com/", "")
	f.Add(`Bearer realm="https://auth.example.com/token"`, 308, "https://evil.example.com/", "")
	f.Add(`Bearer realm="https://auth.example.com/token"`, 302, "http://auth.example.com/", "")
	f.Add(`Bearer realm="//registry.example.com:5000/token",scope="a b:c \"d\""`, 200, "/", token)
	f.Add(`Bearer realm="https://u:p@auth.example.com@evil.example.com/?x=#y"`, 200, "", token)
	f.Add(`Bearer realm="file:///etc/passwd"`, 200, "", token)
	f.Add(`Basic realm="https://evil.example.com/"`, 500, "", "")
	f.Add("BASIC", 401, "", "")
	f.Add(`Digest realm="x"`, 401, "", "")
	f.Add(`Bearer realm="https://0https://"`, 200, "", token)
	f.Add("Bearer realm=\"//auth\x98example=\"", 200, "", token)
	f.Add(`Bearer realm="\`, 200, "", "")
	f.Add(`Bearer realm="https://`+strings.Repeat("long.", 2000)+`example.com/"`, 503, "", strings.Repeat("x", 2000))
	f.Fuzz(func(t *testing.T, challenge string, status int, location, answer string) {
		const secret = "hunter22hunter22"
		if strings.Contains(challenge+location+answer, secret) {
			return // the registry guessed the secret
		}
		for _, cred := range []Credential{{Username: "me", Secret: secret}, {Secret: secret}} {
			s := &servers{challenge: challenge, status: status, location: location, answer: answer}
			err := s.ask(t, cred)
			if err == nil || len(err.Error()) > 4<<10 || strings.Contains(err.Error(), secret) || !oneLine(err.Error()) {
				t.Errorf("got error %.1000v, want a short line without the secret", err)
			}
			if len(s.seen) > 3+2*(10+1) {
				t.Errorf("got %d requests, want at most %d", len(s.seen), 3+2*(10+1))
			}
			for _, r := range s.seen {
				r.check(t, challenge, secret, cred.Username == "")
			}
		}
	})
}

func oneLine(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
