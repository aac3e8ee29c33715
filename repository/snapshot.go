package repository

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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

// Snapshot is what a repository has, as far as it was read. Listings and removals are views of it.
type Snapshot struct {
	// Tags has the digest that each tag points to.
	Tags map[string]digest.Digest
	// Manifests has those that the registry lists, that were reached from tags, and their referrers.
	Manifests map[digest.Digest]Manifest
	// Complete says that the registry lists its manifests: there are no others.
	Complete bool

	registry manifest.Reader
	repo     reference.Named
	graph    *manifest.Graph
	// resolveTags says that tags are only resolved, except those that are known: the graph has an earlier snapshot.
	// mayBeEmpty says that a repository without tags is no error.
	resolveTags, mayBeEmpty bool
	known                   map[string]digest.Digest
	// inventory is the registry's own listing of manifests, noInventory why there is none.
	inventory   map[digest.Digest]manifest.Listed
	noInventory error
	// named are manifests that the registry lists under names that are not valid tags, and unresolved such names whose
	// manifest is not known.
	named      map[digest.Digest]bool
	unresolved []string
	// unread are the tags that could not be read.
	unread map[string]error
	// created is when images say they were created, where that was read.
	created map[digest.Digest]time.Time
	// roots are the manifests from which others were reached; order has all, none before an index that lists it.
	roots, order []digest.Digest
}

// Manifest is a manifest of a [Snapshot], and how it is related to others. What is not known is the zero value.
type Manifest struct {
	MediaType string
	// Kind is manifest.KindIndex, KindImage, KindAttestation or KindArtifact.
	Kind string
	// Platform is that of an image, as an index lists it, nil if none does.
	Platform *ocispec.Platform
	// Children are what an index lists, and may be absent; Parents are the indexes that list it.
	Children, Parents []digest.Digest
	// RefersTo are its OCI subject and the images that an index says it attests.
	RefersTo []digest.Digest
	// Subject is the one that listings show it under: of RefersTo, or the one that a tag is named after.
	Subject digest.Digest
	// Created is when the registry received it or, if the registry does not report that, when the image says it was
	// created; Updated is when the registry last changed it.
	Created, Updated time.Time
	// Locked says that the registry would refuse to delete it.
	Locked bool
	// Err is why it could not be read.
	Err error
}

// Time is the later of Created and Updated.
func (m Manifest) Time() time.Time {
	return manifest.Listed{Created: m.Created, Updated: m.Updated}.Time()
}

func newSnapshot(r manifest.Reader, repo reference.Named) *Snapshot {
	graph := manifest.NewGraph(r)
	graph.Lean = true
	return &Snapshot{
		Tags: map[string]digest.Digest{}, registry: r, repo: reference.TrimNamed(repo), graph: graph,
		inventory: map[digest.Digest]manifest.Listed{}, named: map[digest.Digest]bool{}, unread: map[string]error{}, created: map[digest.Digest]time.Time{},
	}
}

// next returns an empty snapshot of the same repository. Manifests that s has are not read again.
func (s *Snapshot) next() *Snapshot {
	n := newSnapshot(s.registry, s.repo)
	n.graph, n.resolveTags, n.mayBeEmpty = s.graph, true, true
	return n
}

// name is a tag of the repository as a person types it.
func (s *Snapshot) name(tag string) string { return reference.FamiliarName(s.repo) + ":" + tag }

// list asks the registry for its inventory or, if it has none, for the tags, and returns the tags.
func (s *Snapshot) list(ctx context.Context) ([]string, error) {
	listed, err := s.registry.Inventory(ctx, s.repo)
	if errdefs.IsNotImplemented(err) {
		s.noInventory = err
		return s.listTags(ctx)
	}
	s.Complete = err == nil
	for _, l := range listed {
		s.inventory[l.Digest] = l
		if len(l.Others) > 0 {
			s.named[l.Digest] = true
		}
		for _, tag := range l.Tags {
			s.Tags[tag] = l.Digest
		}
	}
	return slices.Collect(maps.Keys(s.Tags)), err
}

func (s *Snapshot) listTags(ctx context.Context) ([]string, error) {
	tags, others, err := tagNames(ctx, s.registry, s.repo)
	for _, name := range others {
		if d, err := digest.Parse(name); err == nil {
			s.named[d] = true
		} else {
			s.unresolved = append(s.unresolved, name)
		}
	}
	if s.mayBeEmpty && errdefs.IsNotFound(err) { // registries drop a repository with its last manifest
		s.Complete = true
		return nil, nil
	}
	return tags, err
}

// read reads the manifests that the registry lists, or those that the matching tags point to with the digest tags of
// these, and all below. What cannot be read is in the snapshot; the error is that of a listing or of ctx.
func (s *Snapshot) read(ctx context.Context, filter manifest.Pattern) error {
	tags, err := s.list(ctx)
	if err != nil {
		return err
	}
	if s.Complete {
		s.readManifests(ctx, slices.Sorted(maps.Keys(s.inventory)))
		return ctx.Err()
	}
	tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	s.readTags(ctx, slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return !filter.Match(tag) }))
	s.readManifests(ctx, slices.Sorted(maps.Keys(s.named)))
	s.readDigestTags(ctx, slices.DeleteFunc(tags, filter.Match))
	return ctx.Err()
}

func (s *Snapshot) readTags(ctx context.Context, tags []string) {
	var roots []manifest.Root
	if s.resolveTags {
		roots = s.resolve(ctx, tags)
	} else {
		roots, _ = s.graph.Read(ctx, references(s.repo, tags, manifest.AtTag)...) // callers look at ctx
	}
	var digests []digest.Digest
	for i, root := range roots {
		if root.Err != nil {
			s.unread[tags[i]] = root.Err
			continue
		}
		s.Tags[tags[i]] = root.Digest
		digests = append(digests, root.Digest)
	}
	s.readManifests(ctx, digests)
}

// resolve returns what tags point to, without reading it.
func (s *Snapshot) resolve(ctx context.Context, tags []string) []manifest.Root {
	roots := make([]manifest.Root, len(tags))
	manifest.Concurrently(len(tags), func(i int) {
		ref := manifest.AtTag(s.repo, tags[i])
		d, known := s.known[tags[i]]
		var err error
		if !known {
			d, err = s.registry.Digest(ctx, ref)
		}
		roots[i] = manifest.Root{Ref: ref, Digest: d, Err: err}
	})
	return roots
}

// readManifests reads manifests, unless the graph has them, and all below.
func (s *Snapshot) readManifests(ctx context.Context, digests []digest.Digest) {
	_, _ = s.graph.Read(ctx, references(s.repo, digests, manifest.AtDigest)...)
	s.roots = append(s.roots, digests...)
}

// readDigestTags reads those of tags that are the digest tags of a manifest that was read.
func (s *Snapshot) readDigestTags(ctx context.Context, tags []string) {
	subjects := subjectsByTag(s.graph.Below(s.roots...))
	s.readTags(ctx, slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		form, ok := manifest.CutDigestTag(tag)
		return !ok || subjects[form] == ""
	}))
}

// maxReferrersLists is how many lists of referrers are read, and so in memory, at a time.
const maxReferrersLists = 64

// readReferrers reads the referrers of manifests, if the registry has the referrers API, and returns their digests and the
// errors. Those of one manifest, which exists if any does, are requested first: if that fails, the others would fail as well.
func (s *Snapshot) readReferrers(ctx context.Context, of []digest.Digest) ([]digest.Digest, []error) {
	of = slices.Compact(slices.Sorted(slices.Values(of)))
	if i := slices.IndexFunc(of, func(d digest.Digest) bool { _, err := s.graph.Node(d); return err == nil }); i > 0 {
		of[0], of[i] = of[i], of[0]
	}
	found, errs := make([][]digest.Digest, len(of)), make([]error, len(of))
	var group errgroup.Group
	group.SetLimit(maxReferrersLists)
	for i, d := range of {
		if i > 0 && errs[0] != nil {
			break
		}
		group.Go(func() error {
			referrers, err := s.registry.Referrers(ctx, manifest.AtDigest(s.repo, d))
			for _, r := range referrers {
				found[i] = append(found[i], r.Digest)
			}
			errs[i] = err
			return nil
		})
		if i == 0 {
			_ = group.Wait()
		}
	}
	_ = group.Wait()
	all := slices.Concat(found...)
	s.readManifests(ctx, all)
	return all, slices.DeleteFunc(errs, func(err error) bool { return err == nil || errdefs.IsNotImplemented(err) })
}

// readSubjects relates the manifests, and reads those that they refer to, directly or not.
func (s *Snapshot) readSubjects(ctx context.Context) {
	for {
		s.relate()
		var subjects []digest.Digest
		for _, d := range s.order {
			for _, subject := range s.Manifests[d].RefersTo {
				if _, known := s.Manifests[subject]; !known {
					subjects = append(subjects, subject)
				}
			}
		}
		if len(subjects) == 0 || ctx.Err() != nil {
			return
		}
		s.readManifests(ctx, subjects) // those that do not exist are part of the snapshot then, too
	}
}

// readCreated reads when the images say they were created that tags point to, if the registry does not report its own
// times.
func (s *Snapshot) readCreated(ctx context.Context, tags []string) error {
	digests := map[digest.Digest]bool{}
	for _, tag := range tags {
		if d := s.Tags[tag]; s.Manifests[d].Time().IsZero() {
			digests[d] = true
		}
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(manifest.Workers)
	for d := range digests {
		group.Go(func() error {
			created, err := s.graph.Created(ctx, s.repo, d)
			if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsInvalidArgument(err) {
				return fmt.Errorf("reading when %s was created: %w", manifest.Familiar(manifest.AtDigest(s.repo, d)), err)
			}
			mu.Lock()
			defer mu.Unlock()
			s.created[d] = created
			return nil
		})
	}
	err := group.Wait()
	s.relate()
	return err
}

// relate fills Manifests from what was read.
func (s *Snapshot) relate() {
	s.order = s.graph.Below(s.roots...)
	s.Manifests = make(map[digest.Digest]Manifest, len(s.order))
	for _, d := range s.order {
		n, err := s.graph.Node(d) // one that could not be read has no relations of its own
		s.add(d, n, err)
		for _, child := range n.Children {
			m := s.Manifests[child.Digest]
			m.Parents = append(m.Parents, d)
			if attested := manifest.AttestationSubject(child); attested != "" {
				m.Kind, m.RefersTo, m.Subject = manifest.KindAttestation, append(m.RefersTo, attested), attested
			} else if child.Platform != nil {
				m.Platform = child.Platform
			}
			s.Manifests[child.Digest] = m
		}
	}
	known := s.digestTags()
	for _, tag := range slices.Sorted(maps.Keys(s.Tags)) {
		d := s.Tags[tag]
		form, ok := manifest.CutDigestTag(tag)
		subject := cmp.Or(known[tag], manifest.DigestOf(form))
		if m, read := s.Manifests[d]; ok && read && subject != "" && subject != d {
			m.Kind, m.Subject = manifest.KindArtifact, subject
			s.Manifests[d] = m
		}
	}
}

// add adds a manifest to what the indexes that list it say of it.
func (s *Snapshot) add(d digest.Digest, n manifest.Node, err error) {
	m, listed := s.Manifests[d], s.inventory[d]
	m.MediaType, m.Err = cmp.Or(n.Descriptor.MediaType, listed.MediaType), err
	m.Created, m.Updated, m.Locked = listed.Created, listed.Updated, listed.Locked
	if m.Time().IsZero() {
		m.Created = s.created[d]
	}
	if err == nil {
		m.Kind = cmp.Or(m.Kind, n.Kind())
	}
	if n.Subject != nil {
		m.RefersTo, m.Subject = append(m.RefersTo, n.Subject.Digest), n.Subject.Digest
	}
	for _, child := range n.Children {
		m.Children = append(m.Children, child.Digest)
	}
	s.Manifests[d] = m
}

// digestTags returns the digest tags of the manifests, with the manifest that each is named after.
func (s *Snapshot) digestTags() map[string]digest.Digest {
	subjects := subjectsByTag(slices.Collect(maps.Keys(s.Manifests)))
	out := map[string]digest.Digest{}
	for tag := range s.Tags {
		form, ok := manifest.CutDigestTag(tag)
		if d := subjects[form]; ok && d != "" {
			out[tag] = d
		}
	}
	return out
}

// subjectsByTag returns manifests by the tag that their referrers have where there is no referrers API.
func subjectsByTag(digests []digest.Digest) map[string]digest.Digest {
	out := make(map[string]digest.Digest, len(digests))
	for _, d := range digests {
		out[manifest.ReferrersTag(d)] = d
	}
	return out
}

// tagsByDigest returns the tags that point to each manifest, sorted.
func (s *Snapshot) tagsByDigest() map[digest.Digest][]string {
	out := map[digest.Digest][]string{}
	for tag, d := range s.Tags {
		out[d] = append(out[d], tag)
	}
	for _, tags := range out {
		slices.Sort(tags)
	}
	return out
}
