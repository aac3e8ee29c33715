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

// Confirm is shown what is going to be removed, and reports whether it may be.
type Confirm func(rows []Row) (bool, error)

// Remove deletes the manifests that names, by tag or digest, stand for, with all their tags; with recursive
// also what is there only for them. What something else lists is not deleted, which is an error, as is a name
// that does not exist; the rest goes on.
func Remove(ctx context.Context, a manifest.Access, names []reference.Named, recursive bool, confirm Confirm, removed Removed) error {
	var errs []error
	var all []*namedRemoval
	var rows []Row
	for _, group := range byRepository(names) {
		n := &namedRemoval{contentsReader: newContentsReader(a, group[0])}
		missing, err := n.plan(ctx, group, recursive)
		if err != nil {
			return err
		}
		errs = append(errs, missing...)
		all, rows = append(all, n), append(rows, n.rows()...)
	}
	if len(rows) == 0 {
		return errors.Join(errs...)
	}
	if yes, err := confirm(rows); err != nil || !yes {
		return errors.Join(append(errs, err)...)
	}
	for _, n := range all {
		errs = append(errs, n.carryOut(ctx, removed))
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

// namedRemoval removes from one repository what was named.
type namedRemoval struct {
	*contentsReader
	contents Contents
	removal  Removal
	planned  Plan
}

// plan plans the removal of names. What cannot go is in missing.
func (n *namedRemoval) plan(ctx context.Context, names []reference.Named, recursive bool) (missing []error, err error) {
	n.bare, n.lenient, n.opaque = true, !recursive, map[digest.Digest]bool{}
	tags := map[string]digest.Digest{}
	for _, name := range names {
		d, err := n.Registry.Digest(ctx, name)
		switch {
		case errdefs.IsNotFound(err):
			missing = append(missing, err)
			continue
		case err != nil:
			return nil, n.unchanged(err)
		}
		n.opaque[d] = true
		if tagged, ok := name.(reference.NamedTagged); ok {
			tags[tagged.Tag()] = d
		}
	}
	if n.contents, err = n.read(ctx); err != nil {
		return nil, err
	}
	maps.Copy(n.contents.Tags, tags)
	n.removal = Removal{Manifests: maps.Clone(n.opaque), Outright: true, Recursive: recursive}
	if err := n.extend(ctx, n.contents, slices.Collect(maps.Keys(n.removal.Manifests))); err != nil {
		return nil, n.unchanged(err)
	}
	needed, err := n.replan(ctx)
	return append(missing, needed...), err
}

// replan plans again, less what has to stay, which is in needed.
func (n *namedRemoval) replan(ctx context.Context) (needed []error, err error) {
	for {
		n.removal.Tags = map[string]bool{}
		for tag, d := range n.contents.Tags {
			n.removal.Tags[tag] = n.removal.Manifests[d] && !n.removal.StayTags[tag]
		}
		maps.DeleteFunc(n.removal.Tags, func(_ string, goes bool) bool { return !goes })
		if n.planned, err = n.contentsReader.plan(ctx, n.contents, n.removal); err != nil {
			return needed, err
		}
		blocked := slices.DeleteFunc(slices.Sorted(maps.Keys(n.removal.Manifests)), func(d digest.Digest) bool { return !n.planned.kept[d] })
		if len(blocked) == 0 {
			return needed, nil
		}
		for _, d := range blocked {
			needed = append(needed, n.needed(d))
			delete(n.removal.Manifests, d)
		}
	}
}

// needed is the error for a manifest that has to stay.
func (n *namedRemoval) needed(d digest.Digest) error {
	at := manifest.Familiar(manifest.AtDigest(n.repo, d))
	if n.contents.Manifests[d].Locked {
		return manifest.Errorf(errdefs.ErrFailedPrecondition, "%s is locked: it stays", at)
	}
	p := newPlanner(n.contents, n.removal)
	for _, tag := range slices.Sorted(maps.Keys(n.contents.Tags)) {
		switch root := n.contents.Tags[tag]; {
		case n.removal.Tags[tag] || !p.reach(p.withSubjects(root))[d]:
		case root == d:
			return manifest.Errorf(errdefs.ErrFailedPrecondition, "%s stays, since %s points at it", at, n.name(tag))
		default:
			return manifest.Errorf(errdefs.ErrFailedPrecondition, "%s stays, since %s needs it: remove that too, or a tag alone with 'docker multiarch repo untag'",
				at, n.name(tag))
		}
	}
	return manifest.Errorf(errdefs.ErrFailedPrecondition, "%s stays, since a manifest without a tag needs it", at)
}

func (n *namedRemoval) rows() []Row { return rows(n.repo, n.contents, n.planned) }

// carryOut removes what was planned, less what has changed since.
func (n *namedRemoval) carryOut(ctx context.Context, removed Removed) error {
	if len(n.planned.Steps) == 0 {
		return nil
	}
	var err error
	if n.contents, n.removal, err = n.again(ctx, n.contents, n.removal); err != nil {
		return err
	}
	needed, err := n.replan(ctx)
	if err == nil {
		err = n.permitted(ctx, n.planned)
	}
	if err == nil {
		r := &remover{contentsReader: n.contentsReader, contents: n.contents, removed: removed}
		err = r.carryOut(ctx, n.planned)
	}
	return errors.Join(append(needed, err)...)
}

// Row is a step of a plan, and the manifest it is about.
type Row struct {
	Repo reference.Named
	Step
	Held
}

func rows(repo reference.Named, c Contents, p Plan) []Row {
	rows := make([]Row, 0, len(p.Steps))
	for _, step := range p.Steps {
		rows = append(rows, Row{repo, step, c.Manifests[step.Digest]})
	}
	return rows
}
