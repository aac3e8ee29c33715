//go:build unix

package layout_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/layout"
)

func fifo(path string) error { return syscall.Mkfifo(path, 0o644) }

// Every archive that is not as it has to be ends in an error that names the file and what is wrong in it, and leaves nothing
// behind.
func TestHostileArchives(t *testing.T) {
	f, manifestName := whole()
	good := f.tar()
	replaced := func(from, to string) []byte { return bytes.Replace(good, []byte(from), []byte(to), 1) }
	zeros := strings.Repeat("0", 64)
	for _, tt := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"a name that leads up", f.tar(tar.Header{Name: "a/../../outside", Typeflag: tar.TypeReg}), `the name of the member "a/../../outside" leads out of the archive`},
		{"an absolute name", f.tar(tar.Header{Name: "/etc/outside", Typeflag: tar.TypeReg}), `the name of the member "/etc/outside" leads out`},
		{"a long name", f.tar(tar.Header{Name: strings.Repeat("a/", 400) + "b", Typeflag: tar.TypeReg}), "more than 512 bytes"},
		{"a hard link", f.tar(tar.Header{Name: "link", Linkname: "index.json", Typeflag: tar.TypeLink}), `the member "link" is neither a regular file nor a folder`},
		{"a device", f.tar(tar.Header{Name: "dev", Typeflag: tar.TypeChar}), `the member "dev" is neither`},
		{"a FIFO", f.tar(tar.Header{Name: "fifo", Typeflag: tar.TypeFifo}), `the member "fifo" is neither`},
		{"a sparse file", sparse(), `the member "sparse" is neither`},
		{"a member twice", f.tar(tar.Header{Name: "./index.json", Typeflag: tar.TypeReg}), `two members with the name "index.json"`},
		{"a member and a link", f.tar(tar.Header{Name: "index.json", Linkname: "x", Typeflag: tar.TypeSymlink}), `two members with the name "index.json"`},
		{"a link for index.json", renamed(f, "index.json", tar.Header{Name: "index.json", Linkname: "../index.json", Typeflag: tar.TypeSymlink}), "index.json is a link"},
		{"a link for a blob", renamed(f, manifestName, tar.Header{Name: manifestName, Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}), manifestName + " is a link"},
		{"a truncated archive", good[:len(good)-1024-500], "damaged: unexpected EOF"},
		{"a header that is cut", good[:700], "damaged"},
		{"a header that is changed", replaced("index.json", "index.jsox"), "damaged: archive/tar: invalid tar header"},
		{"no archive", []byte("no archive, but long enough to look like the block of one" + strings.Repeat(".", 1024)), "not a tar archive"},
		{"an empty file", nil, "it has no file oci-layout"},
		{"truncated gzip", packed(good)[:200], "unpacking it into"},
		{"gzip of nothing", []byte{0x1f, 0x8b}, "unpacking it into"},
		{"no oci-layout", files{"index.json": f["index.json"]}.tar(), "no file oci-layout"},
		{"no index.json", files{"oci-layout": f["oci-layout"]}.tar(), "index.json: open index.json: file does not exist"},
		{"no version", with("oci-layout", `{}`).tar(), `oci-layout has the version "", not 1.0.0`},
		{"another version", with("oci-layout", `{"imageLayoutVersion":"2.0.0\u001b[2J"}`).tar(), `oci-layout has the version "2.0.0\\x1b[2J"`},
		{"a version that is no JSON", with("oci-layout", `1.0.0`).tar(), `oci-layout: invalid character`},
		{"index.json that is no JSON", with("index.json", `{"manifests":[`).tar(), "index.json: unexpected end of JSON"},
		{"index.json with text for entries", with("index.json", `{"manifests":"all"}`).tar(), "index.json: json: cannot unmarshal string"},
		{"index.json with a bad digest", with("index.json", `{"manifests":[{"digest":"sha256:../../etc/passwd"}]}`).tar(), `index.json: entry 1 has the digest "sha256:../../etc/passwd"`},
		{"index.json with a negative size", with("index.json", `{"manifests":[{"size":-1,"digest":"sha256:`+zeros+`"}]}`).tar(), "the size -1"},
		{"index.json of a million entries", with("index.json", `{"manifests":[{}`+strings.Repeat(",{}", 1e6)+`]}`).tar(), `index.json: entry 1 has the digest ""`},
		{"a manifest with another digest", with(manifestName, `{}`).tar(), "manifest sha256:"},
		{"a manifest that is too large", with(manifestName, strings.Repeat(" ", 5<<20)).tar(), "more than 4 MiB"},
		{"no image", with("index.json", `{}`).tar(), "has no image"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			path := stored(t, "a.tar", tt.raw)
			refused(t, "oci-layout://"+path, "oci-layout://"+path, tt.want)
			isEmpty(t, temporary)
		})
	}
}

// sparse is an archive of a file that is stored without its zeros, which package tar does not write.
func sparse() []byte {
	content := append([]byte("1\n0\n100\n"), make([]byte, 700)...)
	h := tar.Header{Name: "sparse", Typeflag: tar.TypeReg, Size: 612, PAXRecords: map[string]string{"GNU_sparse.major": "1", "GNU_sparse.minor": "0", "GNU_sparse.realsize": "1000"}}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	check(w.WriteHeader(&h))
	_, err := w.Write(content[:h.Size])
	check(err)
	check(w.Close())
	return bytes.ReplaceAll(b.Bytes(), []byte("GNU_sparse."), []byte("GNU.sparse."))
}

// renamed is the archive of the files with another member in place of one.
func renamed(f files, name string, h tar.Header) []byte {
	other := files{}
	for n, raw := range f {
		if n != name {
			other[n] = raw
		}
	}
	return other.tar(h)
}

func isEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("got %v (%v) left behind, want nothing", left, err)
	}
}

// An archive with more members than are kept in memory is refused.
func TestManyMembers(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range 1<<18 + 1 {
		check(w.WriteHeader(&tar.Header{Name: strconv.Itoa(i), Typeflag: tar.TypeReg}))
	}
	check(w.Close())
	path := stored(t, "a.tar", b.Bytes())
	refused(t, "oci-layout://"+path, path, "more than 262144 members")
}

// An index.json of more than 64 MiB is not read, whatever is in it.
func TestLargeIndex(t *testing.T) {
	f, _ := whole()
	path := filepath.Join(f.folder(t), "index.json")
	if err := os.Truncate(path, 64<<20+1); err != nil {
		t.Fatal(err)
	}
	refused(t, "oci-layout://"+filepath.Dir(path), filepath.Dir(path), "index.json: it has 67108865 bytes, more than 64 MiB")
}

// The files of a folder are read where they are: links do not lead out, and what is no file is not opened.
func TestHostileFolders(t *testing.T) {
	outside := stored(t, "outside", []byte(`{"manifests":[]}`))
	link := func(path string) error { return os.Symlink(outside, path) }
	f, manifestName := whole()
	for _, tt := range []struct {
		name, file string
		replace    func(path string) error
		want       string
	}{
		{"index.json leads out", "index.json", link, "index.json: openat index.json: path escapes from parent"},
		{"a manifest leads out", manifestName, link, "path escapes from parent"},
		{"oci-layout leads out", "oci-layout", link, "oci-layout: openat oci-layout: path escapes from parent"},
		{"the blobs lead out", "blobs/sha256", func(path string) error { return os.Symlink(filepath.Dir(outside), path) }, "path escapes from parent"},
		{"index.json is a FIFO", "index.json", fifo, "index.json: index.json is not a regular file"},
		{"a manifest is a FIFO", manifestName, fifo, manifestName + " is not a regular file"},
		{"a manifest is a folder", manifestName, func(path string) error { return os.Mkdir(path, 0o755) }, manifestName + " is not a regular file"},
		{"index.json is absent", "index.json", func(string) error { return nil }, "index.json: openat index.json: no such file"},
		{"oci-layout is absent", "oci-layout", func(string) error { return nil }, "oci-layout: openat oci-layout: no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := f.folder(t)
			path := filepath.Join(dir, tt.file)
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := tt.replace(path); err != nil {
				t.Fatal(err)
			}
			refused(t, "oci-layout://"+dir, dir, tt.want)
		})
	}
}

// What is neither a folder nor a file is refused, as is what is not there.
func TestHostilePaths(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "fifo")
	if err := fifo(pipe); err != nil {
		t.Fatal(err)
	}
	f, _ := whole()
	for _, tt := range []struct{ typed, want string }{
		{"oci-layout://" + pipe, "neither a folder nor a file"},
		{"docker-archive://" + pipe, "neither a folder nor a file"},
		{"oci-layout://" + pipe + "-none", "does not exist"},
		{"docker-archive://" + f.folder(t), "is a folder: expected an archive of docker save"},
	} {
		refused(t, tt.typed, tt.typed, tt.want)
	}
}

// An index that lists what the layout does not have can be read; the error for a platform names it.
func TestAbsentPlatform(t *testing.T) {
	f := files{}
	held, absent := f.image("amd64"), files{}.image("arm64")
	typed := "oci-layout://" + stored(t, "a.tar", f.index(f.list(held, absent)).tar())
	layouts := &layout.Layouts{}
	defer layouts.Close()
	if _, _, err := get(t, layouts, typed, "manifests/-"); err != nil {
		t.Error(err)
	}
	if _, _, err := get(t, layouts, typed, "manifests/"+held.Digest.String()); err != nil {
		t.Error(err)
	}
	_, _, err := get(t, layouts, typed, "manifests/"+absent.Digest.String())
	fails(t, err, typed+" does not have linux/arm64", absent.Digest.String(), "hint: to use only what it has: --platform linux/amd64")
	_, _, err = get(t, layouts, typed, "blobs/"+absent.Digest.String())
	fails(t, err, typed+" does not have linux/arm64")
}

// Without a name, the only image is meant, in whatever ways others name and list it.
func TestOnlyImage(t *testing.T) {
	f := files{}
	amd64, arm64 := f.image("amd64"), f.image("arm64")
	list := f.list(amd64, arm64)
	odd := f.put(ocispec.MediaTypeImageIndex, map[string]any{
		"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": []ocispec.Descriptor{amd64}, "artifactType": 7,
	})
	for _, tt := range []struct {
		name    string
		entries []ocispec.Descriptor
		want    string // the digest, or a part of the error
	}{
		{"a list with an odd field and its child", []ocispec.Descriptor{amd64, odd}, odd.Digest.String()},
		{"one", []ocispec.Descriptor{amd64}, amd64.Digest.String()},
		{"two names", []ocispec.Descriptor{named(amd64, refName, "1"), named(amd64, refName, "2")}, amd64.Digest.String()},
		{"a list and its children", []ocispec.Descriptor{amd64, arm64, named(list, refName, "1")}, list.Digest.String()},
		{"several, with tags", []ocispec.Descriptor{named(amd64, refName, "1"), named(arm64, refName, "2")}, "several images: 1 and 2\nhint: name one of them: PLACE:1"},
		{"several, with names", []ocispec.Descriptor{named(amd64, refName, "a/b:c/d"), arm64}, "name one of them: PLACE@" + amd64.Digest.String()},
		{"several, with full names", []ocispec.Descriptor{named(amd64, imageName, "docker.io/library/app:1"), arm64}, "name one of them: PLACE:1"},
	} {
		typed := "oci-layout://" + stored(t, "a.tar", f.index(tt.entries...).tar())
		layouts := &layout.Layouts{}
		_, h, err := get(t, layouts, typed, "manifests/-")
		if got := h.Get("Docker-Content-Digest"); err == nil && got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		} else if err != nil {
			fails(t, err, strings.ReplaceAll(tt.want, "PLACE", typed))
		}
		layouts.Close()
	}
}

// A compressed archive is read, too, and its copy on the disk removed.
func TestCompressedArchive(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	f, manifestName := whole()
	path := stored(t, "a.tar.gz", packed(f.tar()))
	var notes strings.Builder
	layouts := &layout.Layouts{Note: func(format string, args ...any) { fmt.Fprintf(&notes, format, args...) }}
	raw, _, err := get(t, layouts, "oci-layout://"+path, "manifests/1")
	if err != nil || raw != string(f[manifestName]) {
		t.Errorf("got %q (%v), want %q", raw, err, f[manifestName])
	}
	if want := path + " is compressed"; !strings.Contains(notes.String(), want) {
		t.Errorf("got the notes %q, want %q", notes.String(), want)
	}
	if err := layouts.Close(); err != nil {
		t.Error(err)
	}
	isEmpty(t, temporary)
}
