package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// companions are what refers to the manifests of an image, and to one another.
type companions struct {
	graph *manifest.Graph
	// subjects are manifests that something refers to, in the order they were met; referrers are what does.
	subjects  []digest.Digest
	referrers map[digest.Digest][]manifest.Node
	// tags are the digest tags of cosign, and what they name.
	tags []tagged
}

type tagged struct {
	tag    string
	digest digest.Digest
}

// roots returns all manifests that refer to something, each once.
func (c companions) roots() []digest.Digest {
	var out []digest.Digest
	for _, s := range c.subjects {
		for _, n := range c.referrers[s] {
			out = append(out, n.Descriptor.Digest)
		}
	}
	for _, t := range c.tags {
		out = append(out, t.digest)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// readCompanions adds what refers to s and to all below it, and what refers to that.
func (i imports) readCompanions(ctx context.Context, c *companions, s subject) error {
	c.referrers = map[digest.Digest][]manifest.Node{}
	seen := map[digest.Digest]bool{}
	next := c.graph.Below(s.Descriptor.Digest)
	if s.Descriptor.Digest != s.original { // made here: nobody refers to it
		next = next[1:]
	}
	for range manifest.MaxDepth {
		met, err := i.readLevel(ctx, c, next)
		if err != nil {
			return err
		}
		next = slices.DeleteFunc(c.graph.Below(met...), func(d digest.Digest) bool {
			before := seen[d]
			seen[d] = true
			return before
		})
		if len(next) == 0 {
			return nil
		}
		if len(seen) > manifest.MaxEntries {
			break
		}
	}
	return i.tooManyReferrers()
}

func (i imports) tooManyReferrers() error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "what refers to %s is itself referred to more than %d times over, or by more than %d manifests in all: "+
		"import it without --referrers", manifest.Familiar(i.Source), manifest.MaxDepth, manifest.MaxEntries)
}

// readLevel adds what refers to subjects, and returns it.
func (i imports) readLevel(ctx context.Context, c *companions, subjects []digest.Digest) ([]digest.Digest, error) {
	listed := make([][]ocispec.Descriptor, len(subjects))
	group, asking := errgroup.WithContext(ctx)
	for n, d := range subjects {
		group.Go(func() (err error) {
			listed[n], err = manifest.Referrers(asking, i.From, manifest.AtDigest(i.Source, d))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("looking for referrers: %w", err)
	}
	var refs []reference.Named
	var of []digest.Digest // the subject of each
	for n, d := range subjects {
		for _, r := range listed[n] {
			refs, of = append(refs, manifest.AtDigest(i.Source, r.Digest)), append(of, d)
		}
		for _, suffix := range manifest.CosignSuffixes {
			tag, err := reference.WithTag(reference.TrimNamed(i.Source), manifest.ReferrersTag(d)+suffix)
			if err != nil {
				return nil, err
			}
			refs, of = append(refs, tag), append(of, d)
		}
	}
	if len(refs) > manifest.MaxEntries*(1+len(manifest.CosignSuffixes)) {
		return nil, i.tooManyReferrers()
	}
	roots, err := c.graph.Read(ctx, refs...)
	if err != nil {
		return nil, err
	}
	var met []digest.Digest
	for n, r := range roots {
		taken, err := i.take(c, of[n], r)
		if err != nil {
			return nil, err
		}
		if taken {
			met = append(met, r.Digest)
		}
	}
	return met, nil
}

// take adds what was found to refer to a subject. A tag that is not there is none, and a referrer that is
// listed but not there, or refers to something else, is a warning.
func (i imports) take(c *companions, subject digest.Digest, r manifest.Root) (bool, error) {
	tag, isTag := r.Ref.(reference.NamedTagged)
	switch {
	case isTag && errdefs.IsNotFound(r.Err):
		return false, nil
	case errdefs.IsNotFound(r.Err):
		i.Notes.Warn("%s is said to refer to %s, but is not there: left out", manifest.Familiar(r.Ref), subject)
		return false, nil
	case r.Err != nil:
		return false, fmt.Errorf("reading %s: %w", manifest.Familiar(r.Ref), r.Err)
	}
	if err := i.check(c.graph, r.Digest); err != nil {
		return false, fmt.Errorf("reading %s: %w", manifest.Familiar(r.Ref), err)
	}
	if isTag {
		c.tags = append(c.tags, tagged{tag.Tag(), r.Digest})
		return true, nil
	}
	n, err := c.graph.Node(r.Digest)
	if err != nil {
		return false, err
	}
	if n.Subject == nil || n.Subject.Digest != subject {
		i.Notes.Warn("%s is said to refer to %s, but does not: left out", manifest.Familiar(r.Ref), subject)
		return false, nil
	}
	if c.referrers[subject] == nil {
		c.subjects = append(c.subjects, subject)
	}
	c.referrers[subject] = append(c.referrers[subject], n)
	return true, nil
}

// copyCompanions brings what the target lacks of them and makes them known there.
func (i imports) copyCompanions(ctx context.Context, c companions) error {
	roots := c.roots()
	if len(roots) == 0 {
		return nil
	}
	missing, err := i.missing(ctx, roots)
	if err != nil {
		return err
	}
	if _, err := i.copyAll(ctx, c.graph, c.graph.Below(missing...), reference.TrimNamed(i.Target)); err != nil {
		return err
	}
	if err := i.list(ctx, c); err != nil {
		return err
	}
	for _, t := range c.tags {
		if err := i.putTag(ctx, c.graph, t); err != nil {
			return err
		}
	}
	i.Notes.Note("%s: %d referrers and cosign tags, %d of which are new", manifest.Familiar(i.Source), len(roots), len(missing))
	return nil
}

// missing returns the manifests that the target does not have.
func (i imports) missing(ctx context.Context, all []digest.Digest) ([]digest.Digest, error) {
	there := make([]digest.Digest, len(all))
	group, asking := errgroup.WithContext(ctx)
	for n, d := range all {
		group.Go(func() (err error) {
			there[n], err = i.digest(asking, manifest.AtDigest(i.Target, d))
			return err
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(slices.Clone(all), func(d digest.Digest) bool { return slices.Contains(there, d) }), err
}

// list makes referrers known to a target that does not find them itself.
func (i imports) list(ctx context.Context, c companions) error {
	if len(c.subjects) == 0 {
		return nil
	}
	_, err := i.Registry.Referrers(ctx, manifest.AtDigest(i.Target, c.subjects[0]))
	if !errdefs.IsNotImplemented(err) {
		return err
	}
	group, listing := errgroup.WithContext(ctx)
	for _, s := range c.subjects {
		group.Go(func() error { return i.listUnderTag(listing, s, c.referrers[s]) })
	}
	return group.Wait()
}

// maxLosses is how often somebody else may undo what was listed.
const maxLosses = 10

// listUnderTag adds referrers to the index under the tag for them, by
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema. What it lists
// stays. It is read again afterwards: whoever wrote it at the same time may not have known of ours.
func (i imports) listUnderTag(ctx context.Context, subject digest.Digest, referrers []manifest.Node) error {
	tag, err := reference.WithTag(reference.TrimNamed(i.Target), manifest.ReferrersTag(subject))
	if err != nil {
		return err
	}
	for range maxLosses {
		index, err := i.referrersIndex(ctx, tag)
		if err != nil {
			return err
		}
		before := len(index.Manifests)
		for _, n := range referrers {
			is := func(d ocispec.Descriptor) bool { return d.Digest == n.Descriptor.Digest }
			if !slices.ContainsFunc(index.Manifests, is) {
				d := n.Descriptor
				d.ArtifactType, d.Annotations = n.ArtifactType, n.Annotations
				index.Manifests = append(index.Manifests, d)
			}
		}
		if len(index.Manifests) == before {
			return nil
		}
		raw, err := json.Marshal(index)
		if err != nil {
			return err
		}
		if err := i.Registry.Put(ctx, tag, manifest.NewContent(index.MediaType, raw)); err != nil {
			return fmt.Errorf("listing referrers of %s: %w", subject, err)
		}
	}
	return manifest.Errorf(errdefs.ErrAborted, "listing referrers of %s under %s: somebody else keeps changing that list; import again", subject, manifest.Familiar(tag))
}

// referrersIndex returns the index under a tag for referrers, an empty one when there is none.
func (i imports) referrersIndex(ctx context.Context, tag reference.NamedTagged) (ocispec.Index, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	c, err := i.Registry.Fetch(ctx, tag)
	if errdefs.IsNotFound(err) {
		return index, nil
	}
	if err == nil && !manifest.IsIndex(c.Descriptor.MediaType) {
		err = manifest.Errorf(errdefs.ErrFailedPrecondition, "%s is no index, so referrers cannot be listed there", manifest.Familiar(tag))
	}
	if err == nil {
		index.Manifests, index.Annotations, err = manifest.ParseIndex(c.Raw)
	}
	return index, err
}

// putTag gives a digest tag the manifest that it has in the source, unless it names another one.
func (i imports) putTag(ctx context.Context, g *manifest.Graph, t tagged) error {
	tag := manifest.AtTag(i.Target, t.tag)
	now, err := i.digest(ctx, tag)
	if err != nil || now == t.digest {
		return err
	}
	if now != "" && !i.Force {
		i.Notes.Warn("%s names %s, not %s as in the source: it stays; --force moves it", manifest.Familiar(tag), now, t.digest)
		return nil
	}
	n, err := g.Node(t.digest)
	if err != nil {
		return err
	}
	if err := i.Registry.Put(ctx, tag, n.Content); err != nil {
		return fmt.Errorf("pushing %s: %w", manifest.Familiar(tag), err)
	}
	return nil
}
