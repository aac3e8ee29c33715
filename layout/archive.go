package layout

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/docker-multiarch/docker-multiarch/internal/compression"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Bounds of the headers of an archive, which are kept in memory.
const (
	maxMembers = 1 << 18
	maxName    = 512 // bytes
)

// A compressed archive may unpack to maxUnpacked bytes, or to maxGrowth times its size if that is more.
const (
	maxUnpacked = 1 << 30
	maxGrowth   = 100
)

// archive is a layout in a tar, which is read where its members are.
type archive struct {
	file    *os.File
	members map[string]member
	// links are the symbolic links by name.
	links map[string]string
	// spooled says that file is a temporary one.
	spooled bool
}

type member struct{ offset, size int64 }

// openArchive reads the names of a tar's members. One that is compressed with gzip is unpacked into a temporary file.
func openArchive(ctx context.Context, name string) (*archive, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, members: map[string]member{}, links: map[string]string{}}
	var magic [4]byte
	_, _ = file.ReadAt(magic[:], 0) // the reading that follows finds the error
	if compression.Of(magic[:]) == compression.Gzip {
		err = a.spool(ctx, os.TempDir(), maxUnpacked)
	}
	if err == nil {
		err = a.readMembers()
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// spool replaces the file by its unpacked content: at most limit bytes, or maxGrowth times its size if that is more.
func (a *archive) spool(ctx context.Context, dir string, limit int64) error {
	packed := a.file
	defer packed.Close()
	info, err := packed.Stat()
	if err != nil {
		return err
	}
	limit = max(limit, maxGrowth*info.Size())
	unpacked, err := os.CreateTemp(dir, temporaryPrefix+"*.tar")
	if err != nil {
		return err
	}
	a.file, a.spooled = unpacked, true
	z, err := gzip.NewReader(packed)
	var size int64
	if err == nil {
		size, err = io.Copy(unpacked, io.LimitReader(compression.Cancellable(ctx, z), limit+1))
	}
	if err != nil {
		return fmt.Errorf("unpacking it into %s: %w", dir, err)
	}
	if size > limit {
		err := fmt.Errorf("the content (more than %d bytes) is more than %d times as large as the file (%d bytes)", limit, maxGrowth, info.Size())
		return manifest.WithHint(err, "if you trust it, use it uncompressed: gunzip %s", packed.Name())
	}
	return nil
}

// readMembers reads the headers. A name that leaves the archive, occurs twice, or is no file is an error.
func (a *archive) readMembers() error {
	file := io.NewSectionReader(a.file, 0, math.MaxInt64)
	r := tar.NewReader(file)
	for count := 0; ; count++ {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("it is not a tar archive, or damaged: %w", err)
		case count == maxMembers:
			return fmt.Errorf("it has more than %d members", maxMembers)
		}
		name := path.Clean(strings.TrimPrefix(h.Name, "./"))
		switch {
		case len(name) > maxName:
			return fmt.Errorf("the name of the member %.100q has more than %d bytes", name, maxName)
		case !fs.ValidPath(name):
			return fmt.Errorf("the name of the member %.100q leads out of the archive", h.Name)
		}
		_, isFile := a.members[name]
		_, isLink := a.links[name]
		switch {
		case h.Typeflag == tar.TypeDir:
		case isFile || isLink:
			return fmt.Errorf("it has two members with the name %.100q", name)
		case h.Typeflag == tar.TypeSymlink:
			a.links[name] = path.Join(path.Dir(name), h.Linkname)
		case h.Typeflag == tar.TypeReg && !isSparse(h):
			at, _ := file.Seek(0, io.SeekCurrent) // never fails
			a.members[name] = member{at, h.Size}
		default:
			return fmt.Errorf("the member %.100q is neither a regular file nor a folder", name)
		}
	}
}

// isSparse reports whether a file is in the archive without its zeros, so that its content cannot be read as it is.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// Close implements io.Closer.
func (a *archive) Close() error {
	err := a.file.Close()
	if a.spooled {
		err = errors.Join(err, os.Remove(a.file.Name()))
	}
	return err
}

func (a *archive) open(name string) (io.ReadCloser, int64, error) {
	m, ok := a.members[name]
	if _, isLink := a.links[name]; isLink {
		return nil, 0, fmt.Errorf("%s is a link", manifest.OneLine(name, 100))
	}
	if !ok {
		return nil, 0, &fs.PathError{Op: "open", Path: manifest.OneLine(name, 100), Err: fs.ErrNotExist}
	}
	return io.NopCloser(io.NewSectionReader(a.file, m.offset, m.size)), m.size, nil
}
