package manifest

import (
	"fmt"

	"github.com/distribution/reference"
)

// Plan returns what a push of the list under its name and tags would send, a line each.
func (l List) Plan(tags []reference.NamedTagged) []string {
	var out []string
	for _, e := range l.Entries {
		what := FormatPlatform(e.Platform())
		if e.Subject() != "" {
			what = "attestation"
		}
		what += " " + Familiar(e.Source)
		switch {
		case e.IsPending():
			out = append(out, fmt.Sprintf("push from the daemon: %s", what))
		case SameRepository(e.Ref, l.Name):
			out = append(out, fmt.Sprintf("use what is in the repository: %s", what))
		case SameRegistry(e.Ref, l.Name):
			out = append(out, fmt.Sprintf("mount from %s: %s", e.Ref.Name(), what))
		default:
			out = append(out, fmt.Sprintf("copy from %s: %s", reference.Domain(e.Ref), what))
		}
	}
	out = append(out, "push the list: "+Familiar(l.Name))
	for _, t := range tags {
		out = append(out, "push the list: "+Familiar(t))
	}
	return out
}
