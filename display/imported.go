package display

import (
	"fmt"
	"io"

	"github.com/docker/go-units"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/transfer"
)

// Imported writes what an import did: for one image as Pushed does, for several a line each, or with quiet
// their digests.
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

// ImportPlan writes what an import would do: the digests on out, the rest to notes.
func ImportPlan(out io.Writer, notes *Notes, plan transfer.ImportPlan, quiet bool) {
	verb := "copy"
	if plan.Mounted {
		verb = "mount"
	}
	for _, c := range []struct {
		format string
		transfer.Cargo
	}{{"Would " + verb + " %s", plan.Missing}, {"Would leave %s, which are there", plan.Present}} {
		if c.Manifests+c.Blobs > 0 {
			notes.Note(c.format, fmt.Sprintf("%d manifests and %d blobs, %s", c.Manifests, c.Blobs, units.HumanSize(float64(c.Bytes))))
		}
	}
	for _, t := range plan.Tags {
		notes.Note("Would put %s", manifest.Familiar(t))
	}
	for _, i := range plan.Images {
		if len(plan.Images) > 1 && !quiet {
			_, _ = fmt.Fprint(out, i.Name, " ")
		}
		_, _ = fmt.Fprintln(out, i.Descriptor.Digest)
	}
}
