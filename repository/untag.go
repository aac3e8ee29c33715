package repository

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Untag removes tags, never a manifest. If the registry cannot do that, viaPlaceholder lets it delete another manifest
// together with the tag. All tags are resolved before the first is removed. One that does not exist is an error; the others
// are removed. removed is called with each.
func Untag(ctx context.Context, registry Registry, report manifest.Reporter, names []reference.NamedTagged, viaPlaceholder bool, removed func(name reference.Named)) error {
	groups := byRepository(names)
	found, errs, err := fetchTags(ctx, registry, slices.Concat(groups...))
	if err != nil {
		return fmt.Errorf("%w; nothing was removed", err)
	}
	var all []*untagging
	for _, group := range groups {
		u := &untagging{registry: registry, report: report, repo: reference.TrimNamed(group[0]), allowed: viaPlaceholder}
		for _, name := range group {
			if t, ok := found[name.String()]; ok {
				u.tags = append(u.tags, t)
			}
		}
		if len(u.tags) == 0 {
			if _, _, err := tagNames(ctx, registry, u.repo); errdefs.IsNotFound(err) {
				errs = append(errs, err)
			}
			continue
		}
		if err := u.prepare(ctx); err != nil {
			return fmt.Errorf("%w; nothing was removed", err)
		}
		all = append(all, u)
	}
	for _, u := range all {
		errs = append(errs, u.run(ctx, removed)...)
		if errors.Is(errors.Join(errs...), errLost) {
			break
		}
	}
	return ended(report, errs)
}

// tagContent is a tag that is going to be removed, and what it points to.
type tagContent struct {
	name reference.NamedTagged
	manifest.Content
}

// fetchTags fetches what names point to, side by side, and returns errors for those that do not exist.
func fetchTags(ctx context.Context, f manifest.Fetcher, names []reference.NamedTagged) (found map[string]tagContent, absent []error, err error) {
	tags, errs := make([]tagContent, len(names)), make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			c, err := f.Fetch(ctx, name)
			tags[i], errs[i] = tagContent{name, c}, err
		})
	}
	group.Wait()
	found = map[string]tagContent{}
	for i, t := range tags {
		switch {
		case errdefs.IsNotFound(errs[i]):
			absent = append(absent, errs[i])
		case errs[i] != nil:
			return nil, nil, errs[i]
		default:
			found[t.name.String()] = t
		}
	}
	return found, absent, nil
}

// untagging removes tags of one repository.
type untagging struct {
	registry Registry
	report   manifest.Reporter
	repo     reference.Named
	tags     []tagContent
	// allowed says that tags may be removed by a placeholder, and placeholders that they are; before are the tags of the
	// repository, before any was removed.
	allowed, placeholders bool
	before                []string
}

// prepare finds out how tags can be removed.
func (u *untagging) prepare(ctx context.Context) error {
	var err error
	if u.before, _, err = tagNames(ctx, u.registry, u.repo); err != nil {
		return err
	}
	if err := u.registry.Untags(ctx, u.repo); err != nil {
		return u.usePlaceholders(ctx, u.tags[0].name, err)
	}
	return nil
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

func (u *untagging) run(ctx context.Context, removed func(name reference.Named)) (errs []error) {
	for _, t := range u.tags {
		moved, err := hasMoved(ctx, u.registry, u.report, t.name, t.Descriptor.Digest)
		if moved {
			continue
		}
		if err == nil {
			err = u.remove(ctx, t)
		}
		switch {
		case err == nil:
			removed(t.name)
			continue
		case ctx.Err() != nil && !errors.Is(err, errLost):
			return append(errs, ctx.Err())
		}
		errs = append(errs, fmt.Errorf("removing the tag %s: %w", manifest.Familiar(t.name), err))
		if errors.Is(err, errLost) || errdefs.IsUnavailable(err) {
			return errs
		}
	}
	return errs
}

// hasMoved reports, with a warning, whether a tag that is about to be removed points to something else than d.
func hasMoved(ctx context.Context, f manifest.Fetcher, report manifest.Reporter, name reference.NamedTagged, d digest.Digest) (bool, error) {
	now, err := f.Digest(ctx, name)
	switch {
	case errdefs.IsNotFound(err):
		return false, nil
	case err != nil || now == d:
		return false, err
	}
	report.Warn("%s", movedText(manifest.Familiar(name), now, d))
	return true, nil
}

// remove removes a tag. Some registries only refuse it then.
func (u *untagging) remove(ctx context.Context, t tagContent) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // nothing is left half-done
	if !u.placeholders {
		err := ignoreAbsent(ctx, u.registry, t.name, u.registry.Untag(ctx, t.name))
		switch {
		case err == nil:
			return u.restore(ctx, t)
		case !errdefs.IsNotImplemented(err):
			return err
		}
		if err := u.usePlaceholders(ctx, t.name, err); err != nil {
			return err
		}
	}
	return u.viaPlaceholder(ctx, t)
}

// restore restores what a removed tag pointed to, and its other tags, if the registry deleted that, too.
func (u *untagging) restore(ctx context.Context, t tagContent) error {
	u.before = slices.DeleteFunc(u.before, func(tag string) bool { return tag == t.name.Tag() })
	at := manifest.AtDigest(u.repo, t.Descriptor.Digest)
	if _, err := u.registry.Digest(ctx, at); !errdefs.IsNotFound(err) {
		return err
	}
	after, _, err := u.registry.Tags(ctx, u.repo)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("the registry deleted %s together with its tag, and %w: %w", manifest.Familiar(at), errLost, err)
	}
	lost := slices.DeleteFunc(slices.Clone(u.before), func(tag string) bool { return slices.Contains(after, tag) })
	_, err = keepManifest(ctx, u.registry, u.report, at, t.Content, lost...)
	return err
}

// viaPlaceholder moves the tag to a manifest that has no other name, and deletes that. If it cannot be deleted the tag is
// moved back.
func (u *untagging) viaPlaceholder(ctx context.Context, t tagContent) error {
	p, err := placeholder(t.Content)
	if err != nil {
		return err
	}
	if err = u.registry.Put(ctx, t.name, p); err == nil {
		err = u.registry.Delete(ctx, manifest.AtDigest(u.repo, p.Descriptor.Digest))
	}
	if err == nil {
		_, err = u.registry.Digest(ctx, t.name)
		if errdefs.IsNotFound(err) {
			return nil
		}
		err = errors.Join(errors.New("the tag still exists after its manifest was deleted"), err)
	}
	if restoreErr := u.registry.Put(ctx, t.name, t.Content); restoreErr != nil {
		if now, _ := u.registry.Digest(ctx, t.name); now != t.Descriptor.Digest {
			return fmt.Errorf("%w; it pointed to %s, and %w: %w", err, t.Descriptor.Digest, errLost, restoreErr)
		}
	}
	return err
}

// annotationPlaceholder has a random value, so that no other manifest has the same digest.
const annotationPlaceholder = "io.github.docker-multiarch.placeholder"

// placeholder returns a manifest of the same content as c with a digest of its own: whoever pulls it meanwhile gets the
// same image.
func placeholder(c manifest.Content) (manifest.Content, error) {
	n, err := manifest.ParseNode(c)
	if err != nil {
		return c, err
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
