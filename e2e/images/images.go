// Package images makes image content for the tests and the demo: manifests, configs, layers and indexes of any
// platform, without a base image, a builder or a daemon. The same [Spec] gives the same bytes; another seed gives
// other content. Package wire puts the content into registries, [DockerArchive] and [OCIArchive] into files for
// docker load.
package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of Docker's own manifests.
const (
	DockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	DockerList         = "application/vnd.docker.distribution.manifest.list.v2+json"
	DockerConfig       = "application/vnd.docker.container.image.v1+json"
	DockerLayer        = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	DockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
)

// Format selects the media types of an image or index.
type Format int

// The two families of media types.
const (
	Docker Format = iota
	OCI
)

// Spec describes an image. Seed and Platform alone are a small Docker image of one layer.
type Spec struct {
	Seed       string           // content and digests depend on it
	Platform   ocispec.Platform // in config and descriptor, unchanged
	Format     Format
	Layers     int               // 0 means 1
	LayerSize  int               // bytes of incompressible data in each layer, 0 means a few
	Foreign    []string          // URLs of a base layer that is stored nowhere
	Files      map[string]string // files in the first layer, by path
	Links      map[string]string // symbolic links there, by path
	Entrypoint []string
	Labels     map[string]string
	Created    time.Time // in the config, unless it is zero
}

// Blob is a config or a layer.
type Blob struct {
	Descriptor ocispec.Descriptor
	Data       []byte // nil for a foreign layer
}

// Manifest is an image, an attestation or an index with all content below it.
type Manifest struct {
	Descriptor ocispec.Descriptor // as in an index
	Raw        []byte
	Blobs      []Blob     // config first, then layers; none in an index
	Children   []Manifest // of an index
}

// Digest returns the digest of the manifest.
func (m Manifest) Digest() digest.Digest { return m.Descriptor.Digest }

// ID returns the digest of the config: the image ID in a daemon with a graph-driver store.
func (m Manifest) ID() digest.Digest { return m.Blobs[0].Descriptor.Digest }

// Image returns the image that s describes.
func Image(s Spec) Manifest {
	types := mediaTypes[s.Format]
	config := ocispec.Image{Platform: s.Platform}
	config.Config.Labels, config.Config.Entrypoint = s.Labels, s.Entrypoint
	if !s.Created.IsZero() {
		config.Created = &s.Created
	}
	config.RootFS.Type = "layers"
	var layers []Blob
	if len(s.Foreign) > 0 {
		blob, diffID := layer(s.Seed+"/foreign", types.foreign, 0, nil, nil)
		blob.Data, blob.Descriptor.URLs = nil, s.Foreign
		layers = append(layers, blob)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
	}
	files, links := s.Files, s.Links
	for i := range max(s.Layers, 1) {
		blob, diffID := layer(fmt.Sprintf("%s/%d", s.Seed, i), types.layer, s.LayerSize, files, links)
		layers = append(layers, blob)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
		files, links = nil, nil
	}
	for i := range layers {
		config.History = append(config.History, ocispec.History{CreatedBy: fmt.Sprintf("layer %d of %s", i, s.Seed)})
	}
	blobs := append([]Blob{newBlob(types.config, encode(config))}, layers...)
	return newImage(types.manifest, blobs, &s.Platform)
}

// Layered returns an OCI image with a config, which has the digests of the archives in the layers.
func Layered(config ocispec.Image, layers ...Blob) Manifest {
	config.RootFS.Type = "layers"
	types := mediaTypes[OCI]
	return newImage(types.manifest, append([]Blob{newBlob(types.config, encode(config))}, layers...), &config.Platform)
}

// Archive returns a layer that is not compressed.
func Archive(data []byte) Blob { return newBlob(ocispec.MediaTypeImageLayer, data) }

// Annotated returns an OCI image with annotations: another manifest with the same blobs.
func Annotated(m Manifest, annotations map[string]string) Manifest {
	var content ocispec.Manifest
	check(json.Unmarshal(m.Raw, &content))
	content.Annotations = annotations
	raw := encode(content)
	descriptor := newBlob(m.Descriptor.MediaType, raw).Descriptor
	descriptor.Platform = m.Descriptor.Platform
	return Manifest{Descriptor: descriptor, Raw: raw, Blobs: m.Blobs}
}

type types struct{ manifest, index, config, layer, foreign string }

var mediaTypes = map[Format]types{
	Docker: {DockerManifest, DockerList, DockerConfig, DockerLayer, DockerForeignLayer},
	OCI: {
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageConfig,
		ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerNonDistributableGzip, //nolint:staticcheck // deprecated, still met
	},
}

func newImage(mediaType string, blobs []Blob, platform *ocispec.Platform) Manifest {
	layers := make([]ocispec.Descriptor, 0, len(blobs)-1)
	for _, b := range blobs[1:] {
		layers = append(layers, b.Descriptor)
	}
	raw := encode(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: mediaType,
		Config:    blobs[0].Descriptor,
		Layers:    layers,
	})
	descriptor := newBlob(mediaType, raw).Descriptor
	descriptor.Platform = platform
	return Manifest{Descriptor: descriptor, Raw: raw, Blobs: blobs}
}

// layer returns a gzipped tar with one file that differs for each seed, and files and links.
func layer(seed, mediaType string, size int, files, links map[string]string) (Blob, digest.Digest) {
	archive := layerTar(seed, size, files, links)
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	must(zip.Write(archive))
	check(zip.Close())
	return newBlob(mediaType, packed.Bytes()), digest.FromBytes(archive)
}

func newBlob(mediaType string, data []byte) Blob {
	return Blob{Descriptor: ocispec.Descriptor{
		MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data)),
	}, Data: data}
}

func layerTar(seed string, size int, files, links map[string]string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, path := range sortedKeys(files) {
		addFile(w, path, []byte(files[path]))
	}
	for _, path := range sortedKeys(links) {
		check(w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: links[path], Mode: 0o777, Format: tar.FormatUSTAR}))
	}
	sum := sha256.Sum256([]byte(seed))
	addFile(w, fmt.Sprintf("content-%x", sum[:4]), noise(sum, max(size, len(sum))))
	check(w.Close())
	return b.Bytes()
}

// noise returns n incompressible bytes, the same for the same seed.
func noise(seed [32]byte, n int) []byte {
	p := make([]byte, n)
	must(rand.NewChaCha8(seed).Read(p))
	return p
}

func addFile(w *tar.Writer, path string, data []byte) {
	check(w.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(data)), Format: tar.FormatUSTAR}))
	must(w.Write(data))
}

func encode(v any) []byte {
	p, err := json.Marshal(v)
	check(err)
	return p
}

// check panics on errors that cannot occur: writing well-formed values to memory.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](_ T, err error) { check(err) }
