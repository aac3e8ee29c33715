package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/gofrs/flock"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Names in the root that are not lists, whose names never start with a dot.
const (
	lockName        = ".lock"
	temporaryPrefix = ".tmp-"
	asidePrefix     = ".old-"
)

// lockPause is the time between two attempts to take the lock.
const lockPause = 5 * time.Millisecond

// longWait is after what time a change reports that it waits.
const longWait = 2 * time.Second

func (s *Store) lock() *flock.Flock {
	return flock.New(filepath.Join(s.root, lockName), flock.SetPermissions(0o644))
}

// locked calls do while no other writer uses the store, and creates its root if it does not exist.
func (s *Store) locked(ctx context.Context, do func() error) error {
	if err := os.MkdirAll(s.root, 0o755); err != nil {
		return fmt.Errorf("creating the folder of the local manifest lists: %w", err)
	}
	lock := s.lock()
	if err := s.acquire(ctx, lock); err != nil {
		return fmt.Errorf("locking the local manifest lists: %w", err)
	}
	defer lock.Close()
	s.clean()
	return do()
}

func (s *Store) acquire(ctx context.Context, lock *flock.Flock) error {
	if s.Waiting != nil {
		defer time.AfterFunc(longWait, s.Waiting).Stop()
	}
	_, err := lock.TryLockContext(ctx, lockPause)
	return err
}

// restore cleans up after a killed writer, unless another writer is active, which does so itself.
func (s *Store) restore() {
	lock := s.lock()
	if ok, err := lock.TryLock(); err == nil && ok {
		defer lock.Close()
		s.clean()
	}
}

// clean restores lists that a killed writer left aside and removes its other files, which otherwise disturb nobody.
func (s *Store) clean() {
	items, _ := os.ReadDir(s.root)
	for _, item := range items {
		if folder, ok := strings.CutPrefix(item.Name(), asidePrefix); ok {
			if _, err := os.Lstat(s.path(folder)); err == nil {
				_ = s.discard(item.Name())
			} else {
				_ = os.Rename(s.path(item.Name()), s.path(folder))
			}
		}
		if strings.HasPrefix(item.Name(), temporaryPrefix) {
			_ = os.RemoveAll(s.path(item.Name()))
		}
	}
}

func (s *Store) path(name string) string { return filepath.Join(s.root, name) }

func (s *Store) temporary() string { return s.path(temporaryPrefix + rand.Text()) }

// discard removes a folder of the root, atomically for readers.
func (s *Store) discard(name string) error {
	gone := s.temporary()
	if err := os.Rename(s.path(name), gone); err != nil {
		return err
	}
	// The list is removed; if its files cannot be, the next writer tries again.
	_ = syncFolder(s.root)
	_ = os.RemoveAll(gone)
	return nil
}

// removal is discard with an error that names the folder of the list.
func (s *Store) removal(folder string) error {
	if err := s.discard(folder); err != nil {
		return fmt.Errorf("removing the manifest list in %q: %w", s.path(folder), cause(err))
	}
	return nil
}

// write makes list the content of the folder of now.
func (s *Store) write(ctx context.Context, now snapshot, list manifest.List) error {
	files, err := encodeAll(now, list)
	switch {
	case err != nil:
		return err
	case len(files) == 0 && !now.found, len(files) > 0 && now.holds(files):
		return nil
	case len(files) == 0:
		err = s.discard(now.folder)
	default:
		err = s.exchange(ctx, now, files)
	}
	if err != nil {
		return fmt.Errorf("writing manifest list %s: %w", manifest.Familiar(list.Name), err)
	}
	return nil
}

// encodeAll returns the files of list in its order.
func encodeAll(now snapshot, list manifest.List) ([]file, error) {
	if len(list.Entries) > manifest.MaxEntries {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s would have %d entries, more than %d",
			manifest.Familiar(list.Name), len(list.Entries), manifest.MaxEntries)
	}
	old, pushed := now.byName(), cmp.Or(list.Pushed, now.list(list.Name).Pushed)
	taken := map[string]manifest.Entry{}
	var files []file
	for i, e := range list.Entries {
		var location string
		switch p := e.Pending; {
		case manifest.IsLayout(e.Ref):
			location = manifest.AtDigest(e.Ref, e.Descriptor.Digest).String()
			e.Ref = manifest.AtDigest(list.Name, e.Descriptor.Digest)
		case manifest.IsOfContext(e.Ref) && p != nil:
			location = e.Ref.String()
			e.Ref = manifest.AtDigest(list.Name, cmp.Or(p.Manifest, p.ID))
		}
		name := entryFile(e, taken)
		if first, ok := taken[name]; ok {
			return nil, manifest.Errorf(errdefs.ErrConflict, "%s and %s would share a file of the local manifest list %s: use only one of them, or another tag for one",
				manifest.Familiar(first.Source), manifest.Familiar(e.Source), manifest.Familiar(list.Name))
		}
		taken[name] = e
		x := extra{List: list.Name.String(), MediaType: list.MediaType, Annotations: list.Annotations, Position: i + 1, Location: location}
		if i == 0 && len(list.Whole.Raw) > 0 {
			x.Whole = &list.Whole
		}
		if i == 0 && pushed != manifest.PushedUnknown {
			x.Pushed = cmp.Or(pushed, neverPushed)
		}
		data, err := encode(e, x, old[name].fields)
		if err == nil && !bytes.Equal(data, old[name].data) {
			_, _, err = decode(data)
		}
		if err != nil {
			return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "cannot keep %s in the local manifest list %s: %w",
				manifest.Familiar(e.Source), manifest.Familiar(list.Name), err)
		}
		files = append(files, file{name: name, data: data})
	}
	return files, nil
}

// entryFile returns the file name of an entry: that of docker manifest for the first entry of a Ref. The others, for
// more platforms of the same child, also have the platform in it.
func entryFile(e manifest.Entry, taken map[string]manifest.Entry) string {
	first := fileName(e.Ref.String())
	same := func(name string) bool {
		other, ok := taken[name]
		return ok && other.Ref.String() == e.Ref.String()
	}
	if !same(first) {
		return first
	}
	name := first + "_" + manifest.PlatformName(e.Platform(), "_")
	for n, again := 2, name; same(name); n++ {
		name = fmt.Sprintf("%s_%d", again, n)
	}
	return name
}

func (n snapshot) byName() map[string]file {
	out := make(map[string]file, len(n.files))
	for _, f := range n.files {
		out[f.name] = f
	}
	return out
}

// holds reports whether the folder has exactly these files.
func (n snapshot) holds(files []file) bool {
	old := n.byName()
	for _, f := range files {
		if !bytes.Equal(old[f.name].data, f.data) {
			return false
		}
	}
	return n.broken == nil && len(old) == len(files)
}

// exchange creates a folder of files and exchanges it with that of now.
func (s *Store) exchange(ctx context.Context, now snapshot, files []file) error {
	fresh, place := s.temporary(), s.path(now.folder)
	// After the exchange this is the old list.
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := now.build(fresh, place, files); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	put := s.swap
	if _, err := os.Lstat(place); errors.Is(err, fs.ErrNotExist) {
		put = os.Rename
	}
	if err := put(fresh, place); err != nil {
		return err
	}
	return syncFolder(s.root)
}

// build creates the folder fresh with files. Those that the list at place already has are linked.
func (n snapshot) build(fresh, place string, files []file) error {
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	old := n.byName()
	for _, f := range files {
		path := filepath.Join(fresh, f.name)
		if bytes.Equal(old[f.name].data, f.data) && os.Link(filepath.Join(place, f.name), path) == nil {
			continue
		}
		if err := writeFile(path, f.data); err != nil {
			return err
		}
	}
	return syncFolder(fresh)
}

func writeFile(path string, data []byte) error {
	// Exclusive, since some file systems are not case-sensitive.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncFolder writes the directory entries of a folder to disk, if the system supports that.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
