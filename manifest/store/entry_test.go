package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// brokenFiles are contents of an entry file, and what the error says of each.
var brokenFiles = map[string]struct{ data, says string }{
	"empty":               {"", "is empty"},
	"truncated":           {`{"Ref":"h.io/app:a","Descr`, "unexpected end"},
	"not JSON":            {"\x1b[31mred", `'\x1b'`},
	"null":                {"null", "Ref is missing"},
	"array":               {"[]", "array"},
	"no Ref":              {`{"Descriptor":{"digest":"` + someDigest + `"}}`, "Ref is missing"},
	"null Ref":            {`{"Ref":null}`, "Ref is missing"},
	"familiar Ref":        {`{"Ref":"app:a"}`, `"app:a" is not a normalized reference`},
	"junk Ref":            {`{"Ref":"h.io/\u001b[2J"}`, `\x1b[2J`},
	"number Ref":          {`{"Ref":7}`, "number"},
	"after the end":       {`{"Ref":"h.io/app:a"}{}`, "after top-level value"},
	"junk digest":         {`{"Ref":"h.io/app:a","Descriptor":{"digest":"\u001bsha"}}`, `\x1bsha`},
	"Raw without digest":  {`{"Ref":"h.io/app:a","Raw":"e30="}`, "digest is missing"},
	"Raw of other digest": {`{"Ref":"h.io/app:a","Raw":"e30=","Descriptor":{"digest":"` + someDigest + `"}}`, "mismatch"},
	"Raw not base64":      {`{"Ref":"h.io/app:a","Raw":"?"}`, "base64"},
	"junk old digest":     {`{"Ref":"h.io/app:a","Digest":"x","OCIManifest":{}}`, `"x" is not a digest`},
	"junk Source":         {`{"Ref":"h.io/app:a","Multiarch":{"Source":"??"}}`, `Source "??"`},
	"junk list":           {`{"Ref":"h.io/app:a","Multiarch":{"List":"??"}}`, `List "??"`},
	"junk list type":      {`{"Ref":"h.io/app:a","Multiarch":{"MediaType":"x"}}`, `"x" is not the media type of an index`},
	"junk index":          {`{"Ref":"h.io/app:a","Multiarch":{"Index":"x"}}`, `index "x"`},
	"junk image ID":       {`{"Ref":"h.io/app:a","Multiarch":{"Pending":{"ID":"x"}}}`, `image ID "x"`},
	"junk local manifest": {`{"Ref":"h.io/app:a","Multiarch":{"Pending":{"Manifest":"x"}}}`, `manifest "x"`},
	"junk fields":         {`{"Ref":"h.io/app:a","Multiarch":{"Fields":{"Platform":[1]}}}`, `"[1]" is not a JSON object`},
	"junk whole index":    {`{"Ref":"h.io/app:a","Multiarch":{"Whole":{"Descriptor":{"mediaType":"` + manifest.MediaTypeDockerList + `","digest":"x"}}}}`, `index "x"`},
	"another whole index": {`{"Ref":"h.io/app:a","Multiarch":{"Whole":{"Descriptor":{"mediaType":"` + manifest.MediaTypeDockerList + `","size":2,"digest":"` + someDigest + `"},"Raw":"e30="}}}`, "mismatch"},
	"whole image":         {`{"Ref":"h.io/app:a","Multiarch":{"Whole":{"Descriptor":{"mediaType":"x"}}}}`, `type "x" of the source`},
	"text position":       {`{"Ref":"h.io/app:a","Multiarch":{"Position":"x"}}`, "Position"},
}

func TestBrokenFiles(t *testing.T) {
	for name, broken := range brokenFiles {
		t.Run(name, func(t *testing.T) {
			s := New(t.TempDir())
			writeTestFile(t, s, "h.io_app-1", "h.io_app-a", broken.data)
			testBroken(t, s, filepath.Join("h.io_app-1", "h.io_app-a"), broken.says)
		})
	}
	t.Run("folder", func(t *testing.T) {
		s := New(t.TempDir())
		writeTestFile(t, s, "h.io_app-1/h.io_app-a", "x", "x")
		testBroken(t, s, filepath.Join("h.io_app-1", "h.io_app-a"), "not a regular file")
	})
	t.Run("file instead of list", func(t *testing.T) {
		s := New(t.TempDir())
		writeTestFile(t, s, "", "h.io_app-1", "x")
		testBroken(t, s, "h.io_app-1", "not a folder")
	})
	t.Run("too large", func(t *testing.T) {
		s := New(t.TempDir())
		writeTestFile(t, s, "h.io_app-1", "h.io_app-a", "")
		if err := os.Truncate(filepath.Join(s.path("h.io_app-1"), "h.io_app-a"), maxFileSize+1); err != nil {
			t.Fatal(err)
		}
		testBroken(t, s, filepath.Join("h.io_app-1", "h.io_app-a"), "larger than")
	})
	t.Run("too many", func(t *testing.T) {
		s := New(memoryRoot(t))
		for i := range manifest.MaxEntries + 1 {
			writeTestFile(t, s, "h.io_app-1", fmt.Sprint(i), "")
		}
		testBroken(t, s, "h.io_app-1", "more than 4096 files")
	})
}

// testBroken checks that the list h.io/app:1 is refused, in words that help, and that the ways out work.
func testBroken(t *testing.T, s *Store, path string, says string) {
	t.Helper()
	name := named(t, "h.io/app:1")
	help := []string{"docker multiarch rm h.io/app:1", "--replace", path, says}
	_, err := s.Get(name)
	wantError(t, err, errdefs.IsDataLoss, help...)
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
		t.Errorf("error %q has control characters", err)
	}
	err = s.Update(t.Context(), name, func(manifest.List) (manifest.List, error) { panic("change was called") })
	wantError(t, err, errdefs.IsDataLoss, help...)

	mustPut(t, s, "h.io/app:1", image(t, "h.io/app:b"))
	if got := mustGet(t, s, "h.io/app:1"); len(got.Entries) != 1 {
		t.Errorf("replaced with %d entries", len(got.Entries))
	}
	writeTestFile(t, s, "h.io_app-1", "h.io_app-a", "junk")
	if err := s.Remove(t.Context(), name); err != nil {
		t.Error(err)
	}
	wantNoLeftovers(t, s.root)
}

// Whoever puts a file in the folder chooses its name.
func TestNamesOfFilesAreEscaped(t *testing.T) {
	s := New(t.TempDir())
	writeTestFile(t, s, "h.io_app-1", "h.io_app-a", "")
	path := filepath.Join(s.path("h.io_app-1"), "\x1b[2J")
	for _, target := range []string{"absent", "/", "h.io_app-a"} {
		if err := errors.Join(os.RemoveAll(path), os.Symlink(target, path)); err != nil {
			t.Fatal(err)
		}
		_, err := s.Get(named(t, "h.io/app:1"))
		wantError(t, err, anyKind, `\x1b[2J`)
		if strings.Contains(err.Error(), "\x1b") {
			t.Errorf("error %q has control characters", err)
		}
	}
}

func TestSystemsOwnFilesAreNoEntries(t *testing.T) {
	s := New(t.TempDir())
	want := mustPut(t, s, "h.io/app:1", image(t, "h.io/app:a"))
	writeTestFile(t, s, "h.io_app-1", ".DS_Store", "\x00")
	wantList(t, mustGet(t, s, "h.io/app:1"), want)
}

func FuzzEntry(f *testing.F) {
	for _, broken := range brokenFiles {
		f.Add([]byte(broken.data))
	}
	docker := image(f, "h.io/app:a")
	for _, e := range []manifest.Entry{docker, ociImage(f, "h.io/app:b"), pendingImage(f, "h.io/app:c")} {
		data, err := encode(e, extra{List: "h.io/app:1", Position: 1, Annotations: map[string]string{"k": "v"}}, fields{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(oldFile("SchemaV2Manifest", string(docker.Raw), docker.Descriptor.Digest)))
	f.Fuzz(func(t *testing.T, data []byte) {
		entry, read, err := decode(data)
		if err != nil {
			return
		}
		if len(entry.Raw) > 0 && digest.FromBytes(entry.Raw) != entry.Descriptor.Digest && entry.Descriptor.Digest.Algorithm() == digest.SHA256 {
			t.Errorf("bytes do not have the digest %s", entry.Descriptor.Digest)
		}
		x := *read.Multiarch
		x.Source = ""
		written, err := encode(entry, x, read)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, reread, err := decode(written)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if !reflect.DeepEqual(canonical(entry), canonical(again)) {
			t.Errorf("read  %+v\nagain %+v", entry, again)
		}
		if twice, err := encode(again, x, reread); err != nil || !bytes.Equal(written, twice) {
			t.Errorf("wrote %s\nagain %s (%v)", written, twice, err)
		}
	})
}

// canonical takes empty for nil, which JSON does not tell apart where empty is left out.
func canonical(e manifest.Entry) manifest.Entry {
	d := &e.Descriptor
	if len(d.Annotations) == 0 {
		d.Annotations = nil
	}
	if len(d.URLs) == 0 {
		d.URLs = nil
	}
	if len(d.Data) == 0 {
		d.Data = nil
	}
	if d.Platform != nil && len(d.Platform.OSFeatures) == 0 {
		p := *d.Platform
		p.OSFeatures = nil
		d.Platform = &p
	}
	if e.Pending != nil && len(e.Pending.Platform.OSFeatures) == 0 {
		p := *e.Pending
		p.Platform.OSFeatures = nil
		e.Pending = &p
	}
	return e
}
