package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// together makes a registry answer the first n requests only when all of them are there.
func together(n int32) func(http.ResponseWriter, *http.Request) bool {
	var arrived atomic.Int32
	all := make(chan struct{})
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if arrived.Add(1) == n {
			close(all)
		}
		select {
		case <-all:
		case <-r.Context().Done():
		}
		return false
	}
}

// Without a login no request waits for the answer of another one, whatever scheme the registry speaks: ten requests that
// are answered together are all under way.
func TestRequestsGoSideBySide(t *testing.T) {
	for name, tt := range map[string]struct {
		start   func(*network, string, http.Handler)
		options Options
	}{
		"HTTPS":             {(*network).secure, Options{}},
		"HTTPS, insecure":   {func(n *network, name string, h http.Handler) { n.selfSigned(name, h) }, Options{Insecure: true}},
		"plain, insecure":   {(*network).plain, Options{Insecure: true}},
		"plain, the daemon": {(*network).plain, Options{InsecureHost: func(context.Context, string) bool { return true }}},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			tt.start(n, "registry.example.com:5000", f)
			f.putImage("app", "1")
			f.before = together(10)
			c, ref := n.client(tt.options), parse(t, "registry.example.com:5000/app:1")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var group sync.WaitGroup
			for range 10 {
				group.Go(func() {
					if _, err := c.Fetch(ctx, ref); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if got := len(f.requests()); got != 10 {
				t.Errorf("got %d requests, want 10", got)
			}
		})
	}
}

func TestJobsBoundRequests(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	layer := f.putBlob("source", bytes.Repeat([]byte("layer"), 50_000))
	image := f.putImage("source", "1", layer, f.putBlob("source", []byte("2")), f.putBlob("source", []byte("3")))
	f.mounts = http.StatusForbidden // so that a blob is read and written at one time
	for _, jobs := range []int{1, 2} {
		c := n.client(Options{Jobs: jobs})
		var group sync.WaitGroup
		for i := range 3 {
			group.Go(func() {
				to := parse(t, fmt.Sprintf("a.example.com/target%d-%d", jobs, i))
				if err := c.Copy(t.Context(), parse(t, "a.example.com/source"), image, to); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	var now, most atomic.Int32
	f.before = func(http.ResponseWriter, *http.Request) bool {
		for at := now.Add(1); at > most.Load(); {
			most.Store(at)
		}
		<-time.After(time.Millisecond)
		now.Add(-1)
		return false
	}
	c := n.client(Options{Jobs: 3})
	var group sync.WaitGroup
	for range 30 {
		group.Go(func() { _, _ = c.Fetch(t.Context(), parse(t, "a.example.com/source:1")) })
	}
	group.Wait()
	if got := most.Load(); got > 3 {
		t.Errorf("got %d concurrent requests, want at most 3", got)
	}
}

// An operation that says what it is going to need gets one token for it.
func TestOneTokenForAnOperation(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("a.example.com:443", f)
	n.secure("auth.example.com:443", service)
	f.before = bearer("https://auth.example.com/token")
	if err := operate(t, n.client(Options{Credentials: credential(Credential{Username: "me", Secret: "hunter22"})}), f); err != nil {
		t.Fatal(err)
	}
	want := "[repository:app:pull,push repository:other:pull]"
	if got := service.requests(); len(got) != 1 || fmt.Sprint(strings.Fields(strings.Join(got[0]["scope"], " "))) != want {
		t.Errorf("got %v", got)
	}
	if got := f.count(""); got != 7 { // the challenge, manifest and config, two mounts, the image, the list
		t.Errorf("got %d requests, want 7: %q", got, f.requests())
	}
}

// operate copies an image to another repository and puts a list there, as create --push does.
func operate(t *testing.T, c *Client, f *fake) error {
	t.Helper()
	image := f.putImage("other", "1", f.putBlob("other", []byte("layer")))
	to, from := parse(t, "a.example.com/app:1"), parse(t, "a.example.com/other:1")
	c.Prefetch(t.Context(), to, []reference.Named{from})
	_, err := c.Fetch(t.Context(), from)
	_, configErr := c.Blob(t.Context(), from, f.putBlob("other", []byte(`{"os":"linux","architecture":"arm64"}`)))
	err = errors.Join(err, configErr, c.Copy(t.Context(), from, image, to))
	return errors.Join(err, c.Put(t.Context(), to, manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex))))
}

// Some registries do not grant several scopes in one token, or none to an account that may only read.
func TestScopesAreNotGranted(t *testing.T) {
	for name, service := range map[string]*tokens{
		"the first only": {grant: func(scopes []string) []string { return scopes[:min(1, len(scopes))] }},
		"none of several": {grant: func(scopes []string) []string {
			if len(scopes) > 1 && !slices.Contains(scopes, "repository:app:pull,push") {
				return nil
			}
			return scopes
		}},
		"refused": {check: func(r *http.Request) bool {
			return len(strings.Fields(strings.Join(r.Form["scope"], " "))) == 1
		}},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			n.secure("auth.example.com:443", service)
			f.before = bearer("https://auth.example.com/token")
			f.putImage("app", "1")
			f.putImage("other", "1")
			c := n.client(Options{})
			to, from := parse(t, "a.example.com/app:1"), parse(t, "a.example.com/other:1")
			c.Prefetch(t.Context(), to, []reference.Named{from})
			_, err := c.Fetch(t.Context(), from)
			_, appErr := c.Fetch(t.Context(), to)
			putErr := c.Put(t.Context(), to, manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
			if err := errors.Join(err, appErr, putErr); err != nil {
				t.Error(err)
			}
		})
	}
}

// A registry may permit everyone to read and require a login to write.
func TestAnonymousPullLoginForPush(t *testing.T) {
	for _, known := range []bool{true, false} {
		n, f := newNetwork(t), newFake()
		service := &tokens{check: func(r *http.Request) bool { user, _, _ := r.BasicAuth(); return user == "me" }}
		n.secure("a.example.com:443", f)
		n.secure("auth.example.com:443", service)
		guard := bearer("https://auth.example.com/token")
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method != http.MethodGet && r.Method != http.MethodHead && guard(w, r)
		}
		o := Options{}
		if known {
			o = Options{Credentials: credential(Credential{Username: "me", Secret: "hunter22"})}
		}
		err := operate(t, n.client(o), f)
		if known && err != nil || !known && !errdefs.IsUnauthorized(err) {
			t.Errorf("login %t: got error %v", known, err)
		}
	}
}

func TestPutSeveralTags(t *testing.T) {
	d := digest.FromString(emptyIndex).String()
	byDigest := "PUT /v2/app/manifests/" + d + "?tag=1&tag=1.2&tag=latest"
	each := []string{"PUT /v2/app/manifests/1", "PUT /v2/app/manifests/1.2", "PUT /v2/app/manifests/latest"}
	answer := func(status int, tags ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.RawQuery == "" {
				return false
			}
			w.Header()["Oci-Tag"] = tags
			w.WriteHeader(status)
			return true
		}
	}
	for name, tt := range map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		want   []string
	}{
		"known":          {answer(http.StatusCreated, "1", "1.2", "latest"), []string{byDigest}},
		"known, one row": {answer(http.StatusCreated, "1, 1.2,latest"), []string{byDigest}},
		"in part":        {answer(http.StatusCreated, "1", "latest"), []string{byDigest, each[1]}},
		"unknown":        {nil, append([]string{byDigest}, each...)},
		"refused":        {answer(http.StatusBadRequest), append([]string{byDigest}, each...)},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.before = tt.before
			err := n.client(Options{}).Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)), "1.2", "latest")
			got := f.requests()
			slices.Sort(got[1:])
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got requests %q, error %v, want %q", got, err, tt.want)
			}
		})
	}
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/1.2") || r.URL.RawQuery != "" {
			refuse(w, http.StatusForbidden, "DENIED", "immutable")
			return true
		}
		return false
	}
	err := n.client(Options{}).Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)), "1.2")
	wantError(t, err, errdefs.ErrPermissionDenied, "a.example.com/app:1.2", "immutable")
}

// What the list that is replaced had is there: its images are asked for, not their blobs.
func TestCopyOfWhatIsThere(t *testing.T) {
	for name, tt := range map[string]struct {
		lost     bool // the list names the image, but the registry does not have it
		requests int
	}{
		"there": {false, 2},        // the list and the image
		"lost":  {true, 2 + 2 + 1}, // and two blobs, which are there, and the image once more
	} {
		t.Run(name, func(t *testing.T) {
			n, f, g := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.secure("b.example.com:443", g)
			layer := f.putBlob("source", []byte("layer"))
			image := f.putImage("source", "1", layer)
			g.putBlob("target", []byte("layer"))
			g.putImage("target", "old", layer)
			list, err := manifest.MarshalIndex(ocispec.MediaTypeImageIndex, []ocispec.Descriptor{image.Descriptor}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			g.put("target", "1", ocispec.MediaTypeImageIndex, list)
			if tt.lost {
				delete(g.manifests, "target|"+image.Descriptor.Digest.String())
			}
			c := n.client(Options{})
			from, to := parse(t, "a.example.com/source"), parse(t, "b.example.com/target:1")
			c.Prefetch(t.Context(), to, []reference.Named{from})
			go c.prefetch(t.Context(), from, to, image)
			for range 2 { // several entries of a list may be one image
				if err := c.Copy(t.Context(), from, image, to); err != nil {
					t.Fatal(err)
				}
			}
			if got := g.requests(); len(got) != tt.requests || len(f.requests()) != 0 {
				t.Errorf("got requests %q to the target and %q to the source, want %d and none", got, f.requests(), tt.requests)
			}
			if _, ok := g.manifest("target", image.Descriptor.Digest.String()); !ok {
				t.Error("got no image in the target")
			}
		})
	}
}

// Prefetch only reads: nothing is written before Copy.
func TestExpectOnlyReads(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	image := f.putImage("source", "1", f.putBlob("source", []byte("layer")))
	asked := make(chan struct{}, 3)
	g.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodHead && r.Method != http.MethodGet {
			t.Errorf("got %s %s, want only reads", r.Method, r.URL)
		}
		asked <- struct{}{}
		return false
	}
	c := n.client(Options{})
	from, to := parse(t, "a.example.com/source"), parse(t, "b.example.com/target:1")
	c.Prefetch(t.Context(), to, []reference.Named{from})
	go c.prefetch(t.Context(), from, to, image)
	for range 3 { // the list, a config and a layer
		<-asked
	}
	g.mu.Lock()
	g.before = nil
	g.mu.Unlock()
	if err := c.Copy(t.Context(), from, image, to); err != nil {
		t.Fatal(err)
	}
	if got := g.count("HEAD"); got != 2 || g.count("GET") != 1 || g.count("") != 1+2+2*2+1 {
		t.Errorf("got requests %q, want 2 HEAD, a GET and the uploads", g.requests())
	}
}

// A config that was read is sent on from memory.
func TestCopySendsTheConfigOn(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	image := f.putImage("source", "1")
	config, _, err := manifest.ParseImage(image.Raw)
	if err != nil {
		t.Fatal(err)
	}
	c := n.client(Options{})
	for range 2 {
		if _, err := c.Blob(t.Context(), parse(t, "a.example.com/source"), config); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target")); err != nil {
		t.Fatal(err)
	}
	wantImage(t, g, "target", image.Descriptor, config)
	if got := f.requests(); len(got) != 1 {
		t.Errorf("got requests %q, want 1", got)
	}
}
