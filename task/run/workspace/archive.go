package workspace

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/docker-multiarch/docker-multiarch/internal/compression"
)

// fill copies the files of this machine to a volume. Those that the volume had after the last copy are left out: a step that
// is running there may have changed them.
func (w *Workspace) fill(ctx context.Context, v *volume) error {
	version := w.version.Load()
	if v.name != "" && v.version == version {
		return nil
	}
	from, err := openFolder(w.dir)
	if err != nil {
		return err
	}
	defer from.Close()
	// Files cannot be removed from a volume, so another one replaces it.
	removed := slices.ContainsFunc(slices.Collect(maps.Keys(v.record)), func(name string) bool {
		_, err := from.Lstat(name)
		return err != nil
	})
	if v.name == "" || removed && v.users.Load() == 0 {
		if err := w.collectFrom(ctx, v); err != nil {
			return err
		}
		name, err := w.create(func(name string) error { return v.CreateVolume(ctx, name, w.Labels) })
		if err != nil {
			return fmt.Errorf("creating a volume for the workspace: %w", err)
		}
		v.name, v.record = name, map[string]entry{}
	}
	if err = w.send(ctx, v, from); err != nil {
		name := v.name
		v.name, v.record = "", nil // it may have a part of the files
		return fmt.Errorf("copying the workspace to volume %s: %w", name, err)
	}
	if v.version = version; removed && v.users.Load() > 0 {
		v.version = -1 // still to be replaced
	}
	return nil
}

// send sends the files in a folder that a volume lacks.
func (w *Workspace) send(ctx context.Context, v *volume, from folder) error {
	stream, out := io.Pipe()
	written := make(chan error, 1)
	go func() {
		to := tar.NewWriter(out)
		err := from.walk(ctx, w.hidden, func(name string, info fs.FileInfo, link string) error {
			e, err := from.pack(ctx, to, name, info, link, v.record)
			if v.record[name].mode.IsDir() && !e.mode.IsDir() {
				maps.DeleteFunc(v.record, func(n string, _ entry) bool { return within(n, name) })
			}
			v.record[name] = e
			return err
		})
		if err == nil {
			err = to.Close()
		}
		out.CloseWithError(err)
		written <- err
	}()
	err := v.Send(ctx, v.name, stream)
	if err == nil { // the reader may have stopped at the end of the archive
		_, err = io.Copy(io.Discard, stream)
	}
	_ = stream.Close()
	// An error of the writer is the cause of the reader's, unless the reader ended first.
	if cause := <-written; cause != nil && !errors.Is(cause, io.ErrClosedPipe) {
		err = cause
	}
	return err
}

// pack writes an item of a folder to a tar stream, unless it is a file or link in the record.
func (f folder) pack(ctx context.Context, to *tar.Writer, name string, info fs.FileInfo, link string, record map[string]entry) (entry, error) {
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return entry{}, err
	}
	h.Name, h.Format, h.Uname, h.Gname = name, tar.FormatPAX, "", ""
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	e, _ := newEntry(modeOf(info), link)
	e.uid, e.gid = h.Uid, h.Gid
	old, recorded := record[name]
	if !isRoot {
		if e.uid, e.gid = old.uid, old.gid; usable(old.mode) == e.mode {
			e.mode = old.mode
		}
	}
	h.Uid, h.Gid, h.Mode = e.uid, e.gid, h.Mode&^int64(fs.ModePerm)|int64(e.mode.Perm())
	if !e.mode.IsRegular() {
		if h.Name += "/"; !e.mode.IsDir() {
			h.Name = name
			if recorded && e == old {
				return e, nil
			}
		}
		return e, to.WriteHeader(h)
	}
	file, err := f.Open(name)
	if err != nil {
		return e, err
	}
	defer file.Close()
	content, hash := compression.Cancellable(ctx, file), sha256.New()
	if recorded && old.mode == e.mode {
		if _, err = io.Copy(hash, content); err == nil {
			e.sum = [sha256.Size]byte(hash.Sum(nil))
			_, err = file.Seek(0, io.SeekStart)
		}
		if err != nil || e == old {
			return e, err
		}
		hash.Reset()
	}
	if err := to.WriteHeader(h); err != nil {
		return e, err
	}
	if _, err := io.CopyN(io.MultiWriter(to, hash), content, h.Size); errors.Is(err, io.EOF) {
		return e, fmt.Errorf("%s became shorter while it was read", name)
	} else if err != nil {
		return e, err
	}
	e.sum = [sha256.Size]byte(hash.Sum(nil))
	return e, nil
}

// collect copies the changes of all volumes but one to this machine, in the order in which the steps ended.
func (w *Workspace) collect(ctx context.Context, but *volume) error {
	changed := slices.DeleteFunc(slices.Collect(maps.Values(w.volumes)), func(v *volume) bool { return v == but })
	slices.SortFunc(changed, func(a, b *volume) int { return cmp.Compare(a.changed.Load(), b.changed.Load()) })
	for _, v := range changed {
		if err := w.collectFrom(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// collectFrom copies the changes of a volume to this machine.
func (w *Workspace) collectFrom(ctx context.Context, v *volume) error {
	ended := v.changed.Swap(0)
	if ended == 0 || v.name == "" {
		return nil
	}
	if err := errors.Join(w.copyContext(ctx), w.claim(ctx)); err != nil {
		return err
	}
	into, err := openFolder(w.dir)
	if err != nil {
		return err
	}
	defer into.Close()
	seen, changes, err := w.receive(ctx, v, into)
	if err == nil {
		// Backward, since the content of a folder sorts after it.
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(v.record))) {
			if _, ok := seen[name]; !ok {
				changes++
				err = errors.Join(err, into.remove(name))
			}
		}
	}
	if changes > 0 && w.version.Add(1) == v.version+1 && err == nil {
		v.version++
	}
	if err != nil {
		v.changed.CompareAndSwap(0, ended)
		return fmt.Errorf("copying the workspace from volume %s: %w", v.name, err)
	}
	v.record = seen
	return nil
}

// receive puts what has changed in a volume into a folder. It returns the volume's content and the number of changes.
func (w *Workspace) receive(ctx context.Context, v *volume, into folder) (seen map[string]entry, changes int, err error) {
	stream, err := v.Receive(ctx, v.name)
	if err != nil {
		return nil, 0, err
	}
	defer stream.Close()
	spool, err := os.CreateTemp(w.temp, "spool")
	if err != nil {
		return nil, 0, err
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	seen = map[string]entry{}
	read := &counter{from: compression.Cancellable(ctx, stream)}
	err = readTar(read, func(i item) error {
		if w.isHidden(i.name) {
			return nil
		}
		content, err := into.contentOf(i)
		if err != nil {
			return err
		}
		defer content.Close()
		if i.mode.IsRegular() {
			if i.sum, err = spoolTo(spool, content); err != nil {
				return err
			}
		}
		seen[i.name] = i.entry
		if old, ok := v.record[i.name]; ok && old == i.entry {
			return nil
		}
		changes++
		return into.place(i.name, i.entry, i.modified, spool)
	})
	// A tar stream has its own end marker. After a truncated one, files would seem to have been removed.
	if err == nil && read.ended {
		err = io.ErrUnexpectedEOF
	}
	return seen, changes, err
}

// spoolTo replaces the content of a file, which is then read from its start, and returns the checksum.
func spoolTo(spool *os.File, content io.Reader) (sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	if _, err = spool.Seek(0, io.SeekStart); err == nil {
		err = spool.Truncate(0)
	}
	if err == nil {
		_, err = io.Copy(io.MultiWriter(spool, hash), content)
	}
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	return [sha256.Size]byte(hash.Sum(nil)), err
}
