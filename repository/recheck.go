package repository

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// recheck lists the repository again, and plans again if it has changed: new tags and manifests, and tags that have
// moved, are kept complete: deleted manifests that they need are restored. With all, the tags that were known
// before are resolved again, too.
func (r *remover) recheck(ctx context.Context, all bool) error {
	now := r.snapshot.next()
	if !all {
		now.known = maps.Clone(r.snapshot.Tags)
		maps.Copy(now.known, r.moved)
		maps.DeleteFunc(now.known, func(tag string, _ digest.Digest) bool { return r.gone[tag] || r.unsure[tag] })
	}
	err := r.readSnapshot(ctx, now)
	if err == nil {
		err = r.settleGone(ctx, now)
	}
	if err != nil {
		return r.unchanged(err)
	}
	r.learn(now)
	r.reportSteps(now.Tags)
	clear(r.moved)
	clear(r.unsure)
	restored, err := r.restoreKept(ctx, now)
	r.added = append(r.added, restored...)
	if err != nil {
		return r.unchanged(err)
	}
	r.added = append(r.added, r.keepNew(now)...)
	if lost := r.keepLost(now); len(r.added) == 0 && !lost {
		return nil
	}
	if err := r.extend(ctx, r.added); err != nil {
		return r.unchanged(err)
	}
	refused, err := r.plan(ctx)
	r.errs, r.planned = append(r.errs, refused...), tagsOf(r.steps)
	switch {
	case err != nil:
		return err
	case len(r.done) == 0 && !r.unchecked:
		return r.permitted(ctx)
	}
	return r.restore(ctx, r.added)
}

// learn learns from the other tags of a manifest whether the registry has kept it when a tag of it was removed.
func (r *remover) learn(now *Snapshot) {
	if r.untagged == "" || r.keepsManifests {
		return
	}
	for tag, d := range r.snapshot.Tags {
		_, exists := now.Tags[tag]
		r.deletesWithTags = r.deletesWithTags || d == r.untagged && !r.gone[tag] && !exists
	}
	r.keepsManifests, r.untagged = !r.deletesWithTags, ""
}

// keepNew adds the tags and manifests to the snapshot that are new, and tags that have moved, and reports and keeps them.
func (r *remover) keepNew(now *Snapshot) (added []digest.Digest) {
	s := r.snapshot
	for _, tag := range slices.Sorted(maps.Keys(now.Tags)) {
		d := now.Tags[tag]
		was, known := s.Tags[tag]
		switch {
		case known && was == d && !r.gone[tag]:
			continue
		case known && was != d:
			r.report.Warn("%s", movedText(s.name(tag), d, was))
		default:
			r.report.Warn("%s is new: keeping it", s.name(tag))
		}
		delete(r.gone, tag)
		s.Tags[tag], r.request.keepTags[tag] = d, true
		added = append(added, d)
	}
	for _, d := range slices.Sorted(maps.Keys(now.named)) {
		if !s.named[d] {
			s.named[d] = true
			added = append(added, d)
		}
	}
	for _, d := range slices.Sorted(maps.Keys(now.inventory)) {
		if _, known := s.inventory[d]; !known {
			s.inventory[d], r.request.keep[d] = now.inventory[d], true
			added = append(added, d)
		}
	}
	return added
}

// restoreKept restores tags that were to be kept and do not exist any more, if the registry deletes manifests with a tag
// and somebody had moved the tag, or if this run has requested the removal of their manifests. Others were removed by
// somebody. It returns their manifests.
func (r *remover) restoreKept(ctx context.Context, now *Snapshot) (restored []digest.Digest, err error) {
	for _, tag := range slices.Sorted(maps.Keys(r.snapshot.Tags)) {
		if _, exists := now.Tags[tag]; exists || r.gone[tag] || r.planned[tag] || len(r.done) == 0 {
			continue
		}
		d := r.snapshot.Tags[tag]
		at := manifest.AtDigest(r.snapshot.repo, d)
		exists, err := exists(ctx, r.registry, at)
		if err != nil {
			return restored, err
		}
		_, err = r.snapshot.graph.Node(d)
		if err != nil || exists && !r.deletesWithTags || !exists && !r.requested[d] {
			continue
		}
		if err := r.putBack(context.WithoutCancel(ctx), at, tag); err != nil {
			return restored, lost(at, err)
		}
		r.report.Warn("the registry deleted %s with another tag; it was restored", r.snapshot.name(tag))
		now.Tags[tag], restored = d, append(restored, d)
	}
	return restored, nil
}

// keepLost removes the tags from the snapshot that do not exist any more, and were not removed by this run. Those that were
// to be kept are reported, and the manifests that they pointed to are kept.
func (r *remover) keepLost(now *Snapshot) (lost bool) {
	s := r.snapshot
	for _, tag := range slices.Sorted(maps.Keys(s.Tags)) {
		_, exists := now.Tags[tag]
		switch {
		case exists || r.gone[tag]:
			continue
		case !r.planned[tag]:
			r.report.Warn("%s no longer exists: keeping the manifest it pointed to", s.name(tag))
			r.request.keep[s.Tags[tag]] = true
		case len(r.done) > 0: // its manifest may have been deleted with another
			continue
		}
		delete(s.Tags, tag)
		lost = true
	}
	return lost
}

// settleGone looks again at tags that were removed and are listed. A listing may be late, and a registry may keep the tags
// of a deleted manifest: these are removed.
func (r *remover) settleGone(ctx context.Context, now *Snapshot) error {
	for _, step := range r.done {
		at := manifest.AtDigest(step.Repo, step.Digest)
		for _, tag := range step.Tags {
			if now.Tags[tag] != step.Digest || !r.gone[tag] {
				continue
			}
			exists, err := r.settleTag(ctx, manifest.AtTag(step.Repo, tag), at, step.Untag)
			if err != nil {
				return fmt.Errorf("removing the tag %s of a deleted manifest: %w", manifest.Familiar(manifest.AtTag(step.Repo, tag)), err)
			}
			if !exists {
				delete(now.Tags, tag)
			}
		}
	}
	return nil
}

// settleTag removes a tag that still points to a manifest, if that was deleted, and reports whether the tag exists.
func (r *remover) settleTag(ctx context.Context, name reference.NamedTagged, at reference.Canonical, kept bool) (found bool, err error) {
	d, err := r.registry.Digest(ctx, name)
	switch {
	case errdefs.IsNotFound(err):
		return false, nil
	case err != nil || kept || d != at.Digest():
		return true, err
	}
	if found, err = exists(ctx, r.registry, at); found || err != nil { // after the tag: somebody may push both again
		return found, err
	}
	return false, ignoreAbsent(ctx, r.registry, name, r.registry.Untag(ctx, name))
}

// maxRevealed is how many of the manifests that were deleted last are put back to find out what a removed tag points to.
const maxRevealed = 100

// reveal puts back what was deleted, the last first, until tags that answer 404 point to something: they were pushed while
// that was deleted. Only for tags that this run has removed, of which a listing may be late, not all of it is. What turns out
// not to be needed is deleted again or, if the run ends before, gets its tags back.
func (r *removal) reveal(ctx context.Context, s *Snapshot, tags []string) error {
	ctx = context.WithoutCancel(ctx)
	var hidden []string
	for _, tag := range tags {
		if !r.revealed[tag] {
			r.revealed[tag], hidden = true, append(hidden, tag)
		}
	}
	late := len(r.done) - maxRevealed
	for i, step := range slices.Backward(r.done) {
		if len(hidden) == 0 {
			break
		}
		if step.Untag || i < late && !slices.ContainsFunc(hidden, func(tag string) bool { return !r.gone[tag] || slices.Contains(step.Tags, tag) }) {
			continue
		}
		at := manifest.AtDigest(step.Repo, step.Digest)
		if err := r.putBack(ctx, at); err != nil {
			return lost(at, err)
		}
		delete(r.over, step.key())
		r.done = slices.Delete(r.done, i, i+1)
		r.unreported = slices.DeleteFunc(r.unreported, func(s Step) bool { return !s.Untag && s.Digest == step.Digest })
		r.bare[step.Digest] = true
		hidden = slices.DeleteFunc(hidden, func(tag string) bool {
			d, err := r.registry.Digest(ctx, manifest.AtTag(s.repo, tag))
			if err == nil {
				s.Tags[tag] = d
				delete(s.unread, tag)
				r.warnRestored(at)
			}
			return err == nil
		})
	}
	return nil
}

func (r *removal) warnRestored(at reference.Canonical) {
	r.report.Warn("%s was deleted and is needed by what was pushed meanwhile; it was restored", manifest.Familiar(at))
}

func lost(at reference.Canonical, err error) error {
	return fmt.Errorf("%s was deleted and is needed by what was pushed meanwhile, and %w: %w", manifest.Familiar(at), errLost, err)
}

// restore puts back what no longer exists of what manifests need, with its tags: this run has deleted it, or the registry
// with something else.
func (r *remover) restore(ctx context.Context, manifests []digest.Digest) error {
	ctx = context.WithoutCancel(ctx)
	s, needed := r.snapshot, newPlanner(r.snapshot, r.request).reach(manifests, true)
	for _, step := range r.steps {
		if !step.Untag {
			delete(needed, step.Digest)
		}
	}
	for _, d := range slices.Backward(s.order) {
		if _, err := s.graph.Node(d); err != nil || !needed[d] {
			continue // it did not exist before either
		}
		if err := r.restoreManifest(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (r *remover) restoreManifest(ctx context.Context, d digest.Digest) error {
	at := manifest.AtDigest(r.snapshot.repo, d)
	tags := r.keptTags(d)
	exists, err := exists(ctx, r.registry, at)
	if err != nil || exists && !slices.ContainsFunc(tags, func(tag string) bool { return r.gone[tag] }) {
		return err
	}
	if err := r.putBack(ctx, at, tags...); err != nil {
		return lost(at, err)
	}
	r.warnRestored(at)
	delete(r.over, d.String())
	for _, tag := range tags {
		delete(r.gone, tag)
	}
	r.done = slices.DeleteFunc(r.done, func(step Step) bool { return !step.Untag && step.Digest == d })
	return nil
}

// keptTags returns the tags of a manifest that are kept, not nil.
func (r *remover) keptTags(d digest.Digest) []string {
	out := []string{}
	for tag, of := range r.snapshot.Tags {
		if of == d && !r.planned[tag] {
			out = append(out, tag)
		}
	}
	return out
}
