package commands

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// results are the files for the result of a push. They are opened before the push, so that errors are reported early, and
// replaced atomically after it.
type results struct {
	digest, metadata resultFile
	// pushed is called with the result, unless it is nil.
	pushed func(ocispec.Descriptor, []string)
}

// resultFile is a temporary file that is renamed to path. A path that is not a regular file, such as /dev/stdout, is
// written to directly; temporary is "" then.
type resultFile struct {
	in              files
	path, temporary string
	file            *os.File
}

// open opens the files of a result.
func (o output) open(env environment) (results, error) {
	r := results{pushed: env.pushed}
	if o.digestFile+o.metadataFile != "" { // they are written also if nobody reads the standard output
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	}
	var err error
	if r.digest, err = openResult(env.files(), o.digestFile); err == nil {
		r.metadata, err = openResult(env.files(), o.metadataFile)
	}
	if err != nil {
		r.discard()
	}
	return r, err
}

func openResult(in files, path string) (resultFile, error) {
	if path == "" {
		return resultFile{}, nil
	}
	path = in.Target(path) // a link, as /dev/stdout may be, is not replaced
	f := resultFile{in: in, path: path}
	var err error
	if info, statErr := in.Stat(path); statErr == nil && !info.Mode().IsRegular() {
		f.file, err = in.OpenFile(path, os.O_WRONLY, 0)
	} else {
		f.temporary = filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-"+rand.Text())
		f.file, err = in.OpenFile(f.temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	}
	if err != nil {
		return resultFile{}, fmt.Errorf("writing %s: %w", path, err)
	}
	return f, nil
}

// imageMetadata is what metadata files say of an image or a list, with the names of docker buildx.
type imageMetadata struct {
	Descriptor *ocispec.Descriptor `json:"containerimage.descriptor,omitempty"` // media type, digest and size
	Digest     digest.Digest       `json:"containerimage.digest,omitempty"`     // only in the file of a run
	Name       string              `json:"image.name"`                          // several are joined by commas
}

// write writes the files: the digest, and JSON as that of docker buildx imagetools create.
func (r *results) write(d ocispec.Descriptor, name reference.Named, tags []reference.NamedTagged) error {
	names := []string{name.String()}
	for _, t := range tags {
		names = append(names, t.String())
	}
	d = ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	if r.pushed != nil {
		r.pushed(d, names)
	}
	if err := r.digest.write([]byte(d.Digest)); err != nil {
		return err
	}
	metadata, err := json.MarshalIndent(imageMetadata{Descriptor: &d, Name: strings.Join(names, ",")}, "", "  ")
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
	err = cmp.Or(err, f.file.Close())
	if err == nil && f.temporary != "" {
		err = f.in.Rename(f.temporary, f.path)
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
	if f.temporary != "" {
		_ = f.in.Remove(f.temporary)
	}
	f.file = nil
}

// pushedImages are the images and lists that a run has pushed, for its metadata file.
type pushedImages struct {
	mu  sync.Mutex
	all []imageMetadata
}

// runMetadata is the content of the metadata file of a run.
type runMetadata struct {
	ID     string          `json:"run.id"` // as in {{.Run.ID}}
	Images []imageMetadata `json:"images"` // in the order of the pushes
}

// add records what was pushed under some names.
func (p *pushedImages) add(d ocispec.Descriptor, names []string) {
	one := imageMetadata{Digest: d.Digest, Name: strings.Join(names, ",")}
	if d.MediaType != "" {
		one.Descriptor = &d
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, one)
}

// addDigest records an image of which only the digest is known.
func (p *pushedImages) addDigest(name string, d digest.Digest) {
	p.add(ocispec.Descriptor{Digest: d}, []string{name})
}

// json returns the content of the metadata file of a run, in the order of the pushes.
func (p *pushedImages) json(id string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return json.MarshalIndent(runMetadata{id, append([]imageMetadata{}, p.all...)}, "", "  ")
}
