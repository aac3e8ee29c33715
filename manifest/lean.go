package manifest

import (
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"os"
	"slices"
	"sync"
	"unique"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// blobSize is the size of a blob. The hash of its digest identifies it, with less memory than the digest.
type blobSize struct {
	hash uint64
	size int64
}

var seed = maphash.MakeSeed()

func sizeOf(d ocispec.Descriptor) blobSize {
	return blobSize{maphash.Comparable(seed, d.Digest), d.Size}
}

// lean returns n with the sizes of its layers instead of the layers. Strings that many manifests have are shared.
func (n Node) lean() Node {
	for _, layer := range n.Layers {
		n.layers = append(n.layers, sizeOf(layer))
	}
	n.layers, n.Layers = slices.Clip(n.layers), nil
	intern(&n.Descriptor.MediaType, &n.ArtifactType)
	if n.Config != nil {
		intern(&n.Config.MediaType)
	}
	for i := range n.annotations {
		if i%2 == 0 {
			intern(&n.annotations[i])
		}
	}
	n.Children = slices.Clip(n.Children)
	for i := range n.Children {
		child := &n.Children[i]
		intern(&child.MediaType, &child.ArtifactType)
		if child.Platform != nil {
			internPlatform(child.Platform)
		}
	}
	return n
}

func internPlatform(p *ocispec.Platform) { intern(&p.OS, &p.Architecture, &p.Variant, &p.OSVersion) }

// intern makes equal strings share their memory.
func intern(strings ...*string) {
	for _, s := range strings {
		*s = unique.Make(*s).Value()
	}
}

// LayerCount is how many layers an image has.
func (n Node) LayerCount() int { return len(n.Layers) + len(n.layers) }

// ImageSize returns the download of images: their manifests, configs and layers, each once. It is 0 if it overflows.
func ImageSize(nodes ...Node) int64 {
	return SizeWithout(slices.Values(nodes), slices.Values[[]Node](nil))
}

// SizeWithout is ImageSize without what others have as well.
func SizeWithout(nodes, others iter.Seq[Node]) int64 {
	sizes := map[uint64]int64{}
	for n := range nodes {
		for part := range n.parts {
			if _, seen := sizes[part.hash]; !seen {
				sizes[part.hash] = part.size
			}
		}
	}
	for n := range others {
		for part := range n.parts {
			delete(sizes, part.hash)
		}
	}
	total := int64(0)
	for _, size := range sizes {
		if total > math.MaxInt64-size {
			return 0
		}
		total += size
	}
	return total
}

// parts yields the sizes of the manifest, the config and the layers.
func (n Node) parts(yield func(blobSize) bool) {
	if !yield(sizeOf(n.Descriptor)) {
		return
	}
	for _, part := range n.layers {
		if !yield(part) {
			return
		}
	}
	for _, blob := range n.Blobs() {
		if !yield(sizeOf(blob)) {
			return
		}
	}
}

// maxKept is how many bytes of manifests a spill keeps in memory.
const maxKept = 4 << 20

// spill is where the bytes of manifests are kept: in memory or, once they are many, in a temporary file.
type spill struct {
	mu         sync.Mutex
	kept, size int64
	file       *os.File
}

// add stores raw in the file and returns where, 1 for the beginning, or 0 if raw has to be kept in memory.
func (s *spill) add(raw []byte) (at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept += int64(len(raw)); s.kept <= maxKept {
		return 0
	}
	if s.file == nil {
		file, err := os.CreateTemp("", "docker-multiarch-manifests-")
		if err != nil {
			return 0
		}
		s.file = file
		_ = os.Remove(file.Name()) // the open file remains; where that is not possible, close removes it
	}
	if _, err := s.file.WriteAt(raw, s.size); err != nil {
		return 0
	}
	at = s.size + 1
	s.size += int64(len(raw))
	return at
}

// read returns the bytes of a manifest that were stored at a position that add has returned.
func (s *spill) read(d digest.Digest, at, size int64) ([]byte, error) {
	raw := make([]byte, size)
	if _, err := s.file.ReadAt(raw, at-1); err != nil {
		return nil, fmt.Errorf("reading the manifest %s from a temporary file: %w", d, err)
	}
	if d.Algorithm().FromBytes(raw) != d {
		return nil, Errorf(errdefs.ErrDataLoss, "the temporary file of the manifest %s has changed", d)
	}
	return raw, nil
}

func (s *spill) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
		s.file = nil
	}
}

// Content returns the content of a manifest that was read, or the error of reading it.
func (g *Graph) Content(d digest.Digest) (Content, error) {
	n, err := g.Node(d)
	if err != nil || n.spilled == 0 {
		return n.Content, err
	}
	n.Raw, err = g.spill.read(d, n.spilled, n.Descriptor.Size)
	return n.Content, err
}

// Close ends the use of a graph that spills.
func (g *Graph) Close() { g.spill.close() }
