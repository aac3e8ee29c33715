package workspace

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
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

// isRoot is whether this process can use all files, and set their owners.
var isRoot = os.Geteuid() == 0

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

// usable returns the mode with which this process can read a file, and write to a folder.
func usable(mode fs.FileMode) fs.FileMode {
	switch {
	case isRoot:
		return mode
	case mode.IsDir():
		return mode | 0o700
	}
	return mode | 0o400
}

// filesName is the folder of the files in a temporary folder, which itself is not accessible to others.
const filesName = "files"

// Temporary creates a temporary folder, whose name begins with prefix, and in it a folder for files. Both paths are absolute,
// without links.
func Temporary(prefix string) (temp, files string, err error) {
	if temp, err = os.MkdirTemp("", prefix); err != nil {
		return "", "", manifest.WithHint(fmt.Errorf("creating a temporary folder: %w", err), "set TMPDIR for another location")
	}
	made := temp
	if temp, err = Absolute(temp); err == nil {
		files = filepath.Join(temp, filesName)
		err = makeFolder(files)
	}
	if err != nil {
		return "", "", errors.Join(err, Remove(made))
	}
	return temp, files, nil
}

// makeFolder creates a folder that all users may read.
func makeFolder(dir string) error {
	return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o755)) // the mode of Mkdir is subject to the umask
}

// Absolute returns the absolute path of a folder, with links resolved.
func Absolute(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// Remove removes a folder, including read-only folders in it.
func Remove(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if root, err := os.OpenRoot(dir); err == nil {
		defer root.Close()
		_ = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = root.Chmod(name, 0o700)
			}
			return nil
		})
	}
	return os.RemoveAll(dir)
}

// folder is a folder of files on this machine. Names in it are relative and have slashes; no link leads out of it.
type folder struct{ *os.Root }

func openFolder(dir string) (folder, error) {
	root, err := os.OpenRoot(dir)
	return folder{root}, err
}

// place puts e at name and replaces what exists there; folders keep their content, but get no time.
func (f folder) place(name string, e entry, modified time.Time, content io.Reader) error {
	for dir := range parents(name) {
		if err := f.makeDir(dir); err != nil {
			return err
		}
	}
	var err error
	switch e.mode.Type() {
	case fs.ModeDir:
		err = f.makeDir(name)
	case fs.ModeSymlink:
		if err = f.RemoveAll(name); err == nil {
			err = f.Symlink(e.link, name)
		}
	default:
		err = f.write(name, content)
	}
	if err == nil && isRoot {
		err = f.Lchown(name, e.uid, e.gid)
	}
	if err != nil || e.mode.Type() == fs.ModeSymlink {
		return err
	}
	if err = f.Chmod(name, usable(e.mode)); err == nil && e.mode.IsRegular() {
		err = f.Chtimes(name, modified, modified)
	}
	return err
}

// write makes name a new file.
func (f folder) write(name string, content io.Reader) error {
	if err := f.RemoveAll(name); err != nil {
		return err
	}
	file, err := f.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// makeDir makes name a folder.
func (f folder) makeDir(name string) error {
	info, err := f.Lstat(name)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = f.Remove(name)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = f.Mkdir(name, 0o755)
	}
	return err
}

// remove removes what is at name, if it exists; a folder only if it is empty.
func (f folder) remove(name string) error {
	for dir := range parents(name) {
		if info, err := f.Lstat(dir); err != nil || !info.IsDir() {
			return nil
		}
	}
	err := f.Remove(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) { // the latter if it is not empty
		return nil
	}
	return err
}

// walk calls each for the files, folders and links that are not hidden, with the target of a link. It skips what is removed
// meanwhile.
func (f folder) walk(ctx context.Context, hidden map[string]bool, each func(name string, info fs.FileInfo, link string) error) error {
	err := fs.WalkDir(f.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case hidden[name] && d.IsDir():
			return fs.SkipDir
		case hidden[name] || name == "." && err == nil:
			return nil
		}
		var info fs.FileInfo
		if err == nil {
			info, err = f.Lstat(name)
		}
		link := ""
		if err == nil && info.Mode().Type() == fs.ModeSymlink {
			link, err = f.Readlink(name)
		}
		if err == nil && info.Mode().Type()&^(fs.ModeDir|fs.ModeSymlink) == 0 {
			err = each(name, info, link)
		}
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := f.Lstat(name); errors.Is(gone, fs.ErrNotExist) {
				return nil
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the files in %s: %w", f.Name(), err)
	}
	return nil
}

// modeOf returns the mode that a file has in containers.
func modeOf(info fs.FileInfo) fs.FileMode {
	if runtime.GOOS == "windows" && info.Mode().IsRegular() { // which has no executable bit
		return info.Mode() | 0o111
	}
	return info.Mode()
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
