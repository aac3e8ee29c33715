package display

import (
	"fmt"
	"io"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Pushed writes what a push did: a line for each image that it put into the target repository, as docker
// manifest push does, then the digest of the list; with quiet the digest alone.
func Pushed(out io.Writer, p manifest.Pushed, quiet bool) {
	if !quiet {
		for _, c := range p.Children {
			_, _ = fmt.Fprintf(out, "Pushed ref %s with digest: %s\n", c.Ref, c.Digest)
		}
	}
	_, _ = fmt.Fprintln(out, p.Descriptor.Digest)
}
