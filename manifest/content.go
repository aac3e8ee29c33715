package manifest

import (
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Content is a manifest or an index: its bytes as a registry sent them or as they are going to be pushed, and a
// descriptor with their media type, digest and size. The bytes are never marshaled again, so the digest stays the same.
type Content struct {
	Descriptor ocispec.Descriptor
	Raw        []byte
}

// NewContent returns raw as content of this media type, with its SHA-256 digest.
func NewContent(mediaType string, raw []byte) Content {
	return Content{ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, raw}
}

// Checked is content that is compared with a digest while it is read: its last bytes are only returned if it has that digest.
type Checked interface {
	io.Reader
	// CheckedDigest returns the digest.
	CheckedDigest() digest.Digest
}
