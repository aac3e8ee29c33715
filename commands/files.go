package commands

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// files has the files that arguments name: those of this machine or, in a step of a task, those of its workspace.
type files interface {
	OpenFile(name string, flag int, perm os.FileMode) (*os.File, error)
	Stat(name string) (os.FileInfo, error)
	Rename(oldName, newName string) error
	Remove(name string) error
	// Target returns the file that a link leads to, if it may be written.
	Target(name string) string
}

// maxFile is larger than any output of a build, key or certificate chain, in bytes.
const maxFile = 1 << 20

// readFile returns the content of a file, at most maxFile.
func readFile(in files, path string) ([]byte, error) {
	file, err := in.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if len(raw) > maxFile {
		return nil, invalid("%s is larger than 1 MiB", path)
	}
	return raw, err
}

type hostFiles struct{}

func (hostFiles) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}
func (hostFiles) Stat(name string) (os.FileInfo, error) { return os.Stat(name) }
func (hostFiles) Rename(oldName, newName string) error  { return os.Rename(oldName, newName) }
func (hostFiles) Remove(name string) error              { return os.Remove(name) }
func (hostFiles) Target(name string) string {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		return target
	}
	return name
}

// workspaceFiles are relative to a folder of a workspace. No link leads out of it, and devices and pipes are not opened.
type workspaceFiles struct {
	root *os.Root
	dir  string
}

func (w workspaceFiles) path(name string) string {
	if inside, ok := strings.CutPrefix(name, run.Workspace+"/"); ok { // as containers see it
		return inside
	}
	if filepath.IsAbs(name) {
		return name // which the root refuses
	}
	return filepath.Join(w.dir, name)
}

func (w workspaceFiles) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	return run.OpenFile(w.root, w.path(name), flag, perm)
}
func (w workspaceFiles) Stat(name string) (os.FileInfo, error) { return w.root.Stat(w.path(name)) }
func (w workspaceFiles) Rename(oldName, newName string) error {
	return w.root.Rename(w.path(oldName), w.path(newName))
}
func (w workspaceFiles) Remove(name string) error  { return w.root.Remove(w.path(name)) }
func (w workspaceFiles) Target(name string) string { return name }
