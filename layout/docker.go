package layout

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/compression"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// savedImage is an image of the manifest.json of docker save:
// https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// dockerManifest is the file that lists the images of docker save.
const dockerManifest = "manifest.json"

// saved are the files of an archive that docker wrote before it wrote layouts, as those of a layout.
type saved struct {
	*archive
	// blobs has the members, made the content that there is none for.
	blobs map[string]string
	made  map[string][]byte
	// plain says that there are layers which are not compressed.
	plain *bool
}

func (s saved) open(name string) (io.ReadCloser, int64, error) {
	if raw, ok := s.made[name]; ok {
		return io.NopCloser(bytes.NewReader(raw)), int64(len(raw)), nil
	}
	if from, ok := s.blobs[name]; ok {
		name = from
	}
	return s.archive.open(name)
}

// readSaved reads an archive of docker save as a layout. Each image gets the manifest that docker gives it since version 25:
// its config and layers as they are in the archive.
func readSaved(name string, a *archive) (*layout, error) {
	l := &layout{name: name, files: a}
	raw, err := l.small(dockerManifest, maxManifest) // each layer in it takes many times its size in memory
	if err != nil {
		return nil, l.notSaved("%s: %w", dockerManifest, err)
	}
	var images []savedImage
	if err := json.Unmarshal(raw, &images); err != nil {
		return nil, l.notSaved("%s is not valid JSON (%w)", dockerManifest, err)
	}
	s := saved{a, map[string]string{}, map[string][]byte{}, new(bool)}
	layers := map[string]ocispec.Descriptor{}
	for _, saved := range images {
		content, err := s.convert(l, saved, layers)
		if err != nil {
			return nil, l.notSaved("%w", err)
		}
		s.made[blobName(content.Descriptor.Digest)] = content.Raw
		for _, tag := range append(saved.RepoTags, "")[:max(len(saved.RepoTags), 1)] {
			d := content.Descriptor
			d.Annotations = nil
			if ref, err := manifest.ParseName(tag); err == nil && tag != "" {
				d.Annotations = map[string]string{annotationImageName: ref.String()}
			}
			l.index.Manifests = append(l.index.Manifests, d)
		}
	}
	l.files = s
	return l, nil
}

func (l *layout) notSaved(format string, args ...any) error {
	return fmt.Errorf("%s is not an archive of docker save: %w", l.name, fmt.Errorf(format, args...))
}

// convert returns the manifest of one image, and records where its config and layers are.
func (s saved) convert(l *layout, from savedImage, known map[string]ocispec.Descriptor) (manifest.Content, error) {
	config, err := l.small(from.Config, maxManifest)
	if err != nil {
		return manifest.Content{}, fmt.Errorf("config %.100q: %w", from.Config, err)
	}
	out := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
		Layers: []ocispec.Descriptor{},
	}
	s.blobs[blobName(out.Config.Digest)] = from.Config
	for _, name := range from.Layers {
		d, ok := known[name]
		if !ok {
			if d, err = s.layer(name); err != nil {
				return manifest.Content{}, fmt.Errorf("layer %.100q: %w", name, err)
			}
			known[name] = d
		}
		out.Layers = append(out.Layers, d)
	}
	raw, err := json.Marshal(out)
	return manifest.NewContent(out.MediaType, raw), err
}

// layer returns the descriptor of a layer. Equal layers may be a link to another member, which is followed once.
func (s saved) layer(name string) (ocispec.Descriptor, error) {
	from := path.Clean(name)
	if to, ok := s.links[from]; ok {
		from = to
	}
	content, size, err := s.archive.open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return ocispec.Descriptor{}, fmt.Errorf("it is not in the archive")
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer content.Close()
	buffered := bufio.NewReader(content)
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return ocispec.Descriptor{}, err
	}
	compressed := compression.Of(magic) // by other programs than docker
	*s.plain = *s.plain || compressed == ""
	d, err := digest.FromReader(buffered)
	s.blobs[blobName(d)] = from
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer + compressed, Digest: d, Size: size}, err
}
