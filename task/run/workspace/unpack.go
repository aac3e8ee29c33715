package workspace

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/compression"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

const (
	// A context may unpack to maxContext bytes, or to maxGrowth times its size if that is more. Each file, and each
	// folder in its path, counts as additional entrySize bytes.
	maxContext = 1 << 30
	maxGrowth  = 100
	entrySize  = 4 << 10
	// maxName and maxDepth are the maximum length of a path in bytes and its maximum number of folders.
	maxName  = 4 << 10
	maxDepth = 256
)

// Unpack unpacks a tar file, which may be compressed by gzip or zstd, into a folder. The content may have 1 GiB, or 100 times
// the size of the tar file if that is more. Owners are ignored.
func Unpack(ctx context.Context, packed io.Reader, dir string) error {
	return unpack(ctx, packed, dir, maxContext)
}

func unpack(ctx context.Context, packed io.Reader, dir string, limit int64) error {
	into, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer into.Close()
	read := &counter{from: compression.Cancellable(ctx, packed)}
	unpacked, err := compression.NewReader(read)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	grown := &growth{read: read, limit: limit}
	err = readTar(unpacked, func(i item) error {
		if err := grown.add(entrySize * int64(1+strings.Count(i.name, "/"))); err != nil {
			return err
		}
		content, err := into.contentOf(i)
		if err != nil {
			return err
		}
		defer content.Close()
		i.uid, i.gid = os.Geteuid(), os.Getegid()
		return into.place(i.name, i.entry, i.modified, grown.reader(content))
	})
	if grown.bytes == 0 && (read.bytes == 0 && err == nil || errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "not a tar file, uncompressed or compressed by gzip or zstd")
	}
	return err
}

// item is an entry of a tar stream or folder.
type item struct {
	entry
	name     string
	modified time.Time
	hardlink string // the item with the same content
	content  io.Reader
}

// readTar calls each for the files, folders and links of a tar stream, and skips anything else.
func readTar(r io.Reader, each func(item) error) error {
	archive, links := tar.NewReader(r), map[string]entry{}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e, ok := newEntry(h.FileInfo().Mode(), h.Linkname)
		if !ok || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		i := item{entry: e, modified: h.ModTime, content: archive}
		i.uid, i.gid = h.Uid, h.Gid
		if i.name, err = inside(h.Name); err == nil && h.Typeflag == tar.TypeLink {
			i.hardlink, err = inside(h.Linkname)
		}
		if link, ok := links[i.hardlink]; ok {
			i.entry, i.hardlink = link, ""
		}
		if delete(links, i.name); i.mode.Type() == fs.ModeSymlink {
			links[i.name] = i.entry
		}
		if err == nil && i.name != "." {
			err = each(i)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", manifest.OneLine(h.Name, 200), err)
		}
	}
}

// inside returns the name in a tree of a name in a tar stream. Absolute names start at the tree, as with tar.
func inside(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	switch {
	case len(name) > maxName:
		return "", manifest.Errorf(errdefs.ErrInvalidArgument, "its path has %d bytes, more than %d", len(name), maxName)
	case strings.Count(clean, "/") > maxDepth:
		return "", manifest.Errorf(errdefs.ErrInvalidArgument, "it is in more than %d folders", maxDepth)
	case !filepath.IsLocal(filepath.FromSlash(clean)):
		return "", manifest.Errorf(errdefs.ErrInvalidArgument, "%s is outside of the folder to unpack to", manifest.OneLine(name, 200))
	}
	return clean, nil
}

// contentOf returns the content of a file.
func (f folder) contentOf(i item) (io.ReadCloser, error) {
	if i.hardlink == "" {
		return io.NopCloser(i.content), nil
	}
	info, err := f.Lstat(i.hardlink)
	if err != nil {
		return nil, fmt.Errorf("reading the target of a hard link: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "hard link to %s, which is not a file", manifest.OneLine(i.hardlink, 200))
	}
	return f.Open(i.hardlink)
}

// growth limits the size of unpacked content.
type growth struct {
	read         *counter
	bytes, limit int64
}

func (g *growth) add(n int64) error {
	if g.bytes += n; g.bytes > max(g.limit, maxGrowth*g.read.bytes) {
		err := manifest.Errorf(errdefs.ErrInvalidArgument, "the content (%d bytes so far) is more than %[3]d times as large as the tar file (%[2]d bytes so far)",
			g.bytes, g.read.bytes, maxGrowth)
		return manifest.WithHint(err, "if you trust it, unpack it and use the folder as context")
	}
	return nil
}

// reader returns r, adding everything that is read from it.
func (g *growth) reader(r io.Reader) io.Reader { return growing{r, g} }

type growing struct {
	from io.Reader
	g    *growth
}

func (r growing) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if tooMuch := r.g.add(int64(n)); tooMuch != nil {
		return n, tooMuch
	}
	return n, err
}

// counter counts the bytes that are read, and reports whether the end was reached.
type counter struct {
	from  io.Reader
	bytes int64
	ended bool
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.bytes += int64(n)
	c.ended = c.ended || n == 0 && errors.Is(err, io.EOF)
	return n, err
}
