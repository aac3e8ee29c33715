package repository

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Manifests returns the manifests of a repository, each once. What an index lists follows it with a greater Depth, as
// does what describes or refers to a manifest; Filter, ByTime and Top apply to the others. If the registry has no
// inventory, these are the manifests below tags and their referrers, which is reported. A manifest that cannot be read
// has its Err; the error reports those that are not merely absent. The records are made one by one, from what was read.
func Manifests(ctx context.Context, r manifest.Reader, report manifest.Reporter, repo reference.Named, q Query) (iter.Seq[Record], error) {
	s := newSnapshot(r, repo)
	s.graph.NoBytes = true
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
	rows := s.rows(ctx, s.matching(q.Filter), q)
	for _, tag := range slices.Sorted(maps.Keys(s.unread)) {
		rows = append(rows, row{tags: []string{tag}, err: s.unread[tag]})
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.records(ctx, s.arrange(rows, q), q), unread(failures(rows))
}

// row is a record that is listed, as far as its position depends on it.
type row struct {
	digest digest.Digest
	tags   []string
	time   time.Time
	depth  int
	err    error
}

func failures(rows []row) (out []error) {
	for _, r := range rows {
		out = append(out, r.err)
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

// rows returns the rows of manifests, whose configs are read side by side as far as their records need them.
func (s *Snapshot) rows(ctx context.Context, digests []digest.Digest, q Query) []row {
	out, tags := make([]row, len(digests)), s.tagsByDigest()
	manifest.Concurrently(len(digests), func(i int) {
		out[i] = row{digest: digests[i], tags: tags[digests[i]]}
		slices.SortFunc(out[i].tags, compareTags)
		r := s.record(ctx, out[i], q)
		out[i].time, out[i].err = r.Time(), r.Err
	})
	return out
}

func (s *Snapshot) records(ctx context.Context, rows []*row, q Query) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for _, r := range rows {
			if !yield(s.record(ctx, *r, q)) {
				return
			}
		}
	}
}

// record returns the record of a row. Configs are read unless the graph has read them before.
func (s *Snapshot) record(ctx context.Context, row row, q Query) Record {
	if row.digest == "" {
		r := Record{Tags: row.tags}
		r.fail(row.err)
		return r
	}
	m, listed := s.Manifests[row.digest], s.inventory[row.digest]
	detail := q.Detail
	if q.ByTime && listed.Time().IsZero() {
		detail = DetailCreated
	}
	if m.Kind == manifest.KindAttestation {
		detail = DetailManifest // the config has neither
	}
	r := Record{Digest: row.digest, MediaType: m.MediaType}
	n, err := s.graph.Node(row.digest)
	if err == nil {
		r, err = fullRecord(ctx, s.graph, s.repo, n, m.Platform, detail)
		if r.Children != nil {
			r.ImageSize = s.imageSize(r.Digest)
		}
		for i := range r.Platforms {
			r.Platforms[i].ImageSize = s.imageSize(r.Platforms[i].Digest)
		}
	}
	r.Tags, r.Depth = row.tags, row.depth
	r.Parents, r.Kind, r.Subject = slices.Compact(m.Parents), m.Kind, m.Subject
	r.setListed(listed)
	if err != nil {
		r.fail(err)
	}
	return r
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
	return manifest.ImageSize(nodes...)
}

// arrange returns rows in the order of the query, each followed by those that are nested under it.
func (s *Snapshot) arrange(rows []row, q Query) []*row {
	above := s.parents(rows)
	under := map[digest.Digest][]*row{}
	var top []*row
	for i := range rows {
		r := &rows[i]
		if parent := above[r.digest]; parent != "" {
			under[parent] = append(under[parent], r)
		} else {
			top = append(top, r)
		}
	}
	slices.SortStableFunc(top, func(a, b *row) int {
		if c := b.time.Compare(a.time); q.ByTime && c != 0 {
			return c
		}
		return compareNames(a, b)
	})
	top = arranged(top, q)
	out := make([]*row, 0, len(rows))
	var visit func(r *row, depth int)
	visit = func(r *row, depth int) {
		r.depth = depth
		out = append(out, r)
		for _, r := range ordered(s.Manifests[r.digest].Children, under[r.digest]) {
			visit(r, depth+1)
		}
	}
	for _, r := range top {
		visit(r, 0)
	}
	return out
}

// ordered sorts what is nested under a manifest: what it lists in the order of the list, then the others.
func ordered(children []digest.Digest, below []*row) []*row {
	position := map[digest.Digest]int{}
	for i, d := range children {
		position[d] = i - len(children)
	}
	slices.SortStableFunc(below, func(a, b *row) int { return cmp.Compare(position[a.digest], position[b.digest]) })
	return below
}

// parents returns what each of rows is nested under: what it describes or refers to, otherwise the first index that
// lists it. Tags can claim anything, but nothing is nested under itself.
func (s *Snapshot) parents(rows []row) map[digest.Digest]digest.Digest {
	listed := make(map[digest.Digest]bool, len(rows))
	for _, r := range rows {
		listed[r.digest] = r.digest != ""
	}
	above := map[digest.Digest]digest.Digest{}
	circular := func(d, parent digest.Digest) bool {
		for ; parent != "" && parent != d; parent = above[parent] {
		}
		return parent == d
	}
	for _, r := range rows {
		m := s.Manifests[r.digest]
		for _, parent := range append([]digest.Digest{m.Subject}, m.Parents...) {
			if listed[parent] && !circular(r.digest, parent) {
				above[r.digest] = parent
				break
			}
		}
	}
	return above
}

// compareNames is the order of first tags; records without tags come last, in the order of digests.
func compareNames(a, b *row) int {
	if c := cmp.Compare(min(len(b.tags), 1), min(len(a.tags), 1)); c != 0 {
		return c
	}
	return cmp.Or(slices.CompareFunc(a.tags, b.tags, compareTags), strings.Compare(a.digest.String(), b.digest.String()))
}
