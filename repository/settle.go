package repository

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// checkNames returns an error for listed names that are not valid tags, since the manifests they need are unknown, unless
// only what was named is removed.
func (r *removal) checkNames(s *Snapshot) error {
	var quoted []string
	for _, name := range s.unresolved {
		if !r.ignored[name] {
			quoted = append(quoted, fmt.Sprintf("%q", manifest.OneLine(name, maxName)))
		}
	}
	if len(quoted) == 0 || r.named != nil && !r.request.recursive {
		return nil
	}
	err := manifest.Errorf(errdefs.ErrFailedPrecondition, "%s lists names of %s that are not valid tags, so the manifests they need are unknown: %s",
		reference.Domain(s.repo), reference.FamiliarName(s.repo), manifest.JoinSome(quoted))
	return assumeGone(err, quoted...)
}

// maxName bounds a name in an error.
const maxName = 100

// settleDelays are the pauses before what is listed and answers 404 is listed and read again: others may be removing it,
// and replicas may lag behind.
var settleDelays = []time.Duration{0, time.Second / 4, time.Second / 2, time.Second, 2 * time.Second}

// settle reads again what is listed and answers 404, until another listing lacks it. Otherwise it is an error, because
// what it needs is not known; where only what was named is removed, it is a warning.
func (r *removal) settle(ctx context.Context, s *Snapshot) error {
	tags, manifests := r.absent(s)
	for _, delay := range settleDelays {
		if len(tags)+len(manifests) == 0 {
			return nil
		}
		if err := pause.For(ctx, delay); err != nil {
			return err
		}
		if err := s.relist(ctx, tags, manifests); err != nil {
			return err
		}
		tags, manifests = r.absent(s)
	}
	if err := r.reveal(ctx, s, tags); err != nil {
		return err
	}
	if tags, manifests = r.absent(s); len(tags)+len(manifests) == 0 {
		return nil
	}
	err := r.answers404(s, tags, manifests)
	if r.named == nil || r.request.recursive {
		return err
	}
	r.report.Warn("%v", err)
	for _, name := range slices.Concat(tags, digestNames(manifests)) {
		r.ignored[name] = true
	}
	r.absent(s)
	return nil
}

func digestNames(digests []digest.Digest) (out []string) {
	for _, d := range digests {
		out = append(out, d.String())
	}
	return out
}

// answers404 is the error for tags and manifests that are listed and answer 404.
func (r *removal) answers404(s *Snapshot, tags []string, manifests []digest.Digest) error {
	pointed := map[digest.Digest]bool{}
	var names []string
	for _, tag := range tags {
		pointed[s.Tags[tag]] = true
		names = append(names, s.name(tag))
	}
	var only []digest.Digest
	for _, d := range manifests {
		if !pointed[d] {
			only, names = append(only, d), append(names, manifest.Familiar(manifest.AtDigest(s.repo, d)))
		}
	}
	err := manifest.Errorf(errdefs.ErrFailedPrecondition, "%s answers 404 for names that are listed in %s, so the manifests they need are unknown: %s",
		reference.Domain(s.repo), reference.FamiliarName(s.repo), manifest.JoinSome(names))
	if len(tags) == 0 {
		return assumeGone(err, digestNames(only)...)
	}
	err = fmt.Errorf("%w (if they are gone, remove the tags, or pass --assume-gone with each)", err)
	return manifest.WithHint(err, "docker multiarch repo untag %s", strings.Join(names[:min(len(tags), maxHinted)], " "))
}

// maxHinted is how many names a hint has at most.
const maxHinted = 10

// assumeGone adds the hint that names can be taken for gone to an error of reading them.
func assumeGone(err error, names ...string) error {
	return manifest.WithHint(err, "--assume-gone %s", strings.Join(names[:min(len(names), maxHinted)], " --assume-gone "))
}

// absent returns the tags, and the manifests of the inventory and indexes within indexes, that are listed and answered 404.
// Those that are taken for gone are removed from the snapshot, and those that this run has removed, unless it is the last look
// and somebody may have pushed them.
func (r *removal) absent(s *Snapshot) (tags []string, manifests []digest.Digest) {
	late := s.known != nil || !r.someUnlisted(s)
	maps.DeleteFunc(s.unread, func(tag string, err error) bool {
		return r.ignored[tag] && mayBeGone(err) || r.gone[tag] && errdefs.IsNotFound(err) && (late || r.revealed[tag])
	})
	maps.DeleteFunc(s.Tags, func(tag string, d digest.Digest) bool {
		_, err := s.graph.Node(d)
		gone := mayBeGone(err) && (r.ignored[tag] || r.ignored[d.String()])
		if gone {
			r.ignored[d.String()] = true
		}
		return gone
	})
	is := func(d digest.Digest) bool {
		_, err := s.graph.Node(d)
		return errdefs.IsNotFound(err) && !r.named[d] && !r.ignored[d.String()]
	}
	for tag, err := range s.unread {
		if errdefs.IsNotFound(err) {
			tags = append(tags, tag)
		}
	}
	for tag, d := range s.Tags {
		if is(d) {
			tags = append(tags, tag)
		}
	}
	for d := range s.inventory {
		if is(d) {
			manifests = append(manifests, d)
		}
	}
	for _, d := range s.graph.Below(s.roots...) {
		n, _ := s.graph.Node(d)
		for _, child := range n.Children {
			if manifest.IsIndex(child.MediaType) && is(child.Digest) {
				manifests = append(manifests, child.Digest)
			}
		}
	}
	slices.Sort(tags)
	slices.Sort(manifests)
	return tags, slices.Compact(manifests)
}

// someUnlisted reports whether the registry has removed tags with their manifests: a listing lacks one that was removed. Then
// another that is still listed and answers 404 may have been pushed while its manifest was deleted.
func (r *removal) someUnlisted(s *Snapshot) bool {
	for tag := range r.gone {
		_, exists := s.Tags[tag]
		if _, listed := s.unread[tag]; !exists && !listed {
			return true
		}
	}
	return false
}

// relist forgets those tags and manifests that another listing lacks, and reads the others again, and tags that are new.
func (s *Snapshot) relist(ctx context.Context, tags []string, manifests []digest.Digest) error {
	now := s.next()
	listed, err := now.list(ctx)
	if err == nil && s.Complete && !now.Complete {
		err = now.noInventory
	}
	if err != nil {
		return err
	}
	s.graph.Forget(manifests...)
	for _, d := range manifests {
		if _, ok := now.inventory[d]; !ok {
			delete(s.inventory, d)
		}
	}
	for _, tag := range tags {
		s.graph.Forget(s.Tags[tag])
		delete(s.Tags, tag)
		delete(s.unread, tag)
	}
	var again []string
	for _, tag := range listed {
		d, known := now.Tags[tag]
		was, resolved := s.Tags[tag]
		_, unread := s.unread[tag]
		switch {
		case known && was != d:
			s.Tags[tag], s.inventory[d] = d, now.inventory[d]
			manifests = append(manifests, d)
		case !resolved && !unread:
			again = append(again, tag)
		}
	}
	s.readTags(ctx, again)
	s.readManifests(ctx, manifests)
	return ctx.Err()
}

// mayBeGone reports whether err lets a name be taken for gone: it is not about the moment or the account.
func mayBeGone(err error) bool { return errdefs.IsNotFound(err) || unreadable(err) }

// unreadable reports whether err says that something exists, but is no manifest.
func unreadable(err error) bool { return errdefs.IsInvalidArgument(err) || errdefs.IsDataLoss(err) }

// resolveNamed resolves tags that cannot be read. It is an error if they do not point to manifests that were named.
func (r *removal) resolveNamed(ctx context.Context, s *Snapshot) error {
	for _, tag := range slices.Sorted(maps.Keys(s.unread)) {
		err, ref := s.unread[tag], manifest.AtTag(s.repo, tag)
		if unreadable(err) && len(r.named) > 0 {
			if d, resolveErr := r.registry.Digest(ctx, ref); resolveErr == nil && r.named[d] {
				s.Tags[tag] = d
				continue
			}
		}
		return assumeUnreadable(fmt.Errorf("reading %s: %w", manifest.Familiar(ref), err), tag)
	}
	return nil
}

// assumeUnreadable is assumeGone for an error that lets the name be taken for gone.
func assumeUnreadable(err error, name string) error {
	if !mayBeGone(err) || manifest.Hint(err) != "" {
		return err
	}
	return assumeGone(err, name)
}

// extend reads more manifests. Those that do not exist, such as children of an incomplete index, are not part of the
// snapshot; others that cannot be read are an error, unless they were named.
func (r *removal) extend(ctx context.Context, more []digest.Digest) error {
	s := r.snapshot
	r.more = append(r.more, more...)
	s.readManifests(ctx, r.more)
	s.readSubjects(ctx)
	for _, d := range s.order {
		err := s.Manifests[d].Err
		switch {
		case err == nil, r.named[d] && (unreadable(err) || errdefs.IsNotFound(err)):
		case errdefs.IsNotFound(err), r.ignored[d.String()] && mayBeGone(err):
			delete(s.Manifests, d)
		default:
			return assumeUnreadable(fmt.Errorf("reading %s: %w", manifest.Familiar(manifest.AtDigest(s.repo, d)), err), d.String())
		}
	}
	return ctx.Err()
}
