package fakes

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Modified is the time of files in tar files.
var Modified = time.Unix(1700000000, 123456789)

// TarHeader returns the header of an item "file content", "folder/", "link -> target" or "link => file", optionally with a
// mode as in "0600 file content".
func TarHeader(of string) (h tar.Header, content string) {
	h = tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, ModTime: Modified, Format: tar.FormatPAX}
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

// Tar returns a tar file of items, see TarHeader.
func Tar(t testing.TB, items ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, item := range items {
		h, content := TarHeader(item)
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

// Gzipped returns content compressed by gzip.
func Gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Zstded returns content compressed by zstd.
func Zstded(t testing.TB, content []byte) []byte {
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

// EmptyTemp sets an empty folder for temporary files, which must be empty at the end.
func EmptyTemp(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		if left := Listing(t, dir); len(left) > 0 {
			t.Errorf("got temporary files %q at the end, want none", left)
		}
	})
}

// Listing returns the content of a folder as "path mode content", except the folder .git and content that only root can
// read.
func Listing(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if d.Name() == ".git" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		line := name + " " + info.Mode().String()
		switch {
		case info.Mode().IsRegular() && info.Mode()&0o400 != 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(content)
		case info.Mode().Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " " + target
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Write writes a file, and the folders above it.
func Write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
