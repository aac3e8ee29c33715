// Package publish makes manifest lists of their sources, edits those of the local store, and pushes them.
//
// [Create] resolves its sources side by side and stores one list. [PushLocal], [CreateAndPush] and [AmendPublished] push
// pending images of the daemon, copy the children that the target repository lacks, and put the index last.
package publish

import (
	"cmp"
	"context"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Existing is what create does with a list that exists.
type Existing int

// Refuse an existing list, add to it, or replace it.
const (
	Refuse Existing = iota
	Amend
	Replace
)

// Creation describes the list to create.
type Creation struct {
	Name        reference.NamedTagged
	Sources     []Source
	Choice      Choice
	Existing    Existing
	Wait        time.Duration // how long to wait for sources that do not exist yet
	MediaType   string        // the media type of the list, "" for the default
	Annotations manifest.Annotations
	Require     []manifest.Platform     // platforms that the list must have
	Exact       []manifest.Platform     // the platforms of the list, if not empty
	Tags        []reference.NamedTagged // for CreateAndPush, beside Name and in its repository
	Copies      []reference.NamedTagged // for CreateAndPush, in other repositories
	Condition   manifest.Condition      // for CreateAndPush, what Name and Tags have to point to before
}

// Create makes a local list of its sources and returns it. All sources are read before the store is changed; a
// failure leaves the store as it was.
func Create(ctx context.Context, lists manifest.Lists, clients Clients, c Creation) (manifest.List, error) {
	_, change, err := c.prepare(ctx, lists, clients)
	if err != nil {
		return manifest.List{}, err
	}
	var created manifest.List
	if c.Existing == Replace {
		if created, err = change(manifest.List{}); err == nil {
			err = lists.Replace(ctx, created)
		}
	} else {
		err = lists.Update(ctx, c.Name, func(old manifest.List) (manifest.List, error) {
			created, err = change(old)
			return created, err
		})
	}
	if err != nil {
		return manifest.List{}, err
	}
	warnDuplicates(created, clients.Reporter)
	return created, nil
}

// Preview returns the list that Create would make, and changes nothing.
func Preview(ctx context.Context, lists manifest.Lists, clients Clients, c Creation) (manifest.List, error) {
	old, change, err := c.prepare(ctx, lists, clients)
	if err != nil {
		return manifest.List{}, err
	}
	list, err := change(old)
	if err == nil {
		warnDuplicates(list, clients.Reporter)
	}
	return list, err
}

// Assemble returns the list that CreateAndPush would push, without using the store. Two entries of one platform are an
// error: nobody can annotate one of them before the list is pushed.
func Assemble(ctx context.Context, clients Clients, c Creation) (manifest.List, error) {
	list, _, err := c.assemble(ctx, c.resolver(clients))
	return list, err
}

// CreateAndPush pushes the list of the sources under its name and c.Tags, without using the store.
func CreateAndPush(ctx context.Context, clients Clients, c Creation) (Pushed, error) {
	r := c.resolver(clients)
	r.prefetch = clients.Registry.Prefetch(ctx, c.Name, c.repositories())
	p := Publication{manifest.List{Name: c.Name}, c.Tags, c.Copies, c.Condition}
	tags := p.checkTags(ctx, clients)
	list, found, err := c.assemble(ctx, r)
	if err != nil {
		return Pushed{}, err
	}
	clients.Registry.Prefetch(ctx, list.Name, repositories(list))
	p.List = list
	return push(ctx, clients, p, found, tags, func(l manifest.List) error {
		return cmp.Or(c.checkPlatforms(l), refuseDuplicates(l))
	})
}

func (c Creation) resolver(clients Clients) *resolver {
	return &resolver{Clients: clients, list: c.Name, choice: c.Choice, wait: c.Wait}
}

// repositories returns the repositories that registries are asked for, whatever the daemon has.
func (c Creation) repositories() []reference.Named {
	var out []reference.Named
	for _, s := range c.Sources {
		if manifest.IsOfContext(s.Ref) {
			continue
		}
		if s.Output != "" || c.Choice.From == InRegistry || c.Choice.From != InDaemon && !s.Plain {
			out = append(out, reference.TrimNamed(s.Ref))
		}
	}
	return out
}

func (c Creation) assemble(ctx context.Context, r *resolver) (manifest.List, locals, error) {
	entries, found, err := r.resolveAll(ctx, c.Sources)
	if err != nil {
		return manifest.List{}, nil, err
	}
	list, err := c.apply(manifest.List{}, entries, r.whole)
	if err == nil {
		err = cmp.Or(refuseDuplicates(list), list.CheckPush())
	}
	return list, found, err
}

func refuseDuplicates(l manifest.List) error {
	if d := l.Duplicates(); len(d) > 0 {
		return manifest.WithHint(manifest.Errorf(errdefs.ErrFailedPrecondition, "%s", d[0]),
			"one was probably built without --platform: build it again with that; otherwise omit one, or create the list without --push and annotate one before the push")
	}
	return nil
}

// prepare resolves the sources and returns the list that create starts from, empty if there is none or it is to be replaced, and
// the change that adds them to it, or to the list that it has become meanwhile.
func (c Creation) prepare(ctx context.Context, lists manifest.Lists, clients Clients) (manifest.List, func(manifest.List) (manifest.List, error), error) {
	refuse := func(old manifest.List) error {
		if c.Existing == Refuse && len(old.Entries) > 0 {
			err := manifest.Errorf(errdefs.ErrAlreadyExists, "refusing to amend an existing manifest list with no --amend flag: %s exists", manifest.Familiar(c.Name))
			return manifest.WithHint(err, "--amend adds to it, --replace starts over")
		}
		return nil
	}
	var old manifest.List
	if c.Existing != Replace {
		var err error
		if old, err = lists.Get(c.Name); err != nil && !errdefs.IsNotFound(err) {
			return old, nil, err
		}
		if err := refuse(old); err != nil {
			return old, nil, err
		}
	}
	r := c.resolver(clients)
	entries, _, err := r.resolveAll(ctx, c.Sources)
	if err != nil {
		return old, nil, err
	}
	return old, func(old manifest.List) (manifest.List, error) {
		if err := refuse(old); err != nil {
			return old, err
		}
		return c.apply(old, entries, r.whole)
	}, nil
}

func (c Creation) checkPlatforms(l manifest.List) error {
	return l.CheckPlatforms(c.Require, c.Exact)
}

// apply returns old with the entries added, if the result has what is required. Whole is the index that they are all of.
func (c Creation) apply(old manifest.List, entries []manifest.Entry, whole manifest.Whole) (manifest.List, error) {
	list := old.With(entries...)
	list.Name, list.Whole = c.Name, whole
	if len(list.Entries) > len(manifest.List{}.With(entries...).Entries) {
		list.Whole = manifest.Whole{} // there are other sources
	}
	if c.MediaType != "" {
		list.MediaType = c.MediaType
	}
	switch n := len(list.Entries); {
	case n == 0:
		return old, manifest.Errorf(errdefs.ErrFailedPrecondition, "no source has a matching image: %s would be empty", manifest.Familiar(c.Name))
	case n > manifest.MaxEntries:
		return old, manifest.Errorf(errdefs.ErrInvalidArgument, "%s would have %d entries, more than %d", manifest.Familiar(c.Name), n, manifest.MaxEntries)
	}
	if err := c.checkPlatforms(list); err != nil {
		return old, err
	}
	list, err := list.Annotated(c.Annotations)
	if err == nil {
		_, err = list.IndexType()
	}
	return list, err
}

func warnDuplicates(l manifest.List, reporter manifest.Reporter) {
	for _, d := range l.Duplicates() {
		reporter.Warn("%s; one was probably built without --platform (otherwise, annotate one before the push)", d)
	}
}
