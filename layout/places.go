package layout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func bytesReader(raw []byte) *bytes.Reader { return bytes.NewReader(raw) }

// Places are the layouts and archives that a command reads and writes, see [manifest.IsPlace].
type Places struct {
	// Note receives a line for what takes time or is unusual; nil for none.
	Note func(format string, args ...any)

	mu   sync.Mutex
	open map[string]*place
}

// Target announces that ref is going to be written: a layout in a folder, or a new tar if its path ends in .tar. With replace
// a tar that exists is replaced as a whole. Name returns the full name that an image is known under, by its tag, "" for none.
func (p *Places) Target(ref reference.Named, replace bool, name func(tag string) string) error {
	typed, path := ref.Name(), manifest.PlacePath(ref)
	if !strings.HasPrefix(typed, manifest.LayoutScheme) {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "%s is read only: write an OCI image layout, oci-layout://PATH", typed)
	}
	for _, suffix := range []string{".tar.gz", ".tgz"} {
		if strings.HasSuffix(path, suffix) {
			return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: a compressed archive cannot be written: its path has to end in .tar", typed)
		}
	}
	w := &writer{place: typed, path: path, name: name}
	if info, err := os.Stat(path); strings.HasSuffix(path, ".tar") && (err != nil || !info.IsDir()) {
		switch {
		case err == nil && !replace:
			err := manifest.Errorf(errdefs.ErrAlreadyExists, "%s exists", typed)
			return manifest.WithHint(err, "to replace the archive as a whole: --force")
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		w.isTar = true
	} else if err == nil && !info.IsDir() {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "%s is neither a folder nor an archive whose name ends in .tar", typed)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[string]*place{}
	}
	p.open[typed] = &place{places: p, typed: typed, path: path, writer: w}
	return nil
}

// Transport returns what answers the requests for the layout or archive that ref names, nil for a name in a registry.
func (p *Places) Transport(ref reference.Named) http.RoundTripper {
	if !manifest.IsPlace(ref) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[string]*place{}
	}
	typed := ref.Name()
	if p.open[typed] == nil {
		p.open[typed] = &place{places: p, typed: typed, path: manifest.PlacePath(ref)}
	}
	return p.open[typed]
}

// Commit writes the archives that were written to.
func (p *Places) Commit(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, place := range p.open {
		if place.writer == nil {
			continue
		}
		if err := place.writer.commit(ctx); err != nil {
			return fmt.Errorf("writing %s: %w", place.typed, err)
		}
	}
	return nil
}

// Close removes temporary files. What was not committed is dropped.
func (p *Places) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, place := range p.open {
		errs = append(errs, place.close())
	}
	p.open = nil
	return errors.Join(errs...)
}

// place is a layout or archive.
type place struct {
	places *Places
	typed  string
	path   string
	// writer is set for a target.
	writer *writer

	once sync.Once
	read *image
	err  error
}

// image returns what is read from, which is opened at the first call.
func (p *place) image() (*image, error) {
	if p.writer != nil {
		return p.writer.image()
	}
	p.once.Do(func() { p.read, p.err = p.openImage() })
	return p.read, p.err
}

func (p *place) openImage() (*image, error) {
	info, err := os.Stat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, manifest.Errorf(errdefs.ErrNotFound, "%s does not exist", p.typed)
	}
	if err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s: %w", p.typed, err)
	}
	isArchive := strings.HasPrefix(p.typed, manifest.ArchiveScheme)
	switch {
	case info.IsDir() && isArchive:
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s is a folder: expected what docker save wrote", p.typed)
	case info.IsDir():
		files, err := openFolder(p.path)
		if err != nil {
			return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s: %w", p.typed, err)
		}
		return closeUnless(files)(read(p.typed, files))
	case !info.Mode().IsRegular():
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s is neither a folder nor a file", p.typed)
	}
	files, err := openArchive(p.path, os.TempDir())
	if err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s: %w", p.typed, err)
	}
	if files.spooled && p.places.Note != nil {
		p.places.Note("%s is compressed: it was unpacked into a temporary file", p.typed)
	}
	_, isLayout := files.members["oci-layout"]
	_, isSaved := files.members[dockerManifest]
	switch {
	case isLayout:
		return closeUnless(files)(read(p.typed, files))
	case isSaved && !isArchive:
		files.Close()
		err := manifest.Errorf(errdefs.ErrInvalidArgument, "%s is an archive of docker save, not an image layout", p.typed)
		return nil, manifest.WithHint(err, "name it so: %s//%s", manifest.ArchiveScheme, p.path)
	case isArchive:
		l, err := closeUnless(files)(readSaved(p.typed, files))
		if err == nil && *l.files.(saved).plain && p.places.Note != nil {
			p.places.Note("%s: the layers are not compressed", p.typed)
		}
		return l, err
	}
	files.Close()
	return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s is not an image layout: it has no file oci-layout", p.typed)
}

// closeUnless returns a function that passes its arguments on, and closes f if they are an error.
func closeUnless(f files) func(*image, error) (*image, error) {
	return func(l *image, err error) (*image, error) {
		if err != nil {
			f.Close()
			return nil, err
		}
		return l, nil
	}
}

func (p *place) close() error {
	var errs []error
	if p.read != nil {
		errs = append(errs, p.read.files.Close())
	}
	if p.writer != nil {
		errs = append(errs, p.writer.Close())
	}
	return errors.Join(errs...)
}

// beside returns the path of a hidden temporary file or folder beside path.
func beside(path, pattern string) (dir, name string) {
	return filepath.Dir(path), "." + filepath.Base(path) + pattern
}
