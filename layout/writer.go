package layout

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/gofrs/flock"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// writer writes a layout: in the folder itself, or in a temporary one that becomes a tar.
type writer struct {
	typed, path string
	note        func(format string, args ...any)
	isTar       bool
	overwrite   bool // a tar that exists
	name        func(tag string) string

	mu   sync.Mutex
	root *os.Root
	dir  string // "" before anything was written
}

// temporaryPrefix starts the names of files that are being written.
const temporaryPrefix = ".docker-multiarch-"

// tarBlock is what the length of content in a tar is a multiple of.
const tarBlock = 512

// packedPart is how many bytes are packed between two checks for cancellation.
const packedPart = 64 << 20

// lockInterval is how often a lock that another process holds is asked for.
const lockInterval = 20 * time.Millisecond

// layout returns what was written so far, and what the folder had.
func (w *writer) layout() (*layout, error) {
	w.mu.Lock()
	dir := w.dir
	w.mu.Unlock()
	if dir == "" && !w.isTar {
		dir = w.path
	}
	files, err := openFolder(dir)
	if dir == "" || errors.Is(err, fs.ErrNotExist) {
		return &layout{name: w.typed, note: w.note, files: &archive{}}, nil // has no members
	}
	if err != nil {
		return nil, err
	}
	return closeUnless(w.written(files))
}

// open opens a file of the layout as it is now.
func (w *writer) open(name string) (io.ReadCloser, int64, error) {
	w.mu.Lock()
	root := w.root
	w.mu.Unlock()
	if root != nil {
		return folder{root}.open(name)
	}
	l, err := w.layout()
	if err != nil {
		return nil, 0, err
	}
	defer l.files.Close()
	return l.files.open(name)
}

// written returns the layout in a folder, which may have no index.json yet.
func (w *writer) written(files folder) (*layout, error) {
	l, other := &layout{name: w.typed, note: w.note, files: files}, ""
	entries, err := fs.ReadDir(files.root.FS(), ".")
	if err != nil {
		return l, err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == ocispec.ImageIndexFile:
			return l, l.read()
		case name == ocispec.ImageLayoutFile:
			err = l.checkVersion()
		case name != "blobs" && !strings.HasPrefix(name, temporaryPrefix):
			other = name
		}
	}
	if other != "" {
		err = manifest.Errorf(errdefs.ErrInvalidArgument, "%s is a folder with other files, not an image layout: it has %s", w.typed, manifest.OneLine(other, 200))
	}
	return l, err
}

// begin makes the folder and returns its root.
func (w *writer) begin() (*os.Root, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.root != nil {
		return w.root, nil
	}
	dir := w.path
	if w.isTar {
		made, err := os.MkdirTemp(w.beside())
		if err != nil {
			return nil, err
		}
		dir = made
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	w.dir = dir
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if _, err = w.written(folder{root}); err == nil {
		err = root.MkdirAll("blobs/sha256", 0o755)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	w.root = root
	return root, nil
}

// beside returns the folder of a tar, and the pattern of the name of a hidden temporary file or folder in it.
func (w *writer) beside() (dir, pattern string) {
	return filepath.Dir(w.path), "." + filepath.Base(w.path) + ".*"
}

// put stores the content of r as the blob d. Nothing is stored if it has another digest.
func (w *writer) put(d digest.Digest, r io.Reader) error {
	root, err := w.begin()
	if err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(blobName(d)), 0o755); err != nil {
		return err
	}
	return w.replace(root, blobName(d), func(file io.Writer) error { return copyChecked(file, r, d) })
}

// copyChecked writes the content of r, which has to have the digest. Content that is checked anyway is not checked twice.
func copyChecked(to io.Writer, r io.Reader, d digest.Digest) error {
	if c, ok := r.(manifest.Checked); ok && c.CheckedDigest() == d {
		_, err := io.Copy(to, r)
		return err
	}
	verifier := d.Verifier()
	if _, err := io.Copy(io.MultiWriter(to, verifier), r); err != nil {
		return err
	}
	if !verifier.Verified() {
		return manifest.Errorf(errdefs.ErrDataLoss, "the content does not have the digest %s", d)
	}
	return nil
}

// replace writes a file whole: beside its name, which it gets at the end.
func (w *writer) replace(root *os.Root, name string, write func(io.Writer) error) error {
	temporary := path.Join(path.Dir(name), temporaryPrefix+rand.Text())
	file, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = errors.Join(write(file), file.Close())
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		_ = root.Remove(temporary) // the first error counts
	}
	return err
}

// add stores a manifest. One with a tag, and one that describes another, becomes an entry of index.json, if the tag fulfils
// the condition: it is given the digest that the tag points to now, "" for none.
func (w *writer) add(ctx context.Context, c manifest.Content, tag string, condition func(current digest.Digest) error) error {
	if err := w.put(c.Descriptor.Digest, strings.NewReader(string(c.Raw))); err != nil {
		return err
	}
	if subject, err := subjectOf(c.Raw); tag == "" && subject == "" {
		return err
	}
	root, err := w.begin()
	if err != nil {
		return err
	}
	if !w.isTar {
		lock := flock.New(w.path+".lock", flock.SetPermissions(0o644))
		if _, err := lock.TryLockContext(ctx, lockInterval); err != nil {
			return fmt.Errorf("locking %s.lock: %w", w.path, err)
		}
		defer lock.Close()
	} else {
		w.mu.Lock()
		defer w.mu.Unlock()
	}
	return w.list(root, c, tag, condition)
}

// list adds an entry to index.json, which nobody else writes at the time.
func (w *writer) list(root *os.Root, c manifest.Content, tag string, condition func(current digest.Digest) error) error {
	l, err := w.written(folder{root})
	if err != nil {
		return err
	}
	var current digest.Digest
	for _, d := range l.index.Manifests {
		if tag != "" && d.Annotations[ocispec.AnnotationRefName] == tag {
			current = d.Digest
		}
	}
	if err := condition(current); err != nil {
		return err
	}
	var children []ocispec.Descriptor // attestations among them may have been added for their subject
	if _, ofReferrers := manifest.CutDigestTag(tag); manifest.IsIndex(c.Descriptor.MediaType) && !ofReferrers {
		children, _, _ = manifest.ParseIndex(c.Raw)
	}
	l.index.Manifests = slices.DeleteFunc(l.index.Manifests, func(d ocispec.Descriptor) bool {
		name := d.Annotations[ocispec.AnnotationRefName]
		isChild := func(child ocispec.Descriptor) bool { return child.Digest == d.Digest }
		if name == "" && slices.ContainsFunc(children, isChild) {
			return true
		}
		return tag != "" && name == tag || tag == "" && name == "" && d.Digest == c.Descriptor.Digest
	})
	l.index.Manifests = append(l.index.Manifests, w.entry(c, tag))
	l.index.SchemaVersion, l.index.MediaType = 2, ocispec.MediaTypeImageIndex
	slices.SortStableFunc(l.index.Manifests, compareEntries)
	raw, err := json.Marshal(l.index)
	if err != nil {
		return err
	}
	if len(raw) > maxIndex {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "%s of %s would have more than %d MiB", ocispec.ImageIndexFile, w.typed, maxIndex>>20)
	}
	if err := w.file(root, ocispec.ImageLayoutFile, fmt.Appendf(nil, `{"imageLayoutVersion":%q}`, ocispec.ImageLayoutVersion)); err != nil {
		return err
	}
	return w.file(root, ocispec.ImageIndexFile, raw)
}

func (w *writer) file(root *os.Root, name string, content []byte) error {
	return w.replace(root, name, func(file io.Writer) error {
		_, err := file.Write(content)
		return err
	})
}

// compareEntries orders the entries of index.json, whose order says nothing: by tag, then digest.
func compareEntries(a, b ocispec.Descriptor) int {
	const name = ocispec.AnnotationRefName
	return cmp.Or(strings.Compare(a.Annotations[name], b.Annotations[name]), cmp.Compare(a.Digest, b.Digest))
}

// entry returns the entry of index.json for a manifest.
func (w *writer) entry(c manifest.Content, tag string) ocispec.Descriptor {
	d := c.Descriptor
	d.Annotations = map[string]string{}
	if tag != "" {
		d.Annotations[ocispec.AnnotationRefName] = tag
		if name := w.name(tag); name != "" {
			d.Annotations[annotationImageName] = name
		}
	}
	if n, err := manifest.ParseNode(c); err == nil {
		d.ArtifactType = n.ArtifactType
		if tag == "" {
			d.Annotations = n.Annotations()
			for _, key := range []string{ocispec.AnnotationRefName, annotationImageName, annotationSubject} {
				delete(d.Annotations, key) // a manifest names nothing in a layout
			}
		}
	}
	return d
}

// commit makes the tar and gives it its name.
func (w *writer) commit(ctx context.Context) error {
	if w.dir == "" {
		return nil
	}
	file, err := os.CreateTemp(w.beside())
	if err != nil {
		return err
	}
	err = w.pack(ctx, file)
	if err == nil {
		err = file.Chmod(0o644)
	}
	err = errors.Join(err, file.Close())
	if _, absent := os.Lstat(w.path); err == nil && absent == nil && !w.overwrite { // somebody has written it meanwhile
		err = w.exists()
	}
	if err == nil {
		err = os.Rename(file.Name(), w.path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // the first error counts
	}
	return err
}

func (w *writer) exists() error {
	err := manifest.Errorf(errdefs.ErrAlreadyExists, "%s exists", w.typed)
	return manifest.WithHint(err, "to replace the whole archive: --force")
}

// pack writes the layout as a tar: the same content gives the same bytes. Packed files are removed to save space.
func (w *writer) pack(ctx context.Context, out *os.File) error {
	raw, err := w.saved()
	if err == nil && raw != nil {
		err = w.file(w.root, dockerManifest, raw)
	}
	if err != nil {
		return err
	}
	err = fs.WalkDir(w.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return errors.Join(err, ctx.Err())
		}
		if strings.HasPrefix(e.Name(), ".") {
			return nil // was not finished
		}
		h := &tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatUnknown}
		if e.IsDir() {
			h.Name, h.Mode, h.Typeflag = name+"/", 0o755, tar.TypeDir
			return tar.NewWriter(out).WriteHeader(h)
		}
		if err := w.packFile(ctx, out, h, name); err != nil {
			return err
		}
		_ = w.root.Remove(name) // only for its space
		return nil
	})
	if err != nil {
		return err
	}
	return tar.NewWriter(out).Close()
}

// packFile adds a file to a tar. The system copies its content from file to file, a part at a time.
func (w *writer) packFile(ctx context.Context, out *os.File, h *tar.Header, name string) error {
	file, size, err := folder{w.root}.open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	h.Size = size
	if err := tar.NewWriter(out).WriteHeader(h); err != nil {
		return err
	}
	for left := size; left > 0; left -= packedPart {
		_, err := io.CopyN(out, file, min(left, packedPart))
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	_, err = out.Write(make([]byte, -size&(tarBlock-1)))
	return err
}

// saved returns the manifest.json of docker save for a layout of a single image for one platform, nil for any other.
func (w *writer) saved() ([]byte, error) {
	l, err := w.layout()
	if err != nil {
		return nil, err
	}
	defer l.files.Close()
	d, err := l.only()
	if err != nil {
		return nil, nil //nolint:nilerr // there are several images
	}
	c, err := l.manifest(d.Digest)
	if err != nil {
		return nil, err
	}
	n, err := manifest.ParseNode(c)
	if images := slices.DeleteFunc(slices.Clone(n.Children), manifest.IsAttestation); err == nil && len(images) == 1 {
		if c, err = l.manifest(images[0].Digest); err == nil {
			n, err = manifest.ParseNode(c)
		}
	}
	if err != nil || n.Kind() != manifest.KindImage {
		return nil, err
	}
	out := savedImage{Config: blobName(n.Config.Digest), RepoTags: []string{}, Layers: []string{}}
	for _, layer := range n.Layers {
		out.Layers = append(out.Layers, blobName(layer.Digest))
	}
	for _, e := range l.index.Manifests {
		if name := e.Annotations[annotationImageName]; e.Digest == d.Digest && name != "" {
			out.RepoTags = append(out.RepoTags, name)
		}
	}
	return json.Marshal([]savedImage{out})
}

// Close implements io.Closer. A tar that was not committed is dropped.
func (w *writer) Close() error {
	var errs []error
	if w.root != nil {
		errs = append(errs, w.root.Close())
	}
	if w.isTar && w.dir != "" {
		errs = append(errs, os.RemoveAll(filepath.Clean(w.dir)))
	}
	return errors.Join(errs...)
}
