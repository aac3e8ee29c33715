package repository

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// contentsReader reads the contents of a repository, again and again: manifests that it knows are not read twice.
type contentsReader struct {
	manifest.Access
	repo  reference.Named
	graph *manifest.Graph
	// last is what was read last, nil before.
	last *Contents
	// bare says that the repository may have no tags.
	bare bool
	// opaque are manifests that need not be readable: they were named one by one.
	opaque map[digest.Digest]bool
	// unanswered are names that the registry lists and that answer 404, twice.
	unanswered []string
	// lenient says that unanswered names are no error.
	lenient bool
	// unlisted is why the registry does not list its manifests, nil when it does.
	unlisted error
	// more are manifests beside what the tags name and the registry lists; asked are those that the registry
	// was asked about for their referrers.
	more  []digest.Digest
	asked map[digest.Digest]bool
}

func newContentsReader(a manifest.Access, repo reference.Named) *contentsReader {
	return &contentsReader{Access: a, repo: reference.TrimNamed(repo), graph: manifest.NewGraph(a.Registry), asked: map[digest.Digest]bool{}}
}

// read returns the contents: the registry's own listing, or else the tags, and everything below. What is
// listed and cannot be read is an error, unless it is gone.
func (s *contentsReader) read(ctx context.Context) (Contents, error) {
	s.unanswered = nil
	c := Contents{Tags: map[string]digest.Digest{}, Manifests: map[digest.Digest]Held{}}
	listed, err := s.Registry.Inventory(ctx, s.repo)
	switch {
	case err == nil:
		c.Listed, s.unlisted = true, nil
		err = s.readListed(ctx, c, listed)
	case errdefs.IsNotImplemented(err) && (s.last == nil || !s.last.Listed): // else what it listed would count no more
		s.unlisted = err
		err = s.readTags(ctx, c)
	}
	if err == nil {
		err = s.answered()
	}
	if err == nil {
		err = s.fill(ctx, c)
	}
	if err != nil {
		return Contents{}, s.unchanged(err)
	}
	s.last, s.bare = &c, true
	return c, nil
}

// answered returns an error if the registry lists names and answers 404 for them: what they need is not known.
// Where only what was named is removed, it is a warning.
func (s *contentsReader) answered() error {
	if len(s.unanswered) == 0 {
		return nil
	}
	err := manifest.Errorf(errdefs.ErrUnavailable, "%s lists names of %s for which it answers 404, so the manifests they need are unknown: %s",
		reference.Domain(s.repo), reference.FamiliarName(s.repo), manifest.JoinSome(s.unanswered))
	if s.lenient {
		s.Notes.Warn("%v", err)
		return nil
	}
	return err
}

func (s *contentsReader) unchanged(err error) error {
	return fmt.Errorf("%w; nothing was removed from %s", err, reference.FamiliarName(s.repo))
}

// readListed reads what the registry lists.
func (s *contentsReader) readListed(ctx context.Context, c Contents, listed []manifest.Listed) error {
	var digests []digest.Digest
	for _, l := range listed {
		digests = append(digests, l.Digest)
		c.Manifests[l.Digest] = Held{MediaType: l.MediaType, Time: l.Time(), Locked: l.Locked}
		for _, tag := range l.Tags {
			c.Tags[tag] = l.Digest
		}
	}
	if err := s.visit(ctx, digests); err != nil {
		return err
	}
	absent := slices.DeleteFunc(digests, func(d digest.Digest) bool { return !s.isAbsent(d) })
	absent, err := retryAbsent(ctx, absent, func(absent []digest.Digest) ([]digest.Digest, error) { return s.listedAgain(ctx, c, absent) })
	tags := c.tagsByDigest()
	for _, d := range absent {
		if len(tags[d]) == 0 {
			s.unanswered = append(s.unanswered, manifest.Familiar(manifest.AtDigest(s.repo, d)))
		}
		for _, tag := range tags[d] {
			s.unanswered = append(s.unanswered, s.name(tag))
		}
	}
	return err
}

// listedAgain forgets those of the absent manifests that another listing lacks, and reads the others once more. It
// returns those that are still absent.
func (s *contentsReader) listedAgain(ctx context.Context, c Contents, absent []digest.Digest) ([]digest.Digest, error) {
	listed, err := s.Registry.Inventory(ctx, s.repo)
	if err != nil {
		return nil, err
	}
	still := map[digest.Digest]bool{}
	for _, l := range listed {
		still[l.Digest] = true
	}
	for _, d := range absent {
		if !still[d] {
			delete(c.Manifests, d)
			maps.DeleteFunc(c.Tags, func(_ string, is digest.Digest) bool { return is == d })
		}
	}
	absent = slices.DeleteFunc(absent, func(d digest.Digest) bool { return !still[d] })
	s.graph.Forget(absent...)
	if err := s.visit(ctx, absent); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(absent, func(d digest.Digest) bool { return !s.isAbsent(d) }), nil
}

// absentDelays are the pauses before what is listed and answers 404 is listed and read again: others may be
// removing it, and replicas may lag behind.
var absentDelays = []time.Duration{0, time.Second / 4, time.Second / 2, time.Second, 2 * time.Second}

// retryAbsent calls again, which returns what is still absent, until that is nothing or has been absent too often.
func retryAbsent[T any](ctx context.Context, absent []T, again func([]T) ([]T, error)) ([]T, error) {
	for _, delay := range absentDelays {
		if len(absent) == 0 {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(delay):
		}
		var err error
		if absent, err = again(absent); err != nil {
			return nil, err
		}
	}
	return absent, nil
}

// isAbsent reports whether the registry answered that it does not have the manifest d.
func (s *contentsReader) isAbsent(d digest.Digest) bool {
	_, err := s.graph.Node(d)
	return errdefs.IsNotFound(err) && !s.opaque[d]
}

// readTags reads what the tags name. A tag that answers 404 is gone only if another listing lacks it: what it needs
// is not known.
func (s *contentsReader) readTags(ctx context.Context, c Contents) error {
	tags, err := s.tags(ctx)
	if err != nil {
		return err
	}
	absent, err := s.readTagged(ctx, c, tags)
	if err != nil {
		return err
	}
	absent, err = retryAbsent(ctx, absent, func(absent []string) ([]string, error) {
		tags, err := s.tags(ctx)
		if err != nil {
			return nil, err
		}
		return s.readTagged(ctx, c, slices.DeleteFunc(absent, func(tag string) bool { return !slices.Contains(tags, tag) }))
	})
	for _, tag := range absent {
		s.unanswered = append(s.unanswered, s.name(tag))
	}
	return err
}

// tags returns the tags of the repository, which may have none once it was seen.
func (s *contentsReader) tags(ctx context.Context) ([]string, error) {
	tags, err := tagNames(ctx, s.Registry, s.repo)
	if s.bare && errdefs.IsNotFound(err) {
		return nil, nil
	}
	return tags, err
}

// readTagged reads what tags name, and returns those that answer 404. What they named before is not read again.
func (s *contentsReader) readTagged(ctx context.Context, c Contents, tags []string) (absent []string, err error) {
	refs := make([]reference.Named, len(tags))
	for i, tag := range tags {
		refs[i] = manifest.AtTag(s.repo, tag)
	}
	var roots []manifest.Root
	if s.last == nil {
		roots, err = s.graph.Read(ctx, refs...)
	} else {
		roots, err = s.resolve(ctx, refs)
	}
	if err != nil {
		return nil, err
	}
	var digests []digest.Digest
	for i, root := range roots {
		switch {
		case errdefs.IsNotFound(root.Err):
			absent = append(absent, tags[i])
			continue
		case root.Err != nil:
			if root.Digest, err = s.opaqueRoot(ctx, root); err != nil {
				return nil, err
			}
		}
		c.Tags[tags[i]] = root.Digest
		digests = append(digests, root.Digest)
	}
	if err := s.visit(ctx, digests); err != nil {
		return nil, err
	}
	for i, root := range roots {
		if d := root.Digest; d != "" && s.isAbsent(d) {
			delete(c.Tags, tags[i])
			s.graph.Forget(d)
			absent = append(absent, tags[i])
		}
	}
	return absent, nil
}

// opaqueRoot returns the digest of a root that could not be read, if it need not be.
func (s *contentsReader) opaqueRoot(ctx context.Context, root manifest.Root) (digest.Digest, error) {
	if unreadable(root.Err) && len(s.opaque) > 0 {
		if d, err := s.Registry.Digest(ctx, root.Ref); err == nil && s.opaque[d] {
			return d, nil
		}
	}
	return "", fmt.Errorf("reading %s: %w", manifest.Familiar(root.Ref), root.Err)
}

// unreadable reports whether err says that there is something, but no manifest.
func unreadable(err error) bool { return errdefs.IsInvalidArgument(err) || errdefs.IsDataLoss(err) }

// resolve returns what refs name now, without reading it.
func (s *contentsReader) resolve(ctx context.Context, refs []reference.Named) ([]manifest.Root, error) {
	roots := make([]manifest.Root, len(refs))
	var group sync.WaitGroup
	for i, ref := range refs {
		group.Go(func() {
			d, err := s.Registry.Digest(ctx, ref)
			roots[i] = manifest.Root{Ref: ref, Digest: d, Err: err}
		})
	}
	group.Wait()
	return roots, ctx.Err()
}

// visit reads manifests that are not known yet.
func (s *contentsReader) visit(ctx context.Context, digests []digest.Digest) error {
	var refs []reference.Named
	for _, d := range slices.Compact(slices.Sorted(slices.Values(digests))) {
		if !s.graph.Has(d) {
			refs = append(refs, manifest.AtDigest(s.repo, d))
		}
	}
	roots, err := s.graph.Read(ctx, refs...)
	for _, root := range roots {
		is := root.Ref.(reference.Canonical).Digest()
		if err == nil && root.Err != nil && !errdefs.IsNotFound(root.Err) && (!s.opaque[is] || !unreadable(root.Err)) {
			err = fmt.Errorf("reading %s: %w", manifest.Familiar(root.Ref), root.Err)
		}
	}
	return err
}

// fill puts what was read, from the tags and the listed manifests down, into c.
func (s *contentsReader) fill(ctx context.Context, c Contents) error {
	roots := slices.Concat(slices.Collect(maps.Keys(c.Manifests)), slices.Collect(maps.Values(c.Tags)), s.more)
	for d, held := range c.Manifests {
		held.Children, held.Subjects = nil, nil
		c.Manifests[d] = held
	}
	for _, d := range s.graph.Below(roots...) {
		n, err := s.graph.Node(d)
		switch {
		case err != nil && s.opaque[d]:
			c.add(manifest.Node{Content: manifest.Content{Descriptor: ocispec.Descriptor{Digest: d, MediaType: c.Manifests[d].MediaType}}})
		case errdefs.IsNotFound(err): // of an index that is not complete, or gone since it was listed
			delete(c.Manifests, d)
		case err != nil:
			return fmt.Errorf("reading %s: %w", manifest.Familiar(manifest.AtDigest(s.repo, d)), err)
		default:
			c.add(n)
		}
	}
	return ctx.Err()
}

// plan returns a plan. Referrers of what goes that were not known are added to c.
func (s *contentsReader) plan(ctx context.Context, c Contents, r Removal) (Plan, error) {
	for {
		p := c.Plan(r)
		if c.Listed || !r.Recursive {
			return p, nil
		}
		found, err := s.ask(ctx, p)
		if err != nil {
			return p, s.unchanged(err)
		}
		if len(found) == 0 {
			return p, nil
		}
		if err := s.extend(ctx, c, found); err != nil {
			return p, s.unchanged(err)
		}
	}
}

// extend puts more manifests, and what is below them, into c.
func (s *contentsReader) extend(ctx context.Context, c Contents, more []digest.Digest) error {
	s.more = append(s.more, more...)
	if err := s.visit(ctx, more); err != nil {
		return err
	}
	return s.fill(ctx, c)
}

// ask returns the referrers of what a plan deletes, by the referrers API where there is one: those in a
// digest tag are known.
func (s *contentsReader) ask(ctx context.Context, p Plan) ([]digest.Digest, error) {
	var mu sync.Mutex
	var found []digest.Digest
	group, ctx := errgroup.WithContext(ctx)
	for _, step := range p.Steps {
		if step.Lone || s.asked[step.Digest] {
			continue
		}
		s.asked[step.Digest] = true
		group.Go(func() error {
			referrers, err := s.Registry.Referrers(ctx, manifest.AtDigest(s.repo, step.Digest))
			if errdefs.IsNotImplemented(err) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range referrers {
				found = append(found, d.Digest)
			}
			return err
		})
	}
	err := group.Wait()
	return found, err
}

// again returns the contents as they are now, and r less what has changed since c was read: tags that are
// new or name something else stay, and what tags named that are gone and were to stay. Each is told.
func (s *contentsReader) again(ctx context.Context, c Contents, r Removal) (Contents, Removal, error) {
	now, err := s.read(ctx)
	if err != nil {
		return now, r, err
	}
	r.StayTags = maps.Clone(r.StayTags)
	if r.StayTags == nil {
		r.StayTags = map[string]bool{}
	}
	for _, tag := range slices.Sorted(maps.Keys(now.Tags)) {
		was, known := c.Tags[tag]
		switch {
		case known && was == now.Tags[tag]:
			continue
		case known:
			s.Notes.Warn("%s points at %s now, not at %s: it stays", s.name(tag), now.Tags[tag], was)
		default:
			s.Notes.Warn("%s is new: it stays", s.name(tag))
		}
		r.StayTags[tag] = true
	}
	lost := s.lost(c, now, r)
	if len(lost) == 0 {
		return now, r, nil
	}
	r.Stay = maps.Clone(r.Stay)
	if r.Stay == nil {
		r.Stay = map[digest.Digest]bool{}
	}
	for _, d := range lost {
		r.Stay[d] = true
	}
	if err := s.extend(ctx, now, lost); err != nil {
		return now, r, s.unchanged(err)
	}
	return now, r, nil
}

// lost returns what tags named that were to stay and are gone now: the registry may have them again.
func (s *contentsReader) lost(c, now Contents, r Removal) []digest.Digest {
	var out []digest.Digest
	for _, tag := range slices.Sorted(maps.Keys(c.Tags)) {
		if _, there := now.Tags[tag]; !there && !r.Tags[tag] {
			s.Notes.Warn("%s is gone: what it named stays", s.name(tag))
			out = append(out, c.Tags[tag])
		}
	}
	return out
}

// times puts into c when the images say they were made that these tags name, where the registry does not
// tell its own times.
func (s *contentsReader) times(ctx context.Context, c Contents, tags []string) error {
	digests := map[digest.Digest]bool{}
	for _, tag := range tags {
		if d := c.Tags[tag]; c.Manifests[d].Time.IsZero() {
			digests[d] = true
		}
	}
	made := map[digest.Digest]time.Time{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for d := range digests {
		group.Go(func() error {
			t, err := s.graph.Created(ctx, s.repo, d)
			if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsInvalidArgument(err) {
				return fmt.Errorf("reading when %s was made: %w", manifest.Familiar(manifest.AtDigest(s.repo, d)), err)
			}
			mu.Lock()
			defer mu.Unlock()
			made[d] = t
			return nil
		})
	}
	err := group.Wait()
	for d, t := range made {
		held := c.Manifests[d]
		held.Time = t
		c.Manifests[d] = held
	}
	return err
}

// name is a tag of the repository as a person types it.
func (s *contentsReader) name(tag string) string { return reference.FamiliarName(s.repo) + ":" + tag }
