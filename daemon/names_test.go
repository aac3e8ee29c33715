package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
)

func TestTagAndUntag(t *testing.T) {
	for _, version := range allVersions {
		f := newFake(t, version, map[string]http.HandlerFunc{
			"POST /images/" + digestA.String() + "/tag": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) },
			"DELETE /images/h.example/x:staging":        answer(`[{"Untagged":"h.example/x:staging"}]`),
			"DELETE /images/docker.io/library/app:used": refuse(http.StatusConflict, "container is using it"),
		})
		d, name := f.daemon(), tagged(t, "h.example/x:staging")
		if err := d.Tag(t.Context(), digestA, name); err != nil {
			t.Errorf("API %s: got error %v, want none", version, err)
		}
		if err := d.Untag(t.Context(), name); err != nil {
			t.Errorf("API %s: got error %v, want none", version, err)
		}
		want := []string{
			"POST /images/" + digestA.String() + "/tag?repo=h.example%2Fx&tag=staging",
			"DELETE /images/h.example/x:staging?noprune=1",
		}
		if got := f.asked(); !slices.Equal(got, want) {
			t.Errorf("API %s: got requests %q, want %q", version, got, want)
		}
		if err := d.Tag(t.Context(), digestB, name); !errors.Is(err, errdefs.ErrNotFound) {
			t.Errorf("API %s: tagging an absent image: got error %v, want %v", version, err, errdefs.ErrNotFound)
		}
		if err := d.Untag(t.Context(), tagged(t, "h.example/x:2")); !errors.Is(err, errdefs.ErrNotFound) {
			t.Errorf("API %s: untagging an absent image: got error %v, want %v", version, err, errdefs.ErrNotFound)
		}
		err := d.Untag(t.Context(), tagged(t, "app:used"))
		if !errors.Is(err, errdefs.ErrConflict) {
			t.Fatalf("API %s: got error %v, want %v", version, err, errdefs.ErrConflict)
		}
		checkText(t, err, "untagging app:used", "container is using it")
	}
}

func TestList(t *testing.T) {
	many := make([]string, maxNames)
	for i := range many {
		many[i] = fmt.Sprintf("many:%d", i)
	}
	f := newFake(t, "1.24", map[string]http.HandlerFunc{"GET /images/json": answer([]any{
		map[string]any{"Id": digestA, "RepoTags": nil},
		map[string]any{"Id": digestA, "RepoTags": []string{"<none>:<none>"}},
		map[string]any{"Id": digestA, "RepoTags": []string{"b:1", "docker.io/library/a:2"}},
		map[string]any{"Id": digestB, "RepoTags": append([]string{"h.example/x:1"}, many...)},
	})})
	got, err := f.daemon().List(t.Context())
	if err != nil || len(got) != maxNames || !slices.Equal(got[:4], []string{"b:1", "a:2", "h.example/x:1", "many:0"}) {
		t.Errorf("got %d names, first %v, and error %v, want %d and no error", len(got), got[:min(4, len(got))], err, maxNames)
	}
	broken := newFake(t, "1.51", map[string]http.HandlerFunc{"GET /images/json": answer("junk")})
	if got, err := broken.daemon().List(t.Context()); err == nil || got != nil {
		t.Errorf("got %v and error %v, want an error only", got, err)
	}
}

// The localhost of podman is no registry, but a source with that name would be looked up in one.
func TestListOfPodman(t *testing.T) {
	tags := answer([]any{map[string]any{"Id": digestA, "RepoTags": []string{"localhost/a:1", "localhost/team/a:1", "docker.io/library/b:1", "localhost:5000/c:1"}}})
	f := newFake(t, "1.41", map[string]http.HandlerFunc{"GET /images/json": tags, "GET /version": podman})
	for experimental, want := range map[bool][]string{
		true:  {"a:1", "team/a:1", "b:1", "localhost:5000/c:1"},
		false: {"localhost/a:1", "localhost/team/a:1", "b:1", "localhost:5000/c:1"},
	} {
		f.experimental = experimental
		if got, err := f.daemon().List(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("experimental %t: got %q and error %v, want %q", experimental, got, err, want)
		}
	}
}

func TestInsecure(t *testing.T) {
	f := newFake(t, "1.51", map[string]http.HandlerFunc{"GET /info": answer(map[string]any{"RegistryConfig": map[string]any{
		"InsecureRegistryCIDRs": []string{"127.0.0.0/8", "::1/128", "192.0.2.0/24", "2001:db8::/32"},
		"IndexConfigs": map[string]any{
			"docker.io":       map[string]any{"Name": "docker.io", "Secure": true},
			"plain.test:5000": map[string]any{"Name": "plain.test:5000", "Secure": false},
			"192.0.2.7:443":   map[string]any{"Name": "192.0.2.7:443", "Secure": true},
			"nothing.invalid": nil,
		},
	}})})
	d := f.daemon()
	for host, want := range map[string]bool{
		"docker.io":            false,
		"plain.test:5000":      true,
		"plain.invalid:5001":   false,
		"nothing.invalid":      false,
		"localhost":            true,
		"LOCALHOST:5000":       true,
		"127.0.0.1:5000":       true,
		"127.1.2.3":            true,
		"[::1]:5000":           true,
		"[::1]":                true,
		"192.0.2.1:5000":       true,
		"192.0.2.1":            true,
		"192.0.2.7:443":        false,
		"198.51.100.1":         false,
		"[2001:db8::1]:5000":   true,
		"no.such.host.invalid": false,
	} {
		if got := d.Insecure(t.Context(), host); got != want {
			t.Errorf("%s: got insecure %t, want %t", host, got, want)
		}
	}
	if got := f.asked(); len(got) != 1 {
		t.Errorf("got requests %q, want one", got)
	}
}

func TestInsecureWithoutSettings(t *testing.T) {
	for _, info := range []http.HandlerFunc{answer(`{}`), answer(`{"RegistryConfig":{}}`), answer("junk"), refuse(http.StatusForbidden, "no")} {
		f := newFake(t, "1.24", map[string]http.HandlerFunc{"GET /info": info})
		d := f.daemon()
		if d.Insecure(t.Context(), "h.example") || d.Insecure(t.Context(), "192.0.2.1") {
			t.Error("got an insecure registry, want none")
		}
		if !d.Insecure(t.Context(), "localhost:5000") || len(f.asked()) != 1 {
			t.Errorf("got requests %q, want one, and localhost:5000 insecure", f.asked())
		}
	}
}
