package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// onlyTokens checks that tokens of the service were sent to host, and to no other place.
func (w watched) onlyTokens(service *proxy.Tokens, host string) {
	w.Helper()
	used := 0
	for _, token := range service.Issued() {
		if places, _ := w.seenAt(token); len(places) > 0 {
			used++
			w.only(w.T, token, host)
		}
	}
	if used == 0 {
		w.Error("got no token in any request")
	}
}

// With anonymous pull, only a push needs the login. The password is sent to the token service only, tokens to the
// registry only.
func TestAnonymousPullAndLoginForPush(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	names := w.seed(homeHost)
	tokens := &proxy.Tokens{User: loginUser, Password: loginSecret, AnonymousPull: true, Realm: tokenRealm}
	w.elsewhere(map[string]http.Handler{homeHost: tokens.Guard(newProxy(t, w.registry)), tokenHost: tokens})
	w.multiarch(append([]string{"create", w.home("1")}, names...)...)
	w.multiarch("inspect", "-v", names[0])
	words := []string{"401", "docker login " + homeHost}
	w.refused(words, "push", w.home("1"))
	w.refused(words, append([]string{"create", "--push", w.home("2")}, names...)...)
	w.Login(t, homeHost, loginUser, "wrong-"+loginSecret)
	w.refused(append(words, tokenHost), "push", w.home("1"))
	const warning = "WARNING: the login of " + homeHost + " was refused: token service " + tokenHost + ": 401 Unauthorized"
	says(t, w.multiarch("inspect", "-v", names[0]).Stderr, warning, "docker login "+homeHost+"); continuing without a login")
	saysNot(t, w.multiarch("exists", names[0]).Stderr, "wrong-"+loginSecret)
	w.Login(t, homeHost, loginUser, loginSecret)
	w.multiarch("push", w.home("1"))
	w.holds("1", "linux/amd64", "linux/arm64/v8")
	w.only(t, loginSecret, tokenHost)
	w.onlyTokens(tokens, homeHost)
}

// identity is an identity token, as the login command of a cloud provider stores it.
const identity = "identity-token-of-ann"

// An identity token is exchanged at the token service, not used as a password, and sent to no other server, whether
// it comes from the configuration or from a credential helper.
func TestIdentityTokenIsForItsServiceOnly(t *testing.T) {
	for name, login := range map[string]func(w watched, token string){
		"config": func(w watched, token string) { w.LoginIdentity(w.T, homeHost, token) },
		"helper": func(w watched, token string) {
			w.helper(map[string]helperLogin{homeHost: {"<token>", token}})
			w.Configure(w.T, func(config map[string]any) { config["credsStore"] = "test" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			names := w.seed(homeHost)
			tokens := &proxy.Tokens{Identity: identity, Realm: tokenRealm}
			w.elsewhere(map[string]http.Handler{homeHost: tokens.Guard(newProxy(t, w.registry)), tokenHost: tokens})
			login(w, identity)
			create := append([]string{"create", "--push", w.home("1")}, names...)
			w.multiarch(create...)
			w.holds("1", "linux/amd64", "linux/arm64/v8")
			w.onlyTokens(tokens, homeHost)
			login(w, "old-"+identity)
			w.refused([]string{"401", "token service " + tokenHost, "docker login " + homeHost}, create...)
			w.only(t, identity, tokenHost)
			for _, r := range w.requests(tokenHost) {
				anonymous := strings.HasPrefix(r, "GET ") && !strings.Contains(r, identity) // after the refusal
				refresh := strings.HasPrefix(r, "POST ") && strings.Contains(r, "grant_type=refresh_token")
				if !anonymous && !refresh || strings.Contains(r, "Authorization:") {
					t.Errorf("got a token request that is neither anonymous nor a POST with a refresh token:\n%s", r)
				}
			}
		})
	}
}

// Tokens that expire during a run are renewed once, wherever that happens.
func TestTokenExpires(t *testing.T) {
	for name, when := range map[string]func(r *http.Request) bool{
		"never":         func(*http.Request) bool { return false },
		"at a blob":     func(r *http.Request) bool { return r.Host == homeHost && strings.Contains(r.URL.Path, "/blobs/") },
		"at an upload":  isUpload,
		"at a manifest": func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/sha256:") },
		"at the list":   isListPut,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			names := w.seed(homeHost)
			tokens := &proxy.Tokens{User: loginUser, Password: loginSecret, Realm: tokenRealm}
			var expired atomic.Bool
			guard := func(r *servers.Registry) http.Handler {
				guarded := tokens.Guard(newProxy(t, r))
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if when(r) && expired.CompareAndSwap(false, true) {
						tokens.Revoke()
					}
					guarded.ServeHTTP(w, r)
				})
			}
			source := w.registry
			w.registry = harness.NewRegistry(t, harness.RegistryOptions{})
			w.elsewhere(map[string]http.Handler{homeHost: guard(source), remoteHost: guard(w.registry), tokenHost: tokens})
			w.Login(t, homeHost, loginUser, loginSecret)
			w.Login(t, remoteHost, loginUser, loginSecret)
			w.multiarch(append([]string{"create", "--push", w.remote("1")}, names...)...)
			w.holds("1", "linux/amd64", "linux/arm64/v8")
			w.only(t, loginSecret, tokenHost)
			most := 2 // one for each registry
			if expired.Load() {
				most = 2*most + 1 // one more may have been issued while all were revoked
			}
			if n := len(tokens.Issued()); n > most || expired.Load() != (name != "never") {
				t.Errorf("got %d tokens, want at most %d; revoked: %t, want %t", n, most, expired.Load(), name != "never")
			}
		})
	}
}

// A token service may grant less than requested: one scope at a time is enough; pull is not enough for a push, and
// then requests end.
func TestTokensWithFewerScopes(t *testing.T) {
	words := []string{"401", "docker login " + homeHost}
	for name, test := range map[string]struct {
		grant func(scopes []string) []string
		words []string
	}{
		"one scope": {func(scopes []string) []string { return scopes[:1] }, nil},
		"pull": {func(scopes []string) []string {
			return strings.Fields(strings.ReplaceAll(strings.Join(scopes, " "), ",push", ""))
		}, words},
		"nothing": {func([]string) []string { return nil }, words},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			names := w.seed(homeHost)
			tokens := &proxy.Tokens{User: loginUser, Password: loginSecret, Grant: test.grant, Realm: tokenRealm}
			w.elsewhere(map[string]http.Handler{homeHost: tokens.Guard(newProxy(t, w.registry)), tokenHost: tokens})
			w.Login(t, homeHost, loginUser, loginSecret)
			create := append([]string{"create", "--push", homeHost + "/" + w.repo + "/target:1"}, names...)
			if test.words != nil {
				w.refused(test.words, create...)
				harness.Absent(t, w.registry, w.repo+"/target", "1")
			} else {
				w.multiarch(create...)
				harness.Complete(t, w.registry, w.repo+"/target", "1")
			}
			w.only(t, loginSecret, tokenHost)
			if n, asked := len(tokens.Issued()), len(w.requests(homeHost)); n > 20 || asked > 60 {
				t.Errorf("got %d tokens and %d requests, want at most 20 and 60", n, asked)
			}
		})
	}
}

// With bearer tokens the daemon's push, too, sends the login to the token service and only tokens to the registry.
func TestBearerLoginServesDaemonAndPlugin(t *testing.T) {
	for name, login := range map[string]func(w watched) (secret string){
		"password": func(w watched) string { w.Login(w.T, w.registry.Host, loginUser, loginSecret); return loginSecret },
		"identity": func(w watched) string { w.LoginIdentity(w.T, w.registry.Host, identity); return identity },
	} {
		for _, store := range stores {
			t.Run(name+"/"+string(store), func(t *testing.T) {
				t.Parallel()
				w := newWatched(t)
				w.useDaemon(harness.Daemon(t, store))
				tokens := &proxy.Tokens{User: loginUser, Password: loginSecret, Identity: identity}
				tokens.Realm = "http://" + w.beside(tokenHost, tokens) + "/token"
				registry := *w.registry
				registry.Host = w.beside(homeHost, tokens.Guard(newProxy(t, w.registry)))
				w.registry, w.list = &registry, registry.Host+"/"+w.repo+":1"
				w.load(w.plain("amd64"), amd64)
				w.put(w.repo, "arm64", images.Spec{Platform: arm64})
				create := []string{"create", "--push", w.list, w.plain("amd64"), w.name("arm64")}
				w.refused([]string{"docker login " + registry.Host}, create...)
				secret, before := login(w), w.daemonTags()
				w.multiarch(create...)
				w.holds("1", "linux/amd64", "linux/arm64/v8")
				w.sameDaemonTags(before)
				w.only(t, secret, tokenHost)
				w.onlyTokens(tokens, homeHost)
			})
		}
	}
}

// beside starts a server on this machine and returns its address; the recorder has it as name.
func (w watched) beside(name string, h http.Handler) string {
	server := httptest.NewServer(w.at(name, h))
	w.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// hiding answers anonymous requests to registry with status, except for what it shows to everyone, and sends its
// challenge only at the root of the API.
func hiding(registry http.Handler, status int, shown func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "" || r.URL.Path == "/v2/":
			registry.ServeHTTP(w, r)
		case shown(r):
			_, _ = w.Write([]byte(`{"name":"app","tags":["amd64"]}`))
		default:
			w.WriteHeader(status)
		}
	})
}

// A registry may answer 403 or 404 instead of a challenge, and list less, to those who are not logged in.
func TestRegistryThatHides(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			names := w.seed(homeHost)
			tokens := &proxy.Tokens{User: loginUser, Password: loginSecret, Realm: tokenRealm}
			listing := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/tags/list") }
			plain := newProxy(t, w.registry)
			w.elsewhere(map[string]http.Handler{
				homeHost: hiding(tokens.Guard(plain), status, listing), tokenHost: tokens, remoteHost: plain,
			})
			w.refused(nil, "inspect", names[0])
			w.Login(t, homeHost, loginUser, loginSecret)
			w.multiarch("exists", names[0])
			w.multiarch(append([]string{"create", "--push", w.home("1")}, names...)...)
			w.holds("1", "linux/amd64", "linux/arm64/v8")
			w.multiarch("import", w.home("1"), remoteHost+"/"+w.repo+"/copy:1")
			w.multiarch("import", remoteHost+"/"+w.repo+"/copy:1", homeHost+"/"+w.repo+"/new:1")
			says(t, w.multiarch("repo", "tags", "-q", homeHost+"/"+w.repo).Stdout, "amd64", "arm64", "1")
			w.only(t, loginSecret, tokenHost)
			roots := 0
			for _, r := range w.requests(homeHost) {
				if strings.HasPrefix(r, "GET /v2/ ") {
					roots++
				}
			}
			if roots != 5 {
				t.Errorf("got %d requests for the root of the API, want one for each command with a login", roots)
			}
		})
	}
}

// If the credential helper fails, what a registry with logins does not show to the anonymous is not taken for absent. A
// registry without logins needs no helper.
func TestFailingHelperHidesNothing(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	names := w.seed(homeHost)
	tokens := &proxy.Tokens{User: loginUser, Password: loginSecret, Realm: tokenRealm}
	nothing := func(*http.Request) bool { return false }
	plain := newProxy(t, w.registry)
	w.elsewhere(map[string]http.Handler{
		homeHost: hiding(tokens.Guard(plain), http.StatusNotFound, nothing), tokenHost: tokens, remoteHost: plain,
	})
	w.Configure(t, func(config map[string]any) { config["credsStore"] = "absent" })
	helper := []string{"credential helper docker-credential-absent failed for " + homeHost + ": no such program in PATH"}
	w.ends(2, helper, "exists", names[0])
	for _, args := range [][]string{
		append([]string{"create", w.home("1")}, names...), {"inspect", names[0]}, {"repo", "tags", homeHost + "/" + w.repo},
		{"repo", "untag", names[0]}, {"repo", "purge", "--force", "--all", homeHost + "/" + w.repo},
	} {
		says(t, w.refused(helper, args...).Stderr, "continuing without a login")
	}
	w.multiarch("exists", strings.Replace(names[0], homeHost, remoteHost, 1))
	w.ends(1, nil, "exists", remoteHost+"/"+w.repo+":absent")
}

// A registry may redirect to another one with a token service of its own: neither gets a login.
func TestRedirectToAnotherRegistry(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	names := w.seed(remoteHost)
	tokens := &proxy.Tokens{AnonymousPull: true, Realm: tokenRealm}
	check := &proxy.Tokens{User: loginUser, Password: loginSecret}
	away := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "https://"+remoteHost+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	})
	copies := newProxy(t, harness.NewRegistry(t, harness.RegistryOptions{}))
	w.elsewhere(map[string]http.Handler{
		homeHost: check.Guard(away), remoteHost: tokens.Guard(newProxy(t, w.registry)), tokenHost: tokens, blobHost: copies,
	})
	w.Login(t, homeHost, loginUser, loginSecret)
	w.Login(t, remoteHost, loginUser, "other-secret")
	for _, name := range names {
		moved := strings.Replace(name, remoteHost, homeHost, 1)
		w.multiarch("exists", moved)
		w.multiarch("import", moved, strings.Replace(name, remoteHost, blobHost, 1))
	}
	w.only(t, loginSecret, homeHost)
	w.only(t, "other-secret")
	w.onlyTokens(tokens, remoteHost)
	words := []string{"redirected to " + remoteHost, "no login is sent to " + remoteHost}
	tokens.AnonymousPull = false
	w.refused(words, "inspect", strings.Replace(names[0], remoteHost, homeHost, 1))
}
