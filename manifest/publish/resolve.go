package publish

import (
	"cmp"
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

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// How long the daemon may take to answer if it may be the only one to have the image, and if its answer is
// only a word beside the registry's.
const (
	daemonNeeded   = 15 * time.Second
	daemonCompared = time.Second
)

// resolver resolves the sources of a list.
type resolver struct {
	Clients
	list   reference.Named
	choice Choice
	wait   time.Duration // for sources that do not exist yet
	// prefetch reads images that are going to be copied; nil if none are.
	prefetch manifest.Fetcher
	// whole is the only source, if that is an index in a registry.
	whole manifest.Whole
}

// resolution is what one source stands for.
type resolution struct {
	manifest.Diagnostics
	entries []manifest.Entry
	local   *manifest.Local    // the image in the daemon, nil if the entries are from a registry
	offered []ocispec.Platform // the platforms of the source
	index   manifest.Content   // in the registry, empty for an image
}

// locals are images of the daemon by the names they were found under.
type locals map[string]manifest.Local

// resolveAll resolves the sources concurrently and returns their entries, in the order of the sources, and the
// images in the daemon that are among them. It reports everything that docker manifest would not have done. The
// error is that of the first source that cannot be resolved.
func (r *resolver) resolveAll(ctx context.Context, sources []Source) ([]manifest.Entry, locals, error) {
	sources = withoutRepetitions(sources)
	resolved := make([]resolution, len(sources))
	errs := make([]error, len(sources))
	waiting, stop := context.WithCancelCause(ctx) // when another source fails
	defer stop(nil)
	var group sync.WaitGroup
	for i, s := range sources {
		group.Go(func() {
			errs[i] = manifest.Await(waiting, r.wait, r.Reporter, manifest.Familiar(s.Ref), func() (err error) {
				resolved[i], err = r.resolve(ctx, s)
				return err
			})
			if errs[i] != nil {
				stop(errs[i])
			}
		})
	}
	group.Wait()
	var entries, outputs []manifest.Entry
	var offered []ocispec.Platform
	found := locals{}
	for i, s := range resolved {
		if errs[i] != nil {
			return nil, nil, errs[i]
		}
		s.noteArchitecture(sources[i].Ref)
		s.Report(r.Reporter)
		offered = append(offered, s.offered...)
		if sources[i].Output != "" {
			outputs = append(outputs, s.entries...)
			continue
		}
		entries = append(entries, s.entries...)
		if s.local != nil {
			found[sources[i].Ref.String()] = *s.local
		}
	}
	sortOutputs(outputs)
	entries = append(entries, outputs...)
	if len(resolved) == 1 {
		r.whole = manifest.NewWhole(resolved[0].index, entries)
	}
	r.warnRevisions(entries)
	return entries, found, r.choice.check(entries, offered)
}

// warnRevisions warns about images that were built from different revisions.
func (r *resolver) warnRevisions(entries []manifest.Entry) {
	known := slices.DeleteFunc(slices.Clone(entries), func(e manifest.Entry) bool { return e.Revision == "" })
	for _, e := range known {
		if e.Revision != known[0].Revision {
			r.Reporter.Warn("%s was built from revision %s, but %s from %s", known[0].Origin(), known[0].Revision, e.Origin(), e.Revision)
			return
		}
	}
}

// withoutRepetitions returns the sources without repetitions.
func withoutRepetitions(sources []Source) []Source {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(sources), func(s Source) bool {
		repeated := seen[s.Ref.String()]
		seen[s.Ref.String()] = true
		return repeated
	})
}

func (r *resolver) resolve(ctx context.Context, s Source) (resolution, error) {
	switch {
	case s.Output != "":
		out, err := r.fetch(ctx, s.Ref)
		switch {
		case errdefs.IsNotFound(err):
			err = manifest.Errorf(errdefs.ErrNotFound, "%s: the registry does not have %s (%w)", s.Output, manifest.Familiar(s.Ref), err)
			return out, manifest.WithHint(err, "push the result of each build: docker buildx build --push")
		case err != nil:
			return out, fmt.Errorf("%s: %w", s.Output, err)
		}
		for i := range out.entries {
			out.entries[i].Output = s.Output
		}
		return out, nil
	case manifest.IsLayout(s.Ref):
		return r.fetch(ctx, s.Ref)
	case r.choice.From == InDaemon, manifest.IsOfContext(s.Ref):
		local, err := r.find(ctx, s.Ref)
		if errdefs.IsNotFound(err) {
			return resolution{}, r.notInDaemon(ctx, s.Ref, err)
		}
		if err != nil {
			return resolution{}, fmt.Errorf("looking for %s: %w", manifest.Familiar(s.Ref), err)
		}
		return r.fromDaemon(s.Ref, local)
	case r.choice.From == InRegistry:
		return r.fetch(ctx, s.Ref)
	case s.Plain:
		return r.resolvePlain(ctx, s.Ref)
	}
	return r.resolveQualified(ctx, s.Ref)
}

// resolvePlain asks the daemon, then the registry.
func (r *resolver) resolvePlain(ctx context.Context, ref reference.Named) (resolution, error) {
	local, daemonErr := r.find(ctx, ref)
	if daemonErr == nil {
		return r.fromDaemon(ref, local)
	}
	s, err := r.fetch(ctx, ref)
	if err != nil && ctx.Err() == nil {
		return s, nowhere(ref, r.notInDaemon(ctx, ref, daemonErr), err)
	}
	return s, err
}

// resolveQualified asks the registry and, for what it does not have or refuses access to, the daemon. It warns if both differ.
func (r *resolver) resolveQualified(ctx context.Context, ref reference.Named) (resolution, error) {
	daemonCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	find := sync.OnceValues(func() (manifest.Local, error) { return r.find(daemonCtx, ref) })
	go func() { _, _ = find() }()
	c, err := r.source(nil).Fetch(ctx, ref)
	if err != nil {
		return r.fallback(ctx, ref, err, find)
	}
	s, err := r.expand(ctx, ref, c)
	if err != nil {
		return s, err
	}
	time.AfterFunc(daemonCompared-time.Since(start), cancel) // its answer is only a word beside the registry's
	if local, err := find(); err == nil && !isSame(local, c) {
		s.Warn("%s differs between daemon and registry; using the registry's (--from daemon uses the daemon's)", manifest.Familiar(ref))
	}
	return s, nil
}

// fallback returns the daemon's image in place of one that the registry, which answered with err, does not have
// or refuses access to.
func (r *resolver) fallback(ctx context.Context, ref reference.Named, err error, find func() (manifest.Local, error)) (resolution, error) {
	refused := errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err)
	switch {
	case ctx.Err() != nil:
		return resolution{}, err
	case errdefs.IsUnavailable(err):
		return resolution{}, manifest.WithHint(err, "to use the daemon's image without asking the registry: --from daemon")
	case !errdefs.IsNotFound(err) && !refused:
		return resolution{}, err
	}
	local, localErr := find()
	if localErr != nil {
		return resolution{}, notFound(ref, err, r.notInDaemon(ctx, ref, localErr))
	}
	s, localErr := r.fromDaemon(ref, local)
	if refused && localErr == nil {
		s.Warn("the registry refused access to %s (%v); using the daemon's image", manifest.Familiar(ref), err)
	}
	return s, localErr
}

// find asks the daemon for ref.
func (r *resolver) find(ctx context.Context, ref reference.Named) (manifest.Local, error) {
	ctx, cancel := context.WithTimeout(ctx, daemonNeeded)
	defer cancel()
	local, err := r.Clients.find(ctx, ref)
	if errors.Is(err, context.DeadlineExceeded) {
		return local, manifest.Errorf(errdefs.ErrUnavailable, "%s did not answer within %s", daemonOf(ref), daemonNeeded)
	}
	return local, err
}

// isSame reports whether the daemon and the registry have the same image under a name. If the daemon lists the
// manifests of its image, all that are available must be among the registry's.
func isSame(local manifest.Local, remote manifest.Content) bool {
	known := []digest.Digest{remote.Descriptor.Digest}
	if config, _, err := manifest.ParseImage(remote.Raw); err == nil {
		known = append(known, config.Digest)
	}
	children, _, _ := manifest.ParseIndex(remote.Raw)
	for _, d := range children {
		known = append(known, d.Digest)
	}
	var available []digest.Digest
	for _, m := range local.Manifests {
		if m.Available && m.Subject == "" {
			available = append(available, m.Descriptor.Digest)
		}
	}
	if len(available) > 0 {
		return !slices.ContainsFunc(available, func(d digest.Digest) bool { return !slices.Contains(known, d) })
	}
	return slices.Contains(known, local.ID) || slices.ContainsFunc(local.RepoDigests, func(d digest.Digest) bool { return slices.Contains(known, d) })
}

// fetch resolves ref in its registry.
func (r *resolver) fetch(ctx context.Context, ref reference.Named) (resolution, error) {
	c, err := r.source(nil).Fetch(ctx, ref)
	if err != nil {
		return resolution{}, err
	}
	return r.expand(ctx, ref, c)
}

// expand returns the entries of c, which a registry has under ref: one for an image, those of its platforms and
// attestations for an index.
func (r *resolver) expand(ctx context.Context, ref reference.Named, c manifest.Content) (resolution, error) {
	var s resolution
	switch {
	case manifest.IsLayout(ref):
		s.Note("%s is a layout or archive: push will copy it", manifest.Familiar(ref))
	case !manifest.SameRegistry(ref, r.list):
		s.Note("%s is in the registry %s: push will copy it", manifest.Familiar(ref), reference.Domain(ref))
	}
	if !manifest.IsIndex(c.Descriptor.MediaType) {
		e, err := manifest.ReadImage(ctx, r.Registry, ref, c)
		if err != nil {
			return s, err
		}
		s.offer(ref, r.choice.Platforms, manifest.List{Entries: []manifest.Entry{e}})
		if !r.choice.keeps(e.Platform()) {
			s.Warn("%s is for %s, which --platform does not include; skipped", manifest.Familiar(ref), manifest.FormatPlatform(e.Platform()))
			return s, nil
		}
		s.entries = []manifest.Entry{e}
		return s, nil
	}
	s.index = c
	children, err := r.index(ctx, ref, c, &s)
	if err != nil {
		return s, err
	}
	images, attestations := r.pick(ref, children, &s)
	s.offer(ref, r.choice.Platforms, manifest.List{Entries: children})
	if len(images)+len(attestations) == 0 {
		s.Warn("%s has no matching image; skipped", manifest.Familiar(ref))
		return s, nil
	}
	s.Note("%s is an index; using %s", manifest.Familiar(ref), describe(images, attestations))
	single := len(manifest.List{Entries: children}.Images()) == 1
	for _, e := range append(images, attestations...) {
		e.Source = ref
		if single {
			e.Index = c.Descriptor.Digest
		}
		if single && e.IsImage() {
			e.Ref = ref
		}
		s.entries = append(s.entries, e)
	}
	return s, nil
}

// offer keeps the platforms of the images of the source ref, and adds a note on those that --platform would include if it
// ignored variants.
func (s *resolution) offer(ref reference.Named, wanted []manifest.Platform, images manifest.List) {
	s.offered = images.Platforms()
	if others := manifest.OtherVariants(wanted, s.offered); others != "" {
		s.Note("%s: --platform %s", manifest.Familiar(ref), others)
	}
}

// pick returns the children of the index ref that are wanted: the images and artifacts, then the attestations. A skipped
// child whose platform is unknown is reported.
func (r *resolver) pick(ref reference.Named, children []manifest.Entry, report manifest.Reporter) (images, attestations []manifest.Entry) {
	listed := manifest.List{Entries: children}.Digests()
	kept := map[digest.Digest]bool{}
	all := len(r.choice.Platforms) == 0
	for _, e := range children {
		switch {
		case manifest.IsAttestation(e.Descriptor):
		case r.choice.keeps(e.Platform()):
			images = append(images, e)
			kept[e.Descriptor.Digest] = true
		case !manifest.HasPlatform(e.Descriptor):
			report.Note("%s contains %s, which has no platform that --platform could include; skipped", manifest.Familiar(ref), e.Descriptor.Digest)
		}
	}
	for _, e := range children {
		subject := e.Subject()
		switch {
		case !manifest.IsAttestation(e.Descriptor) || r.choice.Strip:
		case kept[subject] || all:
			attestations = append(attestations, e)
		case !listed[subject]:
			report.Note("%s contains %s, an attestation of an image that it does not list; skipped", manifest.Familiar(ref), e.Descriptor.Digest)
		}
	}
	return images, attestations
}

// describe names the platforms of images, and counts the artifacts without one and the attestations.
func describe(images, attestations []manifest.Entry) string {
	var names []string
	artifacts := 0
	for _, e := range images {
		if e.LacksPlatform() {
			artifacts++
			continue
		}
		names = append(names, manifest.FormatPlatform(e.Platform()))
	}
	names = appendCount(names, artifacts, "artifact")
	return manifest.JoinAnd(appendCount(names, len(attestations), "attestation"))
}

// appendCount adds "1 NOUN" or "N NOUNs" to words, nothing for 0.
func appendCount(words []string, n int, noun string) []string {
	switch n {
	case 0:
		return words
	case 1:
		return append(words, "1 "+noun)
	}
	return append(words, fmt.Sprintf("%d %ss", n, noun))
}

// index returns the images and attestations of the index c, which ref names, and of nested indexes, in their
// order, each by its digest in the repository of ref. Unwanted ones have only a descriptor. What is skipped is reported.
func (r *resolver) index(ctx context.Context, ref reference.Named, c manifest.Content, report manifest.Reporter) ([]manifest.Entry, error) {
	g := manifest.NewGraph(r.Registry)
	g.Descend, g.Lenient = r.descend, true
	g.Add(ctx, ref, c)
	if _, err := g.Node(c.Descriptor.Digest); err != nil {
		return nil, fmt.Errorf("reading index %s: %w", manifest.Familiar(ref), err)
	}
	var entries []manifest.Entry
	fields := map[digest.Digest][]manifest.Fields{} // of the children of each index that are still to come
	for index, d := range g.Entries(c.Descriptor.Digest) {
		by, of := ref, index.Descriptor.Digest
		if of != c.Descriptor.Digest {
			by = manifest.AtDigest(ref, of)
		}
		if _, ok := fields[of]; !ok {
			var err error
			if fields[of], err = manifest.ChildFields(index.Raw); err != nil {
				return nil, fmt.Errorf("reading index %s: %w", manifest.Familiar(by), err)
			}
		}
		other := fields[of][0]
		fields[of] = fields[of][1:]
		switch n, err := g.Node(d.Digest); {
		case !manifest.IsIndex(d.MediaType) && !manifest.IsImage(d.MediaType):
			report.Warn("%s contains a %q, which is not an image; skipped", manifest.Familiar(by), d.MediaType)
		case r.unwanted(d):
			entries = append(entries, manifest.Entry{Descriptor: d})
		case err != nil && len(n.Raw) > 0 && !manifest.IsIndex(d.MediaType):
			report.Warn("%s contains an invalid image (%v); skipped", manifest.Familiar(by), err)
		case err != nil:
			return nil, fmt.Errorf("reading a child of the index %s: %w", manifest.Familiar(by), err)
		case d.Size != n.Descriptor.Size:
			return nil, manifest.Errorf(errdefs.ErrDataLoss, "index %s gives %s a size of %d bytes, but it has %d", manifest.Familiar(by), d.Digest, d.Size, n.Descriptor.Size)
		case !manifest.IsIndex(n.Descriptor.MediaType):
			if len(d.Data) > 0 && (d.Digest.Algorithm().FromBytes(d.Data) != d.Digest || int64(len(d.Data)) != d.Size) {
				report.Warn("index %s embeds data for %s that is not its content; skipped the data", manifest.Familiar(by), d.Digest)
				d.Data = nil
			}
			d.MediaType = n.Descriptor.MediaType
			at := manifest.AtDigest(ref, d.Digest)
			entries = append(entries, manifest.Entry{Ref: at, Source: at, Descriptor: d, Fields: other, Raw: n.Raw})
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, e := range entries {
		if e.Ref != nil {
			group.Go(func() error {
				read, err := manifest.ReadImage(ctx, r.Registry, e.Ref, e.Content())
				if err == nil {
					entries[i].Descriptor.Platform, entries[i].Revision = read.Descriptor.Platform, read.Revision
					err = r.readVersion(ctx, &entries[i])
				}
				return err
			})
		}
	}
	return entries, group.Wait()
}

// readVersion sets the version of Windows that an index does not state from the config of an image, if that has one.
func (r *resolver) readVersion(ctx context.Context, e *manifest.Entry) error {
	stated := e.Descriptor.Platform
	config, _, err := manifest.ParseImage(e.Raw)
	if err != nil || !manifest.LacksVersion(stated) || e.ArtifactType() != "" {
		return err
	}
	p, _, err := manifest.ReadPlatform(ctx, r.Registry, e.Ref, config)
	if errdefs.IsNotFound(err) || errdefs.IsInvalidArgument(err) {
		return nil
	}
	full := *stated
	full.OSVersion = p.OSVersion
	e.Descriptor.Platform = &full
	return err
}

// unwanted reports whether a child of an index need not be fetched.
func (r *resolver) unwanted(d ocispec.Descriptor) bool {
	if manifest.IsAttestation(d) {
		return r.choice.Strip
	}
	p := manifest.StatedPlatform(d)
	return !manifest.IsIndex(d.MediaType) && p != nil && !r.choice.keeps(*p) && !manifest.NeedsVersion(r.choice.Platforms, *p)
}

// descend returns what a child of an index is fetched from, nil for one that is not wanted.
func (r *resolver) descend(d ocispec.Descriptor) manifest.Fetcher {
	if !manifest.IsIndex(d.MediaType) && !manifest.IsImage(d.MediaType) || r.unwanted(d) {
		return nil
	}
	return r.source(d.Platform)
}

// source returns the reader for an image of a stated platform. It prefetches unless the platform may still exclude it.
func (r *resolver) source(stated *ocispec.Platform) manifest.Fetcher {
	if r.prefetch == nil || len(r.choice.Platforms) > 0 && (stated == nil || manifest.LacksVersion(stated)) {
		return r.Registry
	}
	return r.prefetch
}

// fromDaemon returns the pending entries of an image in the daemon.
func (r *resolver) fromDaemon(ref reference.Named, local manifest.Local) (resolution, error) {
	s := resolution{local: &local}
	_, name := manifest.OfContext(ref)
	if _, ok := ref.(reference.Tagged); !ok {
		err := manifest.Errorf(errdefs.ErrInvalidArgument, "%s is only in %s, which can push it only under a tag", manifest.Familiar(ref), daemonOf(ref))
		return s, manifest.WithHint(err, "tag the image and use that name: %s tag %s %s", dockerFor(ref), manifest.Familiar(name), manifest.Familiar(manifest.AtTag(name, "TAG")))
	}
	pending := func(at reference.Named, p ocispec.Platform, m digest.Digest) manifest.Entry {
		attested := m != "" && slices.ContainsFunc(local.Manifests, func(other manifest.LocalManifest) bool { return other.Subject == m })
		return manifest.Entry{
			Ref: at, Source: ref,
			Descriptor: ocispec.Descriptor{Platform: &p},
			Pending: &manifest.Pending{ID: local.ID, Manifest: m, Platform: p, NoVariant: local.NoVariant, Strip: r.choice.Strip,
				Attested: attested && !r.choice.Strip && isComplete(local)},
		}
	}
	if every, ok := r.choice.needsVariant(local); ok {
		err := manifest.Errorf(errdefs.ErrFailedPrecondition, "%s does not report the variant of %s, which --platform requires", daemonOf(ref), manifest.Familiar(ref))
		return s, manifest.WithHint(err, "for all variants: --platform %s", every)
	}
	images, missing := r.present(local)
	switch {
	case len(local.Manifests) == 0 && r.choice.keeps(local.Platform):
		s.entries = []manifest.Entry{pending(ref, local.Platform, "")}
	case len(local.Manifests) == 0 || len(images)+len(missing) == 0:
		s.offer(ref, r.choice.Platforms, listOf(local))
		s.Warn("%s has no image for the platforms of --platform; skipped", manifest.Familiar(ref))
		return s, nil
	case len(images) == 0:
		err := manifest.Errorf(errdefs.ErrFailedPrecondition, "%s lacks the content of %s for %s", daemonOf(ref), manifest.Familiar(ref), manifest.JoinAnd(missing))
		return s, manifest.WithHint(err, "pull it: %s pull --platform %s %s", dockerFor(ref), missing[0], manifest.Familiar(name))
	case len(images) == 1:
		s.entries = []manifest.Entry{pending(ref, *images[0].Platform, images[0].Digest)}
	default:
		for _, d := range images {
			s.entries = append(s.entries, pending(manifest.AtDigest(ref, d.Digest), *d.Platform, d.Digest))
		}
	}
	s.Note("%s is in %s: push will send %s", manifest.Familiar(ref), daemonOf(ref), describe(s.entries, nil))
	s.offer(ref, r.choice.Platforms, listOf(local))
	if len(missing) > 0 {
		s.Warn("%s lacks the content of %s for %s; skipped", daemonOf(ref), manifest.Familiar(ref), manifest.JoinAnd(missing))
	}
	return s, nil
}

// listOf returns the image as a list of its platforms.
func listOf(l manifest.Local) manifest.List {
	out := manifest.List{}
	for _, m := range l.Manifests {
		if m.Subject == "" {
			out.Entries = append(out.Entries, manifest.Entry{Descriptor: m.Descriptor})
		}
	}
	if len(l.Manifests) == 0 {
		out.Entries = []manifest.Entry{{Descriptor: ocispec.Descriptor{Platform: &l.Platform}}}
	}
	return out
}

// present returns the wanted image manifests of local whose content is available, and the platforms of the others.
func (r *resolver) present(local manifest.Local) (images []ocispec.Descriptor, missing []string) {
	for _, m := range local.Manifests {
		p := m.Descriptor.Platform
		if m.Subject != "" || p == nil || !r.choice.keeps(*p) {
			continue
		}
		if m.Available {
			images = append(images, m.Descriptor)
		} else {
			missing = append(missing, manifest.FormatPlatform(*p))
		}
	}
	return images, missing
}

// noteArchitecture adds a note if the tag of a source names an architecture that none of its entries has.
func (s *resolution) noteArchitecture(source reference.Named) {
	tagged, ok := source.(reference.NamedTagged)
	if !ok {
		return
	}
	arch := manifest.NamedArchitecture(tagged)
	images := manifest.List{Entries: s.entries}.Images()
	if arch == "" || len(images) == 0 || slices.ContainsFunc(images, func(e manifest.Entry) bool { return e.MayBeFor(manifest.OfArchitecture(e.Platform().OS, arch)) }) {
		return
	}
	p := images[0].Platform()
	s.Note("%s names %s, but the image is for %s; to build one for that: docker build --platform %s/%s --tag %[1]s .",
		manifest.Familiar(source), arch, manifest.FormatPlatform(p), cmp.Or(p.OS, "linux"), arch)
}
