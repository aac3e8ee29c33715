package manifest

import (
	"fmt"
	"os"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

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
