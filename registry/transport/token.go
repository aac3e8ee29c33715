package transport

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker/auth"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
)

const (
	// MaxTokenBody bounds the answer of a token service.
	MaxTokenBody = 1 << 20
	// tokenTimeout bounds the time that a token service may take over one answer.
	tokenTimeout = time.Minute
	// clientID is sent to token services that want one, as https://distribution.github.io/distribution/spec/auth/oauth/ has it.
	clientID = "docker-multiarch"
)

// Tokens are the tokens of a registry, each requested once and kept until it expires or is refused.
type Tokens struct {
	// Exchange sends requests to token services.
	Exchange RoundTripper
	// Budget has the clock.
	Budget    *Budget
	UserAgent string

	memo memo.Memo[tokenKey, token]
}

// tokenKey is what a token depends on. Scopes are sorted.
type tokenKey struct {
	host       string
	credential Credential
	// realm and service are those of the token service.
	realm, service string
	scopes         string
}

// token is a token or, where the token service has refused it for good, that refusal.
type token struct {
	value   string
	expires time.Time // zero for a token that does not say
	refused error
}

// get returns a token for scopes. Only one exchange for the same is under way at a time.
func (t *Tokens) get(ctx context.Context, server *Server, cred Credential, c Challenge, scopes []string) (string, error) {
	key := tokenKey{server.Host, cred, c.Parameters["realm"], c.Parameters["service"], strings.Join(scopes, " ")}
	t.memo.Drop(key, func(have token) bool { return !have.expires.IsZero() && !t.Budget.Now().Before(have.expires) })
	got, err := t.memo.Do(ctx, key, func() (token, error) {
		got, err := t.exchange(ctx, server, cred, c, scopes)
		if isFinal(err) {
			return token{refused: err}, nil
		}
		return got, err
	})
	if err == nil {
		err = got.refused
	}
	return got.value, err
}

// drop forgets a token that was refused.
func (t *Tokens) drop(value string) {
	t.memo.DropAll(func(have token) bool { return have.value == value && have.refused == nil })
}

// exchange requests a token. A password is sent with GET, which every token service answers that knows passwords,
// and by OAuth2 where that is not so; an identity token by OAuth2 only, since it is not a password.
func (t *Tokens) exchange(ctx context.Context, server *Server, cred Credential, c Challenge, scopes []string) (token, error) {
	realm, err := url.Parse(c.Parameters["realm"])
	if err != nil {
		return token{}, &url.Error{Op: "GET", Err: &RefusedError{"the challenge names no token service"}}
	}
	if err := server.checkRealm(ctx, realm); err != nil {
		return token{}, &url.Error{Op: "GET", URL: realm.Scheme + "://" + realm.Host, Err: err}
	}
	realm.User = nil
	options, err := auth.GenerateTokenOptions(ctx, server.Host, cred.Username, cred.Secret, auth.Challenge{
		Parameters: map[string]string{"realm": realm.String(), "service": c.Parameters["service"]},
	})
	if err != nil {
		return token{}, err
	}
	options.Scopes = scopes
	client := &http.Client{Transport: tokenTripper{t.Exchange}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	header := http.Header{"User-Agent": {t.UserAgent}}
	isIdentity := cred.Username == "" && cred.Secret != ""
	if !isIdentity {
		got, err := auth.FetchToken(ctx, client, header, options)
		if err == nil {
			return token{value: got.Token, expires: t.expires(got.ExpiresInSeconds)}, nil
		}
		if cred.Secret == "" || !isUnknownGrant(err) {
			return token{}, err
		}
	}
	got, err := auth.FetchTokenWithOAuth(ctx, client, header, clientID, options)
	if err != nil {
		return token{}, err
	}
	return token{value: got.AccessToken, expires: t.expires(got.ExpiresInSeconds)}, nil
}

// tokenTripper sends the requests of a client for tokens. It reads each answer as part of the attempt, so that one that is
// interrupted is no answer.
type tokenTripper struct{ next RoundTripper }

func (t tokenTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.next.RoundTrip(Request{Request: req, Read: func(resp *http.Response) error {
		raw, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, MaxTokenBody))
		if err != nil {
			return &InterruptedError{Err: err}
		}
		resp.Body.Close()
		resp.Body = bodyOf(raw)
		return nil
	}})
}

// expires returns when a token expires that is valid for so many seconds.
func (t *Tokens) expires(seconds int) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return t.Budget.Now().Add(time.Duration(min(seconds, math.MaxInt32)) * time.Second)
}

// Refusal returns the answer with which a token service refused.
func Refusal(err error) (remoteerrors.ErrUnexpectedStatus, bool) {
	return errors.AsType[remoteerrors.ErrUnexpectedStatus](err)
}

// isFinal reports whether a token service has refused for good.
func isFinal(err error) bool {
	answer, ok := Refusal(err)
	return ok && answer.StatusCode >= 400 && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests
}

// isUnknownGrant reports whether a token service seems not to know requests of this kind.
func isUnknownGrant(err error) bool {
	answer, _ := Refusal(err)
	return slices.Contains([]int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed}, answer.StatusCode)
}
