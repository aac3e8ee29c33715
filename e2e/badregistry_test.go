package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// answer is the response of a misbehaving registry to every request for a manifest.
type answer struct {
	status      int
	contentType string
	header      map[string]string
	body        string
	blob        string // for configs and layers
}

func (a answer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/blobs/") {
		_, _ = w.Write([]byte(a.blob))
		return
	}
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write([]byte(a.body))
}

// refusal is the body of an error response in the form of the distribution spec.
func refusal(code, message string) string {
	return quoted(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

// quoted is v as JSON.
func quoted(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

const evil = "\x1b]0;title\x07 \x1b[31mred\r\nnext\u202e"

// Whatever a registry answers, the error names the object and the problem, contains no control character, and nothing
// changes.
func TestMisbehavingRegistry(t *testing.T) {
	image := images.Image(images.Spec{Seed: "misbehaving", Platform: amd64})
	raw := string(image.Raw)
	large := strings.Repeat(" ", 5<<20)
	for name, test := range map[string]struct {
		answer
		words []string
	}{
		"html":           {answer{contentType: "text/html", body: "<html>Log in</html>"}, []string{"text/html"}},
		"html as image":  {answer{contentType: images.DockerManifest, body: "<html>"}, []string{"not a JSON"}},
		"empty":          {answer{contentType: images.DockerManifest}, []string{"the registry returned nothing"}},
		"no object":      {answer{contentType: images.DockerManifest, body: "[]"}, []string{"neither an image manifest nor an index"}},
		"null":           {answer{contentType: images.DockerManifest, body: "null"}, []string{"not an image manifest"}},
		"other JSON":     {answer{contentType: "application/json", body: `{"a":1}`}, []string{"application/json"}},
		"cut off":        {answer{contentType: images.DockerManifest, body: raw[:len(raw)/2]}, []string{"not a JSON"}},
		"index as image": {answer{contentType: images.DockerManifest, body: `{"schemaVersion":2,"manifests":[]}`}, []string{"another structure"}},
		"schema 1":       {answer{body: `{"schemaVersion":1,"fsLayers":[]}`}, []string{"schema 1"}},
		"too large":      {answer{contentType: images.DockerManifest, body: raw + large}, []string{"larger than"}},
		"wrong digest": {answer{contentType: images.DockerManifest, body: raw,
			header: map[string]string{"Docker-Content-Digest": digest.FromString("x").String()}}, []string{digest.FromString("x").String(), image.Digest().String()}},
		"bad digest": {answer{contentType: images.DockerManifest, body: raw,
			header: map[string]string{"Docker-Content-Digest": "sha256:zz"}}, []string{"sha256:zz"}},
		"evil digest": {answer{contentType: images.DockerManifest,
			body: `{"schemaVersion":2,"config":{"digest":"\u001b[31m"},"layers":[]}`}, []string{`\x1b[31m`}},
		"evil media type": {answer{body: `{"schemaVersion":2,"mediaType":"\u001b[31m"}`}, []string{"x1b[31m"}},
		"evil message":    {answer{status: 403, body: refusal("DENIED", evil)}, []string{"403", `\x1b]0;title`, "next"}},
		"evil code":       {answer{status: 400, body: refusal(evil, "x")}, []string{"400"}},
		"evil text":       {answer{status: 403, contentType: "text/plain", body: evil}, []string{"403"}},
		"teapot":          {answer{status: 418, body: "short and stout"}, []string{"418"}},
		"no content":      {answer{status: 204}, []string{"manifest"}},
		"config":          {answer{contentType: images.DockerManifest, body: raw, blob: "{}"}, []string{"config"}},
		"large config":    {answer{contentType: images.DockerManifest, body: raw, blob: large}, []string{"config"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			s.put(s.repo, "there", images.Spec{Platform: arm64})
			s.multiarch("create", s.list, s.name("there"))
			server := httptest.NewServer(test.answer)
			t.Cleanup(server.Close)
			bad := strings.TrimPrefix(server.URL, "http://") + "/app:1"
			for _, args := range [][]string{
				{"create", "--amend", s.list, bad}, {"create", "--push", s.name("2"), s.name("there"), bad},
			} {
				r := s.refused(append(test.words, bad), args...)
				if i := strings.IndexAny(r.Stderr, "\x1b\x07\r\u202e"); i >= 0 {
					t.Errorf("got a control character at byte %d of stderr: %q", i, r.Stderr)
				}
			}
		})
	}
}

// Children of an index are checked, too.
func TestMisbehavingIndex(t *testing.T) {
	entry := func(d string, size int) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%s,"size":%d,"platform":{"os":"linux","architecture":"amd64"}}]}`,
			images.DockerList, images.DockerManifest, quoted(d), size)
	}
	for name, test := range map[string]struct{ body, word string }{
		"same answer for the child": {entry(digest.FromString("x").String(), 1), digest.FromString("x").String()},
		"bad digest":                {entry("sha256:x", 1), "sha256:x"},
		"evil digest":               {entry("\x1b[31m", 1), "x1b[31m"},
		"negative size":             {entry(digest.FromString("x").String(), -1), "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			server := httptest.NewServer(answer{contentType: images.DockerList, body: test.body})
			t.Cleanup(server.Close)
			r := s.refused([]string{test.word, "app"}, "create", s.list, strings.TrimPrefix(server.URL, "http://")+"/app:1")
			if strings.Contains(r.Stderr, "\x1b") {
				t.Errorf("got an escape sequence in stderr: %q", r.Stderr)
			}
		})
	}
}

// If a registry refuses the list after it accepted the children, the tag does not change and the local list is kept,
// also with --purge.
func TestRegistryRefusesList(t *testing.T) {
	s, _, _ := newListScene(t)
	g := newGate(t, s.registry, func(*http.Request) bool { return false })
	refuse := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isListPut(r) {
			answer{status: 403, body: refusal("DENIED", "list is read-only")}.ServeHTTP(w, r)
			return
		}
		http.Redirect(w, r, "http://"+g.Host+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(refuse.Close)
	host := strings.TrimPrefix(refuse.URL, "http://")
	list := host + "/" + s.repo + ":1"
	s.multiarch("create", list, host+"/"+s.repo+":amd64", s.name("arm64"))
	s.refused([]string{list, "403", "list is read-only", "docker login " + host}, "push", "--purge=tags", list)
}

// An index with a wrong size for a child is refused, and nothing of it is stored.
func TestIndexWithWrongSizes(t *testing.T) {
	for name, change := range map[string]int64{"smaller": -1, "larger": 1, "none": -1 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			child := s.put(s.repo, "child", images.Spec{Platform: amd64})
			child.Descriptor.Size = max(0, child.Descriptor.Size+change)
			lying := harness.Put(t, s.registry, s.repo, "lying", images.Index(images.Docker, child))
			there := s.put(s.repo, "there", images.Spec{Platform: arm64})
			s.multiarch("create", s.list, s.name("there"))
			words := []string{lying, child.Digest().String(), fmt.Sprint(len(child.Raw))}
			s.refused(words, "create", s.name("2"), s.name("there"), lying)
			s.refused(words, "create", "--amend", s.list, lying)
			s.refused(words, "create", "--push", s.list, s.name("there"), lying)
			s.multiarch("push", s.list)
			s.holdsImages(s.holds("1", "linux/arm64/v8"), there)
		})
	}
}
