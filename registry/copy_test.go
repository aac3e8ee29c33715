package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

func TestCopyWithinARegistry(t *testing.T) {
	tests := map[string]struct {
		mounts  int
		uploads int
	}{
		"mounted":       {http.StatusCreated, 0},
		"to be sent":    {http.StatusAccepted, 2},
		"denied":        {http.StatusForbidden, 2},
		"unauthorized":  {http.StatusUnauthorized, 2},
		"not found":     {http.StatusNotFound, 2},
		"not supported": {http.StatusMethodNotAllowed, 2},
		"bad request":   {http.StatusBadRequest, 2},
		"invalid":       {http.StatusUnprocessableEntity, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.mounts = tt.mounts
			layer := f.putBlob("source", bytes.Repeat([]byte("layer"), 50_000))
			image := f.putImage("source", "1", layer, layer)
			err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "a.example.com/target:1"))
			if err != nil {
				t.Fatal(err)
			}
			wantImage(t, f, "target", image.Descriptor, layer)
			if _, ok := f.manifest("target", "1"); ok {
				t.Error("got a tag from Copy, want none")
			}
			if f.count("PUT /v2/target/blobs") != tt.uploads || f.count("POST /v2/target/blobs/uploads/?from=source&mount=sha256") != 2 || f.openSessions() != 0 {
				t.Errorf("got requests %q, want %d uploads, 2 mounts and no open session", f.requests(), tt.uploads)
			}
			if tt.uploads == 0 && len(f.requests()) != 3 {
				t.Errorf("got requests %q, want 3", f.requests())
			}
		})
	}
}

// A blob that was not sent, since the registry mounted it or claimed to have it, is uploaded when the registry does not
// know it after all.
func TestCopyOfAssumedBlobs(t *testing.T) {
	for _, tt := range []struct {
		name      string
		answer    func(w http.ResponseWriter, r *http.Request) bool
		from      string
		uploads   int
		retryTime time.Duration
	}{
		{"mounted, but not there", func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Has("mount") {
				w.Header().Set("Location", "/v2/target/blobs/"+r.URL.Query().Get("mount"))
				w.WriteHeader(http.StatusCreated)
			}
			return r.URL.Query().Has("mount")
		}, "b.example.com", 2, -1},
		{"mounted by an empty 201", func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Has("mount") {
				w.WriteHeader(http.StatusCreated)
			}
			return r.URL.Query().Has("mount")
		}, "b.example.com", 2, -1},
		{"mounted by 200", func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.Query().Has("mount")
		}, "b.example.com", 2, -1},
		{"claimed, but not there", func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodHead || !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			w.Header().Set("Docker-Content-Digest", path.Base(r.URL.Path))
			return true
		}, "a.example.com", 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, f, g := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.secure("b.example.com:443", g)
			source := map[string]*fake{"a.example.com": f, "b.example.com": g}[tt.from]
			layer := source.putBlob("source", []byte("layer"))
			image := source.putImage("source", "1", layer)
			config := digest.FromString(faultConfig)
			g.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
					for _, d := range []digest.Digest{layer.Digest, config} {
						if _, ok := g.blob("target", d); !ok {
							refuse(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
							return true
						}
					}
				}
				return tt.answer(w, r)
			}
			err := n.client(Options{RetryTimeout: tt.retryTime}).Copy(t.Context(), parse(t, tt.from+"/source"), image, parse(t, "b.example.com/target:1"))
			if err != nil {
				t.Fatal(err)
			}
			wantImage(t, g, "target", image.Descriptor, layer)
			if got := g.count("PUT /v2/target/blobs"); got != tt.uploads {
				t.Errorf("got %d uploads in %q, want %d", got, g.requests(), tt.uploads)
			}
		})
	}
}

// An upload that is answered with another success than 201 counts only when the registry has the blob.
func TestUploadAnsweredOddly(t *testing.T) {
	for name, tt := range map[string]struct {
		stored, head bool // whether the blob is stored, and HEAD is answered as it should
		uploads      int
		fails        bool
	}{
		"stored":                     {true, true, 1, false},
		"stored, HEAD not supported": {true, false, 1, false},
		"not stored":                 {false, true, transport.FewAttempts, true},
		"nothing is as it should":    {false, false, transport.FewAttempts, true},
	} {
		t.Run(name, func(t *testing.T) {
			n, f, g := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.secure("b.example.com:443", g)
			layer := f.putBlob("app", []byte("layer"))
			image := f.putImage("app", "1", layer)
			uploads := 0
			g.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("digest") == layer.Digest.String() {
					g.mu.Lock()
					uploads++
					g.mu.Unlock()
					if tt.stored {
						g.finishSession(httptest.NewRecorder(), r, "app", path.Base(r.URL.Path))
					}
					_, _ = io.Copy(io.Discard, r.Body)
					return true
				}
				return r.Method == http.MethodHead && !tt.head
			}
			err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/app"), image, parse(t, "b.example.com/app"))
			if (err != nil) != tt.fails || uploads != tt.uploads {
				t.Errorf("got error %v after %d uploads, want %d", err, uploads, tt.uploads)
			}
			if err != nil && !strings.Contains(err.Error(), "200 OK") {
				t.Errorf("got error %v, want the status in it", err)
			}
		})
	}
}

// A superseded artifact manifest is copied with its blobs.
func TestCopyOfAnArtifact(t *testing.T) {
	for _, mediaType := range []string{"application/vnd.oci.artifact.manifest.v1+json", "application/vnd.cncf.oras.artifact.manifest.v1+json"} {
		n, f, g := newNetwork(t), newFake(), newFake()
		n.secure("a.example.com:443", f)
		n.secure("b.example.com:443", g)
		blob := f.putBlob("app", []byte("signature"))
		raw := fmt.Appendf(nil, `{"mediaType":%q,"artifactType":"a/b","blobs":[{"mediaType":"a/c","digest":%q,"size":9}],"subject":{"mediaType":%q,"digest":%q,"size":5}}`,
			mediaType, blob.Digest, ocispec.MediaTypeImageManifest, digest.FromString("image"))
		f.put("app", "1", mediaType, raw)
		c := n.client(Options{})
		artifact, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
		if err == nil {
			err = c.Copy(t.Context(), parse(t, "a.example.com/app"), artifact, parse(t, "b.example.com/app"))
		}
		if err != nil {
			t.Fatal(err)
		}
		wantImage(t, g, "app", manifest.NewContent(mediaType, raw).Descriptor, blob)
	}
}

// A refused upload of a blob that the registry has is no failure: another client may have uploaded it meanwhile.
func TestUploadRefusedButThere(t *testing.T) {
	for _, there := range []bool{true, false} {
		n, f, g := newNetwork(t), newFake(), newFake()
		n.secure("a.example.com:443", f)
		n.secure("b.example.com:443", g)
		layer := f.putBlob("app", []byte("layer"))
		image := f.putImage("app", "1", layer)
		g.putImage("app", "config") // the same, so that only the layer is uploaded
		g.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("digest") != layer.Digest.String() {
				return false
			}
			if there {
				g.putBlob("app", []byte("layer"))
			}
			_, _ = io.Copy(io.Discard, r.Body)
			refuse(w, http.StatusConflict, "BLOB_UPLOAD_INVALID", "exists")
			return true
		}
		err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/app"), image, parse(t, "b.example.com/app"))
		if (err == nil) != there || g.openSessions() > 0 {
			t.Errorf("there %t: got error %v and %d open sessions after %q", there, err, g.openSessions(), g.requests())
		}
	}
}

// wantImage checks that an image is whole in a repository, its manifest last.
func wantImage(t *testing.T, f *fake, repo string, d ocispec.Descriptor, layers ...ocispec.Descriptor) {
	t.Helper()
	m, ok := f.manifest(repo, d.Digest.String())
	if !ok || m.mediaType != d.MediaType || digest.FromBytes(m.raw) != d.Digest {
		t.Errorf("got manifest %t of type %s, want %s", ok, m.mediaType, d.MediaType)
	}
	for _, l := range layers {
		if blob, ok := f.blob(repo, l.Digest); !ok || digest.FromBytes(blob) != l.Digest {
			t.Errorf("layer %s: got it %t, want its content", l.Digest, ok)
		}
	}
	if seen := f.requests(); !strings.HasPrefix(seen[len(seen)-1], "PUT /v2/"+repo+"/manifests/"+d.Digest.String()) {
		t.Errorf("got last request %q, want the PUT of the manifest", seen[len(seen)-1])
	}
}

func TestCopyBetweenRegistries(t *testing.T) {
	for _, target := range []string{"b.example.com", "h2.example.com", "a.example.com:5000"} {
		t.Run(target, func(t *testing.T) {
			n, f, g := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			address := target
			if !strings.Contains(target, ":") {
				address += ":443"
			}
			n.secure(address, g)
			large := f.putBlob("source", bytes.Repeat([]byte("0123456789"), 100_001))
			empty := f.putBlob("source", nil)
			there := f.putBlob("source", []byte("there already"))
			g.putBlob("deep/target", []byte("there already"))
			image := f.putImage("source", "1", large, empty, there)
			err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, target+"/deep/target"))
			if err != nil {
				t.Fatal(err)
			}
			wantImage(t, g, "deep/target", image.Descriptor, large, empty, there)
			if target == "h2.example.com" && g.protocol != "HTTP/2.0" {
				t.Errorf("got %s, want HTTP/2.0", g.protocol)
			}
			if g.count("PUT /v2/deep/target/blobs") != 3 || g.count("POST /v2/deep/target/blobs/uploads/") != 3 || f.count("GET") != 3 || strings.Contains(fmt.Sprint(g.requests()), "mount=") {
				t.Errorf("got requests %q to the source and %q to the target, want 3 downloads and 3 uploads without mounts", f.requests(), g.requests())
			}
		})
	}
}

// A blob is uploaded unless the answer to its HEAD shows that the target has it, or that to a GET where HEAD does not decide.
func TestCopyAfterOddHead(t *testing.T) {
	layer := []byte("layer")
	for name, tt := range map[string]struct {
		status         int
		length, digest string
		sent           int
	}{
		"200, empty":         {200, "0", "", 1},
		"200, nothing":       {200, "", "", 1},
		"200, another":       {200, "", digest.FromString("other").String(), 1},
		"200, a web page":    {200, "1234", "", 1},
		"200, empty, digest": {200, "0", digest.FromBytes(layer).String(), 1},
		"200, digest":        {200, "", digest.FromBytes(layer).String(), 0},
		"200, length":        {200, "5", "", 0},
		"400":                {400, "", "", 1},
		"403":                {403, "", "", 1},
		"415":                {415, "", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			n, f, g := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.secure("b.example.com:443", g)
			l := f.putBlob("app", layer)
			image := f.putImage("app", "1", l)
			g.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodHead || !strings.HasSuffix(r.URL.Path, l.Digest.String()) {
					return false
				}
				for name, value := range map[string]string{"Content-Length": tt.length, "Docker-Content-Digest": tt.digest} {
					if value != "" {
						w.Header().Set(name, value)
					}
				}
				w.WriteHeader(tt.status)
				return true
			}
			err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/app"), image, parse(t, "b.example.com/app"))
			_, sent := g.blob("app", l.Digest)
			if err != nil || sent != (tt.sent == 1) {
				t.Errorf("got error %v, the layer sent %t after %q, want %t", err, sent, g.requests(), tt.sent == 1)
			}
			err = n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/app"), image, parse(t, "b.example.com/app"))
			if again := g.count("PUT /v2/app/blobs/"); err != nil || tt.sent == 1 && tt.length != "1234" && again != 2 {
				t.Errorf("copied again: got error %v and %d uploads in %q, want 2", err, again, g.requests())
			}
		})
	}
}

func TestCopyLeavesForeignLayers(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	var foreign []ocispec.Descriptor
	for i, mediaType := range []string{
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	} {
		l := f.putBlob("source", []byte{byte(i)})
		l.MediaType, l.URLs = mediaType, []string{"https://a.example.com/elsewhere"}
		foreign = append(foreign, l)
	}
	image := f.putImage("source", "1", foreign...)
	for _, target := range []string{"b.example.com/target", "a.example.com/target"} {
		if err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, target)); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range foreign {
		for _, r := range append(f.requests(), g.requests()...) {
			if strings.Contains(r, l.Digest.Encoded()) || strings.Contains(r, "elsewhere") {
				t.Errorf("got request %q for a foreign layer, want none", r)
			}
		}
	}
}

// A layer that is not what its digest says never becomes a blob, even in a registry that would believe it.
func TestCopyCorrupted(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 20_000)
	corrupt := func(at int) []byte {
		out := bytes.Clone(content)
		out[at] ^= 1
		return out
	}
	answers := map[string]func(w http.ResponseWriter){
		"first byte":      func(w http.ResponseWriter) { _, _ = w.Write(corrupt(0)) },
		"last byte":       func(w http.ResponseWriter) { _, _ = w.Write(corrupt(len(content) - 1)) },
		"too short":       func(w http.ResponseWriter) { _, _ = w.Write(content[:len(content)-1]) },
		"too long":        func(w http.ResponseWriter) { _, _ = w.Write(append(bytes.Clone(content), '!')) },
		"another length":  func(w http.ResponseWriter) { w.Header().Set("Content-Length", "3"); fmt.Fprint(w, "abc") },
		"breaks off":      breakOff(content, true),
		"breaks, chunked": breakOff(content, false),
	}
	for name, answer := range answers {
		for _, target := range []string{"b.example.com", "h2.example.com"} {
			for _, known := range []bool{true, false} {
				if name == "another length" && !known {
					continue // then it is the digest that is wrong
				}
				t.Run(fmt.Sprintf("%s, %s, size known %v", name, target, known), func(t *testing.T) {
					copyCorrupted(t, target, content, known, answer)
				})
			}
		}
	}
}

func copyCorrupted(t *testing.T, target string, content []byte, known bool, answer func(http.ResponseWriter)) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure(target+":443", g)
	layer := f.putBlob("source", content)
	if !known {
		layer.Size = 0
	}
	image := f.putImage("source", "1", layer)
	g.putImage("target", "1", layer) // so that the config is there
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, layer.Digest.String()) {
			return false
		}
		answer(w)
		return true
	}
	err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, target+"/target"))
	if err == nil || !strings.Contains(err.Error(), layer.Digest.String()+" of a.example.com/source") {
		t.Errorf("got %v", err)
	}
	if _, ok := g.blob("target", layer.Digest); ok || g.openSessions() != 0 || g.count("PUT /v2/target/manifests") != 0 {
		t.Errorf("got the blob %t after %q, want neither blob, manifest nor open session", ok, g.requests())
	}
}

func breakOff(content []byte, length bool) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if length {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		}
		_, _ = w.Write(content[:len(content)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// A manifest need not state the size of a layer.
func TestCopyUnknownSize(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		n, f, g := newNetwork(t), newFake(), newFake()
		n.secure("a.example.com:443", f)
		n.secure("b.example.com:443", g)
		content := bytes.Repeat([]byte("layer"), 50_000)
		layer := f.putBlob("source", content)
		layer.Size = 0
		image := f.putImage("source", "1", layer)
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !chunked || !strings.HasSuffix(r.URL.Path, layer.Digest.String()) {
				return false
			}
			w.(http.Flusher).Flush()
			_, _ = w.Write(content)
			return true
		}
		if err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target")); err != nil {
			t.Fatal(err)
		}
		wantImage(t, g, "target", image.Descriptor, layer)
	}
}

func TestCopyRefuses(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	image := f.putImage("source", "1")
	index := []byte(emptyIndex)
	for name, tt := range map[string]struct {
		image manifest.Content
		kind  error
	}{
		"index":            {manifest.NewContent(ocispec.MediaTypeImageIndex, index), errdefs.ErrInvalidArgument},
		"undeclared index": {manifest.NewContent("", index), errdefs.ErrInvalidArgument},
		"other bytes":      {manifest.Content{Descriptor: image.Descriptor, Raw: append(image.Raw, ' ')}, errdefs.ErrDataLoss},
		"no digest":        {manifest.Content{Raw: image.Raw}, errdefs.ErrInvalidArgument},
	} {
		err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), tt.image, parse(t, "a.example.com/target"))
		if !errors.Is(err, tt.kind) {
			t.Errorf("%s: got error %v, want %v", name, err, tt.kind)
		}
	}
	if len(f.requests()) != 0 {
		t.Errorf("got requests %q, want none", f.requests())
	}
}

func TestCopyWithinARepository(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	image := f.putImage("app", "1", f.putBlob("app", []byte("layer")))
	if err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/app:1"), image, parse(t, "a.example.com/app:2")); err != nil {
		t.Fatal(err)
	}
	if got := f.requests(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestCopiesShareBlobs(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	shared := f.putBlob("source", bytes.Repeat([]byte("shared"), 100_000))
	c := n.client(Options{})
	var group sync.WaitGroup
	for i := range 6 {
		image := f.putImage("source", fmt.Sprint(i), shared, f.putBlob("source", []byte{byte(i)}))
		group.Go(func() {
			if err := c.Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target")); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if f.count("GET /v2/source/blobs/") != 8 || g.count("PUT /v2/target/blobs/") != 8 { // 6 layers, one shared, one config
		t.Errorf("got requests %q, want 8 blobs", g.requests())
	}
}

// An upload session is not at a private address when the registry is public.
func TestUploadToAPrivateAddress(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("203.0.113.7:443", g)
	g.location = func(path string) string { return "https://169.254.169.254" + path }
	image := f.putImage("source", "1")
	err := n.client(Options{Insecure: true}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "203.0.113.7/target"))
	wantError(t, err, errdefs.ErrUnavailable, "upload session at the private address 169.254.169.254")
	if got := g.count("PUT"); got != 0 {
		t.Errorf("got %d uploads, want none", got)
	}
}

// An upload session may be on another host, which gets no credentials.
func TestUploadElsewhere(t *testing.T) {
	n, f, g, storage := newNetwork(t), newFake(), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	n.secure("storage.example.com:443", storage)
	g.before = basic("me", "hunter22")
	g.location = func(path string) string { return "https://user:pw@storage.example.com" + path }
	storage.before = func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		return true
	}
	image := f.putImage("source", "1")
	c := n.client(Options{Credentials: credential(Credential{Username: "me", Secret: "hunter22"})})
	if err := c.Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target")); err != nil {
		t.Fatal(err)
	}
	if len(storage.headers) != 1 || storage.headers[0].Get("Authorization") != "" {
		t.Errorf("got requests %q with headers %v, want one without credentials", storage.requests(), storage.headers)
	}
}

func TestUploadLocations(t *testing.T) {
	for name, tt := range map[string]struct {
		location func(string) string
		ok       bool
	}{
		"behind a proxy": {func(p string) string { return "http://b.example.com" + p }, true},
		"relative":       {func(p string) string { return p[strings.LastIndex(p, "session"):] }, true},
		"none":           {func(string) string { return "" }, false},
		"nonsense":       {func(string) string { return "https://%zz/" }, false},
		"plain":          {func(p string) string { return "http://plain.example.com" + p }, false},
	} {
		t.Run(name, func(t *testing.T) {
			n, f, g := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.secure("b.example.com:443", g)
			g.location = tt.location
			image := f.putImage("source", "1")
			err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target"))
			if (err == nil) != tt.ok || err != nil && !errdefs.IsUnavailable(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUploadRefused(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	layer := f.putBlob("source", bytes.Repeat([]byte("layer"), 500_000))
	image := f.putImage("source", "1", layer)
	g.putImage("target", "1") // so that the config is there
	g.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, layer.Digest.Encoded()) {
			refuse(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", "quota exceeded")
			return true
		}
		return false
	}
	err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target"))
	wantError(t, err, errdefs.ErrInvalidArgument, "b.example.com: PUT blob", "413", "quota exceeded")
	if g.openSessions() != 0 || g.count("PUT /v2/target/manifests") != 0 {
		t.Errorf("got requests %q, want no open session and no manifest", g.requests())
	}
}

// Cancelling closes the upload session that was open and commits nothing.
func TestCopyCancelled(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	layer := f.putBlob("source", bytes.Repeat([]byte("layer"), 500_000))
	image := f.putImage("source", "1", layer)
	g.putImage("target", "1") // so that the config is there
	ctx, cancel := context.WithCancel(t.Context())
	g.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, layer.Digest.Encoded()) {
			cancel()
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
		return false
	}
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, layer.Digest.String()) {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(layer.Size))
		_, _ = w.Write(make([]byte, 200_000))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}
	err := n.client(Options{}).Copy(ctx, parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, ok := g.blob("target", layer.Digest); ok || g.openSessions() != 0 {
		t.Errorf("got the blob %t after %q, want neither blob nor open session", ok, g.requests())
	}
}

// However it is read, the last bytes come only after all of them were checked.
func TestVerifiedHoldsBack(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 15_000)
	readers := map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader,
		"halves": iotest.HalfReader, "EOF with data": iotest.DataErrReader,
	}
	for name, reader := range readers {
		for _, size := range []int64{int64(len(content)), -1} {
			for _, good := range []bool{true, false} {
				d := digest.FromBytes(content)
				if !good {
					d = digest.FromString("other")
				}
				v := newVerified("blob", io.NopCloser(reader(bytes.NewReader(content))), d, size)
				got, err := io.ReadAll(v)
				if good && (err != nil || !bytes.Equal(got, content) || !v.complete()) {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
				if !good && (!errdefs.IsDataLoss(err) || len(got) >= len(content) || v.complete()) {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
			}
		}
	}
}

// The case of a registry's name does not matter: a proxy in front of it may return it in lower case.
func TestNameInLowerCase(t *testing.T) {
	for port, start := range map[string]func(*network, string, http.Handler){":443": (*network).secure, ":80": (*network).plain} {
		testNameInLowerCase(t, port, start)
	}
}

func testNameInLowerCase(t *testing.T, port string, start func(*network, string, http.Handler)) {
	n, f := newNetwork(t), newFake()
	start(n, "R.example.com"+port, f)
	n.addresses["r.example.com"+port] = n.addresses["R.example.com"+port]
	image := f.putImage("source", "1")
	login := basic("me", "hunter22")
	f.mounts = http.StatusAccepted
	f.location = func(path string) string { return "http://r.example.com" + path }
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case login(w, r):
		case r.URL.Path == "/v2/source/tags/list" && r.URL.Query().Get("last") == "" && r.URL.Query().Get("page") == "":
			w.Header().Set("Link", `<http://r.example.com/v2/source/tags/list?page=2>; rel="next"`)
			_, _ = w.Write([]byte(`{"tags":["1"]}`))
		case r.URL.Path == "/v2/source/tags/list":
			_, _ = w.Write([]byte(`{"tags":["2"]}`))
		default:
			return false
		}
		return true
	}
	c := n.client(Options{Insecure: port == ":80", Credentials: credential(Credential{Username: "me", Secret: "hunter22"})})
	if err := c.Copy(t.Context(), parse(t, "R.example.com/source"), image, parse(t, "R.example.com/target")); err != nil {
		t.Error(err)
	}
	tags, _, err := c.Tags(t.Context(), parse(t, "R.example.com/source"))
	if err != nil || len(tags) != 2 {
		t.Errorf("got tags %q, error %v, want 1 and 2", tags, err)
	}
}
