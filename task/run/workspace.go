package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// workspace is the files that the steps of a run share. Initially they are the context. They are in a folder on this
// machine and in a volume of each daemon that runs containers. Changes that steps made in one location are copied to
// another after they end and before the next step starts there.
//
// The user's folder is never written to: the context is copied first. If concurrent steps in different locations change
// the same file, the change that is copied later wins. The folder .git of a user's own folder remains on this machine.
// Only files, folders and links are copied, and files of which only the time changed are not.
//
// Methods may be called concurrently.
type workspace struct {
	prefix string // of volumes' names
	labels map[string]string
	keeps  string // the folder that is never copied to a volume, "" for none

	// carrying holds an element while files are copied. It guards the following fields.
	carrying chan struct{}
	dir      string // the folder on this machine: the context, or its copy once there is one
	copy     *tree
	temp     string // the path of copy in the context, "" for elsewhere
	// index is the content of dir; unless checked is set, the content at an earlier time.
	index   map[string]entry
	checked bool
	changes int // number of changes of dir
	volumes map[string]*volume
	created int // number of volumes

	written atomic.Bool  // a step that may have written to dir has ended
	ended   atomic.Int64 // number of steps that ended in volumes
}

// volume has the files on a daemon.
type volume struct {
	archives  Archives
	resources Resources
	name      string
	// record is the content of the volume after the last copy, before steps changed it.
	record  map[string]entry
	changes int  // workspace.changes when the volume last had all of dir
	surplus bool // the volume has files that are no longer in dir
	unsure  bool // something may have been copied only in part

	changed atomic.Int64 // workspace.ended when the last step here ended, 0 after its changes were copied
	users   atomic.Int64 // number of steps that have not ended
}

// newWorkspace returns the workspace of a run with a context. The names of its volumes begin with prefix.
func newWorkspace(context Source, prefix string, labels map[string]string) *workspace {
	w := &workspace{prefix: prefix, labels: labels, dir: context.Dir, index: map[string]entry{}, volumes: map[string]*volume{},
		carrying: make(chan struct{}, 1)}
	if context.temporary == nil {
		w.keeps = ".git"
	}
	return w
}

// Host returns the folder on this machine for a step, with the changes of all steps that have ended. Writes is whether
// the step may write to it. Release must be called when the step has ended.
func (w *workspace) Host(ctx context.Context, writes bool) (dir string, release func(), err error) {
	unlock, err := w.lock(ctx)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	if err := w.carryFromOthers(ctx, nil); err != nil {
		return "", nil, err
	}
	if !writes {
		return w.dir, func() {}, nil
	}
	if err := w.own(ctx); err != nil {
		return "", nil, err
	}
	return w.dir, func() { w.written.Store(true) }, nil
}

// Volume returns the name of the volume for a step on the daemon of a docker context, with the changes of all steps that
// have ended. Release must be called when the step has ended, for a detached one when its container has. Files that were
// removed elsewhere remain in the volume while other steps use it.
func (w *workspace) Volume(ctx context.Context, dockerContext string, archives Archives, resources Resources) (name string, release func(), err error) {
	unlock, err := w.lock(ctx)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	v := w.volumes[dockerContext]
	if v == nil {
		v = &volume{archives: archives, resources: resources}
		w.volumes[dockerContext] = v
	}
	if err := w.carryFromOthers(ctx, v); err != nil {
		return "", nil, err
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

// Close removes the copy of the context. Volumes are removed with everything else that the run created on a daemon.
func (w *workspace) Close() error {
	unlock, err := w.lock(context.Background())
	if err != nil {
		return err
	}
	defer unlock()
	if w.copy == nil {
		return nil
	}
	return w.copy.remove()
}

// lock waits until no files are being copied.
func (w *workspace) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case w.carrying <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if w.written.Swap(false) {
		w.checked = false
		w.changes++
	}
	return func() { <-w.carrying }, nil
}

// carryFromOthers copies the changes of all volumes but one to dir, in the order in which the steps ended.
func (w *workspace) carryFromOthers(ctx context.Context, but *volume) error {
	changed := slices.DeleteFunc(slices.Collect(maps.Values(w.volumes)), func(v *volume) bool {
		return v == but || v.changed.Load() == 0
	})
	slices.SortFunc(changed, func(a, b *volume) int { return cmp.Compare(a.changed.Load(), b.changed.Load()) })
	for _, v := range changed {
		if err := w.carryFrom(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// fill copies dir to a volume, which it creates if necessary.
func (w *workspace) fill(ctx context.Context, v *volume) error {
	if v.name == "" {
		if err := w.create(ctx, v); err != nil {
			return err
		}
	}
	if v.changes != w.changes || v.unsure {
		if err := w.carryTo(ctx, v); err != nil {
			return err
		}
	}
	if !v.surplus || v.users.Load() > 0 {
		return nil
	}
	// Files cannot be removed from a volume, so another volume replaces it.
	if v.changed.Load() > 0 {
		if err := w.carryFrom(ctx, v); err != nil {
			return err
		}
	}
	if err := w.create(ctx, v); err != nil {
		return err
	}
	return w.carryTo(ctx, v)
}

// create creates an empty volume on the daemon.
func (w *workspace) create(ctx context.Context, v *volume) error {
	// A volume of a task file has no dot in its name.
	name := w.prefix + "workspace." + strconv.Itoa(w.created+1)
	if err := v.resources.CreateVolume(ctx, name, w.labels); err != nil {
		return fmt.Errorf("creating a volume for the workspace: %w", err)
	}
	w.created++
	v.name, v.record, v.surplus, v.unsure, v.changes = name, map[string]entry{}, false, false, -1
	return nil
}

// scratch creates the tree for the copy, which is empty before own.
func (w *workspace) scratch() (err error) {
	if w.copy != nil {
		return nil
	}
	if w.copy, err = newTree("workspace"); err != nil {
		return err
	}
	if name, err := filepath.Rel(w.dir, w.copy.root.Name()); err == nil && filepath.IsLocal(name) {
		w.temp = filepath.ToSlash(name)
	}
	return nil
}

// own replaces dir by a copy of the context.
func (w *workspace) own(ctx context.Context) error {
	if err := w.scratch(); err != nil || w.dir == w.copy.dir() {
		return err
	}
	err := w.copy.aside(func() error {
		return readFolder(ctx, w.dir, func(name string) bool { return name == w.temp }, w.copyItem)
	})
	if err := errors.Join(err, w.copy.finish()); err != nil {
		return fmt.Errorf("copying the context for a step that may write to it: %w", err)
	}
	w.dir = w.copy.dir()
	return nil
}

func (w *workspace) copyItem(ctx context.Context, root *os.Root, i item) error {
	if i.mode.IsRegular() {
		f, _, err := openFile(root, i.name)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := w.copy.spool(cancellable{ctx, f}); err != nil {
			return err
		}
	}
	return w.copy.place(i.name, i.entry, i.modified)
}
