// Package transfer copies images and manifest lists from one place to another with their digests kept: import
// from registry to registry, and tags of content that a registry has. It knows no local list and no daemon.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	"golang.org/x/sync/errgroup"
)

// tagsAtOnce bounds the tags that are imported at a time; their requests are bounded elsewhere.
const tagsAtOnce = 8

// Import is what import is asked for.
type Import struct {
	// Source has a tag or a digest. With AllTags it is a repository, and so is Target.
	Source reference.Named
	// From reads the source; nil for the registries of Access.
	From manifest.Reader
	// Target is a name in the repository that is imported into, Tags are those that the image gets there.
	// Without one it is there under its digest.
	Target reference.Named
	Tags   []reference.NamedTagged
	// AllTags imports all tags or, where there are Filters, those that match one.
	AllTags bool
	Filters []manifest.Pattern
	// Platforms are the ones to keep; all when empty.
	Platforms []manifest.Platform
	// Referrers takes along what refers to the image.
	Referrers bool
	// Force moves tags that name something else.
	Force bool
}

// Imported is what an import left under a name.
type Imported struct {
	// Name is the first of the target's names.
	Name reference.Named
	manifest.Pushed
}

// RunImport brings the source to the target and returns what is there then, one for each tag of the source.
// A tag is put last, when all below it and all that refers to it is there, and only moved when asked for.
// With several tags the error joins those of the ones that failed, and what could be imported is.
func RunImport(ctx context.Context, a manifest.Access, i Import) ([]Imported, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends what is looked up ahead
	all, err := newImports(ctx, a, i)
	if err != nil {
		return nil, err
	}
	done := make([]Imported, len(all))
	errs := make([]error, len(all))
	var group errgroup.Group
	group.SetLimit(tagsAtOnce)
	for n, one := range all {
		group.Go(func() error {
			if done[n], errs[n] = one.run(ctx); errs[n] != nil {
				errs[n] = fmt.Errorf("importing %s: %w", manifest.Familiar(one.Source), errs[n])
			}
			return nil
		})
	}
	_ = group.Wait() // errs has the errors
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return slices.DeleteFunc(done, func(i Imported) bool { return i.Name == nil }), errors.Join(errs...)
}

// imports is the import of one name.
type imports struct {
	Import
	manifest.Access
	// prefetch reads images that are going to be copied.
	prefetch manifest.Fetcher
}

// newImports returns the imports that i consists of.
func newImports(ctx context.Context, a manifest.Access, i Import) ([]imports, error) {
	prefetch := a.Registry.Prefetch(ctx, reference.TrimNamed(i.Target), []reference.Named{reference.TrimNamed(i.Source)})
	if i.From == nil {
		i.From = a.Registry
	}
	if !i.AllTags {
		return []imports{{i, a, prefetch}}, nil
	}
	tags, err := i.From.Tags(ctx, i.Source)
	if err != nil {
		return nil, fmt.Errorf("listing the tags of %s: %w", manifest.Familiar(i.Source), err)
	}
	var all []imports
	for _, tag := range tags {
		if !i.wants(tag) {
			continue
		}
		one := i
		target := manifest.AtTag(i.Target, tag)
		one.Source, one.Target, one.Tags = manifest.AtTag(i.Source, tag), target, []reference.NamedTagged{target}
		all = append(all, imports{one, a, prefetch})
	}
	if len(all) == 0 {
		return nil, manifest.Errorf(errdefs.ErrNotFound, "%s has %d tags, none of which is asked for", manifest.Familiar(i.Source), len(tags))
	}
	return all, nil
}

// wants reports whether a tag of the source is to be imported for itself.
func (i Import) wants(tag string) bool {
	if _, isDigestTag := manifest.CutDigestTag(tag); i.Referrers && isDigestTag {
		return false // comes along with what it refers to
	}
	return len(i.Filters) == 0 || slices.ContainsFunc(i.Filters, func(p manifest.Pattern) bool { return p.Match(tag) })
}

// subject is what is imported: what the source's name stands for, or with platforms what is made of that.
type subject struct {
	manifest.Content
	// original is the digest of what the source's name stands for.
	original digest.Digest
	// there says that the target's repository has it, tags are those that do not name it yet.
	there bool
	tags  []reference.NamedTagged
	// replaces is the target's repository or, where there is one, a tag of it that is going to be moved.
	replaces reference.Named
}

func (i imports) run(ctx context.Context) (Imported, error) {
	s, err := i.resolve(ctx)
	if err != nil {
		return Imported{}, err
	}
	done := Imported{Name: i.name(s), Pushed: manifest.Pushed{Descriptor: s.Descriptor}}
	if s.there && len(s.tags) == 0 && !i.Referrers {
		i.Notes.Note("%s is up to date", manifest.Familiar(done.Name))
		return done, nil
	}
	if !s.there || i.Referrers {
		if done.Children, err = i.bring(ctx, s); err != nil {
			return Imported{}, err
		}
		if err := i.stillFree(ctx, s); err != nil {
			return Imported{}, err
		}
	}
	if err := i.put(ctx, s); err != nil {
		return Imported{}, err
	}
	return done, nil
}

// stillFree returns an errdefs.ErrAlreadyExists error when somebody else has put one of the tags of s while its
// content was brought, and tags are not to be moved.
func (i imports) stillFree(ctx context.Context, s subject) error {
	if i.Force {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, tag := range s.tags {
		group.Go(func() error {
			now, err := i.digest(ctx, tag)
			if err == nil && now != "" && now != s.Descriptor.Digest {
				err = inTheWay(tag, now, s.Descriptor.Digest)
			}
			return err
		})
	}
	return group.Wait()
}

// inTheWay is the error that a tag names something else than it should.
func inTheWay(tag reference.Named, now, want digest.Digest) error {
	return manifest.Errorf(errdefs.ErrAlreadyExists, "%s is %s already, not %s: --force moves the tag", manifest.Familiar(tag), now, want)
}

// name is what the image is called in the target's repository.
func (i imports) name(s subject) reference.Named {
	if len(i.Tags) > 0 {
		return i.Tags[0]
	}
	return manifest.AtDigest(i.Target, s.Descriptor.Digest)
}

// resolve finds out what is to be imported, and what the target's names stand for. The error is
// errdefs.ErrAlreadyExists when a tag would have to be moved without that being asked for.
func (i imports) resolve(ctx context.Context) (subject, error) {
	s := subject{replaces: reference.TrimNamed(i.Target)}
	now := make([]digest.Digest, len(i.Tags))
	group, asking := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.Content, err = i.From.Fetch(asking, i.Source)
		return err
	})
	for n, tag := range i.Tags {
		group.Go(func() (err error) {
			now[n], err = i.digest(asking, tag)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return s, err
	}
	s.original = s.Descriptor.Digest
	if err := i.choose(ctx, &s); err != nil {
		return s, err
	}
	s.there = s.Descriptor.Digest == s.original && manifest.SameRepository(i.Source, i.Target)
	for n, tag := range i.Tags {
		switch {
		case now[n] == s.Descriptor.Digest:
			s.there = true
			continue
		case now[n] != "" && !i.Force:
			return s, inTheWay(tag, now[n], s.Descriptor.Digest)
		case now[n] != "":
			s.replaces = tag
		}
		s.tags = append(s.tags, tag)
	}
	if len(i.Tags) == 0 && !s.there {
		d, err := i.digest(ctx, manifest.AtDigest(i.Target, s.Descriptor.Digest))
		if err != nil {
			return s, err
		}
		s.there = d == s.Descriptor.Digest
	}
	return s, nil
}

// digest returns what a name in the target's repository stands for, "" for nothing. An account that may not
// look does not learn what it moves, which is for Force to decide.
func (i imports) digest(ctx context.Context, name reference.Named) (digest.Digest, error) {
	d, err := i.Registry.Digest(ctx, name)
	blind := errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err)
	if errdefs.IsNotFound(err) || blind && i.Force {
		return "", nil
	}
	return d, err
}

// choose keeps the platforms that are asked for.
func (i imports) choose(ctx context.Context, s *subject) error {
	if len(i.Platforms) == 0 {
		return nil
	}
	raw, err := choose(ctx, i.From, i.Source, s.Content, i.Platforms)
	if err != nil {
		return err
	}
	s.Raw, s.Descriptor.Size = raw, int64(len(raw))
	if s.Descriptor.Digest = s.original.Algorithm().FromBytes(raw); s.Descriptor.Digest != s.original {
		i.Notes.Note("%s is %s; less the other platforms it is %s", manifest.Familiar(i.Source), s.original, s.Descriptor.Digest)
	}
	return nil
}

// put gives the image the names that it does not have yet.
func (i imports) put(ctx context.Context, s subject) error {
	var name reference.Named
	switch {
	case len(s.tags) > 0:
		name = s.tags[0]
	case len(i.Tags) == 0 && !s.there:
		name = manifest.AtDigest(i.Target, s.Descriptor.Digest)
	default:
		return nil
	}
	var more []string
	if len(s.tags) > 1 {
		more = manifest.TagsOf(s.tags[1:])
	}
	if err := i.Registry.Put(ctx, name, s.Content, more...); err != nil {
		return fmt.Errorf("pushing %s: %w", manifest.Familiar(name), err)
	}
	return nil
}
