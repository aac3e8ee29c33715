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
	// listed before the next removal. keeps says that the registry was seen to keep the manifest of a removed tag, restored
	// that it was not.
	others          []string
	keeps, restored bool
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
	u.others = append([]string{}, tags...)
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
	defer func() { u.others = nil }()
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
	if errdefs.IsAborted(removed) { // somebody has moved it
		if moved, err = u.registry.Digest(ctx, name); err == nil || !errdefs.IsNotFound(err) {
			return moved, err
		}
		removed = nil
	}
	if err := ignoreAbsent(ctx, u.registry, name, removed); err != nil {
		return "", err
	}
	return "", u.restore(ctx, name, c, removed == nil)
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
	_, existsErr := u.registry.Digest(ctx, at)
	if !errdefs.IsNotFound(existsErr) && (existsErr != nil || !u.restored) {
		u.keeps = u.keeps || removed && existsErr == nil
		return existsErr
	}
	left, _, err := u.registry.Tags(ctx, name)
	if errdefs.IsNotFound(err) {
		err = nil
	}
	if u.keeps { // what disappeared before may have been tags of other manifests
		u.others = nil
	}
	with := ""
	if err == nil {
		lost := slices.DeleteFunc(slices.Clone(u.others), func(tag string) bool { return slices.Contains(left, tag) })
		if existsErr == nil && len(lost) == 0 { // somebody has pushed it again
			return nil
		}
		if len(lost) > 0 {
			with = ", and so were these tags, which had disappeared with it: " + manifest.JoinSome(lost)
		}
		err = putBack(ctx, u.registry, at, c, lost...)
	}
	if err != nil {
		return fmt.Errorf("the registry deleted %s together with its tag, and %w: %w", manifest.Familiar(at), errLost, err)
	}
	u.restored = true
	u.report.Warn("the registry deleted %s together with its tag; it was restored%s", manifest.Familiar(at), with)
	return nil
}

// errLost is part of an error after which no other tag may be removed.
var errLost = errors.New("it could not be restored")

// putBack stores a manifest, under those of tags that do not exist: the others may have moved.
func putBack(ctx context.Context, registry Registry, at reference.Canonical, c manifest.Content, tags ...string) error {
	var absent []string
	for _, tag := range tags {
		_, err := registry.Digest(ctx, manifest.AtTag(at, tag))
		if err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		if err != nil {
			absent = append(absent, tag)
		}
	}
	return registry.Put(ctx, at, c, absent...)
}
