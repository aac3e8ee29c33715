package display

import (
	"fmt"
	"io"

	"github.com/docker/go-units"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/transfer"
)

// Imported writes the result of an import: one image as Pushed does, several with a line for each; if quiet, the
// digests only.
func Imported(out io.Writer, imported []transfer.Imported, quiet bool) {
	if len(imported) == 1 {
		Pushed(out, imported[0].Pushed, quiet)
		return
	}
	for _, i := range imported {
		if quiet {
			_, _ = fmt.Fprintln(out, i.Descriptor.Digest)
			continue
		}
		pushedRef(out, i.Name, i.Descriptor.Digest)
	}
}

// ImportPlan writes what an import would do: the digests to out, the rest to r.
func ImportPlan(out io.Writer, r *Reporter, plan transfer.ImportPlan, quiet bool) {
	verb := "copy"
	if plan.Mounted {
		verb = "mount"
	}
	for _, s := range []struct {
		format string
		transfer.Size
	}{{"Would " + verb + " %s", plan.Missing}, {"Would skip %s, which exist", plan.Existing}} {
		if s.Manifests+s.Blobs > 0 {
			r.Note(s.format, fmt.Sprintf("%d manifests and %d blobs, %s", s.Manifests, s.Blobs, units.HumanSize(float64(s.Bytes))))
		}
	}
	for _, t := range plan.Tags {
		r.Note("Would write %s", manifest.Familiar(t))
	}
	for _, i := range plan.Images {
		if len(plan.Images) > 1 && !quiet {
			_, _ = fmt.Fprint(out, i.Name, " ")
		}
		_, _ = fmt.Fprintln(out, i.Descriptor.Digest)
	}
}
