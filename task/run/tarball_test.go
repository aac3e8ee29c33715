package run

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

var modified = time.Unix(1700000000, 123456789)

// header returns the header of an item "file content", "folder/", "link -> target" or "link => file", optionally with a
// mode as in "0600 file content".
func header(of string) (h tar.Header, content string) {
	h = tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, ModTime: modified, Format: tar.FormatPAX}
	word, rest, _ := strings.Cut(of, " ")
	mode, err := strconv.ParseInt(word, 8, 64)
	if err == nil {
		word, rest, _ = strings.Cut(rest, " ")
	}
	h.Name = word
	switch link, target, _ := strings.Cut(rest, " "); {
	case strings.HasSuffix(word, "/"):
		h.Typeflag, h.Mode = tar.TypeDir, 0o755
	case link == "->":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, target, 0o777
	case link == "=>":
		h.Typeflag, h.Linkname = tar.TypeLink, target
	default:
		h.Size, content = int64(len(rest)), rest
	}
	if err == nil {
		h.Mode = mode
	}
	return h, content
}

// tarOf returns a tar file of items, see header.
func tarOf(t testing.TB, items ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, item := range items {
		h, content := header(item)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstded(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// emptyTree returns a tree that is removed at the end of the test.
func emptyTree(t testing.TB) *tree {
	t.Helper()
	made, err := newTree("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.remove(); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	})
	return made
}

func TestUnpack(t *testing.T) {
	for name, tt := range map[string]struct {
		items []string
		want  string // what is in the folder, separated by |
		fail  string
	}{
		"nothing":               {nil, "", ""},
		"modes":                 {[]string{"./", "0555 a/", "0640 a/b x", "4755 c y"}, "a dr-xr-xr-x|a/b -rw-r----- x|c urwxr-xr-x y", ""},
		"no permission":         {[]string{"0000 a x", "0000 b/"}, "a -r-------- x|b dr-x------", ""},
		"without folders":       {[]string{"a/b/c x"}, "a drwxr-xr-x|a/b drwxr-xr-x|a/b/c -rw-r--r-- x", ""},
		"absolute":              {[]string{"/etc/passwd x"}, "etc drwxr-xr-x|etc/passwd -rw-r--r-- x", ""},
		"link":                  {[]string{"a -> /etc/passwd", "b -> ../../x"}, "a Lrwxrwxrwx /etc/passwd|b Lrwxrwxrwx ../../x", ""},
		"hard link":             {[]string{"a x", "b/c => ./a"}, "a -rw-r--r-- x|b drwxr-xr-x|b/c -rw-r--r-- x", ""},
		"twice":                 {[]string{"a x", "a y"}, "a -rw-r--r-- y", ""},
		"file for folder":       {[]string{"a/b/c x", "0555 a/b/", "a y"}, "a -rw-r--r-- y", ""},
		"folder for file":       {[]string{"a x", "a/b y"}, "a drwxr-xr-x|a/b -rw-r--r-- y", ""},
		"folder for link":       {[]string{"a -> ..", "a/"}, "a drwxr-xr-x", ""},
		"file for link":         {[]string{"a -> ../spool", "a x"}, "a -rw-r--r-- x", ""},
		"through a link":        {[]string{"d/", "a -> d", "a/b x"}, "a drwxr-xr-x|a/b -rw-r--r-- x|d drwxr-xr-x", ""},
		"through a link out":    {[]string{"a -> ../..", "a/b x"}, "a drwxr-xr-x|a/b -rw-r--r-- x", ""},
		"dots that stay":        {[]string{"a/../b x"}, "b -rw-r--r-- x", ""},
		"out":                   {[]string{"../a x"}, "", `../a is outside of the folder to unpack to`},
		"out below":             {[]string{"a/../../b x"}, "", "is outside"},
		"out by absolute":       {[]string{"/../b x"}, "", "is outside"},
		"hard link out":         {[]string{"a => ../spool"}, "", "is outside"},
		"hard link to nothing":  {[]string{"a => b"}, "", "a: reading the target of a hard link"},
		"hard link to link":     {[]string{"a -> b", "c => a"}, "a Lrwxrwxrwx b|c Lrwxrwxrwx b", ""},
		"hard link to itself":   {[]string{"a => a"}, "", "no such file"},
		"hard link to folder":   {[]string{"a/", "b => a"}, "", "which is not a file"},
		"hard link by link out": {[]string{"a -> /etc", "b => a/passwd"}, "", "b: reading the target of a hard link"},
		"long name":             {[]string{strings.Repeat("n", maxName+1) + " y"}, "", "its path has 4097 bytes, more than 4096"},
		"deep":                  {[]string{strings.Repeat("n/", maxDepth+1) + "x y"}, "", "it is in more than 256 folders"},
		"terminal":              {[]string{"../\x1b[1m x"}, "", `../\x1b[1m is outside`},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			t.Setenv("TMPDIR", outside)
			made := emptyTree(t)
			err := unpack(t.Context(), bytes.NewReader(tarOf(t, tt.items...)), made, maxContext)
			if tt.fail == "" != (err == nil) || err != nil && (!strings.Contains(err.Error(), tt.fail) || strings.Contains(err.Error(), "\x1b")) {
				t.Fatal(err)
			}
			if got := strings.Join(listing(t, made.dir()), "|"); err == nil && got != tt.want {
				t.Errorf("got %s\nnot %s", got, tt.want)
			}
			if got, _ := filepath.Glob(outside + "/*"); len(got) != 1 {
				t.Errorf("got files %q outside of the tree, want none", got)
			}
		})
	}
}

func TestUnpackKeepsTimes(t *testing.T) {
	made := emptyTree(t)
	if err := unpack(t.Context(), bytes.NewReader(tarOf(t, "a/", "a/b x")), made, maxContext); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a/b"} {
		if info, err := os.Stat(filepath.Join(made.dir(), name)); err != nil || !info.ModTime().Equal(modified) {
			t.Errorf("%s: got modification time %v and error %v, want %v", name, info.ModTime(), err, modified)
		}
	}
}

// Devices, pipes and headers without a file are skipped.
func TestUnpackSkips(t *testing.T) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "commit"}},
		{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3},
		{Typeflag: tar.TypeBlock, Name: "disk"},
		{Typeflag: tar.TypeFifo, Name: "pipe"},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	made := emptyTree(t)
	if err := unpack(t.Context(), &content, made, maxContext); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, made.dir()); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// Files that are not tar files or are truncated are errors.
func TestUnpackInvalid(t *testing.T) {
	whole := tarOf(t, "file "+strings.Repeat("x", 10000))
	for name, packed := range map[string][]byte{
		"empty": nil, "text": []byte("FROM scratch"), "packed text": gzipped(t, []byte(strings.Repeat("FROM scratch", 100))),
		"cut": whole[:5000], "packed, cut": gzipped(t, whole)[:50], "half a header": whole[:100], "zstd, cut": zstded(t, whole)[:30],
	} {
		if err := unpack(t.Context(), bytes.NewReader(packed), emptyTree(t), maxContext); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := unpack(ctx, bytes.NewReader(whole), emptyTree(t), maxContext); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

// A small file with very much content or very many files is refused.
func TestUnpackBomb(t *testing.T) {
	const limit = 10 * entrySize
	zeros := strings.Repeat("\x00", 2*limit)
	for name, tt := range map[string]struct {
		packed []byte
		ok     bool
	}{
		"bytes":           {zstded(t, tarOf(t, "a "+zeros)), false},
		"not packed":      {tarOf(t, "a "+zeros), true},
		"packed a little": {gzipped(t, tarOf(t, "a "+anything(2*limit))), true},
		"files":           {zstded(t, tarOf(t, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k")), false},
		"fewer files":     {zstded(t, tarOf(t, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")), true},
		"folders":         {zstded(t, tarOf(t, strings.Repeat("a/", 10)+"a")), false},
		"links":           {zstded(t, tarOf(t, "a "+zeros[:limit/2], "b => a", "c => a")), false},
	} {
		err := unpack(t.Context(), bytes.NewReader(tt.packed), emptyTree(t), limit)
		if tt.ok != (err == nil) || err != nil && !strings.Contains(manifest.Hint(err), "unpack it and use the folder") {
			t.Errorf("%s: got error %v, want it unpacked %t", name, err, tt.ok)
		}
	}
}

// anything returns n bytes that cannot be compressed.
func anything(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

// Any tar file is unpacked only below its folder.
func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, "a/", "a/b x", "c -> a", "c/d y", "e => a/b"))
	f.Add(tarOf(f, "a -> ..", "a/b x", "../c y"))
	f.Add(gzipped(f, tarOf(f, "0000 a/", "a/b x", "a y")))
	f.Add(zstded(f, tarOf(f, "/a x")))
	f.Fuzz(func(t *testing.T, packed []byte) {
		outside := t.TempDir()
		t.Setenv("TMPDIR", outside)
		made := emptyTree(t)
		_ = unpack(t.Context(), bytes.NewReader(packed), made, 1<<20)
		entries, err := fs.ReadDir(os.DirFS(made.root.Name()), ".")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range entries {
			if d.Name() != treeFiles && d.Name() != treeSpool {
				t.Errorf("got %s outside of the files folder", d.Name())
			}
		}
		if got, _ := filepath.Glob(path.Join(outside, "*")); len(got) != 1 {
			t.Errorf("got files %q outside of the tree, want none", got)
		}
	})
}
