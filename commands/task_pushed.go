package commands

import (
	"encoding/json"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// pushedImages are the images and lists that a run has pushed, for its metadata file.
type pushedImages struct {
	mu  sync.Mutex
	all []imageMetadata
}

// runMetadata is the content of the metadata file of a run.
type runMetadata struct {
	ID     string          `json:"run.id"` // as in {{.Run.ID}}
	Images []imageMetadata `json:"images"` // in the order of the pushes
}

// add records what was pushed under some names.
func (p *pushedImages) add(d ocispec.Descriptor, names []string) {
	one := imageMetadata{Digest: d.Digest, Name: strings.Join(names, ",")}
	if d.MediaType != "" {
		one.Descriptor = &d
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, one)
}

// addDigest records an image of which only the digest is known.
func (p *pushedImages) addDigest(name string, d digest.Digest) {
	p.add(ocispec.Descriptor{Digest: d}, []string{name})
}

// json returns the content of the metadata file of a run, in the order of the pushes.
func (p *pushedImages) json(id string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return json.MarshalIndent(runMetadata{id, append([]imageMetadata{}, p.all...)}, "", "  ")
}
