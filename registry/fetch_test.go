package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

var discardLog = log.New(io.Discard, "", 0)

const emptyIndex = `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[]}`

func TestFetch(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	image := f.putImage("app", "1")
	c := n.client(Options{UserAgent: "test/1"})
	for _, name := range []string{"a.example.com/app:1", "a.example.com/app@" + image.Descriptor.Digest.String(), "a.example.com/app:other@" + image.Descriptor.Digest.String()} {
		got, err := c.Fetch(t.Context(), parse(t, name))
		if err != nil || !reflect.DeepEqual(got, image) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, image)
		}
	}
	if got := f.requests(); len(got) != 3 {
		t.Errorf("one request each, got %q", got)
	}
	wantAccept := []string{"application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, " +
		"application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, */*"}
	if got := f.headers[0].Values("Accept"); !slices.Equal(got, wantAccept) {
		t.Errorf("Accept: got %q, want one line %q", got, wantAccept)
	}
	if h := f.headers[0]; h.Get("User-Agent") != "test/1" || h.Get("Accept-Encoding") != "identity" {
		t.Errorf("got headers %v, want the user agent and Accept-Encoding: identity", h)
	}
}

func TestFetchRefuses(t *testing.T) {
	other := digest.FromString("other")
	answer := func(header http.Header, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			for k, v := range header {
				w.Header()[k] = v
			}
			fmt.Fprint(w, body)
			return true
		}
	}
	tests := map[string]struct {
		ref    string
		header http.Header
		body   string
		kind   error
		want   []string
	}{
		"digest of the reference": {
			ref: "a.example.com/app@" + other.String(), body: emptyIndex,
			kind: errdefs.ErrDataLoss, want: []string{other.String(), digest.FromString(emptyIndex).String()},
		},
		"digest of the header": {
			header: http.Header{"Docker-Content-Digest": {other.String()}}, body: emptyIndex,
			kind: errdefs.ErrDataLoss, want: []string{other.String(), digest.FromString(emptyIndex).String()},
		},
		"header that is none": {
			header: http.Header{"Docker-Content-Digest": {"rubbish"}}, body: emptyIndex,
			kind: errdefs.ErrDataLoss, want: []string{"rubbish"},
		},
		"too large": {
			body: emptyIndex + strings.Repeat(" ", maxManifest),
			kind: errdefs.ErrInvalidArgument, want: []string{"app:1", "larger than 4 MiB"},
		},
		"schema 1": {
			body: `{"schemaVersion":1,"fsLayers":[]}`,
			kind: errdefs.ErrInvalidArgument, want: []string{"app:1", "schema 1"},
		},
		"HTML": {
			header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: "<html>",
			kind: errdefs.ErrInvalidArgument, want: []string{"app:1", `"text/html"`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.before = answer(tt.header, tt.body)
			if tt.ref == "" {
				tt.ref = "a.example.com/app:1"
			}
			_, err := n.client(Options{}).Fetch(t.Context(), parse(t, tt.ref))
			wantError(t, err, tt.kind, tt.want...)
		})
	}
}

func wantError(t *testing.T, err, kind error, parts ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want the kind %v", err, kind)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("got error %q, want %q in it", err, p)
		}
	}
}

func TestFetchTooLargeWithoutLength(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.(http.Flusher).Flush()
		_, _ = w.Write(make([]byte, maxManifest+1))
		return true
	}
	_, err := n.client(Options{}).Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	wantError(t, err, errdefs.ErrInvalidArgument, "larger than 4 MiB")
}

func TestMediaTypeOf(t *testing.T) {
	tests := []struct{ contentType, body, want, problem string }{
		{"", emptyIndex, ocispec.MediaTypeImageIndex, ""},
		{manifest.MediaTypeDockerManifest, emptyIndex, ocispec.MediaTypeImageIndex, ""},
		{"text/plain", emptyIndex, ocispec.MediaTypeImageIndex, ""},
		{manifest.MediaTypeDockerList, `{"manifests":[]}`, manifest.MediaTypeDockerList, ""},
		{manifest.MediaTypeDockerManifest + "; charset=utf-8", `{"config":{}}`, manifest.MediaTypeDockerManifest, ""},
		{"application/json", `{"manifests":[]}`, ocispec.MediaTypeImageIndex, ""},
		{"", `{"config":{},"layers":[]}`, ocispec.MediaTypeImageManifest, ""},
		{"application/vnd.oci.artifact.manifest.v1+json", `{"blobs":[]}`, "application/vnd.oci.artifact.manifest.v1+json", ""},
		{"", `{"mediaType":"application/vnd.cncf.oras.artifact.manifest.v1+json"}`, "application/vnd.cncf.oras.artifact.manifest.v1+json", ""},
		{"application/vnd.oci.artifact.manifest.v1+json", `{"layers":[]}`, "", "another structure"},
		{"application/vnd.oci.artifact.manifest.v1+json", `{"manifests":[]}`, "", "another structure"},
		{ocispec.MediaTypeImageIndex, `{"config":{}}`, "", "another structure"},
		{"", `{"mediaType":"` + ocispec.MediaTypeImageManifest + `","manifests":[]}`, "", "another structure"},
		{"", `{"manifests":[],"layers":[]}`, "", "at once"},
		{"", `{"mediaType":"application/x-cat","config":{}}`, "", "application/x-cat"},
		{"application/json", `{}`, "", "application/json"},
		{"", `[]`, "", "not a JSON object"},
		{"", ``, "", "not a JSON object"},
	}
	for _, tt := range tests {
		got, err := mediaTypeOf(tt.contentType, []byte(tt.body))
		if got != tt.want || (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%q %s: got %q, %v", tt.contentType, tt.body, got, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add("", []byte(emptyIndex))
	f.Add(manifest.MediaTypeDockerManifest, []byte(`{"config":{"digest":"sha256:1"},"layers":[{}]}`))
	f.Add("text/html", []byte(`{"manifests":null,"layers":{}}`))
	f.Fuzz(func(t *testing.T, contentType string, raw []byte) {
		mediaType, err := mediaTypeOf(contentType, raw)
		if err != nil {
			if !errdefs.IsInvalidArgument(err) {
				t.Fatal(err)
			}
			return
		}
		switch {
		case manifest.IsIndex(mediaType):
			_, _, _ = manifest.ParseIndex(raw)
		case manifest.IsImage(mediaType), manifest.IsArtifact(mediaType):
			_, _ = blobsOf(manifest.NewContent(mediaType, raw))
		default:
			t.Fatalf("got media type %q, want one of an image or index", mediaType)
		}
	})
}

// headAnswers answers each HEAD with this status and nothing else, with 0 none.
func headAnswers(status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodHead || status == 0 {
			return false
		}
		w.WriteHeader(status)
		return true
	}
}

// A HEAD that is refused, or answered without a digest, says nothing about a manifest: a GET decides.
func TestDigest(t *testing.T) {
	for _, status := range []int{0, 200, 400, 403, 405, 406, 415, 501} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			image := f.putImage("app", "1")
			f.before = headAnswers(status)
			c := n.client(Options{Jobs: 1})
			got, err := c.Digest(t.Context(), parse(t, "a.example.com/app:1"))
			if err != nil || got != image.Descriptor.Digest {
				t.Errorf("got %s, %v, want %s", got, err, image.Descriptor.Digest)
			}
			if status == 0 && f.count("GET") > 0 {
				t.Errorf("got requests %q, want no GET", f.requests())
			}
			if got, err := c.Digest(t.Context(), parse(t, "a.example.com/app:absent")); !errdefs.IsNotFound(err) {
				t.Errorf("absent: got %s, %v, want the kind %v", got, err, errdefs.ErrNotFound)
			}
		})
	}
}

func TestDigestAbsent(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	_, err := n.client(Options{}).Digest(t.Context(), parse(t, "a.example.com/app:1"))
	wantError(t, err, errdefs.ErrNotFound, "a.example.com: HEAD manifest a.example.com/app:1: 404 Not Found")
	if len(f.requests()) != 1 {
		t.Errorf("got %q", f.requests())
	}
}

func TestBlob(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	d := f.putBlob("app", []byte("config"))
	c, repo := n.client(Options{}), parse(t, "a.example.com/app")
	for _, size := range []int64{d.Size, 0} {
		d.Size = size
		if raw, err := c.Blob(t.Context(), repo, d); err != nil || string(raw) != "config" {
			t.Errorf("got %q, %v", raw, err)
		}
	}
	d.Size = 5
	_, err := c.Blob(t.Context(), repo, d)
	wantError(t, err, errdefs.ErrDataLoss, "6 bytes instead of 5")
	f.blobs["app|"+d.Digest.String()] = []byte("cOnfig")
	d.Size = 6
	if raw, err := c.Blob(t.Context(), repo, d); err != nil || string(raw) != "config" || len(f.requests()) != 1 {
		t.Errorf("got %q, %v, %q", raw, err, f.requests())
	}
	c = n.client(Options{})
	_, err = c.Blob(t.Context(), repo, d)
	wantError(t, err, errdefs.ErrDataLoss, d.Digest.String())
	d.Size = maxManifest + 1
	_, err = c.Blob(t.Context(), repo, d)
	wantError(t, err, errdefs.ErrInvalidArgument, "4 MiB")
	d.Digest = "sha256:../.."
	_, err = c.Blob(t.Context(), repo, d)
	wantError(t, err, errdefs.ErrInvalidArgument, "..")
}

// A redirect to storage elsewhere must not disclose the credentials.
func TestBlobRedirect(t *testing.T) {
	n, f, storage := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("storage.example.com:443", storage)
	d := f.putBlob("app", []byte("config"))
	storage.before = func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, "config")
		return true
	}
	check := basic("me", "hunter22")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !check(w, r) {
			http.Redirect(w, r, "https://storage.example.com/x?sig=1", http.StatusTemporaryRedirect)
		}
		return true
	}
	c := n.client(Options{Credentials: credential(Credential{Username: "me", Secret: "hunter22"})})
	raw, err := c.Blob(t.Context(), parse(t, "a.example.com/app"), d)
	if err != nil || string(raw) != "config" {
		t.Fatalf("got %q, %v", raw, err)
	}
	for name := range storage.headers[0] {
		if name == "Authorization" || name == "Referer" {
			t.Errorf("got header %s at the storage, want none", name)
		}
	}
}

func TestRedirectsEnd(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		return true
	}
	_, err := n.client(Options{}).Blob(t.Context(), parse(t, "a.example.com/app"), f.putBlob("app", []byte("x")))
	wantError(t, err, errdefs.ErrUnavailable, "more than 10 redirects")
	if got := len(f.requests()); got != 11 {
		t.Errorf("%d requests", got)
	}
}

func TestRedirectToPlainHTTP(t *testing.T) {
	n, f, storage := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.plain("storage.example.com:80", storage)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://storage.example.com/x?sig=secret", http.StatusTemporaryRedirect)
		return true
	}
	_, err := n.client(Options{}).Blob(t.Context(), parse(t, "a.example.com/app"), f.putBlob("app", []byte("x")))
	wantError(t, err, errdefs.ErrUnavailable, "redirect from HTTPS to plain HTTP on storage.example.com")
	if len(storage.requests()) != 0 || strings.Contains(err.Error(), "secret") {
		t.Errorf("got requests %q, error %v, want none and an error without the secret", storage.requests(), err)
	}
}

func TestCancel(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	ctx, cancel := context.WithCancel(t.Context())
	f.before = func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // an answer could still arrive
	}
	_, err := n.client(Options{}).Fetch(ctx, parse(t, "a.example.com/app:1"))
	if !errors.Is(err, context.Canceled) || errdefs.IsUnavailable(err) {
		t.Errorf("got %v", err)
	}
}
