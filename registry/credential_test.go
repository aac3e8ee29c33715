package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// expiring is a registry that accepts one password at a time.
func expiring(f *fake) (password *atomic.Value) {
	password = &atomic.Value{}
	password.Store("p1")
	f.before = func(w http.ResponseWriter, r *http.Request) bool { return basic("me", password.Load().(string))(w, r) }
	return password
}

// A credential that is refused is looked up again once it has been held for a minute: by one of the requests, and as often
// as it changes.
func TestCredentialExpires(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.putImage("app", "1")
	valid, stored := expiring(f), "p1"
	looked, forgotten := 0, 0
	c := n.client(Options{
		Credentials: func(context.Context, string, string, []string) (Credential, error) {
			looked++
			return Credential{Username: "me", Secret: stored}, nil
		},
		Forget: func(host string) {
			forgotten++
			if host != "a.example.com" {
				t.Errorf("got %s forgotten, want a.example.com", host)
			}
		},
	})
	now := newClock()
	now.rule(c.budget)
	for _, tt := range []struct {
		after         time.Duration
		valid, stored string
		ok            bool
		looked        int
	}{
		{0, "p1", "p1", true, 1},
		{59 * time.Second, "p2", "p2", false, 1}, // too new
		{time.Second, "p2", "p2", true, 2},
		{time.Hour, "p2", "p2", true, 2},    // as long as it is accepted
		{time.Second, "p3", "p2", false, 3}, // there is no other
		{59 * time.Second, "p3", "p3", false, 3},
		{time.Second, "p3", "p3", true, 4},
	} {
		_ = now.sleep(t.Context(), tt.after)
		valid.Store(tt.valid)
		stored = tt.stored
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); (err == nil) != tt.ok {
					t.Errorf("%+v: got error %v", tt, err)
				}
			})
		}
		group.Wait()
		if looked != tt.looked || forgotten != tt.looked-1 {
			t.Errorf("%+v: got %d lookups and %d forgotten, want %d and %d", tt, looked, forgotten, tt.looked, tt.looked-1)
		}
	}
}

// An upload, which is not sent again as it is, starts again with the new credential.
func TestCredentialExpiresDuringCopies(t *testing.T) {
	n, from, to := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", from)
	n.secure("b.example.com:443", to)
	image := from.putImage("app", "1")
	valid, stored := expiring(to), "p1"
	c := n.client(Options{Credentials: func(_ context.Context, host, _ string, _ []string) (Credential, error) {
		if host == "a.example.com" {
			return Credential{}, nil
		}
		return Credential{Username: "me", Secret: stored}, nil
	}})
	now := newClock()
	now.rule(c.budget)
	check := to.before
	var once sync.Once
	to.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			once.Do(func() {
				_ = now.sleep(t.Context(), time.Hour)
				valid.Store("p2")
				stored = "p2"
			})
		}
		return check(w, r)
	}
	if err := c.Copy(t.Context(), parse(t, "a.example.com/app"), image, parse(t, "b.example.com/app")); err != nil {
		t.Error(err)
	}
}

// A lookup that fails leaves the old credential, and says why.
func TestCredentialCannotBeRenewed(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.putImage("app", "1")
	valid := expiring(f)
	var broken error
	var warnings []string
	c := n.client(Options{
		Credentials: func(context.Context, string, string, []string) (Credential, error) {
			return Credential{Username: "me", Secret: "p1"}, broken
		},
		Warn: func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) },
	})
	now := newClock()
	now.rule(c.budget)
	ref := parse(t, "a.example.com/app:1")
	if _, err := c.Fetch(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	_ = now.sleep(t.Context(), time.Hour)
	valid.Store("p2")
	broken = errors.New("helper timed out")
	_, err := c.Fetch(t.Context(), ref)
	wantError(t, err, errdefs.ErrUnauthenticated, "401 Unauthorized")
	if len(warnings) != 1 || !strings.Contains(warnings[0], "a.example.com was refused") || !strings.Contains(warnings[0], "helper timed out") {
		t.Errorf("got warnings %q, want one about the helper", warnings)
	}
	valid.Store("p1")
	if _, err := c.Fetch(t.Context(), ref); err != nil {
		t.Error(err)
	}
}

// The report about a login that was refused names the registry, who refused it and why, and what to do, without secrets.
func TestRefusedLoginIsReported(t *testing.T) {
	n, f := newNetwork(t), newFake()
	service := &tokens{check: func(r *http.Request) bool { return r.Header.Get("Authorization") == "" }}
	n.secure("a.example.com:443", f)
	n.secure("auth.example.com:443", service)
	f.before = bearer("https://auth.example.com/token")
	f.putImage("app", "1")
	var reported []error
	c := n.client(Options{
		Credentials: credential(Credential{Username: "me", Secret: "hunter22"}),
		WithoutLogin: func(_ context.Context, err error) error {
			reported = append(reported, err)
			return nil
		},
	})
	ref := parse(t, "a.example.com/app:1")
	for range 2 {
		if _, err := c.Fetch(t.Context(), ref); err != nil {
			t.Error(err)
		}
	}
	const want = "the login of a.example.com was refused: token service auth.example.com: 401 Unauthorized: incorrect username or password"
	if len(reported) != 1 || reported[0].Error() != want || manifest.Hint(reported[0]) != "log in again: docker login a.example.com" {
		t.Errorf("got reports %q, want %q with a hint", reported, want)
	}
	err := c.Put(t.Context(), ref, manifest.NewContent(manifest.MediaTypeDockerList, []byte(emptyIndex)))
	wantError(t, err, errdefs.ErrUnauthenticated, "PUT manifest a.example.com/app:1", "token service auth.example.com: 401")
	_, err = c.Fetch(t.Context(), parse(t, "a.example.com/app:absent"))
	wantError(t, err, errdefs.ErrNotFound)
	_, err = c.Fetch(t.Context(), parse(t, "a.example.com/hidden:1")) // which the anonymous cannot know to be absent
	wantError(t, err, errdefs.ErrUnauthenticated, "manifest a.example.com/hidden:1", "token service auth.example.com: 401")
	if got := len(service.requests()); got != 5 { // refused for writing and, like anonymous, for reading both repositories
		t.Errorf("got token requests %q, want 5", service.requests())
	}
}

// Blobs of a repository that takes another credential are sent: no token could permit to mount them.
func TestCopyBetweenCredentials(t *testing.T) {
	for user, want := range map[string]int{"me": 0, "other": 1} {
		n, f, service := newNetwork(t), newFake(), &tokens{}
		n.secure("a.example.com:443", f)
		n.secure("auth.example.com:443", service)
		f.before = bearer("https://auth.example.com/token")
		image := f.putImage("from", "1")
		c := n.client(Options{Credentials: func(_ context.Context, _, repo string, _ []string) (Credential, error) {
			return Credential{Username: map[string]string{"from": user, "to": "me"}[repo], Secret: "secret"}, nil
		}})
		if err := c.Copy(t.Context(), parse(t, "a.example.com/from"), image, parse(t, "a.example.com/to")); err != nil {
			t.Error(err)
		}
		sent, mounts := 0, 0
		for _, r := range f.requests() {
			if strings.HasPrefix(r, "PUT /v2/to/blobs/") {
				sent++
			}
			if strings.Contains(r, "mount=") {
				mounts++
			}
		}
		if sent != want || (mounts == 0) != (want > 0) {
			t.Errorf("source of %s: got %d uploads and %d mounts, want %d uploads: %q", user, sent, mounts, want, f.requests())
		}
	}
}

// None of several registry tokens is in an error, whichever the registry returns.
func TestRegistryTokensAreNotShown(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://a.example.com/token"`)
			w.WriteHeader(http.StatusUnauthorized)
		} else {
			refuse(w, http.StatusForbidden, "DENIED", "token-of-one, token-of-two")
		}
		return true
	}
	c := n.client(Options{Credentials: func(_ context.Context, _, repo string, _ []string) (Credential, error) {
		return Credential{RegistryToken: "token-of-" + repo}, nil
	}})
	for _, repo := range []string{"one", "two", "three"} {
		_, err := c.Fetch(t.Context(), parse(t, "a.example.com/"+repo+":1"))
		if err == nil || repo != "one" && !strings.Contains(err.Error(), "DENIED: ***, ***") {
			t.Errorf("%s: got error %v, want one without tokens", repo, err)
		}
	}
}
