package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestPull(t *testing.T) {
	stream := `{"status":"Pulling from x","id":"1"}` + "\n" +
		`{"status":"Pulling fs layer","progressDetail":{},"id":"c36d3a1fcef2"}` + "\n" +
		`{"status":"Downloading","progressDetail":{"current":1,"total":2},"progress":"[=>]","id":"c36d3a1fcef2"}` + "\n" +
		`{"status":"Pull complete","progressDetail":{},"id":"c36d3a1fcef2"}` + "\n" +
		`{"status":"Digest: ` + digestB.String() + `"}` + "\n"
	for _, version := range allVersions {
		for name, query := range map[string]string{
			"h.example/x:1":                   "fromImage=h.example%2Fx&tag=1",
			"h.example/x":                     "fromImage=h.example%2Fx&tag=latest",
			"x":                               "fromImage=docker.io%2Flibrary%2Fx&tag=latest",
			"h.example/x@" + digestA.String(): "fromImage=h.example%2Fx&tag=sha256%3A" + digestA.Encoded(),
		} {
			f := newFake(t, version, map[string]http.HandlerFunc{"POST /images/create": answer(stream)})
			var out bytes.Buffer
			if err := f.daemon().Pull(t.Context(), name, "", &out); err != nil {
				t.Errorf("%s, API %s: got error %v, want none", name, version, err)
			}
			want := "1: Pulling from x\nc36d3a1fcef2: Pulling fs layer\nc36d3a1fcef2: Pull complete\nDigest: " + digestB.String() + "\n"
			if out.String() != want {
				t.Errorf("%s, API %s: got\n%s\nwant\n%s", name, version, out.String(), want)
			}
			if asked := f.asked(); !slices.Equal(asked, []string{"POST /images/create?" + query}) {
				t.Errorf("%s, API %s: got requests %q, want %q", name, version, asked, query)
			}
			if auth := f.requests[0].Header.Get("X-Registry-Auth"); auth != "e30=" {
				t.Errorf("%s, API %s: got credentials %q, want e30=", name, version, auth)
			}
		}
	}
}

func TestPullOfPlatform(t *testing.T) {
	f := newFake(t, "1.51", map[string]http.HandlerFunc{"POST /images/create": answer(`{"status":"x"}`)})
	if err := f.daemon().Pull(t.Context(), "h.example/x:1", "linux/arm64", io.Discard); err != nil {
		t.Fatal(err)
	}
	if asked, want := f.asked(), []string{"POST /images/create?fromImage=h.example%2Fx&platform=linux%2Farm64&tag=1"}; !slices.Equal(asked, want) {
		t.Errorf("got requests %q, want %q", asked, want)
	}
}

func TestPullErrors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		kind    error
		text    string
	}{
		{"login, refused at once", refuse(http.StatusInternalServerError, "unauthorized: authentication required"), errdefs.ErrUnauthenticated, "authentication required"},
		{"login, refused in the stream", answer(`{"status":"x"}{"errorDetail":{"message":"pull access denied: authorization failed"}}`), errdefs.ErrUnauthenticated, "pull access denied"},
		{"no TLS", refuse(http.StatusInternalServerError, "http: server gave HTTP response to HTTPS client"), errdefs.ErrInternal, "server gave HTTP response"},
		{"no image", refuse(http.StatusNotFound, "manifest unknown"), errdefs.ErrNotFound, "manifest unknown"},
		{"no words", answer(`{"errorDetail":{}}`), nil, "failed without a reason"},
		{"daemon dies at once", abort, errdefs.ErrUnavailable, "cannot reach the Docker daemon"},
		{"daemon dies", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":"x"}{"st`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, errdefs.ErrUnavailable, "the connection to the Docker daemon broke (unexpected EOF)"},
	} {
		f := newFake(t, "1.51", map[string]http.HandlerFunc{"POST /images/create": tt.handler})
		err := f.daemon().Pull(t.Context(), "h.example/x:1", "", io.Discard)
		if err == nil || tt.kind != nil && !errors.Is(err, tt.kind) {
			t.Fatalf("%s: got error %v, want kind %v", tt.name, err, tt.kind)
		}
		checkText(t, err, "pulling h.example/x:1", tt.text)
		if got, want := manifest.Hint(err), `the daemon pulls, which --insecure does not change: add h.example to "insecure-registries"`; tt.name == "no TLS" && !strings.HasPrefix(got, want) {
			t.Errorf("got hint %q, want %q", got, want)
		}
		var at interface{ Registry() string }
		if errdefs.IsUnauthorized(err) && (!errors.As(err, &at) || at.Registry() != "h.example") {
			t.Errorf("%s: got error %v, want one of h.example", tt.name, err)
		}
	}
	err := New(nil, noAuth).Pull(t.Context(), "NO\nname", "", io.Discard)
	if !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Fatal(err)
	}
	checkText(t, err, "pulling NO name", "lowercase")
	refused := errors.New("helper failed")
	f := newFake(t, "1.51", nil)
	d := New(f.connect, func(context.Context, string, string, []string) (string, error) { return "", refused })
	if err := d.Pull(t.Context(), "x", "", io.Discard); !errors.Is(err, refused) || len(f.asked()) > 0 {
		t.Error(err)
	}
}

func TestCancelStopsAPull(t *testing.T) {
	asked := make(chan struct{}, 1)
	f := newFake(t, "1.51", map[string]http.HandlerFunc{"POST /images/create": hang(asked)})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if err := f.daemon().Pull(ctx, "x", "", io.Discard); !errors.Is(err, context.Canceled) || errors.Is(err, errdefs.ErrUnavailable) {
		t.Error(err)
	}
}
