//go:build unix

package credentials

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// helper puts docker-credential-<name> first in PATH, a shell script with this body, which finds the
// registry it is asked for in $host. Each call adds a line to the file that is returned.
func helper(t *testing.T, name, body string) (calls string) {
	t.Helper()
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	script := fmt.Sprintf("#!/bin/sh\nread -r host\necho \"$1 $host\" >>'%s'\n%s\n", calls, body)
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return calls
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

// config returns the CLI's config file with this content.
func config(t *testing.T, content string) *configfile.ConfigFile {
	t.Helper()
	file := configfile.New("/home/me/.docker/config.json")
	if err := file.LoadFromReader(strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return file
}

func store(t *testing.T, content string) *Store {
	t.Helper()
	file := config(t, content)
	return New(func() *configfile.ConfigFile { return file })
}

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

func TestLookup(t *testing.T) {
	helper(t, "some", `case $host in
known.example) echo '{"Username":"ann","Secret":"pw"}' ;;
token.example) echo '{"Username":"<token>","Secret":"identity"}' ;;
https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"hubpw"}' ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac`)
	file := `{"auths":{
		"file.example": {"auth":"` + basic("bob", "secret") + `"},
		"https://legacy.example/v1/": {"auth":"` + basic("old", "times") + `"},
		"https://index.docker.io/v1/": {"auth":"` + basic("fh", "fp") + `"},
		"identity.example": {"identitytoken":"it"},
		"bearer.example": {"registrytoken":"rt"}`
	for _, tt := range []struct {
		name, config, env, host string
		want                    types.AuthConfig
	}{
		{"file", file + `}}`, "", "file.example",
			types.AuthConfig{Username: "bob", Password: "secret", ServerAddress: "file.example"}},
		{"a URL as key", file + `}}`, "", "legacy.example",
			types.AuthConfig{Username: "old", Password: "times", ServerAddress: "https://legacy.example/v1/"}},
		{"identity token", file + `}}`, "", "identity.example",
			types.AuthConfig{IdentityToken: "it", ServerAddress: "identity.example"}},
		{"registry token", file + `}}`, "", "bearer.example",
			types.AuthConfig{RegistryToken: "rt", ServerAddress: "bearer.example"}},
		{"nothing", `{}`, "", "file.example", types.AuthConfig{}},
		{"Docker Hub", file + `}}`, "", "docker.io",
			types.AuthConfig{Username: "fh", Password: "fp", ServerAddress: hubKey}},
		{"Docker Hub's registry", file + `}}`, "", "registry-1.docker.io",
			types.AuthConfig{Username: "fh", Password: "fp", ServerAddress: hubKey}},
		{"Docker Hub's old name", file + `}}`, "", "index.docker.io",
			types.AuthConfig{Username: "fh", Password: "fp", ServerAddress: hubKey}},
		{"store", `{"credsStore":"some"}`, "", "known.example",
			types.AuthConfig{Username: "ann", Password: "pw", ServerAddress: "known.example"}},
		{"store, Docker Hub", `{"credsStore":"some"}`, "", "docker.io",
			types.AuthConfig{Username: "hub", Password: "hubpw", ServerAddress: hubKey}},
		{"helper before file", file + `}, "credHelpers":{"file.example":"some"}}`, "", "file.example", types.AuthConfig{}},
		{"helper for another host", file + `}, "credHelpers":{"known.example":"some"}}`, "", "file.example",
			types.AuthConfig{Username: "bob", Password: "secret", ServerAddress: "file.example"}},
		{"identity token from a helper", `{"credsStore":"some"}`, "", "token.example",
			types.AuthConfig{IdentityToken: "identity", ServerAddress: "token.example"}},
		{"helper with a registry token in the file", file + `}, "credsStore":"some"}`, "", "bearer.example",
			types.AuthConfig{RegistryToken: "rt"}},
		{"environment before file", file + `}}`, `{"auths":{"file.example":{"auth":"` + basic("e", "v") + `"}}}`, "file.example",
			types.AuthConfig{Username: "e", Password: "v", ServerAddress: "file.example"}},
		{"environment before helper", `{"credsStore":"some"}`, `{"auths":{"known.example":{"auth":"` + basic("e", "v") + `"}}}`, "known.example",
			types.AuthConfig{Username: "e", Password: "v", ServerAddress: "known.example"}},
		{"environment for another host", `{"credsStore":"some"}`, `{"auths":{"file.example":{"auth":"` + basic("e", "v") + `"}}}`, "known.example",
			types.AuthConfig{Username: "ann", Password: "pw", ServerAddress: "known.example"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(configfile.DockerEnvConfigKey, tt.env)
			got, err := store(t, tt.config).Lookup(t.Context(), tt.host, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestHeaderIsThatOfTheDockerCLI(t *testing.T) {
	helper(t, "some", `case $host in
token.example) echo '{"Username":"<token>","Secret":"identity?>"}' ;;
*) echo '{"Username":"ann","Secret":"p~~?w"}' ;;
esac`)
	content := `{"auths":{
		"file.example": {"auth":"` + basic("bob", "se~~?cret") + `", "email":"bob@example.com"},
		"bearer.example": {"registrytoken":"rt"}},
		"credHelpers":{"token.example":"some", "https://index.docker.io/v1/":"some"}}`
	for _, host := range []string{"docker.io", "file.example", "bearer.example", "token.example", "nobody.example"} {
		want, err := command.RetrieveAuthTokenFromImage(config(t, content), host+"/repo:tag")
		if err != nil {
			t.Fatal(err)
		}
		got, err := store(t, content).Header(t.Context(), host, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

func TestNothingIsReadBeforeALookup(t *testing.T) {
	calls := helper(t, "some", `echo '{"Username":"ann","Secret":"pw"}'`)
	loads := 0
	file := config(t, `{"credsStore":"some"}`)
	s := New(func() *configfile.ConfigFile { loads++; return file })
	if _, err := os.Stat(calls); loads != 0 || err == nil {
		t.Fatalf("got %d loads before the first lookup, want 0, and no call of the helper (%v)", loads, err)
	}
	for range 2 {
		if _, err := s.Lookup(t.Context(), "known.example", "", nil); err != nil {
			t.Fatal(err)
		}
	}
	if loads != 1 {
		t.Errorf("got %d loads of the config file, want 1", loads)
	}
}

func TestNoConfigIsNoCredentials(t *testing.T) {
	got, err := New(func() *configfile.ConfigFile { return nil }).Lookup(t.Context(), "docker.io", "", nil)
	if err != nil || got != (types.AuthConfig{}) {
		t.Errorf("got %+v and error %v, want no credentials", got, err)
	}
}

func TestHelperIsAskedOncePerHost(t *testing.T) {
	calls := helper(t, "some", `case $host in
broken.example) exit 3 ;;
*) echo '{"Username":"ann","Secret":"pw"}' ;;
esac`)
	s := store(t, `{"credsStore":"some"}`)
	var wg sync.WaitGroup
	for range 8 {
		for _, host := range []string{"one.example", "broken.example", "docker.io", "registry-1.docker.io"} {
			wg.Go(func() {
				_, err := s.Header(t.Context(), host, "", nil)
				if (err != nil) != (host == "broken.example") {
					t.Errorf("%s: got error %v, want one only for broken.example", host, err)
				}
			})
		}
	}
	wg.Wait()
	got := lines(t, calls)
	if len(got) != 3 {
		t.Errorf("got calls %q of the helper, want 3", got)
	}
	for _, line := range got {
		if !strings.HasPrefix(line, "get ") {
			t.Errorf("got call %q of the helper, want get", line)
		}
	}
}

func TestHelperErrors(t *testing.T) {
	const secret = "dckr_pat_0123456789abcdefghijklm"
	for _, tt := range []struct{ name, body, want string }{
		{"fails", `echo "pass not initialized: exit status 1: Error: ` + secret + `"; exit 2`, "exit status 2: pass not initialized\n"},
		{"fails in two ways", `echo "gpg: decryption failed: No secret key" "no credentials username"; exit 2`,
			"exit status 2: decryption failed: No secret key; no credentials username\n"},
		{"fails silently", `exit 2`, "exit status 2\n"},
		{"fails with an unknown message", `echo "the keychain is locked"; exit 2`,
			"exit status 2\nhint: its output may contain a secret and is not shown; to see it: echo known.example | docker-credential-some get"},
		{"fails with a secret", `echo "` + secret + `"; exit 2`, "exit status 2\n"},
		{"fails with a short secret", `echo "pw dckr_pat_0"; exit 2`, "exit status 2\n"},
		{"fails with a secret on stderr", `echo "` + secret + `" >&2; exit 2`, "exit status 2\n"},
		{"prints junk", `echo ` + secret, "not credentials in JSON"},
		{"prints JSON of another kind", `echo '{"Secret":{"Secret":"` + secret + `"}}'`, "not credentials in JSON"},
		{"prints nothing", ``, "not credentials in JSON"},
		{"prints too much", `while :; do echo '` + strings.Repeat(secret, 1000) + `'; done`, "its output is too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			helper(t, "some", tt.body)
			auth, err := store(t, `{"credsStore":"some"}`).Lookup(t.Context(), "known.example", "", nil)
			if !errors.Is(err, errdefs.ErrFailedPrecondition) || auth != (types.AuthConfig{}) {
				t.Fatalf("got %+v and error %v, want %v", auth, err, errdefs.ErrFailedPrecondition)
			}
			checkText(t, err, "docker-credential-some", "known.example", tt.want)
			if strings.Contains(err.Error(), secret[:10]) || len(err.Error()) > 500 {
				t.Errorf("got error %q, want a short one without the secret", err)
			}
		})
	}
}

func checkText(t *testing.T, err error, wanted ...string) {
	t.Helper()
	got := err.Error() + "\nhint: " + manifest.Hint(err)
	for _, want := range wanted {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

// A helper may not be any program.
func TestHelperNameIsNoPath(t *testing.T) {
	dir := t.TempDir()
	marker := filepath.Join(dir, "ran")
	if err := os.MkdirAll(filepath.Join(dir, "docker-credential-x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "evil"), []byte("#!/bin/sh\ntouch '"+marker+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, name := range []string{"x/../evil", "/evil", `x\\..\\evil`} {
		_, err := store(t, `{"credsStore":"`+name+`"}`).Lookup(t.Context(), "known.example", "", nil)
		if !errors.Is(err, errdefs.ErrFailedPrecondition) {
			t.Errorf("%s: got error %v, want %v", name, err, errdefs.ErrFailedPrecondition)
			continue
		}
		checkText(t, err, "its name contains a path separator", "/home/me/.docker/config.json")
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("got a run of a program outside of PATH")
	}
}

// What a helper reports on stderr is shown, as with the docker CLI, unless it fails.
func TestStderrOfHelpers(t *testing.T) {
	for body, want := range map[string]string{
		`echo note >&2; echo '{"Username":"ann","Secret":"pw"}'`:                             "note\n",
		`head -c 2000000 /dev/zero | tr '\0' x >&2; echo '{"Username":"ann","Secret":"pw"}'`: strings.Repeat("x", maxReport),
		`echo secret >&2; exit 1`: "",
	} {
		helper(t, "some", body)
		stderr := os.Stderr
		file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		os.Stderr = file
		_, _ = store(t, `{"credsStore":"some"}`).Lookup(t.Context(), "known.example", "", nil)
		os.Stderr = stderr
		if got, err := os.ReadFile(file.Name()); err != nil || string(got) != want {
			t.Errorf("got %.100q, error %v, want %.100q", got, err, want)
		}
	}
}

func TestMissingHelper(t *testing.T) {
	_, err := store(t, `{"credHelpers":{"known.example":"nowhere"}}`).Lookup(t.Context(), "known.example", "", nil)
	if !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Fatal(err)
	}
	checkText(t, err, "docker-credential-nowhere", "known.example", "no such program in PATH")
}

func TestHelperThatCannotRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-some"), []byte("#!/nowhere/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	_, err := New(func() *configfile.ConfigFile {
		return &configfile.ConfigFile{CredentialsStore: "some"}
	}).Lookup(t.Context(), "known.example", "", nil)
	if !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Fatal(err)
	}
	checkText(t, err, "docker-credential-some", "in the docker config")
}

func TestHangingHelperIsKilled(t *testing.T) {
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	helper(t, "some", `echo $$ >'`+pidFile+`'; exec sleep 1000`)
	s := store(t, `{"credsStore":"some"}`)
	s.timeout = 500 * time.Millisecond
	_, err := s.Lookup(t.Context(), "known.example", "", nil)
	if !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Fatal(err)
	}
	checkText(t, err, "docker-credential-some", "known.example", "no answer within 500ms")
	if raw, err := os.ReadFile(pidFile); err == nil && alive(t, strings.TrimSpace(string(raw))) {
		t.Error("the helper is still running, want it killed")
	}
}

// alive reports whether the process is there; it has been waited for, so that it is no zombie.
func alive(t *testing.T, pid string) bool {
	t.Helper()
	_, err := os.Stat("/proc/" + pid)
	return err == nil
}

// A helper may start an agent that outlives it and holds its stdout.
func TestHelperThatLeavesAProcessBehind(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	helper(t, "some", `mkfifo '`+fifo+`'; cat '`+fifo+`' & echo '{"Username":"ann","Secret":"pw"}'`)
	got, err := store(t, `{"credsStore":"some"}`).Lookup(t.Context(), "known.example", "", nil)
	if err := os.WriteFile(fifo, nil, 0o600); err != nil { // lets the process end
		t.Error(err)
	}
	if err != nil || got.Password != "pw" {
		t.Errorf("got %+v and error %v, want the password pw", got, err)
	}
}

func TestCancelStopsTheHelper(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	calls := helper(t, "some", `[ -e '`+fifo+`' ] && { echo started >'`+fifo+`'; exec sleep 1000; }
echo '{"Username":"ann","Secret":"pw"}'`)
	if err := mkfifo(fifo); err != nil {
		t.Fatal(err)
	}
	s := store(t, `{"credsStore":"some"}`)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := s.Lookup(ctx, "known.example", "", nil)
		first <- err
	}()
	if _, err := os.ReadFile(fifo); err != nil { // returns when the helper is running
		t.Fatal(err)
	}
	if err := os.Remove(fifo); err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	go func() {
		_, err := s.Lookup(t.Context(), "known.example", "", nil)
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled lookup: got error %v, want %v", err, context.Canceled)
	}
	if err := <-second; err != nil {
		t.Errorf("lookup that waited for it: got error %v, want none", err)
	}
	if got := lines(t, calls); len(got) != 2 {
		t.Errorf("got calls %q of the helper, want 2", got)
	}
	if _, err := s.Lookup(ctx, "other.example", "", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("lookup after the cancel: got error %v, want %v", err, context.Canceled)
	}
}

// A helper is asked again after Forget, for that registry and if its answer is a minute old.
func TestForget(t *testing.T) {
	calls := helper(t, "some", `echo '{"Username":"ann","Secret":"pw"}'`)
	s := store(t, `{"credsStore":"some"}`)
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	for _, tt := range []struct {
		after  time.Duration
		forget string
		want   int
	}{{0, "", 2}, {time.Hour, "", 2}, {0, "one.example", 3}, {59 * time.Second, "one.example", 3}, {time.Second, "one.example", 4}} {
		now = now.Add(tt.after)
		if tt.forget != "" {
			s.Forget(tt.forget)
		}
		for _, host := range []string{"one.example", "two.example"} {
			if _, err := s.Lookup(t.Context(), host, "", nil); err != nil {
				t.Fatal(err)
			}
		}
		if got := lines(t, calls); len(got) != tt.want {
			t.Errorf("%+v: got calls %q of the helper, want %d", tt, got, tt.want)
		}
	}
}

// The source of a login is reported once, without the login.
func TestTraceOfSources(t *testing.T) {
	helper(t, "some", `if [ $host = known.example ]; then echo '{"Username":"ann","Secret":"pw"}'; else echo "credentials not found in native keychain"; exit 1; fi`)
	file := `{"auths":{"file.example":{"auth":"` + basic("bob", "secret") + `"}}, "credHelpers":{"known.example":"some","none.example":"some"}}`
	for _, tt := range []struct{ host, env, want string }{
		{"file.example", "", "config.json"},
		{"known.example", "", "docker-credential-some"},
		{"none.example", "", "no login"},
		{"other.example", "", "no login"},
		{"file.example", `{"auths":{"file.example":{"auth":"` + basic("e", "v") + `"}}}`, "DOCKER_AUTH_CONFIG"},
		{"known.example", `{"auths":{"known.example":{"auth":"` + basic("e", "v") + `"}}}`, "DOCKER_AUTH_CONFIG"},
	} {
		t.Setenv(configfile.DockerEnvConfigKey, tt.env)
		s := store(t, file)
		var got []string
		s.Trace = func(host, source string) { got = append(got, host+" "+filepath.Base(source)) }
		for range 2 {
			if _, err := s.Lookup(t.Context(), tt.host, "", nil); err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{tt.host + " " + tt.want}; !slices.Equal(got, want) {
			t.Errorf("%s with %q: got sources %q, want %q", tt.host, tt.env, got, want)
		}
	}
}
