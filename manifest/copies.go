package manifest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"golang.org/x/sync/errgroup"
)

// checkTags starts to look up all tags of the publication. Those in other repositories are looked up with the right to write
// them, and have to be known before anything is sent.
func (p Publication) checkTags(ctx context.Context, clients Clients) *TagCheck {
	for _, c := range p.Copies {
		clients.Registry.Prefetch(ctx, c, []reference.Named{reference.TrimNamed(p.List.Name)})
	}
	return CheckTags(ctx, clients.Registry, p.Condition, append(p.names(), p.Copies...)...)
}

// CheckCondition looks up the tags if there is a condition, and returns an error if that does not allow the push.
func (p Publication) CheckCondition(ctx context.Context, clients Clients) error {
	if !p.Condition.isSet() {
		return nil
	}
	index, _ := p.List.Index() // without a digest while images are pending
	return p.checkTags(ctx, clients).Allow(index.Descriptor.Digest)
}

// writeCopies copies what the list's repository has under a digest to the repositories of the copies, and then writes their
// tags. It returns the tags that it has written. None is written unless all the content is everywhere and all the
// repositories still answer.
func (p Publication) writeCopies(ctx context.Context, clients Clients, tags *TagCheck, from reference.Canonical, c Content) ([]reference.NamedTagged, error) {
	if len(p.Copies) == 0 {
		return nil, nil
	}
	group, copying := errgroup.WithContext(ctx)
	repositories := map[string]bool{}
	for _, to := range p.Copies {
		if !repositories[to.Name()] {
			repositories[to.Name()] = true
			group.Go(func() error { return clients.Mirror(copying, from, reference.TrimNamed(to)) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	again := CheckTags(ctx, clients.Registry, p.Condition, tags.tags...)
	if err := again.known(c.Descriptor.Digest, p.Copies); err != nil {
		return nil, err
	}
	var written []reference.NamedTagged
	var errs []error
	for _, to := range p.Copies {
		if err := clients.Registry.Put(ctx, to, c); err != nil {
			errs = append(errs, fmt.Errorf("pushing the list %s: %w", Familiar(to), err))
			continue
		}
		written = append(written, to)
	}
	return written, errors.Join(errs...)
}

// unwritten adds to err which tags of a publication to several repositories were written before it, and which were not.
func (p Publication) unwritten(written []reference.NamedTagged, err error) error {
	if len(p.Copies) == 0 {
		return err
	}
	done := map[string]bool{}
	var names, others []string
	for _, t := range written {
		done[t.String()] = true
		names = append(names, Familiar(t))
	}
	for _, t := range append(p.names(), p.Copies...) {
		if !done[t.String()] {
			others = append(others, Familiar(t))
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%w (no tag was written)", err)
	}
	return fmt.Errorf("%w (%s written, %s not)", err, strings.Join(names, ", "), strings.Join(others, ", "))
}
