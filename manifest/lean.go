package manifest

import (
	"hash/maphash"
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
	total, seen := int64(0), map[uint64]bool{}
	for _, n := range nodes {
		parts := append([]blobSize{sizeOf(n.Descriptor)}, n.layers...)
		for _, blob := range n.Blobs() {
			parts = append(parts, sizeOf(blob))
		}
		for _, part := range parts {
			switch {
			case seen[part.hash]:
			case total > math.MaxInt64-part.size:
				return 0
			default:
				seen[part.hash] = true
				total += part.size
			}
		}
	}
	return total
}
