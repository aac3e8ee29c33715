package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// PurgeTags removes, in the repository of the list that was pushed, the tags that the list was made from: never one
// that the list was pushed under, and only those that still point to what the list has. If the registry cannot remove
// only a tag, or list the others that it may delete with one, nothing is removed, which is a warning.
func PurgeTags(ctx context.Context, registry Registry, report manifest.Reporter, pushed publish.Pushed) error {
	u := untagger{registry: registry, report: report}
	tags := pushed.SourceTags()
	for i, t := range tags {
		c, err := sourceContent(ctx, registry, t)
		switch {
		case errdefs.IsNotFound(err):
			continue
		case err != nil:
			return fmt.Errorf("reading %s before its tag is removed: %w", manifest.Familiar(t.Name), err)
		}
		moved, err := u.untag(ctx, t.Name, c)
		switch {
		case errors.Is(err, errUnlisted):
			report.Warn("keeping the tags of the images: %v", err)
			return nil
		case errdefs.IsNotImplemented(err), errdefs.IsConflict(err), errdefs.IsFailedPrecondition(err):
			var names []string
			for _, left := range tags[i:] {
				names = append(names, manifest.Familiar(left.Name))
			}
			report.Warn("keeping the tags of the images: the registry cannot remove a tag without its manifest: %v (to remove them: "+
				"docker multiarch repo untag --via-placeholder %s)", err, strings.Join(names, " "))
			return nil
		case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err):
			report.Warn("keeping the tags of the images: this account is not allowed to remove tags: %v", err)
			return nil
		case err != nil:
			return fmt.Errorf("removing the tag %s: %w", manifest.Familiar(t.Name), err)
		case moved != "":
			report.Warn("%s now points to %s, which is not in the list: keeping the tag", manifest.Familiar(t.Name), moved)
			continue
		}
		report.Note("Untagged %s", manifest.Familiar(t.Name))
	}
	return nil
}

// sourceContent returns what a tag points to that a list was made from.
func sourceContent(ctx context.Context, registry Registry, t publish.SourceTag) (manifest.Content, error) {
	if t.Digest != t.Entry.Descriptor.Digest {
		return registry.Fetch(ctx, manifest.AtDigest(t.Name, t.Digest))
	}
	child, err := t.Entry.WithRaw(ctx, registry)
	return child.Content(), err
}
