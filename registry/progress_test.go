package registry

import (
	"bytes"
	"cmp"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// recorded keeps the progress reports, by blob.
type recorded struct {
	mu     sync.Mutex
	blobs  map[digest.Digest][]manifest.Transfer
	counts map[manifest.Counted]int
}

func newRecorded() *recorded {
	return &recorded{blobs: map[digest.Digest][]manifest.Transfer{}, counts: map[manifest.Counted]int{}}
}

func (r *recorded) Count(what manifest.Counted, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what] += n
}

func (r *recorded) Blob(t manifest.Transfer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs[t.Blob.Digest] = append(r.blobs[t.Blob.Digest], t)
}

// states returns the states reported for a blob, each once, and checks that its bytes grow.
func (r *recorded) states(t *testing.T, b ocispec.Descriptor) string {
	t.Helper()
	var out []string
	last := int64(0)
	for _, one := range r.blobs[b.Digest] {
		if one.Sent < last || one.Sent > b.Size {
			t.Errorf("got %d bytes after %d, want at most %d and not fewer than before", one.Sent, last, b.Size)
		}
		last = one.Sent
		out = append(out, string(one.State))
	}
	return strings.Join(slices.Compact(out), " ")
}

// Progress is reported for each blob, once for a blob that two images share.
func TestProgress(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	large, there := f.putBlob("app", bytes.Repeat([]byte("layer"), 50_000)), f.putBlob("app", []byte("there"))
	g.putBlob("app", []byte("there"))
	image := f.putImage("app", "1", large, there)
	other := f.putImage("app", "2", large)
	r := newRecorded()
	c := n.client(Options{Progress: r})
	from, to := parse(t, "a.example.com/app"), parse(t, "b.example.com/app")
	for _, err := range []error{c.Copy(t.Context(), from, image, to), c.Copy(t.Context(), from, other, to)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := r.states(t, large); got != "sending sent" || len(r.blobs[large.Digest]) < 4 {
		t.Errorf("got states %q in %d reports, want sending sent in at least 4", got, len(r.blobs[large.Digest]))
	}
	if got := r.blobs[large.Digest]; got[len(got)-1].Sent != large.Size || got[len(got)-2].Sent != large.Size {
		t.Errorf("got %v, want all %d bytes in the last two", got, large.Size)
	}
	if got := r.states(t, there); got != "exists" {
		t.Errorf("got state %q, want exists", got)
	}
	if err := c.Copy(t.Context(), from, image, parse(t, "a.example.com/mounted")); err != nil {
		t.Fatal(err)
	}
	if got := r.blobs[large.Digest]; got[len(got)-1].State != manifest.Mounted {
		t.Errorf("got %v, want mounted at last", got)
	}
}

// What is read and removed is counted, and a layer that is read is reported until it is closed.
func TestProgressOfReading(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	layer := f.putBlob("app", bytes.Repeat([]byte("layer"), 50_000))
	image := f.putImage("app", "1", layer)
	f.putImage("app", "2", layer)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/app/tags/list" {
			return false
		}
		_, _ = io.WriteString(w, `{"tags":["1","2"]}`)
		return true
	}
	r := newRecorded()
	c := n.client(Options{Progress: r})
	repo, at := parse(t, "a.example.com/app"), parse(t, "a.example.com/app@"+image.Descriptor.Digest.String())
	_, _, err := c.Tags(t.Context(), repo)
	_, fetched := c.Fetch(t.Context(), at)
	_, resolved := c.Digest(t.Context(), parse(t, "a.example.com/app:2"))
	_, measured := c.BlobSize(t.Context(), repo, layer)
	content, opened := c.OpenBlob(t.Context(), repo, layer)
	if err := cmp.Or(err, fetched, resolved, measured, opened); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		t.Fatal(err)
	}
	if got := r.states(t, layer); got != "reading" {
		t.Errorf("got states %q before the layer is closed, want reading", got)
	}
	_ = content.Close()
	if got := r.blobs[layer.Digest]; r.states(t, layer) != "reading read" || got[len(got)-1].Sent != layer.Size {
		t.Errorf("got %v, want reading, and at last read with all %d bytes", got, layer.Size)
	}
	if err := c.Delete(t.Context(), at.(reference.Canonical)); err != nil {
		t.Fatal(err)
	}
	want := map[manifest.Counted]int{manifest.CountedNames: 2, manifest.CountedManifests: 2, manifest.CountedBlobs: 1, manifest.CountedRemovals: 1}
	if !maps.Equal(r.counts, want) {
		t.Errorf("got counts %v, want %v", r.counts, want)
	}
}

func TestCopyBlobsAlone(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	layer := f.putBlob("app", []byte("layer"))
	image := f.putImage("app", "1", layer)
	c := n.client(Options{})
	if err := c.CopyBlobs(t.Context(), parse(t, "a.example.com/app"), image, parse(t, "b.example.com/app:1")); err != nil {
		t.Fatal(err)
	}
	if _, ok := g.blob("app", layer.Digest); !ok || g.count("PUT /v2/app/manifests") != 0 {
		t.Errorf("got requests %q, want the blob and no manifest", g.requests())
	}
	image.Descriptor.Digest = digest.FromString("another")
	if err := c.CopyBlobs(t.Context(), parse(t, "a.example.com/app"), image, parse(t, "b.example.com/app:1")); err == nil {
		t.Error("got no error for a manifest with another digest")
	}
}

// The credential for the source is sent only for reading it, also when the source is in the target registry: then
// nothing is mounted.
func TestCopyWithACredentialForTheSource(t *testing.T) {
	for _, target := range []string{"b.example.com/app", "a.example.com/copy"} {
		t.Run(target, func(t *testing.T) {
			n, f, g := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.secure("b.example.com:443", g)
			layer := f.putBlob("app", bytes.Repeat([]byte("layer"), 5000))
			image := f.putImage("app", "1", layer)
			whole := func(user string) func(http.ResponseWriter, *http.Request) bool { return basic(user, user+"-secret") }
			reader, writer := whole("reader"), whole("writer")
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/v2/app/") {
					return reader(w, r)
				}
				return writer(w, r)
			}
			g.before = writer
			from := n.client(Options{Credentials: credential(Credential{Username: "reader", Secret: "reader-secret"})})
			c := n.client(Options{From: from, Credentials: credential(Credential{Username: "writer", Secret: "writer-secret"})})
			to := parse(t, target)
			c.Prefetch(t.Context(), to, nil)
			go c.prefetch(t.Context(), parse(t, "a.example.com/app"), to, image)
			if err := c.Copy(t.Context(), parse(t, "a.example.com/app"), image, to); err != nil {
				t.Fatal(err)
			}
			if f.count("POST /v2/copy/blobs/uploads/?from") != 0 {
				t.Errorf("got requests %q, want no mount", f.requests())
			}
			for _, server := range []*fake{f, g} {
				for n, h := range server.headers {
					user, _, sent := (&http.Request{Header: h}).BasicAuth()
					reads := server == f && strings.Contains(server.seen[n], " /v2/app/")
					if sent && (user == "reader") != reads {
						t.Errorf("got %s with the credential of %s, want the other one", server.seen[n], user)
					}
				}
			}
		})
	}
}
