package run

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"

	"github.com/containerd/errdefs"
)

// open opens an existing context, and closes it at the end of the test.
func open(t *testing.T, name string, in io.Reader, fetch Fetch) Source {
	t.Helper()
	s, err := Open(t.Context(), "r1", name, in, fetch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	})
	return s
}

func TestOpenFolder(t *testing.T) {
	fakes.EmptyTemp(t)
	dir := t.TempDir()
	fakes.Write(t, filepath.Join(dir, "app/acb.yaml"), "steps")
	t.Chdir(dir)
	if err := os.Symlink("app", "link"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"app", "./app/", filepath.Join(dir, "app"), "link"} {
		s := open(t, name, nil, nil)
		if want, _ := filepath.EvalSymlinks(filepath.Join(dir, "app")); s.Dir != want || s.Commit != "" || s.Branch != "" {
			t.Errorf("%s: got %+v, want the folder %s without a commit", name, s, want)
		}
	}
	// A folder is taken before a repository of that name.
	fakes.Write(t, "github.com/owner/repository/file", "mine")
	if got := fakes.Listing(t, open(t, "github.com/owner/repository", nil, nil).Dir); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestOpenNothing(t *testing.T) {
	fakes.EmptyTemp(t)
	s := open(t, noContext, nil, nil)
	if got := fakes.Listing(t, s.Dir); len(got) != 0 || !filepath.IsAbs(s.Dir) {
		t.Errorf("got files %q in %s, want an absolute path of an empty folder", got, s.Dir)
	}
	if got := filepath.Base(s.temporary); !strings.HasPrefix(got, FolderPattern("r1")) {
		t.Errorf("got the temporary folder %s, want %s in its name", got, FolderPattern("r1"))
	}
	for name, want := range map[string]string{
		"absent":               `no context "absent": expected a folder`,
		"":                     "no context",
		"ftp://h.io/a.tar":     "no context",
		"host:path/repository": "no context",
	} {
		if _, err := Open(t.Context(), "r1", name, nil, nil); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", name, err, want)
		}
	}
}

func TestOpenTar(t *testing.T) {
	fakes.EmptyTemp(t)
	content := fakes.Tar(t, "acb.yaml steps", "src/", "src/main.go package")
	want := []string{"acb.yaml -rw-r--r-- steps", "src drwxr-xr-x", "src/main.go -rw-r--r-- package"}
	file := filepath.Join(t.TempDir(), "context")
	for packing, packed := range map[string][]byte{"plain": content, "gzip": fakes.Gzipped(t, content), "zstd": fakes.Zstded(t, content)} {
		if err := os.WriteFile(file, packed, 0o600); err != nil {
			t.Fatal(err)
		}
		fetch := func(_ context.Context, url string) (io.ReadCloser, error) {
			if url != "https://h.io/c.tgz?sig=secret" {
				return nil, errors.New(url)
			}
			return io.NopCloser(bytes.NewReader(packed)), nil
		}
		for _, name := range []string{file, "-", "https://h.io/c.tgz?sig=secret"} {
			s := open(t, name, bytes.NewReader(packed), fetch)
			if got := fakes.Listing(t, s.Dir); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s %s: %q", packing, name, got)
			}
		}
	}
}

// A context that cannot be opened leaves no files, and its error contains no secret.
func TestOpenFails(t *testing.T) {
	fakes.EmptyTemp(t)
	broken := filepath.Join(t.TempDir(), "broken")
	fakes.Write(t, broken, "no tar")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	fetch := func(context.Context, string) (io.ReadCloser, error) { return nil, errdefs.ErrUnavailable }
	for name, tt := range map[string]struct {
		ctx  context.Context
		want string
	}{
		broken:                                {t.Context(), "broken: not a tar file"},
		"-":                                   {t.Context(), "standard input: not a tar file"},
		"https://token@h.io/c.tgz?sig=secret": {t.Context(), "opening the context https://h.io/c.tgz: unavailable"},
		"https://u:secret@127.0.0.1:1/r.git#main": {t.Context(), "opening the context https://127.0.0.1:1/r.git: git ls-remote: exit status 128"},
		"ftp://token:secret@h.io/c.tar":           {t.Context(), `no context "ftp://h.io/c.tar"`},
		"file:///nowhere":                         {cancelled, "context canceled"},
	} {
		_, err := Open(tt.ctx, "r1", name, strings.NewReader(""), fetch)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "token") {
			t.Errorf("%s: got error %v, want one with %q and without secrets", name, err, tt.want)
		}
	}
}

// Opening a context from a blocked input ends with its context.
func TestOpenIsCancelled(t *testing.T) {
	fakes.EmptyTemp(t)
	in, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = w.Write(fakes.Tar(t, "file content")[:1024])
		cancel()
	}()
	if _, err := Open(ctx, "r1", "-", in, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestReadFile(t *testing.T) {
	fakes.EmptyTemp(t)
	outside := t.TempDir()
	fakes.Write(t, filepath.Join(outside, "current/acb.yaml"), "current")
	fakes.Write(t, filepath.Join(outside, "current/own.yaml"), "own")
	fakes.Write(t, filepath.Join(outside, "context/acb.yaml"), "context")
	fakes.Write(t, filepath.Join(outside, "secret"), "secret")
	t.Chdir(filepath.Join(outside, "current"))
	if err := os.Symlink("../secret", filepath.Join(outside, "context/link")); err != nil {
		t.Fatal(err)
	}
	folder := open(t, "../context", nil, nil)
	unpacked := open(t, "-", bytes.NewReader(fakes.Tar(t, "acb.yaml unpacked", "link -> "+filepath.Join(outside, "secret"))), nil)
	for name, tt := range map[string]struct {
		source           Source
		file, want, fail string
	}{
		"context first":     {folder, "acb.yaml", "context", ""},
		"then current":      {folder, "own.yaml", "own", ""},
		"outside":           {folder, "../secret", "secret", ""},
		"absolute":          {folder, filepath.Join(outside, "secret"), "secret", ""},
		"input":             {folder, "-", "input", ""},
		"own link":          {folder, "link", "secret", ""},
		"unpacked":          {unpacked, "acb.yaml", "unpacked", ""},
		"unpacked, current": {unpacked, "own.yaml", "own", ""},
		"stranger's link":   {unpacked, "link", "", "path escapes"},
		"absent":            {unpacked, "no.yaml", "", "no file no.yaml in the context or the current folder"},
		"folder":            {folder, ".", "", "is a directory"},
	} {
		got, err := tt.source.ReadFile(t.Context(), tt.file, strings.NewReader("input"))
		if string(got) != tt.want || tt.fail == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.fail) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := folder.ReadFile(t.Context(), "-", strings.NewReader(strings.Repeat("x", maxFile+1))); !errdefs.IsInvalidArgument(err) {
		t.Errorf("got error %v, want errdefs.IsInvalidArgument", err)
	}
}

// Reading a file from a blocked input ends with its context.
func TestReadFileEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, typing := io.Pipe()
	defer typing.Close()
	go func() {
		_, _ = io.WriteString(typing, "steps:\n")
		cancel()
	}()
	if _, err := (Source{}).ReadFile(ctx, "-", in); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}
