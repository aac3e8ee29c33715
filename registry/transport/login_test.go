package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	pull     = "repository:app:pull"
	realm    = "https://auth.example.com/token"
	manifest = "https://r.example.com/v2/app/manifests/1"
)

var me = Credential{Username: "me", Secret: "hunter22"}

// guarded is a registry that wants tokens, and its token service. Tokens are numbered; valid are those that the
// registry accepts, all when it is nil.
type guarded struct {
	server
	mu       sync.Mutex
	issued   int
	lifetime int // in seconds
	valid    func(token string) bool
	exchange http.HandlerFunc // in place of the token service
	delay    time.Duration
}

func newGuarded() *guarded {
	g := &guarded{}
	g.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host == "auth.example.com" {
			g.serveToken(w, r)
			return
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || g.valid != nil && !g.valid(token) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="s",scope="`+pull+`"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	return g
}

func (g *guarded) serveToken(w http.ResponseWriter, r *http.Request) {
	<-time.After(g.delay)
	if g.exchange != nil {
		g.exchange(w, r)
		return
	}
	g.mu.Lock()
	g.issued++
	n := g.issued
	g.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"token": fmt.Sprint("t", n), "access_token": fmt.Sprint("t", n), "expires_in": g.lifetime})
}

// tokenRequests returns the methods of the requests to the token service.
func (g *guarded) tokenRequests() (methods []string) {
	for _, r := range g.requests() {
		if r.URL.Host == "auth.example.com" {
			methods = append(methods, r.Method)
		}
	}
	return methods
}

func (g *guarded) login(cred Credential) *Login {
	s := registry("https://r.example.com")
	budget := NewBudget(-1, func(string, ...any) {})
	return &Login{
		Next: g, Server: s,
		Credentials: func(context.Context, []string) (Credential, error) { return cred, nil },
		Tokens: &Tokens{
			Exchange: &Retry{Next: &Redirect{Next: g, Server: s, Stay: true}, Server: s, Budget: budget}, Budget: budget, UserAgent: "test",
		},
	}
}

func wantStatus(t *testing.T, resp *http.Response, err error, want int) {
	t.Helper()
	if err != nil || resp.StatusCode != want {
		t.Errorf("got %v, error %v, want status %d", resp, err, want)
	}
}

// A password takes one token request where the token service answers GET; an identity token is never sent as a
// password.
func TestTokenRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		cred     Credential
		exchange http.HandlerFunc
		want     []string
		status   int
	}{
		"password":       {me, nil, []string{"GET"}, 200},
		"identity token": {Credential{Secret: "identity"}, nil, []string{"POST"}, 200},
		"anonymous":      {Credential{}, nil, []string{"GET"}, 200},
		"registry token": {Credential{RegistryToken: "t"}, nil, nil, 200},
		"password, only OAuth2": {me, func(w http.ResponseWriter, r *http.Request) {
			if raw, _ := io.ReadAll(r.Body); !strings.Contains(string(raw), "grant_type=password") {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			_, _ = io.WriteString(w, `{"access_token":"t"}`)
		}, []string{"GET", "POST"}, 200},
		"password, refused": {me, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, []string{"GET"}, 0},
		"identity token, refused": {Credential{Secret: "identity"}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
			[]string{"POST"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded()
			g.exchange = tt.exchange
			l := g.login(tt.cred)
			for range 2 { // a token, and a final refusal, are kept
				resp, err := l.RoundTrip(get(t, manifest, pull))
				var token *TokenError
				if tt.status == 0 && !errors.As(err, &token) {
					t.Errorf("got error %v, want a TokenError", err)
				}
				if tt.status != 0 {
					wantStatus(t, resp, err, tt.status)
				}
			}
			if got := g.tokenRequests(); !slices.Equal(got, tt.want) {
				t.Errorf("got token requests %q, want %q", got, tt.want)
			}
			for _, r := range g.requests() {
				if _, password, _ := r.BasicAuth(); password == "identity" {
					t.Errorf("got the identity token as a password in %s %s", r.Method, r.URL)
				}
			}
		})
	}
}

// Credentials are added where scheme, host and port are the registry's own, and not after a redirect elsewhere.
func TestCredentialsAreForTheRegistryOnly(t *testing.T) {
	next := &server{handler: func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}}
	l := newGuarded().login(me)
	l.Next = next
	resp, err := l.RoundTrip(get(t, manifest, pull))
	wantStatus(t, resp, err, 200)
	away := get(t, manifest, pull)
	away.redirected = true
	for name, r := range map[string]Request{
		"plain HTTP":      get(t, "http://r.example.com/v2/app/manifests/1", pull),
		"plain HTTP, 443": get(t, "http://r.example.com:443/v2/app/manifests/1", pull),
		"another port":    get(t, "https://r.example.com:5000/v2/app/manifests/1", pull),
		"another host":    get(t, "https://r.example.com.evil.example.com/", pull),
		"redirected":      away,
	} {
		before := len(next.requests())
		resp, err := l.RoundTrip(r)
		wantStatus(t, resp, err, 401)
		sent := next.requests()[before:]
		if len(sent) != 1 || sent[0].Header.Get("Authorization") != "" {
			t.Errorf("%s: got %d requests, the first with header %v, want one without credentials", name, len(sent), sent[0].Header)
		}
	}
	resp, err = l.RoundTrip(get(t, "https://r.example.com:443/v2/app/manifests/1", pull))
	wantStatus(t, resp, err, 200)
}

// Requests that are sent concurrently share one exchange, and so do those whose token was refused.
func TestOneExchangeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded()
		g.delay = time.Second
		l := g.login(Credential{})
		many := func() {
			var group sync.WaitGroup
			for range 20 {
				group.Go(func() {
					resp, err := l.RoundTrip(get(t, manifest, pull))
					wantStatus(t, resp, err, 200)
				})
			}
			group.Wait()
		}
		many()
		if got := len(g.tokenRequests()); got != 1 {
			t.Errorf("first requests: got %d exchanges, want 1", got)
		}
		g.valid = func(token string) bool { return token == "t2" }
		many()
		if got := len(g.tokenRequests()); got != 2 {
			t.Errorf("after the token was refused: got %d exchanges in total, want 2", got)
		}
		resp, err := l.RoundTrip(get(t, manifest, pull, "repository:other:pull"))
		wantStatus(t, resp, err, 401) // by a registry that accepts t2 only, after one more exchange
		if got := len(g.tokenRequests()); got > 4 {
			t.Errorf("other scopes: got %d exchanges in total, want at most 4", got)
		}
	})
}

// A request that is refused is sent once more, and the token that does not help is not renewed for ever.
func TestRefusedForGood(t *testing.T) {
	g := newGuarded()
	g.valid = func(string) bool { return false }
	l := g.login(me)
	for range 3 {
		before := len(g.requests())
		resp, err := l.RoundTrip(get(t, manifest, pull))
		wantStatus(t, resp, err, 401)
		if got := len(g.requests()) - before; got > 4 {
			t.Errorf("got %d requests for one that is refused, want at most 4", got)
		}
	}
}

// A token that has expired is renewed before it is refused.
func TestExpiredToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded()
		g.lifetime = 60
		l := g.login(me)
		for _, wait := range []time.Duration{0, 59 * time.Second, 2 * time.Second} {
			<-time.After(wait)
			resp, err := l.RoundTrip(get(t, manifest, pull))
			wantStatus(t, resp, err, 200)
		}
		if got := len(g.tokenRequests()); got != 2 {
			t.Errorf("got %d exchanges, want 2", got)
		}
		refused := 0
		for _, r := range g.requests() {
			if r.URL.Host == "r.example.com" {
				refused++
			}
		}
		if refused != 4 {
			t.Errorf("got %d requests to the registry, want 3 and the one that met the challenge", refused)
		}
	})
}

// Tokens are kept by credential, too.
func TestTokensAreNotSharedBetweenCredentials(t *testing.T) {
	g := newGuarded()
	l := g.login(me)
	l.Credentials = func(_ context.Context, scopes []string) (Credential, error) {
		return Credential{Username: strings.Split(scopes[0], ":")[1], Secret: "secret"}, nil
	}
	for _, scope := range []string{"repository:a:pull", "repository:b:pull", "repository:a:pull"} {
		resp, err := l.RoundTrip(get(t, manifest, scope))
		wantStatus(t, resp, err, 200)
	}
	var users []string
	for _, r := range g.requests() {
		if user, _, ok := r.BasicAuth(); ok && r.URL.Host == "auth.example.com" {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	if users = slices.Compact(users); !slices.Equal(users, []string{"a", "b"}) {
		t.Errorf("got tokens for %q, want one user for each repository", users)
	}
}

// One token covers an operation; where the service refuses that, each request gets its own.
func TestWiden(t *testing.T) {
	push := "repository:app:pull,push"
	for _, granted := range []bool{true, false} {
		g := newGuarded()
		g.exchange = func(w http.ResponseWriter, r *http.Request) {
			if scopes := r.URL.Query()["scope"]; len(scopes) > 1 && !granted {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			_, _ = io.WriteString(w, `{"token":"t"}`)
		}
		l := g.login(Credential{})
		l.Widen([]string{push, "repository:other:pull"})
		resp, err := l.RoundTrip(get(t, manifest, pull))
		wantStatus(t, resp, err, 200)
		resp, err = l.RoundTrip(get(t, manifest, push))
		wantStatus(t, resp, err, 200)
		want := 1
		if !granted {
			want = 3
		}
		if got := len(g.tokenRequests()); got != want {
			t.Errorf("wide token granted %t: got %d token requests, want %d", granted, got, want)
		}
	}
}

// If there is a credential, the others wait until the first request has met the challenge, and share its failure.
func TestFirstRequestGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded()
		busy := true
		inner := g.handler
		g.handler = func(w http.ResponseWriter, r *http.Request) {
			<-time.After(time.Second)
			if busy && r.URL.Host == "r.example.com" {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			inner(w, r)
		}
		l := g.login(me)
		var queued []int
		l.Queued = func(n int) {
			g.mu.Lock()
			defer g.mu.Unlock()
			queued = append(queued, n)
		}
		var group sync.WaitGroup
		statuses := make([]int, 5)
		for i := range statuses {
			group.Go(func() {
				resp, err := l.RoundTrip(get(t, manifest, pull))
				var waited *busyError
				if errors.As(err, &waited) {
					statuses[i] = -waited.Status
				} else if err == nil {
					statuses[i] = resp.StatusCode
				}
			})
		}
		group.Wait()
		slices.Sort(statuses)
		if want := []int{-503, -503, -503, -503, 503}; !slices.Equal(statuses, want) || len(g.requests()) != 1 {
			t.Errorf("busy: got %v after %d requests, want %v after 1", statuses, len(g.requests()), want)
		}
		busy = false
		for range 5 {
			group.Go(func() {
				resp, err := l.RoundTrip(get(t, manifest, pull))
				wantStatus(t, resp, err, 200)
			})
		}
		group.Wait()
		if got := len(g.requests()); got != 1+1+1+5 { // busy, challenge, token, answers
			t.Errorf("got %d requests in total, want 8", got)
		}
		if most := slices.Max(queued); most != 5 {
			t.Errorf("got %d queued requests at most, want 5", most)
		}
	})
}

// A credential that cannot be had matters only when the registry asks for it.
func TestCredentialFails(t *testing.T) {
	broken := errors.New("helper not found")
	for name, tt := range map[string]struct {
		without func(context.Context, error) error
		status  int
	}{
		"fails":     {nil, 0},
		"continues": {func(context.Context, error) error { return nil }, 200},
	} {
		g := newGuarded()
		l := g.login(me)
		l.Credentials = func(context.Context, []string) (Credential, error) { return Credential{}, broken }
		l.WithoutLogin = tt.without
		resp, err := l.RoundTrip(get(t, manifest, pull))
		if tt.status == 0 {
			var failed *CredentialError
			if !errors.As(err, &failed) || !errors.Is(err, broken) {
				t.Errorf("%s: got error %v, want a CredentialError", name, err)
			}
			continue
		}
		wantStatus(t, resp, err, tt.status)
	}
	open := newGuarded().login(me)
	open.Next = &server{handler: func(http.ResponseWriter, *http.Request) {}}
	open.Credentials = func(context.Context, []string) (Credential, error) { return Credential{}, broken }
	resp, err := open.RoundTrip(get(t, manifest, pull))
	wantStatus(t, resp, err, 200)
}

// What a registry that has logins does not show to the anonymous is unknown if the credential cannot be got, except for a
// 404 in a repository that has been read anonymously.
func TestCredentialFailsForWhatIsHidden(t *testing.T) {
	broken := errors.New("helper not found")
	type step struct {
		method, repo, name string
		want               int // 0 for a CredentialError
	}
	for _, basic := range []bool{false, true} {
		for name, tt := range map[string]struct {
			status int // for what is hidden
			steps  []step
		}{
			"hidden":    {404, []step{{"GET", "app", "hidden", 0}, {"HEAD", "app", "hidden", 0}, {"DELETE", "app", "hidden", 0}}},
			"forbidden": {403, []step{{"GET", "app", "hidden", 0}, {"GET", "app", "public", 200}, {"GET", "app", "hidden", 0}}},
			"has read":  {404, []step{{"GET", "app", "public", 200}, {"GET", "app", "absent", 404}, {"GET", "other", "hidden", 0}, {"PUT", "app", "public", 200}}},
			"login":     {401, []step{{"GET", "app", "hidden", 0}, {"PUT", "app", "hidden", 0}}},
			"busy":      {503, []step{{"GET", "app", "hidden", 503}}},
		} {
			g, l := hiding(t, tt.status, me)
			g.valid = func(token string) bool { return token == "anonymous" }
			challenging := g.handler
			g.handler = func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/public"):
				case strings.HasPrefix(r.URL.Path, "/v2/") && len(r.URL.Path) > len("/v2/"):
					w.WriteHeader(tt.status)
				case basic:
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
					w.WriteHeader(http.StatusUnauthorized)
				default:
					challenging(w, r)
				}
			}
			l.Credentials = func(context.Context, []string) (Credential, error) { return Credential{}, broken }
			l.WithoutLogin = func(context.Context, error) error { return nil }
			for _, s := range tt.steps {
				resp, err := l.RoundTrip(request(t, s.method, "https://r.example.com/v2/"+s.repo+"/manifests/"+s.name, "repository:"+s.repo+":pull"))
				if s.want > 0 {
					wantStatus(t, resp, err, s.want)
				} else if failed := new(CredentialError); !errors.As(err, &failed) || !errors.Is(err, broken) {
					t.Errorf("%s, basic %t: got %v and error %v for %s %s, want a CredentialError", name, basic, resp, err, s.method, s.name)
				}
			}
		}
	}
	open := newGuarded().login(me) // a registry that has no logins
	open.Next = &server{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }}
	open.Credentials = func(context.Context, []string) (Credential, error) { return Credential{}, broken }
	resp, err := open.RoundTrip(get(t, manifest, pull))
	wantStatus(t, resp, err, 404)
}

// hiding returns a registry that sends its challenge only at the root of its API, and answers everything else with
// status to the anonymous, and its login.
func hiding(t *testing.T, status int, cred Credential) (*guarded, *Login) {
	t.Helper()
	g := newGuarded()
	challenging := g.handler
	g.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host == "r.example.com" && r.URL.Path != "/v2/" && r.Header.Get("Authorization") == "" {
			w.WriteHeader(status)
			return
		}
		challenging(w, r)
	}
	l := g.login(cred)
	l.Ping = func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, "https://r.example.com/v2/", nil)
	}
	return g, l
}

// A registry that hides what the anonymous may not see is asked for its challenge once, and only where that may help.
func TestHiddenFromTheAnonymous(t *testing.T) {
	const root = "https://r.example.com/v2/"
	for name, tt := range map[string]struct {
		status     int
		cred       Credential
		loginFirst bool
		want       int // the status
		pings      int
		first      string // the first request
	}{
		"403":                             {403, me, false, 200, 1, manifest},
		"404":                             {404, me, false, 200, 1, manifest},
		"404, identity token":             {404, Credential{Secret: "identity"}, false, 200, 1, manifest},
		"404, registry token":             {404, Credential{RegistryToken: "t"}, false, 200, 1, manifest},
		"404, no login":                   {404, Credential{}, false, 404, 0, manifest},
		"shown to everyone":               {200, me, false, 200, 0, manifest},
		"another refusal":                 {400, me, false, 400, 0, manifest},
		"a part is shown to everyone":     {200, me, true, 200, 1, root},
		"a part is shown, without logins": {200, Credential{}, true, 200, 0, manifest},
	} {
		t.Run(name, func(t *testing.T) {
			g, l := hiding(t, tt.status, tt.cred)
			var group sync.WaitGroup
			for range 5 {
				group.Go(func() {
					r := get(t, manifest, pull)
					r.LoginFirst = tt.loginFirst
					resp, err := l.RoundTrip(r)
					wantStatus(t, resp, err, tt.want)
					if got := resp.Request.Header.Get("Authorization") != ""; got != (tt.pings > 0) {
						t.Errorf("got an answer to a request with a login %t, want %t", got, tt.pings > 0)
					}
				})
			}
			group.Wait()
			urls := g.urls()
			pings := 0
			for _, u := range urls {
				if u == "GET "+root {
					pings++
				}
			}
			if pings != tt.pings || urls[0] != "GET "+tt.first {
				t.Errorf("got %d requests for the root, want %d; got %s first, want %s", pings, tt.pings, urls[0], tt.first)
			}
		})
	}
}

// If the root of the API has no challenge, a refusal stands; if it cannot be reached, so does that failure.
func TestRootWithoutChallenge(t *testing.T) {
	for status, want := range map[int]int{200: 404, 404: 404, 403: 404, 302: 404, 503: 503, 429: 429} {
		g, l := hiding(t, 404, me)
		hidden := g.handler
		g.handler = func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				w.WriteHeader(status)
				return
			}
			hidden(w, r)
		}
		for range 2 {
			resp, err := l.RoundTrip(get(t, manifest, pull))
			var busy *busyError
			if errors.As(err, &busy) {
				resp, err = &http.Response{StatusCode: busy.Status}, nil
			}
			wantStatus(t, resp, err, want)
		}
		sent := 3 // the second request finds the root known
		if want != 404 {
			sent = 4
		}
		if got := len(g.requests()); got != sent {
			t.Errorf("%d at the root: got %d requests, want %d: %q", status, got, sent, g.urls())
		}
	}
}

// The scope in the challenge of the root is an example: it is in no token.
func TestScopeOfTheRoot(t *testing.T) {
	g, l := hiding(t, 404, me)
	resp, err := l.RoundTrip(get(t, "https://r.example.com/v2/other/manifests/1", "repository:other:pull"))
	wantStatus(t, resp, err, 200)
	for _, r := range g.requests() {
		if got := r.URL.Query()["scope"]; r.URL.Host == "auth.example.com" && !slices.Equal(got, []string{"repository:other:pull"}) {
			t.Errorf("got a token for %q, want repository:other:pull", got)
		}
	}
}

// refusing makes the token service refuse everyone who is known; anonymous tokens are "anonymous".
func (g *guarded) refusing(status int) {
	g.exchange = func(w http.ResponseWriter, r *http.Request) {
		_, _, known := r.BasicAuth()
		if known || r.Method == http.MethodPost {
			w.WriteHeader(status)
			return
		}
		_, _ = io.WriteString(w, `{"token":"anonymous"}`)
	}
}

func request(t *testing.T, method, address string, scopes ...string) Request {
	t.Helper()
	r := get(t, address, scopes...)
	r.Method = method
	return r
}

// A stored login that the token service refuses is reported; reading continues without it, writing ends.
func TestRefusedLogin(t *testing.T) {
	push := "repository:app:pull,push"
	for name, tt := range map[string]struct {
		method    string
		scope     string
		refusal   int
		anonymous int   // the status of the registry for anonymous tokens
		without   error // of WithoutLogin
		never     bool  // WithoutLogin is nil
		want      int   // the status, 0 for a TokenError, -1 for a CredentialError
		reported  int
	}{
		"GET":                     {method: "GET", scope: pull, refusal: 401, anonymous: 200, want: 200, reported: 1},
		"HEAD":                    {method: "HEAD", scope: pull, refusal: 401, anonymous: 200, want: 200, reported: 1},
		"absent or hidden":        {method: "GET", scope: pull, refusal: 401, anonymous: 404},
		"redirect":                {method: "GET", scope: pull, refusal: 401, anonymous: 307, want: 307, reported: 1},
		"expired identity token":  {method: "GET", scope: pull, refusal: 400, anonymous: 200, want: 200, reported: 1},
		"PUT":                     {method: "PUT", scope: push, refusal: 401, anonymous: 201},
		"DELETE":                  {method: "DELETE", scope: push, refusal: 401, anonymous: 202},
		"not for everyone":        {method: "GET", scope: pull, refusal: 401, anonymous: 401},
		"forbidden":               {method: "GET", scope: pull, refusal: 403, anonymous: 403},
		"the service is busy":     {method: "GET", scope: pull, refusal: 429, anonymous: 200},
		"the registry is busy":    {method: "GET", scope: pull, refusal: 401, anonymous: 503, want: 503},
		"no answer without login": {method: "GET", scope: pull, refusal: 401, anonymous: 200, without: io.EOF, want: -1, reported: 2},
		"never without login":     {method: "GET", scope: pull, refusal: 401, anonymous: 200, never: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded()
			g.refusing(tt.refusal)
			challenging := g.handler
			g.handler = func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "Bearer anonymous" && tt.anonymous != 401 {
					w.WriteHeader(tt.anonymous)
					return
				}
				challenging(w, r)
			}
			g.valid = func(token string) bool { return false }
			l := g.login(me)
			var reported []error
			if !tt.never {
				l.WithoutLogin = func(_ context.Context, err error) error {
					reported = append(reported, err)
					return tt.without
				}
			}
			for range 2 {
				resp, err := l.RoundTrip(request(t, tt.method, manifest, tt.scope))
				var token *TokenError
				var failed *CredentialError
				switch {
				case tt.want == 0 && !errors.As(err, &token):
					t.Errorf("got %v, error %v, want a TokenError", resp, err)
				case tt.want < 0 && !errors.As(err, &failed):
					t.Errorf("got %v, error %v, want a CredentialError", resp, err)
				case tt.want > 0:
					wantStatus(t, resp, err, tt.want)
				}
			}
			if len(reported) != tt.reported {
				t.Errorf("got reports %q, want %d", reported, tt.reported)
			}
			for _, err := range reported {
				var refused *RefusedLoginError
				if !errors.As(err, &refused) {
					t.Errorf("got report %v, want a RefusedLoginError", err)
				}
			}
		})
	}
}

// A password that a registry refuses does not keep from reading what it shows to everyone. What it does not show may be
// hidden, except in a repository that has been read anonymously.
func TestRefusedPassword(t *testing.T) {
	g, l := hiding(t, 404, me)
	challenging := g.handler
	g.handler = func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "" || r.URL.Path == "/v2/":
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		case !strings.HasSuffix(r.URL.Path, "/public"):
			challenging(w, r)
		}
	}
	reported := 0
	l.WithoutLogin = func(context.Context, error) error {
		reported++
		return nil
	}
	for _, tt := range []struct {
		method, repo, name string
		want               int
	}{
		{"GET", "app", "absent", 401}, {"GET", "app", "public", 200}, {"GET", "app", "absent", 404}, {"PUT", "app", "public", 401},
		{"GET", "private", "hidden", 401},
	} {
		resp, err := l.RoundTrip(request(t, tt.method, "https://r.example.com/v2/"+tt.repo+"/manifests/"+tt.name, "repository:"+tt.repo+":pull"))
		wantStatus(t, resp, err, tt.want)
	}
	if reported != 1 {
		t.Errorf("got %d reports, want 1", reported)
	}
}

// A refused credential is replaced by another one, if there is one.
func TestRenewedCredential(t *testing.T) {
	fresh := Credential{Username: "me", Secret: "fresh"}
	for _, challenge := range []string{`Basic realm="x"`, `Bearer realm="` + realm + `"`} {
		for _, changed := range []bool{true, false} {
			current := me
			g := newGuarded()
			g.handler = func(w http.ResponseWriter, r *http.Request) {
				_, password, basic := r.BasicAuth()
				switch {
				case r.URL.Host == "auth.example.com" && password == "fresh":
					_, _ = io.WriteString(w, `{"token":"t"}`)
				case password != "fresh" && (basic || r.Header.Get("Authorization") == ""):
					w.Header().Set("WWW-Authenticate", challenge)
					w.WriteHeader(http.StatusUnauthorized)
				}
			}
			l := g.login(me)
			l.Credentials = func(context.Context, []string) (Credential, error) { return current, nil }
			asked := 0
			l.Renew = func(_ context.Context, _ []string, refused Credential) bool {
				asked++
				if refused != me {
					t.Errorf("got %v refused, want %v", refused, me)
				}
				if changed {
					current = fresh
				}
				return changed
			}
			resp, err := l.RoundTrip(request(t, "PUT", manifest, pull))
			if changed {
				wantStatus(t, resp, err, 200)
			} else if err == nil {
				wantStatus(t, resp, err, 401)
			}
			if asked != 1 {
				t.Errorf("%s, changed %t: got %d renewals, want 1", challenge, changed, asked)
			}
		}
	}
}

// A token that is refused with a challenge for another token service is replaced by a token of that.
func TestChallengeNamesAnotherRealm(t *testing.T) {
	g := newGuarded()
	moved := false
	g.handler = func(w http.ResponseWriter, r *http.Request) {
		where, token := realm, "old"
		if moved {
			where, token = "https://new.example.com/token", "new"
		}
		switch {
		case r.URL.Host == "auth.example.com" && moved:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/token":
			_, _ = io.WriteString(w, `{"token":"`+token+`"}`)
		case r.Header.Get("Authorization") != "Bearer "+token:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+where+`"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	l := g.login(me)
	for _, moved = range []bool{false, true, true} {
		resp, err := l.RoundTrip(get(t, manifest, pull))
		wantStatus(t, resp, err, 200)
	}
	for _, r := range g.requests() {
		if r.URL.Host == "auth.example.com" && r != g.requests()[1] {
			t.Errorf("got another request to the former token service: %q", g.urls())
		}
	}
	// A refusal of the former one is not one of the new one.
	moved = true
	again := g.login(me)
	again.challenged, again.challenge = true, &Challenge{"bearer", map[string]string{"realm": realm}}
	if _, err := again.RoundTrip(get(t, manifest, pull)); err == nil {
		t.Error("got no error of the former token service")
	}
	again.challenge = &Challenge{"bearer", map[string]string{"realm": "https://new.example.com/token"}}
	resp, err := again.RoundTrip(get(t, manifest, pull))
	wantStatus(t, resp, err, 200)
}

// Scopes of different credentials are never in one token: neither those of the operation nor those of a challenge or of
// the request itself.
func TestScopesOfDifferentCredentials(t *testing.T) {
	g := newGuarded()
	l := g.login(me)
	l.Credentials = func(_ context.Context, scopes []string) (Credential, error) {
		user := "other"
		if strings.HasPrefix(scopes[0], "repository:mine/") {
			user = "me"
		}
		return Credential{Username: user, Secret: "secret"}, nil
	}
	l.Widen([]string{"repository:mine/a:pull,push", "repository:mine/b:pull", "repository:x:pull"})
	for _, scopes := range [][]string{
		{"repository:mine/a:pull"}, {"repository:x:pull"}, {"repository:mine/c:pull,push", "repository:y:pull"}, {"repository:y:pull"},
	} {
		resp, err := l.RoundTrip(get(t, manifest, scopes...))
		wantStatus(t, resp, err, 200)
	}
	var got []string
	for _, r := range g.requests() {
		if user, _, ok := r.BasicAuth(); ok && r.URL.Host == "auth.example.com" {
			got = append(got, user+" "+strings.Join(r.URL.Query()["scope"], " "))
		}
	}
	want := []string{ // the challenges ask for repository:app:pull, too
		"me repository:mine/a:pull,push repository:mine/b:pull",
		"other repository:app:pull repository:x:pull",
		"me repository:mine/c:pull,push",
		"other repository:app:pull repository:y:pull",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got tokens %q, want %q", got, want)
	}
}
