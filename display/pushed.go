package display

import (
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/opencontainers/go-digest"
)

// Pushed writes the result of a push: a line for each image that it copied to the target repository, like docker
// manifest push, then the digest of the list; with quiet only the digest.
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
