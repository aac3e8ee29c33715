package layout

import (
	"bufio"
	"bytes"
	"context"
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

// readSaved reads the files of a layout that are an archive of docker save. Each image gets the manifest that docker gives it
// since version 25: its config and layers as they are in the archive.
func (l *layout) readSaved(ctx context.Context, a *archive) error {
	var images []savedImage
	raw, err := l.small(dockerManifest, maxManifest) // each layer in it takes many times its size in memory
	if err == nil {
		err = json.Unmarshal(raw, &images)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dockerManifest, err)
	}
	s := saved{a, map[string]string{}, map[string][]byte{}}
	layers := map[string]ocispec.Descriptor{}
	for _, saved := range images {
		content, err := s.convert(ctx, l, saved, layers)
		if err != nil {
			return err
		}
		s.made[blobName(content.Descriptor.Digest)] = content.Raw
		for _, tag := range append(saved.RepoTags, "")[:max(len(saved.RepoTags), 1)] {
			d := content.Descriptor
			if ref, err := manifest.ParseName(tag); err == nil {
				d.Annotations = map[string]string{annotationImageName: ref.String()}
			}
			l.index.Manifests = append(l.index.Manifests, d)
		}
	}
	for _, d := range layers {
		if d.MediaType == ocispec.MediaTypeImageLayer {
			l.note("%s has uncompressed layers", l.name)
			break
		}
	}
	l.files = s
	return nil
}

// convert returns the manifest of one image, and records where its config and layers are.
func (s saved) convert(ctx context.Context, l *layout, from savedImage, known map[string]ocispec.Descriptor) (manifest.Content, error) {
	from.Config = path.Clean(from.Config)
	var config ocispec.Image
	raw, err := l.small(from.Config, maxManifest)
	if err == nil {
		err = json.Unmarshal(raw, &config)
	}
	if err != nil {
		return manifest.Content{}, fmt.Errorf("config %.100q: %w", from.Config, err)
	}
	stated := config.RootFS.DiffIDs
	if len(stated) != len(from.Layers) {
		return manifest.Content{}, fmt.Errorf("config %.100q states %d layers, but %s %d", from.Config, len(stated), dockerManifest, len(from.Layers))
	}
	out := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(raw), Size: int64(len(raw))},
		Layers: []ocispec.Descriptor{},
	}
	s.blobs[blobName(out.Config.Digest)] = from.Config
	for i, name := range from.Layers {
		d, ok := known[name]
		if !ok {
			if d, err = s.layer(ctx, name); err != nil {
				return manifest.Content{}, fmt.Errorf("layer %.100q: %w", name, err)
			}
			known[name] = d
		}
		if d.MediaType == ocispec.MediaTypeImageLayer && d.Digest != stated[i] {
			return manifest.Content{}, fmt.Errorf("layer %.100q has the digest %s, not the %.100q of its config", name, d.Digest, stated[i])
		}
		out.Layers = append(out.Layers, d)
	}
	raw, err = json.Marshal(out)
	return manifest.NewContent(out.MediaType, raw), err
}

// layer returns the descriptor of a layer. Equal layers may be a link to another member, which is followed once.
func (s saved) layer(ctx context.Context, name string) (ocispec.Descriptor, error) {
	from := path.Clean(name)
	if to, ok := s.links[from]; ok {
		from = to
	}
	content, size, err := s.archive.open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return ocispec.Descriptor{}, errors.New("it is not in the archive")
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer content.Close()
	buffered := bufio.NewReader(compression.Cancellable(ctx, content))
	magic, _ := buffered.Peek(4)                                     // the reading that follows finds the error
	mediaType := ocispec.MediaTypeImageLayer + compression.Of(magic) // which other programs than docker use
	d, err := digest.FromReader(buffered)
	s.blobs[blobName(d)] = from
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: size}, err
}
