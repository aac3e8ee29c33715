package repository

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Remove deletes the manifests that names, by tag or digest, stand for, with all their tags; if recursive, also what
// nothing else needs. A manifest that something else lists is kept, which is an error, as is a name that does not exist;
// the rest is removed.
func Remove(ctx context.Context, registry Registry, report manifest.Reporter, names []reference.Named, recursive bool, o Removal) error {
	var errs []error
	var all []*removal
	var steps []Step
	for _, group := range byRepository(names) {
		r := newRemoval(registry, report, group[0], o)
		defer r.snapshot.graph.Close()
		refused, err := r.name(ctx, group, recursive)
		if err != nil {
			return err
		}
		r.describe(ctx)
		errs, all, steps = append(errs, refused...), append(all, r), append(steps, r.steps...)
	}
	if len(steps) == 0 {
		return errors.Join(errs...)
	}
	if yes, err := o.Confirm(steps); err != nil || !yes || o.DryRun {
		return errors.Join(append(errs, err)...)
	}
	for _, r := range all {
		errs = append(errs, r.carryOut(ctx))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// byRepository groups names, each once, in their order.
func byRepository[N reference.Named](names []N) [][]N {
	var out [][]N
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name.String()] {
			continue
		}
		seen[name.String()] = true
		i := slices.IndexFunc(out, func(group []N) bool { return manifest.SameRepository(group[0], name) })
		if i < 0 {
			out = append(out, []N{name})
			continue
		}
		out[i] = append(out[i], name)
	}
	return out
}

// name plans the removal of names. What cannot be removed is in refused.
func (r *removal) name(ctx context.Context, names []reference.Named, recursive bool) (refused []error, err error) {
	r.snapshot.mayBeEmpty = true // it may have manifests and no tags
	r.named, r.request = map[digest.Digest]bool{}, newRequest()
	r.request.named, r.request.recursive = true, recursive
	tags := map[string]digest.Digest{}
	for _, name := range names {
		d, err := r.registry.Digest(ctx, name)
		switch {
		case errdefs.IsNotFound(err):
			refused = append(refused, err)
			continue
		case err != nil:
			return nil, r.unchanged(err)
		}
		r.named[d] = true
		if tagged, ok := name.(reference.NamedTagged); ok {
			tags[tagged.Tag()] = d
		}
	}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	maps.Copy(r.snapshot.Tags, tags)
	if err := r.extend(ctx, slices.Sorted(maps.Keys(r.named))); err != nil {
		return nil, r.unchanged(err)
	}
	r.request.manifests = maps.Clone(r.named)
	needed, err := r.plan(ctx)
	return append(refused, needed...), err
}

// needed is the error for a named manifest that has to be kept.
func (r *removal) needed(d digest.Digest) error {
	at := manifest.Familiar(manifest.AtDigest(r.snapshot.repo, d))
	if r.snapshot.Manifests[d].Locked {
		return manifest.Errorf(errdefs.ErrFailedPrecondition, "%s is locked, and kept", at)
	}
	p := newPlanner(r.snapshot, r.request)
	for _, tag := range slices.Sorted(maps.Keys(r.snapshot.Tags)) {
		name := r.snapshot.name(tag)
		switch root := r.snapshot.Tags[tag]; {
		case r.request.tags[tag] || !p.reach([]digest.Digest{root}, true)[d]:
		case root == d:
			return manifest.Errorf(errdefs.ErrFailedPrecondition, "%s is kept: %s points to it", at, name)
		default:
			err := manifest.Errorf(errdefs.ErrFailedPrecondition, "%s is kept: %s needs it", at, name)
			if tags := r.snapshot.tagsByDigest()[d]; len(tags) > 0 {
				return manifest.WithHint(err, "docker multiarch repo untag %s", r.snapshot.name(tags[0]))
			}
			return manifest.WithHint(err, "docker multiarch repo rm %s %s", name, at)
		}
	}
	return manifest.Errorf(errdefs.ErrFailedPrecondition, "%s is kept: a manifest without a tag needs it", at)
}
