package layout

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// folder is a layout in a folder, whose links lead nowhere else.
type folder struct{ root *os.Root }

func openFolder(path string) (folder, error) {
	root, err := os.OpenRoot(path)
	return folder{root}, err
}

// Close implements io.Closer.
func (f folder) Close() error { return f.root.Close() }

func (f folder) open(name string) (io.ReadCloser, int64, error) {
	info, err := f.root.Stat(name)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", name)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	if now, err := file.Stat(); err != nil || !os.SameFile(info, now) {
		file.Close()
		return nil, 0, fmt.Errorf("%s changed while it was opened: %w", name, fs.ErrInvalid)
	}
	return file, info.Size(), nil
}
