package workspace

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/containerd/errdefs"
)

// link makes a volume of the files on this machine in the next way that may be possible. Their paths contain random text: a
// daemon that can mount the volume has these files.
func (w *Workspace) link(ctx context.Context, v *volume) error {
	v.name, v.linked = "", false
	if err := w.makeTemp(ctx); err != nil {
		return err
	}
	if v.tried++; v.tried == 1 {
		if options, err := w.overlay(); err == nil {
			if err := w.linkTo(ctx, v, options); err != nil || v.linked {
				return err
			}
		}
		v.tried++
	}
	if v.tried > 2 {
		return nil
	}
	err := w.linkTo(ctx, v, bind(w.filesDir()))
	if err == nil && v.linked {
		err = w.copyContext(ctx)
	}
	return err
}

// linkTo makes a volume with options of the mount, unless the daemon refuses them.
func (w *Workspace) linkTo(ctx context.Context, v *volume, options map[string]string) error {
	name, err := w.create(func(name string) error { return v.LinkVolume(ctx, name, w.Labels, options) })
	v.name, v.linked = name, err == nil
	if ctx.Err() != nil || errdefs.IsConflict(err) || errdefs.IsUnavailable(err) {
		return cmp.Or(ctx.Err(), err)
	}
	return nil
}

// Replace replaces a volume that its daemon cannot mount, and reports whether it is another one now.
func (w *Workspace) Replace(ctx context.Context, key, name string) bool {
	unlock, err := w.lock(ctx)
	if err != nil {
		return false
	}
	defer unlock()
	v := w.volumes[key]
	for v.linked && !v.mounted {
		err := v.Mount(ctx, v.name)
		v.mounted = err == nil
		if ctx.Err() != nil || errdefs.IsUnavailable(err) || err != nil && w.link(ctx, v) != nil {
			return false
		}
	}
	return v.name != name
}

// filesDir is the folder of the copy, or the context that was made for the run.
func (w *Workspace) filesDir() string {
	if w.Temp != "" {
		return w.Context
	}
	return filepath.Join(w.temp, filesName)
}

// bind returns the options of a volume that is a folder.
func bind(dir string) map[string]string {
	return map[string]string{"type": "none", "o": "bind", "device": dir}
}

// empty removes what is in the folder of the run, through a container that is never started.
func (w *Workspace) empty(ctx context.Context) error {
	inside, err := os.ReadDir(w.temp)
	if err != nil {
		return err
	}
	var files []tar.Header
	for _, d := range inside {
		files = append(files, tar.Header{Typeflag: tar.TypeReg, Name: d.Name(), Mode: 0o600}) // replaces a folder
	}
	return w.asRoot(ctx, files)
}

// asRoot unpacks items, which get this user as owner, into the folder of the run.
func (w *Workspace) asRoot(ctx context.Context, items []tar.Header) error {
	for _, v := range w.volumes {
		if !v.linked {
			continue
		}
		name, err := w.create(func(name string) error { return v.LinkVolume(ctx, name, w.Labels, bind(w.temp)) })
		if err != nil {
			return err
		}
		var packed bytes.Buffer
		to := tar.NewWriter(&packed)
		for _, h := range items {
			h.Uid, h.Gid, h.Format = os.Getuid(), os.Getgid(), tar.FormatPAX
			if err := to.WriteHeader(&h); err != nil {
				return err
			}
		}
		return errors.Join(to.Close(), v.Send(ctx, name, &packed))
	}
	return fs.ErrPermission
}

// claim makes this user the owner of files that containers left as root in the files of this machine.
func (w *Workspace) claim(ctx context.Context) error {
	if !w.foreign.Swap(false) || isRoot || w.dir == w.Context && w.Temp == "" {
		return nil
	}
	links := "links"
	for {
		items, err := w.foreigners(ctx, links)
		if err == nil && len(items) > 0 {
			err = w.asRoot(ctx, items)
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(w.temp, links)))
		if err != nil {
			return fmt.Errorf("taking over files that containers left: %w", err)
		}
		if len(items) == 0 {
			return nil
		}
	}
}

// foreigners returns folders and files of root. A file is an additional hard link in links: a file that is unpacked in its own
// place would replace it. What is in a folder that this user may not read is not returned.
func (w *Workspace) foreigners(ctx context.Context, links string) ([]tar.Header, error) {
	root, err := openFolder(w.temp)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := root.Mkdir(links, 0o700); err != nil {
		return nil, err
	}
	var items []tar.Header
	at, err := filepath.Rel(w.temp, w.dir)
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root.FS(), filepath.ToSlash(at), func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return skip(err)
		}
		info, err := d.Info()
		if err != nil {
			return skip(err)
		}
		if uid, _ := ownerOf(info); uid != 0 || !d.IsDir() && !d.Type().IsRegular() {
			return nil
		}
		h, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		if h.Name = name + "/"; d.IsDir() {
			h.Mode |= 0o700
		} else {
			h.Typeflag, h.Linkname, h.Size, h.Mode = tar.TypeLink, name, 0, h.Mode|0o600
			h.Name = links + "/" + strconv.Itoa(len(items))
		}
		items = append(items, *h)
		return nil
	})
	return items, err
}

// skip returns nil for errors of files that cannot be read yet, or are gone.
func skip(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ownerOf returns the owner of a file, 0 where there are none.
func ownerOf(info fs.FileInfo) (uid, gid int) {
	if h, err := tar.FileInfoHeader(info, ""); err == nil {
		return h.Uid, h.Gid
	}
	return 0, 0
}
