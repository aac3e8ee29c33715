package transfer

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// content is everything that is imported for an image: the manifests below it, their referrers, and the referrers of
// those.
type content struct {
	copier
	graph     *manifest.Graph
	referrers []manifest.Node
	// tags are the digest tags of cosign.
	tags []manifest.Root
}

// roots returns all referrers and what digest tags point to, each once.
func (c content) roots() []digest.Digest {
	var out []digest.Digest
	for _, n := range c.referrers {
		out = append(out, n.Descriptor.Digest)
	}
	for _, t := range c.tags {
		out = append(out, t.Digest)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// readReferrers adds the referrers of m and of everything below it, and their referrers.
func (i importer) readReferrers(ctx context.Context, c *content, m image) error {
	seen := map[digest.Digest]bool{}
	next := c.graph.Below(m.Descriptor.Digest)
	if m.Descriptor.Digest != m.original { // made here, so it has no referrers
		next = next[1:]
	}
	for range manifest.MaxDepth {
		found, err := i.readLevel(ctx, c, next)
		if err != nil {
			return err
		}
		next = slices.DeleteFunc(c.graph.Below(found...), func(d digest.Digest) bool {
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

func (i importer) tooManyReferrers() error {
	err := manifest.Errorf(errdefs.ErrInvalidArgument, "the referrers of %s are nested more than %d deep, or there are more than %d in total",
		manifest.Familiar(i.Source), manifest.MaxDepth, manifest.MaxEntries)
	return manifest.WithHint(err, "omit --referrers")
}

// readLevel adds the referrers of subjects, and returns their digests.
func (i importer) readLevel(ctx context.Context, c *content, subjects []digest.Digest) ([]digest.Digest, error) {
	listed, err := concurrently(ctx, subjects, func(ctx context.Context, d digest.Digest) ([]ocispec.Descriptor, error) {
		found, err := manifest.Referrers(ctx, i.from, manifest.AtDigest(i.Source, d))
		if errdefs.IsFailedPrecondition(err) {
			i.report.Warn("%v; skipped", err)
			return nil, nil
		}
		return found, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing referrers: %w", err)
	}
	var refs []reference.Named
	var subjectOf []digest.Digest // each of refs
	for n, d := range subjects {
		for _, r := range listed[n] {
			refs, subjectOf = append(refs, manifest.AtDigest(i.Source, r.Digest)), append(subjectOf, d)
		}
		for _, suffix := range manifest.CosignSuffixes {
			tag, err := reference.WithTag(reference.TrimNamed(i.Source), manifest.ReferrersTag(d)+suffix)
			if err != nil {
				return nil, err
			}
			refs, subjectOf = append(refs, tag), append(subjectOf, d)
		}
	}
	if len(refs) > manifest.MaxEntries*(1+len(manifest.CosignSuffixes)) {
		return nil, i.tooManyReferrers()
	}
	roots, err := c.graph.Read(ctx, refs...)
	if err != nil {
		return nil, err
	}
	var found []digest.Digest
	for n, r := range roots {
		added, err := i.add(c, subjectOf[n], r)
		if err != nil {
			return nil, err
		}
		if added {
			found = append(found, r.Digest)
		}
	}
	return found, nil
}

// add adds a referrer or digest tag of a subject, and reports whether it is one. One that is listed but does not exist,
// refers to something else, is incomplete, or is no valid manifest, is skipped with a warning.
func (i importer) add(c *content, subject digest.Digest, r manifest.Root) (bool, error) {
	_, isTag := r.Ref.(reference.Tagged)
	err := r.Err
	if err == nil { // the error of a digest that was read before is in the graph
		err = copier{source: r.Ref, present: c.present}.check(c.graph, r.Digest)
	}
	switch {
	case isTag && errdefs.IsNotFound(r.Err):
		return false, nil
	case !isTag && errdefs.IsNotFound(err):
		i.report.Warn("%s is listed as a referrer of %s but does not exist; skipped", manifest.Familiar(r.Ref), subject)
		return false, nil
	case errdefs.IsInvalidArgument(err) || errdefs.IsFailedPrecondition(err):
		i.report.Warn("%s, a referrer of %s, cannot be imported: %v; skipped", manifest.Familiar(r.Ref), subject, err)
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading %s: %w", manifest.Familiar(r.Ref), err)
	}
	if isTag {
		c.tags = append(c.tags, r)
		return true, nil
	}
	n, err := c.graph.Node(r.Digest)
	if err != nil {
		return false, err
	}
	if n.Subject == nil || n.Subject.Digest != subject {
		i.report.Warn("%s is listed as a referrer of %s but does not refer to it; skipped", manifest.Familiar(r.Ref), subject)
		return false, nil
	}
	c.referrers = append(c.referrers, n)
	return true, nil
}

// copyReferrers copies the referrers that the target lacks.
func (i importer) copyReferrers(ctx context.Context, c *content) error {
	roots := c.roots()
	if len(roots) == 0 {
		return nil
	}
	all := c.graph.Below(roots...)
	var err error
	if c.present, err = i.findPresent(ctx, all); err != nil {
		return err
	}
	refused, err := i.copyArtifacts(ctx, *c, all)
	if err != nil {
		return err
	}
	isRefused := func(d digest.Digest) bool { return slices.Contains(refused, d) }
	roots = slices.DeleteFunc(roots, isRefused)
	c.referrers = slices.DeleteFunc(c.referrers, func(n manifest.Node) bool { return isRefused(n.Descriptor.Digest) })
	c.tags = slices.DeleteFunc(c.tags, func(t manifest.Root) bool { return isRefused(t.Digest) })
	if _, err := c.copyAll(ctx, c.graph, slices.DeleteFunc(all, isRefused)); err != nil {
		return err
	}
	for _, t := range c.tags {
		if err := i.putTag(ctx, c.graph, t); err != nil {
			return err
		}
	}
	added := slices.DeleteFunc(roots, func(d digest.Digest) bool { return c.present[d] })
	i.report.Note("%s: %d referrers and cosign tags, %d of them new", manifest.Familiar(i.Source), len(roots), len(added))
	return nil
}

// copyArtifacts copies the superseded artifact manifests among all that the target lacks, and returns those that it
// refuses, with a warning for each.
func (i importer) copyArtifacts(ctx context.Context, c content, all []digest.Digest) (refused []digest.Digest, err error) {
	for _, d := range all {
		n, err := c.graph.Node(d)
		if err != nil {
			return nil, err
		}
		if c.present[d] || !manifest.IsArtifact(n.Descriptor.MediaType) {
			continue
		}
		err = i.to.Copy(ctx, i.Source, n.Content, reference.TrimNamed(i.Target))
		switch {
		case refusesArtifact(n, err):
			i.report.Warn("the target refuses %s, which has the superseded type %s: %v; skipped",
				manifest.Familiar(manifest.AtDigest(i.Source, d)), n.Descriptor.MediaType, err)
			refused = append(refused, d)
		case err != nil:
			return nil, c.wrap(d, err)
		}
	}
	return refused, nil
}

// putTag writes a digest tag, unless it points to something else in the target.
func (i importer) putTag(ctx context.Context, g *manifest.Graph, t manifest.Root) error {
	tag := manifest.AtTag(i.Target, t.Ref.(reference.Tagged).Tag())
	current, err := i.digest(ctx, tag)
	if err != nil || current == t.Digest {
		return err
	}
	if current != "" && !i.Force {
		i.report.Warn("%s points to %s, not %s as in the source; use --force to move it", manifest.Familiar(tag), current, t.Digest)
		return nil
	}
	n, err := g.Node(t.Digest)
	if err != nil {
		return err
	}
	if err := i.to.Put(ctx, tag, n.Content); err != nil {
		return fmt.Errorf("pushing %s: %w", manifest.Familiar(tag), err)
	}
	return nil
}
