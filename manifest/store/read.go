package store

import (
	"bytes"
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

// maxReads bounds how often a reader starts again because a writer exchanged the list meanwhile.
const maxReads = 100

// errMoved says that a list's folder was exchanged or removed while it was read.
var errMoved = errors.New("the list keeps changing while it is read")

// snapshot is what a list's folder held at one moment.
type snapshot struct {
	folder string
	// found tells a folder without entries from no folder.
	found bool
	// owner is the exact name of the list, nil when no file tells it.
	owner reference.Named
	// files are those that can be read, in the list's order.
	files []file
	// broken is why the first of the others cannot be read.
	broken   error
	modified time.Time
}

// file is an entry and the file it was read from.
type file struct {
	name   string
	data   []byte
	fields fields
	entry  manifest.Entry
}

// read returns what the folder of a list holds. An error means that nothing of it can be read.
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
	// Only now is it known that no file was gone before it was looked for: a folder loses files when it
	// no longer stands in its place.
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

// open opens the folder of a list and returns the place where it was: its own, or aside, where a writer
// without an atomic exchange leaves it for a moment, or for good when it is killed. Such a writer may
// put it back between two looks, so that only several in vain tell that there is no list.
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

// fill reads the files of the folder that root is opened on and that stands at place.
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

// entryFiles returns what is in the folder that root is opened on, by name, at most one more than
// a list may have. Names with a dot in front, of which some systems leave their own, are no entries.
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

// readFile reads one entry file. The error is errdefs.ErrDataLoss when the system could read it but its
// content is no entry.
func readFile(root *os.Root, item fs.DirEntry) (file, time.Time, error) {
	f := file{name: item.Name()}
	// A look before opening: a named pipe would be waited for.
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
	var data bytes.Buffer
	data.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := data.ReadFrom(io.LimitReader(opened, maxFileSize)); err != nil {
		return f, info.ModTime(), err
	}
	f.data = data.Bytes()
	if f.entry, f.fields, err = decode(f.data); err != nil {
		err = manifest.Errorf(errdefs.ErrDataLoss, "%w", err)
	}
	return f, info.ModTime(), err
}

// cause returns err less the name of a file as it is, with control characters and all.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// inOrder returns the files, which are in the order of their names, in the order of their positions. Those
// without a position fill the gaps: docker manifest's annotate forgets the position of one entry, and its
// create adds entries that never had one, which follow.
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

// noteOwner takes the list's exact name from f. In a folder that was renamed or copied by hand the name
// says nothing. Some file systems do not tell upper case from lower.
func (n *snapshot) noteOwner(f file) {
	name := f.fields.Multiarch.List
	if n.owner == nil && name != "" && strings.EqualFold(fileName(name), n.folder) {
		n.owner, _ = reference.ParseNamed(name)
	}
}

// list returns the list, called name.
func (n snapshot) list(name reference.Named) manifest.List {
	l := manifest.List{Name: name}
	for _, f := range n.files {
		l.Entries = append(l.Entries, f.entry)
		if l.MediaType == "" {
			l.MediaType = f.fields.Multiarch.MediaType
		}
		if l.Annotations == nil {
			l.Annotations = f.fields.Multiarch.Annotations
		}
	}
	return l
}

// check returns an error when the folder is not that of a readable list called name.
func (n snapshot) check(name reference.Named) error {
	if err := n.checkOwner(name); err != nil {
		return err
	}
	if n.broken != nil {
		return unreadable(name, n.broken)
	}
	return nil
}

// checkOwner returns an errdefs.ErrConflict error when the folder belongs to a list that is not called
// name.
func (n snapshot) checkOwner(name reference.Named) error {
	if n.owner == nil || n.owner.String() == name.String() {
		return nil
	}
	return manifest.Errorf(errdefs.ErrConflict, "%s and the local manifest list %s would be one folder, %q: remove that list first with 'docker multiarch rm %[2]s'",
		manifest.Familiar(name), manifest.Familiar(n.owner), n.folder)
}
