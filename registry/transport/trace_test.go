package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each attempt is a line with method, URL, answer, time and kind of login. No secret is in one: of a URL, a header, the
// answer of a token service, a redirect, the path of an upload, or an error that repeats what was sent.
func TestTrace(t *testing.T) {
	const secret = "s3cr3t"
	busy := true
	wire := &server{}
	wire.handler = func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Host == "auth.example.com":
			_, _ = fmt.Fprintf(w, `{"token": "%s-token"}`, secret)
		case r.URL.Host == "cdn.example.com":
		case r.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://u:`+secret+`@auth.example.com/token?key=`+secret+`",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
		case busy:
			busy = false
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.Header().Set("Location", "https://u:"+secret+"@cdn.example.com/"+secret+"?sig="+secret)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	}
	var lines []string
	now := time.Unix(0, 0)
	s, budget := registry("https://r.example.com"), noWait(time.Minute)
	trace := &Trace{
		Next: wire, Server: s, To: func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) },
		Now: func() time.Time { now = now.Add(7 * time.Millisecond); return now },
	}
	tokens := &Tokens{Exchange: &Retry{Next: &Redirect{Next: trace, Server: s, Stay: true}, Server: s, Budget: budget}, Budget: budget}
	login := &Login{
		Next: trace, Server: s, Tokens: tokens,
		Credentials: func(context.Context, []string) (Credential, error) { return Credential{"me", secret, ""}, nil },
	}
	chain := &Retry{Next: &Redirect{Next: login, Server: s}, Server: s, Budget: budget}
	resp, err := chain.RoundTrip(get(t, "https://r.example.com/v2/app/uploads/"+strings.Repeat(secret, 20)+"?state="+secret, pull))
	wantStatus(t, resp, err, http.StatusOK)

	trace.Next = roundTripperOf(func(r Request) (*http.Response, error) {
		if r.URL.Path == "/dial" {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		}
		return nil, errors.New("malformed HTTP response " + secret)
	})
	for _, path := range []string{"/dial", "/odd\x1b[2J"} {
		r := get(t, "https://r.example.com/")
		r.URL.Path = path
		r.Header.Set("Authorization", "Basic "+secret)
		_, _ = trace.RoundTrip(r)
	}
	session := get(t, "https://cdn.example.com/"+secret+"?sig="+secret) // the registry's answer named it
	session.Method = http.MethodPut
	_, _ = trace.RoundTrip(session)
	const upload = "GET https://r.example.com/v2/app/uploads/...: "
	want := []string{
		upload + "401 Unauthorized after 7ms (attempt 1, anonymous)",
		"GET https://auth.example.com/token: 200 OK after 7ms (attempt 1, with a login)",
		upload + "503 Service Unavailable after 7ms (attempt 1, with a token)",
		upload + "307 Temporary Redirect after 7ms (attempt 2, with a token)",
		"GET https://cdn.example.com/...: 200 OK after 7ms (attempt 2, anonymous)",
		"GET https://r.example.com/dial: no answer: dial tcp: connection refused after 7ms (attempt 1, with a login)",
		"GET https://r.example.com/odd%1B%5B2J: no answer after 7ms (attempt 1, with a login)",
		"PUT https://cdn.example.com/...: no answer after 7ms (attempt 1, anonymous)",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}
