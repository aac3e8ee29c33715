package registry

import (
	"encoding/json"
	"mime"
	"strings"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// accept lists the media types that Fetch understands, and all others so that an error can name what the
// registry has instead. It is one header line: some proxies keep only one of several.
var accept = strings.Join([]string{
	ocispec.MediaTypeImageIndex, manifest.MediaTypeDockerList,
	ocispec.MediaTypeImageManifest, manifest.MediaTypeDockerManifest, "*/*",
}, ", ")

func known(mediaType string) bool {
	return manifest.IsIndex(mediaType) || manifest.IsImage(mediaType) || manifest.IsArtifact(mediaType)
}

// mediaTypeOf returns the media type of a manifest or index: the one that the document states, otherwise the content
// type, otherwise the one that its structure shows. The error, of kind errdefs.ErrInvalidArgument, says what raw is
// instead.
func mediaTypeOf(contentType string, raw []byte) (string, error) {
	if parsed, _, err := mime.ParseMediaType(contentType); err == nil {
		contentType = parsed
	}
	var doc struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
		Manifests     json.RawMessage `json:"manifests"`
		Config        json.RawMessage `json:"config"`
		Layers        json.RawMessage `json:"layers"`
		FSLayers      json.RawMessage `json:"fsLayers"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return "", notManifest("not a JSON object, of content type %q", contentType)
	}
	index, image := doc.Manifests != nil, doc.Config != nil || doc.Layers != nil
	mediaType := doc.MediaType
	if !known(mediaType) {
		mediaType = contentType
	}
	switch {
	case doc.SchemaVersion == 1 || doc.FSLayers != nil:
		return "", notManifest("a manifest of Docker's schema 1, which is no longer supported; build and push the image again")
	case index && image:
		return "", notManifest("an image and an index at once")
	case known(mediaType) && (index && !manifest.IsIndex(mediaType) || image && !manifest.IsImage(mediaType)):
		return "", notManifest("of media type %q, but has another structure", mediaType)
	case known(mediaType):
		return mediaType, nil
	case doc.MediaType != "":
		return "", notManifest("of media type %q", doc.MediaType)
	case index:
		return ocispec.MediaTypeImageIndex, nil
	case image:
		return ocispec.MediaTypeImageManifest, nil
	}
	return "", notManifest("JSON of content type %q", contentType)
}

func notManifest(format string, args ...any) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "neither an image manifest nor an index: it is "+format, args...)
}
