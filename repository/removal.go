package repository

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
	"unique"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Removal has what [Purge] and [Remove] call: to confirm, record and report a removal.
type Removal struct {
	// Confirm is called with what is going to be removed, and reports whether to go on.
	Confirm func(steps []Step) (bool, error)
	// DryRun says that nothing is removed even if Confirm agrees; less of the repository is kept in memory then.
	DryRun bool
	// Record stores what is going to be removed where it outlasts the process, and returns then; nil for none.
	Record func(lines ...Recorded) error
	// AssumeGone are tags and digests that are taken for gone if they are listed and cannot be read.
	AssumeGone []string
	// MaxDeletes and MaxTime bound a purge, 0 for no bound: it ends between what can be removed on its own, and reports what
	// is left.
	MaxDeletes int
	MaxTime    time.Duration
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
	// named are the manifests that were named one by one, nil for a purge: they need not be readable.
	named map[digest.Digest]bool
	// confirmed are the manifests whose removal was confirmed, nil before that: others are kept if they are needed no longer.
	confirmed map[digest.Digest]bool
	// more are manifests beyond tags and inventory; asked are those whose referrers are known.
	more  []digest.Digest
	asked map[digest.Digest]bool
	// deletes and untags say that the registry can do that. over are the steps that were carried out or have failed, by
	// [Step.key], done those that were carried out, and gone the tags that they removed.
	deletes, untags bool
	over, gone      map[string]bool
	done            []Step
	// unreported are those of done that were not reported; bare are manifests that were deleted and put back without tags.
	unreported []Step
	bare       map[digest.Digest]bool
	// started is when the removal began.
	started time.Time
	// ignored are listed tags and digests that are taken for gone if they cannot be read; revealed are the tags for which
	// what was deleted was put back.
	ignored, revealed map[string]bool
}

func newRemoval(r Registry, report manifest.Reporter, repo reference.Named, o Removal) *removal {
	removal := &removal{Removal: o, started: time.Now(), registry: r, report: report, snapshot: newSnapshot(r, repo), asked: map[digest.Digest]bool{},
		over: map[string]bool{}, gone: map[string]bool{}, bare: map[digest.Digest]bool{}, ignored: map[string]bool{}, revealed: map[string]bool{}}
	removal.snapshot.graph.NoBytes, removal.snapshot.graph.Spill = o.DryRun, !o.DryRun
	for _, name := range o.AssumeGone {
		removal.ignored[name] = true
	}
	return removal
}

// unchanged adds to err, unless it is nil, that nothing, or nothing else, was removed.
func (r *removal) unchanged(err error) error {
	nothing := "nothing"
	switch {
	case err == nil:
		return nil
	case len(r.done) > 0 || len(r.gone) > 0:
		nothing = "nothing else"
	}
	return fmt.Errorf("%w; %s was removed from %s", err, nothing, reference.FamiliarName(r.snapshot.repo))
}

func (r *removal) read(ctx context.Context) error {
	err := r.readSnapshot(ctx, r.snapshot)
	if err == nil {
		err = r.extend(ctx, nil)
	}
	return r.unchanged(err)
}

// readSnapshot reads the repository into an empty snapshot. What cannot be read is an error.
func (r *removal) readSnapshot(ctx context.Context, s *Snapshot) error {
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

// plan plans the steps of the request. Referrers of what is removed that were not known are added to the snapshot. Of the
// manifests that were named, refused has an error for each that has to be kept.
func (r *removal) plan(ctx context.Context) (refused []error, err error) {
	if r.named == nil {
		_, err := r.planSteps(ctx)
		return nil, err
	}
	for {
		r.request.tags = map[string]bool{}
		for tag, d := range r.snapshot.Tags {
			if r.request.manifests[d] && !r.request.keepTags[tag] {
				r.request.tags[tag] = true
			}
		}
		kept, err := r.planSteps(ctx)
		if err != nil {
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
		if r.keepUnconfirmed(steps) {
			continue
		}
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

// keepUnconfirmed keeps what steps would remove without having been confirmed, and reports whether there is anything.
func (r *removal) keepUnconfirmed(steps []Step) (found bool) {
	for _, step := range steps {
		if r.confirmed != nil && !step.Untag && !r.confirmed[step.Digest] {
			r.request.keep[step.Digest], found = true, true
		}
	}
	return found
}

// describe completes the steps with what was read of their manifests.
func (r *removal) describe(ctx context.Context) {
	s := r.snapshot
	for i := range r.steps {
		step := &r.steps[i]
		n, err := s.graph.Node(step.Digest)
		if err != nil {
			continue
		}
		detail := DetailManifest
		if _, read := s.created[step.Digest]; read { // and so the config
			detail = DetailPlatform
		}
		record, _ := fullRecord(ctx, s.graph, s.repo, n, s.Manifests[step.Digest].Platform, detail)
		step.Size, step.ImageSize = record.Size, s.imageSize(step.Digest)
		for _, p := range record.Platforms {
			step.Platforms = append(step.Platforms, unique.Make(p.Platform).Value())
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
	r.confirmed = map[digest.Digest]bool{}
	for _, step := range r.steps {
		r.confirmed[step.Digest] = r.confirmed[step.Digest] || !step.Untag
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
