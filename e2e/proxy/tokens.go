package proxy

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Tokens is a token service by https://distribution.github.io/distribution/spec/auth/token/ and
// https://distribution.github.io/distribution/spec/auth/oauth/ for one person.
type Tokens struct {
	User, Password string

	mu     sync.Mutex
	issued map[string][]string // scopes by token
}

// ServeHTTP issues a token for the scopes that are asked for.
func (t *Tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	user, password, _ := r.BasicAuth()
	if r.Method == http.MethodPost {
		user, password = r.PostForm.Get("username"), r.PostForm.Get("password")
	}
	if user != t.User || password != t.Password {
		http.Error(w, `{"details":"incorrect username or password"}`, http.StatusUnauthorized)
		return
	}
	token := rand.Text()
	t.mu.Lock()
	if t.issued == nil {
		t.issued = map[string][]string{}
	}
	t.issued[token] = strings.Fields(strings.Join(r.Form["scope"], " "))
	t.mu.Unlock()
	name := "token"
	if r.Method == http.MethodPost {
		name = "access_token"
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{name: token, "expires_in": 300})
}

// Expire is a Fault: the tokens that were issued serve no more, nor does one that is issued now.
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

// Guard asks for tokens before registry. The service is under /token on the same server.
func (t *Tokens) Guard(registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			t.ServeHTTP(w, r)
			return
		}
		needed := scopes(r)
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if ok && t.permits(token, needed) {
			registry.ServeHTTP(w, r)
			return
		}
		challenge := fmt.Sprintf(`Bearer realm="http://%s/token",service="registry",scope=%q`, r.Host, strings.Join(needed, " "))
		if ok {
			challenge += `,error="insufficient_scope"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
	})
}

// scopes returns what a request to a registry needs.
func scopes(r *http.Request) []string {
	repo := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, part := range []string{"/manifests/", "/blobs/"} {
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
		return !slices.ContainsFunc(issued, func(have string) bool { return strings.HasPrefix(have, s) })
	})
}
