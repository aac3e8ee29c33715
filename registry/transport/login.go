package transport

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
)

// Credential is how a person is known to a registry. The zero value is anonymous.
type Credential struct {
	// Username and Secret are a name and a password; an empty Username makes Secret an identity token.
	Username, Secret string
	// RegistryToken is sent as a bearer token as it is.
	RegistryToken string
}

// Login answers the challenges of a registry. It adds credentials to requests for the registry's own server
// only, and none to a request that has been somewhere else before. A token is requested for the scopes of a request
// or, where these are part of them, for the scopes of the whole operation; see [Login.Widen].
type Login struct {
	Next   RoundTripper
	Server *Server
	// Credentials returns the credential for a request with these scopes.
	Credentials func(ctx context.Context, scopes []string) (Credential, error)
	// Renew reports whether there is another credential than the refused one for these scopes; nil for never.
	Renew func(ctx context.Context, scopes []string, refused Credential) bool
	// WithoutLogin returns nil when a request may continue anonymously after Credentials failed or, for one that
	// reads, after the credential was refused, which is a *RefusedLoginError; nil for never.
	WithoutLogin func(ctx context.Context, err error) error
	Tokens       *Tokens
	// Always says that the registry sends a challenge to everyone. A challenge is also expected from a registry
	// that there is a credential for. Then the other requests wait until the first one has met the challenge. Queued
	// is called with the number of requests that wait.
	Always bool
	Queued func(n int)
	// Ping returns a request for the root of the registry's API. A registry that answers 403 or 404 to what it does
	// not show to everyone sends its challenge there; nil for never.
	Ping func(ctx context.Context) (*http.Request, error)

	first  memo.Once[struct{}]
	pinged memo.Once[struct{}]
	queued atomic.Int64

	mu sync.Mutex
	// wide are the scopes of the whole operation.
	wide []string
	// challenged says that there was a challenge; the last one that can be answered is challenge.
	challenged bool
	challenge  *Challenge
	// common are scopes of challenges that the requests did not have; all later tokens have them as well.
	common  []string
	secrets []string

	// rejected are the Authorization headers that were refused: many requests may have carried one, but one
	// renewal answers them all.
	rejected sync.Map
	// ignored are the refused credentials for what has been read anonymously, by refusedFor; an empty one is one that could
	// not be got.
	ignored sync.Map
}

// refusedFor is a credential that was refused, and the resource that it was for, as in scopes.
type refusedFor struct {
	Credential
	resource string
}

// TokenError is the failure to get a token: for the registry or, if it is not empty, for the host Elsewhere.
type TokenError struct {
	Err       error
	Elsewhere string
}

// CredentialError is the failure to get a credential.
type CredentialError struct{ Err error }

// RefusedLoginError is the refusal of a credential: a *TokenError, or the answer as an *ExhaustedError.
type RefusedLoginError struct{ Err error }

func (e *RefusedLoginError) Unwrap() error { return e.Err }
func (e *RefusedLoginError) Error() string { return "login refused: " + e.Err.Error() }

func (e *TokenError) Unwrap() error      { return e.Err }
func (e *TokenError) Error() string      { return e.Err.Error() }
func (e *CredentialError) Unwrap() error { return e.Err }
func (e *CredentialError) Error() string { return "credentials: " + e.Err.Error() }

// busyError is the failure of requests that waited for the first one when the server was busy.
type busyError struct{ *ExhaustedError }

// RoundTrip sends r, and after a challenge once more with an answer to it. A credential that is refused is renewed or,
// for a request that reads, left out.
func (l *Login) RoundTrip(r Request) (*http.Response, error) {
	if r.redirected || !l.Server.Owns(r.URL) {
		return l.Next.RoundTrip(r)
	}
	cred, failed := l.Credentials(r.Context(), r.Scopes)
	resp, err := l.attempt(r)
	if failed != nil {
		return l.checkAnonymous(r, failed, resp, err)
	}
	if cred == (Credential{}) || !tokenRefused(resp, err) && !passwordRefused(resp, err) {
		return resp, err
	}
	if l.Renew != nil && l.Renew(r.Context(), r.Scopes, cred) && r.repeatable() {
		Discard(resp)
		resp, err = l.attempt(r)
	}
	return l.orAnonymously(r, cred, resp, err)
}

// attempt sends r with a token for the whole operation if that includes its scopes. A registry may grant each scope, but
// not all of an operation in one token: then the token is for r only.
func (l *Login) attempt(r Request) (*http.Response, error) {
	if wide := l.covering(r.Scopes); wide != nil {
		resp, err := l.converse(r, wide)
		if !r.repeatable() || !tokenRefused(resp, err) {
			return resp, err
		}
		Discard(resp)
		l.mu.Lock()
		l.wide = nil
		l.mu.Unlock()
	}
	return l.converse(r, r.Scopes)
}

// orAnonymously returns an answer to r, unless that refuses the credential and an anonymous request gets another one.
// A registry may answer 404 for what it hides from the anonymous: that counts only where they have read something.
func (l *Login) orAnonymously(r Request, cred Credential, resp *http.Response, err error) (*http.Response, error) {
	if l.WithoutLogin == nil || !r.reads() || !passwordRefused(resp, err) && (!is[*TokenError](err) || !isFinal(err)) {
		return resp, err
	}
	refused := err
	if err == nil {
		refused = exhausted(resp, nil)
	}
	r.anonymous = true
	got, failed := l.converse(r, r.Scopes)
	switch {
	case is[*TokenError](failed):
		return resp, err
	case failed != nil || MayPass(got.StatusCode):
		return got, failed
	case got.StatusCode >= 400 && (got.StatusCode != http.StatusNotFound || !l.ignores(r, cred)):
		Discard(got)
		return resp, err
	}
	if !l.ignores(r, cred) {
		if err := l.WithoutLogin(r.Context(), &RefusedLoginError{refused}); err != nil {
			Discard(got)
			return nil, &CredentialError{err}
		}
		l.ignored.Store(r.with(cred), true)
	}
	return got, nil
}

// checkAnonymous returns an answer to r, which was sent without a credential since getting one has failed. A registry that
// sends challenges may refuse to the anonymous, and hide from them, what it shows to others: that is an error, except for
// a 404 where they have read something.
func (l *Login) checkAnonymous(r Request, failed error, resp *http.Response, err error) (*http.Response, error) {
	hidden := tokenRefused(resp, err)
	if err == nil {
		switch status := resp.StatusCode; {
		case status == http.StatusUnauthorized, status == http.StatusForbidden:
			hidden = true
		case status == http.StatusNotFound:
			hidden = !l.ignores(r, Credential{})
		case status < 300 && r.reads():
			l.ignored.Store(r.with(Credential{}), true)
		}
	}
	if !hidden || !l.wasChallenged() {
		return resp, err
	}
	Discard(resp)
	return nil, &CredentialError{failed}
}

// ignores reports whether requests that read what r does do without this credential.
func (l *Login) ignores(r Request, cred Credential) bool {
	_, ok := l.ignored.Load(r.with(cred))
	return ok
}

func (r Request) with(cred Credential) refusedFor {
	if len(r.Scopes) == 0 {
		return refusedFor{cred, ""}
	}
	resource, _ := CutScope(r.Scopes[0])
	return refusedFor{cred, resource}
}

// converse sends r, and once more when it is refused and there is another answer to the challenge.
func (l *Login) converse(r Request, scopes []string) (resp *http.Response, err error) {
	if r.LoginFirst {
		err = l.ping(r)
	}
	if err == nil && l.expectsChallenge(r) {
		resp, err = l.alone(r, scopes)
	}
	if resp == nil && err == nil {
		resp, err = l.send(r, scopes, nil)
	}
	if err != nil || !r.repeatable() {
		return resp, err
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return l.send(r, scopes, resp)
	case isHidden(resp) && l.mayLogin(r):
		if err := l.ping(r); err != nil {
			Discard(resp)
			return nil, err
		}
		return l.send(r, scopes, resp)
	}
	return resp, nil
}

// isHidden reports whether an answer may be another one for those who are logged in.
func isHidden(resp *http.Response) bool {
	return (resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusNotFound) &&
		resp.Request.Header.Get("Authorization") == ""
}

// mayLogin reports whether there is a credential for r, or whether that cannot be determined.
func (l *Login) mayLogin(r Request) bool {
	cred, err := l.Credentials(r.Context(), r.Scopes)
	return err != nil || cred != Credential{}
}

// ping requests the root of the API once, for its challenge, if r can be sent with a login and there was no challenge
// yet. The scope there is often an example, and is not taken.
func (l *Login) ping(r Request) error {
	if l.wasChallenged() || l.Ping == nil || !l.mayLogin(r) {
		return nil
	}
	_, err := l.pinged.Do(r.Context(), func() (none struct{}, _ error) {
		req, err := l.Ping(r.Context())
		if err != nil {
			return none, err
		}
		resp, err := l.Next.RoundTrip(Request{Request: req})
		switch {
		case err != nil:
			return none, err
		case MayPass(resp.StatusCode):
			return none, &busyError{exhausted(resp, nil)}
		case resp.StatusCode == http.StatusUnauthorized:
			l.mu.Lock()
			l.takeChallenge(resp)
			l.mu.Unlock()
		}
		Discard(resp)
		l.first.Store(none)
		return none, nil
	})
	return err
}

// alone sends r as the first request to a registry that is going to send a challenge. The others wait for it and
// return nothing: they know the challenge then, and their connections are opened meanwhile.
func (l *Login) alone(r Request, scopes []string) (resp *http.Response, err error) {
	if n := l.queued.Add(1); l.Queued != nil {
		l.Queued(int(n))
	}
	defer l.queued.Add(-1)
	_, waited := l.first.Do(r.Context(), func() (none struct{}, _ error) {
		if resp, err = l.send(r, scopes, nil); err == nil && MayPass(resp.StatusCode) {
			return none, &busyError{exhausted(resp, nil)}
		}
		return none, err
	})
	if resp != nil || err != nil {
		return resp, err
	}
	return nil, waited
}

func (l *Login) expectsChallenge(r Request) bool {
	if _, answered := l.first.Load(); answered {
		return false
	}
	if l.Always {
		return true
	}
	cred, err := l.Credentials(r.Context(), r.Scopes)
	return err == nil && cred != Credential{}
}

// send sends r with the answer to the last challenge, and takes the challenge of a refusal. If the answer is that of a
// refused request, it returns the refusal instead.
func (l *Login) send(r Request, scopes []string, refused *http.Response) (*http.Response, error) {
	if refused != nil {
		buffer(refused)
	}
	header, err := l.authorization(r, scopes)
	switch {
	case err != nil:
		return nil, err
	case refused != nil && header == refused.Request.Header.Get("Authorization"):
		return refused, nil
	case header != "":
		r = r.authorized(header)
	}
	resp, err := l.Next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		l.take(resp, header, scopes)
	}
	return resp, err
}

// take takes the challenge of an answer, and drops the token that was refused.
func (l *Login) take(resp *http.Response, sent string, scopes []string) {
	l.mu.Lock()
	if c := l.takeChallenge(resp); c != nil {
		for s := range strings.FieldsSeq(c.Parameters["scope"]) {
			if !covers(slices.Concat(scopes, l.common), s) {
				l.common = append(slices.Clip(l.common), s)
			}
		}
	}
	l.mu.Unlock()
	_, known := l.rejected.LoadOrStore(sent, true)
	if token, ok := strings.CutPrefix(sent, "Bearer "); ok && !known {
		l.Tokens.drop(token)
	}
}

func (l *Login) wasChallenged() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.challenged
}

// takeChallenge takes the challenge of an answer and returns it, nil if there is none that can be answered.
func (l *Login) takeChallenge(resp *http.Response) *Challenge {
	l.challenged = true
	c := choose(ParseChallenges(resp.Header))
	if c != nil {
		l.challenge = c
	}
	return c
}

// choose returns the challenge to answer, nil for none: a token of a named service, a password, or else a token.
func choose(challenges []Challenge) *Challenge {
	var best *Challenge
	rank := 0
	for _, c := range challenges {
		r := map[string]int{"bearer": 1, "basic": 2}[c.Scheme]
		if c.Scheme == "bearer" && c.Parameters["realm"] != "" {
			r = 3
		}
		if r > rank {
			best, rank = &c, r
		}
	}
	return best
}

// authorization returns the header that answers the challenge; it is empty before there was one, and when there is
// no credential to answer it with.
func (l *Login) authorization(r Request, scopes []string) (string, error) {
	ctx := r.Context()
	l.mu.Lock()
	challenged, challenge := l.challenged, l.challenge
	scopes = slices.Concat(l.common, scopes)
	l.mu.Unlock()
	if !challenged {
		return "", nil
	}
	cred, err := l.credential(r)
	switch {
	case err != nil:
		return "", err
	case cred.RegistryToken != "":
		return "Bearer " + cred.RegistryToken, nil
	case challenge == nil:
		return "", nil
	case challenge.Scheme == "basic" && (cred.Username == "" || cred.Secret == ""):
		return "", nil
	case challenge.Scheme == "basic":
		return "Basic " + basic(cred), nil
	}
	token, err := l.Tokens.get(ctx, l.Server, cred, *challenge, l.shared(ctx, r, scopes))
	if err != nil {
		return "", &TokenError{Err: err}
	}
	return "Bearer " + token, nil
}

// authorized returns r with an Authorization header.
func (r Request) authorized(header string) Request {
	r.Request = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	r.Header.Set("Authorization", header)
	return r
}

func basic(cred Credential) string {
	return base64.StdEncoding.EncodeToString([]byte(cred.Username + ":" + cred.Secret))
}

// credential returns the credential to send r with.
func (l *Login) credential(r Request) (Credential, error) {
	cred, err := l.Credentials(r.Context(), r.Scopes)
	if err != nil {
		if l.WithoutLogin == nil {
			return cred, &CredentialError{err}
		}
		if err := l.WithoutLogin(r.Context(), err); err != nil {
			return cred, &CredentialError{err}
		}
		return Credential{}, nil
	}
	if r.anonymous || r.reads() && l.ignores(r, cred) {
		return Credential{}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if cred != (Credential{}) && !slices.Contains(l.secrets, cmp.Or(cred.RegistryToken, basic(cred))) {
		l.secrets = append(l.secrets, cred.Secret, cred.RegistryToken, basic(cred))
	}
	return cred, nil
}

// Secrets returns what an error must not show.
func (l *Login) Secrets() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.secrets)
}

// passwordRefused reports whether a registry refused a password.
func passwordRefused(resp *http.Response, err error) bool {
	return err == nil && resp.StatusCode == http.StatusUnauthorized &&
		strings.HasPrefix(resp.Request.Header.Get("Authorization"), "Basic ")
}

// tokenRefused reports whether a token was refused by the registry, or to it by its token service.
func tokenRefused(resp *http.Response, err error) bool {
	if token, ok := errors.AsType[*TokenError](err); ok {
		return isFinal(token.Err)
	}
	return err == nil && resp.StatusCode == http.StatusUnauthorized &&
		strings.HasPrefix(resp.Request.Header.Get("Authorization"), "Bearer ")
}
