// Package workspace is the files that the steps of a run share. Initially they are the context.
//
// A step on this machine has them in a folder, a container in a volume of its daemon. The folder is the context as long as
// steps only read it, a copy of it afterwards; a context that was made for the run is used as it is. The user's folder is
// never written to, and what its .dockerignore names is not in the workspace, nor is .git at its root. How a volume gets the
// files is decided when the first container starts on its daemon, the first that is possible:
//
//   - An overlay of the context, with the changes in another folder, if nothing else needs the changes ([Setup].Shared).
//   - A bind of the copy. All steps on this machine use the same files.
//   - Archives, for a daemon that is not on this machine, or isolates containers from its files. Files that the volume lacks
//     are sent before a step. What the steps changed is read back once a step elsewhere starts. If concurrent steps in
//     different locations change the same file, the change that is read later wins.
//
// Only files, folders and links are copied. Where this process is not root, owners are lost on the way through this machine,
// and containers leave files of root: the daemon then hands those in a bound copy over to this user, see claim.
package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// Daemon has the volumes of a daemon.
type Daemon interface {
	// CreateVolume creates an empty volume. The error is errdefs.ErrConflict if the name is taken.
	CreateVolume(ctx context.Context, name string, labels map[string]string) error
	// LinkVolume creates a volume of files on the daemon's machine, with options of the mount.
	LinkVolume(ctx context.Context, name string, labels, options map[string]string) error
	// Send unpacks a tar stream into a volume; its paths are relative to the volume.
	Send(ctx context.Context, volume string, tar io.Reader) error
	// Receive returns the content of a volume as a tar stream.
	Receive(ctx context.Context, volume string) (io.ReadCloser, error)
	// Mount returns an error if a volume cannot be mounted.
	Mount(ctx context.Context, volume string) error
}

// Setup is what a workspace is made from.
type Setup struct {
	// Context is the absolute path of a folder with the initial files.
	Context string
	// Temp is a folder that contains the context if that was made for the run, and removed by Close. It is "" for a folder of
	// the user.
	Temp string
	// Prefix is that of the names of volumes, TempPrefix that of temporary folders.
	Prefix, TempPrefix string
	Labels             map[string]string
	// Keep are files that .dockerignore does not hide.
	Keep []string
	// Shared is whether steps on this machine, or other daemons, need what containers wrote, or write themselves.
	Shared bool
	// Note is called once if .dockerignore hides files.
	Note func(text string)
}

// Workspace is the files that steps share. Methods may be called concurrently.
type Workspace struct {
	Setup
	// busy holds an element while the following are used.
	busy    chan struct{}
	dir     string          // the files on this machine
	temp    string          // a folder of the run, "" before there is one
	hidden  map[string]bool // files of the context that are not in the workspace, nil before they are known
	ignores bool            // .dockerignore hides some of them
	volumes map[string]*volume
	names   int // number of volumes that were created
	open    []*os.File

	version atomic.Int64 // number of changes in dir
	ended   atomic.Int64 // number of steps that ended in volumes
	foreign atomic.Bool  // containers may have left files of root in dir
}

// volume has the files on a daemon.
type volume struct {
	Daemon
	name    string
	linked  bool // the volume is files of this machine
	mounted bool // that has been tried
	tried   int  // number of ways to link it that were tried

	// The following are for volumes that are not linked.
	record  map[string]entry // the content after the last copy, before steps changed it
	version int64            // Workspace.version when it last had all of dir
	changed atomic.Int64     // Workspace.ended when the last step here ended, 0 after its changes were copied
	users   atomic.Int64     // number of steps that have not ended
}

// New returns a workspace.
func New(s Setup) *Workspace {
	w := &Workspace{Setup: s, dir: s.Context, temp: s.Temp, volumes: map[string]*volume{}, busy: make(chan struct{}, 1)}
	if s.Temp != "" {
		w.hidden = map[string]bool{}
	}
	return w
}

// Use is what a step on this machine does with the workspace.
type Use int

// Kinds of use. A build of the whole workspace obeys .dockerignore itself.
const (
	Builds Use = iota
	Reads
	Writes
)

// Host returns the folder on this machine for a step, with the changes of all steps that have ended. Release must be called
// when the step has ended.
func (w *Workspace) Host(ctx context.Context, use Use) (dir string, release func(), err error) {
	unlock, err := w.lock(ctx)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	if err := w.collect(ctx, nil); err != nil {
		return "", nil, err
	}
	if use != Builds {
		if err := w.find(ctx); err != nil {
			return "", nil, err
		}
	}
	if use == Writes || use == Reads && w.ignores {
		if err := w.copyContext(ctx); err != nil {
			return "", nil, err
		}
	}
	if err := w.claim(ctx); err != nil {
		return "", nil, err
	}
	return w.dir, func() {
		if use == Writes {
			w.version.Add(1)
		}
	}, nil
}

// Volume returns the name of the volume for a step on a daemon, which key identifies, with the changes of all steps that have
// ended. Release must be called when the step has ended, for a detached one when its container has. If the volume is not on
// this machine, files that were removed elsewhere remain in it while other steps use it.
func (w *Workspace) Volume(ctx context.Context, key string, d Daemon) (name string, release func(), err error) {
	unlock, err := w.lock(ctx)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	v, err := w.volume(ctx, key, d)
	if err != nil {
		return "", nil, err
	}
	if err := w.collect(ctx, v); err != nil {
		return "", nil, err
	}
	if v.linked {
		return v.name, func() {
			w.foreign.Store(true)
			w.version.Add(1)
		}, nil
	}
	if err := w.fill(ctx, v); err != nil {
		return "", nil, err
	}
	v.users.Add(1)
	return v.name, sync.OnceFunc(func() {
		v.changed.Store(w.ended.Add(1))
		v.users.Add(-1)
	}), nil
}

// Link creates the volume of a daemon before a step needs it, unless the volume gets archives.
func (w *Workspace) Link(ctx context.Context, key string, d Daemon) error {
	unlock, err := w.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = w.volume(ctx, key, d)
	return err
}

// volume returns the volume of a daemon, which is linked at the first call if that is possible.
func (w *Workspace) volume(ctx context.Context, key string, d Daemon) (*volume, error) {
	if v := w.volumes[key]; v != nil {
		return v, nil
	}
	v := &volume{Daemon: d}
	if err := w.link(ctx, v); err != nil {
		return nil, err
	}
	w.volumes[key] = v
	return v, nil
}

// Close removes the files, once no volume has them. Clean removes objects of the run from daemons.
func (w *Workspace) Close(ctx context.Context, clean func() error) error {
	unlock, err := w.lock(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer unlock()
	for _, f := range w.open {
		_ = f.Close()
	}
	if w.temp == "" {
		return nil
	}
	err = Remove(w.temp)
	if errors.Is(err, fs.ErrPermission) && w.empty(ctx) == nil {
		return errors.Join(clean(), Remove(w.temp))
	}
	return err
}

// lock waits until no files are being copied.
func (w *Workspace) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case w.busy <- struct{}{}:
		return func() { <-w.busy }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// create creates a volume with a new name.
func (w *Workspace) create(with func(name string) error) (string, error) {
	name := w.Prefix + "workspace." + strconv.Itoa(w.names+1) // a volume of a task file has no dot in its name
	if err := with(name); err != nil {
		return "", err
	}
	w.names++
	return name, nil
}

// makeTemp creates the folder of the run, which is hidden if it is in the context.
func (w *Workspace) makeTemp(ctx context.Context) (err error) {
	if err := w.find(ctx); err != nil || w.temp != "" {
		return err
	}
	if w.temp, _, err = Temporary(w.TempPrefix); err != nil {
		return err
	}
	if inside, err := filepath.Rel(w.dir, w.temp); err == nil && filepath.IsLocal(inside) && !w.isHidden(filepath.ToSlash(inside)) {
		w.hidden[filepath.ToSlash(inside)] = true
	}
	return nil
}

// find finds what is not in the workspace: what .dockerignore names, and .git of the user's own folder.
func (w *Workspace) find(ctx context.Context) error {
	if w.hidden != nil {
		return nil
	}
	from, err := openFolder(w.dir)
	if err != nil {
		return err
	}
	defer from.Close()
	names, err := from.ignored(ctx, w.Keep)
	if err != nil {
		return fmt.Errorf("finding what %s hides in %s: %w", ignoreName, w.dir, err)
	}
	w.hidden, w.ignores = map[string]bool{".git": true}, len(names) > 0
	for _, name := range names {
		w.hidden[name] = true
	}
	if w.ignores && w.Note != nil {
		w.Note(fmt.Sprintf("The steps do not have the %d files and folders that %s names, as with ACR Tasks", len(names), ignoreName))
	}
	return nil
}

// isHidden reports whether a file, or a folder that contains it, is not in the workspace.
func (w *Workspace) isHidden(name string) bool {
	for dir := range parents(name) {
		if w.hidden[dir] {
			return true
		}
	}
	return w.hidden[name]
}

// copyContext replaces dir by a copy of the user's folder.
func (w *Workspace) copyContext(ctx context.Context) error {
	if w.Temp != "" || w.dir != w.Context {
		return nil
	}
	if err := w.makeTemp(ctx); err != nil {
		return err
	}
	files := filepath.Join(w.temp, filesName)
	if err := w.copyTo(ctx, files); err != nil {
		return fmt.Errorf("copying the context: %w", err)
	}
	w.dir = files
	return nil
}

// openTo opens the folder of the files and another one, until done is called.
func (w *Workspace) openTo(dir string) (from, to folder, done func(), err error) {
	if from, err = openFolder(w.dir); err != nil {
		return from, to, nil, err
	}
	if to, err = openFolder(dir); err != nil {
		return from, to, nil, errors.Join(err, from.Close())
	}
	return from, to, func() { _ = errors.Join(from.Close(), to.Close()) }, nil
}

func (w *Workspace) copyTo(ctx context.Context, dir string) error {
	from, to, done, err := w.openTo(dir)
	if err != nil {
		return err
	}
	defer done()
	return from.walk(ctx, w.hidden, func(name string, info fs.FileInfo, link string) error {
		e, _ := newEntry(info.Mode(), link)
		e.uid, e.gid = ownerOf(info)
		if !e.mode.IsRegular() {
			return to.place(name, e, info.ModTime(), nil)
		}
		file, err := from.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		return to.place(name, e, info.ModTime(), file)
	})
}
