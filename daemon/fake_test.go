package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/reference"
	"github.com/docker/docker/client"
)

// fake is a daemon of some API version on a unix socket. It answers a request by its method and its path
// without the version, and keeps all requests but the pings, with their version.
type fake struct {
	version      string
	builder      string // as its pings name it
	experimental bool   // in its pings
	socket       string
	answers      map[string]http.HandlerFunc

	mu       sync.Mutex
	pings    int
	requests []*http.Request
}

var apiPath = regexp.MustCompile(`^/v(\d+\.\d+)(/.*)$`)

func newFake(t *testing.T, version string, answers map[string]http.HandlerFunc) *fake {
	t.Helper()
	dir, err := os.MkdirTemp("", "daemon") // short: the path of a socket is
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{version: version, socket: filepath.Join(dir, "s"), answers: answers}
	listener, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(f)
	server.Listener = listener
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		os.RemoveAll(dir)
	})
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", f.version)
	body, _ := io.ReadAll(r.Body) // else the server does not see when the client goes
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Path == "/_ping" {
		f.pings++
		if f.builder != "" {
			w.Header().Set("Builder-Version", f.builder)
		}
		if f.experimental {
			w.Header().Set("Docker-Experimental", "true")
		}
		return
	}
	f.requests = append(f.requests, r)
	path := apiPath.FindStringSubmatch(r.URL.Path)
	if path == nil || path[1] != f.version {
		http.Error(w, "fake has API "+f.version, http.StatusBadRequest)
		return
	}
	answer, ok := f.answers[r.Method+" "+path[2]]
	if !ok {
		refuse(http.StatusNotFound, "no such thing: "+path[2])(w, r)
		return
	}
	f.mu.Unlock()
	defer f.mu.Lock()
	answer(w, r)
}

// asked returns the requests but the pings, as "METHOD PATH?QUERY" without the version.
func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, r := range f.requests {
		out = append(out, r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), "/v"+f.version))
	}
	return out
}

func (f *fake) connect() (client.APIClient, error) {
	return client.NewClientWithOpts(client.WithHost("unix://"+f.socket), client.WithAPIVersionNegotiation())
}

// daemon returns the fake as the domain sees it, with credentials for nobody.
func (f *fake) daemon() *Daemon { return New(f.connect, noAuth) }

func noAuth(context.Context, string, string, []string) (string, error) { return "e30=", nil }

func answer(content any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if text, ok := content.(string); ok {
			fmt.Fprint(w, text)
			return
		}
		_ = json.NewEncoder(w).Encode(content)
	}
}

func refuse(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
	}
}

// hang answers when the client gives up, and signals on the channel that a request arrived.
func hang(asked chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}
}

func parse(t *testing.T, name string) reference.Named {
	t.Helper()
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return named
}

func tagged(t *testing.T, name string) reference.NamedTagged {
	t.Helper()
	return reference.TagNameOnly(parse(t, name)).(reference.NamedTagged)
}

// checkText fails the test when err lacks one of the texts or is more than a line of bounded length.
func checkText(t *testing.T, err error, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if len(err.Error()) > 2*maxText || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
		t.Errorf("error %q is not a line", err)
	}
}
