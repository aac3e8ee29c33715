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

// Removed is told of each name that is gone: a tag, or a manifest by its digest. Calls come one at a time.
type Removed func(name reference.Named)

// remover carries a plan out.
type remover struct {
	*contentsReader
	contents Contents
	record   Recorder
	removed  Removed

	// alone are the tags that go alone; spares says that the registry was seen to leave a manifest there.
	alone  map[string]bool
	spares bool

	mu   sync.Mutex
	errs []error
	// refused are the manifests that the registry did not delete; stay are tags that had moved.
	refused []digest.Digest
	stay    []string
}

// permitted asks, before anything is changed, whether the registry removes what the plan wants it to.
func (s *contentsReader) permitted(ctx context.Context, p Plan) error {
	lone := func(step Step) bool { return step.Lone }
	if slices.ContainsFunc(p.Steps, func(step Step) bool { return !step.Lone }) {
		if err := s.Registry.Deletes(ctx, s.repo); err != nil {
			return s.unchanged(cannotDelete(s.repo, err))
		}
	}
	if i := slices.IndexFunc(p.Steps, lone); i >= 0 {
		if err := s.Registry.Untags(ctx, s.repo); err != nil {
			err = cannotUntag(s.repo, err)
			return s.unchanged(fmt.Errorf("%s shares its manifest with what stays: %w", s.name(p.Steps[i].Tags[0]), err))
		}
	}
	return nil
}

// cannotDelete and cannotUntag say what to do where a registry does not.
func cannotDelete(repo reference.Named, err error) error {
	if !errdefs.IsNotImplemented(err) {
		return fmt.Errorf("asking %s whether it deletes manifests: %w", reference.Domain(repo), err)
	}
	return manifest.Errorf(errdefs.ErrNotImplemented, "%s does not delete manifests of %s (%w); whoever runs it may be able to permit that, as with "+
		"REGISTRY_STORAGE_DELETE_ENABLED=true of the distribution registry", reference.Domain(repo), reference.FamiliarName(repo), err)
}

func cannotUntag(repo reference.Named, err error) error {
	if !errdefs.IsNotImplemented(err) {
		return fmt.Errorf("asking %s whether it removes tags: %w", reference.Domain(repo), err)
	}
	return manifest.Errorf(errdefs.ErrNotImplemented, "%s does not remove a tag without its manifest (%w); "+
		"'docker multiarch repo untag --via-placeholder' can", reference.Domain(repo), err)
}

// carryOut removes what the plan says, wave by wave. A refusal is part of the error and keeps what the
// refused manifest needs; the rest goes on. What is gone already counts as removed.
func (r *remover) carryOut(ctx context.Context, p Plan) error {
	r.alone = map[string]bool{}
	for _, step := range p.Steps {
		if step.Lone {
			r.alone[step.Tags[0]] = true
		}
	}
	for steps := p.Steps; len(steps) > 0; {
		n := slices.IndexFunc(steps, func(s Step) bool { return s.wave != steps[0].wave })
		switch {
		case steps[0].Lone && !r.spares: // what it may take along is put back before the next one
			n = 1
		case n < 0:
			n = len(steps)
		}
		if r.wave(ctx, steps[:n]) != nil {
			return ended(r.Notes, append(r.errs, ctx.Err()))
		}
		steps = steps[n:]
	}
	return errors.Join(r.errs...)
}

// ended returns all errors, less nil, of a run that may have been interrupted: then that is the error, and the
// others are told.
func ended(notes manifest.Reporter, errs []error) error {
	all := errors.Join(errs...)
	if !errdefs.IsCanceled(all) {
		return all
	}
	for _, err := range errs {
		if !errdefs.IsCanceled(err) {
			notes.Warn("%v", err)
		}
	}
	return context.Canceled
}

// wave carries out steps of which none needs another. The error says that the run ends.
func (r *remover) wave(ctx context.Context, steps []Step) error {
	needed := newPlanner(r.contents, Removal{}).reach(r.refused)
	group, ctx := errgroup.WithContext(ctx)
	for _, step := range steps {
		if needed[step.Digest] && !step.Lone {
			r.fail(step, fmt.Errorf("%s stays, since what needs it could not be deleted", r.title(step)))
			continue
		}
		group.Go(func() error { return r.carryOutStep(ctx, step) })
	}
	return group.Wait()
}

// carryOutStep records, removes and tells. An error that it returns ends the run, and is among errs unless ctx
// has ended.
func (r *remover) carryOutStep(ctx context.Context, step Step) error {
	err := r.note(ctx, step)
	ends := err != nil
	if err == nil {
		err = r.step(ctx, step)
		ends = errors.Is(err, errLost) || errdefs.IsUnavailable(err)
	}
	switch {
	case err == nil:
		r.tell(step)
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
	if !step.Lone {
		r.refused = append(r.refused, step.Digest)
	}
}

func (r *remover) tell(step Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tag := range step.Tags {
		if !slices.Contains(r.stay, tag) {
			r.removed(manifest.AtTag(r.repo, tag))
		}
	}
	if !step.Lone {
		r.removed(manifest.AtDigest(r.repo, step.Digest))
	}
}

// note writes what a step is going to remove into the record. The error is that of ctx when it has ended.
func (r *remover) note(ctx context.Context, step Step) error {
	if r.record == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	n, err := r.graph.Node(step.Digest)
	if err != nil {
		return err
	}
	lines := make([]Recorded, 0, len(step.Tags)+1)
	for _, name := range r.names(step) {
		lines = append(lines, Recorded{name.String(), step.Digest, n.Descriptor.MediaType, n.Raw})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record.Add(lines...)
}

// names returns the tags of a step or, when there are none, its manifest.
func (r *remover) names(step Step) []reference.Named {
	if len(step.Tags) == 0 {
		return []reference.Named{manifest.AtDigest(r.repo, step.Digest)}
	}
	var out []reference.Named
	for _, tag := range step.Tags {
		out = append(out, manifest.AtTag(r.repo, tag))
	}
	return out
}

func (r *remover) title(step Step) string { return manifest.Familiar(r.names(step)[0]) }

// step removes a tag or a manifest.
func (r *remover) step(ctx context.Context, step Step) error {
	at := manifest.AtDigest(r.repo, step.Digest)
	if !step.Lone {
		err := gone(ctx, r.Registry, at, r.Registry.Delete(ctx, at))
		if errdefs.IsInvalidArgument(err) && len(step.Tags) > 0 {
			return r.tagsFirst(ctx, at, step, err)
		}
		return err
	}
	return r.untag(ctx, at, step)
}

// untag removes a tag that goes alone. What the registry deletes with it is put back in any case.
func (r *remover) untag(ctx context.Context, at reference.Canonical, step Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	name := manifest.AtTag(r.repo, step.Tags[0])
	if is, err := r.moved(ctx, name, step.Digest); is || err != nil {
		return err
	}
	was := r.Registry.Untag(ctx, name)
	if err := gone(ctx, r.Registry, name, was); err != nil {
		return err
	}
	n, err := r.graph.Node(step.Digest)
	if err != nil {
		return err
	}
	siblings := slices.DeleteFunc(r.contents.tagsByDigest()[step.Digest], func(tag string) bool { return r.alone[tag] })
	back, err := keep(ctx, r.Access, at, n.Content, siblings...)
	if !r.spares && was == nil && err == nil && !back {
		r.spares = true
	}
	return err
}

// tagsFirst deletes a manifest where the registry, which refused with err, wants its tags to go before. When
// that does not help the tags come back.
func (r *remover) tagsFirst(ctx context.Context, at reference.Canonical, step Step, err error) error {
	ctx = context.WithoutCancel(ctx) // nothing is left half-done
	for _, tag := range step.Tags {
		is, untagged := r.moved(ctx, manifest.AtTag(r.repo, tag), step.Digest)
		if untagged == nil && !is {
			untagged = gone(ctx, r.Registry, manifest.AtTag(r.repo, tag), r.Registry.Untag(ctx, manifest.AtTag(r.repo, tag)))
		}
		if untagged != nil {
			return errors.Join(err, untagged, r.back(ctx, at, step))
		}
	}
	if err = gone(ctx, r.Registry, at, r.Registry.Delete(ctx, at)); err != nil {
		return errors.Join(err, r.back(ctx, at, step))
	}
	return nil
}

// moved is the function of that name; a tag that has moved is not told as removed.
func (r *remover) moved(ctx context.Context, name reference.NamedTagged, d digest.Digest) (bool, error) {
	is, err := moved(ctx, r.Access, name, d)
	if is {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stay = append(r.stay, name.Tag())
	}
	return is, err
}

// back gives a manifest its tags back, unless they name something.
func (r *remover) back(ctx context.Context, at reference.Canonical, step Step) error {
	n, err := r.graph.Node(step.Digest)
	if err != nil {
		return err
	}
	lost := slices.DeleteFunc(slices.Clone(step.Tags), func(tag string) bool {
		_, err := r.Registry.Digest(ctx, manifest.AtTag(r.repo, tag))
		return err == nil
	})
	if err := r.Registry.Put(ctx, at, n.Content, lost...); err != nil {
		return fmt.Errorf("%s has lost tags, and %w: %w", manifest.Familiar(at), errLost, err)
	}
	return nil
}

// gone is the error of a removal, nil when there is nothing to be removed any more. A registry that deletes
// nothing may say that, too, of what is there.
func gone(ctx context.Context, f manifest.Fetcher, name reference.Named, err error) error {
	if !errdefs.IsNotFound(err) {
		return err
	}
	_, still := f.Digest(ctx, name)
	if still == nil {
		return manifest.Errorf(errdefs.ErrNotImplemented, "the registry has %s and does not remove it: %w", manifest.Familiar(name), err)
	}
	if errdefs.IsNotFound(still) {
		return nil
	}
	return still
}
