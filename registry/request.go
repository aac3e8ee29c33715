package registry

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// request is a request to a registry, in a form that can be sent again.
type request struct {
	method string
	// what is the object of the request in errors: "manifest app:1".
	what string
	// repo is the path of the repository, "" for the registry as a whole, path what follows it in the URL.
	repo, path string
	// root is what comes before, when that is not the distribution spec's "/v2".
	root  string
	query url.Values
	// target is an upload session, or the next page of a listing: it replaces root, repo, path and query.
	target *url.URL
	header http.Header
	body   []byte
	// stream is a body that can be sent only once; size is its length, -1 when that is not known.
	stream io.ReadCloser
	size   int64
	// send says how the request is sent, with the scope of the repository first; the rest of it is made from the other fields.
	send transport.Request
}

func pullScope(repo string) string   { return "repository:" + repo + ":pull" }
func pushScope(repo string) string   { return "repository:" + repo + ":pull,push" }
func deleteScope(repo string) string { return "repository:" + repo + ":pull,delete" }

// do sends r and returns the answer, whose body the caller closes. An answer that is not 2xx, or none, is an *Error.
func (p repository) do(ctx context.Context, r request) (*http.Response, error) {
	var resp *http.Response
	var err error
	if r.send.Request, err = p.newRequest(ctx, r); err == nil {
		r.send.Acquire, r.send.Permit = p.acquireOne, p.permit
		resp, err = p.retries.RoundTrip(r.send)
	}
	if err != nil {
		return nil, p.noAnswer(ctx, r, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return nil, p.refusal(r, resp).withHint()
	}
	if r.send.Read != nil {
		resp.Body.Close()
	}
	return resp, nil
}

// newRequest returns r as an HTTP request.
func (h *host) newRequest(ctx context.Context, r request) (*http.Request, error) {
	u := r.target
	if u == nil {
		u = h.server.URL()
		u.RawQuery, u.Path = r.query.Encode(), path.Join(cmp.Or(r.root, h.Path), r.repo, r.path)
		if strings.HasSuffix(r.path, "/") {
			u.Path += "/"
		}
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if r.stream != nil {
		req.Body, req.ContentLength = r.stream, r.size
	}
	if h.server.Owns(u) {
		maps.Copy(req.Header, h.Header.Clone())
	}
	maps.Copy(req.Header, r.header.Clone())
	req.Header.Set("User-Agent", h.client.options.UserAgent)
	req.Header.Set("Accept-Encoding", "identity") // digests are those of the bytes as sent
	return req, nil
}
