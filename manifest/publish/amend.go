package publish

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
	"github.com/docker-multiarch/docker-multiarch/manifest"
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
	// list is that of the sources; base is what the tag points to, without bytes if it does not exist.
	list manifest.List
	base manifest.Content
	// proven says that the registry has refused a write because the tag pointed to something else.
	proven bool
	// platforms is how many platforms the amended index has images for.
	platforms int
	// others is the lookup of the other tags.
	others *manifest.TagCheck
}

// AmendPublished is CreateAndPush for a list that the registry may have already: an image of the sources replaces that of its
// platform, together with the attestations of that, or is added at the end. Everything else of the list stays as it is, byte
// for byte. If nothing changes, nothing is written. What other clients write at the same time is kept as far as the registry
// allows.
func AmendPublished(ctx context.Context, clients Clients, c Creation) (Pushed, error) {
	a, found, err := startAmending(ctx, clients, c)
	if err != nil {
		return Pushed{}, err
	}
	clients.Registry.Prefetch(ctx, a.list.Name, repositories(a.list))
	p := Publication{List: a.list, Tags: c.Tags}
	list, children, err := sendPending(ctx, clients, p, found)
	if err == nil {
		err = refuseDuplicates(list) // a variant may have been unknown
	}
	if err != nil {
		return Pushed{}, err
	}
	a.list, p.List = list, list
	if len(a.base.Raw) == 0 {
		list.NoteDigest(clients.Reporter)
	}
	copied, err := copyChildren(ctx, clients.Registry, list)
	if err != nil {
		return Pushed{}, err
	}
	keepReferrersTags(ctx, clients, p)
	if err := a.write(ctx); err != nil {
		return Pushed{}, fmt.Errorf("amending %s: %w", manifest.Familiar(c.Name), err)
	}
	if err := a.writeTags(ctx); err != nil {
		return Pushed{}, fmt.Errorf("%s was amended, but not all its other tags were written: %w", manifest.Familiar(c.Name), err)
	}
	a.others.ReportMoves(clients.Reporter, a.base.Descriptor.Digest)
	keepReferrersTags(ctx, clients, p) // of the list itself
	return Pushed{p, a.base.Descriptor, append(children, copied...), a.platforms}, nil
}

// PreviewAmend returns the index that AmendPublished would write.
func PreviewAmend(ctx context.Context, clients Clients, c Creation) (manifest.Content, error) {
	a, _, err := startAmending(ctx, clients, c)
	if err != nil {
		return manifest.Content{}, err
	}
	return a.amended()
}

// startAmending reads the tags and the sources, and returns an error unless they can amend what the tag points to.
func startAmending(ctx context.Context, clients Clients, c Creation) (*amender, locals, error) {
	if len(c.Copies) > 0 {
		return nil, nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s is in another repository than %s, which --amend does not change", manifest.Familiar(c.Copies[0]), manifest.Familiar(c.Name))
	}
	r, a := c.resolver(clients), &amender{Clients: clients, Creation: c}
	r.prefetch = clients.Registry.Prefetch(ctx, c.Name, c.repositories())
	a.others = manifest.CheckTags(ctx, clients.Registry, c.Condition, c.Tags...)
	added := c
	added.Require, added.Exact = nil, nil // for the result
	var found locals
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() error { return a.read(reading) })
	group.Go(func() (err error) {
		a.list, found, err = added.assemble(reading, r)
		return err
	})
	if err := cmp.Or(group.Wait(), a.others.Allow("")); err != nil {
		return nil, nil, err
	}
	_, err := a.amended()
	return a, found, err
}

// read reads what the tag points to. It has to be an index or absent.
func (a *amender) read(ctx context.Context) error {
	base, err := a.Registry.Fetch(ctx, a.Name)
	switch {
	case errdefs.IsNotFound(err):
		a.base = manifest.Content{}
		return nil
	case err != nil:
		return err
	case !manifest.IsIndex(base.Descriptor.MediaType):
		err := manifest.Errorf(errdefs.ErrFailedPrecondition, "%s is a single image, which cannot be amended", manifest.Familiar(a.Name))
		return manifest.WithHint(err, "make a list of it: docker multiarch create --push %s %s SOURCE", manifest.Familiar(a.Name), manifest.Familiar(manifest.AtDigest(a.Name, base.Descriptor.Digest)))
	}
	a.base = base
	return nil
}

// amended returns the index of the tag with the entries of the list, whose pending ones have no digest yet. The error is
// errdefs.ErrFailedPrecondition or errdefs.ErrInvalidArgument if what the tag points to now must not be amended like that.
func (a *amender) amended() (manifest.Content, error) {
	if err := a.Condition.Check(a.Name, a.base.Descriptor.Digest, ""); err != nil {
		return manifest.Content{}, err
	}
	if len(a.base.Raw) == 0 {
		index, err := a.list.Content()
		a.platforms = a.list.CountPlatforms()
		return index, cmp.Or(err, a.checkPlatforms(a.list))
	}
	switch base := a.base.Descriptor.MediaType; {
	case len(a.Annotations.Index) > 0:
		return manifest.Content{}, manifest.Errorf(errdefs.ErrInvalidArgument, "%s exists, and amending it keeps its annotations: --annotation can only annotate its images", manifest.Familiar(a.Name))
	case a.MediaType != "" && a.MediaType != base:
		return manifest.Content{}, manifest.Errorf(errdefs.ErrInvalidArgument, "%s exists, and amending it keeps its media type %s, which --type cannot change", manifest.Familiar(a.Name), base)
	}
	index, result, err := amend(a.list, a.base)
	a.platforms = result.CountPlatforms()
	return index, cmp.Or(err, a.checkPlatforms(result))
}

// write adds the entries of the list to the index of the tag, again while other clients change that; base is the result.
func (a *amender) write(ctx context.Context) error {
	refused, lost, began := 0, 0, time.Now()
	if err := a.read(ctx); err != nil { // sending the images may have taken long
		return err
	}
	for {
		index, err := a.amended()
		if err != nil {
			return err
		}
		if bytes.Equal(index.Raw, a.base.Raw) {
			a.Reporter.Note("%s is unchanged", manifest.Familiar(a.Name))
			return nil
		}
		before := a.base.Descriptor.Digest
		err = a.Registry.PutIf(ctx, a.Name, index, before)
		if errdefs.IsFailedPrecondition(err) || errdefs.IsConflict(err) || errdefs.IsAborted(err) {
			if refused++; refused > maxRefusedWrites {
				return err
			}
			began = time.Now()
			longest := min(time.Duration(refused)*conflictPause, longestConflictPause)
			if failed := pause.For(ctx, rand.N(longest)); failed != nil {
				return failed
			}
			if failed := a.read(ctx); failed != nil {
				return failed
			}
			if a.base.Descriptor.Digest == before {
				return err // the registry refuses it whatever the tag points to
			}
			a.proven = a.proven || errdefs.IsFailedPrecondition(err)
			continue
		}
		if err != nil {
			return err
		}
		kept, err := a.isKept(ctx, index, time.Since(began))
		if err != nil {
			return err
		}
		if kept {
			manifest.ReportMove(a.Reporter, a.Name, before, index.Descriptor.Digest)
			return nil
		}
		if lost++; lost > maxLostWrites {
			a.warnUnproven()
			return manifest.Errorf(errdefs.ErrAborted, "other clients write the tag at the same time, and removed the images again %d times", lost)
		}
		began = time.Now()
		a.Reporter.Note("another client has replaced %s; amending it again", manifest.Familiar(a.Name))
	}
}

// writeTags writes the other tags, again while other clients amend the list: in the end all tags point to the same index.
func (a *amender) writeTags(ctx context.Context) error {
	if len(a.Tags) == 0 {
		return nil
	}
	if err := a.others.Again(ctx, ""); err != nil {
		return err
	}
	for range maxRefusedWrites {
		index := a.base
		if err := a.Registry.Put(ctx, a.Tags[0], index, TagsOf(a.Tags[1:])...); err != nil {
			return err
		}
		err := a.read(ctx)
		if removed := len(a.base.Raw) == 0; err != nil || removed || a.base.Descriptor.Digest == index.Descriptor.Digest {
			a.base = index
			return err
		}
	}
	return manifest.Errorf(errdefs.ErrAborted, "other clients amend %s at the same time", manifest.Familiar(a.Name))
}

// isKept reports whether the tag still has the entries of the list after it was written. Unless the registry has proven that it
// checks conditions, clients that read the tag before may write it within the time that reading and writing took.
func (a *amender) isKept(ctx context.Context, index manifest.Content, took time.Duration) (bool, error) {
	for range 2 {
		if err := a.read(ctx); err != nil {
			return false, fmt.Errorf("checking what was written: %w", err)
		}
		if a.base.Descriptor.Digest != index.Descriptor.Digest && !isIn(a.list, a.base) {
			return false, nil
		}
		if a.proven {
			return true, nil
		}
		if err := pause.For(ctx, min(took, time.Second)); err != nil {
			return false, err
		}
	}
	a.warnUnproven()
	return true, nil
}

// warnUnproven warns unless the registry has proven that it checks conditions.
func (a *amender) warnUnproven() {
	if !a.proven {
		a.Reporter.Warn("%s did not confirm conditional updates; run merges one after the other", reference.Domain(a.Name))
	}
}

// isIn reports whether an index lists all entries of l.
func isIn(l manifest.List, index manifest.Content) bool {
	children, _, _ := manifest.ParseIndex(index.Raw)
	return !slices.ContainsFunc(l.Entries, func(e manifest.Entry) bool {
		return !slices.ContainsFunc(children, func(d ocispec.Descriptor) bool { return d.Digest == e.Descriptor.Digest })
	})
}

// amend returns base with the entries of l, and that as a list: an image takes the position of the one for its platform.
func amend(l manifest.List, base manifest.Content) (manifest.Content, manifest.List, error) {
	result := manifest.List{Name: l.Name}
	l.MediaType = base.Descriptor.MediaType
	if _, err := l.IndexType(); err != nil {
		return manifest.Content{}, result, err
	}
	children, _, err := manifest.ParseIndex(base.Raw)
	if err != nil {
		return manifest.Content{}, result, fmt.Errorf("reading index %s: %w", manifest.Familiar(l.Name), err)
	}
	replaced, added, err := replacements(l, base.Raw, children)
	if err != nil {
		return manifest.Content{}, result, err
	}
	removed := outdated(l, children, replaced)
	texts, more, errs := map[int][]byte{}, make([][]byte, len(added)), make([]error, len(added))
	for n, d := range children {
		e, ok := replaced[n]
		switch {
		case ok:
			result.Entries = append(result.Entries, e)
			texts[n], err = e.ChildText(base.Raw)
			errs = append(errs, err)
		case removed[n]:
			texts[n] = nil
		default:
			at := manifest.AtDigest(l.Name, d.Digest)
			result.Entries = append(result.Entries, manifest.Entry{Ref: at, Source: at, Descriptor: d})
		}
	}
	for i, e := range added {
		more[i], errs[i] = e.ChildText(base.Raw)
	}
	if err := cmp.Or(errs...); err != nil {
		return manifest.Content{}, result, err
	}
	result.Entries = append(result.Entries, added...)
	if n := len(result.Entries); n > manifest.MaxEntries {
		return manifest.Content{}, result, manifest.Errorf(errdefs.ErrInvalidArgument, "%s would have %d entries, more than %d", manifest.Familiar(l.Name), n, manifest.MaxEntries)
	}
	raw, err := manifest.Splice(base.Raw, func(n int, text []byte) []byte {
		if edited, ok := texts[n]; ok {
			return edited
		}
		return text
	}, more...)
	return manifest.NewContent(base.Descriptor.MediaType, raw), result, err
}

// outdated returns the positions of the attestations of an index that are removed when children are replaced: those of images
// that it lists no longer, and of images that l has other attestations of.
func outdated(l manifest.List, children []ocispec.Descriptor, replaced map[int]manifest.Entry) map[int]bool {
	ours, listed := l.Digests(), l.Digests()
	for n, d := range children {
		if _, ok := replaced[n]; !ok {
			listed[d.Digest] = true
		}
	}
	subjects := map[digest.Digest]bool{}
	for n := range replaced {
		subjects[children[n].Digest] = !listed[children[n].Digest]
	}
	for _, e := range l.Entries {
		if s := e.Subject(); s != "" {
			subjects[s] = true
		}
	}
	out := map[int]bool{}
	for n, d := range children {
		out[n] = subjects[manifest.AttestationSubject(d)] && !ours[d.Digest]
	}
	return out
}

// replacements returns the entries that replace children, by position, and those that are added. A child that is an entry
// already only gets the annotations of that.
func replacements(l manifest.List, raw []byte, children []ocispec.Descriptor) (replaced map[int]manifest.Entry, added []manifest.Entry, err error) {
	fields, err := manifest.ChildFields(raw)
	if err != nil {
		return nil, nil, err
	}
	replaced = map[int]manifest.Entry{}
	for _, e := range l.Entries {
		var at []int
		var digests []string
		for n, d := range children {
			existing := manifest.Entry{Descriptor: d}
			same := d.Digest == e.Descriptor.Digest || e.IsImage() && existing.IsImage()
			if same && (!e.IsImage() || manifest.PlatformKey(existing.Platform()) == manifest.PlatformKey(e.Platform())) {
				at, digests = append(at, n), append(digests, d.Digest.String())
			}
		}
		if i := slices.Index(digests, e.Descriptor.Digest.String()); i >= 0 {
			d := children[at[i]]
			e.Descriptor, e.Fields, d.Annotations = d, fields[at[i]], manifest.MergeAnnotations(d.Annotations, e.Descriptor.Annotations)
			if !maps.Equal(d.Annotations, e.Descriptor.Annotations) {
				e.Descriptor = d
				replaced[at[i]] = e
			}
			continue
		}
		if len(at) > 1 {
			return nil, nil, manifest.Errorf(errdefs.ErrFailedPrecondition, "%s has several entries for %s: %s",
				manifest.Familiar(l.Name), manifest.FormatPlatform(e.Platform()), manifest.JoinAnd(digests))
		}
		if len(at) == 1 {
			if _, taken := replaced[at[0]]; !taken { // by another image for the platform, which differs in its compression
				replaced[at[0]] = e
				continue
			}
		}
		added = append(added, e)
	}
	return replaced, added, nil
}
