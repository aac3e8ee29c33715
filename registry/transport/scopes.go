package transport

import (
	"context"
	"slices"
	"strings"
)

// Widen makes these scopes part of all tokens from now on, so that an operation needs one token.
func (l *Login) Widen(scopes []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range scopes {
		if !covers(l.wide, s) {
			l.wide = append(slices.DeleteFunc(slices.Clone(l.wide), func(have string) bool { return covers([]string{s}, have) }), s)
		}
	}
}

// covering returns the scopes of the operation when they include these, nil when they do not.
func (l *Login) covering(scopes []string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(scopes, func(s string) bool { return !covers(l.wide, s) }) {
		return nil
	}
	return l.wide
}

// covers reports whether one of scopes permits all that s does.
func covers(scopes []string, s string) bool {
	resource, actions := CutScope(s)
	return slices.ContainsFunc(scopes, func(have string) bool {
		same, permitted := CutScope(have)
		return resource == same && !slices.ContainsFunc(actions, func(a string) bool { return !slices.Contains(permitted, a) })
	})
}

// CutScope returns the resource of a scope, with the colon that ends it, and the actions.
func CutScope(s string) (resource string, actions []string) {
	i := strings.LastIndex(s, ":")
	return s[:i+1], strings.Split(s[i+1:], ",")
}

// shared returns the first scope of r, unless another one covers that, and those of scopes that have the same credential:
// scopes of different credentials are never in one token.
func (l *Login) shared(ctx context.Context, r Request, scopes []string) []string {
	if len(r.Scopes) == 0 {
		return scopes
	}
	cred, failed := l.Credentials(ctx, r.Scopes)
	kept := slices.DeleteFunc(slices.Clone(scopes), func(s string) bool {
		other, err := l.Credentials(ctx, []string{s})
		return strings.Contains(s, ":") && (other != cred || (err == nil) != (failed == nil)) // others name no repository
	})
	if !covers(kept, r.Scopes[0]) {
		kept = append(kept, r.Scopes[0])
	}
	slices.Sort(kept)
	return slices.Compact(kept)
}
