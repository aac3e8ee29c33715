package repository

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Removal has what [Purge] and [Remove] call: to confirm, record and report a removal.
type Removal struct {
	// Confirm is called with what is going to be removed, and reports whether to go on.
	Confirm func(steps []Step) (bool, error)
	// Record receives what is going to be removed before it is; nil for none.
	Record Recorder
	// Removed is called with each name that was removed: a tag, or a manifest by its digest. Calls come one at a time.
	Removed func(name reference.Named)
}

// removal is the removal from one repository: its snapshot, the request, and the steps that are planned for it.
type removal struct {
	Removal
	registry Registry
	report   manifest.Reporter
	snapshot *Snapshot
	request  request
	steps    []Step
	// named are the manifests that were named one by one, nil for a purge: they need not be readable. recursive says
	// that others are removed with them.
	named     map[digest.Digest]bool
	recursive bool
	// more are manifests beyond tags and inventory; asked are those whose referrers are known.
	more  []digest.Digest
	asked map[digest.Digest]bool
	// deletes and untags say that the registry can do that. over are the steps that were carried out or have failed, by
	// [Step.key], done those that were carried out, and gone the tags that they removed.
	deletes, untags bool
	over, gone      map[string]bool
	done            []Step
	// ignored are listed tags and digests that answer 404, and are not looked at again; revealed the tags for which what
	// was deleted was put back.
	ignored, revealed map[string]bool
}

func newRemoval(r Registry, report manifest.Reporter, repo reference.Named, o Removal) *removal {
	return &removal{Removal: o, registry: r, report: report, snapshot: newSnapshot(r, repo), asked: map[digest.Digest]bool{},
		over: map[string]bool{}, gone: map[string]bool{}, ignored: map[string]bool{}, revealed: map[string]bool{}}
}

// unchanged says that nothing, or nothing else, was removed.
func (r *removal) unchanged(err error) error {
	nothing := "nothing"
	if len(r.done) > 0 {
		nothing = "nothing else"
	}
	return fmt.Errorf("%w; %s was removed from %s", err, nothing, reference.FamiliarName(r.snapshot.repo))
}

// read reads the repository.
func (r *removal) read(ctx context.Context) error {
	err := r.look(ctx, r.snapshot)
	if err == nil {
		err = r.extend(ctx, nil)
	}
	if err != nil {
		return r.unchanged(err)
	}
	return nil
}

// look reads the repository into an empty snapshot. What cannot be read is an error.
func (r *removal) look(ctx context.Context, s *Snapshot) error {
	err := s.read(ctx, manifest.Pattern{})
	if err == nil && r.snapshot.Complete && !s.Complete {
		err = s.noInventory // without it what has no tag would not be kept
	}
	if err == nil {
		err = r.checkNames(s)
	}
	if err == nil {
		err = r.settle(ctx, s)
	}
	if err == nil {
		err = r.resolveNamed(ctx, s)
	}
	return err
}

// checkNames returns an error for listed names that are not valid tags, since the manifests they need are unknown, unless
// only what was named is removed.
func (r *removal) checkNames(s *Snapshot) error {
	if len(s.unresolved) == 0 || r.named != nil && !r.recursive {
		return nil
	}
	var quoted []string
	for _, name := range s.unresolved {
		quoted = append(quoted, fmt.Sprintf("%q", manifest.OneLine(name, maxName)))
	}
	return manifest.Errorf(errdefs.ErrFailedPrecondition, "%s lists names of %s that are not valid tags, so the manifests they need are unknown: %s",
		reference.Domain(s.repo), reference.FamiliarName(s.repo), manifest.JoinSome(quoted))
}

// maxName bounds a name in an error.
const maxName = 100

// settleDelays are the pauses before what is listed and answers 404 is listed and read again: others may be removing it,
// and replicas may lag behind.
var settleDelays = []time.Duration{0, time.Second / 4, time.Second / 2, time.Second, 2 * time.Second}

// settle reads again what is listed and answers 404, until another listing lacks it. Otherwise it is an error, because
// what it needs is not known; where only what was named is removed, it is a warning.
func (r *removal) settle(ctx context.Context, s *Snapshot) error {
	tags, manifests := r.absent(s)
	for _, delay := range settleDelays {
		if len(tags)+len(manifests) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
		if err := s.relist(ctx, tags, manifests); err != nil {
			return err
		}
		tags, manifests = r.absent(s)
	}
	tags, err := r.reveal(ctx, s, tags)
	if err != nil {
		return err
	}
	var names []string
	for _, tag := range tags {
		delete(s.unread, tag)
		names = append(names, s.name(tag))
	}
	for _, d := range manifests {
		if len(tags) == 0 { // otherwise these are what the tags point to
			names = append(names, manifest.Familiar(manifest.AtDigest(s.repo, d)))
		}
	}
	if len(names) == 0 {
		return nil
	}
	err = manifest.Errorf(errdefs.ErrUnavailable, "%s lists names of %s for which it answers 404, so the manifests they need are unknown: %s",
		reference.Domain(s.repo), reference.FamiliarName(s.repo), manifest.JoinSome(names))
	if r.named != nil && !r.recursive {
		r.report.Warn("%v", err)
		for _, tag := range tags {
			r.ignored[tag] = true
		}
		for _, d := range manifests {
			r.ignored[d.String()] = true
		}
		return nil
	}
	return err
}

// absent returns the tags and the manifests of the inventory that are listed and answered 404.
func (r *removal) absent(s *Snapshot) (tags []string, manifests []digest.Digest) {
	is := func(d digest.Digest) bool {
		_, err := s.graph.Node(d)
		return errdefs.IsNotFound(err) && !r.named[d] && !r.ignored[d.String()]
	}
	for tag, err := range s.unread {
		switch {
		case errdefs.IsNotFound(err) && (r.gone[tag] || r.ignored[tag]):
			delete(s.unread, tag)
		case errdefs.IsNotFound(err):
			tags = append(tags, tag)
		}
	}
	for tag, d := range s.Tags {
		if is(d) && !r.ignored[tag] {
			tags = append(tags, tag)
		}
	}
	for d := range s.inventory {
		if is(d) {
			manifests = append(manifests, d)
		}
	}
	slices.Sort(tags)
	slices.Sort(manifests)
	return tags, manifests
}

// relist forgets those tags and manifests that another listing lacks, and reads the others again.
func (s *Snapshot) relist(ctx context.Context, tags []string, manifests []digest.Digest) error {
	now := s.next()
	listed, err := now.list(ctx)
	if err == nil && s.Complete && !now.Complete {
		err = now.noInventory
	}
	if err != nil {
		return err
	}
	s.graph.Forget(manifests...)
	for _, d := range manifests {
		if _, ok := now.inventory[d]; !ok {
			delete(s.inventory, d)
		}
	}
	var again []string
	for _, tag := range tags {
		s.graph.Forget(s.Tags[tag])
		delete(s.Tags, tag)
		delete(s.unread, tag)
		if slices.Contains(listed, tag) {
			again = append(again, tag)
		}
	}
	s.readTags(ctx, again)
	s.readManifests(ctx, slices.Sorted(maps.Keys(s.inventory)))
	return ctx.Err()
}

// unreadable reports whether err says that something exists, but is no manifest.
func unreadable(err error) bool { return errdefs.IsInvalidArgument(err) || errdefs.IsDataLoss(err) }

// resolveNamed resolves tags that cannot be read. It is an error if they do not point to manifests that were named.
func (r *removal) resolveNamed(ctx context.Context, s *Snapshot) error {
	for _, tag := range slices.Sorted(maps.Keys(s.unread)) {
		err, ref := s.unread[tag], manifest.AtTag(s.repo, tag)
		if unreadable(err) && len(r.named) > 0 {
			if d, resolveErr := r.registry.Digest(ctx, ref); resolveErr == nil && r.named[d] {
				s.Tags[tag] = d
				continue
			}
		}
		return fmt.Errorf("reading %s: %w", manifest.Familiar(ref), err)
	}
	return nil
}

// extend reads more manifests. Those that do not exist, such as children of an incomplete index, are not part of the
// snapshot; others that cannot be read are an error, unless they were named.
func (r *removal) extend(ctx context.Context, more []digest.Digest) error {
	s := r.snapshot
	r.more = append(r.more, more...)
	s.readManifests(ctx, r.more)
	s.relate()
	for _, d := range s.order {
		err := s.Manifests[d].Err
		switch {
		case err == nil, r.named[d] && (unreadable(err) || errdefs.IsNotFound(err)):
		case errdefs.IsNotFound(err):
			delete(s.Manifests, d)
		default:
			return fmt.Errorf("reading %s: %w", manifest.Familiar(manifest.AtDigest(s.repo, d)), err)
		}
	}
	return ctx.Err()
}

// plan plans the steps of the request. Referrers of what is removed that were not known are added to the snapshot. Of the
// manifests that were named, refused has an error for each that has to be kept.
func (r *removal) plan(ctx context.Context) (refused []error, err error) {
	for {
		if r.named != nil {
			r.addTags()
		}
		kept, err := r.planSteps(ctx)
		if err != nil || r.named == nil {
			return nil, err
		}
		blocked := slices.DeleteFunc(slices.Sorted(maps.Keys(r.request.manifests)), func(d digest.Digest) bool { return !kept[d] })
		if len(blocked) == 0 {
			return refused, nil
		}
		for _, d := range blocked {
			refused = append(refused, r.needed(d))
			delete(r.request.manifests, d)
		}
	}
}

// planSteps plans the steps, and returns the manifests that are kept.
func (r *removal) planSteps(ctx context.Context) (map[digest.Digest]bool, error) {
	for {
		steps, kept := r.snapshot.plan(r.request)
		r.steps = steps
		if r.snapshot.Complete || !r.request.recursive {
			return kept, nil
		}
		var of []digest.Digest
		for _, step := range steps {
			if !step.Untag && !r.asked[step.Digest] {
				r.asked[step.Digest] = true
				of = append(of, step.Digest)
			}
		}
		found, errs := r.snapshot.readReferrers(ctx, of)
		if len(errs) > 0 {
			return nil, r.unchanged(errs[0])
		}
		if len(found) == 0 {
			return kept, ctx.Err()
		}
		if err := r.extend(ctx, found); err != nil {
			return nil, r.unchanged(err)
		}
	}
}

func movedText(name string, now, was digest.Digest) string {
	return fmt.Sprintf("%s now points to %s, not to %s: keeping it", name, now, was)
}

// carryOut removes what was planned, without what has changed since.
func (r *removal) carryOut(ctx context.Context) error {
	if len(r.steps) == 0 {
		return nil
	}
	if err := r.permitted(ctx); err != nil {
		return err
	}
	return newRemover(r).run(ctx)
}

// permitted asks, before anything is changed, whether the registry can carry out the steps.
func (r *removal) permitted(ctx context.Context) error {
	repo := r.snapshot.repo
	if !r.deletes && slices.ContainsFunc(r.steps, func(step Step) bool { return !step.Untag }) {
		if err := r.registry.Deletes(ctx, repo); err != nil {
			return r.unchanged(cannotDelete(repo, err))
		}
		r.deletes = true
	}
	if i := slices.IndexFunc(r.steps, func(step Step) bool { return step.Untag }); i >= 0 && !r.untags {
		if err := r.registry.Untags(ctx, repo); err != nil {
			name := manifest.AtTag(repo, r.steps[i].Tags[0])
			return r.unchanged(fmt.Errorf("%s shares its manifest with what is kept: %w", manifest.Familiar(name), cannotUntag(name, err)))
		}
		r.untags = true
	}
	return nil
}

// cannotDelete and cannotUntag are the errors of a registry that does not do that.
func cannotDelete(repo reference.Named, err error) error {
	if !errdefs.IsNotImplemented(err) {
		return fmt.Errorf("asking %s whether it deletes manifests: %w", reference.Domain(repo), err)
	}
	return manifest.Errorf(errdefs.ErrNotImplemented, "%s does not delete manifests of %s (%w); its operator may be able to allow that, as with "+
		"REGISTRY_STORAGE_DELETE_ENABLED=true of the distribution registry", reference.Domain(repo), reference.FamiliarName(repo), err)
}

func cannotUntag(name reference.NamedTagged, err error) error {
	if !errdefs.IsNotImplemented(err) {
		return fmt.Errorf("asking %s whether it removes tags: %w", reference.Domain(name), err)
	}
	err = manifest.Errorf(errdefs.ErrNotImplemented, "%s does not remove a tag without its manifest (%w)", reference.Domain(name), err)
	return manifest.WithHint(err, "docker multiarch repo untag --via-placeholder %s", manifest.Familiar(name))
}
