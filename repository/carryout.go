package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// remover carries out the steps of a removal.
type remover struct {
	*removal
	// planned are the tags of the steps; keepsManifests says that the registry was seen to keep the manifest of a removed tag,
	// deletesWithTags that it was seen to delete it, with its other tags. untagged is a manifest that exists after a tag of it
	// was removed: the registry has kept it, or somebody has pushed it again.
	planned                         map[string]bool
	keepsManifests, deletesWithTags bool
	untagged                        digest.Digest

	// count is called for each step that was carried out or has failed.
	count func()

	mu   sync.Mutex
	errs []error
	// reported are the names that were reported as removed.
	reported map[string]bool
	// admitted are the steps that a bounded purge may carry out, by [Step.key]; stopped is the bound that it has met.
	admitted map[string]bool
	stopped  string
	// refused are the manifests that the registry did not delete, moved what tags point to that were found to have moved.
	refused []digest.Digest
	moved   map[string]digest.Digest
	// requested are the manifests whose removal, or that of a tag, was requested.
	requested map[digest.Digest]bool
	// lost is how many answers to the deletion of a manifest were lost, unsure are its tags, and those of a manifest that was
	// restored, which are resolved again.
	lost   map[digest.Digest]int
	unsure map[string]bool
	// unchecked says that something was removed, or may have been, since all tags were looked at, added are what is
	// new in a listing and what it needs has not been restored yet.
	unchecked bool
	added     []digest.Digest
	// emptied are manifests that the registry deleted with a tag and that were restored, without their referrers.
	emptied []digest.Digest
}

func newRemover(r *removal) *remover {
	return &remover{removal: r, count: func() {}, planned: tagsOf(r.steps), reported: map[string]bool{}, moved: map[string]digest.Digest{},
		requested: map[digest.Digest]bool{}, admitted: map[string]bool{}, lost: map[digest.Digest]int{}, unsure: map[string]bool{}}
}

func tagsOf(steps []Step) map[string]bool {
	tags := map[string]bool{}
	for _, step := range steps {
		for _, tag := range step.Tags {
			tags[tag] = true
		}
	}
	return tags
}

// run carries out the steps, batch by batch, each after the tags were listed again, and once more after the last. A
// refusal is part of the error and keeps what the refused manifest needs; the others are removed. What does not exist any
// more counts as removed.
func (r *remover) run(ctx context.Context) error {
	n := len(r.left())
	if r.MaxDeletes > 0 {
		n = min(n, r.MaxDeletes)
	}
	if a, ok := r.registry.(manifest.Announcer); ok && r.MaxTime == 0 {
		r.count = a.Announce(r.snapshot.repo, n, 0)
		defer func() {
			for range r.left() {
				r.count()
			}
		}()
	}
	for all := true; ; {
		if err := r.recheck(ctx, all); err != nil {
			if ctx.Err() != nil {
				r.lastLook(ctx)
			}
			return r.end(ctx, append(r.errs, err))
		}
		r.unchecked, r.added = r.unchecked && !all, nil
		steps := r.batch()
		if len(steps) == 0 && all {
			r.summary(false)
			if tags, manifests := count(r.left()); r.stopped != "" && tags+manifests > 0 {
				r.report.Note("%s: stopped %s; %d tags and %d manifests are left, which another purge removes",
					reference.FamiliarName(r.snapshot.repo), r.stopped, tags, manifests)
			}
			return errors.Join(r.errs...)
		}
		if r.remove(ctx, steps) != nil {
			r.lastLook(ctx)
			return r.end(ctx, append(r.errs, ctx.Err()))
		}
		all = len(r.batch()) == 0
	}
}

// lastLookTimeout bounds the look of a run that ends early.
const lastLookTimeout = 20 * time.Second

// lastLook restores what was pushed during the last deletions of a run that ends early.
func (r *remover) lastLook(ctx context.Context) {
	if !r.unchecked {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLookTimeout)
	defer cancel()
	if err := r.recheck(ctx, true); err != nil {
		r.report.Warn("what was pushed to %s during the last deletions could not be checked: %v", reference.FamiliarName(r.snapshot.repo), err)
	}
}

// end ends a run early: it restores the tags of manifests that were put back without, and reports what was removed. It
// returns the error of the run.
func (r *remover) end(ctx context.Context, errs []error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLookTimeout)
	defer cancel()
	restored := 0
	for _, step := range r.steps {
		if !r.bare[step.Digest] || step.Untag {
			continue
		}
		restored++
		errs = append(errs, r.restoreTags(ctx, manifest.AtDigest(step.Repo, step.Digest), step))
	}
	if restored > 0 {
		r.report.Warn("%d manifests that were deleted from %s were restored with their tags: what answers 404 may need them",
			restored, reference.FamiliarName(r.snapshot.repo))
	}
	r.reportSteps(nil)
	r.summary(true)
	for tag, d := range r.moved {
		r.report.Warn("%s", movedText(r.snapshot.name(tag), d, r.snapshot.Tags[tag]))
	}
	return ended(r.report, errs)
}

// ended joins the errors of a run that may have been interrupted: then that is the error, and the others are reported.
func ended(report manifest.Reporter, errs []error) error {
	all := errors.Join(errs...)
	if !errdefs.IsCanceled(all) {
		return all
	}
	for _, err := range errs {
		if err != nil && !errdefs.IsCanceled(err) {
			report.Warn("%v", err)
		}
	}
	return context.Canceled
}

// minBatch is how many steps are carried out at least before the tags are listed again, unless others need them. A
// repository with more pages of tags or manifests has larger batches, so that the listings stay a small part of the requests.
const minBatch = 8

// batch returns the next steps, of which none needs another.
func (r *remover) batch() (steps []Step) {
	most := max(minBatch, max(len(r.snapshot.Tags), len(r.snapshot.inventory))/(2*minBatch))
	left := r.left()
	r.admit(left)
	for _, step := range left {
		if r.isBounded() && !r.admitted[step.key()] {
			continue
		}
		if len(steps) == most || len(steps) > 0 && step.wave != steps[0].wave {
			break
		}
		steps = append(steps, step)
		if step.Untag && !r.keepsManifests { // what may be deleted with it is put back before the next one
			break
		}
	}
	return steps
}

// left returns the steps that have not been carried out yet, and have not failed.
func (r *remover) left() (steps []Step) {
	for _, step := range r.steps {
		if !r.over[step.key()] && (!step.Untag || !r.gone[step.Tags[0]]) {
			steps = append(steps, step)
		}
	}
	return steps
}

// key identifies a step, also if the tags of a manifest have changed.
func (s Step) key() string {
	if s.Untag {
		return s.Tags[0]
	}
	return s.Digest.String()
}

// remove carries out steps of which none needs another. The error says that the run ends.
func (r *remover) remove(ctx context.Context, steps []Step) error {
	needed := newPlanner(r.snapshot, request{}).reach(r.refused, true)
	group, ctx := errgroup.WithContext(ctx)
	for _, step := range steps {
		r.over[step.key()], r.requested[step.Digest] = true, true
	}
	for _, step := range steps {
		if needed[step.Digest] && !step.Untag {
			r.fail(step, fmt.Errorf("%s is kept: a manifest that needs it could not be deleted", r.title(step)))
			continue
		}
		group.Go(func() error { return r.carryOut(ctx, step) })
	}
	err := group.Wait()
	restoreErr := r.restore(ctx, r.emptied)
	if r.emptied = nil; restoreErr != nil {
		r.errs = append(r.errs, restoreErr)
	}
	return cmp.Or(err, restoreErr)
}

// carryOut records and carries out a step. An error that it returns ends the run, and is among errs unless ctx has ended.
func (r *remover) carryOut(ctx context.Context, step Step) error {
	err := r.recordStep(ctx, step)
	recorded := err == nil
	ends := !recorded
	if recorded {
		err = r.removeStep(ctx, step)
		ends = errors.Is(err, errLost) || errdefs.IsUnavailable(err)
	}
	switch {
	case err == nil:
		r.finish(step)
		return nil
	case ctx.Err() != nil && !errors.Is(err, errLost):
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unchecked = r.unchecked || recorded
		return ctx.Err()
	case errors.Is(err, manifest.ErrAnswerLost) && r.retryLost(step):
		return nil
	}
	r.fail(step, fmt.Errorf("removing %s: %w", r.title(step), err))
	if ends {
		return err
	}
	return nil
}

// maxLost is how many answers to the deletion of a manifest may be lost.
const maxLost = 20

// retryLost has a step carried out again whose answer was lost, after its tags were resolved again. It returns false after
// maxLost answers.
func (r *remover) retryLost(step Step) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost[step.Digest]++
	for _, tag := range step.Tags {
		r.unsure[tag] = true
	}
	if r.lost[step.Digest] > maxLost {
		return false
	}
	delete(r.over, step.key())
	return true
}

func (r *remover) fail(step Step, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count()
	r.errs = append(r.errs, err)
	if !step.Untag {
		r.refused = append(r.refused, step.Digest)
	}
}

// finish notes that a step was carried out, without the tags that have moved.
func (r *remover) finish(step Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	step.Tags = slices.DeleteFunc(slices.Clone(step.Tags), func(tag string) bool { return r.moved[tag] != "" })
	for _, tag := range step.Tags {
		r.gone[tag] = true
	}
	delete(r.bare, step.Digest)
	r.count()
	r.done, r.unreported, r.unchecked = append(r.done, step), append(r.unreported, step), true
}

// reportSteps reports the steps that were carried out, without tags that point to something now.
func (r *remover) reportSteps(now map[string]digest.Digest) {
	slices.SortStableFunc(r.unreported, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.wave, b.wave), slices.Compare(a.Tags, b.Tags))
	})
	report := func(name reference.Named) {
		if !r.reported[name.String()] {
			r.reported[name.String()] = true
			r.Removed(name)
		}
	}
	for _, step := range r.unreported {
		for _, tag := range step.Tags {
			if now[tag] == "" {
				report(manifest.AtTag(step.Repo, tag))
			}
		}
		if !step.Untag {
			report(manifest.AtDigest(step.Repo, step.Digest))
		}
	}
	r.unreported = nil
}

// recordStep records what a step is going to remove. The error is that of ctx when it has ended.
func (r *remover) recordStep(ctx context.Context, step Step) error {
	if r.Record == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	c, err := r.snapshot.graph.Content(step.Digest)
	if err != nil {
		return err
	}
	lines := make([]Recorded, 0, len(step.Tags)+1)
	for _, name := range step.names() {
		lines = append(lines, Recorded{name.String(), step.Digest, c.Descriptor.MediaType, c.Raw})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Record(lines...)
}

// names returns the tags of a step or, if there are none, its manifest.
func (s Step) names() []reference.Named {
	if len(s.Tags) == 0 {
		return []reference.Named{manifest.AtDigest(s.Repo, s.Digest)}
	}
	return references(s.Repo, s.Tags, manifest.AtTag)
}

func (r *remover) title(step Step) string { return manifest.Familiar(step.names()[0]) }

func (r *remover) removeStep(ctx context.Context, step Step) error {
	if step.Untag {
		return r.untag(ctx, step)
	}
	at := manifest.AtDigest(step.Repo, step.Digest)
	err := ignoreAbsent(ctx, r.registry, at, r.registry.Delete(ctx, at))
	if errdefs.IsInvalidArgument(err) && len(step.Tags) > 0 {
		return r.tagsFirst(ctx, at, step, err)
	}
	return err
}

func (r *remover) untag(ctx context.Context, step Step) error {
	c, err := r.snapshot.graph.Content(step.Digest)
	if err != nil {
		return err
	}
	name := manifest.AtTag(step.Repo, step.Tags[0])
	r.mu.Lock()
	u := untagger{registry: r.registry, report: r.report, others: r.keptTags(step.Digest), restored: r.deletesWithTags}
	r.mu.Unlock()
	moved, err := u.untag(ctx, name, c)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errdefs.IsNotImplemented(err):
		err = fmt.Errorf("its manifest is shared with what is kept: %w", cannotUntag(name, err))
	case err == nil && u.restored: // it may have deleted its referrers as well
		r.emptied = append(r.emptied, step.Digest)
		for _, tag := range r.keptTags(step.Digest) { // those that were not put back have moved
			r.unsure[tag] = true
		}
	}
	r.deletesWithTags = r.deletesWithTags || u.restored
	if u.keeps {
		r.untagged = step.Digest
	}
	if moved != "" {
		r.moved[name.Tag()] = moved
	}
	return err
}

// tagsFirst deletes a manifest if the registry, which refused with err, wants its tags to be removed before. If that does
// not help the tags are restored.
func (r *remover) tagsFirst(ctx context.Context, at reference.Canonical, step Step, err error) error {
	ctx = context.WithoutCancel(ctx) // nothing is left half-done
	for _, tag := range step.Tags {
		name := manifest.AtTag(step.Repo, tag)
		moved, untagErr := r.hasMoved(ctx, name, step.Digest)
		if untagErr == nil && !moved {
			untagErr = ignoreAbsent(ctx, r.registry, name, r.registry.Untag(ctx, name))
		}
		if untagErr != nil {
			return errors.Join(err, untagErr, r.restoreTags(ctx, at, step))
		}
	}
	if err = ignoreAbsent(ctx, r.registry, at, r.registry.Delete(ctx, at)); err != nil {
		return errors.Join(err, r.restoreTags(ctx, at, step))
	}
	return nil
}

// hasMoved reports whether a tag points to something else than d.
func (r *remover) hasMoved(ctx context.Context, name reference.NamedTagged, d digest.Digest) (bool, error) {
	now, err := r.registry.Digest(ctx, name)
	switch {
	case errdefs.IsNotFound(err):
		return false, nil
	case err != nil || now == d:
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved[name.Tag()] = now
	return true, nil
}

// restoreTags gives a manifest its tags back, unless they exist.
func (r *remover) restoreTags(ctx context.Context, at reference.Canonical, step Step) error {
	if err := r.putBack(ctx, at, step.Tags...); err != nil {
		return fmt.Errorf("%s has lost tags, and %w: %w", manifest.Familiar(at), errLost, err)
	}
	return nil
}

// ignoreAbsent returns the error of a removal, nil if name does not exist any more. A registry that deletes nothing may
// say so of what exists, too.
func ignoreAbsent(ctx context.Context, f manifest.Fetcher, name reference.Named, err error) error {
	if !errdefs.IsNotFound(err) {
		return err
	}
	found, resolveErr := exists(ctx, f, name)
	if found {
		return manifest.Errorf(errdefs.ErrNotImplemented, "the registry has %s and does not remove it: %w", manifest.Familiar(name), err)
	}
	return resolveErr
}

func exists(ctx context.Context, f manifest.Fetcher, name reference.Named) (bool, error) {
	_, err := f.Digest(ctx, name)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
