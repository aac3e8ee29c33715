package manifest

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	// Descriptor is that of the index that was pushed, or of the image when there was no list.
	Descriptor ocispec.Descriptor
	// Children are the images that were sent from the daemon, then those that were copied.
	Children []Child
}

// Child is an image that a push put into the target repository.
type Child struct {
	Ref    reference.Named
	Digest digest.Digest
}

// writePatience bounds the wait for the local store after a push.
const writePatience = 10 * time.Second

// Push sends list to the repository of its name: what is pending from the daemon, then the children that
// the repository lacks, then the list itself under its tag and under tags, which lie in the same
// repository. A tag changes only after everything below it is there.
func Push(ctx context.Context, a Access, list List, tags []reference.NamedTagged) (Pushed, error) {
	if err := list.CheckPush(); err != nil {
		return Pushed{}, err
	}
	a.Registry.Prefetch(ctx, list.Name, list.repositories())
	list, children, err := sendPending(ctx, a, list, tags)
	if err != nil {
		return Pushed{}, err
	}
	index, err := list.Index()
	if err != nil {
		return Pushed{}, err
	}
	copied, err := copyChildren(ctx, a.Registry, list)
	if err != nil {
		return Pushed{}, err
	}
	if err := a.Registry.Put(ctx, list.Name, index, TagsOf(tags)...); err != nil {
		return Pushed{}, fmt.Errorf("pushing the list %s: %w", Familiar(list.Name), err)
	}
	return Pushed{List: list, Descriptor: index.Descriptor, Children: append(children, copied...)}, nil
}

// PushLocal is Push for the local list called name. Without purge the digests and bytes that pending
// entries got are written back; with it the list is removed, unless somebody changed it meanwhile. When
// there is no such list, nor one to be removed, the daemon's image of that name is pushed.
func PushLocal(ctx context.Context, a Access, name reference.NamedTagged, tags []reference.NamedTagged, purge bool) (Pushed, error) {
	list, err := a.Lists.Get(name)
	if errdefs.IsNotFound(err) && !purge {
		return pushImage(ctx, a, name, tags, err)
	}
	if err != nil {
		return Pushed{}, err
	}
	warnDuplicates(list, a.Notes)
	pushed, err := Push(ctx, a, list, tags)
	if err != nil {
		return pushed, err
	}
	if !purge && !slices.ContainsFunc(list.Entries, Entry.IsPending) {
		return pushed, nil
	}
	// The list is pushed: whoever interrupts now must not keep that from being written down.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writePatience)
	defer cancel()
	err = a.Lists.Update(ctx, name, func(now List) (List, error) {
		switch {
		case !purge:
			return now.settled(list, pushed.List), nil
		case now.equal(list):
			return List{}, nil
		}
		a.Notes.Warn("%s was changed while it was pushed: the local list stays", Familiar(name))
		return now, nil
	})
	if err != nil {
		return pushed, fmt.Errorf("%s is pushed (%s), but the local list could not be changed: %w", Familiar(name), pushed.Descriptor.Digest, err)
	}
	return pushed, nil
}

// pushImage sends an image that is in the daemon, and gives it more tags in its repository. NoList is the
// error that there is no local list of that name.
func pushImage(ctx context.Context, a Access, name reference.NamedTagged, tags []reference.NamedTagged, noList error) (Pushed, error) {
	if _, err := a.Images.Find(ctx, name); err != nil {
		if ctx.Err() != nil {
			return Pushed{}, err
		}
		return Pushed{}, Errorf(errdefs.ErrNotFound, "%w; nor can it be pushed as a local image: %s", noList, err.Error())
	}
	a.Notes.Note("%s is no local list: pushing the image of that name", Familiar(name))
	d, err := a.Images.Push(ctx, name, nil)
	if err != nil {
		return Pushed{}, err
	}
	image, err := readBack(ctx, a.Registry, name, d)
	if err != nil {
		return Pushed{}, err
	}
	if len(tags) > 0 {
		if err := a.Registry.Put(ctx, tags[0], image, TagsOf(tags[1:])...); err != nil {
			return Pushed{}, fmt.Errorf("pushing more tags of %s: %w", Familiar(name), err)
		}
	}
	return Pushed{Descriptor: image.Descriptor, Children: []Child{{name, image.Descriptor.Digest}}}, nil
}

// copyChildren brings the children that lie in other repositories into that of the list, side by side.
func copyChildren(ctx context.Context, registry Registry, list List) ([]Child, error) {
	copied := make([]Child, len(list.Entries))
	group, ctx := errgroup.WithContext(ctx)
	for i, e := range list.Entries {
		if SameRepository(e.Ref, list.Name) {
			continue
		}
		group.Go(func() error {
			to := AtDigest(list.Name, e.Descriptor.Digest)
			from, err := e.WithRaw(ctx, registry)
			if err == nil {
				err = registry.Copy(ctx, from.Ref, from.Content(), list.Name)
			}
			if err != nil {
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

// repositories returns the names of the repositories that a push copies from.
func (l List) repositories() []reference.Named {
	var out []reference.Named
	for _, e := range l.Entries {
		if !e.IsPending() && !SameRepository(e.Ref, l.Name) {
			out = append(out, reference.TrimNamed(e.Ref))
		}
	}
	return out
}

func TagsOf(names []reference.NamedTagged) []string {
	var out []string
	for _, n := range names {
		out = append(out, n.Tag())
	}
	return out
}

// withRaw returns the entry with its bytes, which lists of older docker versions and of registries lack.
func (e Entry) WithRaw(ctx context.Context, registry Fetcher) (Entry, error) {
	if len(e.Raw) > 0 || e.IsPending() {
		return e, nil
	}
	c, err := registry.Fetch(ctx, AtDigest(e.Ref, e.Descriptor.Digest))
	e.Raw = c.Raw
	return e, err
}

// readBack returns what the daemon pushed as name, by the digest it told or, when it told none, by name.
func readBack(ctx context.Context, registry Fetcher, name reference.NamedTagged, d digest.Digest) (Content, error) {
	var at reference.Named = name
	if d != "" {
		at = AtDigest(name, d)
	}
	c, err := registry.Fetch(ctx, at)
	if errdefs.IsNotFound(err) {
		return c, Errorf(errdefs.ErrNotFound, "the daemon pushed %s, but %s does not have it as seen from here: "+
			"is the daemon on another machine, where that name is another registry? (%w)", Familiar(name), reference.Domain(name), err)
	}
	return c, err
}

// equal reports whether two lists have the same entries and annotations.
func (l List) equal(other List) bool {
	a, errA := l.Bytes()
	b, errB := other.Bytes()
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
	number := map[string]int{}
	for _, e := range before.Entries {
		number[e.Source.String()]++
	}
	for _, e := range l.Entries {
		key := e.Source.String()
		number[key]--
		same := slices.ContainsFunc(before.Entries, func(b Entry) bool {
			return b.Ref.String() == e.Ref.String() && (List{Entries: []Entry{b}}).equal(List{Entries: []Entry{e}})
		})
		if was, ok := unchanged[key]; ok {
			same = same && was
		}
		unchanged[key] = same
	}
	for key, entries := range settled {
		if unchanged[key] && number[key] == 0 {
			l = l.With(entries...)
		}
	}
	return l
}
