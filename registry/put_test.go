package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
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

// A redirect to another server keeps the condition under which a manifest is stored.
func TestPutIfRedirected(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "https://b.example.com"+r.URL.Path, http.StatusTemporaryRedirect)
		return true
	}
	before := digest.FromString("before")
	for name, want := range map[digest.Digest]string{"": "*", before: `"` + before.String() + `"`} {
		content := manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex))
		if err := n.client(Options{}).PutIf(t.Context(), tagged(t, "a.example.com/app:1"), content, name); err != nil {
			t.Fatal(err)
		}
		sent := g.headers[len(g.headers)-1]
		if got := sent.Get("If-Match") + sent.Get("If-None-Match"); got != want {
			t.Errorf("got condition %q, want %q", got, want)
		}
	}
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
	for _, tt := range []struct {
		status             int
		code               string
		refusals, attempts int
	}{
		{400, "MANIFEST_BLOB_UNKNOWN", 2, 3},
		{400, "MANIFEST_BLOB_UNKNOWN", 100, settleAttempts},
		{400, "BLOB_UNKNOWN", 4, 5},
		{404, "BLOB_UNKNOWN", 4, 5},
		{404, "MANIFEST_UNKNOWN", 1, 2},
		{404, "NOT_FOUND", 1, 2},
		{404, "NAME_UNKNOWN", 1, 1},
		{400, "MANIFEST_INVALID", 1, 1},
	} {
		n, f := newNetwork(t), newFake()
		n.secure("a.example.com:443", f)
		left := tt.refusals
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			if r.Method != http.MethodPut {
				return false
			}
			if left--; left >= 0 {
				refuse(w, tt.status, tt.code, "unknown to registry")
			}
			return left >= 0
		}
		err := n.client(Options{}).Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
		if got := f.count("PUT"); got != tt.attempts || (err == nil) != (tt.refusals < tt.attempts) {
			t.Errorf("%d %s: got %d attempts, error %v, want %d attempts", tt.status, tt.code, got, err, tt.attempts)
		}
		if err != nil && (!strings.Contains(err.Error(), tt.code) || tt.attempts > 1 && !strings.Contains(err.Error(), "gave up after 6 attempts")) {
			t.Errorf("%d %s: got error %v, want the code and the attempts in it", tt.status, tt.code, err)
		}
	}
}

// A registry that does not know a tag yet that was put a moment ago is asked again, a few times.
func TestSettled(t *testing.T) {
	for name, tt := range map[string]struct {
		status, refusals, attempts int
		kind                       error
	}{
		"known":       {404, 0, 1, nil},
		"known later": {404, 2, 3, nil},
		"never known": {404, 100, settleAttempts, errdefs.ErrNotFound},
		"refused":     {403, 100, 1, errdefs.ErrPermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.put("app", "1", ocispec.MediaTypeImageIndex, []byte(emptyIndex))
			left, attempts := tt.refusals, 0
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodHead {
					attempts++
				}
				if left--; left >= 0 {
					w.WriteHeader(tt.status)
				}
				return left >= 0
			}
			d, err := n.client(Options{}).Settled(t.Context(), manifest.AtTag(parse(t, "a.example.com/app"), "1"))
			if tt.kind != nil {
				wantError(t, err, tt.kind, "a.example.com/app:1")
			} else if err != nil || d != digest.FromString(emptyIndex) {
				t.Errorf("got %s, error %v, want %s", d, err, digest.FromString(emptyIndex))
			}
			if attempts != tt.attempts {
				t.Errorf("got %d attempts, want %d", attempts, tt.attempts)
			}
		})
	}
}

// A manifest with a subject is unlisted unless the registry acknowledges its subject.
func TestUnlisted(t *testing.T) {
	artifact := fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":"application/x","digest":%q,"size":1},"layers":[],"subject":{"digest":%[1]q,"size":1}}`, digest.FromString("x"))
	for name, tt := range map[string]struct {
		content string
		answer  func(f *fake, w http.ResponseWriter, r *http.Request) bool
		want    int
	}{
		"not acknowledged": {artifact, nil, 1},
		"acknowledged": {artifact, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("OCI-Subject", digest.FromString("x").String())
			return false
		}, 0},
		"no subject": {`{"schemaVersion":2,"config":{"digest":"` + digest.FromString("x").String() + `","size":1},"layers":[]}`, nil, 0},
		"lost answer": {artifact, func(f *fake, _ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				f.serveManifest(httptest.NewRecorder(), r, "app", "1")
				panic(http.ErrAbortHandler)
			}
			return false
		}, 1},
		"refused, but there": {artifact, func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				f.serveManifest(httptest.NewRecorder(), r, "app", "1")
				refuse(w, http.StatusConflict, "TAG_IMMUTABLE", "the tag is immutable")
			}
			return r.Method == http.MethodPut
		}, 1},
		"refused": {artifact, func(_ *fake, w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, http.StatusForbidden, "DENIED", "denied")
			return true
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.before = func(w http.ResponseWriter, r *http.Request) bool { return tt.answer != nil && tt.answer(f, w, r) }
			c := n.client(Options{})
			err := c.Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageManifest, []byte(tt.content)))
			if refused := name == "refused"; (err != nil) != refused {
				t.Errorf("got error %v, want one: %t", err, refused)
			}
			if got := c.Unlisted(parse(t, "a.example.com/app")); len(got) != tt.want || tt.want > 0 && got[0].Subject.Digest != digest.FromString("x") {
				t.Errorf("got %v, want %d manifests", got, tt.want)
			}
			if got := c.Unlisted(parse(t, "a.example.com/app")); len(got) != 0 {
				t.Errorf("got %v again, want none", got)
			}
		})
	}
}

// A tag that is refused does not keep others from being written, and the error names these.
func TestPutTagsEachByItself(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		locked := r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/locked")
		if locked {
			refuse(w, http.StatusConflict, "LOCKED", "the tag is locked")
		}
		return locked
	}
	c := n.client(Options{})
	err := c.Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)), "locked", "2")
	if !errdefs.IsConflict(err) || !strings.Contains(err.Error(), "LOCKED") || !strings.Contains(err.Error(), "(written: 1 and 2)") {
		t.Errorf("got error %v, want the refusal and the tags that were written", err)
	}
	for _, tag := range []string{"1", "2"} {
		if _, err := c.Digest(t.Context(), parse(t, "a.example.com/app:"+tag)); err != nil {
			t.Errorf("%s: got error %v, want the tag", tag, err)
		}
	}
}

// A refused PUT of what exists already is no failure, as with immutable tags.
func TestPutRefusedButThere(t *testing.T) {
	other := `{"schemaVersion":2,"manifests":[]}`
	for _, tt := range []struct {
		status int
		tag    string // the content
		kind   error
		looks  int
	}{
		{400, emptyIndex, nil, 1}, {403, emptyIndex, nil, 1}, {409, emptyIndex, nil, 1}, {412, emptyIndex, nil, 1}, {422, emptyIndex, nil, 1},
		{409, other, errdefs.ErrConflict, 1}, {403, "", errdefs.ErrPermissionDenied, 1},
		{401, emptyIndex, errdefs.ErrUnauthenticated, 0}, {413, emptyIndex, errdefs.ErrInvalidArgument, 0},
	} {
		n, f := newNetwork(t), newFake()
		n.secure("a.example.com:443", f)
		if tt.tag != "" {
			f.put("app", "1", ocispec.MediaTypeImageIndex, []byte(tt.tag))
		}
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && !strings.HasSuffix(r.URL.Path, "/2") {
				refuse(w, tt.status, "TAG_IMMUTABLE", "the tag is immutable")
				return true
			}
			return false
		}
		var notes []string
		c := n.client(Options{Note: func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }})
		content := manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex))
		err := c.Put(t.Context(), parse(t, "a.example.com/app:1"), content)
		checkKind(t, err, tt.kind)
		if got := f.count("HEAD"); got != tt.looks || (len(notes) == 1) != (tt.kind == nil) {
			t.Errorf("%d: got %d looks and the notes %q after %v, want %d looks", tt.status, got, notes, err, tt.looks)
		}
		if len(notes) == 1 && !strings.Contains(notes[0], "a.example.com/app:1 is unchanged") {
			t.Errorf("%d: got the note %q, want the unchanged tag in it", tt.status, notes[0])
		}
		if err == nil {
			if err := c.Put(t.Context(), parse(t, "a.example.com/app:1"), content, "2"); err != nil {
				t.Errorf("%d: got %v for a new tag beside it", tt.status, err)
			}
			if _, ok := f.manifest("app", "2"); !ok {
				t.Errorf("%d: the new tag was not written", tt.status)
			}
		}
	}
}

// The error for a manifest that a registry refuses has its media type where that may be the reason.
func TestPutRefusedType(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		want   bool
	}{
		{415, "", true}, {406, "X", true}, {400, "MANIFEST_INVALID", true}, {400, "", true}, {405, "UNSUPPORTED", true},
		{400, "TAG_INVALID", false}, {403, "DENIED", false}, {409, "TAG_IMMUTABLE", false},
	} {
		n, f := newNetwork(t), newFake()
		n.secure("a.example.com:443", f)
		f.before = func(w http.ResponseWriter, _ *http.Request) bool {
			if tt.code == "" {
				w.WriteHeader(tt.status)
			} else {
				refuse(w, tt.status, tt.code, "no")
			}
			return true
		}
		err := n.client(Options{}).Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
		if err == nil || strings.Contains(err.Error(), ocispec.MediaTypeImageIndex) != tt.want {
			t.Errorf("%d %s: got error %v, want the media type in it: %t", tt.status, tt.code, err, tt.want)
		}
		var refused *Error
		if errors.As(err, &refused) && (refused.RefusedType() != "") != tt.want {
			t.Errorf("%d %s: got refused type %q, want one: %t", tt.status, tt.code, refused.RefusedType(), tt.want)
		}
	}
}

// After a lost answer the tag shows whether the PUT was carried out; it is repeated only if nobody else has moved the tag.
func TestPutWithLostAnswer(t *testing.T) {
	other := `{"schemaVersion":2,"manifests":[],"annotations":{"a":"other"}}`
	for name, tt := range map[string]struct {
		status int  // of the answer, 0 for none
		done   bool // whether the PUT is carried out
		other  bool // whether another client moves the tag then
		known  bool // whether the tag was seen before
		puts   int
		kind   error
	}{
		"done, no answer":        {0, true, false, true, 1, nil},
		"done, 502":              {502, true, false, true, 1, nil},
		"done, 200":              {200, true, false, true, 1, nil},
		"done, tag not seen":     {0, true, false, false, 1, nil},
		"not done, no answer":    {0, false, false, true, 2, nil},
		"not done, 500":          {500, false, false, true, 2, nil},
		"not done, 200":          {200, false, false, true, 2, nil},
		"not done, 503":          {503, false, false, true, 2, nil},
		"not done, not seen":     {504, false, false, false, 2, nil},
		"done, moved":            {0, true, true, true, 1, errdefs.ErrAborted},
		"not done, moved":        {0, false, true, true, 1, errdefs.ErrAborted},
		"done, empty 200, moved": {200, true, true, true, 1, errdefs.ErrAborted},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.put("app", "1", ocispec.MediaTypeImageIndex, []byte(oldList))
			c, ref := n.client(Options{}), parse(t, "a.example.com/app:1")
			if tt.known {
				if _, err := c.Digest(t.Context(), ref); err != nil {
					t.Fatal(err)
				}
			}
			struck := false
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPut || struck {
					return false
				}
				struck = true
				if tt.done {
					f.serveManifest(httptest.NewRecorder(), r, "app", "1")
				}
				if tt.other {
					f.put("app", "1", ocispec.MediaTypeImageIndex, []byte(other))
				}
				if tt.status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(tt.status)
				return true
			}
			err := c.Put(t.Context(), ref, manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
			checkKind(t, err, tt.kind)
			want := emptyIndex
			if tt.other {
				want = other
			}
			if m, _ := f.manifest("app", "1"); f.count("PUT") != tt.puts || string(m.raw) != want {
				t.Errorf("got tag %s after %q, want %s after %d PUTs", m.raw, f.requests(), want, tt.puts)
			}
		})
	}
}

// Several tags of one PUT whose answer was lost are each looked at.
func TestPutOfTagsWithLostAnswer(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("tag") {
			return false
		}
		f.put("app", "1", ocispec.MediaTypeImageIndex, []byte(emptyIndex))
		panic(http.ErrAbortHandler)
	}
	err := n.client(Options{}).Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)), "2")
	if err != nil || f.count("PUT /v2/app/manifests/1") != 0 || f.count("PUT /v2/app/manifests/2") != 1 {
		t.Errorf("got error %v after %q, want a PUT of the tag 2 only", err, f.requests())
	}
}
