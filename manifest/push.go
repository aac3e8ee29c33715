package manifest

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Pushed is what a push left in the registry.
type Pushed struct {
	// List is the list with nothing pending any more.
	List List
	// Descriptor and Raw are the index that was pushed, or the image when there was no list.
	Descriptor ocispec.Descriptor
	Raw        []byte
	// Children are the images that were sent or copied, in the order of the list.
	Children []Child
}

// Child is an image that a push put into the target repository.
type Child struct {
	Ref    reference.Named
	Digest digest.Digest
}

// Push sends list to the repository of its name: what is pending from the daemon, then the children that
// the repository lacks, then the list itself under its tag and under tags, which lie in the same
// repository. A tag changes only after everything below it is there.
func Push(ctx context.Context, registry Registry, images Images, notes Notes, list List, tags []reference.NamedTagged) (Pushed, error) {
	if err := list.CheckPush(); err != nil {
		return Pushed{}, err
	}
	list, children, err := sendPending(ctx, registry, images, notes, list, tags)
	if err != nil {
		return Pushed{}, err
	}
	desc, raw, err := list.Index()
	if err != nil {
		return Pushed{}, err
	}
	copied, err := copyChildren(ctx, registry, list)
	if err != nil {
		return Pushed{}, err
	}
	for _, name := range append([]reference.NamedTagged{list.Name.(reference.NamedTagged)}, tags...) {
		if err := registry.Put(ctx, name, desc.MediaType, raw); err != nil {
			return Pushed{}, fmt.Errorf("pushing the list %s: %w", Familiar(name), err)
		}
	}
	return Pushed{List: list, Descriptor: desc, Raw: raw, Children: append(children, copied...)}, nil
}

// PushLocal is Push for the local list called name. Without purge the digests and bytes that pending
// entries got are written back; with it the list is removed, unless somebody changed it meanwhile.
func PushLocal(ctx context.Context, lists Lists, registry Registry, images Images, notes Notes, name reference.NamedTagged, tags []reference.NamedTagged, purge bool) (Pushed, error) {
	list, err := lists.Get(name)
	if err != nil {
		return Pushed{}, err
	}
	list.Name = name
	warnDuplicates(list, notes)
	pushed, err := Push(ctx, registry, images, notes, list, tags)
	if err != nil {
		return pushed, err
	}
	if !purge && !slices.ContainsFunc(list.Entries, Entry.IsPending) {
		return pushed, nil
	}
	err = lists.Update(ctx, name, func(now List) (List, error) {
		switch {
		case !purge:
			return now.settled(list, pushed.List), nil
		case now.equal(list):
			return List{Name: name}, nil
		}
		notes.Warn("%s was changed while it was pushed: the local list stays", Familiar(name))
		return now, nil
	})
	if err != nil {
		return pushed, fmt.Errorf("%s is pushed (%s), but the local list could not be changed: %w", Familiar(name), pushed.Descriptor.Digest, err)
	}
	return pushed, nil
}

// PushImage sends an image that is in the daemon alone, and gives it more tags in its repository.
func PushImage(ctx context.Context, registry Registry, images Images, name reference.NamedTagged, tags []reference.NamedTagged) (Pushed, error) {
	if _, err := images.Find(ctx, name); err != nil {
		return Pushed{}, err
	}
	d, err := images.Push(ctx, name, nil)
	if err != nil {
		return Pushed{}, fmt.Errorf("pushing %s: %w", Familiar(name), err)
	}
	desc, raw, err := readBack(ctx, registry, name, d)
	if err != nil {
		return Pushed{}, err
	}
	for _, tag := range tags {
		if err := registry.Put(ctx, tag, desc.MediaType, raw); err != nil {
			return Pushed{}, fmt.Errorf("pushing %s: %w", Familiar(tag), err)
		}
	}
	return Pushed{Descriptor: desc, Raw: raw, Children: []Child{{name, desc.Digest}}}, nil
}

// copyChildren brings the children that lie in other repositories into that of the list, side by side.
func copyChildren(ctx context.Context, registry Registry, list List) ([]Child, error) {
	copied := make([]Child, len(list.Entries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, e := range list.Entries {
		if SameRepository(e.Ref, list.Name) {
			continue
		}
		group.Go(func() error {
			to, err := reference.WithDigest(reference.TrimNamed(list.Name), e.Descriptor.Digest)
			if err != nil {
				return err
			}
			if err := copyChild(ctx, registry, e, to); err != nil {
				return fmt.Errorf("copying %s to %s: %w", Familiar(e.Ref), to.Name(), err)
			}
			copied[i] = Child{to, e.Descriptor.Digest}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(copied, func(c Child) bool { return c.Ref == nil }), nil
}

func copyChild(ctx context.Context, registry Registry, e Entry, to reference.Named) error {
	raw := e.Raw
	if len(raw) == 0 { // a list of an older docker
		from, err := reference.WithDigest(reference.TrimNamed(e.Ref), e.Descriptor.Digest)
		if err != nil {
			return err
		}
		if _, raw, err = registry.Fetch(ctx, from); err != nil {
			return err
		}
	}
	return registry.Copy(ctx, e.Ref, e.Descriptor, raw, to)
}

// readBack returns what the daemon pushed as name, by the digest it told or, when it told none, by name.
func readBack(ctx context.Context, registry Fetcher, name reference.NamedTagged, d digest.Digest) (ocispec.Descriptor, []byte, error) {
	var at reference.Named = name
	if d != "" {
		var err error
		if at, err = reference.WithDigest(reference.TrimNamed(name), d); err != nil {
			return ocispec.Descriptor{}, nil, err
		}
	}
	desc, raw, err := registry.Fetch(ctx, at)
	if errdefs.IsNotFound(err) {
		return desc, raw, Errorf(errdefs.ErrNotFound, "the daemon pushed %s, but %s does not have it as seen from here: "+
			"is the daemon on another machine, where that name is another registry? (%w)", Familiar(name), reference.Domain(name), err)
	}
	return desc, raw, err
}

// equal reports whether two lists have the same entries and annotations.
func (l List) equal(other List) bool {
	a, errA := l.Draft()
	b, errB := other.Draft()
	return errA == nil && errB == nil && string(a) == string(b) &&
		slices.EqualFunc(l.Entries, other.Entries, func(x, y Entry) bool {
			return x.Ref.String() == y.Ref.String() && x.Source.String() == y.Source.String() && (x.Pending == nil) == (y.Pending == nil) &&
				(x.Pending == nil || x.Pending.ID == y.Pending.ID)
		})
}

// settled returns l, as it is in the store now, with the entries that were pending in before replaced by
// what they have become in after. Entries that somebody replaced or annotated meanwhile stay.
func (l List) settled(before, after List) List {
	if l.equal(before) {
		after.Name = l.Name
		return after
	}
	settled := map[string][]Entry{}
	for _, e := range before.Entries {
		if e.IsPending() {
			settled[e.Source.String()] = nil
		}
	}
	for _, e := range after.Entries {
		if _, ok := settled[e.Source.String()]; ok {
			settled[e.Source.String()] = append(settled[e.Source.String()], e)
		}
	}
	unchanged := map[string]bool{}
	for _, e := range l.Entries {
		key := e.Source.String()
		same := slices.ContainsFunc(before.Entries, func(b Entry) bool {
			return b.Ref.String() == e.Ref.String() && (List{Entries: []Entry{b}}).equal(List{Entries: []Entry{e}})
		})
		if was, ok := unchanged[key]; ok {
			same = same && was
		}
		unchanged[key] = same
	}
	for key, entries := range settled {
		if unchanged[key] {
			l = l.With(entries...)
		}
	}
	return l
}
