package harness

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// runTimeout is far above what a command takes on a loaded machine.
const runTimeout = 2 * time.Minute

// Env is the environment of a user: an empty home, a docker configuration folder with the plugin, and only PATH and a
// few variables of the machine.
type Env struct {
	Home   string
	Config string // DOCKER_CONFIG
	Dir    string // working directory
	vars   map[string]string
}

// Result is the outcome of a command.
type Result struct {
	Stdout, Stderr string
	Code           int // -1: ended by a signal
}

// NewEnv returns an environment without a daemon: DOCKER_HOST is a socket that does not exist.
func NewEnv(t testing.TB) *Env {
	t.Helper()
	home := t.TempDir()
	e := &Env{Home: home, Config: filepath.Join(home, ".docker"), Dir: t.TempDir(), vars: map[string]string{}}
	if err := os.MkdirAll(filepath.Join(e.Config, "cli-plugins"), 0o700); err != nil {
		t.Fatal(err)
	}
	plugin, err := Plugin()
	if err != nil {
		t.Fatal(err)
	}
	e.installPlugin(t, "docker-multiarch", plugin)
	e.Set("GORACE", "atexit_sleep_ms=0") // otherwise each process ends a second late
	for _, name := range []string{"PATH", "TMPDIR", "GORACE", "GOCOVERDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			e.Set(name, value)
		}
	}
	e.Set("HOME", home)
	e.Set("DOCKER_CONFIG", e.Config)
	e.Set("DOCKER_HOST", "unix://"+filepath.Join(home, "no-daemon.sock"))
	e.Set("LANG", "C.UTF-8")
	return e
}

// Set sets a variable; Unset removes it.
func (e *Env) Set(name, value string) { e.vars[name] = value }

// Unset removes a variable.
func (e *Env) Unset(name string) { delete(e.vars, name) }

// UseDaemon points DOCKER_HOST at d.
func (e *Env) UseDaemon(d *servers.Daemon) { e.Set("DOCKER_HOST", d.Host) }

// UseBuildx makes `docker buildx` available.
func (e *Env) UseBuildx(t testing.TB) {
	t.Helper()
	e.installPlugin(t, "docker-buildx", Built(t, "docker-buildx"))
}

// Built returns the path of a program that was built from a Go module, such as crane.
func Built(t testing.TB, name string) string {
	t.Helper()
	tools, err := servers.FindTools()
	file := ""
	if err == nil {
		file, err = tools.Built(name)
	}
	require(t, name, err)
	return file
}

// UseGo lets commands in the environment compile with the caches of the machine.
func (e *Env) UseGo(t testing.TB) {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GOFLAGS"}
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		e.Set(names[i], value)
	}
}

func (e *Env) installPlugin(t testing.TB, name, target string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(e.Config, "cli-plugins", name)); err != nil {
		t.Fatal(err)
	}
}

// Login writes credentials for host into the configuration, as docker login does.
func (e *Env) Login(t testing.TB, host, user, password string) {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	e.addLogin(t, host, map[string]string{"auth": auth})
}

// LoginIdentity writes an identity token for host into the configuration, as docker login does after the token
// service has issued one, and as the login commands of cloud providers do.
func (e *Env) LoginIdentity(t testing.TB, host, token string) {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte("00000000-0000-0000-0000-000000000000:"))
	e.addLogin(t, host, map[string]string{"auth": auth, "identitytoken": token})
}

func (e *Env) addLogin(t testing.TB, host string, login map[string]string) {
	t.Helper()
	e.Configure(t, func(config map[string]any) {
		auths, _ := config["auths"].(map[string]any)
		if auths == nil {
			auths = map[string]any{}
		}
		auths[host] = login
		config["auths"] = auths
	})
}

// Configure changes config.json.
func (e *Env) Configure(t testing.TB, change func(config map[string]any)) {
	t.Helper()
	file := filepath.Join(e.Config, "config.json")
	config := map[string]any{}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	change(config)
	if data, err = json.Marshal(config); err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Command returns a command in the environment, for tests that interact with it while it runs; it is killed when ctx
// ends.
func (e *Env) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = e.Dir
	cmd.Env = make([]string, 0, len(e.vars))
	for k, v := range e.vars {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// Run runs a command to its end, whatever its exit code.
func Run(t testing.TB, e *Env, name string, args ...string) Result {
	t.Helper()
	return RunInput(t, e, nil, name, args...)
}

// RunInput runs a command with a standard input.
func RunInput(t testing.TB, e *Env, stdin io.Reader, name string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(lasting(t), runTimeout)
	defer cancel()
	cmd := e.Command(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s: %v\n%s%s", commandLine(name, args), ctx.Err(), &stdout, &stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}

// MustRun runs a command that has to succeed, and returns stdout.
func MustRun(t testing.TB, e *Env, name string, args ...string) string {
	t.Helper()
	r := Run(t, e, name, args...)
	if r.Code != 0 {
		t.Fatalf("%s: got exit code %d, want 0\n%s%s", commandLine(name, args), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// MustFail runs a command that has to fail with code, and to print all words on stderr.
func MustFail(t testing.TB, e *Env, code int, words []string, name string, args ...string) Result {
	t.Helper()
	r := Run(t, e, name, args...)
	var wrong []string
	if r.Code != code {
		wrong = append(wrong, fmt.Sprintf("got exit code %d, want %d", r.Code, code))
	}
	for _, word := range words {
		if !strings.Contains(r.Stderr, word) {
			wrong = append(wrong, fmt.Sprintf("got no %q in stderr", word))
		}
	}
	if len(wrong) > 0 {
		t.Errorf("%s: %s\nstdout:\n%s\nstderr:\n%s", commandLine(name, args), strings.Join(wrong, ", "), r.Stdout, r.Stderr)
	}
	return r
}

func commandLine(name string, args []string) string {
	return strings.Join(append([]string{name}, args...), " ")
}
