package workspace

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
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// emptyFolder returns a folder of files that is removed at the end of the test.
func emptyFolder(t testing.TB) string {
	t.Helper()
	temp, files, err := Temporary("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(temp); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	})
	return files
}

// asUser makes the package take this process for one without the rights of root until the end of the test.
func asUser(t testing.TB) {
	before := isRoot
	isRoot = false
	t.Cleanup(func() { isRoot = before })
}

func TestUnpack(t *testing.T) {
	asUser(t)
	for name, tt := range map[string]struct {
		items []string
		want  string // what is in the folder, separated by |
		fail  string
	}{
		"nothing":               {nil, "", ""},
		"modes":                 {[]string{"./", "0555 a/", "0640 a/b x", "4755 c y"}, "a drwxr-xr-x|a/b -rw-r----- x|c urwxr-xr-x y", ""},
		"no permission":         {[]string{"0000 a x", "0000 b/"}, "a -r-------- x|b drwx------", ""},
		"without folders":       {[]string{"a/b/c x"}, "a drwxr-xr-x|a/b drwxr-xr-x|a/b/c -rw-r--r-- x", ""},
		"absolute":              {[]string{"/etc/passwd x"}, "etc drwxr-xr-x|etc/passwd -rw-r--r-- x", ""},
		"link":                  {[]string{"a -> /etc/passwd", "b -> ../../x"}, "a Lrwxrwxrwx /etc/passwd|b Lrwxrwxrwx ../../x", ""},
		"hard link":             {[]string{"a x", "b/c => ./a"}, "a -rw-r--r-- x|b drwxr-xr-x|b/c -rw-r--r-- x", ""},
		"twice":                 {[]string{"a x", "a y"}, "a -rw-r--r-- y", ""},
		"file for folder":       {[]string{"a/b/c x", "0555 a/b/", "a y"}, "a -rw-r--r-- y", ""},
		"folder for file":       {[]string{"a x", "a/b y"}, "a drwxr-xr-x|a/b -rw-r--r-- y", ""},
		"folder for link":       {[]string{"a -> ..", "a/"}, "a drwxr-xr-x", ""},
		"file for link":         {[]string{"a -> ../other", "a x"}, "a -rw-r--r-- x", ""},
		"through a link":        {[]string{"d/", "a -> d", "a/b x"}, "a drwxr-xr-x|a/b -rw-r--r-- x|d drwxr-xr-x", ""},
		"through a link out":    {[]string{"a -> ../..", "a/b x"}, "a drwxr-xr-x|a/b -rw-r--r-- x", ""},
		"dots that stay":        {[]string{"a/../b x"}, "b -rw-r--r-- x", ""},
		"out":                   {[]string{"../a x"}, "", `../a is outside of the folder to unpack to`},
		"out below":             {[]string{"a/../../b x"}, "", "is outside"},
		"out by absolute":       {[]string{"/../b x"}, "", "is outside"},
		"hard link out":         {[]string{"a => ../other"}, "", "is outside"},
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
			made := emptyFolder(t)
			err := unpack(t.Context(), bytes.NewReader(fakes.Tar(t, tt.items...)), made, maxContext)
			if tt.fail == "" != (err == nil) || err != nil && (!strings.Contains(err.Error(), tt.fail) || strings.Contains(err.Error(), "\x1b")) {
				t.Fatal(err)
			}
			if got := strings.Join(fakes.Listing(t, made), "|"); err == nil && got != tt.want {
				t.Errorf("got %s\nnot %s", got, tt.want)
			}
			if got, _ := filepath.Glob(outside + "/*"); len(got) != 1 {
				t.Errorf("got files %q outside of the tree, want none", got)
			}
		})
	}
}

func TestUnpackKeepsTimes(t *testing.T) {
	made := emptyFolder(t)
	if err := unpack(t.Context(), bytes.NewReader(fakes.Tar(t, "a/", "a/b x")), made, maxContext); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(made, "a/b")); err != nil || !info.ModTime().Equal(fakes.Modified) {
		t.Errorf("got modification time %v and error %v, want %v", info.ModTime(), err, fakes.Modified)
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
	made := emptyFolder(t)
	if err := unpack(t.Context(), &content, made, maxContext); err != nil {
		t.Fatal(err)
	}
	if got := fakes.Listing(t, made); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// Files that are not tar files or are truncated are errors.
func TestUnpackInvalid(t *testing.T) {
	whole := fakes.Tar(t, "file "+strings.Repeat("x", 10000))
	for name, packed := range map[string][]byte{
		"empty": nil, "text": []byte("FROM scratch"), "packed text": fakes.Gzipped(t, []byte(strings.Repeat("FROM scratch", 100))),
		"cut": whole[:5000], "packed, cut": fakes.Gzipped(t, whole)[:50], "half a header": whole[:100], "zstd, cut": fakes.Zstded(t, whole)[:30],
	} {
		if err := unpack(t.Context(), bytes.NewReader(packed), emptyFolder(t), maxContext); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := unpack(ctx, bytes.NewReader(whole), emptyFolder(t), maxContext); !errors.Is(err, context.Canceled) {
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
		"bytes":           {fakes.Zstded(t, fakes.Tar(t, "a "+zeros)), false},
		"not packed":      {fakes.Tar(t, "a "+zeros), true},
		"packed a little": {fakes.Gzipped(t, fakes.Tar(t, "a "+anything(2*limit))), true},
		"files":           {fakes.Zstded(t, fakes.Tar(t, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k")), false},
		"fewer files":     {fakes.Zstded(t, fakes.Tar(t, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")), true},
		"folders":         {fakes.Zstded(t, fakes.Tar(t, strings.Repeat("a/", 10)+"a")), false},
		"links":           {fakes.Zstded(t, fakes.Tar(t, "a "+zeros[:limit/2], "b => a", "c => a")), false},
	} {
		err := unpack(t.Context(), bytes.NewReader(tt.packed), emptyFolder(t), limit)
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
	f.Add(fakes.Tar(f, "a/", "a/b x", "c -> a", "c/d y", "e => a/b"))
	f.Add(fakes.Tar(f, "a -> ..", "a/b x", "../c y"))
	f.Add(fakes.Gzipped(f, fakes.Tar(f, "0000 a/", "a/b x", "a y")))
	f.Add(fakes.Zstded(f, fakes.Tar(f, "/a x")))
	f.Fuzz(func(t *testing.T, packed []byte) {
		outside := t.TempDir()
		t.Setenv("TMPDIR", outside)
		made := emptyFolder(t)
		_ = unpack(t.Context(), bytes.NewReader(packed), made, 1<<20)
		entries, err := fs.ReadDir(os.DirFS(filepath.Dir(made)), ".")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range entries {
			if d.Name() != filesName {
				t.Errorf("got %s outside of the files folder", d.Name())
			}
		}
		if got, _ := filepath.Glob(path.Join(outside, "*")); len(got) != 1 {
			t.Errorf("got files %q outside of the tree, want none", got)
		}
	})
}
