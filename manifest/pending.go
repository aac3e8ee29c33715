package manifest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// sendPending pushes the list's pending images through the daemon, one image after the other, and returns
// the list with their digests and bytes. All are found before the first one is pushed. Names that it gives
// images in the daemon are removed again.
func sendPending(ctx context.Context, a Access, list List, tags []reference.NamedTagged) (List, []Child, error) {
	s := &sender{Access: a, list: list, tags: tags}
	failed := func(group []Entry, err error) error {
		return fmt.Errorf("pushing %s from the daemon: %w", Familiar(group[0].Source), err)
	}
	groups := list.pendingBySource()
	found := make([]Local, len(groups))
	for i, group := range groups {
		var err error
		if found[i], err = s.find(ctx, group); err != nil {
			return list, nil, failed(group, err)
		}
	}
	var sent []Entry
	for i, group := range groups {
		entries, err := s.send(ctx, found[i], group)
		if err != nil {
			return list, nil, failed(group, err)
		}
		sent = append(sent, entries...)
	}
	return list.With(sent...), s.children, nil
}

// pendingBySource returns the pending entries, those of one source together.
func (l List) pendingBySource() [][]Entry {
	at := map[string]int{}
	var groups [][]Entry
	for _, e := range l.Entries {
		if !e.IsPending() {
			continue
		}
		key := e.Source.String()
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], e)
	}
	return groups
}

// sender pushes pending images.
type sender struct {
	Access
	list     List
	tags     []reference.NamedTagged // of the list, beside its own
	children []Child
}

// find returns the image that the entries of one source are pending on.
func (s *sender) find(ctx context.Context, group []Entry) (Local, error) {
	local, err := s.Images.Find(ctx, group[0].Source)
	if err != nil {
		return local, err
	}
	if p := group[0].Pending; p != nil && p.ID != local.ID {
		return local, Errorf(errdefs.ErrFailedPrecondition, "it is another image now (%s) than when the list was created (%s): "+
			"take the new one with 'docker multiarch create --amend %s %s'",
			short(local.ID), short(p.ID), Familiar(s.list.Name), Familiar(group[0].Source))
	}
	return local, nil
}

// send pushes the image that the entries of one source are pending on, and returns what they become.
func (s *sender) send(ctx context.Context, local Local, group []Entry) ([]Entry, error) {
	if complete(local) {
		return s.sendWhole(ctx, local, group)
	}
	s.Notes.Warn("%s is not complete in the daemon: its attestations cannot go along, and only %s is pushed",
		Familiar(local.Name), describe(group, nil))
	var out []Entry
	for _, e := range group {
		p := e.imagePlatform()
		sent, err := s.push(ctx, local, []Entry{e}, &p)
		if err != nil {
			return nil, err
		}
		if e, err = e.settle(sent); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// complete reports whether all of an image's content is in the daemon, as far as the daemon tells.
func complete(local Local) bool {
	return !slices.ContainsFunc(local.Manifests, func(m LocalManifest) bool { return !m.Available })
}

// imagePlatform is the platform of a pending entry as the image has it, whatever was annotated since.
func (e Entry) imagePlatform() ocispec.Platform {
	if e.Pending != nil {
		return e.Pending.Platform
	}
	return e.Platform()
}

// sendWhole pushes an image with all it has and returns the entries that group becomes, with their
// attestations.
func (s *sender) sendWhole(ctx context.Context, local Local, group []Entry) ([]Entry, error) {
	sent, err := s.push(ctx, local, group, nil)
	if err != nil {
		return nil, err
	}
	if !IsIndex(sent.Descriptor.MediaType) {
		if len(group) > 1 {
			return nil, Errorf(errdefs.ErrFailedPrecondition, "the daemon pushed a single image (%s) where %s were expected",
				sent.Descriptor.Digest, describe(group, nil))
		}
		e, err := group[0].settle(sent)
		return []Entry{e}, err
	}
	children, said, err := (&looker{Access: s.Access}).index(ctx, sent.name, sent.Content)
	if err != nil {
		return nil, err
	}
	said.Report(s.Notes)
	s.warnUnseen(group, children)
	return adopt(group, children, sent.name, sent.Descriptor.Digest)
}

// warnUnseen tells of images in an index that was pushed, of which a daemon before API 1.48 did not tell when
// the list was created.
func (s *sender) warnUnseen(group, children []Entry) {
	if p := group[0].Pending; p != nil && p.Manifest != "" {
		return
	}
	for _, c := range children {
		if c.Subject() == "" && !slices.ContainsFunc(group, func(e Entry) bool { return e.isChild(c) }) {
			s.Notes.Warn("%s also has an image for %s, which is not in the list: to have it, name the pushed image as a source",
				Familiar(group[0].Source), FormatPlatform(c.Platform()))
		}
	}
}

// adopt returns what the pending entries of one source become, now that their image was pushed as name,
// an index with this digest and these children: each with the attestations of its image.
func adopt(group, children []Entry, name reference.NamedTagged, index digest.Digest) ([]Entry, error) {
	var out, attestations []Entry
	for n, e := range group {
		i := slices.IndexFunc(children, e.isChild)
		if i < 0 {
			return nil, Errorf(errdefs.ErrFailedPrecondition, "the index that the daemon pushed as %s has no image for %s",
				Familiar(name), FormatPlatform(e.imagePlatform()))
		}
		child := children[i]
		child.Descriptor.Platform = e.Descriptor.Platform
		child.Descriptor.Annotations = merge(child.Descriptor.Annotations, e.Descriptor.Annotations)
		child.Source, child.Index = e.Source, index
		if n == 0 { // the tag stays known, for purge
			child.Ref = name
		}
		out = append(out, child)
		for _, a := range children {
			if a.Subject() == child.Descriptor.Digest && (e.Pending == nil || !e.Pending.Strip) {
				a.Source, a.Index = e.Source, index
				attestations = append(attestations, a)
			}
		}
	}
	return append(out, attestations...), nil
}

// isChild reports whether the child of an index is what the pending entry stands for.
func (e Entry) isChild(child Entry) bool {
	if child.Subject() != "" {
		return false
	}
	if e.Pending != nil && e.Pending.Manifest != "" {
		return child.Descriptor.Digest == e.Pending.Manifest
	}
	return PlatformKey(child.Platform()) == PlatformKey(e.imagePlatform())
}

// settle returns the pending entry e as the image that was pushed for it.
func (e Entry) settle(s sent) (Entry, error) {
	if !IsImage(s.Descriptor.MediaType) {
		return e, Errorf(errdefs.ErrInvalidArgument, "the daemon pushed a %q where an image was expected", s.Descriptor.MediaType)
	}
	s.Descriptor.Platform, s.Descriptor.Annotations = e.Descriptor.Platform, e.Descriptor.Annotations
	e.Ref, e.Index, e.Descriptor, e.Raw, e.Pending = s.name, "", s.Descriptor, s.Raw, nil
	return e, nil
}

// sent is an image that the daemon pushed.
type sent struct {
	name reference.NamedTagged
	Content
}

// push pushes a local image, or one platform of it, and reads it back. It goes under its own name where
// that lies in the target repository and is none that the list is about to take, else under a staging
// name, which the daemon has for that time only.
func (s *sender) push(ctx context.Context, local Local, group []Entry, platform *ocispec.Platform) (sent, error) {
	name, ok := local.Name.(reference.NamedTagged)
	whole := platform == nil || len(s.list.pendingOf(local.Name)) == 1
	var d digest.Digest
	var err error
	if ok && whole && SameRepository(name, s.list.Name) && !s.taken(name) {
		s.Notes.Note("Pushing %s", Familiar(name))
		d, err = s.Images.Push(ctx, name, platform)
	} else {
		name, d, err = s.pushStaged(ctx, local, group, platform)
	}
	if err != nil {
		return sent{}, err
	}
	c, err := readBack(ctx, s.Registry, name, d)
	if err != nil {
		return sent{}, err
	}
	s.children = append(s.children, Child{name, c.Descriptor.Digest})
	return sent{name, c}, nil
}

// stagings is how often an image is given a staging name, at most: each of that many pushes of one image at
// once may take the name away from the others.
const stagings = 10

// pushStaged pushes a local image under a staging name. Another push may have hit on the same name and
// removed it from the daemon: then there is one more try.
func (s *sender) pushStaged(ctx context.Context, local Local, group []Entry, platform *ocispec.Platform) (name reference.NamedTagged, d digest.Digest, err error) {
	for range stagings {
		if name, err = s.stage(ctx, local, group); err != nil {
			return name, "", err
		}
		if d, err = s.pushAs(ctx, local, name, platform); !errdefs.IsNotFound(err) || ctx.Err() != nil {
			return name, d, err
		}
	}
	return name, "", err
}

// pushAs gives a local image one more name for the time of a push under it.
func (s *sender) pushAs(ctx context.Context, local Local, name reference.NamedTagged, platform *ocispec.Platform) (digest.Digest, error) {
	s.Notes.Note("Pushing %s as %s", Familiar(local.Name), Familiar(name))
	defer s.unstage(ctx, name) // also when the daemon has tagged it, but could not say so
	if err := s.Images.Tag(ctx, local.ID, name); err != nil {
		return "", fmt.Errorf("tagging it as %s: %w", Familiar(name), err)
	}
	return s.Images.Push(ctx, name, platform)
}

// pendingOf returns the pending entries of a source.
func (l List) pendingOf(source reference.Named) []Entry {
	return slices.DeleteFunc(slices.Clone(l.Entries), func(e Entry) bool {
		return !e.IsPending() || e.Source.String() != source.String()
	})
}

// taken reports whether name is one that the list itself is pushed under.
func (s *sender) taken(name reference.NamedTagged) bool {
	return name.String() == s.list.Name.String() ||
		slices.ContainsFunc(s.tags, func(t reference.NamedTagged) bool { return t.String() == name.String() })
}

// maxTag is the longest tag, from https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md.
const maxTag = 128

// stage returns a name in the target repository that the daemon does not have, and the registry not for
// another image.
func (s *sender) stage(ctx context.Context, local Local, group []Entry) (reference.NamedTagged, error) {
	tag := s.list.Name.(reference.Tagged).Tag()
	kind := "multi"
	if len(group) == 1 {
		kind = platformTag(group[0].Platform())
	}
	for try := 1; try < 100; try++ {
		suffix := "-" + kind + "-" + short(local.ID)
		if try > 1 {
			suffix += fmt.Sprintf("-%d", try)
		}
		name, err := reference.WithTag(reference.TrimNamed(s.list.Name), tag[:min(len(tag), maxTag-len(suffix))]+suffix)
		if err != nil {
			return nil, fmt.Errorf("naming the image for the push: %w", err)
		}
		free, err := s.free(ctx, name, local)
		if err != nil || free {
			return name, err
		}
	}
	return nil, Errorf(errdefs.ErrAlreadyExists, "%s has all the tags that its push would use", Familiar(s.list.Name))
}

// platformTag returns a platform in the characters and the length of a part of a tag.
func platformTag(p ocispec.Platform) string {
	parts := slices.DeleteFunc([]string{p.OS, p.Architecture, p.Variant}, func(s string) bool { return s == "" })
	tag := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, strings.Join(parts, "-"))
	return tag[:min(len(tag), maxTag/3)]
}

// free reports whether name can be used for a local image: the daemon does not have it, and the registry
// has it for this very image or not at all. A registry that does not show what it may not have yet says
// at the push what is right.
func (s *sender) free(ctx context.Context, name reference.NamedTagged, local Local) (bool, error) {
	if _, err := s.Images.Find(ctx, name); !errdefs.IsNotFound(err) {
		return false, err
	}
	c, err := s.Registry.Fetch(ctx, name)
	if errdefs.IsNotFound(err) || errdefs.IsPermissionDenied(err) {
		return true, nil
	}
	return err == nil && isSame(local, c), err
}

// short returns the first 12 characters of a digest's hex part, as docker shows image IDs.
func short(d digest.Digest) string {
	_, hex, _ := strings.Cut(d.String(), ":")
	return hex[:min(12, len(hex))]
}

// unstage removes a staging name from the daemon, whatever happened to the push.
func (s *sender) unstage(ctx context.Context, name reference.NamedTagged) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), daemonNeeded)
	defer cancel()
	if err := s.Images.Untag(ctx, name); err != nil && !errdefs.IsNotFound(err) {
		s.Notes.Warn("%s could not be removed from the daemon: %v; remove it with 'docker rmi %[1]s'", Familiar(name), err)
	}
}
