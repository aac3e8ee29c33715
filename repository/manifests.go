package repository

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Manifests returns the manifests of a repository, each once. What an index lists follows it with a greater Depth, as
// does what describes or refers to a manifest; Filter, ByTime and Top apply to the others. If the registry has no
// inventory, these are the manifests below tags and their referrers, which is reported. A manifest that cannot be read
// has its Err; the error reports those that are not merely absent.
func Manifests(ctx context.Context, r manifest.Reader, report manifest.Reporter, repo reference.Named, q Query) ([]Record, error) {
	s := newSnapshot(r, repo)
	s.graph.Lean = true
	if err := s.read(ctx, q.Filter); err != nil {
		return nil, err
	}
	if !s.Complete {
		if _, errs := s.readReferrers(ctx, s.roots); len(errs) > 0 && ctx.Err() == nil {
			report.Warn("%v; referrers without a tag of their own may be missing", errs[0])
		}
		report.Note("%v", s.noInventory)
	}
	s.relate()
	records := append(s.records(ctx, s.matching(q.Filter), q), s.unreadTags()...)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return arrange(records, q), unread(failures(records))
}

// unreadTags returns records of the tags that could not be read.
func (s *Snapshot) unreadTags() (out []Record) {
	for _, tag := range slices.Sorted(maps.Keys(s.unread)) {
		r := Record{Tags: []string{tag}}
		r.fail(s.unread[tag])
		out = append(out, r)
	}
	return out
}

func failures(records []Record) (out []error) {
	for _, r := range records {
		out = append(out, r.Err)
	}
	return out
}

// matching returns the manifests whose tags match, those below them, and the referrers of any of these.
func (s *Snapshot) matching(filter manifest.Pattern) []digest.Digest {
	if filter == (manifest.Pattern{}) {
		return s.order
	}
	in := map[digest.Digest]bool{}
	add := func(roots ...digest.Digest) {
		for _, d := range s.graph.Below(roots...) {
			in[d] = true
		}
	}
	for tag, d := range s.Tags {
		if filter.Match(tag) {
			add(d)
		}
	}
	for before := -1; before < len(in); {
		before = len(in)
		for _, d := range s.order {
			if !in[d] && in[s.Manifests[d].Subject] {
				add(d)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(s.order), func(d digest.Digest) bool { return !in[d] })
}

// records returns the records of manifests, which are read side by side.
func (s *Snapshot) records(ctx context.Context, digests []digest.Digest, q Query) []Record {
	out, tags := make([]Record, len(digests)), s.tagsByDigest()
	manifest.Concurrently(len(digests), func(i int) {
		out[i] = s.record(ctx, digests[i], q)
		out[i].Tags = slices.SortedFunc(slices.Values(tags[digests[i]]), compareTags)
	})
	return out
}

func (s *Snapshot) record(ctx context.Context, d digest.Digest, q Query) Record {
	m, listed := s.Manifests[d], s.inventory[d]
	detail := q.Detail
	if q.ByTime && listed.Time().IsZero() {
		detail = DetailCreated
	}
	if m.Kind == manifest.KindAttestation {
		detail = DetailManifest // the config has neither
	}
	r := Record{Digest: d, MediaType: m.MediaType}
	n, err := s.graph.Node(d)
	if err == nil {
		r, err = fullRecord(ctx, s.graph, s.repo, n, m.Platform, detail)
		s.measure(&r)
	}
	r.Parents, r.Kind, r.Subject = slices.Compact(m.Parents), m.Kind, m.Subject
	r.setListed(listed)
	if err != nil {
		r.fail(err)
	}
	return r
}

// measure sets the download of an index, and that of each of its images.
func (s *Snapshot) measure(r *Record) {
	if r.Children == nil {
		return
	}
	r.ImageSize = s.imageSize(r.Digest)
	for i := range r.Platforms {
		r.Platforms[i].ImageSize = s.imageSize(r.Platforms[i].Digest)
	}
}

// imageSize returns the download of everything from d down, 0 if that is not known.
func (s *Snapshot) imageSize(d digest.Digest) int64 {
	var nodes []manifest.Node
	for _, d := range s.graph.Below(d) {
		n, err := s.graph.Node(d)
		if err != nil {
			return 0
		}
		nodes = append(nodes, n)
	}
	return imageSize(nodes...)
}

// arrange returns the records in the order of the query, each followed by those that are nested under it.
func arrange(records []Record, q Query) []Record {
	above := parents(records)
	under := map[digest.Digest][]Record{}
	var top []Record
	for _, r := range records {
		if parent := above[r.Digest]; parent != "" {
			under[parent] = append(under[parent], r)
		} else {
			top = append(top, r)
		}
	}
	slices.SortStableFunc(top, func(a, b Record) int {
		if c := b.Time().Compare(a.Time()); q.ByTime && c != 0 {
			return c
		}
		return compareNames(a, b)
	})
	if q.Top > 0 {
		top = top[:min(q.Top, len(top))]
	}
	out := []Record{}
	var visit func(r Record, depth int)
	visit = func(r Record, depth int) {
		r.Depth = depth
		out = append(out, r)
		for _, r := range r.ordered(under[r.Digest]) {
			visit(r, depth+1)
		}
	}
	for _, r := range top {
		visit(r, 0)
	}
	return out
}

// ordered sorts what is nested under r: what it lists in the order of the list, then the others.
func (r Record) ordered(below []Record) []Record {
	position := map[digest.Digest]int{}
	for i, d := range r.Children {
		position[d] = i - len(r.Children)
	}
	slices.SortStableFunc(below, func(a, b Record) int { return cmp.Compare(position[a.Digest], position[b.Digest]) })
	return below
}

// parents returns what each of records is nested under: what it describes or refers to, otherwise the first index that
// lists it. Tags can claim anything, but nothing is nested under itself.
func parents(records []Record) map[digest.Digest]digest.Digest {
	listed := map[digest.Digest]bool{}
	for _, r := range records {
		listed[r.Digest] = r.Digest != ""
	}
	above := map[digest.Digest]digest.Digest{}
	circular := func(d, parent digest.Digest) bool {
		for ; parent != "" && parent != d; parent = above[parent] {
		}
		return parent == d
	}
	for _, r := range records {
		for _, parent := range append([]digest.Digest{r.Subject}, r.Parents...) {
			if listed[parent] && !circular(r.Digest, parent) {
				above[r.Digest] = parent
				break
			}
		}
	}
	return above
}

// compareNames is the order of first tags; records without tags come last, in the order of digests.
func compareNames(a, b Record) int {
	if c := cmp.Compare(min(len(b.Tags), 1), min(len(a.Tags), 1)); c != 0 {
		return c
	}
	return cmp.Or(slices.CompareFunc(a.Tags, b.Tags, compareTags), strings.Compare(a.Digest.String(), b.Digest.String()))
}
