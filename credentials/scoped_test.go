//go:build unix

package credentials

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/config/configfile"
)

// scopedLogins writes config files into the folders of buildx, whose user is named as the folder.
func scopedLogins(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		host, _, _ := strings.Cut(name, "/")
		host, _, _ = strings.Cut(host, "@")
		if host == hubHost {
			host = hubKey
		}
		writeFile(t, filepath.Join(root, "config", name, "config.json"), `{"auths":{"`+host+`":{"auth":"`+basic(strings.ReplaceAll(name, ":", "-"), "pw")+`"}}}`)
	}
}

func writeFile(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A login that is limited to a repository or to actions is used for these, by the rules of buildx.
func TestScopedLogins(t *testing.T) {
	root := t.TempDir()
	t.Setenv("BUILDX_CONFIG", root)
	scopedLogins(t, root, "h.example", "h.example@push", "h.example/a/b", "h.example/a/b@push", "h.example/a/b@pull,push", "h.example/c@push",
		"h.example/d@ push , ,push", "p.example:5000/a@push", "registry-1.docker.io/me/app@push", "docker.io/me/app", "e.example/a")
	writeFile(t, filepath.Join(root, "config", "e.example/a", "config.json"), `{}`)
	s := store(t, `{"auths":{"h.example":{"auth":"`+basic("default", "pw")+`"},"p.example:5000":{"auth":"`+basic("default", "pw")+`"},
		"e.example":{"auth":"`+basic("default", "pw")+`"},"https://index.docker.io/v1/":{"auth":"`+basic("default", "pw")+`"}}}`)
	for _, tt := range []struct{ host, repository, actions, want string }{
		{"h.example", "", "*", "h.example"},
		{"h.example", "x", "pull", "h.example"},
		{"h.example", "x", "pull,push", "h.example@push"},
		{"h.example", "x", "pull,delete", "h.example@push"},
		{"h.example", "a/b", "pull", "h.example/a/b"},
		{"h.example", "a/b", "pull,push", "h.example/a/b@pull,push"},
		{"h.example", "a", "pull", "h.example"},
		{"h.example", "a/b/c", "pull", "h.example"},
		{"h.example", "c", "pull", "h.example"},
		{"h.example", "c", "pull,push", "h.example/c@push"},
		{"h.example", "d", "pull,push", "h.example/d@ push , ,push"},
		{"h.example", "d", "pull", "h.example"},
		{"p.example:5000", "a", "pull", "default"},
		{"p.example:5000", "a", "pull,push", "p.example-5000/a@push"},
		{"p.example", "a", "pull,push", ""},
		{"docker.io", "me/app", "pull", "default"},
		{"docker.io", "me/app", "pull,push", "registry-1.docker.io/me/app@push"},
		{"registry-1.docker.io", "me/app", "pull,push", "registry-1.docker.io/me/app@push"},
		{"e.example", "a", "pull", ""}, // the chosen file has no login
		{"e.example", "b", "pull", "default"},
	} {
		got, err := s.Lookup(t.Context(), tt.host, tt.repository, strings.Split(tt.actions, ","))
		if err != nil || got.Username != tt.want {
			t.Errorf("%s/%s %s: got user %q, error %v, want %q", tt.host, tt.repository, tt.actions, got.Username, err, tt.want)
		}
	}
}

// The configuration of buildx is where BUILDX_CONFIG says, and otherwise beside that of docker.
func TestPlaceOfScopedLogins(t *testing.T) {
	own, other := t.TempDir(), t.TempDir()
	scopedLogins(t, filepath.Join(own, "buildx"), "h.example/own")
	scopedLogins(t, other, "h.example/other")
	for _, tt := range []struct{ env, filename, repository, want string }{
		{"", filepath.Join(own, "config.json"), "own", "h.example/own"},
		{"", filepath.Join(own, "config.json"), "other", ""},
		{other, filepath.Join(own, "config.json"), "own", ""},
		{other, filepath.Join(own, "config.json"), "other", "h.example/other"},
		{other, "", "other", "h.example/other"},
		{"", "", "own", ""},
		{filepath.Join(own, "absent"), "", "own", ""},
	} {
		t.Setenv("BUILDX_CONFIG", tt.env)
		s := New(func() *configfile.ConfigFile { return configfile.New(tt.filename) })
		got, err := s.Lookup(t.Context(), "h.example", tt.repository, []string{"pull"})
		if err != nil || got.Username != tt.want {
			t.Errorf("%+v: got user %q, error %v", tt, got.Username, err)
		}
	}
}

// A scoped login may be in a helper, which has a key of its own for nothing: it is asked once for each file.
func TestScopedHelper(t *testing.T) {
	root := t.TempDir()
	t.Setenv("BUILDX_CONFIG", root)
	one := helper(t, "one", `echo '{"Username":"one","Secret":"pw"}'`)
	writeFile(t, filepath.Join(root, "config", "h.example", "a", "config.json"), `{"credsStore":"one"}`)
	writeFile(t, filepath.Join(root, "config", "h.example", "b", "config.json"), `{"credsStore":"broken"}`)
	s := store(t, `{}`)
	for range 3 {
		got, err := s.Lookup(t.Context(), "h.example", "a", []string{"pull"})
		if err != nil || got.Username != "one" {
			t.Errorf("got user %q, error %v, want one", got.Username, err)
		}
	}
	if got := lines(t, one); len(got) != 1 {
		t.Errorf("got calls %q of the helper, want 1", got)
	}
	_, err := s.Lookup(t.Context(), "h.example", "b", []string{"pull"})
	if err == nil {
		t.Fatal("got no error of a helper that does not exist")
	}
	checkText(t, err, "docker-credential-broken", filepath.Join(root, "config", "h.example", "b", "config.json"))
}

// What cannot be read may be a login: that is an error.
func TestScopedLoginThatCannotBeRead(t *testing.T) {
	root := t.TempDir()
	t.Setenv("BUILDX_CONFIG", root)
	writeFile(t, filepath.Join(root, "config", "h.example", "a", "config.json"), `{"auths":`)
	s := store(t, `{"auths":{"h.example":{"auth":"`+basic("default", "pw")+`"}}}`)
	_, err := s.Lookup(t.Context(), "h.example", "a", []string{"pull"})
	if !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Fatalf("got error %v, want %v", err, errdefs.ErrFailedPrecondition)
	}
	checkText(t, err, "scoped logins of buildx cannot be read", filepath.Join("h.example", "a", "config.json"))
	if got, err := s.Lookup(t.Context(), "h.example", "b", []string{"pull"}); err != nil || got.Username != "default" {
		t.Errorf("got user %q, error %v, want the default", got.Username, err)
	}
}
