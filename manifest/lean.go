package manifest

import (
	"hash/maphash"
	"iter"
	"math"
	"slices"
	"unique"

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
