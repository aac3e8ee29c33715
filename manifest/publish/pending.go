package publish

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// concurrentPushes bounds the images that the daemon pushes at a time: two keep the line to the registry busy, and
// a daemon that compresses layers for a push has no more of it from a third.
const concurrentPushes = 2

// sendPending pushes the pending images of a list through the daemon and returns the list with their digests and
// bytes, and what was pushed. All images are found before the first one is pushed; found has those that were
// found before. Names that it gives images in the daemon are removed again.
func sendPending(ctx context.Context, clients Clients, p Publication, found locals) (manifest.List, []Child, error) {
	s := &sender{Clients: clients, Publication: p}
	var images []*pendingImage
	for _, entries := range groupBySource(p.List, manifest.Entry.IsPending) {
		image := &pendingImage{entries: entries}
		images = append(images, image)
		var err error
		if image.local, err = s.find(ctx, found, entries); err != nil {
			return p.List, nil, s.failed(image, err)
		}
	}
	if err := s.sendAll(ctx, images); err != nil {
		return p.List, nil, err
	}
	var sent []manifest.Entry
	var children []Child
	for _, image := range images {
		for _, e := range image.sent {
			e.LocalID = image.local.ID
			sent = append(sent, e)
		}
		children = append(children, image.children...)
	}
	list := p.List.With(sent...)
	if len(images) == 1 && len(sent) == len(list.Entries) { // it keeps the digest of its only source
		kept := list
		if kept.Whole = images[0].whole; kept.IsWhole() {
			list = kept
		}
	}
	return list, children, nil
}

// groupBySource returns the wanted entries of each source, in the order of the sources.
func groupBySource(l manifest.List, wanted func(manifest.Entry) bool) [][]manifest.Entry {
	entries := slices.DeleteFunc(slices.Clone(l.Entries), func(e manifest.Entry) bool { return !wanted(e) })
	return groupBy(entries, func(e manifest.Entry) string { return e.Source.String() })
}

// groupBy returns the items of each key, in the order of the first of each.
func groupBy[T any, K comparable](items []T, key func(T) K) [][]T {
	at := map[K]int{}
	var out [][]T
	for _, item := range items {
		k := key(item)
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], item)
	}
	return out
}

// pendingImage is an image in the daemon that entries of one source are pending on.
type pendingImage struct {
	local    manifest.Local
	entries  []manifest.Entry
	sent     []manifest.Entry // the entries after the push
	children []Child          // what was pushed
	whole    manifest.Whole   // the index that was pushed
	refused  bool             // because the registry lacked a blob that another push may have been sending
}

// failed returns the error for an image that could not be sent.
func (s *sender) failed(i *pendingImage, err error) error {
	source, doing := i.entries[0].Source, "pushing"
	if manifest.IsLayout(s.List.Name) {
		doing = "saving"
	}
	return fmt.Errorf("%s %s from %s: %w", doing, manifest.Familiar(source), daemonOf(source), err)
}

// sender pushes pending images.
type sender struct {
	Clients
	Publication
}

// find returns the image that the entries of one source are pending on.
func (s *sender) find(ctx context.Context, found locals, entries []manifest.Entry) (manifest.Local, error) {
	source := entries[0].Source
	local, ok := found[source.String()]
	if !ok {
		var err error
		if local, err = s.Clients.find(ctx, source); err != nil {
			return local, err
		}
	}
	if p := entries[0].Pending; p != nil && p.ID != local.ID {
		err := manifest.Errorf(errdefs.ErrFailedPrecondition, "the image has changed since the list was created (was %s, now %s)", short(p.ID), short(local.ID))
		return local, manifest.WithHint(err, "take the new one: %s", s.amendCommand(entries, local, false))
	}
	return local, nil
}

// sendAll pushes images, of each daemon as many at a time as concurrentPushes allows; the first error ends it. Names of one
// image are pushed one after the other, as they share layers and a staging name. If the registry refuses an image because it
// lacks a blob, another push may have been sending that: the image is pushed again, on its own, after the others.
func (s *sender) sendAll(ctx context.Context, images []*pendingImage) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, ofDaemon := range groupBy(images, func(i *pendingImage) string { return dockerFor(i.local.Name) }) {
		group.Go(func() error {
			own, ownCtx := errgroup.WithContext(groupCtx)
			own.SetLimit(concurrentPushes)
			for _, same := range groupBy(ofDaemon, func(i *pendingImage) digest.Digest { return i.local.ID }) {
				own.Go(func() error { return s.sendSame(ownCtx, same, len(images) > 1) })
			}
			return own.Wait()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, image := range images {
		if !image.refused {
			continue
		}
		if err := s.send(ctx, image); err != nil {
			return s.failed(image, err)
		}
	}
	return nil
}

// sendSame pushes the names of one image. An image that the registry refuses because it lacks a blob may be pushed again.
func (s *sender) sendSame(ctx context.Context, same []*pendingImage, again bool) error {
	for _, image := range same {
		err := ctx.Err()
		if err == nil {
			err = s.send(ctx, image)
		}
		if image.refused = again && errdefs.IsAborted(err); err != nil && !image.refused {
			return s.failed(image, err)
		}
	}
	return nil
}

// send pushes an image and sets what its entries become.
func (s *sender) send(ctx context.Context, image *pendingImage) error {
	image.sent, image.children = nil, nil
	own := *s
	own.Clients, _ = s.at(image.local.Name)
	s = &own
	if isComplete(image.local) {
		return s.sendWhole(ctx, image)
	}
	s.Reporter.Warn("%s is not complete in %s: its attestations cannot be pushed, and only %s is",
		manifest.Familiar(image.local.Name), daemonOf(image.local.Name), describe(image.entries, nil))
	for _, e := range image.entries {
		p := e.ImagePlatform()
		pushed, err := s.push(ctx, image, []manifest.Entry{e}, &p)
		if err != nil {
			return err
		}
		if e, err = settle(e, pushed); err != nil {
			return err
		}
		image.sent = append(image.sent, e)
	}
	return nil
}

// isComplete reports whether the daemon has all content of an image, as far as it reports that.
func isComplete(local manifest.Local) bool {
	return !slices.ContainsFunc(local.Manifests, func(m manifest.LocalManifest) bool { return !m.Available })
}

// sendWhole pushes an image with all its manifests. Its entries become those of the images, with their attestations.
func (s *sender) sendWhole(ctx context.Context, image *pendingImage) error {
	pushed, err := s.push(ctx, image, image.entries, nil)
	if err != nil {
		return err
	}
	if !manifest.IsIndex(pushed.Descriptor.MediaType) {
		if len(image.entries) > 1 {
			return manifest.Errorf(errdefs.ErrFailedPrecondition, "the daemon sent a single image (%s), expected %s",
				pushed.Descriptor.Digest, describe(image.entries, nil))
		}
		e, err := settle(image.entries[0], pushed)
		if err == nil && image.local.NoVariant && e.Platform().Variant == "" {
			e, err = withVariant(ctx, s.Registry, e)
		}
		image.sent = []manifest.Entry{e}
		return err
	}
	var skipped manifest.Diagnostics
	children, err := (&resolver{Clients: s.Clients}).index(ctx, pushed.name, pushed.Content, &skipped)
	if err != nil {
		return err
	}
	skipped.Report(s.Reporter)
	s.warnUnlisted(image.entries, children)
	image.whole = manifest.NewWhole(pushed.Content, children)
	image.sent, err = adopt(image.entries, children, pushed, s.Reporter)
	return err
}

// warnUnlisted warns of images that were pushed and the list lacks: a daemon before API 1.48 did not report them before.
func (s *sender) warnUnlisted(entries, children []manifest.Entry) {
	if p := entries[0].Pending; p != nil && p.Manifest != "" {
		return
	}
	for _, c := range children {
		if c.IsImage() && !slices.ContainsFunc(entries, func(e manifest.Entry) bool { return isChild(e, c) }) {
			s.Reporter.Warn("%s also has an image for %s, which is not in the list; to include it, use the pushed image as a source",
				manifest.Familiar(entries[0].Source), manifest.FormatPlatform(c.Platform()))
		}
	}
}

// adopt returns what the pending entries of one source become when their image was pushed as an index with these
// children: each with the attestations of its image and, unless the list lacks one of the images, what else the index
// has.
func adopt(entries, children []manifest.Entry, index pushedImage, reporter manifest.Reporter) ([]manifest.Entry, error) {
	var out, others []manifest.Entry
	adopted := map[digest.Digest]bool{}
	for n, e := range entries {
		i := slices.IndexFunc(children, func(c manifest.Entry) bool { return isChild(e, c) })
		if i < 0 {
			return nil, manifest.Errorf(errdefs.ErrFailedPrecondition, "the index that the daemon sent for %s has no image for %s",
				manifest.Familiar(e.Source), manifest.FormatPlatform(e.ImagePlatform()))
		}
		child := children[i]
		child.Descriptor.Platform = e.Descriptor.Platform
		child.Descriptor.Annotations = manifest.MergeAnnotations(child.Descriptor.Annotations, e.Descriptor.Annotations)
		child.Source, child.Index = e.Source, index.Descriptor.Digest
		if n == 0 { // for purge, which looks for the tag
			child.Ref = index.name
		}
		out = append(out, child)
		adopted[child.Descriptor.Digest] = true
	}
	first, listed := entries[0], manifest.List{Entries: children}.Digests()
	whole := !slices.ContainsFunc(children, func(c manifest.Entry) bool { return c.IsImage() && !adopted[c.Descriptor.Digest] })
	for _, c := range children {
		attestation, subject := manifest.IsAttestation(c.Descriptor), c.Subject()
		c.Source, c.Index = first.Source, index.Descriptor.Digest
		switch {
		case c.IsImage() || adopted[c.Descriptor.Digest] || attestation && first.Pending != nil && first.Pending.Strip:
		case whole || adopted[subject]:
			others = append(others, c)
		case !attestation || !listed[subject]:
			reporter.Warn("%s contains %s, which is not known to belong to %s; skipped", manifest.Familiar(first.Source), c.Descriptor.Digest, describe(out, nil))
		}
	}
	return append(out, others...), nil
}

// isChild reports whether a pending entry is pending on this child of an index.
func isChild(e manifest.Entry, child manifest.Entry) bool {
	if manifest.IsAttestation(child.Descriptor) {
		return false
	}
	if e.Pending != nil && e.Pending.Manifest != "" {
		return child.Descriptor.Digest == e.Pending.Manifest
	}
	return manifest.PlatformKey(child.Platform()) == manifest.PlatformKey(e.ImagePlatform())
}

// settle returns the pending entry e as the image that was pushed for it.
func settle(e manifest.Entry, p pushedImage) (manifest.Entry, error) {
	if !manifest.IsImage(p.Descriptor.MediaType) {
		return e, manifest.Errorf(errdefs.ErrInvalidArgument, "the daemon sent a %q, expected an image", p.Descriptor.MediaType)
	}
	p.Descriptor.Platform, p.Descriptor.Annotations = e.Descriptor.Platform, e.Descriptor.Annotations
	e.Ref, e.Index, e.Descriptor, e.Raw, e.Pending = p.name, "", p.Descriptor, p.Raw, nil
	return e, nil
}

// withVariant returns the entry of an image with the variant that its config states.
func withVariant(ctx context.Context, registry manifest.Fetcher, e manifest.Entry) (manifest.Entry, error) {
	config, _, err := manifest.ParseImage(e.Raw)
	if err != nil {
		return e, err
	}
	stated, _, err := manifest.ReadPlatform(ctx, registry, e.Ref, config)
	if err != nil {
		return e, fmt.Errorf("reading the config of %s: %w", manifest.Familiar(e.Ref), err)
	}
	platform := e.Platform()
	if platform.OS == stated.OS && platform.Architecture == stated.Architecture { // otherwise it was annotated
		platform.Variant = stated.Variant
	}
	e.Descriptor.Platform = &platform
	return e, nil
}

// pushedImage is an image that the daemon pushed.
type pushedImage struct {
	name reference.NamedTagged
	manifest.Content
}

// push pushes an image, or one platform of it, for these entries and reads it back. It is pushed under its own name if
// that is in the target repository and not one that the list is pushed under, otherwise under a staging name, which
// the daemon has only during the push. For a layout it is saved instead, to be copied like an image of an archive.
func (s *sender) push(ctx context.Context, image *pendingImage, entries []manifest.Entry, platform *ocispec.Platform) (pushedImage, error) {
	if manifest.IsLayout(s.List.Name) {
		return s.save(ctx, image.local, platform)
	}
	_, local := manifest.OfContext(image.local.Name)
	name, ok := local.(reference.NamedTagged)
	whole := platform == nil || len(image.entries) == 1
	var d digest.Digest
	var err error
	staging := !ok || !whole || !manifest.SameRepository(name, s.List.Name) || s.isName(name)
	if !staging {
		s.Reporter.Note("Pushing %s", manifest.Familiar(image.local.Name))
		d, err = s.Images.Push(ctx, name, platform)
	} else {
		name, d, err = s.pushStaged(ctx, image.local, entries, platform)
	}
	if err != nil {
		return pushedImage{}, err
	}
	c, err := readBack(ctx, s.Registry, image.local, name, d)
	if err != nil {
		return pushedImage{}, err
	}
	image.children = append(image.children, Child{name, c.Descriptor.Digest, staging})
	return pushedImage{name, c}, nil
}

// save stores an image, or one platform of it, in a temporary archive and reads it there.
func (s *sender) save(ctx context.Context, local manifest.Local, platform *ocispec.Platform) (pushedImage, error) {
	s.Reporter.Note("Saving %s", manifest.Familiar(local.Name))
	name, err := s.Images.Save(ctx, local, platform)
	if err != nil {
		return pushedImage{}, err
	}
	c, err := s.Registry.Fetch(ctx, name)
	return pushedImage{name, c}, err
}
