package store

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func init() { jobs["full"] = full }

// asNobody runs f without the rights of root, which no mode of a file hinders. They belong to the thread.
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

// readOnly makes the root read-only, and lets everybody come to it.
func readOnly(t *testing.T, s *Store) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(s.root), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.root, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(s.root, 0o755) })
}

func TestReadOnlyRoot(t *testing.T) {
	for _, locked := range []string{"with lock file", "without lock file"} {
		t.Run(locked, func(t *testing.T) {
			s := New(t.TempDir())
			want := mustPut(t, s, "h.io/app:1", image(t, "h.io/app:a"))
			if locked == "without lock file" {
				if err := os.Remove(s.path(lockName)); err != nil {
					t.Fatal(err)
				}
			}
			readOnly(t, s)
			asNobody(t, func() {
				wantList(t, mustGet(t, s, "h.io/app:1"), want)
				for stored, err := range s.All() {
					if err != nil || len(stored.List.Entries) != 1 {
						t.Errorf("got %+v, %v", stored, err)
					}
				}
				denied := func(err error) bool { return errors.Is(err, os.ErrPermission) }
				wantError(t, s.Update(t.Context(), want.Name, add(image(t, "h.io/app:b"))), denied, s.root)
				wantError(t, s.Update(t.Context(), named(t, "h.io/new:1"), add(image(t, "h.io/app:b"))), denied, s.root)
				wantError(t, s.Remove(t.Context(), want.Name), denied, s.root)
				_, err := s.Prune(t.Context(), func(Stored) bool { return true })
				wantError(t, err, denied, s.root)
			})
			wantNoLeftovers(t, s.root, "h.io_app-1")
			wantList(t, mustGet(t, s, "h.io/app:1"), want)
		})
	}
}

// A list that a killed writer without an atomic exchange left aside is read where it is.
func TestReadOnlyRootWithListAside(t *testing.T) {
	s := New(t.TempDir())
	want := mustPut(t, s, "h.io/app:1", image(t, "h.io/app:a"))
	if err := os.Rename(s.path("h.io_app-1"), s.path(asidePrefix+"h.io_app-1")); err != nil {
		t.Fatal(err)
	}
	readOnly(t, s)
	asNobody(t, func() { wantList(t, mustGet(t, s, "h.io/app:1"), want) })
}

// An unreadable file is no reason to advise the removal of its list.
func TestForbiddenFile(t *testing.T) {
	s := New(t.TempDir())
	mustPut(t, s, "h.io/app:1", image(t, "h.io/app:a"))
	if err := os.Chmod(filepath.Join(s.path("h.io_app-1"), "h.io_app-a"), 0); err != nil {
		t.Fatal(err)
	}
	readOnly(t, s)
	asNobody(t, func() {
		_, err := s.Get(named(t, "h.io/app:1"))
		wantError(t, err, func(err error) bool { return errors.Is(err, os.ErrPermission) }, "h.io_app-a", "h.io/app:1")
		if strings.Contains(err.Error(), "multiarch rm") {
			t.Errorf("error %q advises removal", err)
		}
	})
}

// full writes to the store as if the disk were full after a few bytes.
func full(s *Store, name string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 100, Max: 100}); err != nil {
		return err
	}
	err := s.Replace(context.Background(), manifest.List{Name: mustParse(name), Entries: []manifest.Entry{pendingEntry("h.io/app:b")}})
	if !errors.Is(err, unix.EFBIG) {
		return errors.Join(errors.New("the write did not fail as it should"), err)
	}
	return nil
}

func TestFullDisk(t *testing.T) {
	s := New(t.TempDir())
	want := mustPut(t, s, "h.io/app:1", image(t, "h.io/app:a"))
	for _, name := range []string{"h.io/app:1", "h.io/new:1"} {
		if err := start(t, s, false, "full", name).Run(); err != nil {
			t.Error(err)
		}
	}
	wantNoLeftovers(t, s.root, "h.io_app-1")
	wantList(t, mustGet(t, s, "h.io/app:1"), want)
}

// The system's own exchange is what the other tests ran with, where the file system of the tests can.
func TestExchangeFallsBack(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "in-"+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Of a folder and one in it no file system makes an exchange, and the system says EINVAL.
	if err := exchange(filepath.Join(dir, "a", "in-a"), filepath.Join(dir, "a")); err == nil {
		t.Error("a folder was put in the place of what it stands in")
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "in-a")); err != nil {
		t.Error(err)
	}
	if err := exchange(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "b", "in-a")); err != nil {
		t.Error(err)
	}
	err := exchange(filepath.Join(dir, "absent"), filepath.Join(dir, "b"))
	wantError(t, err, func(err error) bool { return errors.Is(err, os.ErrNotExist) }, "absent")
}
