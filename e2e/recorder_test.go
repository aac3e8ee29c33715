package e2e

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// terminal is where a recorder keeps the output of commands, outside where it keeps requests that would leave this
// machine without TLS.
const (
	terminal = "stdout and stderr"
	outside  = "the outside"
)

// recorder keeps every request to the servers of a test, and all output of commands, to find out where a secret was
// sent.
type recorder struct {
	mu   sync.Mutex
	seen []record
}

// record is a request or an output at a place: a server or terminal.
type record struct{ place, text string }

func (r *recorder) add(place, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, record{place, text})
}

// at returns a handler that records its requests at a place.
func (r *recorder) at(place string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		dump, err := httputil.DumpRequest(req, true)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		user, password, _ := req.BasicAuth()
		r.add(place, string(dump)+"\n"+user+":"+password)
		next.ServeHTTP(w, req)
	})
}

// requests returns the requests at a place.
func (r *recorder) requests(place string) (texts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.seen {
		if s.place == place {
			texts = append(texts, s.text)
		}
	}
	return texts
}

// seenAt returns the places where the secret was recorded, in order, and an example of each.
func (r *recorder) seenAt(secret string) (places []string, examples map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	examples = map[string]string{}
	for _, s := range r.seen {
		if strings.Contains(s.text, secret) {
			examples[s.place] = s.text
		}
	}
	return slices.Sorted(maps.Keys(examples)), examples
}

// only checks that the secret was recorded at each of these places and at no other.
func (r *recorder) only(t testing.TB, secret string, places ...string) {
	t.Helper()
	got, examples := r.seenAt(secret)
	slices.Sort(places)
	if !slices.Equal(got, places) {
		t.Errorf("got %q at %q, want it at %q:\n%v", secret, got, places, examples)
	}
}

// basic returns the Authorization header of a login.
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// watched is a scene with a recorder, which also keeps the output of the plugin's commands.
type watched struct {
	*scene
	*recorder
}

func newWatched(t *testing.T) watched {
	return watched{newScene(t, harness.V3), &recorder{}}
}

// multiarch and refused record the output of those of the scene.
func (w watched) multiarch(args ...string) harness.Result {
	w.Helper()
	return w.recorded(w.scene.multiarch(args...))
}

func (w watched) refused(words []string, args ...string) harness.Result {
	w.Helper()
	return w.recorded(w.scene.refused(words, args...))
}

func (w watched) recorded(r harness.Result) harness.Result {
	w.add(terminal, r.Stdout+r.Stderr)
	return r
}
