package layout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Layouts are the image layouts that a command reads and writes, and the archives that it reads, see [manifest.IsLayout].
type Layouts struct {
	// Note receives a line for what takes time or is unusual; nil for none.
	Note func(format string, args ...any)

	mu   sync.Mutex
	open map[string]*server
}

// Target says that ref is going to be written: a layout in a folder, or a new tar if its path ends in .tar. With replace, a
// tar that exists is replaced as a whole. Name returns the full name of an image by its tag, "" for none. A layout that
// cannot be written is an errdefs.ErrInvalidArgument error, and a tar that exists an errdefs.ErrAlreadyExists error.
func (l *Layouts) Target(ref reference.Named, replace bool, name func(tag string) string) error {
	typed, path := ref.Name(), manifest.LayoutPath(ref)
	if !strings.HasPrefix(typed, manifest.LayoutScheme) {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "%s is read only: write an OCI image layout, oci-layout://PATH", typed)
	}
	for _, suffix := range []string{".tar.gz", ".tgz"} {
		if strings.HasSuffix(path, suffix) {
			return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: a compressed archive cannot be written: its path has to end in .tar", typed)
		}
	}
	path, err := filepath.Abs(path) // names the lock
	if err != nil {
		return err
	}
	s := l.server(ref)
	w := &writer{typed: typed, note: s.note, path: path, overwrite: replace, name: name}
	if info, err := os.Stat(path); strings.HasSuffix(path, ".tar") && (err != nil || !info.IsDir()) {
		switch {
		case err == nil && !replace:
			return w.exists()
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		w.isTar = true
	} else if err == nil && !info.IsDir() {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "%s is neither a folder nor an archive whose name ends in .tar", typed)
	}
	s.writer = w
	return nil
}

// server returns the server of a layout or archive, made at the first call.
func (l *Layouts) server(ref reference.Named) *server {
	l.mu.Lock()
	defer l.mu.Unlock()
	typed := ref.Name()
	if l.open[typed] == nil {
		if l.open == nil {
			l.open = map[string]*server{}
		}
		isArchive := reference.Domain(ref) == manifest.ArchiveScheme
		l.open[typed] = &server{layouts: l, typed: typed, path: manifest.LayoutPath(ref), isArchive: isArchive}
	}
	return l.open[typed]
}

// Transport returns a server of the distribution spec for the layout or archive that ref names, nil for a name in a registry.
func (l *Layouts) Transport(ref reference.Named) http.RoundTripper {
	if !manifest.IsLayout(ref) {
		return nil
	}
	return l.server(ref)
}

// Spool stores an archive of docker save in a temporary file until Close, and returns the reference to its only image.
// Messages about it name what.
func (l *Layouts) Spool(what string, archive io.Reader) (reference.NamedTagged, error) {
	file, err := os.CreateTemp("", temporaryPrefix+"*.tar")
	if err != nil {
		return nil, err
	}
	ref := manifest.OnlyImageOf(manifest.ArchiveScheme, file.Name())
	s := l.server(ref)
	s.typed, s.isTemporary = what, true
	_, err = io.Copy(file, archive)
	return ref, errors.Join(err, file.Close())
}

// FullName returns the full name that a layout or archive has for the image that ref names, nil for none.
func (l *Layouts) FullName(ref reference.Named) reference.Named {
	s := l.server(ref)
	read, err := s.layout(context.Background())
	if err != nil {
		return nil
	}
	defer s.done(read)
	return read.fullName(ref)
}

// Commit packs the targets that are archives, and gives them their names. If what was to be written to them has failed with
// err, it returns that and leaves them as they were.
func (l *Layouts) Commit(ctx context.Context, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.open {
		if s.writer == nil || !s.writer.isTar {
			continue
		}
		if err == nil {
			err = s.writer.commit(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s was not written: %w", s.typed, err)
		}
	}
	return err
}

// WritesArchive reports whether a target is an archive, of which nothing is left unless it is committed.
func (l *Layouts) WritesArchive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.open {
		if s.writer != nil && s.writer.isTar {
			return true
		}
	}
	return false
}

// Close closes all files and removes the temporary ones, with archives that were not committed.
func (l *Layouts) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, s := range l.open {
		errs = append(errs, s.close())
	}
	l.open = nil
	return errors.Join(errs...)
}

// server answers requests for a layout or archive.
type server struct {
	layouts     *Layouts
	typed       string // in messages
	path        string
	isArchive   bool // of docker save
	isTemporary bool // is removed at the end
	// writer is set for a target.
	writer *writer

	once sync.Once
	read *layout
	err  error
}

// layout returns what is read from; without a writer it is opened at the first call.
func (s *server) layout(ctx context.Context) (*layout, error) {
	if s.writer != nil {
		return s.writer.layout()
	}
	s.once.Do(func() { s.read, s.err = s.openLayout(ctx) })
	return s.read, s.err
}

func (s *server) openLayout(ctx context.Context) (*layout, error) {
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, manifest.Errorf(errdefs.ErrNotFound, "%s does not exist", s.typed)
	case err != nil:
		return nil, s.invalid(": %w", err)
	case info.IsDir() && s.isArchive:
		return nil, s.invalid(" is a folder: expected an archive of docker save")
	case info.IsDir():
		files, err := openFolder(s.path)
		if err != nil {
			return nil, s.invalid(": %w", err)
		}
		l := &layout{name: s.typed, note: s.note, files: files}
		return closeUnless(l, l.read())
	case !info.Mode().IsRegular():
		return nil, s.invalid(" is neither a folder nor a file")
	}
	files, err := openArchive(ctx, s.path)
	if err != nil {
		return nil, s.invalid(": %w", err)
	}
	if files.spooled {
		s.note("%s is compressed: unpacked it into a temporary file", s.typed)
	}
	l := &layout{name: s.typed, note: s.note, files: files}
	_, isLayout := files.members[ocispec.ImageLayoutFile]
	_, isSaved := files.members[dockerManifest]
	switch {
	case isLayout:
		err = l.read()
	case isSaved && !s.isArchive:
		err = manifest.WithHint(s.invalid(" is an archive of docker save, not an image layout"), "use its scheme: %s//%s", manifest.ArchiveScheme, s.path)
	case s.isArchive:
		if err = l.readSaved(ctx, files); err != nil {
			err = s.invalid(" is not an archive of docker save: %w", err)
		}
	default:
		err = s.invalid(" is not an image layout: it has no file oci-layout")
	}
	return closeUnless(l, err)
}

// invalid returns an error for a path; format follows the name.
func (s *server) invalid(format string, args ...any) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "%s"+format, append([]any{s.typed}, args...)...)
}

func (s *server) note(format string, args ...any) {
	if s.layouts.Note != nil {
		s.layouts.Note(format, args...)
	}
}

// closeUnless returns l or, after an error, closes its files.
func closeUnless(l *layout, err error) (*layout, error) {
	if err != nil {
		l.files.Close()
		return nil, err
	}
	return l, nil
}

func (s *server) close() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.files.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.isTemporary {
		errs = append(errs, os.Remove(s.path))
	}
	return errors.Join(errs...)
}
