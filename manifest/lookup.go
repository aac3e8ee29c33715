package manifest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// How long the daemon may take to answer where it alone may have the image, and where its answer would
// only be compared with the registry's.
const (
	daemonNeeded   = 15 * time.Second
	daemonCompared = time.Second
)

// lookAll returns the entries that the sources stand for, in the order of the sources, which are looked up
// side by side. What docker manifest would have taken is taken silently; notes hear of anything else. The
// error is that of the first source that could not be had.
func (l *looker) lookAll(ctx context.Context, sources []Source) ([]Entry, error) {
	sources = once(sources)
	found := make([]lookup, len(sources))
	errs := make([]error, len(sources))
	var group sync.WaitGroup
	for i, s := range sources {
		group.Go(func() { found[i], errs[i] = l.look(ctx, s) })
	}
	group.Wait()
	var entries []Entry
	for i, f := range found {
		if errs[i] != nil {
			return nil, errs[i]
		}
		f.Report(l.Notes)
		entries = append(entries, f.entries...)
	}
	return entries, nil
}

// once returns the sources less those that were named before.
func once(sources []Source) []Source {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(sources), func(s Source) bool {
		twice := seen[s.Ref.String()]
		seen[s.Ref.String()] = true
		return twice
	})
}

// looker looks sources up for a list.
type looker struct {
	Access
	list   reference.Named
	choice Choice
	// prefetch reads images that are going to be copied; nil when none are.
	prefetch Fetcher
}

// lookup is what one source stands for.
type lookup struct {
	Diagnostics
	entries []Entry
}

func (l *looker) look(ctx context.Context, s Source) (lookup, error) {
	switch {
	case l.choice.From == InDaemon:
		local, err := l.find(ctx, s.Ref, daemonNeeded)
		if errdefs.IsNotFound(err) {
			return lookup{}, err
		}
		if err != nil {
			return lookup{}, fmt.Errorf("looking for %s: %w", Familiar(s.Ref), err)
		}
		return l.local(s.Ref, local)
	case l.choice.From == InRegistry:
		return l.fetch(ctx, s.Ref)
	case s.Plain:
		return l.lookPlain(ctx, s.Ref)
	}
	return l.lookBoth(ctx, s.Ref)
}

// lookPlain asks the daemon, then the registry.
func (l *looker) lookPlain(ctx context.Context, ref reference.Named) (lookup, error) {
	local, daemonErr := l.find(ctx, ref, daemonNeeded)
	if daemonErr == nil {
		return l.local(ref, local)
	}
	u, err := l.fetch(ctx, ref)
	if err != nil && ctx.Err() == nil {
		return u, absent(ref, err, daemonErr)
	}
	return u, err
}

// answer is the daemon's.
type answer struct {
	local Local
	err   error
}

// lookBoth asks the registry and, for what it does not have or refuses to show, the daemon; when both have
// the name and differ, it warns.
func (l *looker) lookBoth(ctx context.Context, ref reference.Named) (lookup, error) {
	asked := make(chan answer, 1)
	ask, giveUp := context.WithCancel(ctx)
	defer giveUp()
	go func() {
		local, err := l.find(ask, ref, daemonNeeded)
		asked <- answer{local, err}
	}()
	compared := time.NewTimer(daemonCompared)
	defer compared.Stop()
	c, err := l.source(nil).Fetch(ctx, ref)
	if err != nil {
		return l.instead(ctx, ref, err, asked)
	}
	u, err := l.expand(ctx, ref, c)
	if err != nil {
		return u, err
	}
	if a := await(asked, compared.C); a.err == nil && !isSame(a.local, c) {
		u.Warn("%s in the daemon is another image than in the registry, whose image is used; --from daemon uses the daemon's", Familiar(ref))
	}
	return u, nil
}

// await returns the answer that is there, or that comes before the time is over.
func await(asked <-chan answer, over <-chan time.Time) answer {
	select {
	case a := <-asked:
		return a
	default:
	}
	select {
	case a := <-asked:
		return a
	case <-over:
		return answer{err: errdefs.ErrUnavailable}
	}
}

// instead returns what the daemon has in place of what the registry, which answered with err, does not
// have or refuses to show.
func (l *looker) instead(ctx context.Context, ref reference.Named, err error, asked <-chan answer) (lookup, error) {
	refused := errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err)
	switch {
	case ctx.Err() != nil:
		return lookup{}, err
	case errdefs.IsUnavailable(err):
		return lookup{}, fmt.Errorf("%w (to take the daemon's image without asking the registry: --from daemon)", err)
	case !errdefs.IsNotFound(err) && !refused:
		return lookup{}, err
	}
	a := <-asked
	if a.err != nil {
		return lookup{}, absent(ref, err, a.err)
	}
	u, localErr := l.local(ref, a.local)
	if refused && localErr == nil {
		u.Warn("the registry refused to show %s (%v)", Familiar(ref), err)
	}
	return u, localErr
}

// absent is the error for a source that neither place has; it keeps the registry's kind.
func absent(ref reference.Named, registry, daemon error) error {
	if errdefs.IsNotFound(registry) {
		return Errorf(errdefs.ErrNotFound, "no such manifest: %s: it is neither in the registry %s nor in the daemon (%w)",
			ref, reference.Domain(ref), daemon)
	}
	return fmt.Errorf("%w (nor is %s taken from the daemon: %s)", registry, Familiar(ref), daemon.Error())
}

// find asks the daemon for ref, for at most this long.
func (l *looker) find(ctx context.Context, ref reference.Named, patience time.Duration) (Local, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	local, err := l.Images.Find(ctx, ref)
	if errors.Is(err, context.DeadlineExceeded) {
		return local, Errorf(errdefs.ErrUnavailable, "the daemon did not answer within %s", patience)
	}
	return local, err
}

// isSame reports whether a local image is what the registry has under the same name. Where the daemon tells an image's manifests, all that it has must be among the
// registry's.
func isSame(local Local, remote Content) bool {
	there := []digest.Digest{remote.Descriptor.Digest}
	if config, _, err := ParseImage(remote.Raw); err == nil {
		there = append(there, config.Digest)
	}
	children, _, _ := ParseIndex(remote.Raw)
	for _, d := range children {
		there = append(there, d.Digest)
	}
	var here []digest.Digest
	for _, m := range local.Manifests {
		if m.Available && m.Subject == "" {
			here = append(here, m.Descriptor.Digest)
		}
	}
	absent := func(d digest.Digest) bool { return !slices.Contains(there, d) }
	if len(here) > 0 {
		return !slices.ContainsFunc(here, absent)
	}
	return slices.Contains(there, local.ID) || slices.ContainsFunc(local.RepoDigests, func(d digest.Digest) bool { return !absent(d) })
}

// fetch returns what ref stands for in its registry.
func (l *looker) fetch(ctx context.Context, ref reference.Named) (lookup, error) {
	c, err := l.source(nil).Fetch(ctx, ref)
	if err != nil {
		return lookup{}, err
	}
	return l.expand(ctx, ref, c)
}

// expand returns the entries of what the registry has under ref: one for an image, those of its
// platforms and attestations for an index.
func (l *looker) expand(ctx context.Context, ref reference.Named, c Content) (lookup, error) {
	var u lookup
	if !SameRegistry(ref, l.list) {
		u.Note("%s is in the registry %s: push will copy it", Familiar(ref), reference.Domain(ref))
	}
	if !IsIndex(c.Descriptor.MediaType) {
		e, err := ReadImage(ctx, l.Registry, ref, c)
		if err != nil {
			return u, err
		}
		if !l.choice.keeps(e.Platform()) {
			u.Warn("%s is for %s, which --platform does not name: left out", Familiar(ref), FormatPlatform(e.Platform()))
			return u, nil
		}
		u.entries = []Entry{e}
		return u, nil
	}
	children, said, err := l.index(ctx, ref, c)
	if err != nil {
		return u, err
	}
	u.Diagnostics = append(u.Diagnostics, said...)
	images, attestations, alone := l.pick(children)
	if len(images) == 0 {
		u.Warn("%s has no image that is asked for: left out", Familiar(ref))
		return u, nil
	}
	u.Note("%s is an index: taking %s", Familiar(ref), describe(images, attestations))
	for _, e := range append(images, attestations...) {
		e.Source = ref
		if alone {
			e.Index = c.Descriptor.Digest
		}
		if alone && e.Subject() == "" {
			e.Ref = ref
		}
		u.entries = append(u.entries, e)
	}
	return u, nil
}

// pick returns the images among an index's children that are asked for, their attestations, and whether
// the index has one image alone.
func (l *looker) pick(children []Entry) (images, attestations []Entry, alone bool) {
	kept := map[digest.Digest]bool{}
	all := 0
	for _, e := range children {
		if e.Subject() != "" {
			continue
		}
		all++
		if l.choice.keeps(e.Platform()) {
			images = append(images, e)
			kept[e.Descriptor.Digest] = true
		}
	}
	for _, e := range children {
		if s := e.Subject(); s != "" && kept[s] && !l.choice.Strip {
			attestations = append(attestations, e)
		}
	}
	return images, attestations, all == 1
}

// describe names the platforms of images and counts the attestations.
func describe(images, attestations []Entry) string {
	var names []string
	for _, e := range images {
		names = append(names, FormatPlatform(e.Platform()))
	}
	switch len(attestations) {
	case 0:
	case 1:
		names = append(names, "1 attestation")
	default:
		names = append(names, fmt.Sprintf("%d attestations", len(attestations)))
	}
	return joinAnd(names)
}

// readImage returns the entry of an image manifest, its platform read from the config when desc has none.
func ReadImage(ctx context.Context, registry Fetcher, ref reference.Named, c Content) (Entry, error) {
	desc := c.Descriptor
	if !IsImage(desc.MediaType) {
		return Entry{}, Errorf(errdefs.ErrInvalidArgument, "%s is no image manifest but %q", Familiar(ref), desc.MediaType)
	}
	config, _, err := ParseImage(c.Raw)
	if err != nil {
		return Entry{}, fmt.Errorf("reading manifest %s: %w", Familiar(ref), err)
	}
	if StatedPlatform(desc) == nil {
		platform, err := readPlatform(ctx, registry, ref, config)
		if err != nil {
			return Entry{}, fmt.Errorf("reading the config of %s: %w", Familiar(ref), err)
		}
		desc.Platform = &platform
	}
	return Entry{Ref: ref, Source: ref, Descriptor: desc, Raw: c.Raw}, nil
}

// readPlatform returns the platform that an image config states; none for the config of another artifact.
func readPlatform(ctx context.Context, registry Fetcher, ref reference.Named, config ocispec.Descriptor) (ocispec.Platform, error) {
	if !IsImageConfig(config.MediaType) {
		return ocispec.Platform{}, nil
	}
	raw, err := registry.Blob(ctx, ref, config)
	if err != nil {
		return ocispec.Platform{}, err
	}
	return ParseConfig(raw)
}

// index returns the images and attestations of the index c, which ref names, and of nested indexes, in their
// order. Each is known by its digest in the repository of ref; those that are not wanted have no more than a descriptor.
func (l *looker) index(ctx context.Context, ref reference.Named, c Content) ([]Entry, Diagnostics, error) {
	g := NewGraph(l.Registry)
	g.Descend = l.descend
	g.Add(ctx, ref, c)
	if _, err := g.Node(c.Descriptor.Digest); err != nil {
		return nil, nil, fmt.Errorf("reading index %s: %w", Familiar(ref), err)
	}
	var entries []Entry
	var said Diagnostics
	for index, d := range g.Entries(c.Descriptor.Digest) {
		by := ref
		if index.Descriptor.Digest != c.Descriptor.Digest {
			by = AtDigest(ref, index.Descriptor.Digest)
		}
		switch n, err := g.Node(d.Digest); {
		case !IsIndex(d.MediaType) && !IsImage(d.MediaType):
			said.Warn("%s holds a %q, which is no image: left out", Familiar(by), d.MediaType)
		case l.unwanted(d):
			entries = append(entries, Entry{Descriptor: d})
		case err != nil:
			return nil, nil, fmt.Errorf("reading a child of the index %s: %w", Familiar(by), err)
		case d.Size != n.Descriptor.Size:
			return nil, nil, Errorf(errdefs.ErrDataLoss, "the index %s says that %s has %d bytes, but it has %d", Familiar(by), d.Digest, d.Size, n.Descriptor.Size)
		case !IsIndex(n.Descriptor.MediaType):
			n.Descriptor.Platform, n.Descriptor.Annotations, n.Descriptor.ArtifactType = d.Platform, d.Annotations, d.ArtifactType
			entries = append(entries, Entry{Ref: AtDigest(ref, d.Digest), Descriptor: n.Descriptor, Raw: n.Raw})
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, e := range entries {
		if e.Ref != nil {
			group.Go(func() (err error) {
				entries[i], err = ReadImage(ctx, l.Registry, e.Ref, e.Content())
				return err
			})
		}
	}
	return entries, said, group.Wait()
}

// unwanted reports whether a child of an index need not even be read.
func (l *looker) unwanted(d ocispec.Descriptor) bool {
	if AttestationSubject(d) != "" {
		return l.choice.Strip
	}
	p := StatedPlatform(d)
	return !IsIndex(d.MediaType) && p != nil && !l.choice.keeps(*p)
}

// descend returns what a child of an index is read from, nil for one that is not wanted.
func (l *looker) descend(d ocispec.Descriptor) Fetcher {
	if !IsIndex(d.MediaType) && !IsImage(d.MediaType) || l.unwanted(d) {
		return nil
	}
	return l.source(d.Platform)
}

// source returns the reader for an image of the platform that its index states, nil for none. It prefetches
// unless the platform may still exclude the image.
func (l *looker) source(stated *ocispec.Platform) Fetcher {
	if l.prefetch == nil || len(l.choice.Platforms) > 0 && stated == nil {
		return l.Registry
	}
	return l.prefetch
}

// local returns the pending entries of an image in the daemon.
func (l *looker) local(ref reference.Named, local Local) (lookup, error) {
	var u lookup
	if _, ok := ref.(reference.Tagged); !ok {
		return u, Errorf(errdefs.ErrInvalidArgument, "%s is in the daemon alone, which pushes by tag only: "+
			"give the image a tag with 'docker tag' and name that", Familiar(ref))
	}
	pending := func(at reference.Named, p ocispec.Platform, m digest.Digest) Entry {
		return Entry{
			Ref: at, Source: ref,
			Descriptor: ocispec.Descriptor{Platform: &p},
			Pending: &Pending{ID: local.ID, Manifest: m, Platform: p, Strip: l.choice.Strip,
				Attested: !l.choice.Strip && complete(local) && isAttested(local, m)},
		}
	}
	images, missing := l.present(local)
	switch {
	case len(local.Manifests) == 0 && l.choice.keeps(local.Platform):
		u.entries = []Entry{pending(ref, local.Platform, "")}
	case len(local.Manifests) == 0 || len(images)+len(missing) == 0:
		u.Warn("%s has no image that --platform names: left out", Familiar(ref))
		return u, nil
	case len(images) == 0:
		return u, Errorf(errdefs.ErrFailedPrecondition, "the daemon has %s by name, but not the content of %s: pull it with 'docker pull --platform'",
			Familiar(ref), joinAnd(missing))
	case len(images) == 1:
		u.entries = []Entry{pending(ref, *images[0].Platform, images[0].Digest)}
	default:
		for _, d := range images {
			u.entries = append(u.entries, pending(AtDigest(ref, d.Digest), *d.Platform, d.Digest))
		}
	}
	u.Note("%s is in the daemon: push will send %s", Familiar(ref), describe(u.entries, nil))
	if len(missing) > 0 {
		u.Warn("the daemon does not have the content of %s for %s: left out", Familiar(ref), joinAnd(missing))
	}
	return u, nil
}

// isAttested reports whether a local image has attestations of the manifest with digest m.
func isAttested(local Local, m digest.Digest) bool {
	return m != "" && slices.ContainsFunc(local.Manifests, func(other LocalManifest) bool { return other.Subject == m })
}

// present returns the image manifests of local that are asked for and whose content is there, and the
// platforms of those whose content is not.
func (l *looker) present(local Local) (images []ocispec.Descriptor, missing []string) {
	for _, m := range local.Manifests {
		p := m.Descriptor.Platform
		if m.Subject != "" || p == nil || !l.choice.keeps(*p) {
			continue
		}
		if m.Available {
			images = append(images, m.Descriptor)
		} else {
			missing = append(missing, FormatPlatform(*p))
		}
	}
	return images, missing
}
