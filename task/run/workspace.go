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

// workspace is the files that the steps of a run share. They begin as the context, and lie where steps need
// them: in a folder of this machine, and in a volume of each daemon that runs containers. What steps have
// changed in one place by the time they end is carried to another before the next step there starts.
//
// The user's folder is never written to: a copy of the context is made when something has to be. When steps
// that run side by side in different places change the same file, the change that is carried later stays.
// The folder .git of a context that is a user's own folder stays on this machine. What is neither file, folder
// nor link is not carried, and a file of which only the time changed is not either.
//
// Methods may be called side by side.
type workspace struct {
	prefix string // of volumes' names
	labels map[string]string
	keeps  string // the folder that is never in a volume, "" for none

	// carrying is held, by its one element, while files are carried. It guards what follows.
	carrying chan struct{}
	dir      string // where the files are on this machine: the context, and the copy once there is one
	copy     *tree
	temp     string // where copy is in the context, "" for elsewhere
	// index is what is in dir. Without checked, that is only what was there.
	index   map[string]entry
	checked bool
	changes int // of dir, counted
	volumes map[string]*volume
	made    int // volumes, counted

	written atomic.Bool  // a step that may have written to dir has ended
	ended   atomic.Int64 // steps in volumes, counted
}

// volume is the place of the files on a daemon.
type volume struct {
	archives  Archives
	resources Resources
	name      string
	// record is what is in the volume when no step has changed that since it was carried.
	record  map[string]entry
	changes int  // workspace.changes when all of dir was here
	surplus bool // there are files that are no longer in dir
	unsure  bool // something was sent in part

	changed atomic.Int64 // workspace.ended when a step here ended last, 0 when all was carried since
	users   atomic.Int64 // steps that have not ended
}

// newWorkspace returns the workspace of a run on a context. Its volumes have names that begin with prefix,
// and labels.
func newWorkspace(context Source, prefix string, labels map[string]string) *workspace {
	w := &workspace{prefix: prefix, labels: labels, dir: context.Dir, index: map[string]entry{}, volumes: map[string]*volume{},
		carrying: make(chan struct{}, 1)}
	if context.made == nil {
		w.keeps = ".git"
	}
	return w
}

// Host returns the folder of this machine for a step, with all that steps that have ended have changed. A step
// that may write says so, and calls release when it has ended, however that was.
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

// Volume returns the name of the volume for a step on a daemon, with all that steps that have ended have
// changed. The daemon is told from others by place. The step calls release when it has ended, however that was,
// a detached one when its container has. Files that were removed elsewhere stay in the volume as long as other
// steps use it.
func (w *workspace) Volume(ctx context.Context, place string, archives Archives, resources Resources) (name string, release func(), err error) {
	unlock, err := w.lock(ctx)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	v := w.volumes[place]
	if v == nil {
		v = &volume{archives: archives, resources: resources}
		w.volumes[place] = v
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

// Close removes the copy of the context. Volumes are removed with what else a run made on a daemon.
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

// lock waits until nothing is carried.
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

// carryFromOthers brings to dir what steps have changed in all volumes but one, in the order in which they ended.
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

// fill brings to a volume what is in dir, and makes it first if it has to.
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
	// No file can be removed from a volume, so that another volume takes its place.
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

// create gives a place an empty volume.
func (w *workspace) create(ctx context.Context, v *volume) error {
	// A volume of a task file has no dot in its name.
	name := w.prefix + "workspace." + strconv.Itoa(w.made+1)
	if err := v.resources.CreateVolume(ctx, name, w.labels); err != nil {
		return fmt.Errorf("making a volume for the workspace: %w", err)
	}
	w.made++
	v.name, v.record, v.surplus, v.unsure, v.changes = name, map[string]entry{}, false, false, -1
	return nil
}

// scratch makes a tree that is empty before own.
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

// own makes dir a copy of the context.
func (w *workspace) own(ctx context.Context) error {
	if err := w.scratch(); err != nil || w.dir == w.copy.dir() {
		return err
	}
	err := w.copy.aside(func() error {
		return readFolder(ctx, w.dir, func(name string) bool { return name == w.temp }, w.copyItem)
	})
	if err := errors.Join(err, w.copy.finish()); err != nil {
		return fmt.Errorf("copying the context, which a step writes to: %w", err)
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
