package publish

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Publication is a list with the tags that it is pushed under beside its name.
type Publication struct {
	List manifest.List
	// Tags are in the repository of the list, Copies in others.
	Tags, Copies []reference.NamedTagged
	// Condition is what all of them and the list's name have to point to before.
	Condition manifest.Condition
}

// names returns all tags that the list is pushed under in its repository.
func (p Publication) names() []reference.NamedTagged {
	if name, ok := p.List.Name.(reference.NamedTagged); ok {
		return append([]reference.NamedTagged{name}, p.Tags...)
	}
	return p.Tags
}

// isName reports whether the list is pushed under name.
func (p Publication) isName(name reference.Named) bool {
	return slices.ContainsFunc(p.names(), func(t reference.NamedTagged) bool { return t.String() == name.String() })
}

// Plan returns the steps of a push, one line each.
func (p Publication) Plan() []string {
	var out []string
	for _, e := range p.List.Entries {
		what := manifest.FormatPlatform(e.Platform())
		switch {
		case manifest.IsAttestation(e.Descriptor):
			what = "attestation"
		case e.LacksPlatform():
			what = "artifact"
		}
		what += " " + manifest.Familiar(e.Source)
		switch {
		case e.IsPending():
			out = append(out, "push from the daemon: "+what)
		case manifest.SameRepository(e.Ref, p.List.Name):
			out = append(out, "use the manifest in the repository: "+what)
		case manifest.SameRegistry(e.Ref, p.List.Name):
			out = append(out, fmt.Sprintf("mount from %s: %s", e.Ref.Name(), what))
		case manifest.IsLayout(e.Ref):
			out = append(out, fmt.Sprintf("copy from %s: %s", e.Ref.Name(), what))
		default:
			out = append(out, fmt.Sprintf("copy from %s: %s", reference.Domain(e.Ref), what))
		}
	}
	out = append(out, "push the list: "+manifest.Familiar(p.List.Name))
	for _, t := range p.Tags {
		out = append(out, "push the list: "+manifest.Familiar(t))
	}
	for _, t := range p.Copies {
		out = append(out, "copy the list: "+manifest.Familiar(t))
	}
	return out
}

// SourceTag is a tag that an entry of a list was made from, and the digest that it pointed to.
type SourceTag struct {
	Name   reference.NamedTagged
	Digest digest.Digest
	Entry  manifest.Entry
}

// SourceTags returns the tags in the list's repository that its entries were made from, except those that the
// list itself has. The tag of an index of several images is not among them, unless push sent that index.
func (p Publication) SourceTags() []SourceTag {
	var out []SourceTag
	for _, e := range p.List.Entries {
		for _, ref := range []reference.Named{e.Ref, e.Source} {
			if ref.String() != e.Ref.String() && e.Index == "" {
				continue
			}
			name, ok := ref.(reference.NamedTagged)
			if _, digested := ref.(reference.Canonical); !ok || digested || !manifest.SameRepository(name, p.List.Name) || p.isName(name) ||
				slices.ContainsFunc(out, func(t SourceTag) bool { return t.Name.String() == name.String() }) {
				continue
			}
			out = append(out, SourceTag{name, cmp.Or(e.Index, e.Descriptor.Digest), e})
		}
	}
	return out
}
