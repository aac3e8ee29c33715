package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// DockerArchive returns a file for docker load of any daemon: images by their names (with a tag; "" for no name). It
// cannot have foreign layers and indexes.
func DockerArchive(named map[string]Manifest) []byte {
	type item struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var items []item
	files := map[string][]byte{}
	for _, name := range sortedKeys(named) {
		image := named[name]
		it := item{Config: image.ID().Encoded() + ".json"}
		files[it.Config] = image.Blobs[0].Data
		if name != "" {
			it.RepoTags = []string{name}
		}
		for _, l := range image.Blobs[1:] {
			path := l.Descriptor.Digest.Encoded() + "/layer.tar"
			files[path] = unpack(l.Data)
			it.Layers = append(it.Layers, path)
		}
		items = append(items, it)
	}
	files["manifest.json"] = encode(items)
	return archive(files)
}

// OCIArchive returns a file for docker load of a daemon with the containerd store: an OCI layout of m, an image or an
// index, under name. It only has the content of the children that keep selects (nil: all), as after a pull of one
// platform.
func OCIArchive(name string, m Manifest, keep func(Manifest) bool) []byte {
	root := m.Descriptor
	root.Platform = nil
	root.Annotations = map[string]string{
		"io.containerd.image.name": name,
		ocispec.AnnotationRefName:  name,
	}
	files := map[string][]byte{
		ocispec.ImageLayoutFile: encode(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}),
		ocispec.ImageIndexFile: encode(ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2},
			MediaType: ocispec.MediaTypeImageIndex,
			Manifests: []ocispec.Descriptor{root},
		}),
	}
	addBlobs(files, m, keep)
	return archive(files)
}

func addBlobs(files map[string][]byte, m Manifest, keep func(Manifest) bool) {
	files["blobs/sha256/"+m.Digest().Encoded()] = m.Raw
	for _, b := range m.Blobs {
		if b.Data != nil {
			files["blobs/sha256/"+b.Descriptor.Digest.Encoded()] = b.Data
		}
	}
	for _, c := range m.Children {
		if keep == nil || keep(c) {
			addBlobs(files, c, keep)
		}
	}
}

func archive(files map[string][]byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, path := range sortedKeys(files) {
		addFile(w, path, files[path])
	}
	check(w.Close())
	return b.Bytes()
}

func unpack(packed []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	check(err)
	p, err := io.ReadAll(r)
	check(err)
	return p
}
