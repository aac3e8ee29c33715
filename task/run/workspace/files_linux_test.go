package workspace

import (
	"bytes"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"

	"golang.org/x/sys/unix"
)

// asNobody runs f without root's capabilities, which override file modes. They belong to the thread.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setfsuid(0) }()
	f()
}

// Files are put into read-only folders, and those are removed, without being root.
func TestReadOnlyFolders(t *testing.T) {
	outside := t.TempDir()
	if err := errors.Join(os.Chmod(outside, 0o777), os.Chmod(filepath.Dir(outside), 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", outside)
	asUser(t)
	asNobody(t, func() {
		temp, files, err := Temporary("test")
		if err != nil {
			t.Fatal(err)
		}
		content := fakes.Tar(t, "0555 a/", "0555 a/b/", "0400 a/b/c x", "0000 d/", "0555 e/", "e/f x", "e y")
		if err := unpack(t.Context(), bytes.NewReader(content), files, maxContext); err != nil {
			t.Errorf("got error %v, want none", err)
		}
		made, err := openFolder(files)
		if err != nil {
			t.Fatal(err)
		}
		defer made.Close()
		err = made.place("a/b/new", entry{mode: 0o644}, fakes.Modified, strings.NewReader("new"))
		if err := errors.Join(err, made.remove("a/b/c")); err != nil {
			t.Errorf("got error %v, want none", err)
		}
		want := []string{"a drwxr-xr-x", "a/b drwxr-xr-x", "a/b/new -rw-r--r-- new", "d drwx------", "e -rw-r--r-- y"}
		if got := fakes.Listing(t, files); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("got %q", got)
		}
		if err := Remove(temp); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	})
	if got := fakes.Listing(t, outside); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

// The error for an unreadable file names it.
func TestUnreadableFile(t *testing.T) {
	asUser(t)
	s := newTestWorkspace(t, "d/", "0000 d/secret x")
	for _, dir := range []string{os.Getenv("TMPDIR"), s.context} {
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, func() {
		_, _, err := s.Host(t.Context(), Writes)
		want := "copying the context: reading the files in " + s.context + ": "
		if !errors.Is(err, os.ErrPermission) || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "d/secret") {
			t.Errorf("got error %v, want %s", err, "d/secret")
		}
	})
}

// A folder that .dockerignore hides stays hidden as a whole if the folder of the run is in it: a layer that hides both
// would show the rest.
func TestHiddenFolderOfTemporaryFolder(t *testing.T) {
	s := newTestWorkspace(t, ".dockerignore tmp", "tmp/secret x")
	t.Setenv("TMPDIR", filepath.Join(s.context, "tmp"))
	if err := s.makeTemp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := map[string]bool{".git": true, "tmp": true}; !maps.Equal(s.hidden, want) {
		t.Errorf("got hidden files %v, want %v", s.hidden, want)
	}
}

// Sockets and pipes are not copied from a folder of this machine or from a volume.
func TestSocketsAndPipesAreSkipped(t *testing.T) {
	s := newTestWorkspace(t, "file x")
	odd := func(dir, suffix string) {
		if err := syscall.Mkfifo(filepath.Join(dir, "pipe"+suffix), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", filepath.Join(dir, "s"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close(); _ = os.Remove(filepath.Join(dir, "pipe"+suffix)) })
	}
	t.Chdir(s.context) // the name of a socket has to be short
	odd(".", "1")
	dir, release := s.start("a")
	t.Chdir(dir)
	odd(".", "2")
	release()
	s.step("host", "new x")
	s.want("b", "file -rw-r--r-- x", "new -rw-r--r-- x")
	for _, name := range []string{"pipe1", "s1", "pipe2", "s2"} {
		if _, err := os.Lstat(filepath.Join(s.dir, name)); err == nil {
			t.Errorf("got %s copied, want it skipped", name)
		}
	}
}
