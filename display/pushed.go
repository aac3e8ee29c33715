package display

import (
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/opencontainers/go-digest"
)

// Pushed writes what a push did: a line for each image that it put into the target repository, as docker
// manifest push does, then the digest of the list; with quiet the digest alone.
func Pushed(out io.Writer, p manifest.Pushed, quiet bool) {
	if !quiet {
		for _, c := range p.Children {
			pushedRef(out, c.Ref, c.Digest)
		}
	}
	_, _ = fmt.Fprintln(out, p.Descriptor.Digest)
}

func pushedRef(out io.Writer, ref reference.Named, d digest.Digest) {
	_, _ = fmt.Fprintf(out, "Pushed ref %s with digest: %s\n", ref, d)
}
