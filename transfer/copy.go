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
	"golang.org/x/sync/errgroup"
)

// reading reads what is imported.
type reading struct {
	manifest.Fetcher
	subject subject
}

// Fetch does not ask for what is known or was made here.
func (r reading) Fetch(ctx context.Context, ref reference.Named) (manifest.Content, error) {
	if at, ok := ref.(reference.Canonical); ok && at.Digest() == r.subject.Descriptor.Digest {
		return r.subject.Content, nil
	}
	return r.Fetcher.Fetch(ctx, ref)
}

// bring brings what is below s, and what refers to that, to the target. Nothing is written before all of
// it is known to be in the source.
func (i imports) bring(ctx context.Context, s subject) ([]manifest.Child, error) {
	from := i.prefetch
	if s.there {
		from = i.From
	}
	c, err := i.read(ctx, s, from)
	if err != nil {
		return nil, err
	}
	var brought []manifest.Child
	group, copying := errgroup.WithContext(ctx)
	if !s.there {
		group.Go(func() (err error) {
			brought, err = i.copyBelow(copying, c.graph, s)
			return err
		})
	}
	group.Go(func() error { return i.copyCompanions(copying, c) })
	err = group.Wait()
	return brought, err
}

// read returns all that is to be imported for s.
func (i imports) read(ctx context.Context, s subject, from manifest.Fetcher) (companions, error) {
	c := companions{graph: manifest.NewGraph(reading{from, s})}
	if _, err := c.graph.Read(ctx, manifest.AtDigest(i.Source, s.Descriptor.Digest)); err != nil {
		return c, err
	}
	if err := i.check(c.graph, s.Descriptor.Digest); err != nil || !i.Referrers || manifest.SameRepository(i.Source, i.Target) {
		return c, err
	}
	return c, i.readCompanions(ctx, &c, s)
}

// check returns an error unless all that is below top is there and of the size that its index gives.
func (i imports) check(g *manifest.Graph, top digest.Digest) error {
	if _, err := g.Node(top); err != nil {
		return err
	}
	var lacking []string
	for _, d := range g.Below(top) {
		n, _ := g.Node(d)
		for _, child := range n.Children {
			got, err := g.Node(child.Digest)
			switch {
			case errdefs.IsNotFound(err):
				if name := childName(child); !slices.Contains(lacking, name) {
					lacking = append(lacking, name)
				}
			case err != nil:
				return fmt.Errorf("reading a child of the index %s: %w", d, err)
			case got.Descriptor.Size != child.Size:
				return manifest.Errorf(errdefs.ErrDataLoss, "the index %s says that %s has %d bytes, but it has %d", d, child.Digest, child.Size, got.Descriptor.Size)
			}
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return manifest.Errorf(errdefs.ErrFailedPrecondition, "the source is not complete: %s lacks %s; --platform imports what is there",
		reference.FamiliarName(i.Source), manifest.JoinSome(lacking))
}

func childName(d ocispec.Descriptor) string {
	switch {
	case manifest.AttestationSubject(d) != "":
		return "the attestation " + d.Digest.String()
	case d.Platform != nil:
		return manifest.OneLine(manifest.FormatPlatform(*d.Platform), maxPlatform) + " " + d.Digest.String()
	}
	return d.Digest.String()
}

// copyBelow brings all that is below s and, for an image, its blobs: everything but s itself. It returns
// the images.
func (i imports) copyBelow(ctx context.Context, g *manifest.Graph, s subject) ([]manifest.Child, error) {
	if manifest.SameRepository(i.Source, i.Target) {
		return nil, nil
	}
	if !manifest.IsIndex(s.Descriptor.MediaType) {
		return nil, i.failed(s.Descriptor.Digest, i.Registry.CopyBlobs(ctx, i.Source, s.Content, s.replaces))
	}
	return i.copyAll(ctx, g, g.Below(s.Descriptor.Digest)[1:], s.replaces)
}

// copyAll brings manifests, images side by side and then the indexes that list them, and returns the images.
func (i imports) copyAll(ctx context.Context, g *manifest.Graph, all []digest.Digest, to reference.Named) ([]manifest.Child, error) {
	var images []manifest.Child
	var indexes []manifest.Node
	group, copying := errgroup.WithContext(ctx)
	for _, d := range all {
		n, err := g.Node(d)
		if err != nil {
			return nil, err
		}
		if manifest.IsIndex(n.Descriptor.MediaType) {
			indexes = append(indexes, n)
			continue
		}
		images = append(images, manifest.Child{Ref: manifest.AtDigest(i.Target, d), Digest: d})
		group.Go(func() error { return i.failed(d, i.Registry.Copy(copying, i.Source, n.Content, to)) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, n := range slices.Backward(indexes) {
		d := n.Descriptor
		if err := i.failed(d.Digest, i.Registry.Put(ctx, manifest.AtDigest(i.Target, d.Digest), n.Content)); err != nil {
			return nil, err
		}
	}
	return images, nil
}

func (i imports) failed(d digest.Digest, err error) error {
	if err != nil {
		err = fmt.Errorf("copying %s to %s: %w", d, reference.FamiliarName(i.Target), err)
	}
	return err
}
