package run

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
)

// carryTo copies to a volume those files of this machine that it lacks, as far as known.
func (w *workspace) carryTo(ctx context.Context, v *volume) error {
	stream, out := io.Pipe()
	s := sending{w: w, v: v, to: tar.NewWriter(out), index: map[string]entry{}, record: maps.Clone(v.record), folders: map[string]item{}}
	written := make(chan error, 1)
	go func() {
		err := readFolder(ctx, w.dir, w.excluded, s.send)
		if err == nil {
			err = s.to.Close()
		}
		out.CloseWithError(err)
		written <- err
	}()
	v.unsure = true
	err := v.archives.Send(ctx, v.name, stream)
	if err == nil { // the reader may have stopped at the end of the archive
		_, err = io.Copy(io.Discard, stream)
	}
	_ = stream.Close()
	// An error of the writer is the cause of the reader's, unless the reader ended first.
	if cause := <-written; cause != nil && !errors.Is(cause, io.ErrClosedPipe) {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("copying the workspace to volume %s: %w", v.name, err)
	}
	w.index, w.checked = s.index, true
	v.record, v.changes, v.unsure, v.surplus = s.record, w.changes, false, false
	for name := range v.record {
		if _, ok := w.index[name]; !ok {
			v.surplus = true
		}
	}
	return nil
}

// sending is the state of a copy to a volume.
type sending struct {
	w *workspace
	v *volume

	to            *tar.Writer
	index, record map[string]entry // their values once all is sent
	folders       map[string]item  // that were not sent
}

// send sends an item that the volume lacks.
func (s *sending) send(ctx context.Context, root *os.Root, i item) error {
	old, recorded := s.v.record[i.name]
	e, certain := s.w.known(i)
	if !certain && recorded && old.mode.IsRegular() && e.mode.IsRegular() {
		var err error
		if e.sum, err = sumOf(ctx, root, i.name); err != nil {
			return err
		}
		certain = true
	}
	if recorded && e == old && (certain || !e.mode.IsRegular()) {
		if s.index[i.name] = e; e.mode.IsDir() {
			s.folders[i.name] = i
		}
		return nil
	}
	// A step may have replaced its parent folders by something else.
	for dir := range parents(i.name) {
		if f, ok := s.folders[dir]; ok {
			if err := s.header(f, s.index[dir], 0); err != nil {
				return err
			}
			delete(s.folders, dir)
		}
	}
	if recorded && old.mode.IsDir() && !e.mode.IsDir() {
		maps.DeleteFunc(s.record, func(name string, _ entry) bool { return within(name, i.name) })
	}
	e, err := s.content(ctx, root, i, e)
	if err == nil {
		s.index[i.name], s.record[i.name] = e, e
	}
	return err
}

// content sends an item with its content, and returns it with the checksum of that.
func (s *sending) content(ctx context.Context, root *os.Root, i item, e entry) (entry, error) {
	if !e.mode.IsRegular() {
		return e, s.header(i, e, 0)
	}
	f, size, err := openFile(root, i.name)
	if err != nil {
		return e, err
	}
	defer f.Close()
	if err := s.header(i, e, size); err != nil {
		return e, err
	}
	hash := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(s.to, hash), cancellable{ctx, f}, size); errors.Is(err, io.EOF) {
		return e, fmt.Errorf("%s became shorter while it was read", i.name)
	} else if err != nil {
		return e, err
	}
	e.sum = [sha256.Size]byte(hash.Sum(nil))
	return e, nil
}

// header writes the header of an item to the tar stream.
func (s *sending) header(i item, e entry, size int64) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: i.name, Linkname: e.link, Size: size, Mode: int64(e.mode.Perm()),
		Uid: e.uid, Gid: e.gid, ModTime: i.modified, Format: tar.FormatPAX}
	for bit, value := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if e.mode&bit != 0 {
			h.Mode |= value
		}
	}
	switch e.mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, i.name+"/"
	case fs.ModeSymlink:
		h.Typeflag = tar.TypeSymlink
	}
	return s.to.WriteHeader(h)
}

// known returns an item of dir with what the index has of it, and whether that includes a valid checksum.
func (w *workspace) known(i item) (e entry, certain bool) {
	old, ok := w.index[i.name]
	if !ok || old.mode.Type() != i.mode.Type() {
		return i.entry, false
	}
	if w.checked {
		return old, true
	}
	e = i.entry
	if e.uid, e.gid = old.uid, old.gid; old.readable() == e.mode {
		e.mode = old.mode
	}
	return e, false
}

// carryFrom copies what steps have changed in a volume to the folder on this machine.
func (w *workspace) carryFrom(ctx context.Context, v *volume) error {
	if v.unsure {
		if err := w.carryTo(ctx, v); err != nil {
			return err
		}
	}
	same, ended := v.changes == w.changes, v.changed.Swap(0)
	seen, err := w.receive(ctx, v)
	if err == nil {
		err = w.forget(ctx, v, seen)
	}
	if w.copy != nil {
		err = errors.Join(err, w.copy.finish())
	}
	if err != nil {
		v.changed.CompareAndSwap(0, ended)
		return fmt.Errorf("copying the workspace from volume %s: %w", v.name, err)
	}
	if v.record = seen; same {
		v.changes = w.changes
	}
	return nil
}

// receive copies changes from a volume, and returns the volume's content.
func (w *workspace) receive(ctx context.Context, v *volume) (map[string]entry, error) {
	if err := w.scratch(); err != nil {
		return nil, err
	}
	stream, err := v.archives.Receive(ctx, v.name)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	seen, read := map[string]entry{}, &counter{from: cancellable{ctx, stream}}
	err = readTar(read, func(i item) error {
		if w.excluded(i.name) {
			return nil
		}
		var err error
		if i.hardlink != "" {
			i.sum = seen[i.hardlink].sum
		} else if i.mode.IsRegular() {
			i.sum, err = w.copy.spool(i.content)
		}
		seen[i.name] = i.entry
		if old, ok := v.record[i.name]; err != nil || ok && old == i.entry {
			return err
		}
		return w.take(ctx, i)
	})
	// A tar stream has its own end marker. After a truncated one, files would seem to have been removed.
	if err == nil && read.ended {
		err = io.ErrUnexpectedEOF
	}
	return seen, err
}

// take puts a spooled item of a volume into dir.
func (w *workspace) take(ctx context.Context, i item) error {
	if err := w.own(ctx); err != nil {
		return err
	}
	if i.hardlink != "" {
		content, err := w.copy.contentOf(i)
		if err != nil {
			return err
		}
		defer content.Close()
		if i.sum, err = w.copy.spool(content); err != nil {
			return err
		}
	}
	w.changes++
	w.index[i.name] = i.entry
	return w.copy.place(i.name, i.entry, i.modified)
}

// forget removes files from dir that were removed from a volume.
func (w *workspace) forget(ctx context.Context, v *volume, seen map[string]entry) error {
	// Backward, since the content of a folder sorts after it.
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(v.record))) {
		if _, ok := seen[name]; ok {
			continue
		}
		if err := w.own(ctx); err != nil {
			return err
		}
		w.changes++
		if err := w.copy.delete(name); err != nil {
			return err
		}
	}
	return nil
}

// excluded reports whether a file is never copied to a volume.
func (w *workspace) excluded(name string) bool {
	return w.keeps != "" && within(name, w.keeps) || name == w.temp && w.dir != w.copy.dir()
}

// readFolder calls each for the files, folders and links in a folder that are not excluded. It skips those that are
// removed meanwhile.
func readFolder(ctx context.Context, dir string, excluded func(name string) bool, each func(ctx context.Context, root *os.Root, i item) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && name == ".":
			return nil
		case err == nil && excluded(name) && d.IsDir():
			return fs.SkipDir
		case err == nil && !excluded(name):
			var i item
			var ok bool
			if i, ok, err = readItem(root, name); err == nil && ok {
				err = each(ctx, root, i)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := root.Lstat(name); errors.Is(gone, fs.ErrNotExist) {
				return nil
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the files in %s: %w", dir, err)
	}
	return nil
}

// readItem returns the item at name, and false for what is neither file, folder nor link.
func readItem(root *os.Root, name string) (i item, ok bool, err error) {
	info, err := root.Lstat(name)
	if err != nil {
		return i, false, err
	}
	link := ""
	if info.Mode().Type() == fs.ModeSymlink {
		if link, err = root.Readlink(name); err != nil {
			return i, false, err
		}
	}
	mode := info.Mode()
	if runtime.GOOS == "windows" && mode.IsRegular() { // which has no executable bit
		mode |= 0o111
	}
	e, ok := newEntry(mode, link)
	return item{entry: e, name: name, modified: info.ModTime()}, ok, nil
}

// openFile opens a file and returns its size.
func openFile(root *os.Root, name string) (*os.File, int64, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// sumOf returns the checksum of a file.
func sumOf(ctx context.Context, root *os.Root, name string) (sum [sha256.Size]byte, err error) {
	f, _, err := openFile(root, name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, cancellable{ctx, f})
	return [sha256.Size]byte(hash.Sum(nil)), err
}
