package repository

import (
	"context"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// PlannedPurge is a purge of a repository that nothing was done of yet.
type PlannedPurge struct {
	reader   *contentsReader
	contents Contents
	removal  Removal
	plan     Plan
}

// PlanPurge returns what goes from the repository of repo by a selection. The error is
// errdefs.ErrNotFound when there is no such repository, and errdefs.ErrNotImplemented when untagged manifests
// are selected and the registry does not list them.
func PlanPurge(ctx context.Context, a manifest.Access, repo reference.Named, selection Selection) (*PlannedPurge, error) {
	p := &PlannedPurge{reader: newContentsReader(a, repo)}
	var err error
	if p.contents, err = p.reader.read(ctx); err != nil {
		return nil, err
	}
	if selection.Untagged && !p.contents.Listed {
		return nil, p.reader.unchanged(p.reader.unlisted)
	}
	matched, total, err := selection.matched(p.contents)
	if err != nil {
		return nil, p.reader.unchanged(err)
	}
	if selection.needsTimes() {
		if err := p.reader.times(ctx, p.contents, matched); err != nil {
			return nil, p.reader.unchanged(err)
		}
	}
	var told manifest.Diagnostics
	p.removal, told = selection.removal(p.contents, matched)
	if p.plan, err = p.reader.plan(ctx, p.contents, p.removal); err != nil {
		return nil, err
	}
	told.Report(a.Notes)
	tags, manifests := p.plan.count()
	a.Notes.Note("%s: %d of %d tags match; %d tags and %d manifests go", reference.FamiliarName(p.reader.repo), len(matched), total, tags, manifests)
	return p, nil
}

// Rows returns the steps of the plan, with what is known of their manifests.
func (p *PlannedPurge) Rows() []Row { return rows(p.reader.repo, p.contents, p.plan) }

// CarryOut removes what was planned, less what has changed since. What is going to be removed is put into the
// record first, where there is one.
func (p *PlannedPurge) CarryOut(ctx context.Context, record Recorder, removed Removed) error {
	if len(p.plan.Steps) == 0 {
		return nil
	}
	contents, removal, err := p.reader.again(ctx, p.contents, p.removal)
	if err != nil {
		return err
	}
	plan, err := p.reader.plan(ctx, contents, removal)
	if err != nil {
		return err
	}
	if err := p.reader.permitted(ctx, plan); err != nil {
		return err
	}
	r := &remover{contentsReader: p.reader, contents: contents, record: record, removed: removed}
	return r.carryOut(ctx, plan)
}

func (p Plan) count() (tags, manifests int) {
	for _, step := range p.Steps {
		tags += len(step.Tags)
		if !step.Lone {
			manifests++
		}
	}
	return tags, manifests
}
