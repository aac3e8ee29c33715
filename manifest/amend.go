package manifest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
)

// Bounds of the attempts to amend an index while other clients change it: those after a refused condition, and those to put
// back what another client's write lost.
const (
	maxRefusedWrites = 100
	maxLostWrites    = 5
)

// The pauses after a refused condition grow by conflictPause, up to the longest, and are random up to that.
const (
	conflictPause        = 50 * time.Millisecond
	longestConflictPause = 2 * time.Second
)

// amender changes the index of a tag in a registry.
type amender struct {
	Clients
	Creation
	// base is what the tag points to, without bytes if it does not exist.
	base Content
	// proven says that the registry has refused a write because the tag pointed to something else.
	proven bool
}

// PublishAmended is Publish for a list that the registry may have already: an image of the sources replaces that of its
// platform, together with the attestations of that, or is added at the end. Everything else of the list stays as it is, byte
// for byte. If nothing changes, nothing is written. What other clients write at the same time is kept as far as the registry
// allows.
func PublishAmended(ctx context.Context, clients Clients, c Creation) (Pushed, error) {
	if len(c.Copies) > 0 {
		return Pushed{}, Errorf(errdefs.ErrInvalidArgument, "%s is in another repository than %s, which --amend does not change", Familiar(c.Copies[0]), Familiar(c.Name))
	}
	a, list, found, err := startAmending(ctx, clients, c)
	if err != nil {
		return Pushed{}, err
	}
	tags := CheckTags(ctx, clients.Registry, Condition{}, c.Tags...)
	clients.Registry.Prefetch(ctx, list.Name, list.repositories())
	list, children, err := sendPending(ctx, clients, Publication{List: list}, found)
	if err != nil {
		return Pushed{}, err
	}
	copied, err := copyChildren(ctx, clients.Registry, list)
	if err != nil {
		return Pushed{}, err
	}
	p := Publication{List: list, Tags: c.Tags}
	keepReferrersTags(ctx, clients, p)
	index, err := a.write(ctx, list)
	if err != nil {
		return Pushed{}, fmt.Errorf("amending %s: %w", Familiar(c.Name), err)
	}
	if len(c.Tags) > 0 {
		if err := clients.Registry.Put(ctx, c.Tags[0], index, TagsOf(c.Tags[1:])...); err != nil {
			return Pushed{}, fmt.Errorf("%s was amended, but not all its other tags were written: %w", Familiar(c.Name), err)
		}
	}
	tags.ReportMoves(clients.Reporter, index.Descriptor.Digest)
	keepReferrersTags(ctx, clients, p) // of the list itself
	return Pushed{p, index.Descriptor, append(children, copied...)}, nil
}

// PreviewAmended returns the index that PublishAmended would write.
func PreviewAmended(ctx context.Context, clients Clients, c Creation) (Content, error) {
	a, list, _, err := startAmending(ctx, clients, c)
	if err != nil {
		return Content{}, err
	}
	return a.amended(list)
}

// startAmending reads the tag and the sources, and returns the list of the sources if they can amend what the tag points to.
func startAmending(ctx context.Context, clients Clients, c Creation) (*amender, List, locals, error) {
	r, a := c.resolver(clients), &amender{Clients: clients, Creation: c}
	r.prefetch = clients.Registry.Prefetch(ctx, c.Name, c.repositories())
	var entries []Entry
	var found locals
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() error { return a.read(reading) })
	group.Go(func() (err error) {
		entries, found, err = r.resolveAll(reading, c.Sources)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, List{}, nil, err
	}
	err := c.Condition.Check(c.Name, a.base.Descriptor.Digest, "")
	if err == nil && a.base.Raw != nil && len(c.Annotations.Index) > 0 {
		err = Errorf(errdefs.ErrInvalidArgument, "%s exists, and amending it keeps its annotations: --annotation can only annotate its images", Familiar(c.Name))
	}
	if err != nil {
		return nil, List{}, nil, err
	}
	added := c
	added.Require, added.Exact = nil, nil // for the result
	list, err := added.apply(List{}, entries, r.whole)
	if err == nil {
		err = refuseDuplicates(list)
	}
	if err == nil {
		err = list.CheckPush()
	}
	if err != nil {
		return nil, List{}, nil, err
	}
	_, err = a.amended(list)
	return a, list, found, err
}

// read reads what the tag points to. It has to be an index or absent.
func (a *amender) read(ctx context.Context) error {
	base, err := a.Registry.Fetch(ctx, a.Name)
	switch {
	case errdefs.IsNotFound(err):
		a.base = Content{}
		return nil
	case err != nil:
		return err
	case !IsIndex(base.Descriptor.MediaType):
		err := Errorf(errdefs.ErrFailedPrecondition, "%s is a single image, which cannot be amended", Familiar(a.Name))
		return WithHint(err, "make a list of it: docker multiarch create --push %s %s SOURCE", Familiar(a.Name), Familiar(AtDigest(a.Name, base.Descriptor.Digest)))
	}
	a.base = base
	return nil
}

// amended returns the index of the tag with the entries of list, whose pending ones have no digest yet.
func (a *amender) amended(list List) (Content, error) {
	index, err := list.content()
	if len(a.base.Raw) > 0 {
		index, err = list.amend(a.base)
	}
	if err != nil {
		return index, err
	}
	result, err := remoteList(a.Name, index)
	if err == nil {
		err = a.checkPlatforms(result)
	}
	return index, err
}

// write writes the index of the tag with the entries of list, again while other clients change the tag.
func (a *amender) write(ctx context.Context, list List) (Content, error) {
	refused, lost := 0, 0
	for {
		began := time.Now()
		index, err := a.amended(list)
		if err != nil {
			return index, err
		}
		if index.Descriptor.Digest == a.base.Descriptor.Digest {
			a.Reporter.Note("%s is unchanged", Familiar(a.Name))
			return index, nil
		}
		err = a.Registry.PutIf(ctx, a.Name, index, a.base.Descriptor.Digest)
		before := a.base.Descriptor.Digest
		if errdefs.IsConflict(err) || errdefs.IsAborted(err) {
			if refused++; refused > maxRefusedWrites {
				return index, err
			}
			if failed := a.again(ctx, refused); failed != nil {
				return index, failed
			}
			if a.base.Descriptor.Digest == before {
				return index, err // the registry refuses it whatever the tag points to
			}
			a.proven = true
			continue
		}
		if err != nil {
			return index, err
		}
		kept, err := a.isKept(ctx, list, index, time.Since(began))
		if err != nil || kept {
			return index, err
		}
		if lost++; lost > maxLostWrites {
			return index, Errorf(errdefs.ErrAborted, "other clients write the tag at the same time, and removed the images again %d times", lost)
		}
		a.Reporter.Note("another client has replaced %s; amending it again", Familiar(a.Name))
	}
}

// again reads the tag after a pause that grows with the number of refused writes.
func (a *amender) again(ctx context.Context, refused int) error {
	longest := min(time.Duration(refused)*conflictPause, longestConflictPause)
	if err := pause.For(ctx, rand.N(longest)); err != nil {
		return err
	}
	return a.read(ctx)
}

// isKept reports whether the tag still has the entries of list after it was written. Unless the registry has proven that it
// checks conditions, clients that read the tag before may write it within the time that reading and writing took.
func (a *amender) isKept(ctx context.Context, list List, index Content, took time.Duration) (bool, error) {
	for range 2 {
		if err := a.read(ctx); err != nil {
			return false, fmt.Errorf("checking what was written: %w", err)
		}
		if a.base.Descriptor.Digest != index.Descriptor.Digest && !list.isIn(a.base) {
			return false, nil
		}
		if a.proven {
			return true, nil
		}
		if err := pause.For(ctx, min(took, time.Second)); err != nil {
			return false, err
		}
	}
	a.Reporter.Warn("%s did not confirm conditional updates; run merges one after the other", reference.Domain(a.Name))
	return true, nil
}

// isIn reports whether an index lists all entries of l.
func (l List) isIn(index Content) bool {
	children, _, _ := ParseIndex(index.Raw)
	return !slices.ContainsFunc(l.Entries, func(e Entry) bool {
		return !slices.ContainsFunc(children, func(d ocispec.Descriptor) bool { return d.Digest == e.Descriptor.Digest })
	})
}

// amend returns the index base with the entries of l: an image takes the position of the one for its platform.
func (l List) amend(base Content) (Content, error) {
	l.MediaType = base.Descriptor.MediaType
	if _, err := l.indexType(); err != nil {
		return Content{}, err
	}
	children, _, err := ParseIndex(base.Raw)
	if err != nil {
		return Content{}, fmt.Errorf("reading index %s: %w", Familiar(l.Name), err)
	}
	replaced, added, err := l.replacements(children)
	if err != nil {
		return Content{}, err
	}
	listed := map[digest.Digest]bool{} // of the result
	for n, d := range children {
		if _, ok := replaced[n]; !ok {
			listed[d.Digest] = true
		}
	}
	orphaned := map[digest.Digest]bool{}
	for n := range replaced {
		orphaned[children[n].Digest] = !listed[children[n].Digest]
	}
	texts := map[int][]byte{}
	var more [][]byte
	for n, e := range replaced {
		if texts[n], err = e.childText(base.Raw); err != nil {
			return Content{}, err
		}
	}
	for _, e := range added {
		text, err := e.childText(base.Raw)
		if err != nil {
			return Content{}, err
		}
		more = append(more, text)
	}
	raw, err := Splice(base.Raw, func(n int, text []byte) []byte {
		switch {
		case texts[n] != nil:
			return texts[n]
		case orphaned[AttestationSubject(children[n])]:
			return nil
		}
		return text
	}, more...)
	return NewContent(base.Descriptor.MediaType, raw), err
}

// replacements returns the entries that replace children of an index, by position, and those that are added.
func (l List) replacements(children []ocispec.Descriptor) (replaced map[int]Entry, added []Entry, err error) {
	replaced = map[int]Entry{}
	for _, e := range l.Entries {
		var at []int
		var digests []string
		for n, d := range children {
			existing := Entry{Descriptor: d}
			same := d.Digest == e.Descriptor.Digest && (!e.IsImage() || PlatformKey(existing.Platform()) == PlatformKey(e.Platform()))
			if same || e.IsImage() && existing.IsImage() && PlatformKey(existing.Platform()) == PlatformKey(e.Platform()) {
				at, digests = append(at, n), append(digests, d.Digest.String())
			}
		}
		switch {
		case len(at) == 0:
			added = append(added, e)
		case slices.Contains(digests, e.Descriptor.Digest.String()): // it is there already
		case len(at) > 1:
			return nil, nil, Errorf(errdefs.ErrFailedPrecondition, "%s has several entries for %s: %s",
				Familiar(l.Name), FormatPlatform(e.Platform()), joinAnd(digests))
		default:
			replaced[at[0]] = e
		}
	}
	return replaced, added, nil
}
