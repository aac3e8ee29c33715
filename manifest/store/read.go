package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// maxReads bounds how often a reader starts over because a writer exchanged the list meanwhile.
const maxReads = 100

// errMoved reports that the folder of a list was exchanged or removed while it was read.
var errMoved = errors.New("the list keeps changing while it is read")

// snapshot is the content of the folder of a list at one moment.
type snapshot struct {
	folder string
	// found reports that the folder exists, even without entries.
	found bool
	// owner is the exact name of the list, nil if no file has it.
	owner reference.Named
	// files are the readable files in the order of the list.
	files []file
	// broken is the error of the first unreadable file.
	broken   error
	modified time.Time
}

// file is an entry with its file.
type file struct {
	name   string
	data   []byte
	fields fields
	entry  manifest.Entry
}

// read returns the content of the folder of a list. An error means that nothing can be read.
func (s *Store) read(folder string) (snapshot, error) {
	for range maxReads {
		now, err := s.readOnce(folder)
		if !errors.Is(err, errMoved) {
			return now, err
		}
	}
	return snapshot{folder: folder}, errMoved
}

func (s *Store) readOnce(folder string) (snapshot, error) {
	now := snapshot{folder: folder}
	place, root, err := s.open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return now, nil
	}
	now.found = true
	if err != nil {
		return now, err
	}
	defer root.Close()
	err = now.fill(root, place)
	// Only now is it certain that no file was missing: a folder loses files once it is no longer at its place.
	opened, statErr := root.Stat(".")
	present, lostErr := os.Stat(place)
	if statErr != nil || lostErr != nil || !os.SameFile(opened, present) {
		return now, errMoved
	}
	if filepath.Base(place) != folder {
		s.restore()
	}
	return now, err
}

// open opens the folder of a list and returns its path: its own, or the aside name, where a writer without an
// atomic exchange keeps it for a moment, or for good if it is killed. Since such a writer may move it between two
// attempts, only several failed attempts mean that there is no list.
func (s *Store) open(folder string) (place string, root *os.Root, err error) {
	for range 3 {
		for _, name := range []string{folder, asidePrefix + folder} {
			place = filepath.Join(s.root, name)
			root, err = os.OpenRoot(place)
			if err == nil {
				return place, root, nil
			}
			if info, statErr := os.Lstat(place); statErr == nil && info.Mode().IsRegular() {
				return place, nil, manifest.Errorf(errdefs.ErrDataLoss, "%q is not a folder", place)
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return place, nil, err
			}
		}
	}
	return place, nil, err
}

// fill reads the files of the folder at place, which root is opened on.
func (n *snapshot) fill(root *os.Root, place string) error {
	items, err := entryFiles(root)
	if err != nil {
		return err
	}
	if len(items) > manifest.MaxEntries {
		return manifest.Errorf(errdefs.ErrDataLoss, "%q has more than %d files", place, manifest.MaxEntries)
	}
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	n.modified = info.ModTime()
	for _, item := range items {
		f, modified, err := readFile(root, item)
		switch {
		case errors.Is(err, fs.ErrNotExist) && item.Type().IsRegular():
			return errMoved
		case err == nil:
			n.files = append(n.files, f)
			n.noteOwner(f)
		case n.broken == nil:
			n.broken = fmt.Errorf("file %q: %w", filepath.Join(place, item.Name()), cause(err))
		}
		if modified.After(n.modified) {
			n.modified = modified
		}
	}
	n.files = inOrder(n.files)
	return nil
}

// entryFiles returns the files in the folder that root is opened on, by name, at most one more than a list may have.
// Names that start with a dot, which some systems create, are not entries.
func entryFiles(root *os.Root) ([]fs.DirEntry, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	items, err := dir.ReadDir(manifest.MaxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(i fs.DirEntry) bool { return strings.HasPrefix(i.Name(), ".") })
	slices.SortFunc(items, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return items, nil
}

// readFile reads one entry file. The error is errdefs.ErrDataLoss if the file is readable but not an entry.
func readFile(root *os.Root, item fs.DirEntry) (file, time.Time, error) {
	f := file{name: item.Name()}
	// Checked before opening, since opening a named pipe would block.
	info, err := root.Stat(f.name)
	if err != nil {
		return f, time.Time{}, err
	}
	switch {
	case !info.Mode().IsRegular():
		return f, info.ModTime(), manifest.Errorf(errdefs.ErrDataLoss, "not a regular file")
	case info.Size() > maxFileSize:
		return f, info.ModTime(), manifest.Errorf(errdefs.ErrDataLoss, "larger than %d bytes", maxFileSize)
	}
	opened, err := root.Open(f.name)
	if err != nil {
		return f, info.ModTime(), err
	}
	defer opened.Close()
	if f.data, err = io.ReadAll(io.LimitReader(opened, maxFileSize)); err != nil {
		return f, info.ModTime(), err
	}
	if f.entry, f.fields, err = decode(f.data); err != nil {
		err = manifest.Errorf(errdefs.ErrDataLoss, "%w", err)
	}
	return f, info.ModTime(), err
}

// cause returns err without the name of the file, which may have control characters.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// inOrder sorts the files, which are in the order of their names, by position. Those without a position fill the
// gaps: docker manifest annotate drops the position of one entry, and docker manifest create adds entries without
// one, which follow.
func inOrder(files []file) []file {
	var placed, loose []file
	for _, f := range files {
		if f.fields.Multiarch.Position > 0 {
			placed = append(placed, f)
		} else {
			loose = append(loose, f)
		}
	}
	slices.SortStableFunc(placed, func(a, b file) int {
		return cmp.Compare(a.fields.Multiarch.Position, b.fields.Multiarch.Position)
	})
	out := make([]file, 0, len(files))
	for _, f := range placed {
		for len(loose) > 0 && f.fields.Multiarch.Position > len(out)+1 {
			out, loose = append(out, loose[0]), loose[1:]
		}
		out = append(out, f)
	}
	return append(out, loose...)
}

// noteOwner sets the exact name of the list from f, unless the folder, whose case may differ, was renamed or copied by hand.
func (n *snapshot) noteOwner(f file) {
	name := f.fields.Multiarch.List
	if n.owner == nil && name != "" && strings.EqualFold(fileName(name), n.folder) {
		n.owner, _ = reference.ParseNamed(name)
	}
}

// list returns the list under this name.
func (n snapshot) list(name reference.Named) manifest.List {
	l := manifest.List{Name: name}
	if len(n.files) > 0 {
		l.Pushed = manifest.PushedUnknown
	}
	for _, f := range n.files {
		switch pushed := f.fields.Multiarch.Pushed; {
		case pushed == neverPushed:
			l.Pushed = ""
		case pushed.Validate() == nil:
			l.Pushed = pushed
		}
		l.Entries = append(l.Entries, f.entry)
		if l.MediaType == "" {
			l.MediaType = f.fields.Multiarch.MediaType
		}
		if l.Annotations == nil {
			l.Annotations = f.fields.Multiarch.Annotations
		}
		if whole := f.fields.Multiarch.Whole; whole != nil {
			l.Whole = *whole
		}
	}
	return l
}

// checkOwner returns an errdefs.ErrConflict error if the folder belongs to a list with another name.
func (n snapshot) checkOwner(name reference.Named) error {
	if n.owner == nil || n.owner.String() == name.String() {
		return nil
	}
	owner := manifest.Familiar(n.owner)
	err := manifest.Errorf(errdefs.ErrConflict, "%s and the local manifest list %s would share the folder %q", manifest.Familiar(name), owner, n.folder)
	return manifest.WithHint(err, "remove that list first: docker multiarch rm %s", owner)
}
