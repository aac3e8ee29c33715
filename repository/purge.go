package repository

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Purge removes what a selection matches from the repository of repo. The error is errdefs.ErrNotFound if there is no such
// repository, and errdefs.ErrNotImplemented if untagged manifests are selected and the registry does not list them.
func Purge(ctx context.Context, registry Registry, report manifest.Reporter, repo reference.Named, selection Selection, o Removal) error {
	return newRemoval(registry, report, repo, o).purge(ctx, selection)
}

// PurgeAll is [Purge] for each repository of a registry whose path matches. An error does not stop the others, unless the
// registry is unavailable. Bounds are for all together.
func PurgeAll(ctx context.Context, registry Registry, report manifest.Reporter, host string, filter manifest.Pattern, selection Selection, o Removal) error {
	paths, err := Repositories(ctx, registry, host, filter)
	if err != nil {
		return fmt.Errorf("%w; nothing was removed", err)
	}
	if len(paths) == 0 {
		report.Note("No repository of %s matches", host)
	}
	var errs []error
	for started := time.Now(); len(paths) > 0; paths = paths[1:] {
		repo, err := manifest.ParseRepository(host + "/" + paths[0])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r := newRemoval(registry, report, repo, o)
		r.started, r.snapshot.mayBeEmpty = started, true // as many in a catalog are
		err = r.purge(ctx, selection)
		errs = append(errs, err)
		left := len(paths) - 1
		switch {
		case ctx.Err() != nil || errdefs.IsUnavailable(err):
			return ended(report, errs)
		case left > 0 && (o.MaxDeletes > 0 && len(r.done) >= o.MaxDeletes || o.MaxTime > 0 && time.Since(started) >= o.MaxTime):
			report.Note("Stopped by --max-deletes or --max-time; %d repositories are left, which another purge reads", left)
			return ended(report, errs)
		case o.MaxDeletes > 0:
			o.MaxDeletes -= len(r.done)
		}
	}
	return ended(report, errs)
}

func (r *removal) purge(ctx context.Context, selection Selection) error {
	defer r.snapshot.graph.Close()
	report, repo := r.report, r.snapshot.repo
	if err := r.read(ctx); err != nil {
		return err
	}
	if selection.Untagged && !r.snapshot.Complete {
		return r.unchanged(r.snapshot.noInventory)
	}
	matched, total, err := selection.matched(r.snapshot)
	if err == nil && selection.needsTimes() {
		err = r.snapshot.readCreated(ctx, matched)
	}
	if err != nil {
		return r.unchanged(err)
	}
	var diagnostics manifest.Diagnostics
	r.request, diagnostics = selection.request(r.snapshot, matched)
	if _, err := r.plan(ctx); err != nil {
		return err
	}
	diagnostics.Report(report)
	tags, manifests := count(r.steps)
	report.Note("%s: %d of %d tags match; %d tags and %d manifests to remove%s", reference.FamiliarName(repo), len(matched), total, tags, manifests,
		selection.unmatched(matched, total))
	r.noteOrphans(manifests)
	r.describe(ctx)
	if yes, err := r.Confirm(r.steps); err != nil || !yes || r.DryRun {
		return err
	}
	return r.carryOut(ctx)
}

// noteOrphans reports how many manifests below those that are removed nothing else would need.
func (r *removal) noteOrphans(removed int) {
	if r.request.recursive || removed == 0 {
		return
	}
	all := r.request
	all.recursive = true
	steps, _ := r.snapshot.plan(all)
	if _, manifests := count(steps); manifests > removed {
		r.report.Note("%d manifests below them are left without a tag; --recursive removes these, too", manifests-removed)
	}
}

// summary reports what was removed in total, also if the removal has ended early.
func (r *remover) summary(early bool) {
	tags, manifests := count(r.done)
	if tags+manifests == 0 {
		return
	}
	text := fmt.Sprintf("%s: removed %d tags and %d manifests%s", reference.FamiliarName(r.snapshot.repo), tags, manifests, r.freed())
	if tags, manifests = count(r.left()); early {
		text += fmt.Sprintf("; %d tags and %d manifests are left", tags, manifests)
	}
	r.report.Note("%s", text)
}

// freed returns how many bytes no remaining manifest needs: at most so many if not all of these are known, at least so many if
// not all that were removed are, nothing if both.
func (r *remover) freed() string {
	s, removed := r.snapshot, map[digest.Digest]bool{}
	for _, step := range r.done {
		removed[step.Digest] = removed[step.Digest] || !step.Untag
	}
	unknown := map[bool]bool{false: s.noInventory != nil || unread(slices.Collect(maps.Values(s.unread))) != nil}
	nodes := func(of bool) iter.Seq[manifest.Node] {
		return func(yield func(manifest.Node) bool) {
			for d := range s.Manifests {
				if removed[d] != of {
					continue
				}
				n, err := s.graph.Node(d)
				unknown[of] = unknown[of] || err != nil && !errdefs.IsNotFound(err)
				if err == nil && !yield(n) {
					return
				}
			}
		}
	}
	size := manifest.SizeWithout(nodes(true), nodes(false))
	about := ""
	switch {
	case size == 0 || unknown[true] && unknown[false]:
		return ""
	case unknown[false]:
		about = "up to "
	case unknown[true]:
		about = "at least "
	}
	return fmt.Sprintf(", which frees %s%s in the repository", about, units.HumanSizeWithPrecision(float64(size), 3))
}

func count(steps []Step) (tags, manifests int) {
	for _, step := range steps {
		tags += len(step.Tags)
		if !step.Untag {
			manifests++
		}
	}
	return tags, manifests
}
