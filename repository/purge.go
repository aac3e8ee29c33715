package repository

import (
	"context"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Purge removes what a selection matches from the repository of repo. The error is errdefs.ErrNotFound if there is no such
// repository, and errdefs.ErrNotImplemented if untagged manifests are selected and the registry does not list them.
func Purge(ctx context.Context, registry Registry, report manifest.Reporter, repo reference.Named, selection Selection, o Removal) error {
	r := newRemoval(registry, report, repo, o)
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
	report.Note("%s: %d of %d tags match; %d tags and %d manifests to remove", reference.FamiliarName(repo), len(matched), total, tags, manifests)
	if yes, err := o.Confirm(r.steps); err != nil || !yes {
		return err
	}
	return r.carryOut(ctx)
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
