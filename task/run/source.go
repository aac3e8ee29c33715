package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task/run/workspace"
)

// Source is the context of a run.
type Source struct {
	// Dir is the absolute path of the context's folder, which is empty for a run without context.
	Dir string
	// Commit and Branch are those of the folder's git repository, "" for none.
	Commit, Branch string
	// temporary is a folder that contains it if it was created for the run; "" for a folder of the user.
	temporary string
}

// noContext is the name of the context for a run without one.
const noContext = "/dev/null"

// Fetch returns the file at an http or https URL. Its errors contain neither password nor query.
type Fetch func(ctx context.Context, url string) (io.ReadCloser, error)

// Open opens a context. Its name is one of docker build's: a folder; a git repository, as in
// https://host/repository.git#ref:folder, git@host:repository.git, github.com/owner/repository or a git, ssh or file
// URL; an http or https URL of a tar file; or - for a tar file from in. It may also be the path of a tar file, or
// /dev/null for no context. Tar files may be compressed by gzip or zstd. They may unpack to 1 GiB, or to 100 times their
// size if that is more; devices and pipes in them are skipped. Close removes temporary files, which have the ID of the run in
// their names; after an error there are none.
func Open(ctx context.Context, id, name string, in io.Reader, fetch Fetch) (Source, error) {
	repository, isRepository := parseRepository(name)
	switch info, err := os.Stat(name); {
	case name == noContext:
		return newSource(id, name, func(*Source) error { return nil })
	case name == "-":
		return openTar(ctx, id, "standard input", func() (io.ReadCloser, error) { return interruptible(ctx, in), nil })
	case err == nil && info.IsDir():
		return openFolder(ctx, name)
	case isRepository:
		return newSource(id, repository.shown, func(s *Source) error { return s.checkOut(ctx, repository) })
	case strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://"):
		return openTar(ctx, id, manifest.RedactURL(name), func() (io.ReadCloser, error) { return fetch(ctx, name) })
	case errors.Is(err, fs.ErrNotExist):
		if strings.Contains(name, "://") {
			name = manifest.RedactURL(name)
		}
		return Source{}, manifest.Errorf(errdefs.ErrInvalidArgument, "no context %q: expected a folder, a tar file, - for standard input, "+
			"the URL of a git repository or of a tar file, or %s for no context", name, noContext)
	case err != nil:
		return Source{}, fmt.Errorf("opening the context: %w", err)
	}
	return openTar(ctx, id, name, func() (io.ReadCloser, error) { return os.Open(name) })
}

// newSource returns a context that fill copies into an empty folder.
func newSource(id, shown string, fill func(*Source) error) (Source, error) {
	temp, files, err := workspace.Temporary(FolderPattern(id) + "context-")
	if err != nil {
		return Source{}, err
	}
	s := Source{Dir: files, temporary: temp}
	if err := fill(&s); err != nil {
		return Source{}, errors.Join(fmt.Errorf("opening the context %s: %w", shown, err), s.Close())
	}
	return s, nil
}

// openFolder opens a folder of the user.
func openFolder(ctx context.Context, name string) (Source, error) {
	dir, err := workspace.Absolute(name)
	if err != nil {
		return Source{}, fmt.Errorf("opening the context: %w", err)
	}
	s := Source{Dir: dir}
	s.Commit, s.Branch = workTree(ctx, dir)
	return s, nil
}

// openTar unpacks a tar file.
func openTar(ctx context.Context, id, shown string, open func() (io.ReadCloser, error)) (Source, error) {
	return newSource(id, shown, func(s *Source) error {
		file, err := open()
		if err != nil {
			return err
		}
		defer file.Close()
		return workspace.Unpack(ctx, file, s.Dir)
	})
}

// checkOut checks out a repository into the context.
func (s *Source) checkOut(ctx context.Context, r repository) error {
	err := r.checkOut(ctx, s.Dir)
	if err != nil {
		return err
	}
	s.Commit, s.Branch = workTree(ctx, s.Dir)
	s.Dir, err = r.subfolder(s.Dir)
	return err
}

// maxFile is the maximum size of a file that ReadFile reads, in bytes.
const maxFile = 4 << 20

// ReadFile returns the file with a name given by the user: - is in, a path is relative to the context or, if the context
// has no such file, to the current folder. Files of more than 4 MiB are refused.
func (s Source) ReadFile(ctx context.Context, name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := s.open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return read(ctx, name, in)
}

// ReadInside returns a file of the context, with a name given by the context itself: nothing leads out of it, and only a
// file is read, neither a device nor a pipe.
func (s Source) ReadInside(ctx context.Context, name string) ([]byte, error) {
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	switch info, err := root.Stat(name); {
	case err != nil:
		return nil, fmt.Errorf("reading %s in the context: %w", name, err)
	case !info.Mode().IsRegular():
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s in the context is not a file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(ctx, name, f)
}

// read returns what in has, at most maxFile bytes.
func read(ctx context.Context, name string, in io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(interruptible(ctx, in), maxFile+1))
	if err == nil && len(content) > maxFile {
		err = manifest.Errorf(errdefs.ErrInvalidArgument, "it is larger than %d MiB", maxFile>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return content, nil
}

func (s Source) open(name string) (*os.File, error) {
	if filepath.IsLocal(name) {
		f, err := s.openInside(name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, manifest.Errorf(errdefs.ErrNotFound, "no file %s in the context or the current folder", name)
	}
	return f, err
}

// openInside opens a file of the context. Links in a context that was downloaded do not lead out of it.
func (s Source) openInside(name string) (*os.File, error) {
	if s.temporary == "" {
		return os.Open(filepath.Join(s.Dir, name))
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(name)
}

// Close removes temporary files.
func (s Source) Close() error {
	if s.temporary == "" {
		return nil
	}
	return workspace.Remove(s.temporary)
}

// interruptible returns a reader of in that ends with ctx, even while in blocks.
func interruptible(ctx context.Context, in io.Reader) io.ReadCloser {
	out, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(w, in)
		w.CloseWithError(err)
	}()
	return out
}
