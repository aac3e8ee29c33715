package verify

import (
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
	"github.com/docker-multiarch/docker-multiarch/verify/program"
)

// sized is what a registry says of a blob.
type sized struct {
	size int64
	err  error
}

// foundLayer is what was found out about a layer; layer is nil when it was not unpacked.
type foundLayer struct {
	findings []Finding
	layer    *program.Layer
}

// layer looks at the layer d of the image n, its i-th.
func (v *verifier) layer(ctx context.Context, repo reference.Named, n manifest.Node, i int, d ocispec.Descriptor, config func() imageConfig) foundLayer {
	object := "layer " + d.Digest.String()
	if !v.deep {
		got := v.sizes.get(blobKey{repo: repo.Name(), digest: d.Digest}, func() sized {
			size, err := v.from.BlobSize(ctx, repo, d)
			return sized{size, err}
		})
		switch {
		case got.err != nil:
			return foundLayer{findings: []Finding{absentLayer(d, object, repo, got.err)}}
		case got.size < 0:
			return foundLayer{findings: []Finding{finding(Remark, d.Digest, "the registry does not say how large %s is", object)}}
		case got.size != d.Size:
			return foundLayer{findings: []Finding{wrongSize(d, "layer", got.size)}}
		}
		return foundLayer{}
	}
	c := config()
	key := keyOfLayer(repo, n, d)
	key.windows = c.OS == "windows"
	got := v.layers.get(key, func() unpacked { return v.layers.read(ctx, v.from, repo, d, key.image, key.windows) })
	switch {
	case got.err != nil:
		return foundLayer{findings: []Finding{absentLayer(d, object, repo, got.err)}}
	case got.size != d.Size:
		return foundLayer{findings: []Finding{wrongSize(d, "layer", got.size)}}
	case !key.image:
		return foundLayer{}
	}
	out := foundLayer{layer: got.layer}
	if len(c.RootFS.DiffIDs) == len(n.Layers) {
		out.findings = got.compare(d, c.RootFS.DiffIDs[i])
	} else if got.broken != nil {
		out.findings = got.compare(d, "")
	}
	if got.crowded {
		out.findings = append(out.findings, finding(Remark, d.Digest, "the files of layer %s were not looked at: there are too many", d.Digest))
	}
	return out
}

// absentLayer is the finding that a layer could not be read: foreign ones may be absent.
func absentLayer(d ocispec.Descriptor, object string, repo reference.Named, err error) Finding {
	if errdefs.IsNotFound(err) && manifest.IsForeign(d.MediaType) {
		return finding(Remark, d.Digest, "%s lies outside of the registry", object)
	}
	return fault(d.Digest, object, repo, err)
}

// unpacked is a layer that was read to its end.
type unpacked struct {
	size int64
	// err is why it could not be read, or that it has another digest.
	err error
	// diffID is the digest of the content; empty when broken says why it could not be unpacked.
	diffID digest.Digest
	broken error
	// layer has its files; crowded says that it has too many.
	layer   *program.Layer
	crowded bool
}

var errEncrypted = errors.New("it is encrypted")

// compare returns the finding on a layer whose content should have the digest diffID.
func (u unpacked) compare(d ocispec.Descriptor, diffID digest.Digest) []Finding {
	switch {
	case errors.Is(u.broken, errEncrypted), errors.Is(u.broken, program.ErrLimit), errors.Is(u.broken, compression.ErrWindow):
		return []Finding{finding(Remark, d.Digest, "layer %s was not unpacked: %v", d.Digest, u.broken)}
	case u.broken != nil:
		return []Finding{finding(Unsound, d.Digest, "layer %s cannot be unpacked: %v", d.Digest, u.broken)}
	case diffID.Validate() != nil:
		return []Finding{finding(Unsound, d.Digest, "the config has %q as the diff_id of layer %s, which is no digest", diffID, d.Digest)}
	case diffID.Algorithm() != u.diffID.Algorithm():
		return []Finding{finding(Remark, d.Digest, "the diff_id of layer %s was not compared: %s", d.Digest, diffID)}
	case diffID != u.diffID:
		return []Finding{finding(Unsound, d.Digest, "layer %s has the diff_id %s, the config says %s", d.Digest, u.diffID, diffID)}
	}
	return nil
}

// layerKey is a layer and what it is read as.
type layerKey struct {
	blobKey
	mediaType      string
	image, windows bool
}

// keyOfLayer is that of the layer d of n; for Windows there is one more.
func keyOfLayer(repo reference.Named, n manifest.Node, d ocispec.Descriptor) layerKey {
	return layerKey{blobKey{repo.Name(), d.Digest, d.Size}, d.MediaType, manifest.IsImageConfig(n.Config.MediaType), false}
}

// layers are the layers that were read, as long as an image may need them.
type layers struct {
	memo[layerKey, unpacked]
	uses   sync.Mutex
	left   map[layerKey]int // how many images, for any system, are still going to need one
	slots  chan struct{}
	budget *program.Budget
	most   int64 // the bytes of content that are read of one
}

// release forgets a layer that the last image was done with.
func (l *layers) release(key layerKey) {
	l.uses.Lock()
	l.left[key]--
	last := l.left[key] == 0
	l.uses.Unlock()
	if !last {
		return
	}
	for _, key.windows = range []bool{false, true} {
		if u, ok := l.drop(key); ok && u.layer != nil {
			u.layer.Release()
		}
	}
}

// read reads a layer to its end and unpacks it, when it is one of an image.
func (l *layers) read(ctx context.Context, from manifest.Blobs, repo reference.Named, d ocispec.Descriptor, image, windows bool) (u unpacked) {
	select {
	case <-ctx.Done():
		return unpacked{err: ctx.Err()}
	case l.slots <- struct{}{}:
	}
	defer func() { <-l.slots }()
	blob, err := from.OpenBlob(ctx, repo, d)
	if err != nil {
		return unpacked{err: err}
	}
	defer blob.Close()
	source := &counted{from: blob}
	switch {
	case strings.HasSuffix(d.MediaType, "+encrypted"):
		u.broken = errEncrypted
	case image:
		u = l.unpack(ctx, source, isArchive(d.MediaType), windows)
	}
	_, _ = io.Copy(io.Discard, source) // its digest is known at the end
	if u.size, u.err = source.n, source.err; u.err != nil && u.layer != nil {
		u.layer.Release()
		u.layer = nil
	}
	return u
}

// unpack reads the content of a layer, and keeps its files when it is an archive.
func (l *layers) unpack(ctx context.Context, source io.Reader, archive, windows bool) (u unpacked) {
	content, err := compression.NewReader(source)
	if err != nil {
		return unpacked{broken: err}
	}
	defer content.Close()
	digester := digest.Canonical.Digester()
	tee := io.TeeReader(&bounded{ctx, content, l.most}, digester.Hash())
	if archive {
		u.layer, err = program.ReadLayer(tee, windows, l.budget)
	}
	if u.crowded = errors.Is(err, program.ErrLimit); err == nil || u.crowded {
		_, err = io.Copy(io.Discard, tee)
	}
	if u.broken = err; err == nil {
		u.diffID = digester.Digest()
		return u
	}
	if u.crowded = false; u.layer != nil {
		u.layer.Release()
		u.layer = nil
	}
	return u
}

// bounded ends with program.ErrLimit what has more than left bytes, and with the error of ctx.
type bounded struct {
	ctx  context.Context
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, program.ErrLimit
	}
	return n, err
}

// counted counts what is read, and keeps what ended it before its time.
type counted struct {
	from io.Reader
	n    int64
	err  error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
