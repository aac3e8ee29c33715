// Package transfer copies images and manifest lists between repositories and keeps their digests.
//
// [Import] copies from one registry to another, or within one, what a [Request] names: one image or index, with all
// its platforms or some, or all tags of a repository; with the referrers of each if asked for. [Plan] returns what
// Import would do. [Tag] adds tags to content within its registry.
//
// An import resolves the source and the target's tags, reads everything below the source into a [manifest.Graph],
// and starts to write only when all of it is known to exist. Images are copied concurrently, then the indexes that
// list them, and tags are written last. A tag that points to something else is an error, unless moving it was asked
// for.
//
// The [Registry] does the actual copying: it mounts or streams blobs, skips existing ones, and knows the login of the
// source. The package knows neither local lists nor the daemon.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// Registry is the registry of the target. Its Source is the registry of the source.
type Registry interface {
	manifest.Reader
	manifest.Target
	manifest.Prefetcher
	manifest.Subjects
	BlobSize(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (int64, error)
	// Settled is Digest for a tag that was put a moment ago, which the registry may not know yet.
	Settled(ctx context.Context, tag reference.NamedTagged) (digest.Digest, error)
}

// announce says to the registries of the source and the target that n images are going to be imported.
func announce(to Registry, r Request, n int) (done func()) {
	done = func() {}
	for repo, registry := range map[reference.Named]any{r.Source: to.Source(), r.Target: to} {
		if a, ok := registry.(manifest.Announcer); ok {
			others, own := done, a.Announce(repo, n, min(n, maxTags))
			done = func() { others(); own() }
		}
	}
	return done
}

// maxTags bounds the tags that are imported concurrently; the registry bounds their requests.
const maxTags = 8

// Request is what to import.
type Request struct {
	// Source has a tag or a digest. With AllTags it is a repository, and so is Target.
	Source reference.Named
	// Target is a name in the target repository. Tags are the tags that the image gets there; without any it is
	// written under its digest only.
	Target reference.Named
	Tags   []reference.NamedTagged
	// AllTags imports all tags or, if there are Filters, those that match one.
	AllTags bool
	Filters []manifest.Pattern
	// Platforms are the platforms to keep; all if empty.
	Platforms []manifest.Platform
	// Referrers also imports the referrers of the image.
	Referrers bool
	// Force moves tags that point to something else, and checks the blobs of what the target has already.
	Force bool
	// Condition is what the tags have to point to before. With a digest, tags that point to it are moved.
	Condition manifest.Condition
}

// moves reports whether tags are moved whatever they point to.
func (r Request) moves() bool { return r.Force && r.Condition == manifest.Condition{} }

// Imported is an image or index that was imported.
type Imported struct {
	// Name is the first of the target's tags, or the digest.
	Name reference.Named
	publish.Pushed
}

// Import copies the source of a request to its target and returns what the target has then, one value for each tag of
// the source. A tag is written last, after everything below it and its referrers. With several tags, the error joins
// those of the tags that failed, and the others are imported.
func Import(ctx context.Context, to Registry, report manifest.Reporter, r Request) ([]Imported, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the prefetching
	all, err := newImporters(ctx, to, report, r)
	if err != nil {
		return nil, err
	}
	imported := make([]Imported, len(all))
	errs := make([]error, len(all))
	done := announce(to, r, len(all))
	var group errgroup.Group
	group.SetLimit(maxTags)
	for n, i := range all {
		group.Go(func() error {
			defer done()
			if imported[n], errs[n] = i.run(ctx); errs[n] != nil {
				errs[n] = fmt.Errorf("importing %s: %w", manifest.Familiar(i.Source), errs[n])
			}
			return nil
		})
	}
	_ = group.Wait() // errs has the errors
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return slices.DeleteFunc(imported, func(i Imported) bool { return i.Name == nil }), errors.Join(errs...)
}

// importer imports one image or index.
type importer struct {
	Request
	from   manifest.Reader
	to     Registry
	report manifest.Reporter
	// prefetch is from for images that are going to be copied.
	prefetch manifest.Fetcher
	// written are the tags that this and all other importers write.
	written []reference.NamedTagged
}

// newImporters returns an importer for each image or index of a request.
func newImporters(ctx context.Context, to Registry, report manifest.Reporter, r Request) ([]importer, error) {
	prefetch := to.Prefetch(ctx, reference.TrimNamed(r.Target), []reference.Named{reference.TrimNamed(r.Source)})
	i := importer{Request: r, from: to.Source(), to: to, report: report, prefetch: prefetch, written: r.Tags}
	if !r.AllTags {
		return []importer{i}, nil
	}
	tags, _, err := i.from.Tags(ctx, r.Source)
	if err != nil {
		return nil, fmt.Errorf("listing the tags of %s: %w", manifest.Familiar(r.Source), err)
	}
	var all []importer
	var written []reference.NamedTagged
	for _, tag := range tags {
		if !r.matches(tag) {
			continue
		}
		target := manifest.AtTag(r.Target, tag)
		i.Source, i.Target, i.Tags = manifest.AtTag(r.Source, tag), target, []reference.NamedTagged{target}
		all, written = append(all, i), append(written, target)
	}
	for n := range all {
		all[n].written = written
	}
	if len(all) == 0 {
		return nil, manifest.Errorf(errdefs.ErrNotFound, "none of the %d tags of %s matches", len(tags), manifest.Familiar(r.Source))
	}
	return all, nil
}

// matches reports whether a tag of the source is imported as such.
func (r Request) matches(tag string) bool {
	if _, isDigestTag := manifest.CutDigestTag(tag); r.Referrers && isDigestTag {
		return false // it is imported with the image it refers to
	}
	return len(r.Filters) == 0 || slices.ContainsFunc(r.Filters, func(p manifest.Pattern) bool { return p.Match(tag) })
}

// image is the image or index to import: the source or, with platforms, what is left of it.
type image struct {
	manifest.Content
	copier
	// original is the digest of the source.
	original digest.Digest
	// exists says that the target repository has it, complete that nothing below it has to be copied.
	exists, complete bool
	// tags are those that do not point to it yet, before the digests of those, "" for new ones.
	tags   []reference.NamedTagged
	before []digest.Digest
}

func (i importer) run(ctx context.Context) (Imported, error) {
	m, err := i.resolve(ctx)
	if err != nil {
		return Imported{}, err
	}
	imported := Imported{Name: i.name(m), Pushed: publish.Pushed{Descriptor: m.Descriptor}}
	if m.complete && len(m.tags) == 0 && !i.Referrers {
		i.report.Note("%s is up to date", manifest.Familiar(imported.Name))
		return imported, nil
	}
	if !m.complete || i.Referrers {
		if imported.Children, err = i.copy(ctx, m); err != nil {
			return Imported{}, err
		}
		if err := i.checkTags(ctx, m); err != nil {
			return Imported{}, err
		}
	}
	if err := i.put(ctx, m); err != nil {
		return Imported{}, err
	}
	if err := i.checkPut(ctx, m); err != nil {
		return Imported{}, err
	}
	for n, tag := range m.tags {
		manifest.ReportMove(i.report, tag, m.before[n], m.Descriptor.Digest)
	}
	return imported, i.keepReferrersTags(ctx) // of m itself
}

// keepReferrersTags lists referrers, and everything else with a subject that was written, in a target without the
// referrers API.
func (i importer) keepReferrersTags(ctx context.Context, referrers ...manifest.Node) error {
	err := manifest.KeepReferrersTags(ctx, i.to, i.report, reference.TrimNamed(i.Target), i.written, referrers...)
	if err != nil && !i.Referrers && ctx.Err() == nil {
		i.report.Warn("%v", err)
		return nil
	}
	return err
}

// checkTags returns an errdefs.ErrAlreadyExists error if another client has written one of the tags of m during the
// copy, unless tags are to be moved.
func (i importer) checkTags(ctx context.Context, m image) error {
	if i.moves() {
		return nil
	}
	current, err := concurrently(ctx, m.tags, i.tagDigest)
	for n, tag := range m.tags {
		if err == nil {
			err = i.check(tag, current[n], m.Descriptor.Digest)
		}
	}
	return err
}

// checkPut returns an errdefs.ErrAborted error if another client has written one of the tags of m after checkTags, unless
// tags are to be moved.
func (i importer) checkPut(ctx context.Context, m image) error {
	if i.moves() {
		return nil
	}
	current, err := concurrently(ctx, m.tags, i.to.Settled)
	if err != nil {
		return fmt.Errorf("checking what was pushed: %w", err)
	}
	var moved []error
	for n, tag := range m.tags {
		if current[n] != m.Descriptor.Digest {
			err := manifest.Errorf(errdefs.ErrAborted, "%s was pushed, but points to %s, not %s: another client wrote it at the same time",
				manifest.Familiar(tag), current[n], m.Descriptor.Digest)
			moved = append(moved, manifest.WithHint(err, "to move the tag: --force"))
		}
	}
	return errors.Join(moved...)
}

// check returns an error if a tag that points to current must not be moved to want.
func (r Request) check(tag reference.Named, current, want digest.Digest) error {
	condition := r.Condition
	condition.NoClobber = !r.Force && condition.Digest == ""
	err := condition.Check(tag, current, want)
	if errdefs.IsAlreadyExists(err) {
		return manifest.WithHint(err, "to move the tag: --force")
	}
	return err
}

// name is the name of the image in the target repository.
func (i importer) name(m image) reference.Named {
	if len(i.Tags) > 0 {
		return i.Tags[0]
	}
	return manifest.AtDigest(i.Target, m.Descriptor.Digest)
}

// resolve fetches the source, and compares it with the tags of the target. The error is errdefs.ErrAlreadyExists if a
// tag would have to be moved without Force.
func (i importer) resolve(ctx context.Context) (image, error) {
	m := image{copier: copier{source: i.Source, target: i.Target, to: i.to, repair: i.Force}}
	var current []digest.Digest
	group, resolving := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		m.Content, err = i.from.Fetch(resolving, i.Source)
		return err
	})
	group.Go(func() (err error) {
		current, err = concurrently(resolving, i.Tags, i.tagDigest)
		return err
	})
	if err := group.Wait(); err != nil {
		return m, err
	}
	m.original = m.Descriptor.Digest
	if err := i.keepPlatforms(ctx, &m); err != nil {
		return m, err
	}
	m.complete = m.Descriptor.Digest == m.original && manifest.SameRepository(i.Source, i.Target)
	m.exists = m.complete
	for n, tag := range i.Tags {
		if err := i.check(tag, current[n], m.Descriptor.Digest); err != nil {
			return m, err
		}
		if current[n] == m.Descriptor.Digest {
			m.exists = true
			continue
		}
		m.tags, m.before = append(m.tags, tag), append(m.before, current[n])
	}
	if len(i.Tags) == 0 && !m.exists {
		d, err := i.digest(ctx, manifest.AtDigest(i.Target, m.Descriptor.Digest))
		if err != nil {
			return m, err
		}
		m.exists = d == m.Descriptor.Digest
	}
	if m.exists && !m.complete {
		return m, i.findMissing(ctx, &m)
	}
	return m, nil
}

// findMissing sets present and complete of m, which the target has: which of the manifests below m it has as well. Indexes
// among them are read, since they may lack images in turn.
func (i importer) findMissing(ctx context.Context, m *image) error {
	g := manifest.NewGraph(i.to)
	g.Descend = func(child ocispec.Descriptor) manifest.Fetcher {
		if manifest.IsIndex(child.MediaType) {
			return i.to
		}
		return nil
	}
	g.Add(ctx, i.Target, m.Content)
	below := g.Below(m.Descriptor.Digest)[1:]
	var err error
	if m.present, err = i.findPresent(ctx, below); err != nil {
		return fmt.Errorf("checking what %s has of %s: %w", reference.FamiliarName(i.Target), m.Descriptor.Digest, err)
	}
	for _, d := range below {
		if _, err := g.Node(d); err != nil && g.Has(d) {
			delete(m.present, d) // an index that cannot be read
		}
	}
	if missing := len(below) - len(m.present); missing > 0 {
		i.report.Note("%s has %s, but lacks %d of the manifests below it", reference.FamiliarName(i.Target), m.Descriptor.Digest, missing)
	}
	m.complete = len(m.present) == len(below) && !i.Force
	return nil
}

// findPresent returns those of all that the target repository has.
func (i importer) findPresent(ctx context.Context, all []digest.Digest) (map[digest.Digest]bool, error) {
	found, err := concurrently(ctx, all, func(ctx context.Context, d digest.Digest) (digest.Digest, error) {
		return i.digest(ctx, manifest.AtDigest(i.Target, d))
	})
	present := map[digest.Digest]bool{}
	for n, d := range all {
		if found[n] == d {
			present[d] = true
		}
	}
	return present, err
}

// digest resolves a name in the target repository, to "" if it does not exist. With Force and no condition, an
// account that may not read moves tags without knowing their digests.
func (i importer) digest(ctx context.Context, name reference.Named) (digest.Digest, error) {
	d, err := i.to.Digest(ctx, name)
	denied := errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err)
	if errdefs.IsNotFound(err) || denied && i.moves() {
		return "", nil
	}
	return d, err
}

// tagDigest is digest for a tag.
func (i importer) tagDigest(ctx context.Context, tag reference.NamedTagged) (digest.Digest, error) {
	return i.digest(ctx, tag)
}

// concurrently calls f for all values at once and returns the results in their order.
func concurrently[T, R any](ctx context.Context, all []T, f func(context.Context, T) (R, error)) ([]R, error) {
	out := make([]R, len(all))
	group, ctx := errgroup.WithContext(ctx)
	for n, one := range all {
		group.Go(func() (err error) {
			out[n], err = f(ctx, one)
			return err
		})
	}
	return out, group.Wait()
}

// put writes the tags that do not point to the image yet, or the image under its digest.
func (i importer) put(ctx context.Context, m image) error {
	var name reference.Named
	switch {
	case len(m.tags) > 0:
		name = m.tags[0]
	case len(i.Tags) == 0 && !m.exists:
		name = manifest.AtDigest(i.Target, m.Descriptor.Digest)
	default:
		return nil
	}
	others := m.tags[min(len(m.tags), 1):]
	if err := i.to.Put(ctx, name, m.Content, publish.TagsOf(others)...); err != nil {
		return fmt.Errorf("pushing %s: %w", manifest.Familiar(name), err)
	}
	return nil
}
