package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Pushed is the result of a push.
type Pushed struct {
	// Publication has the list without pending entries; an image that was no list has none.
	Publication
	// Descriptor is that of the index that was pushed, or of the image if there was no list.
	Descriptor ocispec.Descriptor
	// Children are the images that the daemon sent, then those that were copied.
	Children []Child
	// Platforms is how many platforms the index has images for.
	Platforms int
}

// Child is an image that a push stored in the target repository.
type Child struct {
	Ref    reference.Named
	Digest digest.Digest
	// Staging says that it has a tag that was made for the push.
	Staging bool
}

// StagingTags returns the tags that were made for the push.
func (p Pushed) StagingTags() (tags []string) {
	for _, c := range p.Children {
		if c.Staging {
			tags = append(tags, manifest.Familiar(c.Ref))
		}
	}
	return tags
}

// writeTimeout bounds the wait for the local store after a push.
const writeTimeout = 10 * time.Second

// Push sends a list to the repository of its name: its pending images from the daemon, then the children that
// the repository lacks, then the list itself under all its tags. A tag changes only after everything below it is
// there.
func Push(ctx context.Context, clients Clients, p Publication) (Pushed, error) {
	if err := p.List.CheckPush(); err != nil {
		return Pushed{}, err
	}
	clients.Registry.Prefetch(ctx, p.List.Name, repositories(p.List))
	return push(ctx, clients, p, nil, p.checkTags(ctx, clients), func(l manifest.List) error {
		if len(l.Duplicates()) > len(p.List.Duplicates()) {
			warnDuplicates(l, clients.Reporter)
		}
		return nil
	})
}

// push is Push for a list that was checked; recheck checks it again when variants that were unknown are known. The images
// in found were found in the daemon before.
func push(ctx context.Context, clients Clients, p Publication, found locals, tags *manifest.TagCheck, recheck func(manifest.List) error) (Pushed, error) {
	before, _ := p.List.Index() // without a digest while images are pending
	if err := tags.Known(before.Descriptor.Digest, p.Copies); err != nil {
		return Pushed{}, err
	}
	list, children, err := sendPending(ctx, clients, p, found)
	if err == nil && slices.ContainsFunc(p.List.Entries, manifest.Entry.VariantUnknown) {
		err = recheck(list)
	}
	if err != nil {
		return Pushed{}, err
	}
	index, err := list.Index()
	if err != nil {
		return Pushed{}, err
	}
	if err := tags.Allow(index.Descriptor.Digest); err != nil {
		return Pushed{}, err
	}
	list.NoteDigest(clients.Reporter)
	copied, err := copyChildren(ctx, clients.Registry, list)
	if err != nil {
		return Pushed{}, err
	}
	keepReferrersTags(ctx, clients, p)
	if len(p.Copies) > 0 {
		if err := clients.Registry.Put(ctx, manifest.AtDigest(list.Name, index.Descriptor.Digest), index); err != nil {
			return Pushed{}, withTypeHint(list, fmt.Errorf("pushing the list to %s: %w", list.Name.Name(), err))
		}
	}
	p.List = list
	err = p.unwritten(p.mirror(ctx, clients, manifest.AtDigest(list.Name, index.Descriptor.Digest)), nil)
	if err == nil {
		err = withTypeHint(list, p.writeTags(ctx, clients, index, p.names()))
	}
	if err != nil {
		return Pushed{}, err
	}
	tags.ReportMoves(clients.Reporter, index.Descriptor.Digest)
	keepReferrersTags(ctx, clients, p) // of the list itself
	return Pushed{p, index.Descriptor, append(children, copied...), p.List.CountPlatforms()}, nil
}

// withTypeHint adds a hint to err if the registry may have refused an OCI index that could be a list of Docker.
func withTypeHint(l manifest.List, err error) error {
	var refusal interface{ RefusedType() string }
	l.MediaType = manifest.MediaTypeDockerList
	if !errors.As(err, &refusal) || refusal.RefusedType() != ocispec.MediaTypeImageIndex || l.CheckPush() != nil {
		return err
	}
	return manifest.WithHint(err, "if the registry accepts only manifest lists of Docker, create the list with --type docker")
}

// keepReferrersTags is KeepReferrersTags for what a push has put so far.
func keepReferrersTags(ctx context.Context, clients Clients, p Publication) {
	err := manifest.KeepReferrersTags(ctx, clients.Registry, clients.Reporter, reference.TrimNamed(p.List.Name), p.names())
	if err != nil && ctx.Err() == nil {
		clients.Reporter.Warn("%v", err)
	}
}

// PushLocal is Push for the local list called name: p has the tags and the condition. Without purge it stores the digest of
// the list, and the digests and bytes of pending entries; with purge it removes the list, unless somebody changed it
// meanwhile. If there is no such list, and none to be removed, it pushes the daemon's image of that name.
func PushLocal(ctx context.Context, lists manifest.Lists, clients Clients, name reference.NamedTagged, p Publication, purge bool) (Pushed, error) {
	list, err := lists.Get(name)
	if errdefs.IsNotFound(err) && !purge {
		return pushImage(ctx, clients, name, p, err)
	}
	if err != nil {
		return Pushed{}, err
	}
	warnDuplicates(list, clients.Reporter)
	p.List = list
	waitForWarnings := p.WarnRebuilt(ctx, clients, purge)
	pushed, err := Push(ctx, clients, p)
	waitForWarnings()
	if err != nil {
		return pushed, err
	}
	err = recordPush(ctx, lists, clients, name, list, pushed, purge)
	if err != nil && !purge && !slices.ContainsFunc(list.Entries, manifest.Entry.IsPending) { // only ls needs that
		clients.Reporter.Warn("%v", err)
		err = nil
	}
	return pushed, err
}

// recordPush removes a list that was pushed, unless somebody changed it meanwhile, or without purge stores its digest and what
// became of its pending entries. An interrupt must not keep the store from recording that.
func recordPush(ctx context.Context, lists manifest.Lists, clients Clients, name reference.NamedTagged, list manifest.List, pushed Pushed, purge bool) error {
	pending := slices.ContainsFunc(list.Entries, manifest.Entry.IsPending)
	if !purge && !pending && list.Pushed == manifest.PushedUnknown { // the files of docker manifest stay as they are
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	err := lists.Update(ctx, name, func(now manifest.List) (manifest.List, error) {
		switch {
		case !purge:
			if pending {
				now = settled(now, list, pushed.List)
			}
			if now.Pushed != manifest.PushedUnknown {
				now.Pushed = pushed.Descriptor.Digest
			}
			return now, nil
		case equal(now, list):
			return manifest.List{}, nil
		}
		clients.Reporter.Warn("%s changed during the push; keeping the local list", manifest.Familiar(name))
		return now, nil
	})
	if err != nil {
		return fmt.Errorf("%s was pushed (%s), but the local list could not be changed: %w", manifest.Familiar(name), pushed.Descriptor.Digest, err)
	}
	return nil
}

// PushTo writes the local list called name to a layout: p has the name of the list there, and the condition. Commit gets the
// error that there was, and returns it or its own. The local list stays pending on its images of daemons, which are saved. With
// purge it is removed, unless somebody changed it meanwhile.
func PushTo(ctx context.Context, lists manifest.Lists, clients Clients, name reference.NamedTagged, p Publication, purge bool, commit func(context.Context, error) error) (Pushed, error) {
	list, err := lists.Get(name)
	if err != nil {
		return Pushed{}, err
	}
	target := p.List.Name
	p.List = list
	p.List.Name = target
	pushed, err := Push(ctx, clients, p)
	if err = commit(ctx, err); err != nil || !purge {
		return pushed, err
	}
	return pushed, recordPush(ctx, lists, clients, name, list, pushed, purge)
}

// pushImage pushes an image of the daemon and adds tags to it. NoList is the error that there is no list of that name.
func pushImage(ctx context.Context, clients Clients, name reference.NamedTagged, p Publication, noList error) (Pushed, error) {
	local, err := findImage(ctx, clients, name, noList)
	if err != nil {
		return Pushed{}, err
	}
	p.List.Name = name
	tags := p.checkTags(ctx, clients)
	if err := tags.AllowImage(local, p.Copies); err != nil {
		return Pushed{}, err
	}
	clients.Reporter.Note("%s is not a local list; pushing the image of that name", manifest.Familiar(name))
	d, err := clients.Images.Push(ctx, name, nil)
	if err != nil {
		return Pushed{}, err
	}
	image, err := readBack(ctx, clients.Registry, local, name, d)
	if err != nil {
		return Pushed{}, err
	}
	err = p.mirror(ctx, clients, manifest.AtDigest(name, image.Descriptor.Digest))
	if err == nil {
		err = p.writeTags(ctx, clients, image, p.Tags)
	}
	if err != nil {
		return Pushed{}, fmt.Errorf("%s was pushed, but not all its other tags: %w", manifest.Familiar(name), err)
	}
	tags.ReportMoves(clients.Reporter, image.Descriptor.Digest)
	return Pushed{Descriptor: image.Descriptor, Children: []Child{{Ref: name, Digest: image.Descriptor.Digest}}}, nil
}

// findImage returns the daemon's image called name. NoList is the error that there is no local list of that name.
func findImage(ctx context.Context, clients Clients, name reference.NamedTagged, noList error) (manifest.Local, error) {
	local, err := clients.Images.Find(ctx, name)
	switch {
	case err != nil && ctx.Err() != nil:
		return local, err
	case err != nil:
		return local, neither(ctx, clients, name, manifest.Errorf(errdefs.ErrNotFound, "%w, nor a local image: %s", noList, err.Error()))
	case local.Name.Name() != name.Name():
		err := manifest.Errorf(errdefs.ErrNotFound, "the daemon has no image %s, only %s", name, manifest.Familiar(local.Name))
		return local, manifest.WithHint(err, "give the image that name: docker tag %s %s", manifest.Familiar(local.Name), name)
	}
	return local, nil
}

// registryAsked is how long a registry may take to answer if an error can do without that.
const registryAsked = 5 * time.Second

// neither returns err, that name is neither a local list nor a local image, and says if the registry has it.
func neither(ctx context.Context, clients Clients, name reference.NamedTagged, err error) error {
	ctx, cancel := context.WithTimeout(ctx, registryAsked)
	defer cancel()
	if d, unknown := clients.Registry.Digest(ctx, name); unknown == nil {
		err = fmt.Errorf("%w; the registry has that tag already: %s", err, d)
	}
	return manifest.WithHint(err, "create the list first: docker multiarch create %s SOURCE [SOURCE...]", manifest.Familiar(name))
}

// PlanImage returns the steps of PushLocal for an image of the daemon, one line each. NoList is the error that there is no
// local list of its name.
func PlanImage(ctx context.Context, clients Clients, name reference.NamedTagged, p Publication, noList error) ([]string, error) {
	local, err := findImage(ctx, clients, name, noList)
	if err != nil {
		return nil, err
	}
	p.List.Name = name
	if p.Condition.IsSet() {
		err = p.checkTags(ctx, clients).AllowImage(local, nil)
	}
	steps := []string{"push the image from the daemon: " + manifest.Familiar(name)}
	for _, t := range append(p.Tags, p.Copies...) {
		steps = append(steps, "push the image: "+manifest.Familiar(t))
	}
	return steps, err
}

// copyChildren copies the children that are in other repositories to that of the list, concurrently.
func copyChildren(ctx context.Context, registry manifest.Registry, list manifest.List) ([]Child, error) {
	copied := make([]Child, len(list.Entries))
	started := map[string]bool{}
	group, ctx := errgroup.WithContext(ctx)
	for i, e := range list.Entries {
		if manifest.SameRepository(e.Ref, list.Name) || started[e.Ref.String()] {
			continue
		}
		started[e.Ref.String()] = true
		group.Go(func() error {
			to := manifest.AtDigest(list.Name, e.Descriptor.Digest)
			from, err := e.WithRaw(ctx, registry)
			if err == nil {
				err = registry.Copy(ctx, from.Ref, from.Content(), list.Name)
			}
			if err != nil {
				return fmt.Errorf("copying %s to %s: %w", manifest.Familiar(e.Source), to.Name(), err)
			}
			copied[i] = Child{Ref: to, Digest: e.Descriptor.Digest}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(copied, func(c Child) bool { return c.Ref == nil }), nil
}

// repositories returns the repositories that a push copies from.
func repositories(l manifest.List) []reference.Named {
	var out []reference.Named
	for _, e := range l.Entries {
		if !e.IsPending() && !manifest.SameRepository(e.Ref, l.Name) {
			out = append(out, reference.TrimNamed(e.Ref))
		}
	}
	return out
}

// TagsOf returns the tags of names.
func TagsOf(names []reference.NamedTagged) []string {
	var out []string
	for _, n := range names {
		out = append(out, n.Tag())
	}
	return out
}

// readBack fetches what the daemon pushed as name, by the reported digest. Without one, the tag must have the image's config.
func readBack(ctx context.Context, registry manifest.Fetcher, local manifest.Local, name reference.NamedTagged, d digest.Digest) (manifest.Content, error) {
	var at reference.Named = name
	if d != "" {
		at = manifest.AtDigest(name, d)
	}
	c, err := registry.Fetch(ctx, at)
	if errdefs.IsNotFound(err) {
		return c, manifest.Errorf(errdefs.ErrNotFound, "the daemon pushed %s, but the registry %s does not have it when asked from this machine; "+
			"if the daemon runs on another machine, %[2]s may be another registry there (%w)", manifest.Familiar(name), reference.Domain(name), err)
	}
	if err == nil && d == "" {
		if config, _, err := manifest.ParseImage(c.Raw); err != nil || config.Digest != local.ID {
			return c, manifest.Errorf(errdefs.ErrUnavailable, "the daemon did not report what it pushed as %s, and it points to %s, which is not image %s",
				manifest.Familiar(name), c.Descriptor.Digest, short(local.ID))
		}
	}
	return c, err
}

// equal reports whether two lists have the same entries and annotations.
func equal(l, other manifest.List) bool {
	a, errA := l.Content()
	b, errB := other.Content()
	return errA == nil && errB == nil && a.Descriptor.Digest == b.Descriptor.Digest &&
		slices.EqualFunc(l.Entries, other.Entries, func(x, y manifest.Entry) bool {
			return x.Ref.String() == y.Ref.String() && x.Source.String() == y.Source.String() && (x.Pending == nil) == (y.Pending == nil) &&
				(x.Pending == nil || x.Pending.ID == y.Pending.ID)
		})
}

// settled returns l, the list in the store now, with the entries that were pending in before replaced by those
// that they became in after. Entries that somebody replaced or annotated meanwhile are kept.
func settled(l, before, after manifest.List) manifest.List {
	if equal(l, before) {
		after.Name = l.Name
		return after
	}
	now, was, became := bySource(l), bySource(before), bySource(after)
	for source, entries := range was {
		unchanged := equal(manifest.List{Entries: entries}, manifest.List{Entries: now[source]})
		if unchanged && slices.ContainsFunc(entries, manifest.Entry.IsPending) {
			l = l.With(became[source]...)
		}
	}
	return l
}

// bySource returns the entries of each source.
func bySource(l manifest.List) map[string][]manifest.Entry {
	out := map[string][]manifest.Entry{}
	for _, e := range l.Entries {
		out[e.Source.String()] = append(out[e.Source.String()], e)
	}
	return out
}
