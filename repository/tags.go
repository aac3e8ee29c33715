package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Query says what of a repository is listed, and in which order.
type Query struct {
	// Filter is for tags.
	Filter manifest.Pattern
	// Digest keeps the tags that name it, where it is not empty.
	Digest digest.Digest
	// ByTime lists the newest first, and what has no time last; otherwise the order is that of names, in
	// which numbers count as numbers.
	ByTime bool
	// Top keeps as many of the first, where it is not 0.
	Top    int
	Detail Detail
}

// TagRecord is a tag, and the manifest it names.
type TagRecord struct {
	Tag string `json:"tag"`
	Record
}

// ListTags returns the tags of a repository. The registry's own listing tells what it can; besides, there
// are two requests for each tag at most, for manifest and config, and more only where it has to be known
// when the images of an index were made. A tag that cannot be read has its Err; the error tells of those
// that are not merely absent.
func ListTags(ctx context.Context, r manifest.Reader, repo reference.Named, q Query) ([]TagRecord, error) {
	tags, err := q.tags(ctx, r, repo)
	if err != nil {
		return nil, err
	}
	l := tagReader{reader: r, repo: repo, graph: manifest.NewGraph(r)}
	if q.Digest != "" {
		l.look(ctx, tags, DetailDigest)
		tags = slices.DeleteFunc(tags, func(t *TagRecord) bool { return t.Digest != q.Digest })
	}
	if q.ByTime {
		l.look(ctx, slices.DeleteFunc(slices.Clone(tags), func(t *TagRecord) bool { return t.CreatedTime != nil }), DetailCreated)
		slices.SortStableFunc(tags, func(a, b *TagRecord) int { return b.Time().Compare(a.Time()) })
	}
	if q.Top > 0 {
		tags = tags[:min(q.Top, len(tags))]
	}
	l.look(ctx, tags, q.Detail)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]TagRecord, len(tags))
	for i, t := range tags {
		out[i] = *t
	}
	return out, unread(l.failures)
}

// tags returns the tags that match, sorted, with what the registry's own listing says of them.
func (q Query) tags(ctx context.Context, r manifest.Reader, repo reference.Named) ([]*TagRecord, error) {
	var out []*TagRecord
	add := func(l manifest.Listed, names ...string) {
		for _, name := range names {
			if q.Filter.Match(name) {
				t := &TagRecord{Tag: name}
				t.take(listedRecord(l), nil)
				out = append(out, t)
			}
		}
	}
	listed, err := q.inventory(ctx, r, repo)
	for _, l := range listed {
		add(l, l.Tags...)
	}
	if errdefs.IsNotImplemented(err) {
		var names []string
		names, err = tagNames(ctx, r, repo)
		add(manifest.Listed{}, names...)
	}
	slices.SortStableFunc(out, func(a, b *TagRecord) int { return compareTags(a.Tag, b.Tag) })
	return slices.CompactFunc(out, func(a, b *TagRecord) bool { return a.Tag == b.Tag }), err
}

// inventory asks for the registry's own listing when more than names is needed.
func (q Query) inventory(ctx context.Context, l manifest.Lister, repo reference.Named) ([]manifest.Listed, error) {
	if q.Detail == DetailName && !q.ByTime && q.Digest == "" {
		return nil, errdefs.ErrNotImplemented
	}
	return l.Inventory(ctx, repo)
}

// tagNames returns the tags of a repository, which has to exist.
func tagNames(ctx context.Context, l manifest.Lister, repo reference.Named) ([]string, error) {
	names, err := l.Tags(ctx, repo)
	if errdefs.IsNotFound(err) {
		err = fmt.Errorf("no such repository: %s; 'docker multiarch repo ls %s' shows which there are: %w",
			reference.FamiliarName(repo), reference.Domain(repo), err)
	}
	return names, err
}

// listedRecord returns what a listing tells of a manifest, and is sure to mean what we mean.
func listedRecord(l manifest.Listed) Record {
	r := Record{Digest: l.Digest, MediaType: l.MediaType, platform: l.Platform}
	if l.Digest != "" {
		r.detail = DetailDigest
	}
	r.setListed(l)
	return r
}

// take makes r what is known of the tag, or err why no more is.
func (t *TagRecord) take(r Record, err error) {
	if r.Digest != "" {
		r.CreatedTime, r.LastUpdateTime, r.ChangeableAttributes = cmp.Or(r.CreatedTime, t.CreatedTime),
			cmp.Or(r.LastUpdateTime, t.LastUpdateTime), cmp.Or(r.ChangeableAttributes, t.ChangeableAttributes)
		t.Record = r
	}
	if form, ok := manifest.CutDigestTag(t.Tag); ok {
		t.Kind, t.Subject = manifest.KindArtifact, cmp.Or(manifest.DigestOf(form), t.Subject)
	}
	if err != nil {
		t.fail(err)
	}
}

// tagReader looks up the tags of a repository.
type tagReader struct {
	reader   manifest.Reader
	repo     reference.Named
	graph    *manifest.Graph
	failures []error
}

// look brings what is known of tags to a detail, side by side. Tags that are known to name one digest are
// looked up together.
func (l *tagReader) look(ctx context.Context, tags []*TagRecord, detail Detail) {
	tags = slices.DeleteFunc(slices.Clone(tags), func(t *TagRecord) bool { return t.Err != nil || t.detail >= t.needs(detail) })
	same := map[string][]*TagRecord{}
	var deep []reference.Named
	for _, t := range tags {
		ref := l.ref(t)
		if same[ref.String()] == nil && t.needs(detail) == DetailCreated {
			deep = append(deep, ref)
		}
		same[ref.String()] = append(same[ref.String()], t)
	}
	read, _ := l.graph.Read(ctx, deep...) // ListTags looks at ctx
	roots := map[string]manifest.Root{}
	for _, root := range read {
		roots[root.Ref.String()] = root
	}
	var group sync.WaitGroup
	for key, tags := range same {
		group.Go(func() {
			r, err := l.record(ctx, tags[0], roots[key], tags[0].needs(detail))
			for _, t := range tags {
				t.take(r, err)
			}
		})
	}
	group.Wait()
	for _, t := range tags {
		if t.Err != nil && !errdefs.IsNotFound(t.Err) {
			l.failures = append(l.failures, t.Err)
		}
	}
}

// needs returns what of detail is not told by the registry's own listing.
func (t *TagRecord) needs(detail Detail) Detail {
	if t.CreatedTime != nil {
		return min(detail, DetailPlatform)
	}
	return detail
}

// ref returns the digest that the tag names, where it is known, else the tag.
func (l *tagReader) ref(t *TagRecord) reference.Named {
	if t.Digest != "" {
		return manifest.AtDigest(l.repo, t.Digest)
	}
	return manifest.AtTag(l.repo, t.Tag)
}

// record looks up what a tag names; root is what the graph has of it, empty where it was not read.
func (l *tagReader) record(ctx context.Context, t *TagRecord, root manifest.Root, detail Detail) (Record, error) {
	if detail == DetailDigest {
		d, err := l.reader.Digest(ctx, l.ref(t))
		return Record{Digest: d, detail: DetailDigest}, err
	}
	n, err := l.node(ctx, t, root)
	if err != nil {
		return Record{}, err
	}
	return fullRecord(ctx, l.graph, l.repo, n, t.platform, detail)
}

func (l *tagReader) node(ctx context.Context, t *TagRecord, root manifest.Root) (manifest.Node, error) {
	switch {
	case root.Err != nil:
		return manifest.Node{}, root.Err
	case root.Digest != "":
		return l.graph.Node(root.Digest)
	}
	c, err := l.reader.Fetch(ctx, l.ref(t))
	if err != nil {
		return manifest.Node{}, err
	}
	return manifest.ParseNode(c)
}

// fullRecord returns the record of a manifest. The platform of an image is in its config when it is not
// given. With DetailCreated, the graph has to have what is below an index. What an absent config would tell
// is not told; with an error, the record has what was told before.
func fullRecord(ctx context.Context, g *manifest.Graph, repo reference.Named, n manifest.Node, platform ocispec.Platform, detail Detail) (Record, error) {
	r := recordOf(n)
	r.detail = detail
	if r.Kind == manifest.KindImage {
		if platform.OS == "" && detail >= DetailPlatform {
			raw, err := g.Blob(ctx, repo, *n.Config)
			if err == nil {
				platform, err = manifest.ParseConfig(raw)
			}
			if err != nil && !errdefs.IsNotFound(err) {
				return r, fmt.Errorf("platform of %s: %w", manifest.Familiar(manifest.AtDigest(repo, r.Digest)), err)
			}
		}
		r.setPlatform(platform)
	}
	if detail >= DetailCreated {
		made, err := g.Created(ctx, repo, r.Digest)
		if err != nil && !errdefs.IsNotFound(err) {
			return r, fmt.Errorf("creation time of %s: %w", manifest.Familiar(manifest.AtDigest(repo, r.Digest)), err)
		}
		r.Created = timeOrNil(made)
	}
	return r, nil
}

// maxFailures is how many failures are told one by one.
const maxFailures = 5

// unread returns the error for what could not be read.
func unread(failures []error) error {
	if more := len(failures) - maxFailures; more > 0 {
		return errors.Join(append(slices.Clone(failures[:maxFailures]), fmt.Errorf("%d more could not be read", more))...)
	}
	return errors.Join(failures...)
}
