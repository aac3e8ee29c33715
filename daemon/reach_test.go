package daemon

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/command"
	cliconfig "github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/flags"
	"github.com/docker/docker/client"
)

// cli returns a docker CLI for this DOCKER_HOST, with an empty config.
func cli(t *testing.T, host string) *command.DockerCli {
	t.Helper()
	t.Setenv("DOCKER_HOST", host)
	old := cliconfig.Dir()
	cliconfig.SetDir(t.TempDir())
	t.Cleanup(func() { cliconfig.SetDir(old) })
	c, err := command.NewDockerCli(command.WithCombinedStreams(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Initialize(flags.NewClientOptions()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFromCLI(t *testing.T) {
	f := newFake(t, "1.47", map[string]http.HandlerFunc{"GET /images/app:1/json": answer(inspected())})
	c := cli(t, "unix://"+f.socket)
	c.ConfigFile().HTTPHeaders = map[string]string{"X-Mine": "yes"}
	if _, err := New(FromCLI(c), noAuth).Find(t.Context(), parse(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	if r := f.requests[0]; r.Header.Get("X-Mine") != "yes" || !strings.HasPrefix(r.UserAgent(), "Docker-Client/") {
		t.Errorf("got headers %v, want X-Mine and the user agent of docker", r.Header)
	}
	t.Setenv(headersEnv, `X-One=1,"X-Two= 2,3"`)
	if _, err := New(FromCLI(c), noAuth).Find(t.Context(), parse(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	if r := f.requests[1]; r.Header.Get("X-One") != "1" || r.Header.Get("X-Two") != "2,3" || r.Header.Get("X-Mine") != "" {
		t.Errorf("got headers %v, want X-One and X-Two only", r.Header)
	}
}

func TestFromCLIErrors(t *testing.T) {
	for _, bad := range []string{"secret", `a="secret`, "=secret", ","} {
		t.Setenv(headersEnv, bad)
		_, err := FromCLI(cli(t, ""))()
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), headersEnv) {
			t.Errorf("%s: got error %v, want one that names %s, without the value", bad, err, headersEnv)
		}
	}
	t.Setenv(headersEnv, "")
	for _, host := range []string{"what://ever", "ssh://me:pw@h/%zz", "tcp://:x:y"} {
		_, err := New(FromCLI(cli(t, host)), noAuth).Find(t.Context(), parse(t, "app:1"))
		if !errors.Is(err, errdefs.ErrUnavailable) {
			t.Errorf("%s: got error %v, want %v", host, err, errdefs.ErrUnavailable)
		}
	}
	t.Setenv("DOCKER_CONTEXT", "nowhere")
	_, err := New(FromCLI(cli(t, "")), noAuth).Find(t.Context(), parse(t, "app:1"))
	if !errors.Is(err, errdefs.ErrUnavailable) {
		t.Fatal(err)
	}
	checkText(t, err, "cannot reach the Docker daemon", "nowhere")
	uninitialized, err := command.NewDockerCli(command.WithCombinedStreams(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FromCLI(uninitialized)(); err == nil {
		t.Error("got no error for a CLI that is not initialized, want one")
	}
}

// script puts a program of this name first in PATH.
func script(t *testing.T, name, body string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func refused(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "tcp://" + listener.Addr().String()
}

func TestUnreachable(t *testing.T) {
	script(t, "ssh", `read -r request; echo "ssh: connect to host h.example: No route to host" >&2; exit 255`)
	junk := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(junk.Close)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for _, tt := range []struct{ host, want string }{
		{"unix:///nowhere/docker.sock", "at unix:///nowhere/docker.sock: it does not accept connections; is it running?"},
		{refused(t), "it does not accept connections; is it running?"},
		{"tcp://no.such.host.invalid:2375", "no.such.host.invalid"},
		{"ssh://h.example", "at ssh://h.example: command [ssh "},
		{"tcp://" + junk.Listener.Addr().String(), "404"},
		{"tcp://" + secure.Listener.Addr().String(), "HTTP request to an HTTPS server"},
	} {
		d := New(FromCLI(cli(t, tt.host)), noAuth)
		_, err := d.Find(t.Context(), parse(t, "app:1"))
		if !errors.Is(err, errdefs.ErrUnavailable) || errors.Is(err, errdefs.ErrNotFound) {
			t.Errorf("%s: got error %v, want %v", tt.host, err, errdefs.ErrUnavailable)
		}
		checkText(t, err, "cannot reach the Docker daemon", tt.want)
		if _, again := d.Push(t.Context(), tagged(t, "app:1"), nil, nil); !errors.Is(again, errdefs.ErrUnavailable) {
			t.Errorf("%s: push: got error %v, want %v", tt.host, again, errdefs.ErrUnavailable)
		}
	}
}

func TestConnectionThatEndsAtOnce(t *testing.T) {
	broken := &url.Error{Op: "Head", Err: &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}}
	checkText(t, unreachable("ssh://me:pw@h", broken), "at ssh://h: the connection closed immediately")
}

// deaf returns a daemon whose socket takes connections and never answers, and the count of them.
func deaf(t *testing.T) (host string, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int32{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			t.Cleanup(func() { conn.Close() })
		}
	}()
	t.Cleanup(func() { listener.Close() })
	return "tcp://" + listener.Addr().String(), connections
}

func TestSilentDaemonIsAskedOnce(t *testing.T) {
	host, connections := deaf(t)
	d := New(FromCLI(cli(t, host)), noAuth)
	d.reachTimeout = 100 * time.Millisecond
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			_, err := d.Find(t.Context(), parse(t, "app:1"))
			if !errors.Is(err, errdefs.ErrUnavailable) {
				t.Error(err)
			}
			checkText(t, err, host, "no answer within 100ms")
		})
	}
	wg.Wait()
	if n := connections.Load(); n != 1 {
		t.Errorf("got %d connections, want 1", n)
	}
}

// A connection helper that does not heed signals keeps its own caller waiting, not ours.
func TestSilentConnectionHelper(t *testing.T) {
	script(t, "ssh", `trap '' TERM; exec sleep 2`)
	d := New(FromCLI(cli(t, "ssh://h.example")), noAuth)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := d.Find(ctx, parse(t, "app:1"))
	if !errors.Is(err, errdefs.ErrUnavailable) || time.Since(start) > time.Second {
		t.Errorf("got error %v after %s, want %v at once", err, time.Since(start), errdefs.ErrUnavailable)
	}
}

func TestCallerNeedNotWait(t *testing.T) {
	host, _ := deaf(t)
	d := New(FromCLI(cli(t, host)), noAuth)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	name := tagged(t, "app:1")
	_, findErr := d.Find(ctx, name)
	_, pushErr := d.Push(ctx, name, nil, nil)
	_, listErr := d.List(ctx)
	for _, err := range []error{findErr, pushErr, listErr, d.Tag(ctx, digestA, name), d.Untag(ctx, name)} {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if d.Insecure(ctx, "h.example") {
		t.Error("got an insecure registry without a daemon, want none")
	}
}

func TestNothingIsAskedBeforeTheFirstQuestion(t *testing.T) {
	New(func() (client.APIClient, error) { t.Error("got a connection, want none"); return nil, nil }, noAuth)
}

func TestDaemonThatDoesNotTellItsVersion(t *testing.T) {
	f := newFake(t, "1.24", map[string]http.HandlerFunc{"GET /images/app:1/json": answer(inspected())})
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.ServeHTTP(headerless{w}, r)
	}))
	t.Cleanup(old.Close)
	d := New(FromCLI(cli(t, "tcp://"+old.Listener.Addr().String())), noAuth)
	if _, err := d.Find(t.Context(), parse(t, "app:1")); err != nil {
		t.Error(err)
	}
}

// headerless writes no API version.
type headerless struct{ http.ResponseWriter }

func (headerless) Header() http.Header { return http.Header{} }
