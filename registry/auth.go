package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/auth"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
)

const (
	// maxTokenBody bounds what a token service may answer.
	maxTokenBody = 1 << 20
	// tokenPatience bounds the time a token service may take, waits for it apart.
	tokenPatience = 2 * time.Minute
)

// authorizer is containerd's, made at the first challenge with the credential of the registry, and made
// anew when it remembers a failure that need not last.
type authorizer struct {
	host *host

	mu         sync.Mutex
	inner      docker.Authorizer
	credential *Credential
	// rejected are the Authorization headers that were refused: many requests may have carried one, but
	// one renewal answers them all.
	rejected map[string]bool

	// asking has a *sync.Mutex for each set of scopes: containerd's authorizer must not be asked for a
	// token while it gets that very one (it would read what is being written).
	asking sync.Map
}

var _ docker.Authorizer = (*authorizer)(nil)

// met is the authorizer that has taken the challenge a request met: that answers it, even when another
// request's failure has made it be forgotten meanwhile.
type met struct{ inner docker.Authorizer }

// metKey is the context key of a *met.
type metKey struct{}

func withMet(ctx context.Context) context.Context { return context.WithValue(ctx, metKey{}, &met{}) }

// Authorize gives req the header that answers the registry's challenge, nothing before there was one.
func (a *authorizer) Authorize(ctx context.Context, req *http.Request) error {
	a.mu.Lock()
	inner := a.inner
	if m, ok := ctx.Value(metKey{}).(*met); ok && m.inner != nil {
		inner = m.inner
	}
	a.mu.Unlock()
	if inner == nil {
		return nil
	}
	header, err := a.ask(ctx, inner, req.URL)
	if err != nil {
		a.forget(inner, err)
		return &tokenError{err}
	}
	if header != "" {
		req.Header.Set("Authorization", header)
	}
	return nil
}

// ask returns the header that inner answers with. Requests share a token and the failure to get one, so
// the cancellation of one must not reach what all wait for.
func (a *authorizer) ask(ctx context.Context, inner docker.Authorizer, u *url.URL) (string, error) {
	type answer struct {
		header string
		err    error
	}
	got := make(chan answer, 1)
	asking, _ := a.asking.LoadOrStore(strings.Join(docker.GetTokenScopes(ctx, nil), " "), &sync.Mutex{})
	go func() {
		asking.(*sync.Mutex).Lock()
		defer asking.(*sync.Mutex).Unlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenPatience+a.host.client.patience.limit)
		defer cancel()
		req := &http.Request{URL: u, Header: http.Header{}}
		err := inner.Authorize(ctx, req)
		got <- answer{req.Header.Get("Authorization"), err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case answer := <-got:
		return answer.header, answer.err
	}
}

// forget drops an authorizer whose failure is not the token service's last word: containerd's keeps
// every failure.
func (a *authorizer) forget(inner docker.Authorizer, err error) {
	if status, _, ok := tokenStatus(err); errors.Is(err, context.Canceled) || (ok && status < 500 && status != http.StatusTooManyRequests) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inner == inner {
		a.inner = nil
	}
}

// AddResponses takes the challenge of the last response. The error is docker.ErrInvalidAuthorization
// when there is no answer to it.
func (a *authorizer) AddResponses(ctx context.Context, responses []*http.Response) error {
	last := responses[len(responses)-1]
	sent := last.Request.Header.Get("Authorization")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.rejected[sent] {
		return nil
	}
	if sent != "" {
		a.rejected[sent] = true
	}
	if a.inner == nil {
		inner, err := a.answerer(ctx)
		if err != nil {
			return err
		}
		a.inner = inner
	}
	if m, ok := ctx.Value(metKey{}).(*met); ok {
		m.inner = a.inner
	}
	err := a.inner.AddResponses(ctx, []*http.Response{plainChallenge(ctx, last)})
	if errdefs.IsNotImplemented(err) {
		return fmt.Errorf("%w: %w", docker.ErrInvalidAuthorization, err)
	}
	return err
}

// answerer returns the authorizer that fits the credential of the registry.
func (a *authorizer) answerer(ctx context.Context) (docker.Authorizer, error) {
	if a.credential == nil {
		var cred Credential
		if ask := a.host.client.options.Credentials; ask != nil {
			var err error
			if cred, err = ask(ctx, a.host.name); err != nil {
				return nil, &credentialError{err}
			}
		}
		a.credential = &cred
	}
	cred := *a.credential
	if cred.RegistryToken != "" {
		return registryToken(cred.RegistryToken), nil
	}
	var transport http.RoundTripper = patient{a.host, tokenTransport{a.host}}
	if cred.Username == "" && cred.Secret != "" {
		transport = identityTransport{transport}
	}
	return docker.NewDockerAuthorizer(
		docker.WithAuthClient(&http.Client{Transport: transport, CheckRedirect: checkTokenRedirect}),
		docker.WithAuthHeader(http.Header{"User-Agent": {a.host.client.options.UserAgent}}),
		docker.WithAuthCreds(func(string) (string, string, error) { return cred.Username, cred.Secret, nil }),
	), nil
}

// secrets are what an error must not show.
func (a *authorizer) secrets() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.credential == nil {
		return nil
	}
	basic := base64.StdEncoding.EncodeToString([]byte(a.credential.Username + ":" + a.credential.Secret))
	return []string{a.credential.Secret, a.credential.RegistryToken, basic}
}

// registryToken answers every challenge with one token.
type registryToken string

func (t registryToken) Authorize(_ context.Context, req *http.Request) error {
	req.Header.Set("Authorization", "Bearer "+string(t))
	return nil
}

func (t registryToken) AddResponses(_ context.Context, responses []*http.Response) error {
	if responses[0].Request.Header.Get("Authorization") != "" {
		return docker.ErrInvalidAuthorization
	}
	return nil
}

// plainChallenge returns the response with a challenge that suits containerd's authorizer. Scopes
// that ctx asks for already are taken out, since the authorizer would ask for them in every later token
// too. An error is named when a header was refused, and only then: it makes the
// authorizer forget its tokens.
func plainChallenge(ctx context.Context, resp *http.Response) *http.Response {
	refused := resp.Request.Header.Get("Authorization") != ""
	out := &http.Response{Request: resp.Request, StatusCode: resp.StatusCode, Header: http.Header{}}
	for _, c := range auth.ParseAuthHeader(resp.Header) {
		if c.Scheme == auth.BasicAuth {
			out.Header.Add("WWW-Authenticate", "Basic")
		}
		if c.Scheme != auth.BearerAuth {
			continue
		}
		delete(c.Parameters, "error")
		if refused {
			c.Parameters["error"] = "invalid_token"
		}
		if scope := foreignScopes(ctx, c.Parameters["scope"]); scope != "" {
			c.Parameters["scope"] = scope
		} else {
			delete(c.Parameters, "scope")
		}
		out.Header.Add("WWW-Authenticate", "Bearer "+joinParameters(c.Parameters))
	}
	return out
}

// foreignScopes returns the scopes of a challenge less those that ctx has already.
func foreignScopes(ctx context.Context, challenge string) string {
	asked := docker.GetTokenScopes(ctx, nil)
	out := slices.DeleteFunc(strings.Fields(challenge), func(s string) bool { return covered(s, asked) })
	return strings.Join(out, " ")
}

func joinParameters(parameters map[string]string) string {
	var out []string
	for name, value := range parameters {
		value = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)
		out = append(out, name+`="`+value+`"`)
	}
	return strings.Join(out, ",")
}

// tokenTransport is the way to the token service of a registry. What it answers is read at once, so that
// an answer that breaks off is no answer.
type tokenTransport struct{ host *host }

func (t tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.host.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, maxTokenBody))
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return resp, nil
}

// identityTransport is the way of an identity token to the token service. A refusal is an error already:
// after an answer containerd's authorizer would send the token once more, as a password.
type identityTransport struct{ http.RoundTripper }

func (t identityTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(req)
	if err != nil || resp.StatusCode < 400 {
		return resp, err
	}
	defer resp.Body.Close()
	return nil, &identityRefused{remoteerrors.NewUnexpectedStatusErr(resp)}
}

// identityRefused hides from containerd's authorizer what kind of error it is.
type identityRefused struct{ answer error }

func (e *identityRefused) Error() string { return e.answer.Error() }

// checkTokenRedirect lets a token service redirect within its server only: credentials may be in the
// header or in the body.
func checkTokenRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("more than 10 redirects")
	}
	if !sameServer(req.URL, via[0].URL) {
		return fmt.Errorf("the token service redirects to another server, %s", req.URL.Host)
	}
	return nil
}

// tokenError is the failure to get a token, credentialError that to get a credential.
type (
	tokenError      struct{ error }
	credentialError struct{ error }
)

func (e *tokenError) Unwrap() error      { return e.error }
func (e *credentialError) Unwrap() error { return e.error }
func (e *credentialError) Error() string { return "credentials: " + e.error.Error() }
