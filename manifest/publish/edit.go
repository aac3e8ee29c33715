package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// edit changes a local list that exists.
func edit(ctx context.Context, lists manifest.Lists, name reference.Named, change func(manifest.List) (manifest.List, error)) error {
	return lists.Update(ctx, name, func(l manifest.List) (manifest.List, error) {
		if len(l.Entries) == 0 {
			return l, manifest.NoList(name)
		}
		return change(l)
	})
}

// AnnotateLocal annotates the entry of a local list that selector names, or only the list if selector
// is empty.
func AnnotateLocal(ctx context.Context, lists manifest.Lists, name reference.Named, selector string, a manifest.Annotation) error {
	return edit(ctx, lists, name, func(l manifest.List) (manifest.List, error) {
		if selector == "" {
			return l.Annotate(-1, a)
		}
		i, err := l.SelectOne(selector)
		if errdefs.IsNotFound(err) {
			return l, manifest.Errorf(errdefs.ErrNotFound, "manifest for image %s does not exist in %s, which has %s", selector, manifest.Familiar(name), l.Contents())
		}
		if err != nil {
			return l, err
		}
		return l.Annotate(i, a)
	})
}

// DropLocal removes the entries that match the selectors from a local list, with their attestations.
func DropLocal(ctx context.Context, lists manifest.Lists, name reference.Named, selectors []string) error {
	return edit(ctx, lists, name, func(l manifest.List) (manifest.List, error) { return l.Without(selectors...) })
}

// Tag copies the local list called source to targets, none of which may exist. If there is no such list, it tags
// the image of that name in the daemon.
func Tag(ctx context.Context, lists manifest.Lists, images manifest.Images, source reference.Named, targets []reference.NamedTagged) error {
	list, err := lists.Get(source)
	if errdefs.IsNotFound(err) {
		return tagImage(ctx, images, source, targets)
	}
	if err != nil {
		return err
	}
	for i, target := range targets {
		if err = copyList(ctx, lists, list, target); err == nil {
			continue
		}
		for _, copied := range targets[:i] { // all or nothing
			undo := lists.Update(context.WithoutCancel(ctx), copied, func(manifest.List) (manifest.List, error) { return manifest.List{}, nil })
			err = errors.Join(err, undo)
		}
		return err
	}
	return nil
}

func copyList(ctx context.Context, lists manifest.Lists, list manifest.List, target reference.NamedTagged) error {
	return lists.Update(ctx, target, func(old manifest.List) (manifest.List, error) {
		if len(old.Entries) > 0 {
			err := manifest.Errorf(errdefs.ErrAlreadyExists, "the local list %s exists", manifest.Familiar(target))
			return old, manifest.WithHint(err, "remove it first: docker multiarch rm %s", manifest.Familiar(target))
		}
		list.Name, list.Pushed = target, ""
		return list, nil
	})
}

func tagImage(ctx context.Context, images manifest.Images, source reference.Named, targets []reference.NamedTagged) error {
	local, err := images.Find(ctx, source)
	if errdefs.IsNotFound(err) {
		return manifest.Errorf(errdefs.ErrNotFound, "%s is neither a local list nor a local image: %w", manifest.Familiar(source), err)
	}
	if err != nil {
		return fmt.Errorf("%s is not a local list, and looking for a local image failed: %w", manifest.Familiar(source), err)
	}
	for _, target := range targets {
		if err := images.Tag(ctx, local.ID, target); err != nil {
			return fmt.Errorf("tagging %s as %s: %w", manifest.Familiar(source), manifest.Familiar(target), err)
		}
	}
	return nil
}
