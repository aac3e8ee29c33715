package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// remover carries out the steps of a removal.
type remover struct {
	registry Registry
	report   manifest.Reporter
	snapshot *Snapshot
	steps    []Step
	record   Recorder
	removed  func(name reference.Named)

	// untagged are the tags that are removed without their manifests; keepsManifests says that the registry was seen to
	// keep the manifest of a removed tag.
	untagged       map[string]bool
	keepsManifests bool

	mu   sync.Mutex
	errs []error
	// refused are the manifests that the registry did not delete, moved the tags that were found to have moved.
	refused []digest.Digest
	moved   []string
}

func newRemover(r *removal) *remover {
	out := &remover{registry: r.registry, report: r.report, snapshot: r.snapshot, steps: r.steps, record: r.Record, removed: r.Removed,
		untagged: map[string]bool{}}
	for _, step := range r.steps {
		if step.Untag {
			out.untagged[step.Tags[0]] = true
		}
	}
	return out
}

// run carries out the steps, wave by wave. A refusal is part of the error and keeps what the refused manifest needs; the
// others are removed. What does not exist any more counts as removed.
func (r *remover) run(ctx context.Context) error {
	for steps := r.steps; len(steps) > 0; {
		n := slices.IndexFunc(steps, func(s Step) bool { return s.wave != steps[0].wave })
		switch {
		case steps[0].Untag && !r.keepsManifests: // what may be deleted with it is put back before the next one
			n = 1
		case n < 0:
			n = len(steps)
		}
		if r.wave(ctx, steps[:n]) != nil {
			return ended(r.report, append(r.errs, ctx.Err()))
		}
		steps = steps[n:]
	}
	return errors.Join(r.errs...)
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

// wave carries out steps of which none needs another. The error says that the run ends.
func (r *remover) wave(ctx context.Context, steps []Step) error {
	needed := newPlanner(r.snapshot, request{}).reach(r.refused)
	group, ctx := errgroup.WithContext(ctx)
	for _, step := range steps {
		if needed[step.Digest] && !step.Untag {
			r.fail(step, fmt.Errorf("%s is kept: a manifest that needs it could not be deleted", r.title(step)))
			continue
		}
		group.Go(func() error { return r.carryOut(ctx, step) })
	}
	return group.Wait()
}

// carryOut records, removes and reports a step. An error that it returns ends the run, and is among errs unless ctx has
// ended.
func (r *remover) carryOut(ctx context.Context, step Step) error {
	err := r.recordStep(ctx, step)
	ends := err != nil
	if err == nil {
		err = r.remove(ctx, step)
		ends = errors.Is(err, errLost) || errdefs.IsUnavailable(err)
	}
	switch {
	case err == nil:
		r.reportStep(step)
		return nil
	case ctx.Err() != nil && !errors.Is(err, errLost):
		return ctx.Err()
	}
	r.fail(step, fmt.Errorf("removing %s: %w", r.title(step), err))
	if ends {
		return err
	}
	return nil
}

func (r *remover) fail(step Step, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
	if !step.Untag {
		r.refused = append(r.refused, step.Digest)
	}
}

func (r *remover) reportStep(step Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tag := range step.Tags {
		if !slices.Contains(r.moved, tag) {
			r.removed(manifest.AtTag(step.Repo, tag))
		}
	}
	if !step.Untag {
		r.removed(manifest.AtDigest(step.Repo, step.Digest))
	}
}

// recordStep records what a step is going to remove. The error is that of ctx when it has ended.
func (r *remover) recordStep(ctx context.Context, step Step) error {
	if r.record == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	n, err := r.snapshot.graph.Node(step.Digest)
	if err != nil {
		return err
	}
	lines := make([]Recorded, 0, len(step.Tags)+1)
	for _, name := range step.names() {
		lines = append(lines, Recorded{name.String(), step.Digest, n.Descriptor.MediaType, n.Raw})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record.Add(lines...)
}

// names returns the tags of a step or, if there are none, its manifest.
func (s Step) names() []reference.Named {
	if len(s.Tags) == 0 {
		return []reference.Named{manifest.AtDigest(s.Repo, s.Digest)}
	}
	return tagged(s.Repo, s.Tags)
}

func (r *remover) title(step Step) string { return manifest.Familiar(step.names()[0]) }

// remove removes only a tag, or a manifest.
func (r *remover) remove(ctx context.Context, step Step) error {
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

// untag removes only a tag. What the registry deletes with it is put back in any case.
func (r *remover) untag(ctx context.Context, step Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	name := manifest.AtTag(step.Repo, step.Tags[0])
	if moved, err := r.hasMoved(ctx, name, step.Digest); moved || err != nil {
		return err
	}
	removed := r.registry.Untag(ctx, name)
	if err := ignoreAbsent(ctx, r.registry, name, removed); err != nil {
		return err
	}
	n, err := r.snapshot.graph.Node(step.Digest)
	if err != nil {
		return err
	}
	kept := slices.DeleteFunc(r.snapshot.tagsByDigest()[step.Digest], func(tag string) bool { return r.untagged[tag] })
	restored, err := keepManifest(ctx, r.registry, r.report, manifest.AtDigest(step.Repo, step.Digest), n.Content, kept...)
	if !r.keepsManifests && removed == nil && err == nil && !restored {
		r.keepsManifests = true
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

// hasMoved is hasMoved for a tag that is not reported as removed then.
func (r *remover) hasMoved(ctx context.Context, name reference.NamedTagged, d digest.Digest) (bool, error) {
	moved, err := hasMoved(ctx, r.registry, r.report, name, d)
	if moved {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.moved = append(r.moved, name.Tag())
	}
	return moved, err
}

// restoreTags gives a manifest its tags back, unless they point to something.
func (r *remover) restoreTags(ctx context.Context, at reference.Canonical, step Step) error {
	n, err := r.snapshot.graph.Node(step.Digest)
	if err != nil {
		return err
	}
	lost := slices.DeleteFunc(slices.Clone(step.Tags), func(tag string) bool {
		_, err := r.registry.Digest(ctx, manifest.AtTag(step.Repo, tag))
		return err == nil
	})
	if err := r.registry.Put(ctx, at, n.Content, lost...); err != nil {
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
	_, resolveErr := f.Digest(ctx, name)
	if resolveErr == nil {
		return manifest.Errorf(errdefs.ErrNotImplemented, "the registry has %s and does not remove it: %w", manifest.Familiar(name), err)
	}
	if errdefs.IsNotFound(resolveErr) {
		return nil
	}
	return resolveErr
}
