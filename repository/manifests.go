package repository

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ListManifests returns the manifests of a repository, each once. What an index lists follows it with a
// greater Depth, as does what describes or refers to a manifest; Filter, ByTime and Top are about the
// others. Where the registry has no listing of its own, that is what can be reached from tags and refers to
// what a tag names, and notes are told so. A manifest that cannot be read has its Err; the error tells of
// those that are not merely absent.
func ListManifests(ctx context.Context, r manifest.Reader, notes manifest.Reporter, repo reference.Named, q Query) ([]Record, error) {
	s := newManifestReader(r, repo)
	if err := s.find(ctx, notes, q.Filter); err != nil {
		return nil, err
	}
	records := s.records(ctx, s.chosen(q.Filter), q)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return arrange(append(records, s.lost...), q), s.unread(records)
}

// manifestReader has what was read of a repository, and how it hangs together.
type manifestReader struct {
	reader manifest.Reader
	repo   reference.Named
	graph  *manifest.Graph
	// roots were read by a tag or digest; lost are the tags for which that failed.
	roots []digest.Digest
	lost  []Record
	// listed is what the registry's own listing says.
	listed map[digest.Digest]manifest.Listed
	tags   map[digest.Digest][]string

	// all are all manifests, no index after what it lists. The rest is known once they are related.
	all       []digest.Digest
	parents   map[digest.Digest][]digest.Digest
	subjects  map[digest.Digest]digest.Digest
	platforms map[digest.Digest]ocispec.Platform
	kinds     map[digest.Digest]string
}

func newManifestReader(r manifest.Reader, repo reference.Named) *manifestReader {
	return &manifestReader{
		reader: r, repo: reference.TrimNamed(repo), graph: manifest.NewGraph(r),
		listed: map[digest.Digest]manifest.Listed{}, tags: map[digest.Digest][]string{},
	}
}

// find reads what there is: all that the registry lists, or what the tags that match name.
func (s *manifestReader) find(ctx context.Context, notes manifest.Reporter, filter manifest.Pattern) error {
	listed, err := s.reader.Inventory(ctx, s.repo)
	if errdefs.IsNotImplemented(err) {
		without := err
		if err := s.findTags(ctx, filter); err != nil {
			return err
		}
		if errs := s.askReferrers(ctx, s.roots); len(errs) > 0 && ctx.Err() == nil {
			notes.Warn("%v; what refers to a manifest without a tag of its own may be missing", errs[0])
		}
		s.relate()
		notes.Note("%v", without)
		return nil
	}
	if err != nil {
		return err
	}
	refs := make([]reference.Named, len(listed))
	for i, l := range listed {
		s.listed[l.Digest], refs[i] = l, manifest.AtDigest(s.repo, l.Digest)
		s.tags[l.Digest] = l.Tags
	}
	s.read(ctx, refs)
	s.relate()
	return nil
}

// findTags reads what the tags that match name, and what refers to that by its tag.
func (s *manifestReader) findTags(ctx context.Context, filter manifest.Pattern) error {
	tags, err := tagNames(ctx, s.reader, s.repo)
	if err != nil {
		return err
	}
	var chosen, rest []string
	for _, tag := range slices.Compact(slices.Sorted(slices.Values(tags))) {
		if filter.Match(tag) {
			chosen = append(chosen, tag)
		} else {
			rest = append(rest, tag)
		}
	}
	s.read(ctx, s.tagged(chosen))
	s.relate()
	s.readDigestTags(ctx, rest)
	return nil
}

// readDigestTags reads those of tags that are the digest tags of a manifest which was read.
func (s *manifestReader) readDigestTags(ctx context.Context, tags []string) {
	subjects := s.forms()
	s.read(ctx, s.tagged(slices.DeleteFunc(tags, func(tag string) bool {
		form, ok := manifest.CutDigestTag(tag)
		return !ok || subjects[form] == ""
	})))
	s.relate()
}

// askReferrers reads what refers to subjects, where the registry has the referrers API. It asks about one
// first: where that fails, the others would too.
func (s *manifestReader) askReferrers(ctx context.Context, subjects []digest.Digest) []error {
	subjects = slices.Compact(slices.Sorted(slices.Values(subjects)))
	found, errs := make([][]reference.Named, len(subjects)), make([]error, len(subjects))
	var group sync.WaitGroup
	for i, d := range subjects {
		if i > 0 && errs[0] != nil {
			break
		}
		group.Go(func() {
			referrers, err := s.reader.Referrers(ctx, manifest.AtDigest(s.repo, d))
			for _, r := range referrers {
				found[i] = append(found[i], manifest.AtDigest(s.repo, r.Digest))
			}
			errs[i] = err
		})
		if i == 0 {
			group.Wait()
		}
	}
	group.Wait()
	s.read(ctx, slices.Concat(found...))
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil || errdefs.IsNotImplemented(err) })
}

// forms returns the manifests that were read by the form that ReferrersTag gives them.
func (s *manifestReader) forms() map[string]digest.Digest {
	out := map[string]digest.Digest{}
	for _, d := range s.all {
		out[manifest.ReferrersTag(d)] = d
	}
	return out
}

func (s *manifestReader) tagged(tags []string) []reference.Named {
	var out []reference.Named
	for _, tag := range tags {
		out = append(out, manifest.AtTag(s.repo, tag))
	}
	return out
}

// read reads what refs name, and all below that.
func (s *manifestReader) read(ctx context.Context, refs []reference.Named) []manifest.Root {
	roots, _ := s.graph.Read(ctx, refs...) // who asks looks at ctx
	for _, root := range roots {
		tagged, isTag := root.Ref.(reference.Tagged)
		at, isDigest := root.Ref.(reference.Canonical)
		switch {
		case isDigest: // a failure is in the graph
			s.roots = append(s.roots, at.Digest())
		case root.Err != nil:
			r := Record{Tags: []string{tagged.Tag()}}
			r.fail(root.Err)
			s.lost = append(s.lost, r)
		default:
			s.roots = append(s.roots, root.Digest)
		}
		if isTag && root.Err == nil {
			s.tags[root.Digest] = append(s.tags[root.Digest], tagged.Tag())
		}
	}
	return roots
}

// relate finds out how all that was read hangs together.
func (s *manifestReader) relate() {
	s.all = s.graph.Below(s.roots...)
	s.parents, s.subjects = map[digest.Digest][]digest.Digest{}, map[digest.Digest]digest.Digest{}
	s.platforms, s.kinds = map[digest.Digest]ocispec.Platform{}, map[digest.Digest]string{}
	forms := s.forms()
	for _, d := range s.all {
		n, _ := s.graph.Node(d) // one that cannot be read has no relations of its own
		if n.Subject != nil {
			s.subjects[d] = n.Subject.Digest
		}
		for _, tag := range s.tags[d] {
			form, ok := manifest.CutDigestTag(tag)
			subject := cmp.Or(forms[form], manifest.DigestOf(form))
			if ok && subject != "" && subject != d {
				s.subjects[d], s.kinds[d] = subject, manifest.KindArtifact
			}
		}
		for _, child := range n.Children {
			s.parents[child.Digest] = append(s.parents[child.Digest], d)
			if subject := manifest.AttestationSubject(child); subject != "" {
				s.subjects[child.Digest], s.kinds[child.Digest] = subject, manifest.KindAttestation
			} else if child.Platform != nil {
				s.platforms[child.Digest] = *child.Platform
			}
		}
	}
}

// chosen returns the manifests whose tags match, what is below them and what refers to any of these.
func (s *manifestReader) chosen(filter manifest.Pattern) []digest.Digest {
	if filter == (manifest.Pattern{}) {
		return s.all
	}
	in := map[digest.Digest]bool{}
	add := func(roots ...digest.Digest) {
		for _, d := range s.graph.Below(roots...) {
			in[d] = true
		}
	}
	for _, d := range s.all {
		if slices.ContainsFunc(s.tags[d], func(tag string) bool { return filter.Match(tag) }) {
			add(d)
		}
	}
	for before := -1; before < len(in); {
		before = len(in)
		for _, d := range s.all {
			if !in[d] && in[s.subjects[d]] {
				add(d)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(s.all), func(d digest.Digest) bool { return !in[d] })
}

// records returns the records of manifests, which are looked up side by side.
func (s *manifestReader) records(ctx context.Context, digests []digest.Digest, q Query) []Record {
	out := make([]Record, len(digests))
	var group sync.WaitGroup
	for i, d := range digests {
		group.Go(func() { out[i] = s.record(ctx, d, q) })
	}
	group.Wait()
	return out
}

func (s *manifestReader) record(ctx context.Context, d digest.Digest, q Query) Record {
	n, err := s.graph.Node(d)
	detail := q.Detail
	if q.ByTime && s.listed[d].Created.IsZero() {
		detail = DetailCreated
	}
	r := Record{Digest: d, MediaType: s.listed[d].MediaType}
	if err == nil {
		if s.kinds[d] == manifest.KindAttestation {
			detail = DetailManifest // the config tells nothing
		}
		r, err = fullRecord(ctx, s.graph, s.repo, n, s.platforms[d], detail)
		s.measure(&r)
	}
	r.Tags, r.Parents = slices.Compact(slices.SortedFunc(slices.Values(s.tags[d]), compareTags)), slices.Compact(s.parents[d])
	r.Kind, r.Subject = cmp.Or(s.kinds[d], r.Kind), cmp.Or(s.subjects[d], r.Subject)
	r.setListed(s.listed[d])
	if err != nil {
		r.fail(err)
	}
	return r
}

// measure fills in the sizes of an index, in all and for each of its images.
func (s *manifestReader) measure(r *Record) {
	if r.Children == nil {
		return
	}
	r.Size = s.size(r.Digest)
	for i := range r.Platforms {
		r.Platforms[i].Size = s.size(r.Platforms[i].Digest)
	}
}

// size returns what it takes to download all from d on down, 0 when that cannot be told.
func (s *manifestReader) size(d digest.Digest) int64 {
	var nodes []manifest.Node
	for _, d := range s.graph.Below(d) {
		n, err := s.graph.Node(d)
		if err != nil {
			return 0
		}
		nodes = append(nodes, n)
	}
	return sizeOf(nodes...)
}

// unread returns the error for what could not be read, and is not merely absent.
func (s *manifestReader) unread(records []Record) error {
	var failures []error
	for _, r := range append(slices.Clone(records), s.lost...) {
		if r.Err != nil && !errdefs.IsNotFound(r.Err) {
			failures = append(failures, r.Err)
		}
	}
	return unread(failures)
}

// arrange returns the records in the order of the query, each followed by those that stand under it.
func arrange(records []Record, q Query) []Record {
	above := places(records)
	under := map[digest.Digest][]Record{}
	var top []Record
	for _, r := range records {
		if place := above[r.Digest]; place != "" {
			under[place] = append(under[place], r)
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

// ordered returns what stands under r: what it lists in the order of the list, then the others.
func (r Record) ordered(below []Record) []Record {
	position := map[digest.Digest]int{}
	for i, d := range r.Children {
		position[d] = i - len(r.Children)
	}
	slices.SortStableFunc(below, func(a, b Record) int { return cmp.Compare(position[a.Digest], position[b.Digest]) })
	return below
}

// places returns what each of records stands under: what it describes or refers to, else the first index
// that lists it. Tags can claim anything, but nothing stands under itself.
func places(records []Record) map[digest.Digest]digest.Digest {
	there := map[digest.Digest]bool{}
	for _, r := range records {
		there[r.Digest] = r.Digest != ""
	}
	above := map[digest.Digest]digest.Digest{}
	circular := func(d, place digest.Digest) bool {
		for ; place != "" && place != d; place = above[place] {
		}
		return place == d
	}
	for _, r := range records {
		for _, place := range append([]digest.Digest{r.Subject}, r.Parents...) {
			if there[place] && !circular(r.Digest, place) {
				above[r.Digest] = place
				break
			}
		}
	}
	return above
}

// compareNames is the order of first tags; what has none comes last, in the order of digests.
func compareNames(a, b Record) int {
	if c := cmp.Compare(min(len(b.Tags), 1), min(len(a.Tags), 1)); c != 0 {
		return c
	}
	return cmp.Or(slices.CompareFunc(a.Tags, b.Tags, compareTags), strings.Compare(a.Digest.String(), b.Digest.String()))
}
