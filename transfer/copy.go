package transfer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// copier copies manifests, with their blobs and all that is below them, to another repository.
type copier struct {
	source, target reference.Named
	to             Registry
	// present are the manifests that the target is known to have. They are skipped or, with repair, checked down to
	// their blobs.
	present map[digest.Digest]bool
	repair  bool
	// platforms are those of the images of the index that is copied.
	platforms []string
}

// copy copies everything below m, and the referrers, to the target. Nothing is written before all of it is known to
// exist in the source. It returns the images that were copied.
func (i importer) copy(ctx context.Context, m image) ([]publish.Child, error) {
	from := i.prefetch
	if m.complete {
		from = i.from
	}
	c, err := i.read(ctx, m, from)
	if err != nil {
		return nil, err
	}
	var copied []publish.Child
	group, copying := errgroup.WithContext(ctx)
	if !m.complete {
		group.Go(func() (err error) {
			copied, err = m.copyBelow(copying, c.graph, m.Content)
			return err
		})
	}
	group.Go(func() error { return i.copyReferrers(copying, &c) })
	if err := group.Wait(); err != nil {
		return copied, err
	}
	return copied, i.keepReferrersTags(ctx, c.referrers...)
}

// read returns everything that is imported for m.
func (i importer) read(ctx context.Context, m image, from manifest.Fetcher) (content, error) {
	graph, err := m.read(ctx, from, m.Content)
	c := content{copier: m.copier, graph: graph}
	if err != nil || !i.Referrers || manifest.SameRepository(i.Source, i.Target) {
		return c, err
	}
	return c, i.readReferrers(ctx, &c, m)
}

// read returns a graph of root, which was fetched, and of everything below it that has to be copied or checked.
func (c copier) read(ctx context.Context, from manifest.Fetcher, root manifest.Content) (*manifest.Graph, error) {
	g := manifest.NewGraph(from)
	g.Lenient = true
	g.Descend = func(child ocispec.Descriptor) manifest.Fetcher {
		if c.present[child.Digest] && !c.repair && !manifest.IsIndex(child.MediaType) {
			return nil
		}
		return from
	}
	g.Add(ctx, c.source, root)
	return g, c.check(g, root.Descriptor.Digest)
}

// check returns an error unless everything below root that was to be read exists, with the size that its index states.
func (c copier) check(g *manifest.Graph, root digest.Digest) error {
	if _, err := g.Node(root); err != nil {
		return err
	}
	var missing []string
	broken := map[digest.Digest]bool{} // missing children, and images whose attestation is missing
	for index, child := range g.Entries(root) {
		n, err := g.Node(child.Digest)
		switch {
		case c.present[child.Digest] && !g.Has(child.Digest):
		case errdefs.IsNotFound(err):
			broken[child.Digest], broken[manifest.AttestationSubject(child)] = true, true
			if name := childName(child); !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		case err != nil:
			return fmt.Errorf("reading a child of the index %s: %w", index.Descriptor.Digest, err)
		case n.Descriptor.Size != child.Size:
			return manifest.Errorf(errdefs.ErrDataLoss, "the index %s says that %s has %d bytes, but it has %d", index.Descriptor.Digest, child.Digest, child.Size, n.Descriptor.Size)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := manifest.Errorf(errdefs.ErrFailedPrecondition, "%s is incomplete: the source does not have %s", manifest.Familiar(c.source), manifest.JoinSome(missing))
	var complete []ocispec.Descriptor
	for _, child := range g.Entries(root) {
		if !broken[child.Digest] {
			complete = append(complete, child)
		}
	}
	if names := manifest.PlatformNames(existingPlatforms(complete)); len(names) > 0 {
		err = manifest.WithHint(err, "to import the complete platforms: --platform %s", strings.Join(names, ","))
	}
	return err
}

// childName names a child of an index for an error.
func childName(d ocispec.Descriptor) string {
	switch {
	case manifest.AttestationSubject(d) != "":
		return "the attestation " + d.Digest.String()
	case d.Platform != nil:
		return manifest.OneLine(manifest.FormatPlatform(*d.Platform), manifest.MaxPlatform) + " " + d.Digest.String()
	}
	return d.Digest.String()
}

// copyBelow copies everything below root and, for an image, its blobs: everything but root itself. It returns the
// images.
func (c copier) copyBelow(ctx context.Context, g *manifest.Graph, root manifest.Content) ([]publish.Child, error) {
	if manifest.SameRepository(c.source, c.target) {
		return nil, nil
	}
	if !manifest.IsIndex(root.Descriptor.MediaType) {
		return nil, c.wrap(root.Descriptor.Digest, c.to.CopyBlobs(ctx, c.source, root, reference.TrimNamed(c.target)))
	}
	children, _, err := manifest.ParseIndex(root.Raw)
	if err != nil {
		return nil, c.wrap(root.Descriptor.Digest, err)
	}
	c.platforms = manifest.PlatformNames(existingPlatforms(children))
	return c.copyAll(ctx, g, g.Below(root.Descriptor.Digest)[1:])
}

// copyOne copies a manifest that is no index. An index cannot be copied byte for byte without an entry that the target
// refuses.
func (c copier) copyOne(ctx context.Context, n manifest.Node) error {
	err := c.to.Copy(ctx, c.source, n.Content, reference.TrimNamed(c.target))
	if err == nil || !refusesArtifact(n, err) {
		return c.wrap(n.Descriptor.Digest, err)
	}
	err = fmt.Errorf("%s refuses %s, an entry of the index, which has the superseded type %s: %w",
		reference.FamiliarName(c.target), n.Descriptor.Digest, n.Descriptor.MediaType, err)
	if len(c.platforms) > 0 {
		err = manifest.WithHint(err, "to import the images only: --platform %s", strings.Join(c.platforms, ","))
	}
	return err
}

// refusesArtifact reports whether a target refuses n because it is a superseded artifact manifest.
func refusesArtifact(n manifest.Node, err error) bool {
	return manifest.IsArtifact(n.Descriptor.MediaType) && (errdefs.IsInvalidArgument(err) || errdefs.IsNotImplemented(err))
}

// copyAll copies those manifests that are not present, images concurrently and then the indexes that list them. It returns
// the images.
func (c copier) copyAll(ctx context.Context, g *manifest.Graph, all []digest.Digest) ([]publish.Child, error) {
	to := reference.TrimNamed(c.target)
	var images []publish.Child
	var indexes []manifest.Node
	group, copying := errgroup.WithContext(ctx)
	for _, d := range all {
		if c.present[d] && !c.repair {
			continue
		}
		n, err := g.Node(d)
		if err != nil {
			return nil, err
		}
		switch isIndex := manifest.IsIndex(n.Descriptor.MediaType); {
		case isIndex && c.present[d]:
		case isIndex:
			indexes = append(indexes, n)
		case c.present[d]:
			group.Go(func() error { return c.wrap(d, c.to.CopyBlobs(copying, c.source, n.Content, to)) })
		default:
			images = append(images, publish.Child{Ref: manifest.AtDigest(c.target, d), Digest: d})
			group.Go(func() error { return c.copyOne(copying, n) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, n := range slices.Backward(indexes) {
		d := n.Descriptor.Digest
		if err := c.wrap(d, c.to.Put(ctx, manifest.AtDigest(c.target, d), n.Content)); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// wrap says that err happened to the copy of d.
func (c copier) wrap(d digest.Digest, err error) error {
	if err != nil {
		err = fmt.Errorf("copying %s to %s: %w", d, reference.FamiliarName(c.target), err)
	}
	return err
}
