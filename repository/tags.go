package repository

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Query selects what of a repository is listed, and in which order.
type Query struct {
	// Filter selects tags.
	Filter manifest.Pattern
	// Digest selects the tags that point to it, unless it is empty.
	Digest digest.Digest
	// ByTime lists the newest first, and records without a time last; otherwise the order is that of names, in
	// which numbers count as numbers.
	ByTime bool
	// Reverse lists in the opposite order.
	Reverse bool
	// Top is how many are listed at most, 0 for all: the first or, with ByTime, the newest in either order.
	Top    int
	Detail Detail
}

// TagRecord is a tag, and the manifest that it points to.
type TagRecord struct {
	Tag string `json:"tag"` // its name
	Record

	// listed is what the registry's inventory says of the manifest, never nil.
	listed *manifest.Listed
}

// Tags returns the tags of a repository. Beside the registry's inventory or the list of tags, it takes two requests
// for each tag at most, for manifest and config, and more only if it has to know when the images of an index were
// created. A tag that cannot be read has its Err; the error reports those that are not merely absent.
func Tags(ctx context.Context, r manifest.Reader, repo reference.Named, q Query) ([]TagRecord, error) {
	s := newSnapshot(r, repo)
	s.graph.NoBytes = true
	all, err := s.tagRecords(ctx, q)
	if err != nil {
		return nil, err
	}
	tags := slices.Clone(all)
	if q.Digest != "" {
		s.readRecords(ctx, tags, DetailDigest)
		tags = slices.DeleteFunc(tags, func(t *TagRecord) bool { return t.Digest != q.Digest })
	}
	if q.ByTime {
		s.readRecords(ctx, slices.DeleteFunc(slices.Clone(tags), (*TagRecord).hasTime), DetailCreated)
		slices.SortStableFunc(tags, func(a, b *TagRecord) int { return b.Time().Compare(a.Time()) })
	}
	tags = arranged(tags, q)
	s.readRecords(ctx, tags, q.Detail)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var failures []error
	for _, t := range all {
		failures = append(failures, t.Err)
	}
	out := make([]TagRecord, len(tags))
	for i, t := range tags {
		out[i] = *t
	}
	return out, unread(failures)
}

// arranged returns what Top and Reverse select of sorted items.
func arranged[T any](sorted []T, q Query) []T {
	if q.Reverse && !q.ByTime {
		slices.Reverse(sorted)
	}
	if q.Top > 0 {
		sorted = sorted[:min(q.Top, len(sorted))]
	}
	if q.Reverse && q.ByTime {
		slices.Reverse(sorted)
	}
	return sorted
}

// tagRecords returns the tags that match, sorted, with what the registry's inventory says of them. That is asked for
// only if more than names is needed.
func (s *Snapshot) tagRecords(ctx context.Context, q Query) ([]*TagRecord, error) {
	list := s.list
	if q.Detail == DetailName && !q.ByTime && q.Digest == "" {
		list = s.listTags
	}
	names, err := list(ctx)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !q.Filter.Match(name) })
	slices.SortFunc(names, compareTags)
	names = slices.Compact(names)
	out := make([]*TagRecord, len(names))
	notListed := &manifest.Listed{}
	for i, name := range names {
		t := &TagRecord{Tag: name, listed: notListed}
		if l, ok := s.inventory[s.Tags[name]]; ok {
			t.listed = &l
		}
		r := Record{Digest: t.listed.Digest, MediaType: t.listed.MediaType}
		if r.Digest != "" {
			r.detail = DetailDigest
		}
		t.set(r, nil)
		out[i] = t
	}
	return out, nil
}

// hasTime reports whether the registry's inventory says how old the manifest is.
func (t *TagRecord) hasTime() bool { return !t.listed.Time().IsZero() }

// needs returns the part of detail that the registry's inventory does not have.
func (t *TagRecord) needs(detail Detail) Detail {
	if t.hasTime() {
		return min(detail, DetailPlatform)
	}
	return detail
}

// set sets what is known of the tag, and why no more is.
func (t *TagRecord) set(r Record, err error) {
	if r.Digest != "" {
		r.setListed(*t.listed)
		t.Record = r
	}
	if form, ok := manifest.CutDigestTag(t.Tag); ok {
		t.Kind, t.Subject = manifest.KindArtifact, cmp.Or(manifest.DigestOf(form), t.Subject)
	}
	if err != nil {
		t.fail(err)
	}
}

// readRecords reads tags up to a detail, side by side; those that are known to point to one manifest together.
func (s *Snapshot) readRecords(ctx context.Context, tags []*TagRecord, detail Detail) {
	same := map[string][]*TagRecord{}
	var deep []reference.Named
	for _, t := range tags {
		if t.Err != nil || t.detail >= t.needs(detail) {
			continue
		}
		ref := s.ref(t)
		if same[ref.String()] == nil && t.needs(detail) == DetailCreated {
			deep = append(deep, ref)
		}
		same[ref.String()] = append(same[ref.String()], t)
	}
	read, _ := s.graph.Read(ctx, deep...) // Tags looks at ctx
	roots := map[string]manifest.Root{}
	for _, root := range read {
		roots[root.Ref.String()] = root
	}
	keys := slices.Collect(maps.Keys(same))
	manifest.Concurrently(len(keys), func(i int) {
		tags := same[keys[i]]
		r, err := s.tagRecord(ctx, tags[0], roots[keys[i]], tags[0].needs(detail))
		for _, t := range tags {
			t.set(r, err)
		}
	})
}

// ref returns the digest that a tag points to, if it is known, otherwise the tag.
func (s *Snapshot) ref(t *TagRecord) reference.Named {
	if t.Digest != "" {
		return manifest.AtDigest(s.repo, t.Digest)
	}
	return manifest.AtTag(s.repo, t.Tag)
}

// tagRecord reads what a tag points to; root is what the graph has of it, empty if that was not read.
func (s *Snapshot) tagRecord(ctx context.Context, t *TagRecord, root manifest.Root, detail Detail) (Record, error) {
	if detail == DetailDigest {
		d, err := s.registry.Digest(ctx, s.ref(t))
		return Record{Digest: d, detail: DetailDigest}, err
	}
	var n manifest.Node
	err := root.Err
	if root.Digest != "" {
		n, err = s.graph.Node(root.Digest)
	} else if err == nil {
		var c manifest.Content
		if c, err = s.registry.Fetch(ctx, s.ref(t)); err == nil {
			n, err = manifest.ParseNode(c)
		}
	}
	if err != nil {
		return Record{}, err
	}
	return fullRecord(ctx, s.graph, s.repo, n, &t.listed.Platform, detail)
}
