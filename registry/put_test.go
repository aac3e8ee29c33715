package registry

import (
	"net/http"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

func tagged(t *testing.T, s string) reference.NamedTagged {
	t.Helper()
	return parse(t, s).(reference.NamedTagged)
}

func TestPut(t *testing.T) {
	d := digest.FromString(emptyIndex).String()
	for ref, want := range map[string]string{
		"a.example.com/app:1":       "PUT /v2/app/manifests/1",
		"a.example.com/app@" + d:    "PUT /v2/app/manifests/" + d,
		"a.example.com/app:1@" + d:  "PUT /v2/app/manifests/1",
		"a.example.com/app/b/c:1.0": "PUT /v2/app/b/c/manifests/1.0",
	} {
		n, f := newNetwork(t), newFake()
		n.secure("a.example.com:443", f)
		err := n.client(Options{}).Put(t.Context(), parse(t, ref), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
		if got := f.requests(); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: got requests %q, error %v, want %q", ref, got, err, want)
		}
		if f.headers[0].Get("Content-Type") != ocispec.MediaTypeImageIndex {
			t.Errorf("got headers %v, want content type %s", f.headers[0], ocispec.MediaTypeImageIndex)
		}
	}
}

func TestPutMismatch(t *testing.T) {
	other := digest.FromString("other").String()
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	c := n.client(Options{})
	err := c.Put(t.Context(), parse(t, "a.example.com/app@"+other), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
	wantError(t, err, errdefs.ErrInvalidArgument, other)
	if len(f.requests()) != 0 {
		t.Errorf("got requests %q, want none", f.requests())
	}
	f.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Docker-Content-Digest", other)
		w.WriteHeader(http.StatusCreated)
		return true
	}
	err = c.Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
	wantError(t, err, errdefs.ErrDataLoss, other, digest.FromString(emptyIndex).String())
}

// A redirect that would make a PUT a GET is a refusal, not a success.
func TestPutRedirected(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "/", http.StatusFound)
		return true
	}
	err := n.client(Options{}).Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
	wantError(t, err, errdefs.ErrUnknown, "302 Found")
}

func TestUntag(t *testing.T) {
	answer := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, status, code, "no")
			return true
		}
	}
	for name, tt := range map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		kind   error
	}{
		"removes":          {},
		"absent":           {answer(404, "MANIFEST_UNKNOWN"), errdefs.ErrNotFound},
		"bad request":      {answer(400, "TAG_INVALID"), errdefs.ErrNotImplemented},
		"not allowed":      {answer(405, "UNSUPPORTED"), errdefs.ErrNotImplemented},
		"not implemented":  {answer(501, ""), errdefs.ErrNotImplemented},
		"unsupported, 404": {answer(404, "UNSUPPORTED"), errdefs.ErrNotImplemented},
		"digest invalid":   {answer(422, "DIGEST_INVALID"), errdefs.ErrNotImplemented},
		"forbidden":        {answer(403, "DENIED"), errdefs.ErrPermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			image := f.putImage("app", "1")
			f.before = tt.before
			err := n.client(Options{}).Untag(t.Context(), tagged(t, "a.example.com/app:1"))
			if tt.kind != nil {
				wantError(t, err, tt.kind, "DELETE tag a.example.com/app:1")
				return
			}
			_, there := f.manifest("app", "1")
			_, kept := f.manifest("app", image.Descriptor.Digest.String())
			if err != nil || there || !kept {
				t.Errorf("got error %v, tag %t, manifest %t, want the manifest without the tag", err, there, kept)
			}
		})
	}
}

// A registry that does not know yet what it was given a moment ago is asked again, a few times.
func TestPutOfWhatIsNotKnownYet(t *testing.T) {
	for refusals, tries := range map[int]int{2: 3, 100: transport.FewAttempts} {
		n, f := newNetwork(t), newFake()
		n.secure("a.example.com:443", f)
		left := refusals
		f.before = func(w http.ResponseWriter, _ *http.Request) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			if left--; left >= 0 {
				refuse(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
			}
			return left >= 0
		}
		err := n.client(Options{}).Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
		if got := f.count("PUT"); got != tries || (err == nil) != (refusals < transport.FewAttempts) {
			t.Errorf("got %d attempts, error %v, want %d", got, err, tries)
		}
		if err != nil && (!strings.Contains(err.Error(), "gave up after 3 attempts") || !strings.Contains(err.Error(), "MANIFEST_BLOB_UNKNOWN")) {
			t.Error(err)
		}
	}
}
