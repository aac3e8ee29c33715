package e2e

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
)

// The names of servers in these tests. The blob store is below the name of the registry, where HTTP clients might
// send the registry's credentials.
const (
	homeHost  = "example.com"
	blobHost  = "blobs.example.com"
	tokenHost = "auth.example.com"

	tokenRealm = "https://" + tokenHost + "/token"
)

// elsewhere starts a server for each name, which includes a port unless that is 443, with a certificate that the
// docker configuration trusts.
func (w watched) elsewhere(handlers map[string]http.Handler) {
	w.Helper()
	addresses, ca := map[string]string{}, filepath.Join(w.TempDir(), "ca.crt")
	for name, h := range handlers {
		server := httptest.NewUnstartedServer(w.at(name, h))
		server.Config.ErrorLog = silence
		server.StartTLS()
		w.Cleanup(server.Close)
		addresses[name] = server.Listener.Addr().String()
		block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
		if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
			w.Fatal(err)
		}
		w.certsD(name, map[string]string{"ca.crt": ca})
	}
	w.reach(addresses, w.recorder)
}

// home returns a tag of the scene's repository at homeHost.
func (w watched) home(tag string) string { return homeHost + "/" + w.repo + ":" + tag }

// seed puts two images into the scene's repository and returns their names at host.
func (w watched) seed(host string) []string {
	w.Helper()
	var names []string
	for _, p := range []ocispec.Platform{amd64, arm64} {
		w.put(w.repo, p.Architecture, images.Spec{Platform: p})
		names = append(names, host+"/"+w.repo+":"+p.Architecture)
	}
	return names
}

// A password for basic auth is sent to its registry only.
func TestPasswordIsSentToItsRegistryOnly(t *testing.T) {
	for _, kind := range registryKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			source := w.registry
			names := w.seed(homeHost)
			w.registry = harness.NewRegistry(t, harness.RegistryOptions{Kind: kind, User: loginUser, Password: loginSecret})
			w.elsewhere(map[string]http.Handler{homeHost: newProxy(t, source), remoteHost: newProxy(t, w.registry)})
			words := []string{"401", "docker login " + remoteHost}
			create := append([]string{"create", "--push", w.remote("1")}, names...)
			w.refused(words, create...)
			w.Login(t, remoteHost, loginUser, loginSecret)
			w.multiarch(create...)
			w.holds("1", "linux/amd64", "linux/arm64/v8")
			w.only(t, loginSecret, remoteHost)
			w.only(t, basic(loginUser, loginSecret), remoteHost)
			w.Login(t, remoteHost, loginUser, "wrong-"+loginSecret)
			w.refused(words, create...)
			w.only(t, basic(loginUser, "wrong-"+loginSecret), remoteHost)
		})
	}
}

// helperLogin is what a credential helper has for a registry.
type helperLogin struct{ Username, Secret string }

// helper puts the credential helper "test" on PATH, which returns these logins. The returned function lists the calls
// of the helper.
func (w watched) helper(logins map[string]helperLogin) (asked func() []string) {
	w.Helper()
	dir := w.TempDir()
	log := filepath.Join(dir, "asked")
	script := "#!/bin/sh\nread -r host\necho \"$1 $host\" >>" + log + "\ncase $host in\n"
	for host, login := range logins {
		answer, err := json.Marshal(login)
		if err != nil {
			w.Fatal(err)
		}
		script += fmt.Sprintf("%s) echo '%s' ;;\n", host, answer)
	}
	script += "*) echo 'credentials not found in native keychain'; exit 1 ;;\nesac\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(script), 0o700); err != nil {
		w.Fatal(err)
	}
	w.Set("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() []string {
		data, err := os.ReadFile(log)
		if err != nil {
			w.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
}

// A credential helper is called once for each registry that it is configured for, and its login is sent to the token
// service of that registry only.
func TestCredentialHelper(t *testing.T) {
	for name, test := range map[string]struct {
		config map[string]any
		asked  []string
	}{
		"credHelpers": {map[string]any{"credHelpers": map[string]string{homeHost: "test"}}, []string{"get " + homeHost}},
		"credsStore":  {map[string]any{"credsStore": "test"}, []string{"get " + homeHost, "get " + remoteHost}},
		"credHelpers before credsStore": {
			map[string]any{"credHelpers": map[string]string{homeHost: "test", remoteHost: ""}, "credsStore": "absent"}, []string{"get " + homeHost},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			names := w.seed(remoteHost)
			tokens := &proxy.Tokens{User: loginUser, Password: loginSecret, Realm: tokenRealm}
			plain := newProxy(t, w.registry)
			w.elsewhere(map[string]http.Handler{homeHost: tokens.Guard(plain), tokenHost: tokens, remoteHost: plain})
			asked := w.helper(map[string]helperLogin{homeHost: {loginUser, loginSecret}})
			w.Configure(t, func(config map[string]any) { maps.Copy(config, test.config) })
			r := w.multiarch(append([]string{"create", "--push", w.home("1")}, names...)...)
			saysNot(t, r.Stderr, "WARNING")
			w.holds("1", "linux/amd64", "linux/arm64/v8")
			w.only(t, loginSecret, tokenHost)
			if got := slices.Sorted(slices.Values(asked())); !slices.Equal(got, test.asked) {
				t.Errorf("got calls %q of the helper, want %q", got, test.asked)
			}
		})
	}
}

// With two logins in one run, neither login, nor a token for it, is sent to the other registry.
func TestTwoLoginsInOneRun(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	names := w.seed(homeHost)
	source := w.registry
	w.registry = harness.NewRegistry(t, harness.RegistryOptions{})
	near := &proxy.Tokens{User: "bob", Password: "battery-of-bob"}
	far := &proxy.Tokens{User: loginUser, Password: loginSecret, Realm: tokenRealm}
	w.elsewhere(map[string]http.Handler{
		homeHost: near.Guard(newProxy(t, source)), remoteHost: far.Guard(newProxy(t, w.registry)), tokenHost: far,
	})
	w.Login(t, homeHost, near.User, near.Password)
	w.Login(t, remoteHost, far.User, far.Password)
	w.multiarch(append([]string{"create", "--push", w.remote("1")}, names...)...)
	w.holds("1", "linux/amd64", "linux/arm64/v8")
	w.only(t, near.Password, homeHost)
	w.only(t, far.Password, tokenHost)
	w.onlyTokens(near, homeHost)
	w.onlyTokens(far, remoteHost)
}

// A registry may store its blobs elsewhere. No credential follows a redirect there, neither to a subdomain nor to
// another port.
func TestBlobStoreGetsNoCredential(t *testing.T) {
	for _, store := range []string{blobHost, homeHost + ":8443"} {
		t.Run(strings.ReplaceAll(store, ":", "_"), func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			names := w.seed(homeHost)
			blobs := newProxy(t, w.registry)
			tokens := &proxy.Tokens{User: loginUser, Password: loginSecret}
			source := tokens.Guard(blobsAt("https://"+store, blobs))
			w.registry = harness.NewRegistry(t, harness.RegistryOptions{})
			w.elsewhere(map[string]http.Handler{homeHost: source, store: blobs, remoteHost: newProxy(t, w.registry)})
			w.Login(t, homeHost, loginUser, loginSecret)
			w.multiarch(append([]string{"create", "--push", w.remote("1")}, names...)...)
			w.holds("1", "linux/amd64", "linux/arm64/v8")
			w.only(t, loginSecret, homeHost)
			w.onlyTokens(tokens, homeHost)
			w.only(t, "Authorization:", homeHost)
			w.only(t, "/blobs/sha256:", homeHost, store, remoteHost)
		})
	}
}

// blobsAt returns a registry that redirects requests for blobs to another server.
func blobsAt(server string, registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/sha256:") {
			http.Redirect(w, r, server+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		registry.ServeHTTP(w, r)
	})
}

// A remote registry may name a token service or a blob store without TLS: they get no login, and not even a request.
func TestNoRequestWithoutTLS(t *testing.T) {
	for name, test := range map[string]struct {
		realm, blobs string
		words        []string
	}{
		"token service": {"http://" + tokenHost + "/token", "https://" + blobHost, []string{tokenHost, "--insecure"}},
		"blob store":    {tokenRealm, "http://" + blobHost, []string{blobHost}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			names := w.seed(homeHost)
			tokens := &proxy.Tokens{User: loginUser, Password: loginSecret, Realm: test.realm}
			registry := newProxy(t, w.registry)
			source := tokens.Guard(blobsAt(test.blobs, registry))
			w.elsewhere(map[string]http.Handler{homeHost: source, tokenHost: tokens, blobHost: registry})
			w.Login(t, homeHost, loginUser, loginSecret)
			words := append([]string{homeHost, "plain HTTP"}, test.words...)
			w.refused(words, append([]string{"create", w.home("1")}, names...)...)
			w.refused(words, append([]string{"create", "--push", w.home("1")}, names...)...)
			if all := w.requests(outside); len(all) > 0 {
				t.Errorf("got requests without TLS, want none:\n%s", strings.Join(all, "\n"))
			}
		})
	}
}

// A login that docker/login-action stores for pushes to one repository is used for these, in tokens for nothing else.
func TestScopedLogin(t *testing.T) {
	for name, place := range map[string]func(w watched) string{
		"BUILDX_CONFIG": func(w watched) string {
			dir := w.TempDir()
			w.Set("BUILDX_CONFIG", dir)
			return dir
		},
		"DOCKER_CONFIG": func(w watched) string { return filepath.Join(w.Config, "buildx") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched(t)
			target := w.repo
			w.repo += "/source"
			names := w.seed(homeHost)
			w.repo = target
			tokens := &proxy.Tokens{User: loginUser, Password: loginSecret, AnonymousPull: true, Realm: tokenRealm}
			w.elsewhere(map[string]http.Handler{homeHost: tokens.Guard(newProxy(t, w.registry)), tokenHost: tokens})
			create := append([]string{"create", "--push", w.home("1")}, names...)
			w.refused([]string{"401"}, create...)
			dir := filepath.Join(place(w), "config", homeHost, target+"@push")
			auths := map[string]any{"auths": map[string]any{
				homeHost: map[string]string{"auth": strings.TrimPrefix(basic(loginUser, loginSecret), "Basic ")},
			}}
			config, err := json.Marshal(auths)
			if err == nil {
				err = os.MkdirAll(dir, 0o700)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			w.multiarch(create...)
			w.holds("1", "linux/amd64", "linux/arm64/v8")
			w.refused([]string{"401"}, "create", "--push", homeHost+"/"+target+"/other:1", names[0])
			w.only(t, loginSecret, tokenHost)
			for _, r := range w.requests(tokenHost) {
				query, _, _ := strings.Cut(r, "\n")
				if !strings.Contains(r, loginSecret) {
					continue
				}
				if want := url.QueryEscape("repository:" + target + ":pull,push"); strings.Count(query, "scope=") != 1 || !strings.Contains(query, want) {
					t.Errorf("got the login in the token request %s, want it for %s only", query, want)
				}
			}
		})
	}
}
