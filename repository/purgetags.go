package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// PurgeTags removes, in the repository of the list that was pushed, the tags that the list was made from:
// never one that the list was pushed under, and only those that still point at what was taken. A registry
// that cannot remove a tag alone is a warning, and nothing is removed.
func PurgeTags(ctx context.Context, a manifest.Access, pushed manifest.Pushed) error {
	for _, t := range pushed.SourceTags() {
		now, err := a.Registry.Digest(ctx, t.Name)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("looking %s up before its tag is removed: %w", manifest.Familiar(t.Name), err)
		}
		if now != t.Digest {
			a.Notes.Warn("%s points at %s now, which is not in the list: the tag stays", manifest.Familiar(t.Name), now)
			continue
		}
		child, err := t.Entry.WithRaw(ctx, a.Registry)
		if err != nil {
			return fmt.Errorf("reading %s before its tag is removed: %w", manifest.Familiar(t.Name), err)
		}
		err = a.Registry.Untag(ctx, t.Name)
		switch {
		case errdefs.IsNotImplemented(err), errdefs.IsConflict(err):
			a.Notes.Warn("the registry cannot remove a tag without its manifest, so the tags of the images stay: %v", err)
			return nil
		case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err):
			a.Notes.Warn("this account may not remove tags, so those of the images stay: %v", err)
			return nil
		}
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("removing the tag %s: %w", manifest.Familiar(t.Name), err)
		}
		if _, err := keep(ctx, a, manifest.AtDigest(child.Ref, child.Descriptor.Digest), child.Content()); err != nil {
			return err
		}
		a.Notes.Note("Untagged %s", manifest.Familiar(t.Name))
	}
	return nil
}

// errLost is part of an error after which no other tag may be removed.
var errLost = errors.New("it could not be put back")

// keep puts a manifest back, under the tags that it shared, if the registry deleted it together with a tag,
// and reports whether it was. The error has errLost in it when that failed.
func keep(ctx context.Context, a manifest.Access, at reference.Canonical, c manifest.Content, tags ...string) (back bool, err error) {
	if _, err := a.Registry.Digest(ctx, at); !errdefs.IsNotFound(err) {
		return false, err
	}
	if err := a.Registry.Put(ctx, at, c, tags...); err != nil {
		return false, fmt.Errorf("the registry deleted %s together with its tag, and %w: %w", manifest.Familiar(at), errLost, err)
	}
	a.Notes.Warn("the registry deleted %s together with its tag; it was put back", manifest.Familiar(at))
	return true, nil
}
