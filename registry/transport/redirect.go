package transport

import (
	"fmt"
	"net/http"
	"net/url"
)

// maxRedirects bounds the redirects of one request.
const maxRedirects = 10

// Redirect follows redirects that keep the method. A request that has left its server carries nothing from there
// but what it asks for. It never leaves for another scheme than http or https, nor from https to http, nor for a
// private address unless the registry has one.
type Redirect struct {
	Next   RoundTripper
	Server *Server
	// Stay refuses redirects to another server, because the request may have credentials in its header or body.
	Stay bool
}

// RoundTrip sends r to where its answers lead. The error is a *url.Error.
func (t *Redirect) RoundTrip(r Request) (*http.Response, error) {
	first := r.URL
	for n := 0; ; n++ {
		var to *url.URL
		resp, err := t.Next.RoundTrip(r)
		if err == nil {
			if to, err = t.follow(r, resp, first); to == nil && err == nil {
				return resp, nil
			}
			Discard(resp)
		}
		if err == nil && n == maxRedirects {
			err = &RefusedError{fmt.Sprintf("more than %d redirects", maxRedirects)}
		}
		if err != nil {
			return nil, &url.Error{Op: r.Method, URL: r.URL.Scheme + "://" + r.URL.Host, Err: err}
		}
		r = redirected(r, to, first)
	}
}

// follow returns where an answer redirects r, nil when the answer is to be returned.
func (t *Redirect) follow(r Request, resp *http.Response, first *url.URL) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return nil, nil // it would become a GET
		}
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if !r.repeatable() {
			return nil, nil
		}
	default:
		return nil, nil
	}
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, nil
	}
	to, err := r.URL.Parse(location)
	switch {
	case err != nil:
		return nil, &RefusedError{"redirect to an invalid URL"}
	case t.Stay && !SameServer(to, first):
		return nil, &RefusedError{"the token service redirects to another server, " + to.Host}
	}
	if r.KeepSeeOther && resp.StatusCode == http.StatusSeeOther && !SameServer(to, first) {
		return nil, nil
	}
	to.User = nil
	return to, t.Server.CheckRedirect(r.Context(), r.URL, to)
}

// redirected returns r for another URL.
func redirected(r Request, to, first *url.URL) Request {
	r.Request = r.WithContext(r.Context())
	r.URL, r.Host = to, ""
	r.Header = r.Header.Clone()
	r.redirected = r.redirected || !SameServer(to, first)
	if r.redirected {
		kept := http.Header{}
		for _, name := range []string{"Accept", "Accept-Encoding", "Content-Type", "If-Match", "If-None-Match", "Range", "User-Agent"} {
			if values := r.Header.Values(name); values != nil {
				kept[name] = values
			}
		}
		r.Header = kept
	}
	return r
}
