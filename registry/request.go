package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// request is a request to a registry, in the form that can be sent again.
type request struct {
	method string
	// what is asked for, as an error says it: "manifest app:1".
	what string
	// repo is the path of the repository, "" for the registry as a whole, path what follows it in the URL.
	repo, path string
	// root is what comes before, when that is not the distribution spec's "/v2".
	root  string
	query url.Values
	// target is an upload session, or the next page of a listing: it stands for root, repo, path and query.
	target *url.URL
	header http.Header
	body   []byte
	// stream is a body that can be sent once; size is its length, -1 when that is not known.
	stream io.ReadCloser
	size   int64
	scopes []string
}

// do sends r and returns the answer, whose body the caller closes. An answer that is not 2xx, or none,
// is an *Error.
func (h *host) do(ctx context.Context, r request) (*http.Response, error) {
	ctx, leave, err := h.enter(ctx)
	if err != nil {
		return nil, h.noAnswer(ctx, r, err)
	}
	resp, err := h.exchange(quiet(ctx), r)
	if err != nil {
		leave()
		return nil, h.noAnswer(ctx, r, err)
	}
	resp.Body = leaving{resp.Body, leave}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return nil, h.refusal(r, resp)
	}
	return resp, nil
}

// exchange sends r with a token for all that the operation needs, and with one for r alone when that is
// not granted: a registry may grant each scope, but not all of them in one token.
func (h *host) exchange(ctx context.Context, r request) (*http.Response, error) {
	if union := h.covering(r.scopes); union != nil {
		resp, err := h.converse(withScopes(ctx, union), r)
		if r.stream != nil || !tokenRefused(resp, err) {
			return resp, err
		}
		discard(resp)
		h.union.Store(nil)
	}
	return h.converse(withScopes(ctx, r.scopes), r)
}

// converse sends r, and after a challenge once more with an answer to it. The first request to a
// registry that is going to ask for a login goes alone: those that wait for it know the challenge, and
// their connections are opened meanwhile.
func (h *host) converse(ctx context.Context, r request) (resp *http.Response, err error) {
	ctx = withMet(ctx)
	attempt := func() error {
		if resp, err = h.reach(ctx, r); err != nil {
			return err
		}
		return h.challenged(ctx, resp)
	}
	if h.expectsChallenge(ctx) {
		h.want(int(h.waiting.Add(1)))
		_, err = h.first.Do(ctx, func() (struct{}, error) { return struct{}{}, attempt() })
	}
	if err == nil && resp == nil {
		err = attempt()
	}
	if err != nil {
		discard(resp)
		return nil, err
	}
	if resp.StatusCode != http.StatusUnauthorized || r.stream != nil {
		return resp, nil
	}
	buffer(resp)
	return h.again(ctx, r, resp)
}

// expectsChallenge reports whether the registry is about to be asked for the first time and will want a
// login, as Docker Hub does of everyone.
func (h *host) expectsChallenge(ctx context.Context) bool {
	if _, answered := h.first.Load(); answered {
		return false
	}
	stored := h.client.options.HasLogin
	return h.name == hubName || stored != nil && stored(ctx, h.name)
}

// challenged hands a 401 of the registry itself to the authorizer. An authorizer that knows no answer is
// no error here: the 401 is.
func (h *host) challenged(ctx context.Context, resp *http.Response) error {
	if resp.StatusCode != http.StatusUnauthorized || !h.owns(resp.Request.URL) {
		return nil
	}
	err := h.Authorizer.AddResponses(ctx, []*http.Response{resp})
	if errors.Is(err, docker.ErrInvalidAuthorization) {
		return nil
	}
	return err
}

// again sends r once more, unless it would carry what was refused.
func (h *host) again(ctx context.Context, r request, refused *http.Response) (*http.Response, error) {
	req, err := h.newRequest(ctx, r)
	if err != nil {
		discard(refused)
		return nil, err
	}
	if req.Header.Get("Authorization") == refused.Request.Header.Get("Authorization") {
		return refused, nil
	}
	discard(refused)
	return h.Client.Do(req)
}

func (h *host) trip(ctx context.Context, r request) (*http.Response, error) {
	req, err := h.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	return h.Client.Do(req)
}

// newRequest returns r as it is sent, with credentials when it goes to the registry itself.
func (h *host) newRequest(ctx context.Context, r request) (*http.Request, error) {
	u := r.target
	if u == nil {
		u = &url.URL{Scheme: h.way.Load().scheme, Host: h.Host, RawQuery: r.query.Encode(), Path: path.Join(cmp.Or(r.root, h.Path), r.repo, r.path)}
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
	own := h.owns(u)
	if own {
		maps.Copy(req.Header, h.Header.Clone())
	}
	maps.Copy(req.Header, r.header.Clone())
	req.Header.Set("User-Agent", h.client.options.UserAgent)
	if own {
		err = h.Authorizer.Authorize(ctx, req)
	}
	return req, err
}

const maxRedirects = 10

// checkRedirect follows redirects that keep the method. A request that has left its server carries
// nothing from there but what it asks for.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("more than 10 redirects")
	}
	if req.Method != via[0].Method {
		return http.ErrUseLastResponse
	}
	req.Header.Del("Referer")
	left := func(r *http.Request) bool { return !sameServer(r.URL, via[0].URL) }
	if left(req) || slices.ContainsFunc(via, left) {
		stripHeader(req)
	}
	return nil
}

func stripHeader(req *http.Request) {
	kept := http.Header{}
	for _, name := range []string{"Accept", "Content-Type", "Range", "User-Agent"} {
		if values := req.Header.Values(name); values != nil {
			kept[name] = values
		}
	}
	req.Header = kept
}

// buffer reads what is shown of the answer into memory, so that its connection serves the next request.
func buffer(resp *http.Response) {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	discard(resp)
	resp.Body = io.NopCloser(bytes.NewReader(body))
}

// discard closes the answer in a way that keeps its connection.
func discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody)
		resp.Body.Close()
	}
}
