package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// checkTags starts to look up all tags of the publication. Those in other repositories are looked up with the right to write
// them, and have to be known before anything is sent.
func (p Publication) checkTags(ctx context.Context, clients Clients) *manifest.TagCheck {
	for _, c := range p.Copies {
		clients.Registry.Prefetch(ctx, c, []reference.Named{reference.TrimNamed(p.List.Name)})
	}
	return manifest.CheckTags(ctx, clients.Registry, p.Condition, append(p.names(), p.Copies...)...)
}

// CheckCondition looks up the tags if there is a condition, and returns an error if that does not allow the push.
func (p Publication) CheckCondition(ctx context.Context, clients Clients) error {
	if !p.Condition.IsSet() {
		return nil
	}
	index, _ := p.List.Index() // without a digest while images are pending
	return p.checkTags(ctx, clients).Allow(index.Descriptor.Digest)
}

// mirror copies what the list's repository has under a digest to the repositories of the copies.
func (p Publication) mirror(ctx context.Context, clients Clients, from reference.Canonical) error {
	group, copying := errgroup.WithContext(ctx)
	repositories := map[string]bool{}
	for _, to := range p.Copies {
		if !repositories[to.Name()] {
			repositories[to.Name()] = true
			group.Go(func() error { return clients.Mirror(copying, from, reference.TrimNamed(to)) })
		}
	}
	return group.Wait()
}

// writeTags writes the copies and then names, the last of the tags in the list's repository, with content that is in all
// repositories. The other tags are written already. None is written unless the condition is met now and all the
// repositories of copies still answer.
func (p Publication) writeTags(ctx context.Context, clients Clients, c manifest.Content, names []reference.NamedTagged) error {
	written := slices.Clone(p.names()[:len(p.names())-len(names)])
	if all := append(slices.Clone(names), p.Copies...); p.Condition.IsSet() || len(p.Copies) > 0 {
		if err := manifest.CheckTags(ctx, clients.Registry, p.Condition, all...).Known(c.Descriptor.Digest, p.Copies); err != nil {
			return p.unwritten(err, written)
		}
	}
	what := "the list "
	if len(p.List.Entries) == 0 {
		what = "" // it is an image
	}
	var errs []error
	put := func(tags ...reference.NamedTagged) {
		err := clients.Registry.Put(ctx, tags[0], c, TagsOf(tags[1:])...)
		if err != nil {
			errs = append(errs, fmt.Errorf("pushing %s%s: %w", what, manifest.Familiar(tags[0]), err))
		}
		written = append(written, Written(tags, err)...)
	}
	for _, to := range p.Copies {
		put(to)
	}
	if len(errs) == 0 && len(names) > 0 {
		put(names...)
	}
	return p.unwritten(errors.Join(errs...), written)
}

// unwritten adds to err which tags of a publication to several repositories were written before it, and which were not.
func (p Publication) unwritten(err error, written []reference.NamedTagged) error {
	if len(p.Copies) == 0 {
		return err
	}
	return Unwritten(err, written, append(p.names(), p.Copies...))
}

// Written returns those of tags that a Put wrote which failed with err.
func Written(tags []reference.NamedTagged, err error) []reference.NamedTagged {
	var part interface{ Written() []string }
	switch {
	case err == nil:
		return tags
	case !errors.As(err, &part):
		return nil
	}
	return slices.DeleteFunc(slices.Clone(tags), func(t reference.NamedTagged) bool { return !slices.Contains(part.Written(), t.Tag()) })
}

// Unwritten adds to err, if it is not nil, which of all tags were written before it, and which were not.
func Unwritten(err error, written, all []reference.NamedTagged) error {
	if err == nil {
		return nil
	}
	done := map[string]bool{}
	var names, others []string
	for _, t := range written {
		done[t.String()] = true
		names = append(names, manifest.Familiar(t))
	}
	for _, t := range all {
		if !done[t.String()] {
			others = append(others, manifest.Familiar(t))
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%w (no tag was written)", err)
	}
	return fmt.Errorf("%w (%s written, %s not)", err, strings.Join(names, ", "), strings.Join(others, ", "))
}
