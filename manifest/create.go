package manifest

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// Lists is the store of local lists.
type Lists interface {
	// Get returns the list called name; an errdefs.ErrNotFound error when there is none.
	Get(name reference.Named) (List, error)
	// Update replaces a list by what change makes of it: of a List with that name and no entries when
	// there is none. A result without entries removes the list. Nothing else changes it meanwhile.
	Update(ctx context.Context, name reference.Named, change func(List) (List, error)) error
	// Replace stores list under its name, whatever that held before, and even if it cannot be read.
	Replace(ctx context.Context, list List) error
}

// Existing says what create does with a list that exists.
type Existing int

// Refuse an existing list, amend it, or replace it.
const (
	Refuse Existing = iota
	Amend
	Replace
)

// Creation is what create is asked for.
type Creation struct {
	Name      reference.NamedTagged
	Sources   []Source
	Choice    Choice
	Existing  Existing
	MediaType string
	Require   []Platform
}

// Create makes a local list of its sources and returns it. All is read before the store is changed; a
// failure leaves the store as it was.
func Create(ctx context.Context, a Access, c Creation) (List, error) {
	_, change, err := c.prepare(ctx, a)
	if err != nil {
		return List{}, err
	}
	var made List
	if c.Existing == Replace {
		if made, err = change(List{}); err == nil {
			err = a.Lists.Replace(ctx, made)
		}
	} else {
		err = a.Lists.Update(ctx, c.Name, func(old List) (List, error) {
			made, err = change(old)
			return made, err
		})
	}
	if err != nil {
		return List{}, err
	}
	warnDuplicates(made, a.Notes)
	return made, nil
}

// Preview returns the list that Create would make, and changes nothing.
func Preview(ctx context.Context, a Access, c Creation) (List, error) {
	old, change, err := c.prepare(ctx, a)
	if err != nil {
		return List{}, err
	}
	made, err := change(old)
	if err == nil {
		warnDuplicates(made, a.Notes)
	}
	return made, err
}

// Assemble returns the list that the sources make, without a look at the store. Two entries of one
// platform are an error: nobody can annotate one of them before the list is pushed.
func Assemble(ctx context.Context, a Access, c Creation) (List, error) {
	return c.assemble(ctx, c.looker(a))
}

// Publish pushes the list that the sources make, as Assemble and Push do one after the other.
func Publish(ctx context.Context, a Access, c Creation, tags []reference.NamedTagged) (Pushed, error) {
	l := c.looker(a)
	l.prefetch = a.Registry.Prefetch(ctx, c.Name, c.repositories())
	list, err := c.assemble(ctx, l)
	if err != nil {
		return Pushed{}, err
	}
	return Push(ctx, a, list, tags)
}

// looker returns what looks the sources up.
func (c Creation) looker(a Access) *looker {
	return &looker{Access: a, list: c.Name, choice: c.Choice}
}

// repositories returns the names of the repositories that the registries are asked for whatever the daemon
// has.
func (c Creation) repositories() []reference.Named {
	var out []reference.Named
	for _, s := range c.Sources {
		if c.Choice.From == InRegistry || c.Choice.From != InDaemon && !s.Plain {
			out = append(out, reference.TrimNamed(s.Ref))
		}
	}
	return out
}

func (c Creation) assemble(ctx context.Context, l *looker) (List, error) {
	entries, err := l.lookAll(ctx, c.Sources)
	if err != nil {
		return List{}, err
	}
	list, err := c.apply(List{}, entries)
	if err != nil {
		return List{}, err
	}
	if twice := list.Duplicates(); len(twice) > 0 {
		return List{}, Errorf(errdefs.ErrFailedPrecondition, "%s: create the list without --push and annotate one of them, or drop one", twice[0])
	}
	return list, list.CheckPush()
}

// existing returns the list that create starts from: one without entries when there is none, or when it is
// to be replaced.
func (c Creation) existing(lists Lists) (List, error) {
	if c.Existing == Replace {
		return List{}, nil
	}
	old, err := lists.Get(c.Name)
	if errdefs.IsNotFound(err) {
		return List{}, nil
	}
	return old, err
}

// prepare looks the sources up and returns the list that create starts from and the change that puts them
// into it, or into what it has become meanwhile.
func (c Creation) prepare(ctx context.Context, a Access) (List, func(List) (List, error), error) {
	refuse := func(old List) error {
		if c.Existing == Refuse && len(old.Entries) > 0 {
			return Errorf(errdefs.ErrAlreadyExists, "refusing to amend an existing manifest list with no --amend flag: "+
				"%s exists; --amend adds to it, --replace starts over", Familiar(c.Name))
		}
		return nil
	}
	old, err := c.existing(a.Lists)
	if err != nil {
		return old, nil, err
	}
	if err := refuse(old); err != nil {
		return old, nil, err
	}
	entries, err := c.looker(a).lookAll(ctx, c.Sources)
	if err != nil {
		return old, nil, err
	}
	return old, func(old List) (List, error) {
		if err := refuse(old); err != nil {
			return old, err
		}
		return c.apply(old, entries)
	}, nil
}

// apply returns old with the entries added, checked against what is required.
func (c Creation) apply(old List, entries []Entry) (List, error) {
	list := old.With(entries...)
	list.Name = c.Name
	if c.MediaType != "" {
		list.MediaType = c.MediaType
	}
	switch n := len(list.Entries); {
	case n == 0:
		return old, Errorf(errdefs.ErrFailedPrecondition, "no source has a matching image: %s would be empty", Familiar(c.Name))
	case n > MaxEntries:
		return old, Errorf(errdefs.ErrInvalidArgument, "%s would have %d entries, more than %d", Familiar(c.Name), n, MaxEntries)
	}
	if err := list.Require(c.Require); err != nil {
		return old, err
	}
	_, err := list.indexType()
	return list, err
}

func warnDuplicates(l List, notes Reporter) {
	for _, d := range l.Duplicates() {
		notes.Warn("%s", d)
	}
}
