package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// PurgeTags removes, in the repository of the list that was pushed, the tags that the list was made from: never one
// that the list was pushed under, and only those that still point to what the list has. If the registry cannot remove
// only a tag, nothing is removed, which is a warning.
func PurgeTags(ctx context.Context, registry Registry, report manifest.Reporter, pushed manifest.Pushed) error {
	for _, t := range pushed.SourceTags() {
		now, err := registry.Digest(ctx, t.Name)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("resolving %s before its tag is removed: %w", manifest.Familiar(t.Name), err)
		}
		if now != t.Digest {
			report.Warn("%s now points to %s, which is not in the list: keeping the tag", manifest.Familiar(t.Name), now)
			continue
		}
		child, err := t.Entry.WithRaw(ctx, registry)
		if err != nil {
			return fmt.Errorf("reading %s before its tag is removed: %w", manifest.Familiar(t.Name), err)
		}
		err = registry.Untag(ctx, t.Name)
		switch {
		case errdefs.IsNotImplemented(err), errdefs.IsConflict(err):
			report.Warn("keeping the tags of the images: the registry cannot remove a tag without its manifest: %v", err)
			return nil
		case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err):
			report.Warn("keeping the tags of the images: this account is not allowed to remove tags: %v", err)
			return nil
		}
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("removing the tag %s: %w", manifest.Familiar(t.Name), err)
		}
		if _, err := keepManifest(ctx, registry, report, manifest.AtDigest(child.Ref, child.Descriptor.Digest), child.Content()); err != nil {
			return err
		}
		report.Note("Untagged %s", manifest.Familiar(t.Name))
	}
	return nil
}

// errLost is part of an error after which no other tag may be removed.
var errLost = errors.New("it could not be restored")

// keepManifest restores a manifest, under the tags that are kept, if the registry deleted it together with a tag, and
// reports whether it had to. If that fails the error is errLost.
func keepManifest(ctx context.Context, registry Registry, report manifest.Reporter, at reference.Canonical, c manifest.Content, tags ...string) (restored bool, err error) {
	if _, err := registry.Digest(ctx, at); !errdefs.IsNotFound(err) {
		return false, err
	}
	if err := putBack(ctx, registry, at, c, tags...); err != nil {
		return false, fmt.Errorf("the registry deleted %s together with its tag, and %w: %w", manifest.Familiar(at), errLost, err)
	}
	report.Warn("the registry deleted %s together with its tag; it was restored", manifest.Familiar(at))
	return true, nil
}

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
