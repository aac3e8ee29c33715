package repository

import (
	"cmp"
	"context"
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Shown is a manifest in full.
type Shown struct {
	Name string `json:"name"` // the reference
	Record
	Manifests []Record `json:"manifests,omitempty"` // all below an index
	Referrers []Record `json:"referrers,omitempty"` // of the manifest and of any of these
}

// Show returns what name points to, in full. What cannot be read below it has its Err; the error reports what is not
// merely absent.
func Show(ctx context.Context, r manifest.Reader, report manifest.Reporter, name reference.Named) (Shown, error) {
	s := newSnapshot(r, name)
	read, err := s.graph.Read(ctx, name)
	root := read[0]
	_, nodeErr := s.graph.Node(root.Digest)
	if err := cmp.Or(err, root.Err, nodeErr); err != nil {
		return Shown{}, err
	}
	s.roots = []digest.Digest{root.Digest}
	if tag, ok := name.(reference.Tagged); ok {
		s.Tags[tag.Tag()] = root.Digest
	}
	return s.show(ctx, report, name, root.Digest)
}

func (s *Snapshot) show(ctx context.Context, report manifest.Reporter, name reference.Named, d digest.Digest) (Shown, error) {
	tags, err := s.list(ctx)
	if s.noInventory == nil && err != nil {
		return Shown{}, err
	}
	if err != nil && ctx.Err() == nil {
		report.Warn("%v; referrers that are found by their tags cannot be shown", err)
	}
	s.relate()
	below := slices.Clone(s.order)
	_, errs := s.readReferrers(ctx, slices.DeleteFunc(slices.Clone(below), func(d digest.Digest) bool {
		return s.Manifests[d].Kind == manifest.KindAttestation
	}))
	s.readDigestTags(ctx, tags)
	s.relate()
	q := Query{Detail: DetailCreated}
	rows := s.rows(ctx, s.order, q)
	if err := ctx.Err(); err != nil {
		return Shown{}, err
	}
	out := Shown{Name: manifest.Familiar(name)}
	for r := range s.records(ctx, s.arrange(rows, q), q) {
		switch {
		case r.Digest == d:
			out.Record = r
		case slices.Contains(below, r.Digest):
			out.Manifests = append(out.Manifests, r)
		default:
			out.Referrers = append(out.Referrers, r)
		}
	}
	return out, unread(append(errs, failures(rows)...))
}
