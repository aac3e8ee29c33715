package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Source is the context of a run.
type Source struct {
	// Dir is the context's folder, an absolute path; an empty folder for a run without context.
	Dir string
	// Commit and Branch are those of the git repository that the folder is of, "" for none.
	Commit, Branch string
	// made is where the folder is when it was made for the run; nil for one of the user.
	made *tree
}

// noContext is the name of a context for a run that has none.
const noContext = "/dev/null"

// Fetch returns the file at an http or https URL. Its errors show no password and no query.
type Fetch func(ctx context.Context, url string) (io.ReadCloser, error)

// Open makes a context ready. It is named as docker build has it: a folder; a git repository, as in
// https://host/repository.git#ref:folder, git@host:repository.git, github.com/owner/repository or a URL of git,
// ssh or file; a tar file, plain or packed by gzip or zstd, at an http or https URL; - for a tar file from in.
// Besides, a tar file of this machine, and /dev/null for no context. A tar file may unpack to 1 GiB, and to 100
// times its size if that is more; devices and pipes in it are left out. Close removes what was made, and after an
// error nothing is left.
func Open(ctx context.Context, name string, in io.Reader, fetch Fetch) (Source, error) {
	repository, isRepository := parseRepository(name)
	switch info, err := os.Stat(name); {
	case name == noContext:
		return made(name, func(*Source) error { return nil })
	case name == "-":
		return made("standard input", func(s *Source) error {
			in := interruptible(ctx, in)
			defer in.Close()
			return unpack(ctx, in, s.made, maxContext)
		})
	case err == nil && info.IsDir():
		return openFolder(ctx, name)
	case isRepository:
		return made(repository.shown, func(s *Source) error { return s.checkOut(ctx, repository) })
	case strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://"):
		return openURL(ctx, name, fetch)
	case errors.Is(err, fs.ErrNotExist):
		if u, err := url.Parse(name); err == nil && u.Host != "" {
			name = shown(u)
		}
		return Source{}, manifest.Errorf(errdefs.ErrInvalidArgument, "there is no context %q: expected a folder, a tar file, - for standard input, "+
			"the URL of a git repository or of a tar file, or %s for no context", name, noContext)
	case err != nil:
		return Source{}, fmt.Errorf("opening the context: %w", err)
	}
	return made(name, func(s *Source) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return unpack(ctx, f, s.made, maxContext)
	})
}

// made returns a context that fill puts into an empty folder.
func made(shown string, fill func(*Source) error) (Source, error) {
	t, err := newTree("context")
	if err != nil {
		return Source{}, err
	}
	s := Source{Dir: t.dir(), made: t}
	if err := fill(&s); err != nil {
		return Source{}, errors.Join(fmt.Errorf("making the context from %s ready: %w", shown, err), s.Close())
	}
	return s, nil
}

// openFolder returns a folder of this machine.
func openFolder(ctx context.Context, name string) (Source, error) {
	dir, err := absolute(name)
	if err != nil {
		return Source{}, fmt.Errorf("opening the context: %w", err)
	}
	s := Source{Dir: dir}
	s.Commit, s.Branch = workTree(ctx, dir)
	return s, nil
}

// openURL unpacks a tar file of the web.
func openURL(ctx context.Context, name string, fetch Fetch) (Source, error) {
	u, err := url.Parse(name)
	if err != nil {
		return Source{}, manifest.Errorf(errdefs.ErrInvalidArgument, "the context is not a valid URL")
	}
	return made(shown(u), func(s *Source) error {
		body, err := fetch(ctx, name)
		if err != nil {
			return err
		}
		defer body.Close()
		return unpack(ctx, body, s.made, maxContext)
	})
}

// checkOut makes the context that of a folder of a repository.
func (s *Source) checkOut(ctx context.Context, r repository) error {
	err := r.checkOut(ctx, s.Dir)
	if err != nil {
		return err
	}
	s.Commit, s.Branch = workTree(ctx, s.Dir)
	s.Dir, err = r.subfolder(s.Dir)
	return err
}

// maxFile is how many bytes of a file ReadFile reads.
const maxFile = 4 << 20

// ReadFile returns the file that a user names: - is in, a path is one in the context or, when the context has
// no such file, one of this machine as seen from the current folder. Files of more than 4 MiB are refused.
func (s Source) ReadFile(ctx context.Context, name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := s.open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	content, err := io.ReadAll(io.LimitReader(interruptible(ctx, in), maxFile+1))
	if err == nil && len(content) > maxFile {
		err = manifest.Errorf(errdefs.ErrInvalidArgument, "it is longer than %d MiB", maxFile>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the file %s: %w", name, err)
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
		return nil, manifest.Errorf(errdefs.ErrNotFound, "there is no file %s, neither in the context nor in the current folder", name)
	}
	return f, err
}

// openInside opens a file of the context. The links of a context from elsewhere lead nowhere else.
func (s Source) openInside(name string) (*os.File, error) {
	if s.made == nil {
		return os.Open(filepath.Join(s.Dir, name))
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(name)
}

// Close removes what was made for the run.
func (s Source) Close() error {
	if s.made == nil {
		return nil
	}
	return s.made.remove()
}

// interruptible returns a reader of in that ends with ctx, even when nothing comes from in.
func interruptible(ctx context.Context, in io.Reader) io.ReadCloser {
	out, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(w, in)
		w.CloseWithError(err)
	}()
	return out
}
