package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

func TestBasicRefused(t *testing.T) {
	for name, cred := range map[string]Credential{
		"anonymous":      {},
		"wrong password": {Username: "me", Secret: "wrong-one"},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.before = basic("me", "hunter22")
			_, err := n.client(Options{Credentials: credential(cred)}).Fetch(t.Context(), parse(t, "a.example.com/app:1"))
			wantError(t, err, errdefs.ErrUnauthenticated, "a.example.com: GET manifest a.example.com/app:1: 401 Unauthorized: UNAUTHORIZED: authentication required")
			var refused *Error
			if !errors.As(err, &refused) || refused.Registry() != "a.example.com" {
				t.Errorf("got error %#v, want an *Error about a.example.com", err)
			}
			if got := len(f.requests()); got > 2 {
				t.Errorf("%d requests", got)
			}
		})
	}
}

func TestBearer(t *testing.T) {
	password := func(r *http.Request) bool {
		u, p, _ := r.BasicAuth()
		return r.Method == http.MethodGet && u == "me" && p == "hunter22"
	}
	oauth := func(r *http.Request) bool {
		return r.Method == http.MethodPost && r.Form.Get("grant_type") == "password" && r.Form.Get("username") == "me" && r.Form.Get("password") == "hunter22"
	}
	tests := map[string]struct {
		cred     Credential
		check    func(r *http.Request) bool
		status   int // of a refusal
		requests int
	}{
		"anonymous":                   {Credential{}, func(r *http.Request) bool { return r.Header.Get("Authorization") == "" }, 401, 1},
		"password":                    {Credential{Username: "me", Secret: "hunter22"}, password, 401, 1},
		"password, OAuth2 only":       {Credential{Username: "me", Secret: "hunter22"}, oauth, 405, 2},
		"identity token":              {Credential{Secret: "identity"}, func(r *http.Request) bool { return r.Form.Get("refresh_token") == "identity" }, 401, 1},
		"registry token, as it is":    {Credential{RegistryToken: "granted|repository:app:pull"}, nil, 401, 0},
		"registry token beats others": {Credential{Username: "a", Secret: "b", RegistryToken: "granted|repository:app:pull"}, nil, 401, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, f, service := newNetwork(t), newFake(), &tokens{check: tt.check, status: tt.status}
			n.secure("a.example.com:443", f)
			n.secure("auth.example.com:443", service)
			f.before = bearer("https://auth.example.com/token")
			f.putImage("app", "1")
			c := n.client(Options{Credentials: credential(tt.cred), UserAgent: "test/1"})
			for range 2 {
				if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
					t.Fatal(err)
				}
			}
			if got := service.requests(); len(got) != tt.requests || len(f.requests()) != 3 {
				t.Errorf("%q, %q", got, f.requests())
			}
			for _, form := range service.requests() {
				if form.Get("scope") != "repository:app:pull" {
					t.Errorf("got a token for %q, want repository:app:pull", form["scope"])
				}
			}
		})
	}
}

func TestScopes(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("a.example.com:443", f)
	n.secure("auth.example.com:443", service)
	f.before = bearer("https://auth.example.com/token")
	f.putImage("app", "1")
	image := f.putImage("other", "1")
	c := n.client(Options{})
	ref := parse(t, "a.example.com/app:1")
	_, err := c.Fetch(t.Context(), ref)
	errs := []error{err, c.Put(t.Context(), ref, manifest.NewContent(manifest.MediaTypeDockerList, []byte(emptyIndex))), c.Untag(t.Context(), tagged(t, "a.example.com/app:1"))}
	errs = append(errs, c.Copy(t.Context(), parse(t, "a.example.com/other"), image, ref))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, form := range service.requests() {
		got = append(got, strings.Join(form["scope"], " "))
	}
	want := []string{
		"repository:app:pull", "repository:app:pull,push", "repository:app:pull,delete",
		"repository:app:pull,push repository:other:pull",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// A registry that wants another scope than everyone's gets it.
func TestScopeOfTheChallenge(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("a.example.com:443", f)
	f.putImage("app", "1")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/token") {
			service.ServeHTTP(w, r)
			return true
		}
		if r.Header.Get("Authorization") == "Bearer granted|aws|repository:app:pull" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://a.example.com/token",service="s",scope="aws repository:app:pull"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	if _, err := n.client(Options{}).Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
		t.Error(err)
	}
}

// A registry that wants one more action of the repository gets it, and one token serves what follows.
func TestActionOfTheChallenge(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("a.example.com:443", f)
	n.secure("auth.example.com:443", service)
	f.putImage("app", "1")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.Header.Get("Authorization"), "metadata_read") {
			return false
		}
		challenge := `Bearer realm="https://auth.example.com/token",service="s",scope="repository:app:metadata_read repository:app:pull"`
		if r.Header.Get("Authorization") != "" {
			challenge += `,error="insufficient_scope"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	c := n.client(Options{})
	for range 2 {
		if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
			t.Error(err)
		}
	}
	if got := service.requests(); len(got) != 1 || strings.Join(got[0]["scope"], " ") != "repository:app:metadata_read repository:app:pull" {
		t.Errorf("%q", got)
	}
}

// A token that does not suffice is renewed once; then the refusal is final.
func TestInsufficientScope(t *testing.T) {
	n, f := newNetwork(t), newFake()
	service := &tokens{grant: func([]string) []string { return nil }}
	n.secure("a.example.com:443", f)
	n.secure("auth.example.com:443", service)
	f.before = bearer("https://auth.example.com/token")
	c := n.client(Options{})
	for range 2 {
		_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
		wantError(t, err, errdefs.ErrUnauthenticated, "401 Unauthorized")
	}
	if len(f.requests()) > 4 || len(service.requests()) > 2 {
		t.Errorf("got %d requests and %d tokens, want at most 4 and 2", len(f.requests()), len(service.requests()))
	}
}

// A registry that takes a token no more is asked with a new one.
func TestTokenExpires(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.putImage("app", "1")
	valid, issued := 0, 0
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			issued++
			valid = issued
			fmt.Fprintf(w, `{"token":"t%d"}`, issued)
			return true
		}
		if r.Header.Get("Authorization") == fmt.Sprintf("Bearer t%d", valid) {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://a.example.com/token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	c := n.client(Options{})
	for range 3 {
		if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
			t.Fatal(err)
		}
		valid = -1
	}
	if issued != 3 {
		t.Errorf("got %d tokens, want 3", issued)
	}
}

// A token that is valid for longer than a time.Duration can say is kept.
func TestTokenIsValidForLong(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.putImage("app", "1")
	demand := bearer("https://a.example.com/token")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/token" {
			return demand(w, r)
		}
		fmt.Fprint(w, `{"token":"granted|repository:app:pull","expires_in":9999999999}`)
		return true
	}
	c := n.client(Options{})
	for range 3 {
		if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.count("GET /token"); got != 1 {
		t.Errorf("got %d tokens, want 1", got)
	}
}

func TestTokensAreShared(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("a.example.com:443", f)
	n.secure("auth.example.com:443", service)
	f.before = bearer("https://auth.example.com/token")
	f.putImage("one", "1")
	f.putImage("two", "1")
	c := n.client(Options{Credentials: credential(Credential{Username: "me", Secret: "hunter22"})})
	refs := []string{"a.example.com/one:1", "a.example.com/two:1"}
	var group sync.WaitGroup
	for i := range 20 {
		ref := parse(t, refs[i%2])
		group.Go(func() {
			if _, err := c.Fetch(t.Context(), ref); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := len(service.requests()); got != 2 {
		t.Errorf("%d tokens", got)
	}
	if got := len(f.requests()); got != 21 {
		t.Errorf("%d requests", got)
	}
}

// Without a login no request waits for a challenge, and if there is one, all share one token.
func TestAnonymousTokensAreShared(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("a.example.com:443", f)
	n.secure("auth.example.com:443", service)
	f.before = bearer("https://auth.example.com/token")
	f.putImage("app", "1")
	c := n.client(Options{})
	ref := parse(t, "a.example.com/app:1")
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := c.Fetch(t.Context(), ref); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if tokens, requests := len(service.requests()), len(f.requests()); tokens != 1 || requests > 40 {
		t.Errorf("got %d tokens for %d requests, want 1 for at most 40", tokens, requests)
	}
}

func TestTokenServiceFails(t *testing.T) {
	const secret = "hunter22"
	tests := map[string]struct {
		realm   string
		service func(w http.ResponseWriter, r *http.Request)
		kind    error
		want    []string
	}{
		"refuses": {
			service: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprintf(w, `{"details":"not %s, see https://u:p@x.test/login?password=%s"}`, secret, secret)
			},
			kind: errdefs.ErrUnauthenticated, want: []string{"a.example.com: GET manifest", "token service auth.example.com: 401", "not ***, see https://x.test/login"},
		},
		"echoes the header": {
			service: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprintf(w, `{"details":"%s is no header"}`, r.Header.Get("Authorization"))
			},
			kind: errdefs.ErrUnauthenticated, want: []string{"Basic *** is no header"},
		},
		"refuses slowly": {
			service: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusUnauthorized)
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(50 * time.Millisecond):
				}
				fmt.Fprint(w, `{"details":"the password has expired"}`)
			},
			kind: errdefs.ErrUnauthenticated, want: []string{"token service auth.example.com: 401 Unauthorized: the password has expired"},
		},
		"does not find": {
			service: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
			kind:    errdefs.ErrUnauthenticated, want: []string{"token service auth.example.com: 404"},
		},
		"is down": {
			service: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			kind:    errdefs.ErrUnavailable, want: []string{"token service auth.example.com: 503"},
		},
		"talks too much": {
			service: func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"x":"%s","token":"t"}`, strings.Repeat("x", transport.MaxTokenBody))
			},
			kind: errdefs.ErrUnauthenticated, want: []string{"returned more than 1 MiB"},
		},
		"gives none":       {service: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) }, kind: errdefs.ErrUnauthenticated, want: []string{"token"}},
		"is not there":     {realm: "https://gone.example.com/token?x=" + secret, kind: errdefs.ErrUnavailable, want: []string{"gone.example.com", "no such host"}},
		"has a long name":  {realm: "https://" + strings.Repeat("long.", 2000) + "example.com/token", kind: errdefs.ErrUnavailable, want: []string{"token service long.long."}},
		"is plain HTTP":    {realm: "http://plain.example.com/token", kind: errdefs.ErrUnavailable, want: []string{"plain.example.com", "plain HTTP", "--insecure"}},
		"has no realm":     {realm: "", kind: errdefs.ErrUnavailable, want: []string{"a.example.com"}},
		"redirects":        {service: redirectTo("https://evil.example.com/"), kind: errdefs.ErrUnavailable, want: []string{"another server, evil.example.com"}},
		"redirects to ask": {service: redirectTo("http://auth.example.com/"), kind: errdefs.ErrUnavailable, want: []string{"another server, auth.example.com"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, f, evil := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.plain("plain.example.com:80", evil)
			n.secure("evil.example.com:443", evil)
			if tt.service != nil {
				tt.realm = "https://auth.example.com/token?query=" + secret
				n.secure("auth.example.com:443", http.HandlerFunc(tt.service))
			}
			f.before = bearer(tt.realm)
			c := n.client(Options{Credentials: credential(Credential{Username: "me", Secret: secret})})
			_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
			wantError(t, err, tt.kind, tt.want...)
			if len(evil.requests()) != 0 || strings.Contains(err.Error(), secret) || errdefs.IsNotFound(err) || len(err.Error()) > 2000 {
				t.Errorf("got requests %q elsewhere and error %.2000v, want none and a short error without the secret", evil.requests(), err)
			}
		})
	}
}

// An identity token that is refused is not sent again as a password.
func TestIdentityTokenRefused(t *testing.T) {
	for _, status := range []int{400, 401, 404, 405} {
		n, f := newNetwork(t), newFake()
		var asked []string
		n.secure("a.example.com:443", f)
		n.secure("auth.example.com:443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Method+" "+r.Header.Get("Authorization"))
			w.WriteHeader(status)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"identity has run out"}`)
		}))
		f.before = bearer("https://auth.example.com/token")
		c := n.client(Options{Credentials: credential(Credential{Secret: "identity"})})
		for range 2 {
			_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
			wantError(t, err, errdefs.ErrUnauthenticated, fmt.Sprintf("token service auth.example.com: %d", status), "invalid_grant: *** has run out")
		}
		if !slices.Equal(asked, []string{"POST "}) {
			t.Errorf("%d: got token requests %q, want one POST", status, asked)
		}
	}
}

func redirectTo(address string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, address, http.StatusTemporaryRedirect)
	}
}

// What the token service could not do once, it may be able to do later.
func TestTokenServiceRecovers(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("a.example.com:443", f)
	down := true
	n.secure("auth.example.com:443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		service.ServeHTTP(w, r)
	}))
	f.before = bearer("https://auth.example.com/token")
	f.putImage("app", "1")
	c := n.client(Options{})
	_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	wantError(t, err, errdefs.ErrUnavailable, "502")
	down = false
	if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
		t.Error(err)
	}
}

// One request that is cancelled does not take the token from the others.
func TestCancelWhileAToken(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("a.example.com:443", f)
	ctx, cancel := context.WithCancel(t.Context())
	n.secure("auth.example.com:443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		service.ServeHTTP(w, r)
	}))
	f.before = bearer("https://auth.example.com/token")
	f.putImage("app", "1")
	c := n.client(Options{})
	for range 5 {
		_, err := c.Fetch(ctx, parse(t, "a.example.com/app:1"))
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
		t.Error(err)
	}
}

func TestCredentialsFail(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.before = basic("me", "hunter22")
	broken := errors.New("helper not found")
	c := n.client(Options{Credentials: func(context.Context, string, string, []string) (Credential, error) { return Credential{}, broken }})
	_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	wantError(t, err, broken, "a.example.com", "credentials: helper not found")
}

// A 401 of another server than the registry does not get the registry's credentials.
func TestChallengeOfAnotherServer(t *testing.T) {
	n, f, evil := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("evil.example.com:443", evil)
	evil.before = basic("me", "hunter22")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "https://evil.example.com/", http.StatusFound)
		return true
	}
	c := n.client(Options{Credentials: credential(Credential{Username: "me", Secret: "hunter22"})})
	_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	wantError(t, err, errdefs.ErrUnauthenticated, "401")
	if got := evil.headers; len(got) != 1 || got[0].Get("Authorization") != "" {
		t.Errorf("got %v", got)
	}
}

// A registry that is permitted to speak plain HTTP may have its token service beside it, but not on a
// host that is not permitted.
func TestTokenServiceByPlainHTTP(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.plain("registry.test:5000", f)
	n.plain("registry.test:5001", service)
	n.plain("other.test:80", service)
	f.putImage("app", "1")
	options := Options{InsecureHost: func(_ context.Context, host string) bool { return host == "registry.test:5000" }}
	f.before = bearer("http://other.test/token")
	_, err := n.client(options).Fetch(t.Context(), parse(t, "registry.test:5000/app:1"))
	wantError(t, err, errdefs.ErrUnavailable, "other.test", "plain HTTP")
	if len(service.requests()) != 0 {
		t.Errorf("got token requests %q, want none", service.requests())
	}
	f.before = bearer("http://registry.test:5001/token")
	if _, err := n.client(options).Fetch(t.Context(), parse(t, "registry.test:5000/app:1")); err != nil {
		t.Error(err)
	}
}

// Requests that meet one challenge concurrently share the failure to answer it: none reports the challenge itself.
func TestFailureToGetATokenIsShared(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.putImage("app", "1")
	f.before = bearer("http://auth.example.com/token")
	for range 10 {
		c := n.client(Options{})
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
				if !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "auth.example.com would be reached over plain HTTP") {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
}

// A registry may show the anonymous fewer repositories and tags, and no deletion is tried without the login.
func TestListingsAndDeletesLogInFirst(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	login := basic("me", "hunter22")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		_, _, known := r.BasicAuth()
		switch {
		case r.URL.Path == "/v2/":
			return login(w, r)
		case r.URL.Path == "/v2/_catalog" && known:
			fmt.Fprint(w, `{"repositories":["app","hidden"]}`)
		case r.URL.Path == "/v2/_catalog":
			fmt.Fprint(w, `{"repositories":["app"]}`)
		case r.URL.Path == "/v2/app/tags/list" && known:
			fmt.Fprint(w, `{"tags":["1","hidden"]}`)
		case r.URL.Path == "/v2/app/tags/list":
			fmt.Fprint(w, `{"tags":["1"]}`)
		case r.Method == http.MethodDelete && known:
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			return false
		}
		return true
	}
	cred := credential(Credential{Username: "me", Secret: "hunter22"})
	list := n.client(Options{Credentials: cred})
	if got, err := list.Repositories(t.Context(), "a.example.com"); err != nil || !slices.Equal(got, []string{"app", "hidden"}) {
		t.Errorf("got repositories %q, error %v, want app and hidden", got, err)
	}
	if got, _, err := list.Tags(t.Context(), parse(t, "a.example.com/app")); err != nil || !slices.Equal(got, []string{"1", "hidden"}) {
		t.Errorf("got tags %q, error %v, want 1 and hidden", got, err)
	}
	if got, _, err := n.client(Options{}).Tags(t.Context(), parse(t, "a.example.com/app")); err != nil || !slices.Equal(got, []string{"1"}) {
		t.Errorf("without a login: got tags %q, error %v, want 1", got, err)
	}
	if err := n.client(Options{Credentials: cred}).Untag(t.Context(), tagged(t, "a.example.com/app:1")); err != nil {
		t.Errorf("got error %v of a deletion, want none", err)
	}
	want := []string{
		"GET /v2/", "GET /v2/_catalog?n=1000", "GET /v2/app/tags/list?n=1000",
		"GET /v2/app/tags/list?n=1000", "GET /v2/", "DELETE /v2/app/manifests/1",
	}
	if got := f.requests(); !slices.Equal(got, want) {
		t.Errorf("got requests %q, want %q", got, want)
	}
}

// A registry may redirect to another one, which gives out tokens of its own: neither that registry nor its token
// service gets a credential or client certificate with them, and a refusal there is not about the registry's login.
func TestRedirectToAnotherRegistry(t *testing.T) {
	n, f, other, service := newNetwork(t), newFake(), newFake(), &tokens{}
	own := n.asking("a.example.com:443", f, tls.RequireAnyClientCert, tls.VersionTLS13)
	var mu sync.Mutex
	certificates := 0
	watch := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if len(r.TLS.PeerCertificates) > 0 && (r.Header.Get("Authorization") != "" || r.URL.Path == "/token") {
				certificates++
			}
			h.ServeHTTP(w, r)
		})
	}
	n.asking("b.example.com:443", watch(other), tls.RequestClientCert, tls.VersionTLS13)
	n.asking("auth.example.com:443", watch(service), tls.RequestClientCert, tls.VersionTLS13)
	check := basic("me", "hunter22")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !check(w, r) {
			http.Redirect(w, r, "https://b.example.com"+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		}
		return true
	}
	other.before = bearer("https://auth.example.com/token")
	want := other.putImage("app", "1")
	c := n.client(Options{
		Credentials: credential(Credential{Username: "me", Secret: "hunter22"}),
		CertDirs:    []string{certsDir(t, "a.example.com", clientPair(t, own))},
	})
	got, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	if err != nil || got.Descriptor.Digest != want.Descriptor.Digest {
		t.Errorf("got %v, error %v, want %v", got.Descriptor.Digest, err, want.Descriptor.Digest)
	}
	for _, header := range other.headers {
		if got := header.Get("Authorization"); got != "" && !strings.HasPrefix(got, "Bearer granted|") {
			t.Errorf("got Authorization %q at the other registry, want only its own tokens", got)
		}
	}
	if len(service.requests()) != 1 || certificates != 0 {
		t.Errorf("got %d token requests and %d requests with a client certificate, want 1 and none", len(service.requests()), certificates)
	}
	service.grant = func([]string) []string { return nil }
	_, err = c.Fetch(t.Context(), parse(t, "a.example.com/private:1"))
	wantError(t, err, errdefs.ErrUnauthenticated, "a.example.com: GET manifest a.example.com/private:1: redirected to b.example.com: 401 Unauthorized")
	if hint := manifest.Hint(err); !strings.Contains(hint, "no login is sent to b.example.com") {
		t.Errorf("got hint %q, want one about b.example.com", hint)
	}
	service.check, service.status = func(*http.Request) bool { return false }, http.StatusForbidden
	_, err = c.Fetch(t.Context(), parse(t, "a.example.com/secret:1"))
	wantError(t, err, errdefs.ErrPermissionDenied, "redirected to b.example.com: token service auth.example.com: 403 Forbidden")
}
