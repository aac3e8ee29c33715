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

// Untag removes tags, never a manifest. Where the registry cannot do that, viaPlaceholder lets another
// manifest take the tag with it. All tags are looked up before the first is removed. One that does not exist
// is an error; the rest goes on.
func Untag(ctx context.Context, a manifest.Access, names []reference.NamedTagged, viaPlaceholder bool, removed Removed) error {
	groups := byRepository(names)
	found, missing, err := lookUp(ctx, a, slices.Concat(groups...))
	if err != nil {
		return fmt.Errorf("%w; nothing was removed", err)
	}
	var all []*untagging
	for _, group := range groups {
		u := &untagging{Access: a, repo: reference.TrimNamed(group[0]), permitted: viaPlaceholder}
		for _, name := range group {
			if t, ok := found[name.String()]; ok {
				u.tags = append(u.tags, t)
			}
		}
		if len(u.tags) == 0 {
			if _, err := tagNames(ctx, a.Registry, u.repo); errdefs.IsNotFound(err) {
				missing = append(missing, err)
			}
			continue
		}
		if err := u.prepare(ctx); err != nil {
			return fmt.Errorf("%w; nothing was removed", err)
		}
		all = append(all, u)
	}
	errs := missing
	for _, u := range all {
		errs = append(errs, u.run(ctx, removed)...)
		if errors.Is(errors.Join(errs...), errLost) {
			break
		}
	}
	return ended(a.Notes, errs)
}

// taken is a tag that is going to be removed, and what it names.
type taken struct {
	name reference.NamedTagged
	manifest.Content
}

// lookUp returns what names stand for, side by side, and errors for those that do not exist.
func lookUp(ctx context.Context, a manifest.Access, names []reference.NamedTagged) (found map[string]taken, missing []error, err error) {
	tags, errs := make([]taken, len(names)), make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			c, err := a.Registry.Fetch(ctx, name)
			tags[i], errs[i] = taken{name, c}, err
		})
	}
	group.Wait()
	found = map[string]taken{}
	for i, t := range tags {
		switch {
		case errdefs.IsNotFound(errs[i]):
			missing = append(missing, errs[i])
		case errs[i] != nil:
			return nil, nil, errs[i]
		default:
			found[t.name.String()] = t
		}
	}
	return found, missing, nil
}

// untagging removes tags of one repository.
type untagging struct {
	manifest.Access
	repo reference.Named
	tags []taken
	// permitted says that tags may go by a placeholder, and displace that they do; before are the tags of the
	// repository, before any went.
	permitted, displace bool
	before              []string
}

// prepare finds out how tags can be removed.
func (u *untagging) prepare(ctx context.Context) error {
	var err error
	if u.before, err = tagNames(ctx, u.Registry, u.repo); err != nil {
		return err
	}
	if err := u.Registry.Untags(ctx, u.repo); err != nil {
		return u.resort(ctx, err)
	}
	return nil
}

// resort makes tags go by a placeholder where the registry refused to remove one, or returns why they cannot.
func (u *untagging) resort(ctx context.Context, refusal error) error {
	if !u.permitted || !errdefs.IsNotImplemented(refusal) {
		return cannotUntag(u.repo, refusal)
	}
	if err := u.Registry.Deletes(ctx, u.repo); err != nil {
		return cannotDelete(u.repo, err)
	}
	u.displace = true
	return nil
}

func (u *untagging) run(ctx context.Context, removed Removed) (errs []error) {
	for _, t := range u.tags {
		is, err := moved(ctx, u.Access, t.name, t.Descriptor.Digest)
		if is {
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

// moved reports, with a warning, whether a tag that is about to be removed names something else than d by now.
func moved(ctx context.Context, a manifest.Access, name reference.NamedTagged, d digest.Digest) (bool, error) {
	now, err := a.Registry.Digest(ctx, name)
	switch {
	case errdefs.IsNotFound(err):
		return false, nil
	case err != nil || now == d:
		return false, err
	}
	a.Notes.Warn("%s points at %s now, not at %s: it stays", manifest.Familiar(name), now, d)
	return true, nil
}

// remove removes a tag. Some registries tell only then that they do not.
func (u *untagging) remove(ctx context.Context, t taken) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // nothing is left half-done
	if !u.displace {
		err := gone(ctx, u.Registry, t.name, u.Registry.Untag(ctx, t.name))
		switch {
		case err == nil:
			return u.putBack(ctx, t)
		case !errdefs.IsNotImplemented(err):
			return err
		}
		if err := u.resort(ctx, err); err != nil {
			return err
		}
	}
	return u.viaPlaceholder(ctx, t)
}

// putBack puts back what a tag named that is gone, if the registry deleted that, too.
func (u *untagging) putBack(ctx context.Context, t taken) error {
	u.before = slices.DeleteFunc(u.before, func(tag string) bool { return tag == t.name.Tag() })
	at := manifest.AtDigest(u.repo, t.Descriptor.Digest)
	if _, err := u.Registry.Digest(ctx, at); !errdefs.IsNotFound(err) {
		return err
	}
	after, err := u.Registry.Tags(ctx, u.repo)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("the registry deleted %s together with its tag, and %w: %w", manifest.Familiar(at), errLost, err)
	}
	lost := slices.DeleteFunc(slices.Clone(u.before), func(tag string) bool { return slices.Contains(after, tag) })
	_, err = keep(ctx, u.Access, at, t.Content, lost...)
	return err
}

// viaPlaceholder gives the tag to a manifest that nothing else names, and deletes that. When it cannot be
// deleted the tag gets back what it named.
func (u *untagging) viaPlaceholder(ctx context.Context, t taken) error {
	p, err := placeholder(t.Content)
	if err != nil {
		return err
	}
	if err = u.Registry.Put(ctx, t.name, p); err == nil {
		err = u.Registry.Delete(ctx, manifest.AtDigest(u.repo, p.Descriptor.Digest))
	}
	if err == nil {
		_, err = u.Registry.Digest(ctx, t.name)
		if errdefs.IsNotFound(err) {
			return nil
		}
		err = errors.Join(errors.New("the tag outlived the manifest it named"), err)
	}
	if back := u.Registry.Put(ctx, t.name, t.Content); back != nil {
		if now, _ := u.Registry.Digest(ctx, t.name); now != t.Descriptor.Digest {
			return fmt.Errorf("%w; what it named is %s, and %w: %w", err, t.Descriptor.Digest, errLost, back)
		}
	}
	return err
}

// annotationPlaceholder makes a manifest like no other.
const annotationPlaceholder = "io.github.docker-multiarch.placeholder"

// placeholder returns a manifest of what c is made of, with another digest than any
// other: whoever pulls it meanwhile gets the same image.
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
