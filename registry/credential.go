package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// renewAfter is the age from which a credential is requested again when it is refused. Helpers return tokens that last
// for minutes or hours, and commands may take longer.
const renewAfter = time.Minute

// cachedCredential is a credential, and the time at which it was looked up.
type cachedCredential struct {
	Credential
	since time.Time
}

// credential returns the credential for a request with these scopes, the first of which is for its repository.
func (h *host) credential(ctx context.Context, scopes []string) (Credential, error) {
	if h.client.options.Credentials == nil || len(scopes) == 0 {
		return Credential{}, nil
	}
	held, err := h.credentials.Do(ctx, scopes[0], func() (cachedCredential, error) { return h.lookUp(ctx, scopes[0]) })
	return held.Credential, err
}

func (h *host) lookUp(ctx context.Context, scope string) (cachedCredential, error) {
	resource, actions := transport.CutScope(scope)
	repo, ok := strings.CutPrefix(strings.TrimSuffix(resource, ":"), "repository:")
	if !ok {
		repo = ""
	}
	cred, err := h.client.options.Credentials(ctx, h.name, repo, actions)
	return cachedCredential{cred, h.client.budget.Now()}, err
}

// renew reports whether there is another credential for these scopes than the refused one. It looks that up if the one
// it has is old enough.
func (h *host) renew(ctx context.Context, scopes []string, refused Credential) bool {
	held, known := h.credentials.Load(scopes[0])
	if known && held.Credential == refused {
		if h.client.budget.Now().Sub(held.since) < renewAfter {
			return false
		}
		h.credentials.Drop(scopes[0], func(have cachedCredential) bool { return have == held })
	}
	held, err := h.credentials.Do(ctx, scopes[0], func() (cachedCredential, error) {
		if h.client.options.Forget != nil {
			h.client.options.Forget(h.name)
		}
		found, err := h.lookUp(ctx, scopes[0])
		if err != nil && ctx.Err() == nil {
			h.client.warn("the login of %s was refused and cannot be looked up again: %v", h.name, err)
			return cachedCredential{refused, h.client.budget.Now()}, nil
		}
		return found, err
	})
	return err == nil && held.Credential != refused
}

// withoutLogin returns Options.WithoutLogin for errors of package transport, nil if there is none.
func (h *host) withoutLogin() func(context.Context, error) error {
	without := h.client.options.WithoutLogin
	if without == nil {
		return nil
	}
	return func(ctx context.Context, err error) error {
		if login, ok := errors.AsType[*transport.RefusedLoginError](err); ok {
			err = h.refusedLogin(login)
		}
		return without(ctx, err)
	}
}

// refusedLogin is the error for a login that the registry or its token service refused.
func (h *host) refusedLogin(login *transport.RefusedLoginError) error {
	e := &Error{Host: h.name}
	if token, ok := errors.AsType[*transport.TokenError](login); ok {
		h.describeToken(e, token.Err)
	} else if failure := exhausted(login); failure != nil {
		e.Status, e.Details = failure.Status, h.details(failure.Body, failure.Sent)
	}
	return manifest.WithHint(fmt.Errorf("the login of %s was refused%s", h.name, e.reason()), "log in again: docker login %s", h.name)
}
