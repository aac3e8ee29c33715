package verify

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/compression"
	"github.com/docker-multiarch/docker-multiarch/internal/memo"
	"github.com/docker-multiarch/docker-multiarch/verify/program"
)

// layerResult is the result of checking a layer; layer is nil if it was not unpacked.
type layerResult struct {
	findings []Finding
	layer    *program.Layer
}

// layer checks the layer d of the image n, its i-th.
func (v *verifier) layer(ctx context.Context, repo reference.Named, n manifest.Node, i int, d ocispec.Descriptor, config func() imageConfig) layerResult {
	if !v.options.Deep {
		return layerResult{findings: v.lookUp(ctx, repo, d)}
	}
	c := config()
	key := keyOfLayer(repo, n, d)
	key.windows = c.OS == "windows"
	got, err := v.layers.get(ctx, v.from, repo, d, key)
	switch {
	case err != nil:
		return layerResult{findings: []Finding{layerFinding(d, repo, err)}}
	case got.size != d.Size:
		return layerResult{findings: []Finding{sizeFinding(d, "layer", got.size)}}
	case !key.image:
		return layerResult{}
	}
	out := layerResult{layer: got.layer}
	if len(c.RootFS.DiffIDs) == len(n.Layers) {
		out.findings = got.compare(d, c.RootFS.DiffIDs[i])
	} else if got.err != nil {
		out.findings = got.compare(d, "")
	}
	if got.tooManyFiles {
		out.findings = append(out.findings, finding(SeverityUnknown, d.Digest, "the files of layer %s were not checked: there are too many", d.Digest))
	}
	if got.layer != nil && got.layer.Outside() != "" {
		out.findings = append(out.findings, finding(SeverityUnknown, d.Digest, "layer %s has the entry %q outside the file system: where it is unpacked depends on the runtime", d.Digest, manifest.OneLine(got.layer.Outside(), maxShownPath)))
	}
	return out
}

// lookUp returns the findings on a layer that is not read.
func (v *verifier) lookUp(ctx context.Context, repo reference.Named, d ocispec.Descriptor) []Finding {
	size, err := v.sizes.Do(ctx, contentKey{repo.Name(), d.Digest}, func() (int64, error) {
		return v.from.BlobSize(ctx, repo, d)
	})
	switch {
	case err != nil:
		return []Finding{layerFinding(d, repo, err)}
	case size < 0:
		return []Finding{finding(SeverityInfo, d.Digest, "the registry does not report the size of layer %s", d.Digest)}
	case size != d.Size:
		return []Finding{sizeFinding(d, "layer", size)}
	}
	return nil
}

// layerFinding is the finding that a layer could not be read: foreign ones need not be in the registry.
func layerFinding(d ocispec.Descriptor, repo reference.Named, err error) Finding {
	if errdefs.IsNotFound(err) && manifest.IsForeign(d.MediaType) {
		return finding(SeverityInfo, d.Digest, "layer %s is stored outside the registry", d.Digest)
	}
	return readFinding(d.Digest, "layer "+d.Digest.String(), repo, err)
}

// unpacked is a layer that was read to its end.
type unpacked struct {
	size int64
	// diffID is the digest of the content; empty if err says why the layer could not be unpacked.
	diffID digest.Digest
	err    error
	// layer has the files, unless there are too many.
	layer        *program.Layer
	tooManyFiles bool
}

var errEncrypted = errors.New("it is encrypted")

// compare returns the finding on a layer whose content should have the digest diffID.
func (u unpacked) compare(d ocispec.Descriptor, diffID digest.Digest) []Finding {
	switch {
	case errors.Is(u.err, errEncrypted):
		return []Finding{finding(SeverityInfo, d.Digest, "layer %s was not unpacked: %v", d.Digest, u.err)}
	case errors.Is(u.err, program.ErrLimit), errors.Is(u.err, compression.ErrWindow), errors.Is(u.err, tar.ErrFieldTooLong):
		return []Finding{finding(SeverityUnknown, d.Digest, "layer %s was not unpacked: %v", d.Digest, u.err)}
	case errors.Is(u.err, io.ErrUnexpectedEOF): // with the right digest: the missing bytes were never part of it
		return []Finding{finding(SeverityUnknown, d.Digest, "layer %s ends too early to be unpacked: %v", d.Digest, u.err)}
	case u.err != nil:
		return []Finding{finding(SeverityError, d.Digest, "layer %s cannot be unpacked: %v", d.Digest, u.err)}
	case diffID.Validate() != nil:
		return []Finding{finding(SeverityError, d.Digest, "the config has %q as the diff_id of layer %s, which is not a digest", diffID, d.Digest)}
	case diffID.Algorithm() != u.diffID.Algorithm():
		return []Finding{finding(SeverityInfo, d.Digest, "the diff_id of layer %s was not compared: %s is not SHA-256", d.Digest, diffID)}
	case diffID != u.diffID:
		return []Finding{finding(SeverityError, d.Digest, "layer %s has the diff_id %s, but the config says %s", d.Digest, u.diffID, diffID)}
	}
	return nil
}

// layerKey is a layer and how to read it.
type layerKey struct {
	contentKey
	size           int64
	mediaType      string
	image, windows bool
}

// keyOfLayer returns the key of the layer d of n, as read for any system but Windows.
func keyOfLayer(repo reference.Named, n manifest.Node, d ocispec.Descriptor) layerKey {
	image := n.Config != nil && manifest.IsImageConfig(n.Config.MediaType)
	return layerKey{contentKey{repo.Name(), d.Digest}, d.Size, d.MediaType, image, false}
}

// layers are the layers that were read. They are kept while an image may need them.
type layers struct {
	read      memo.Memo[layerKey, unpacked]
	mu        sync.Mutex
	users     map[layerKey]int // how many images, for any system, still need a layer
	semaphore chan struct{}
	budget    *program.Budget
	limit     int64 // the most bytes of content that are read of a layer
}

// newLayers returns layers of which n are read concurrently.
func newLayers(n int, budget *program.Budget, limit int64) *layers {
	return &layers{
		read:  memo.Memo[layerKey, unpacked]{KeepErrors: true},
		users: map[layerKey]int{}, semaphore: make(chan struct{}, n), budget: budget, limit: limit,
	}
}

// release removes a layer after its last user.
func (l *layers) release(key layerKey) {
	l.mu.Lock()
	l.users[key]--
	last := l.users[key] == 0
	l.mu.Unlock()
	if !last {
		return
	}
	for _, key.windows = range []bool{false, true} {
		if u, ok := l.read.Delete(key); ok && u.layer != nil {
			u.layer.Release()
		}
	}
}

// get returns a layer, read to its end and, if it is one of an image, unpacked.
func (l *layers) get(ctx context.Context, from manifest.Blobs, repo reference.Named, d ocispec.Descriptor, key layerKey) (unpacked, error) {
	return l.read.Do(ctx, key, func() (unpacked, error) {
		select {
		case <-ctx.Done():
			return unpacked{}, ctx.Err()
		case l.semaphore <- struct{}{}:
		}
		defer func() { <-l.semaphore }()
		blob, err := from.OpenBlob(ctx, repo, d)
		if err != nil {
			return unpacked{}, err
		}
		defer blob.Close()
		return l.readAll(ctx, blob, d, key)
	})
}

// readAll reads and unpacks the bytes of a layer. The error is that of blob, which ends with one if the bytes have
// another digest.
func (l *layers) readAll(ctx context.Context, blob io.Reader, d ocispec.Descriptor, key layerKey) (u unpacked, err error) {
	source := &countingReader{from: blob}
	switch {
	case strings.HasSuffix(d.MediaType, "+encrypted"):
		u.err = errEncrypted
	case key.image:
		u = l.unpack(ctx, source, d, key.windows)
	}
	_, _ = io.Copy(io.Discard, source) // the digest is known at the end
	if u.size = source.n; source.err != nil && u.layer != nil {
		u.layer.Release()
	}
	return u, source.err
}

// unpack reads the content of the layer d, and keeps its files if it is an archive.
func (l *layers) unpack(ctx context.Context, source io.Reader, d ocispec.Descriptor, windows bool) (u unpacked) {
	content, err := compression.NewReader(source)
	if err != nil {
		return unpacked{err: err}
	}
	defer content.Close()
	digester := digest.Canonical.Digester()
	limit := min(l.limit, max(l.limit/16, maxRatio*d.Size))
	tee := io.TeeReader(&limitedReader{ctx, content, limit}, digester.Hash())
	if d.MediaType == "" || strings.Contains(d.MediaType, "tar") { // old manifests leave it out
		u.layer, err = program.ReadLayer(tee, windows, l.budget)
	}
	if u.tooManyFiles = errors.Is(err, program.ErrLimit); err == nil || u.tooManyFiles {
		_, err = io.Copy(io.Discard, tee)
	}
	if u.err = err; err == nil {
		u.diffID = digester.Digest()
		return u
	}
	if u.tooManyFiles = false; u.layer != nil {
		u.layer.Release()
		u.layer = nil
	}
	return u
}

// limitedReader fails with program.ErrLimit after left bytes, and with the error of ctx.
type limitedReader struct {
	ctx  context.Context
	from io.Reader
	left int64
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.from.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, program.ErrLimit
	}
	return n, err
}

// countingReader counts the bytes, and keeps the error that ended them early.
type countingReader struct {
	from io.Reader
	n    int64
	err  error
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
