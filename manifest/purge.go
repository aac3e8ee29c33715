package manifest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// PurgeTags removes, in the repository of the list that was pushed, the tags that the list was made from:
// never the list's own tag nor one of tags, and only those that still point at what was taken. A registry
// that cannot remove a tag alone is a warning, and nothing is removed.
func PurgeTags(ctx context.Context, a Access, pushed Pushed, tags []reference.NamedTagged) error {
	for _, t := range pushed.List.sourceTags(tags) {
		now, err := a.Registry.Digest(ctx, t.name)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("looking %s up before its tag is removed: %w", Familiar(t.name), err)
		}
		if now != t.digest {
			a.Notes.Warn("%s points at %s now, which is not in the list: the tag stays", Familiar(t.name), now)
			continue
		}
		child, err := t.entry.withRaw(ctx, a.Registry)
		if err != nil {
			return fmt.Errorf("reading %s before its tag is removed: %w", Familiar(t.name), err)
		}
		err = a.Registry.Untag(ctx, t.name)
		switch {
		case errdefs.IsNotImplemented(err), errdefs.IsConflict(err):
			a.Notes.Warn("the registry cannot remove a tag without its manifest, so the tags of the images stay: %v", err)
			return nil
		case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err):
			a.Notes.Warn("this account may not remove tags, so those of the images stay: %v", err)
			return nil
		}
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("removing the tag %s: %w", Familiar(t.name), err)
		}
		if _, err := keep(ctx, a, atDigest(child.Ref, child.Descriptor.Digest), child.Descriptor.MediaType, child.Raw); err != nil {
			return err
		}
		a.Notes.Note("Untagged %s", Familiar(t.name))
	}
	return nil
}

// sourceTag is a tag that a list was made from, and what it pointed at.
type sourceTag struct {
	name   reference.NamedTagged
	digest digest.Digest
	entry  Entry
}

// sourceTags returns the tags in the list's own repository that its entries were made from, less those
// that the list itself has. The tag of an index of several images is nobody's to remove, unless push sent it.
func (l List) sourceTags(own []reference.NamedTagged) []sourceTag {
	var out []sourceTag
	for _, e := range l.Entries {
		for _, ref := range []reference.Named{e.Ref, e.Source} {
			if ref.String() != e.Ref.String() && e.Index == "" {
				continue
			}
			name, ok := ref.(reference.NamedTagged)
			if _, digested := ref.(reference.Canonical); !ok || digested || !SameRepository(name, l.Name) {
				continue
			}
			is := func(n reference.NamedTagged) bool { return n.String() == name.String() }
			if name.String() == l.Name.String() || slices.ContainsFunc(own, is) ||
				slices.ContainsFunc(out, func(t sourceTag) bool { return is(t.name) }) {
				continue
			}
			out = append(out, sourceTag{name, cmp.Or(e.Index, e.Descriptor.Digest), e})
		}
	}
	return out
}

// errLost is part of an error after which no other tag may be removed.
var errLost = errors.New("it could not be put back")

// keep puts a manifest back, under the tags that it shared, if the registry deleted it together with a tag,
// and reports whether it was. The error has errLost in it when that failed.
func keep(ctx context.Context, a Access, at reference.Canonical, mediaType string, raw []byte, tags ...string) (back bool, err error) {
	if _, err := a.Registry.Digest(ctx, at); !errdefs.IsNotFound(err) {
		return false, err
	}
	if err := a.Registry.Put(ctx, at, mediaType, raw, tags...); err != nil {
		return false, fmt.Errorf("the registry deleted %s together with its tag, and %w: %w", Familiar(at), errLost, err)
	}
	a.Notes.Warn("the registry deleted %s together with its tag; it was put back", Familiar(at))
	return true, nil
}
