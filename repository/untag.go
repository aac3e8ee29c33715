package repository

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Untag removes tags, never a manifest. If the registry cannot do that, viaPlaceholder lets it delete another manifest
// together with the tag. All tags are resolved before the first is removed. One that does not exist is an error; the others
// are removed. A tag that is listed and whose manifest is gone is removed as well, and not recorded. Of o it uses Record and
// Removed.
func Untag(ctx context.Context, registry Registry, report manifest.Reporter, names []reference.NamedTagged, viaPlaceholder bool, o Removal) error {
	groups := byRepository(names)
	fetched, err := fetchTags(ctx, registry, slices.Concat(groups...))
	if err != nil {
		return fmt.Errorf("%w; nothing was removed", err)
	}
	var errs []error
	var all []*untagging
	for _, group := range groups {
		u := &untagging{untagger: untagger{registry: registry, report: report}, repo: reference.TrimNamed(group[0]), allowed: viaPlaceholder}
		absent, err := u.prepare(ctx, fetched[:len(group)])
		if err != nil {
			return fmt.Errorf("%w; nothing was removed", err)
		}
		errs, all, fetched = append(errs, absent...), append(all, u), fetched[len(group):]
	}
	done, total := 0, 0
	for _, u := range all {
		total += len(u.tags)
	}
	remove := o.Removed
	o.Removed = func(name reference.Named) {
		done++
		remove(name)
	}
	for _, u := range all {
		failed, early := u.run(ctx, o)
		if errs = append(errs, failed...); early {
			report.Note("Removed %d of %d tags", done, total)
			break
		}
	}
	return ended(report, errs)
}

// tagContent is a tag that is going to be removed, and what it points to; absent is the error if that is gone.
type tagContent struct {
	name reference.NamedTagged
	manifest.Content
	absent error
}

// fetchTags fetches what names point to, side by side.
func fetchTags(ctx context.Context, f manifest.Fetcher, names []reference.NamedTagged) ([]tagContent, error) {
	tags, errs := make([]tagContent, len(names)), make([]error, len(names))
	manifest.Concurrently(len(names), func(i int) {
		c, err := f.Fetch(ctx, names[i])
		tags[i] = tagContent{name: names[i], Content: c}
		if errdefs.IsNotFound(err) {
			tags[i].absent = err
		} else {
			errs[i] = err
		}
	})
	return tags, errors.Join(errs...)
}

// untagging removes tags of one repository.
type untagging struct {
	untagger
	repo reference.Named
	tags []tagContent
	// allowed says that tags may be removed by a placeholder, and placeholders that they are.
	allowed, placeholders bool
}

// prepare finds out which tags exist, and how they can be removed. It returns errors for those that do not exist.
func (u *untagging) prepare(ctx context.Context, tags []tagContent) (absent []error, err error) {
	for _, delay := range settleDelays {
		var listed []string
		if slices.ContainsFunc(tags, func(t tagContent) bool { return t.absent != nil }) {
			if listed, _, err = tagNames(ctx, u.registry, u.repo); err != nil && !errdefs.IsNotFound(err) {
				return nil, err
			}
		}
		var again []reference.NamedTagged
		for _, t := range tags {
			switch {
			case t.absent == nil:
				u.tags = append(u.tags, t)
			case slices.Contains(listed, t.name.Tag()):
				again = append(again, t.name)
			default:
				absent = append(absent, t.absent)
			}
		}
		if tags = nil; len(again) == 0 {
			break
		}
		if err := pause.For(ctx, delay); err != nil {
			return nil, err
		}
		if tags, err = fetchTags(ctx, u.registry, again); err != nil {
			return nil, err
		}
	}
	u.tags = append(u.tags, tags...)
	switch {
	case len(u.tags) == 0 && err != nil:
		return append(absent, err), nil
	case len(u.tags) == 0:
		return absent, nil
	}
	if err := u.registry.Untags(ctx, u.repo); err != nil {
		return absent, u.usePlaceholders(ctx, u.tags[0].name, err)
	}
	return absent, nil
}

// usePlaceholders has tags removed by a placeholder if the registry refused to remove name, or returns why it cannot.
func (u *untagging) usePlaceholders(ctx context.Context, name reference.NamedTagged, refusal error) error {
	if !u.allowed || !errdefs.IsNotImplemented(refusal) {
		return cannotUntag(name, refusal)
	}
	if err := u.registry.Deletes(ctx, u.repo); err != nil {
		return cannotDelete(u.repo, err)
	}
	u.placeholders = true
	return nil
}

// run removes the tags, and reports whether it has ended early.
func (u *untagging) run(ctx context.Context, o Removal) (errs []error, early bool) {
	for _, t := range u.tags {
		if err := t.record(ctx, o.Record); err != nil {
			return append(errs, err), true
		}
		moved, err := u.remove(ctx, t)
		switch {
		case err == nil && moved != "":
			u.report.Warn("%s", movedText(manifest.Familiar(t.name), moved, t.Descriptor.Digest))
			continue
		case err == nil:
			o.Removed(t.name)
			continue
		case ctx.Err() != nil && !errors.Is(err, errLost):
			return append(errs, ctx.Err()), true
		}
		errs = append(errs, fmt.Errorf("removing the tag %s: %w", manifest.Familiar(t.name), err))
		if errors.Is(err, errLost) || errors.Is(err, errUnlisted) || errdefs.IsUnavailable(err) {
			return errs, true
		}
	}
	return errs, false
}

// record records a tag before it is removed, unless its manifest is gone. The error is that of ctx when it has ended.
func (t tagContent) record(ctx context.Context, to func(...Recorded) error) error {
	if to == nil || t.absent != nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return to(Recorded{t.name.String(), t.Descriptor.Digest, t.Descriptor.MediaType, t.Raw})
}

// remove removes a tag, or returns what it points to now. Some registries only refuse it then.
func (u *untagging) remove(ctx context.Context, t tagContent) (moved digest.Digest, err error) {
	if !u.placeholders {
		moved, err = u.untag(ctx, t.name, t.Content)
		if !errdefs.IsNotImplemented(err) {
			return moved, err
		}
		if err := u.usePlaceholders(ctx, t.name, err); err != nil {
			return "", err
		}
	} else if moved, err = u.moved(ctx, t.name, t.Descriptor.Digest); moved != "" || err != nil && !errdefs.IsNotFound(err) {
		return moved, err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return u.viaPlaceholder(context.WithoutCancel(ctx), t)
}

// viaPlaceholder moves the tag to a manifest that has no other name, and deletes that. If it cannot be deleted the tag is
// moved back, unless somebody else has moved it.
func (u *untagging) viaPlaceholder(ctx context.Context, t tagContent) (moved digest.Digest, err error) {
	p, err := placeholder(t.Content)
	if err != nil {
		return "", err
	}
	err = u.registry.Put(ctx, t.name, p)
	placed := err == nil
	for attempt := 0; placed && (attempt == 0 || attempt < maxLost && errors.Is(err, manifest.ErrAnswerLost)); attempt++ {
		err = u.registry.Delete(ctx, manifest.AtDigest(u.repo, p.Descriptor.Digest)) // which no other tag has
	}
	now, resolveErr := u.registry.Digest(ctx, t.name)
	switch {
	case errdefs.IsNotFound(resolveErr) && (placed || t.absent == nil):
		return "", nil
	case errdefs.IsNotFound(resolveErr):
		return "", err
	case resolveErr != nil:
		return "", errors.Join(err, fmt.Errorf("it pointed to %s, and may point to the placeholder %s now: %w", t.Descriptor.Digest, p.Descriptor.Digest, resolveErr))
	case now == t.Descriptor.Digest && err != nil:
		return "", err
	case now != p.Descriptor.Digest:
		return now, nil
	case err == nil:
		err = errors.New("the tag still exists after its manifest was deleted")
	}
	if t.absent != nil {
		return "", err
	}
	if restoreErr := u.registry.Put(ctx, t.name, t.Content); restoreErr != nil {
		if now, _ := u.registry.Digest(ctx, t.name); now != t.Descriptor.Digest {
			return "", fmt.Errorf("%w; it pointed to %s, and %w: %w", err, t.Descriptor.Digest, errLost, restoreErr)
		}
	}
	return "", err
}

// annotationPlaceholder has a random value, so that no other manifest has the same digest.
const annotationPlaceholder = "io.github.docker-multiarch.placeholder"

// placeholder returns a manifest of the same content as c with a digest of its own: whoever pulls it meanwhile gets the
// same image. For a superseded artifact manifest it is an index that lists it.
func placeholder(c manifest.Content) (manifest.Content, error) {
	n := manifest.Node{Children: []ocispec.Descriptor{}} // what a tag gets whose manifest is gone
	if c.Raw != nil {
		var err error
		if n, err = manifest.ParseNode(c); err != nil {
			return c, err
		}
	}
	if manifest.IsArtifact(c.Descriptor.MediaType) {
		n.Children = []ocispec.Descriptor{n.Descriptor}
	}
	mark := map[string]string{annotationPlaceholder: rand.Text()}
	if n.Config == nil {
		raw, err := json.Marshal(ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
			Manifests: n.Children, Annotations: mark,
		})
		return manifest.NewContent(ocispec.MediaTypeImageIndex, raw), err
	}
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: *n.Config, Layers: append([]ocispec.Descriptor{}, n.Layers...), Annotations: mark,
	})
	return manifest.NewContent(ocispec.MediaTypeImageManifest, raw), err
}
