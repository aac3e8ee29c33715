package run

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// entry is a file, folder or link, as compared between locations.
type entry struct {
	mode     fs.FileMode // type and permissions
	link     string      // target of a link
	sum      [sha256.Size]byte
	uid, gid int
}

// permissions are the bits of a mode that are kept.
const permissions = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// newEntry returns an entry without a checksum, and false for what is neither file, folder nor link.
func newEntry(mode fs.FileMode, link string) (entry, bool) {
	switch mode.Type() {
	case 0, fs.ModeDir:
		return entry{mode: mode & (fs.ModeDir | permissions)}, true
	case fs.ModeSymlink:
		return entry{mode: fs.ModeSymlink | 0o777, link: link}, true
	}
	return entry{}, false
}

// readable returns the mode of e in a tree, where this process must be able to read it.
func (e entry) readable() fs.FileMode {
	if e.mode.IsDir() {
		return e.mode | 0o500
	}
	return e.mode | 0o400
}

// tree is a temporary folder of files. Writing to it never follows links. Names in it are relative and have slashes.
type tree struct {
	// root is the temporary folder: it contains the files, and spooled content.
	root *os.Root
	// folders are those whose mode and time are set by finish, since files are written to them until then.
	folders map[string]folder
}

type folder struct {
	mode     fs.FileMode
	modified time.Time
}

const (
	treeFiles = "files"
	treeSpool = "spool"
	treeAside = "aside"
)

// newTree creates an empty tree for a purpose, such as "context".
func newTree(purpose string) (*tree, error) {
	temp, err := os.MkdirTemp("", "docker-multiarch-"+purpose+"-")
	if err != nil {
		return nil, manifest.WithHint(fmt.Errorf("creating a temporary folder: %w", err), "set TMPDIR for another location")
	}
	dir, err := absolute(temp)
	if err != nil {
		return nil, errors.Join(err, os.Remove(temp))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	t := &tree{root, map[string]folder{}}
	if err := root.Mkdir(treeFiles, 0o755); err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

// absolute returns the absolute path of a folder, with links resolved.
func absolute(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// dir is the folder of the files.
func (t *tree) dir() string { return filepath.Join(t.root.Name(), treeFiles) }

// remove removes the tree.
func (t *tree) remove() error {
	return errors.Join(t.removeAll(treeFiles), os.RemoveAll(t.root.Name()), t.root.Close())
}

// removeAll removes a path of the root, including read-only folders.
func (t *tree) removeAll(at string) error {
	err := t.root.RemoveAll(at)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	err = fs.WalkDir(t.root.FS(), at, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = t.root.Chmod(name, 0o700)
		}
		return err
	})
	return errors.Join(err, t.root.RemoveAll(at))
}

// spool stores the content of the next file and returns its checksum.
func (t *tree) spool(content io.Reader) (sum [sha256.Size]byte, err error) {
	if err := t.root.Remove(treeSpool); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sum, err
	}
	f, err := t.root.OpenFile(treeSpool, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return sum, err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, hash), content)
	return [sha256.Size]byte(hash.Sum(nil)), errors.Join(err, f.Close())
}

// aside calls do, which may spool other files, and restores the spooled content afterwards.
func (t *tree) aside(do func() error) error {
	err := t.root.Rename(treeSpool, treeAside)
	if errors.Is(err, fs.ErrNotExist) {
		return do()
	}
	if err == nil {
		err = errors.Join(do(), t.root.Rename(treeAside, treeSpool))
	}
	return err
}

// place puts e at name and replaces what exists there; folders keep their content. A file's content is what was spooled
// last.
func (t *tree) place(name string, e entry, modified time.Time) error {
	if err := t.clear(name, e.mode.IsDir()); err != nil {
		return err
	}
	at := path.Join(treeFiles, name)
	switch e.mode.Type() {
	case fs.ModeDir:
		if err := t.root.Mkdir(at, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		t.folders[name] = folder{e.readable(), modified}
		return nil
	case fs.ModeSymlink:
		if err := t.root.Remove(treeSpool); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := t.root.Symlink(e.link, treeSpool); err != nil {
			return err
		}
	default:
		if err := errors.Join(t.root.Chmod(treeSpool, e.readable()), t.root.Chtimes(treeSpool, modified, modified)); err != nil {
			return err
		}
	}
	return t.root.Rename(treeSpool, at)
}

// clear prepares name for place. All its parents become writable folders. An existing folder is removed unless isFolder,
// anything else if isFolder.
func (t *tree) clear(name string, isFolder bool) error {
	for dir := range parents(name) {
		switch info, err := t.root.Lstat(path.Join(treeFiles, dir)); {
		case errors.Is(err, fs.ErrNotExist):
			if err := t.root.Mkdir(path.Join(treeFiles, dir), 0o755); err != nil {
				return err
			}
		case err != nil:
			return err
		case !info.IsDir():
			if err := t.place(dir, entry{mode: fs.ModeDir | 0o755}, time.Now()); err != nil {
				return err
			}
		default:
			if err := t.unlock(dir, info); err != nil {
				return err
			}
		}
	}
	info, err := t.root.Lstat(path.Join(treeFiles, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir() && isFolder:
		return t.unlock(name, info)
	case info.IsDir():
		maps.DeleteFunc(t.folders, func(n string, _ folder) bool { return within(n, name) })
		return t.removeAll(path.Join(treeFiles, name))
	case isFolder:
		return t.root.Remove(path.Join(treeFiles, name))
	}
	return nil
}

// unlock makes the folder at name writable until finish.
func (t *tree) unlock(name string, info fs.FileInfo) error {
	if info.Mode()&0o300 == 0o300 {
		return nil
	}
	if _, ok := t.folders[name]; !ok {
		t.folders[name] = folder{info.Mode() & permissions, info.ModTime()}
	}
	return t.root.Chmod(path.Join(treeFiles, name), info.Mode()&permissions|0o700)
}

// delete removes what is at name, if it exists; a folder only if it is empty.
func (t *tree) delete(name string) error {
	for dir := range parents(name) {
		info, err := t.root.Lstat(path.Join(treeFiles, dir))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
			return nil
		}
		if err == nil {
			err = t.unlock(dir, info)
		}
		if err != nil {
			return err
		}
	}
	at := path.Join(treeFiles, name)
	if info, err := t.root.Lstat(at); err == nil && info.IsDir() {
		inside, err := fs.ReadDir(t.root.FS(), at)
		if err != nil || len(inside) > 0 {
			return err
		}
	}
	delete(t.folders, name)
	if err := t.root.Remove(at); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// finish sets the modes and times of folders.
func (t *tree) finish() error {
	var errs []error
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(t.folders))) {
		at, f := path.Join(treeFiles, name), t.folders[name]
		err := errors.Join(t.root.Chmod(at, f.mode), t.root.Chtimes(at, f.modified, f.modified))
		if !errors.Is(err, fs.ErrNotExist) { // a step may have removed it
			errs = append(errs, err)
		}
	}
	clear(t.folders)
	return errors.Join(errs...)
}

// parents are the parent folders of name, the outermost first.
func parents(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, r := range name {
			if r == '/' && !yield(name[:i]) {
				return
			}
		}
	}
}

// within reports whether name is dir or below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, dir+"/")
}
