// Package store keeps the local manifest lists on disk, in the folder and file format of docker manifest, so that
// both tools can take turns on one list. What a list means, and whether it can be pushed, is up to package manifest.
//
// A list is a folder in the root of a [Store], and an entry is a file in it. Writers take turns with a lock file, write
// a new folder and exchange it with that of the list. Readers take no lock: they read either the old list or the new
// one.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Store has the local manifest lists. Its methods can be called concurrently, by any number of processes.
type Store struct {
	root string
	// swap exchanges two folders of the root.
	swap func(fresh, list string) error
	// Waiting is called when a change has waited long for another process, unless it is nil.
	Waiting func()
}

// New returns the store of the lists in the folder root: manifests in the config folder of the docker CLI. It reads
// and creates nothing.
func New(root string) *Store { return &Store{root: root, swap: exchange} }

// Get returns the list called name. The error is errdefs.ErrNotFound if there is none, or if its
// folder has a list with another name, and errdefs.ErrDataLoss if a file is invalid.
func (s *Store) Get(name reference.Named) (manifest.List, error) {
	now, err := s.read(fileName(name.String()))
	switch err = cmp.Or(err, now.broken); {
	case now.checkOwner(name) != nil, err == nil && len(now.files) == 0:
		return manifest.List{}, manifest.NoList(name)
	case err != nil:
		return manifest.List{}, unreadable(name, err)
	}
	return now.list(name), nil
}

// Update replaces the list called name with the result of change, under the lock. Change gets a list without entries
// if there is none, and a result without entries removes the list; it must not block. An error of change is returned
// as it is. Other errors are errdefs.ErrDataLoss if a file of the list is invalid, errdefs.ErrConflict if its folder
// has a list with another name or two entries have the same file. After an error the list is unchanged.
func (s *Store) Update(ctx context.Context, name reference.Named, change func(manifest.List) (manifest.List, error)) error {
	return s.locked(ctx, func() error {
		now, err := s.read(fileName(name.String()))
		if conflict := now.checkOwner(name); conflict != nil {
			return conflict
		}
		if err = cmp.Or(err, now.broken); err != nil {
			return unreadable(name, err)
		}
		list, err := change(now.list(name))
		if err != nil {
			return err
		}
		list.Name = name
		return s.write(ctx, now, list)
	})
}

// Replace stores list under its name, in place of any other list, even one that cannot be read. The errors are those
// of Update.
func (s *Store) Replace(ctx context.Context, list manifest.List) error {
	return s.locked(ctx, func() error {
		now, err := s.read(fileName(list.Name.String()))
		if err != nil && !errdefs.IsDataLoss(err) {
			return unreadable(list.Name, err)
		}
		if err := now.checkOwner(list.Name); err != nil {
			return err
		}
		return s.write(ctx, now, list)
	})
}

// Remove removes the list called name, even one that cannot be read. The error is errdefs.ErrNotFound if there is
// none, errdefs.ErrConflict if its folder belongs to a list with another name.
func (s *Store) Remove(ctx context.Context, name reference.Named) error {
	remove := func(discard func(folder string) error) error {
		now, err := s.read(fileName(name.String()))
		if err != nil && !errdefs.IsDataLoss(err) {
			return unreadable(name, err)
		}
		if err := now.checkOwner(name); err != nil {
			return err
		}
		if !now.found {
			return manifest.NoList(name)
		}
		return discard(now.folder)
	}
	// If there is nothing to remove, nothing is written, not even a lock file.
	if err := remove(func(string) error { return nil }); err != nil {
		return err
	}
	return s.locked(ctx, func() error { return remove(s.removal) })
}

// Stored is a list in the store.
type Stored struct {
	// List has no Name if docker manifest created it, since the folder does not have the exact name.
	List manifest.List
	// Folder is the name of its folder in the root.
	Folder string
	// Modified is when the list was last written, by either tool.
	Modified time.Time
}

// All returns every list in the order of the folder names. A list that cannot be read only has a Folder, and an error
// that names the file; the iteration continues. A root that does not exist has no lists.
func (s *Store) All() iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		folders, err := s.folders()
		if err != nil {
			yield(Stored{}, fmt.Errorf("reading the local manifest lists: %w", err))
			return
		}
		for _, folder := range folders {
			now, err := s.read(folder)
			if err = cmp.Or(err, now.broken); err != nil {
				now = snapshot{}
			} else if len(now.files) == 0 {
				continue
			}
			if !yield(Stored{now.list(now.owner), folder, now.modified}, err) {
				return
			}
		}
	}
}

// Prune removes, under one lock, the lists that remove selects, and returns them. Lists that cannot be
// read are kept and reported by the error.
func (s *Store) Prune(ctx context.Context, remove func(Stored) bool) ([]Stored, error) {
	if _, err := os.Stat(s.root); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var removed []Stored
	err := s.locked(ctx, func() error {
		var errs []error
		for stored, err := range s.All() {
			if ctx.Err() != nil {
				return errors.Join(append(errs, ctx.Err())...)
			}
			if err == nil && !remove(stored) {
				continue
			}
			if err == nil {
				err = s.removal(stored.Folder)
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			removed = append(removed, stored)
		}
		return errors.Join(errs...)
	})
	return removed, err
}

var safe = strings.NewReplacer(":", "-", "/", "_")

// fileName is the name of the folder of a list and of the file of an entry, as in docker manifest.
func fileName(ref string) string { return safe.Replace(ref) }

// folders returns the sorted names of the folders of lists.
func (s *Store) folders() ([]string, error) {
	items, err := os.ReadDir(s.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, item := range items {
		name, aside := strings.CutPrefix(item.Name(), asidePrefix)
		if !aside && (strings.HasPrefix(name, ".") || !item.IsDir() && item.Type() != fs.ModeSymlink) {
			continue
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

// unreadable adds a hint to an error.
func unreadable(name reference.Named, err error) error {
	familiar := manifest.Familiar(name)
	invalid := errdefs.IsDataLoss(err)
	err = fmt.Errorf("reading manifest list %s: %w", familiar, err)
	if !invalid {
		return err
	}
	return manifest.WithHint(err, "remove the list (docker multiarch rm %[1]s), or create it again (docker multiarch create --replace %[1]s SOURCE...)", familiar)
}
