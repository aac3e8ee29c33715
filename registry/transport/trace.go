package transport

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Trace reports each attempt to send a request. What may hold a secret is not reported: of a URL the query and user, where a
// redirect or upload session has led elsewhere the path, of a login all but its kind.
type Trace struct {
	Next   RoundTripper
	Server *Server
	Now    func() time.Time
	// To receives a line for each attempt.
	To func(format string, args ...any)
}

// RoundTrip sends r.
func (t *Trace) RoundTrip(r Request) (*http.Response, error) {
	began := t.Now()
	resp, err := t.Next.RoundTrip(r)
	answer := "no answer"
	if err == nil {
		answer = StatusText(resp.StatusCode)
	} else if network, ok := errors.AsType[*net.OpError](err); ok { // it is not from the server
		answer += ": " + network.Error()
	}
	t.To("%s %s: %s after %s (attempt %d, %s)", r.Method, t.url(r), answer,
		t.Now().Sub(began).Round(time.Millisecond), max(r.attempt, 1), loginKind(r))
	return resp, err
}

// maxSegment is longer than a digest, and shorter than the tokens that some registries have in the paths of uploads.
const maxSegment = 80

// url returns what is reported of the URL of r.
func (t *Trace) url(r Request) string {
	u := url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}
	token := r.Method == http.MethodGet || r.Method == http.MethodPost // its service is elsewhere, too
	if r.redirected || !token && !t.Server.Owns(r.URL) {
		return u.String() + "/..."
	}
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i, s := range segments {
		if len(s) > maxSegment {
			segments[i] = "..."
		}
	}
	return u.String() + strings.Join(segments, "/")
}

// loginKind describes how r is authorized.
func loginKind(r Request) string {
	switch scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); {
	case strings.EqualFold(scheme, "Bearer"):
		return "with a token"
	case scheme != "", r.Body != nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return "with a login"
	}
	return "anonymous"
}
