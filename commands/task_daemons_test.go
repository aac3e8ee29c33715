package commands

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/flags"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// newTestDaemons returns the daemons of a docker CLI with these docker contexts, NAME=HOST.
func newTestDaemons(t *testing.T, contexts ...string) *daemons {
	t.Helper()
	old := config.Dir()
	config.SetDir(t.TempDir())
	t.Cleanup(func() { config.SetDir(old) })
	cli, err := command.NewDockerCli(command.WithCombinedStreams(&bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contexts {
		name, host, _ := strings.Cut(c, "=")
		dir := filepath.Join(config.Dir(), "contexts", "meta", digest.FromString(name).Encoded())
		meta := fmt.Sprintf(`{"Name":%q,"Metadata":{},"Endpoints":{"docker":{"Host":%q}}}`, name, host)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "meta.json"), []byte(meta), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := cli.Initialize(flags.NewClientOptions()); err != nil {
		t.Fatal(err)
	}
	d, err := newDaemons(newTools(environment{Cli: cli, shown: &shown{}}, true), "r1", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(d.config.dir) })
	return d
}

// Paths that are relative to the working directory of the run do not lead docker commands to files of the workspace.
func TestRelativePathsOfDockerCommands(t *testing.T) {
	d := newTestDaemons(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := os.MkdirAll(filepath.Join(dir, "buildx", "instances", "mine"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BUILDX_CONFIG", "buildx")
	t.Setenv("DOCKER_CERT_PATH", "certs")
	t.Setenv(metadata.ReexecEnvvar, filepath.Join("bin", "docker"))
	cmd, err := d.Docker(t.Context(), "", nil, "build", "--builder=mine", ".")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "bin", "docker"); cmd.Path != want {
		t.Errorf("got program %s, want %s", cmd.Path, want)
	}
	cmd.Dir = t.TempDir()
	env := cmd.Environ()
	for _, want := range []string{"BUILDX_CONFIG=" + filepath.Join(dir, "buildx"), "DOCKER_CERT_PATH=" + filepath.Join(dir, "certs")} {
		if !slices.Contains(env, want) {
			t.Errorf("got environment %q, want %s", env, want)
		}
	}
}

// environmentOf returns the environment of a docker command.
func environmentOf(t *testing.T, d *daemons, dockerContext string, args ...string) []string {
	t.Helper()
	cmd, err := d.Docker(t.Context(), dockerContext, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return cmd.Env
}

func TestContextsOfOneAddressAreOneDaemon(t *testing.T) {
	t.Setenv("DOCKER_HOST", "tcp://one.example.com:2375")
	d := newTestDaemons(t, "same=tcp://one.example.com:2375", "other=tcp://two.example.com:2375")
	var got []run.Daemon
	for _, name := range []string{"", "same", "other"} {
		one, err := d.Daemon(name)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, one)
	}
	if got[0] != got[1] || got[0] == got[2] {
		t.Errorf("got daemons %p, want the first two equal and the third different", got)
	}
	if _, err := d.Daemon("othr"); err == nil || !strings.Contains(err.Error(), "docker context othr") || !strings.Contains(manifest.Hint(err), "docker context ls") {
		t.Errorf("got error %v, want %s", err, "docker context othr")
	}
}

func TestEnvironmentOfDockerCommands(t *testing.T) {
	t.Setenv("DOCKER_CONTEXT", "same")
	t.Setenv("DOCKER_CLI_PLUGIN_SOCKET", "@socket")
	d := newTestDaemons(t, "same=tcp://one.example.com:2375")
	for dockerContext, want := range map[string]string{
		"": "DOCKER_CONTEXT=same", "same": "DOCKER_CONTEXT=same", "default": "DOCKER_HOST=unix:///var/run/docker.sock",
	} {
		var got []string
		for _, kv := range environmentOf(t, d, dockerContext, "ps") {
			for _, name := range []string{"DOCKER_CONTEXT=", "DOCKER_HOST=", "DOCKER_CLI_PLUGIN_", "DOCKER_CONFIG="} {
				if strings.HasPrefix(kv, name) {
					got = append(got, kv)
				}
			}
		}
		slices.Sort(got)
		if w := []string{"DOCKER_CONFIG=" + d.config.dir, want}; !slices.Equal(got, w) {
			t.Errorf("docker context %q: got environment %q, want %q", dockerContext, got, w)
		}
	}
	t.Setenv("DOCKER_HOST", "nonsense://")
	if env := environmentOf(t, newTestDaemons(t), "", "ps"); !slices.Contains(env, "DOCKER_CONTEXT=default") {
		t.Errorf("invalid DOCKER_HOST: got environment %q, want DOCKER_CONTEXT=default", env)
	}
}

// Docker commands have the working directory of a step, in which they must not look for the user's files.
func TestPathsOfDockerCommands(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)
	if cwd, err := os.Getwd(); err == nil {
		here = cwd
	}
	d := newTestDaemons(t)
	for _, tt := range [][2]string{
		{"HOME=.", "HOME=" + here},
		{"HOME=/a:b", "HOME=/a:b"},
		{"SSL_CERT_FILE=certs/ca.pem", "SSL_CERT_FILE=" + filepath.Join(here, "certs/ca.pem")},
		{"SSL_CERT_DIR=certs:/etc/certs", "SSL_CERT_DIR=" + filepath.Join(here, "certs") + ":/etc/certs"},
		{"XDG_CONFIG_HOME=../config", "XDG_CONFIG_HOME=" + filepath.Join(filepath.Dir(here), "config")},
		{"XDG_DATA_DIRS=a:b", "XDG_DATA_DIRS=" + filepath.Join(here, "a") + ":" + filepath.Join(here, "b")},
		{"XDG_RUNTIME_DIR=", "XDG_RUNTIME_DIR="},
		{"LANG=C", "LANG=C"},
	} {
		name, value, _ := strings.Cut(tt[0], "=")
		t.Setenv(name, value)
		if env := environmentOf(t, d, "", "ps"); !slices.Contains(env, tt[1]) {
			t.Errorf("%s: got environment %q, want %s", tt[0], env, tt[1])
		}
	}
}

// A build may use a builder of the user's. No other command gets the user's builders, which it could remove.
func TestBuildersOfTheUser(t *testing.T) {
	users := t.TempDir()
	t.Setenv("BUILDX_CONFIG", users)
	if err := os.MkdirAll(filepath.Join(users, "instances", "mine"), 0o700); err != nil {
		t.Fatal(err)
	}
	d := newTestDaemons(t)
	for _, tt := range []struct {
		command string
		users   bool
	}{
		{"buildx build --builder mine .", true},
		{"buildx --builder mine build .", true},
		{"--context default buildx --builder=mine bake", true},
		{"build --builder=mine .", true},
		{"buildx build --builder other .", false},
		{"buildx build .", false},
		{"buildx --builder mine rm build", false},
		{"buildx --builder=mine rm bake", false},
		{"buildx rm --builder mine build", false},
		{"buildx --builder mine", false},
		{"--context build buildx --builder mine prune", false},
	} {
		want := "BUILDX_CONFIG=" + filepath.Join(d.config.dir, "buildx")
		if tt.users {
			want = "BUILDX_CONFIG=" + users
		}
		if env := environmentOf(t, d, "", strings.Fields(tt.command)...); !slices.Contains(env, want) {
			t.Errorf("%s: got environment %q, want %s", tt.command, env, want)
		}
	}
}

// The login of a step is used by later steps.
func TestLoginsOfSteps(t *testing.T) {
	d := newTestDaemons(t)
	before, err := d.header(t.Context(), "h.example.com", "app", []string{"pull"})
	if err != nil {
		t.Fatal(err)
	}
	login := `{"auths":{"h.example.com":{"auth":"dXNlcjpwYXNz"}}}`
	if err := os.WriteFile(filepath.Join(d.config.dir, "config.json"), []byte(login), 0o600); err != nil {
		t.Fatal(err)
	}
	if after, err := d.header(t.Context(), "h.example.com", "app", []string{"pull"}); err != nil || after == before {
		t.Errorf("got header %q and error %v after the login, want another than before", after, err)
	}
}

// Steps run commands of this program concurrently.
func TestConcurrentCommands(t *testing.T) {
	d := newTestDaemons(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			var out, errOut bytes.Buffer
			output := run.Output{Stdout: &out, Stderr: &errOut}
			list, workspace := fmt.Sprintf("h.example.com/a:%d", i), openRoot(t)
			for _, c := range []struct {
				args string
				code int
			}{{"version", 0}, {"ls", 0}, {"rm " + list, 1}, {"create --nonsense", 125}, {"push " + list + " --digest-file no/where", 1}, {"exists", 2}, {"nonsense", 1}, {"task render", 1}} {
				if code := d.Plugin(context.Background(), "", workspace, "", strings.Fields(c.args), output); code != c.code {
					t.Errorf("%s: got exit code %d, want %d: %s", c.args, code, c.code, &errOut)
				}
			}
		})
	}
	all.Wait()
}

func TestEnvOfSteps(t *testing.T) {
	t.Setenv("HERE", "secret")
	typed := []string{"A=1", "HERE", "NOWHERE", "A=2", "AB=3"}
	for dryRun, want := range map[bool]string{false: "HERE=secret A=2 AB=3", true: "HERE NOWHERE A=2 AB=3"} {
		if env, err := parseEnv(typed, dryRun); err != nil || strings.Join(env, " ") != want {
			t.Errorf("dry run %t: got %q and error %v, want %q", dryRun, env, err, want)
		}
	}
	if got, _ := parseEnv([]string{"A=1", "AB", "B=2", "AB=3", "A="}, true); strings.Join(got, " ") != "B=2 AB=3 A=" {
		t.Errorf("got %q, want B=2 AB=3 A=", got)
	}
	if _, err := parseEnv([]string{"=x"}, false); err == nil {
		t.Error("got no error for an empty KEY, want one")
	}
}

func openRoot(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}
