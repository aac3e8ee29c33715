package proxy

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Tokens is a token service by https://distribution.github.io/distribution/spec/auth/token/ and
// https://distribution.github.io/distribution/spec/auth/oauth/ with one user.
type Tokens struct {
	User, Password string
	// Identity is an identity token that can replace the password, if it is not empty.
	Identity string
	// AnonymousPull issues tokens for pull without a login.
	AnonymousPull bool
	// Grant returns which of the requested scopes are granted to the user; nil grants all.
	Grant func(scopes []string) []string
	// Realm is the URL of the service; "" means /token on the registry's own server.
	Realm string

	mu     sync.Mutex
	issued map[string][]string // scopes by token, nil for a revoked one
}

// ServeHTTP issues a token for the granted ones of the requested scopes.
func (t *Tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	granted := strings.Fields(strings.Join(r.Form["scope"], " "))
	known, open := t.known(r), t.AnonymousPull && anonymous(r)
	switch {
	case !known && !open:
		http.Error(w, `{"details":"incorrect username or password"}`, http.StatusUnauthorized)
		return
	case !known:
		granted = pulls(granted)
	case t.Grant != nil:
		granted = t.Grant(granted)
	}
	token := rand.Text()
	t.mu.Lock()
	if t.issued == nil {
		t.issued = map[string][]string{}
	}
	t.issued[token] = granted
	t.mu.Unlock()
	name := "token"
	if r.Method == http.MethodPost {
		name = "access_token"
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{name: token, "expires_in": 300})
}

// Expire is a Fault: all issued tokens become invalid, including one that this request issues.
func (t *Tokens) Expire(w http.ResponseWriter, r *http.Request, then http.Handler) {
	if r.URL.Path != "/token" {
		t.forget()
		then.ServeHTTP(w, r)
		return
	}
	status, body := answer(w, r, then)
	t.forget()
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (t *Tokens) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.issued = nil
}

// known reports whether a request has the credentials of the user.
func (t *Tokens) known(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	if r.Method == http.MethodPost {
		user, password = r.PostForm.Get("username"), r.PostForm.Get("password")
	}
	if r.PostForm.Get("grant_type") == "refresh_token" {
		return t.Identity != "" && r.PostForm.Get("refresh_token") == t.Identity
	}
	return t.User != "" && user == t.User && password == t.Password
}

func anonymous(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Authorization") == ""
}

// pulls returns the scopes reduced to pull.
func pulls(scopes []string) (out []string) {
	for _, s := range scopes {
		if resource, actions := cut(s); slices.Contains(actions, "pull") {
			out = append(out, resource+":pull")
		}
	}
	return out
}

// cut returns the parts of a scope: "repository:app" and its actions.
func cut(scope string) (resource string, actions []string) {
	i := strings.LastIndex(scope, ":")
	return scope[:max(i, 0)], strings.Split(scope[i+1:], ",")
}

// Issued returns all issued tokens.
func (t *Tokens) Issued() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.issued))
}

// Revoke makes all tokens issued so far invalid.
func (t *Tokens) Revoke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for token := range t.issued {
		t.issued[token] = nil
	}
}

// Guard requires tokens for requests to registry.
func (t *Tokens) Guard(registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" && t.Realm == "" {
			t.ServeHTTP(w, r)
			return
		}
		needed := scopes(r)
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if ok && t.permits(token, needed) {
			registry.ServeHTTP(w, r)
			return
		}
		challenge := fmt.Sprintf(`Bearer realm=%q,service="registry",scope=%q`, t.realm(r), strings.Join(needed, " "))
		if ok {
			challenge += `,error="insufficient_scope"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
	})
}

// realm returns the URL of the service for a client of the registry.
func (t *Tokens) realm(r *http.Request) string {
	switch {
	case t.Realm != "":
		return t.Realm
	case r.TLS != nil:
		return "https://" + r.Host + "/token"
	}
	return "http://" + r.Host + "/token"
}

// scopes returns the scopes that a request to a registry needs.
func scopes(r *http.Request) []string {
	repo := strings.TrimPrefix(r.URL.Path, "/v2/")
	if repo == "" {
		return nil
	}
	for _, part := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		repo, _, _ = strings.Cut(repo, part)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return []string{"repository:" + repo + ":pull"}
	}
	needed := []string{"repository:" + repo + ":pull,push"}
	if from := r.URL.Query().Get("from"); from != "" {
		needed = append(needed, "repository:"+from+":pull")
	}
	return needed
}

func (t *Tokens) permits(token string, needed []string) bool {
	t.mu.Lock()
	issued, ok := t.issued[token]
	t.mu.Unlock()
	return ok && !slices.ContainsFunc(needed, func(s string) bool {
		return !slices.ContainsFunc(issued, func(have string) bool { return includes(have, s) })
	})
}

// includes reports whether the scope have permits all actions of the scope needed.
func includes(have, needed string) bool {
	resource, permitted := cut(have)
	same, actions := cut(needed)
	return resource == same && !slices.ContainsFunc(actions, func(a string) bool { return !slices.Contains(permitted, a) })
}
