package registry

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

func pullScope(repo string) string   { return "repository:" + repo + ":pull" }
func pushScope(repo string) string   { return "repository:" + repo + ":pull,push" }
func deleteScope(repo string) string { return "repository:" + repo + ":pull,delete" }

func withScopes(ctx context.Context, scopes []string) context.Context {
	for _, s := range scopes {
		ctx = docker.WithScope(ctx, s)
	}
	return ctx
}

// unite makes these scopes, too, part of what every token for the registry is for, so that an operation
// needs one token.
func (h *host) unite(scopes []string) {
	for {
		old := h.union.Load()
		var all []string
		if old != nil {
			all = slices.Clone(*old)
		}
		for _, s := range scopes {
			if !covered(s, all) {
				all = append(slices.DeleteFunc(all, func(have string) bool { return covered(have, []string{s}) }), s)
			}
		}
		if h.union.CompareAndSwap(old, &all) {
			return
		}
	}
}

// covering returns the scopes of the operation when they include these, nil when they do not.
func (h *host) covering(scopes []string) []string {
	union := h.union.Load()
	if union == nil || slices.ContainsFunc(scopes, func(s string) bool { return !covered(s, *union) }) {
		return nil
	}
	return *union
}

// covered reports whether one of scopes permits all that s does.
func covered(s string, scopes []string) bool {
	resource, actions := cutScope(s)
	return slices.ContainsFunc(scopes, func(have string) bool {
		same, permitted := cutScope(have)
		return resource == same && !slices.ContainsFunc(actions, func(a string) bool { return !slices.Contains(permitted, a) })
	})
}

func cutScope(s string) (resource string, actions []string) {
	i := strings.LastIndex(s, ":")
	return s[:i+1], strings.Split(s[i+1:], ",")
}

// tokenRefused reports whether a token was refused by the registry, or to it by its token service.
func tokenRefused(resp *http.Response, err error) bool {
	var token *tokenError
	if errors.As(err, &token) {
		status, _, ok := tokenStatus(token)
		return ok && status >= 400 && status < 500 && status != http.StatusTooManyRequests
	}
	return err == nil && resp.StatusCode == http.StatusUnauthorized &&
		strings.HasPrefix(resp.Request.Header.Get("Authorization"), "Bearer ")
}
