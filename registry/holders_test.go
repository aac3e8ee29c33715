package registry

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"golang.org/x/sync/errgroup"
)

// A blob that is copied to several registries is read from its source once, and not at all if one of them has it. One that
// cannot be read from there comes from the source.
func TestCopyToSeveralRegistries(t *testing.T) {
	content := bytes.Repeat([]byte("layer"), 50_000)
	for _, tt := range []struct {
		name   string
		has    string                      // the target that has the layer already
		answer func(w http.ResponseWriter) // to a GET of the layer there
		reads  int                         // of the layer from its source, -1 for any number
	}{
		{name: "none has it", reads: 1},
		{name: "one has it", has: "c.example.com", reads: 0},
		{name: "one claims to have it", has: "c.example.com", reads: -1, answer: func(w http.ResponseWriter) {
			refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "")
		}},
		{name: "one has other bytes", has: "c.example.com", reads: -1, answer: func(w http.ResponseWriter) {
			_, _ = w.Write(bytes.Repeat([]byte("other"), 50_000))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, source := newNetwork(t), newFake()
			n.secure("a.example.com:443", source)
			layer := source.putBlob("app", content)
			image, from := source.putImage("app", "1", layer), parse(t, "a.example.com/app")
			names := []string{"b.example.com/app", "c.example.com/app", "d.example.com/app", "d.example.com/mirror", "a.example.com/mirror"}
			fakes, c := map[string]*fake{"a.example.com": source}, n.client(Options{})
			for _, name := range names {
				host, repo, _ := strings.Cut(name, "/")
				if fakes[host] == nil {
					fakes[host] = newFake()
					n.secure(host+":443", fakes[host])
				}
				if tt.has == host {
					fakes[host].putBlob(repo, content)
				}
			}
			fakes["c.example.com"].before = func(w http.ResponseWriter, r *http.Request) bool {
				if tt.answer == nil || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/blobs/"+layer.Digest.String()) {
					return false
				}
				tt.answer(w)
				return true
			}
			for _, name := range names {
				c.Prefetch(t.Context(), parse(t, name), []reference.Named{from})
			}
			var group errgroup.Group
			for _, name := range names {
				group.Go(func() error { return c.Copy(t.Context(), from, image, parse(t, name)) })
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				host, repo, _ := strings.Cut(name, "/")
				if got, ok := fakes[host].blob(repo, layer.Digest); !ok || !bytes.Equal(got, content) {
					t.Errorf("%s: got the layer %t, want its content", name, ok)
				}
			}
			if got := source.count("GET /v2/app/blobs/" + layer.Digest.String()); tt.reads >= 0 && got != tt.reads {
				t.Errorf("got %d reads of the layer, want %d: %q", got, tt.reads, source.requests())
			}
		})
	}
}

// What the source's registry has a target gets by a mount, even if it is copied from elsewhere; so does a second repository of
// a registry.
func TestCopyFromTheNearestRepository(t *testing.T) {
	n, source, other := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", source)
	n.secure("b.example.com:443", other)
	layer := source.putBlob("app", []byte("layer"))
	image, from := source.putImage("app", "1", layer), parse(t, "a.example.com/app")
	c := n.client(Options{})
	list := parse(t, "b.example.com/app")
	for _, step := range []struct {
		from, to reference.Named
	}{{from, list}, {list, parse(t, "a.example.com/mirror")}, {from, parse(t, "b.example.com/mirror")}} {
		if err := c.Copy(t.Context(), step.from, image, step.to); err != nil {
			t.Fatal(err)
		}
	}
	wantImage(t, source, "mirror", image.Descriptor, layer)
	wantImage(t, other, "mirror", image.Descriptor, layer)
	for name, f := range map[string]*fake{"a.example.com": source, "b.example.com": other} {
		if got := f.count("PUT /v2/mirror/blobs/"); got != 0 {
			t.Errorf("%s: got %d uploads, want mounts: %q", name, got, f.requests())
		}
	}
}
