package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// untagger removes tags of a repository, and restores what the registry deletes with one: the manifest and its other tags.
type untagger struct {
	registry Registry
	report   manifest.Reporter
	// others are the tags of the repository of which those that disappear with a manifest are restored; nil if they are to be
	// listed before the next removal, and listed says that they were: some may be tags of other manifests. keeps says that the
	// registry seems to keep the manifest of a removed tag, restored that it does not.
	others                  []string
	listed, keeps, restored bool
}

// errUnlisted is part of an error of a tag that was not removed.
var errUnlisted = errors.New("the registry may delete other tags with it, which cannot be listed")

// listOthers lists the other tags of a repository at the last moment: one that somebody removes after it would be restored.
func (u *untagger) listOthers(ctx context.Context, repo reference.Named) error {
	if u.keeps || u.others != nil {
		return nil
	}
	tags, _, err := u.registry.Tags(ctx, repo)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnlisted, err)
	}
	u.others, u.listed = append([]string{}, tags...), true
	return nil
}

// untag removes a tag that points to c, or whose manifest is gone if c is empty, or returns what it points to now. The
// error is errLost if the registry deleted the manifest as well and that cannot be restored.
func (u *untagger) untag(ctx context.Context, name reference.NamedTagged, c manifest.Content) (moved digest.Digest, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ctx = context.WithoutCancel(ctx) // nothing is left half-done
	unlisted := u.listOthers(ctx, name)
	defer func() {
		if !u.keeps {
			u.others = nil
		}
	}()
	moved, err = u.moved(ctx, name, c.Descriptor.Digest)
	switch {
	case errdefs.IsNotFound(err) && c.Raw == nil:
		return "", u.untagGone(ctx, name)
	case errdefs.IsNotFound(err):
		return "", nil
	case err != nil || moved != "":
		return moved, err
	case unlisted != nil:
		return "", unlisted
	}
	removed := u.registry.Untag(ctx, name)
	if errdefs.IsAborted(removed) { // somebody has moved it, perhaps after it was removed
		if moved, err = u.registry.Digest(ctx, name); err != nil && !errdefs.IsNotFound(err) {
			return "", err
		}
		removed = nil
	}
	if err := ignoreAbsent(ctx, u.registry, name, removed); err != nil {
		return "", err
	}
	return moved, u.restore(ctx, name, c, removed == nil && moved == "")
}

// moved returns what a tag points to, "" if that is d.
func (u *untagger) moved(ctx context.Context, name reference.NamedTagged, d digest.Digest) (digest.Digest, error) {
	now, err := u.registry.Digest(ctx, name)
	if now == d {
		now = ""
	}
	return now, err
}

// untagGone removes a tag whose manifest is gone.
func (u *untagger) untagGone(ctx context.Context, name reference.NamedTagged) error {
	err := u.registry.Untag(ctx, name)
	if !errdefs.IsNotFound(err) {
		return err
	}
	left, _, listErr := u.registry.Tags(ctx, name)
	if listErr != nil && !errdefs.IsNotFound(listErr) {
		return listErr
	}
	if slices.Contains(left, name.Tag()) {
		return manifest.Errorf(errdefs.ErrNotImplemented, "the registry lists %s and does not remove it: %w", manifest.Familiar(name), err)
	}
	return nil
}

// restore restores the manifest of a removed tag, and its other tags, if the registry deleted them, too.
func (u *untagger) restore(ctx context.Context, name reference.NamedTagged, c manifest.Content, removed bool) error {
	u.others = slices.DeleteFunc(u.others, func(tag string) bool { return tag == name.Tag() })
	at := manifest.AtDigest(name, c.Descriptor.Digest)
	exists, err := exists(ctx, u.registry, at)
	switch {
	case err != nil:
		return err
	case exists && !u.restored && (u.keeps || !u.listed || len(u.others) == 0):
		u.keeps = u.keeps || removed
		return nil
	}
	gone, err := u.gone(ctx, name)
	switch {
	case exists && !u.restored: // the registry has kept it, or somebody has pushed it again
		u.keeps = removed && err == nil && len(gone) == 0
		u.warnGone(at, gone)
		return err
	case err == nil && exists && len(gone) == 0: // somebody has pushed it again
		return nil
	}
	with, lost := "", gone
	if u.keeps { // they were listed long ago
		lost = nil
	}
	if len(lost) > 0 {
		with = ", and so were these tags, which had disappeared with it: " + manifest.JoinSome(lost)
	}
	if err == nil {
		err = putBack(ctx, u.registry, at, c, lost...)
	}
	if err != nil {
		return fmt.Errorf("the registry deleted %s together with its tag, and %w: %w", manifest.Familiar(at), errLost, err)
	}
	u.report.Warn("the registry deleted %s together with its tag; it was restored%s", manifest.Familiar(at), with)
	if u.keeps {
		u.warnGone(at, gone)
	}
	u.restored, u.keeps = true, false
	return nil
}

// gone returns which of the other tags are not listed any more.
func (u *untagger) gone(ctx context.Context, repo reference.Named) ([]string, error) {
	left, _, err := u.registry.Tags(ctx, repo)
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(u.others), func(tag string) bool { return slices.Contains(left, tag) }), nil
}

// warnGone reports tags that are gone and that the registry may have deleted, or somebody else.
func (u *untagger) warnGone(at reference.Canonical, gone []string) {
	if len(gone) > 0 {
		u.report.Warn("these tags of %s no longer exist, and the registry may have deleted them together with a tag of %s: %s",
			reference.FamiliarName(at), at.Digest(), manifest.JoinSome(gone))
	}
}

// errLost is part of an error after which no other tag may be removed.
var errLost = errors.New("it could not be restored")

// putBack stores a manifest, under those of tags that do not exist: the others may have moved, also while it is stored.
func putBack(ctx context.Context, registry Registry, at reference.Canonical, c manifest.Content, tags ...string) error {
	for left := len(tags); ; left-- {
		var absent []string
		for _, tag := range tags {
			exists, err := exists(ctx, registry, manifest.AtTag(at, tag))
			if err != nil {
				return err
			}
			if !exists {
				absent = append(absent, tag)
			}
		}
		if err := registry.Put(ctx, at, c, absent...); !errdefs.IsAborted(err) || left == 0 {
			return err
		}
	}
}

// putBack stores a manifest of the snapshot, see [putBack].
func (r *removal) putBack(ctx context.Context, at reference.Canonical, tags ...string) error {
	c, err := r.snapshot.graph.Content(at.Digest())
	if err != nil {
		return err
	}
	return putBack(ctx, r.registry, at, c, tags...)
}
