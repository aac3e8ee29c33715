package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// observers record what a command contacts: a daemon, a registry and web proxy, and a credential helper. None of them
// answers usefully.
type observers struct {
	daemon, registry atomic.Int32 // connections
	host             string       // of the registry
	calls            string       // file to which the helper writes its calls
}

func newObservers(t *testing.T, env *harness.Env) *observers {
	t.Helper()
	w := &observers{calls: filepath.Join(env.Home, "calls")}
	socket := filepath.Join(env.Home, "daemon.sock")
	listen(t, "unix", socket, &w.daemon)
	env.Set("DOCKER_HOST", "unix://"+socket)
	w.host = listen(t, "tcp", "127.0.0.1:0", &w.registry)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		env.Set(name, "http://"+w.host)
	}

	bin := filepath.Join(env.Home, "bin")
	helper := fmt.Sprintf("#!/bin/sh\necho \"$@\" >> '%s'\necho 'credentials not found in native keychain'\nexit 1\n", w.calls)
	config := fmt.Sprintf(`{"credsStore": "observer", "credHelpers": {%q: "observer"}, "auths": {%[1]q: {}}}`, w.host)
	write(t, filepath.Join(bin, "docker-credential-observer"), helper, 0o700)
	write(t, filepath.Join(env.Config, "config.json"), config, 0o600)
	env.Set("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return w
}

// listen counts connections and requires a login for every request.
func listen(t *testing.T, network, address string, connections *atomic.Int32) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="observer"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	_ = s.Listener.Close()
	s.Listener = l
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return l.Addr().String()
}

func write(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = os.WriteFile(file, []byte(content), mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// saw returns which observers were contacted since the last call.
func (w *observers) saw() string {
	var who []string
	if w.daemon.Swap(0) > 0 {
		who = append(who, "daemon")
	}
	if w.registry.Swap(0) > 0 {
		who = append(who, "registry")
	}
	if os.Remove(w.calls) == nil {
		who = append(who, "helper")
	}
	return strings.Join(who, " ")
}

// Start-up, help and commands on local lists contact nothing: no daemon, no registry, no credential helper.
func TestStartUpContactsNothing(t *testing.T) {
	t.Parallel()
	env, r, repo := harness.NewEnv(t), harness.Registry(t, harness.V3), harness.Repo(t)
	amd := harness.Put(t, r, repo, "amd64", images.Image(images.Spec{Seed: repo + "1", Platform: amd64}))
	arm := harness.Put(t, r, repo, "arm64", images.Image(images.Spec{Seed: repo + "2", Platform: arm64}))
	far := "registry.example.com/" + repo + ":1" // reached through the proxy
	harness.MustRun(t, env, "docker", "multiarch", "create", far, amd, arm)
	w := newObservers(t, env)
	near := w.host + "/" + repo + ":1"
	harness.MustRun(t, env, "docker", "multiarch", "create", near, amd, arm)
	w.saw()

	plugin, err := harness.Plugin()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{plugin, "docker-cli-plugin-metadata"},
		{"docker", "multiarch"},
		{"docker", "multiarch", "--help"},
		{"docker", "multiarch", "create", "--help"},
		{"docker", "multiarch", "push", "--help"},
		{"docker", "multiarch", "version"},
		{"docker", "multiarch", "ls"},
		{"docker", "multiarch", "annotate", "--variant", "v8", near, arm},
		{"docker", "multiarch", "annotate", "--variant", "v8", far, arm},
		{"docker", "multiarch", "drop", near, amd},
		{"docker", "multiarch", "inspect", near},
		{"docker", "multiarch", "rm", near},
		{"docker", "multiarch", "prune", "--force"},
	} {
		harness.MustRun(t, env, args[0], args[1:]...)
		if who := w.saw(); who != "" {
			t.Errorf("%s: got contacts %s, want none", strings.Join(args, " "), who)
		}
	}
}

// The observers of the test above notice what is contacted.
func TestStartUpObserversSeeRequests(t *testing.T) {
	t.Parallel()
	env := harness.NewEnv(t)
	w := newObservers(t, env)
	for _, test := range []struct{ image, from, want string }{
		{w.host + "/absent:1", "registry", "registry helper"},
		{"registry.example.com/absent:1", "registry", "registry helper"}, // as a proxy
		{"absent:1", "daemon", "daemon"},
	} {
		harness.MustFail(t, env, 1, nil, "docker", "multiarch", "create", "--from", test.from, "list:1", test.image)
		if who := w.saw(); who != test.want {
			t.Errorf("%s from the %s: got contacts %q, want %q", test.image, test.from, who, test.want)
		}
	}
}
