package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/docker-multiarch/docker-multiarch/task/run"
)

const (
	containerID = "c0ffee0123456789"
	containers  = "/containers/" + containerID
)

// A daemon that has an image only for another platform than that of the container is to pull it, as with docker run.
func TestRunOfAnotherPlatform(t *testing.T) {
	const text = "image with reference app:1 was found but does not match the specified platform"
	f := newFake(t, "1.51", map[string]http.HandlerFunc{
		"POST /containers/create": refuse(http.StatusNotFound, text), "GET /images/app:1/json": answer(map[string]any{}),
	})
	_, err := f.daemon().Run(t.Context(), run.Container{Image: "app:1", Platform: "linux/arm64"}, run.Output{Stdout: io.Discard, Stderr: io.Discard}, func() {})
	if !errdefs.IsNotFound(err) {
		t.Errorf("got error %v, want one that a pull is tried for", err)
	}
}

// running is a daemon that runs a container: output is what it prints, and code its exit code.
func running(t *testing.T, version string, code int, output func(stdout, stderr io.Writer)) *fake {
	return newFake(t, version, map[string]http.HandlerFunc{
		"POST /containers/create":       answer(map[string]any{"Id": containerID, "Warnings": []string{"odd\nplatform"}}),
		"POST " + containers + "/start": done,
		"POST " + containers + "/wait":  answer(map[string]any{"StatusCode": code}),
		"POST " + containers + "/stop":  done,
		"DELETE " + containers:          done,
		"POST " + containers + "/attach": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
			output(stdcopy.NewStdWriter(conn, stdcopy.Stdout), stdcopy.NewStdWriter(conn, stdcopy.Stderr))
		},
	})
}

func done(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func silentOutput(io.Writer, io.Writer) {}

// asksOf returns the requests about the container as "METHOD LAST-PART?QUERY".
func (f *fake) asksOf() []string {
	var out []string
	for _, asked := range f.asked() {
		out = append(out, strings.NewReplacer(containers+"/", "", "/containers/", "", containerID, "container").Replace(asked))
	}
	return out
}

func TestRun(t *testing.T) {
	for _, version := range append(allVersions, "1.30") {
		f := running(t, version, 3, func(stdout, stderr io.Writer) {
			fmt.Fprint(stdout, "out 1\n")
			fmt.Fprint(stderr, "err\n")
			fmt.Fprint(stdout, "out 2\n")
		})
		var stdout, stderr bytes.Buffer
		started := 0
		code, err := f.daemon().Run(t.Context(), run.Container{Name: "name", Image: "app:1"}, run.Output{Stdout: &stdout, Stderr: &stderr}, func() { started++ })
		if code != 3 || err != nil || started != 1 {
			t.Errorf("API %s: got exit code %d, error %v and %d starts, want 3, none and 1", version, code, err, started)
		}
		if stdout.String() != "out 1\nout 2\n" || stderr.String() != "WARNING: odd platform\nerr\n" {
			t.Errorf("API %s: got stdout %q and stderr %q, want the lines of each", version, stdout.String(), stderr.String())
		}
		wait := "POST wait"
		if version != "1.24" {
			wait += "?condition=not-running"
		}
		want := []string{"POST create?name=name", "POST attach?stderr=1&stdout=1&stream=1", "POST start", wait, "DELETE container?force=1&v=1"}
		if got := f.asksOf(); !slices.Equal(got, want) {
			t.Errorf("API %s: got requests %q, want %q", version, got, want)
		}
	}
}

// The exit code may come before the last of the output, and that slower than it is taken.
func TestRunWaitsForAllOutput(t *testing.T) {
	waited := make(chan struct{})
	f := running(t, "1.51", 0, func(stdout, _ io.Writer) {
		<-waited
		for range 1000 {
			fmt.Fprintln(stdout, strings.Repeat("x", 99))
		}
	})
	f.answers["POST "+containers+"/wait"] = func(w http.ResponseWriter, r *http.Request) {
		answer(map[string]any{"StatusCode": 0})(w, r)
		close(waited)
	}
	var stdout bytes.Buffer
	code, err := f.daemon().Run(t.Context(), run.Container{}, run.Output{Stdout: &stdout, Stderr: io.Discard}, func() {})
	if code != 0 || err != nil || stdout.Len() != 100_000 {
		t.Errorf("got exit code %d, error %v and %d bytes, want 0, none and 100000", code, err, stdout.Len())
	}
}

func TestRunKeepsAContainer(t *testing.T) {
	f := running(t, "1.51", 0, silentOutput)
	_, err := f.daemon().Run(t.Context(), run.Container{Keep: true}, run.Output{Stdout: io.Discard, Stderr: io.Discard}, func() {})
	if asked := f.asksOf(); err != nil || slices.ContainsFunc(asked, func(s string) bool { return strings.HasPrefix(s, "DELETE") }) {
		t.Errorf("got error %v and requests %q, want the container kept", err, asked)
	}
}

func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestRunErrors(t *testing.T) {
	there := map[string]http.HandlerFunc{"GET /images/app:1/json": answer(inspected())}
	fails := func(request string, handler http.HandlerFunc) map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{request: handler}
	}
	broken := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"Stat`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for _, tt := range []struct {
		name    string
		kind    error
		text    string
		removed bool
		answers []map[string]http.HandlerFunc
	}{
		{"no image", errdefs.ErrNotFound, "No such image: app:1", false,
			[]map[string]http.HandlerFunc{fails("POST /containers/create", refuse(http.StatusNotFound, "No such image: app:1"))}},
		{"no network, reported at create", errdefs.ErrFailedPrecondition, "network x not found", false,
			[]map[string]http.HandlerFunc{there, fails("POST /containers/create", refuse(http.StatusNotFound, "network x not found"))}},
		{"no network, reported at start", errdefs.ErrFailedPrecondition, "network x not found", true,
			[]map[string]http.HandlerFunc{there, fails("POST "+containers+"/start", refuse(http.StatusNotFound, "network x not found"))}},
		{"no program", errdefs.ErrFailedPrecondition, `exec: "x": executable file not found in $PATH`, true,
			[]map[string]http.HandlerFunc{fails("POST "+containers+"/start", refuse(http.StatusBadRequest, `exec: "x": executable file not found in $PATH`))}},
		{"name taken", errdefs.ErrConflict, "already in use", false,
			[]map[string]http.HandlerFunc{fails("POST /containers/create", refuse(http.StatusConflict, "already in use"))}},
		{"no attaching", nil, "unable to upgrade to tcp, received 500", true,
			[]map[string]http.HandlerFunc{fails("POST "+containers+"/attach", refuse(http.StatusInternalServerError, "no"))}},
		{"no waiting", errdefs.ErrInternal, "no\\x1b", true,
			[]map[string]http.HandlerFunc{fails("POST "+containers+"/wait", refuse(http.StatusInternalServerError, "no\x1b"))}},
		{"waiting fails", nil, "shim is gone", true,
			[]map[string]http.HandlerFunc{fails("POST "+containers+"/wait", answer(`{"StatusCode":0,"Error":{"Message":"shim is gone"}}`))}},
		{"daemon dies before", errdefs.ErrUnavailable, "cannot reach the Docker daemon", false,
			[]map[string]http.HandlerFunc{fails("POST /containers/create", abort)}},
		{"daemon dies at attaching", errdefs.ErrUnavailable, "connection to the Docker daemon broke", true,
			[]map[string]http.HandlerFunc{fails("POST "+containers+"/attach", abort)}},
		{"daemon dies at the start", errdefs.ErrUnavailable, "broke (EOF); container c0ffee012345 may still be running", true,
			[]map[string]http.HandlerFunc{fails("POST "+containers+"/start", abort)}},
		{"daemon dies meanwhile", errdefs.ErrUnavailable, "container c0ffee012345 may still be running", true,
			[]map[string]http.HandlerFunc{fails("POST "+containers+"/wait", broken)}},
	} {
		for _, version := range []string{"1.24", "1.51"} {
			f := running(t, version, 0, silentOutput)
			for _, answers := range tt.answers {
				for request, handler := range answers {
					f.answers[request] = handler
				}
			}
			code, err := f.daemon().Run(t.Context(), run.Container{Image: "app:1"}, run.Output{Stdout: io.Discard, Stderr: io.Discard}, func() {})
			if code != -1 || err == nil || tt.kind != nil && !errors.Is(err, tt.kind) {
				t.Fatalf("%s, API %s: got exit code %d and error %v, want -1 and kind %v", tt.name, version, code, err, tt.kind)
			}
			if !errdefs.IsNotFound(tt.kind) && errdefs.IsNotFound(err) {
				t.Errorf("%s, API %s: got error %v, want one that a pull is not tried for", tt.name, version, err)
			}
			checkText(t, err, "running app:1", tt.text)
			asked := f.asksOf()
			if tt.removed != (asked[len(asked)-1] == "DELETE container?force=1&v=1") {
				t.Errorf("%s, API %s: got requests %q, want the container removed %t", tt.name, version, asked, tt.removed)
			}
		}
	}
}

// A container that remains because its daemon is gone is reported.
func TestRunTellsOfAContainerThatIsLeft(t *testing.T) {
	f := running(t, "1.51", 0, silentOutput)
	f.answers["POST "+containers+"/wait"], f.answers["DELETE "+containers] = abort, abort
	_, err := f.daemon().Run(t.Context(), run.Container{}, run.Output{Stdout: io.Discard, Stderr: io.Discard}, func() {})
	if !errors.Is(err, errdefs.ErrUnavailable) || !strings.Contains(err.Error(), "removing container c0ffee012345: cannot reach the Docker daemon") {
		t.Error(err)
	}
}

func TestCancelStopsAContainer(t *testing.T) {
	cause := errors.New("enough")
	for _, c := range []run.Container{{}, {Keep: true}, {Kill: true}} {
		for _, version := range []string{"1.24", "1.51"} {
			asked, stopped := make(chan struct{}, 1), make(chan struct{})
			f := running(t, version, 0, func(stdout, _ io.Writer) {
				<-stopped
				fmt.Fprint(stdout, "bye\n")
			})
			f.answers["POST "+containers+"/wait"] = hang(asked)
			f.answers["POST "+containers+"/stop"] = func(w http.ResponseWriter, _ *http.Request) {
				close(stopped)
				w.WriteHeader(http.StatusNoContent)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() { <-asked; cancel(cause) }()
			code, err := f.daemon().Run(ctx, c, run.Output{Stdout: io.Discard, Stderr: io.Discard}, func() {})
			if code != -1 || !errors.Is(err, cause) {
				t.Errorf("got exit code %d and error %v, want -1 and %v", code, err, cause)
			}
			want := []string{"POST stop?t=10", "DELETE container?force=1&v=1"}
			if c.Keep {
				want = want[:1]
			}
			if c.Kill {
				want[0] = "POST stop?t=0"
			}
			if got := f.asksOf(); !slices.Equal(got[4:], want) {
				t.Errorf("API %s, %+v: got requests %q, want %q at the end", version, c, got, want)
			}
		}
	}
}

// A daemon goes on with a request that nobody waits for any more.
func TestCancelWaitsForWhatIsBeingMade(t *testing.T) {
	for _, request := range []string{"POST /containers/create", "POST " + containers + "/start"} {
		f := running(t, "1.51", 0, silentOutput)
		ctx, cancel := context.WithCancel(t.Context())
		made := f.answers[request]
		f.answers[request] = func(w http.ResponseWriter, r *http.Request) {
			cancel()
			made(w, r)
		}
		code, err := f.daemon().Run(ctx, run.Container{}, run.Output{Stdout: io.Discard, Stderr: io.Discard}, func() {})
		if code != -1 || !errors.Is(err, context.Canceled) {
			t.Errorf("got exit code %d and error %v, want -1 and %v", code, err, context.Canceled)
		}
		if asked := f.asksOf(); asked[len(asked)-1] != "DELETE container?force=1&v=1" {
			t.Errorf("got requests %q, want the container removed last", asked)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// A container whose output nobody takes would not end.
func TestRunEndsWhenItsOutputCannotBeWritten(t *testing.T) {
	f := running(t, "1.51", 0, func(stdout, _ io.Writer) {
		for {
			if _, err := fmt.Fprintln(stdout, "more"); err != nil {
				return
			}
		}
	})
	f.answers["POST "+containers+"/wait"] = hang(make(chan struct{}, 1))
	_, err := f.daemon().Run(t.Context(), run.Container{Image: "app:1"}, run.Output{Stdout: full{}, Stderr: io.Discard}, func() {})
	if err == nil {
		t.Fatal("got no error, want disk full")
	}
	checkText(t, err, "running app:1", "writing its output: disk full")
}

// Files are copied into a container before it starts; one that cannot get them is removed.
func TestRunCopiesFiles(t *testing.T) {
	f := running(t, "1.51", 0, silentOutput)
	f.answers["PUT "+containers+"/archive"] = done
	d := f.daemon()
	c := run.Container{Archive: []byte("archive")}
	if _, err := d.Run(t.Context(), c, run.Output{Stdout: io.Discard, Stderr: io.Discard}, func() {}); err != nil {
		t.Fatal(err)
	}
	want := []string{"POST create", "PUT archive?noOverwriteDirNonDir=true&path=%2F", "POST attach?stderr=1&stdout=1&stream=1", "POST start",
		"POST wait?condition=not-running", "DELETE container?force=1&v=1"}
	if got := f.asksOf(); !slices.Equal(got, want) {
		t.Errorf("got requests %q, want %q", got, want)
	}
	f.answers["PUT "+containers+"/archive"] = refuse(http.StatusInternalServerError, "disk full")
	_, err := d.Run(t.Context(), c, run.Output{Stdout: io.Discard, Stderr: io.Discard}, func() {})
	if got := f.asksOf()[len(want):]; err == nil || !strings.Contains(err.Error(), "disk full") || got[len(got)-1] != want[len(want)-1] {
		t.Errorf("got error %v and requests %q, want disk full and the container removed", err, got)
	}
}
