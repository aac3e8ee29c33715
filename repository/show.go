package repository

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Shown is a manifest in full.
type Shown struct {
	Name string `json:"name"`
	Record
	// Manifests are what is below an index, Referrers what refers to it or to any of these.
	Manifests []Record `json:"manifests,omitempty"`
	Referrers []Record `json:"referrers,omitempty"`
}

// Show returns what name names, in full. What cannot be read below it has its Err; the error tells of that
// which is not merely absent.
func Show(ctx context.Context, r manifest.Reader, notes manifest.Reporter, name reference.Named) (Shown, error) {
	s := newManifestReader(r, name)
	root := s.read(ctx, []reference.Named{name})[0]
	if err := ctx.Err(); err != nil {
		return Shown{}, err
	}
	if errdefs.IsNotFound(root.Err) {
		return Shown{}, fmt.Errorf("no such manifest: %s; 'docker multiarch repo tags %s' shows which tags there are: %w",
			manifest.Familiar(name), reference.FamiliarName(name), root.Err)
	}
	if root.Err != nil {
		return Shown{}, root.Err
	}
	if _, err := s.graph.Node(root.Digest); err != nil {
		return Shown{}, err
	}
	return s.show(ctx, notes, name, root.Digest)
}

func (s *manifestReader) show(ctx context.Context, notes manifest.Reporter, name reference.Named, d digest.Digest) (Shown, error) {
	listed, err := s.reader.Inventory(ctx, s.repo)
	if err != nil && !errdefs.IsNotImplemented(err) {
		return Shown{}, err
	}
	for _, l := range listed {
		s.listed[l.Digest], s.tags[l.Digest] = l, l.Tags
	}
	s.relate()
	below := s.graph.Below(d)
	failures := s.readReferrers(ctx, notes, below)
	records := arrange(s.records(ctx, s.all, Query{Detail: DetailCreated}), Query{})
	if err := ctx.Err(); err != nil {
		return Shown{}, err
	}
	out := Shown{Name: manifest.Familiar(name)}
	for _, r := range records {
		switch {
		case r.Digest == d:
			out.Record = r
		case slices.Contains(below, r.Digest):
			out.Manifests = append(out.Manifests, r)
		default:
			out.Referrers = append(out.Referrers, r)
		}
		if r.Err != nil && !errdefs.IsNotFound(r.Err) {
			failures = append(failures, r.Err)
		}
	}
	return out, unread(failures)
}

// readReferrers reads what refers to subjects, as the referrers API or tags tell.
func (s *manifestReader) readReferrers(ctx context.Context, notes manifest.Reporter, subjects []digest.Digest) []error {
	subjects = slices.DeleteFunc(slices.Clone(subjects), func(d digest.Digest) bool { return s.kinds[d] == manifest.KindAttestation })
	tags, err := s.reader.Tags(ctx, s.repo)
	if err != nil && ctx.Err() == nil {
		notes.Warn("%v; what refers to the manifest by a tag cannot be shown", err)
	}
	errs := s.askReferrers(ctx, subjects)
	s.readDigestTags(ctx, tags)
	return errs
}
