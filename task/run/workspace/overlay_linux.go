package workspace

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// overlay returns the options of a volume that has the context without what is hidden; changes are in another folder. The
// paths are those of files that this process has open: only a daemon on this machine finds them, and they have no character
// that the options cannot have.
func (w *Workspace) overlay() (map[string]string, error) {
	if w.Shared || w.Temp != "" || w.dir != w.Context {
		return nil, errors.ErrUnsupported
	}
	layers := rand.Text()
	if err := os.Mkdir(filepath.Join(w.temp, layers), 0o700); err != nil {
		return nil, err
	}
	for _, name := range []string{"upper", "work", "hidden"} {
		if err := makeFolder(filepath.Join(w.temp, layers, name)); err != nil {
			return nil, err
		}
	}
	if err := w.makeWhiteouts(filepath.Join(w.temp, layers, "hidden")); err != nil {
		return nil, err
	}
	var at []string
	for _, dir := range []string{w.dir, w.temp} {
		f, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		w.open = append(w.open, f)
		at = append(at, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()))
	}
	return map[string]string{"type": "overlay", "device": "overlay",
		"o": fmt.Sprintf("lowerdir=%[2]s/hidden:%[1]s,upperdir=%[2]s/upper,workdir=%[2]s/work", at[0], at[1]+"/"+layers)}, nil
}

// makeWhiteouts makes dir a layer that hides files. The folders that contain them have the same owners and modes as in the
// context.
func (w *Workspace) makeWhiteouts(dir string) error {
	from, to, done, err := w.openTo(dir)
	if err != nil {
		return err
	}
	defer done()
	for name := range w.hidden {
		if _, err := from.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		for parent := range parents(name) {
			info, err := from.Lstat(parent)
			if err != nil {
				return err
			}
			e, _ := newEntry(info.Mode(), "")
			e.uid, e.gid = ownerOf(info)
			if err := to.place(parent, e, info.ModTime(), nil); err != nil {
				return err
			}
		}
		in, err := to.Open(path.Dir(name))
		if err != nil {
			return err
		}
		err = unix.Mknodat(int(in.Fd()), path.Base(name), unix.S_IFCHR, 0)
		if err := errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return nil
}
