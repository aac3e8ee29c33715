package display

import (
	"fmt"
	"io"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// Pushed writes the result of a push: a line for each image that it copied to the target repository, like docker
// manifest push, then the digest of the list; with quiet only the digest.
func Pushed(out io.Writer, p publish.Pushed, quiet bool) {
	if !quiet {
		for _, c := range p.Children {
			pushedRef(out, c.Ref, c.Digest)
		}
	}
	_, _ = fmt.Fprintln(out, p.Descriptor.Digest)
}

// Published describes what was published in the repository of name: with how many platforms, 0 if that is not known, and
// under which names there and elsewhere.
func Published(name reference.Named, d digest.Digest, platforms int, names []reference.NamedTagged) string {
	var more, tags, others []string
	for _, n := range names {
		if manifest.SameRepository(n, name) {
			tags = append(tags, n.Tag())
		} else {
			others = append(others, manifest.Familiar(n))
		}
	}
	if platforms > 0 {
		more = append(more, counting(platforms, "platforms"))
	}
	if len(tags) > 0 {
		_, what, _ := strings.Cut(counting(len(tags), "tags"), " ")
		more = append(more, what+" "+strings.Join(tags, ", "))
	}
	if len(others) > 0 {
		more = append(more, "also "+strings.Join(others, ", "))
	}
	text := "Published " + manifest.Familiar(manifest.AtDigest(name, d))
	if len(more) > 0 {
		text += " (" + strings.Join(more, "; ") + ")"
	}
	return text
}

func pushedRef(out io.Writer, ref reference.Named, d digest.Digest) {
	_, _ = fmt.Fprintf(out, "Pushed ref %s with digest: %s\n", ref, d)
}
