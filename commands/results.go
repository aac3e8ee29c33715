package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// results are the files for the result of a push. They are opened before the push, so that errors are reported early, and
// replaced atomically after it.
type results struct{ digest, metadata resultFile }

// resultFile is a temporary file that is renamed to path. A path that is not a regular file, such as /dev/stdout, is
// written to directly.
type resultFile struct {
	path string
	file *os.File
}

func openResults(digest, metadata string) (results, error) {
	var r results
	var err error
	if r.digest, err = openResult(digest); err == nil {
		r.metadata, err = openResult(metadata)
	}
	if err != nil {
		r.discard()
	}
	return r, err
}

func openResult(path string) (resultFile, error) {
	if path == "" {
		return resultFile{}, nil
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		return resultFile{path, file}, err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return resultFile{}, fmt.Errorf("writing %s: %w", path, err)
	}
	return resultFile{path, file}, file.Chmod(0o644)
}

// write writes the files: the digest, and JSON as that of docker buildx imagetools create.
func (r *results) write(d ocispec.Descriptor, name reference.Named, tags []reference.NamedTagged) error {
	if err := r.digest.write([]byte(d.Digest)); err != nil {
		return err
	}
	names := []string{name.String()}
	for _, t := range tags {
		names = append(names, t.String())
	}
	metadata, err := json.MarshalIndent(map[string]any{
		"containerimage.descriptor": ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size},
		"image.name":                strings.Join(names, ","),
	}, "", "  ")
	if err != nil {
		return err
	}
	return r.metadata.write(metadata)
}

func (f *resultFile) write(content []byte) error {
	if f.file == nil {
		return nil
	}
	_, err := f.file.Write(content)
	if closeErr := f.file.Close(); err == nil {
		err = closeErr
	}
	if err == nil && f.file.Name() != f.path {
		err = os.Rename(f.file.Name(), f.path)
	}
	if err != nil {
		f.discard()
		return fmt.Errorf("the tags were written, but the result could not be written to %s: %w", f.path, err)
	}
	f.file = nil
	return nil
}

// discard removes temporary files.
func (r *results) discard() {
	r.digest.discard()
	r.metadata.discard()
}

func (f *resultFile) discard() {
	if f.file == nil {
		return
	}
	_ = f.file.Close()
	if f.file.Name() != f.path {
		_ = os.Remove(f.file.Name())
	}
	f.file = nil
}
