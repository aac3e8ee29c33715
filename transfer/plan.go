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

// ImportPlan is what an import would do.
type ImportPlan struct {
	// Images are what would be there then, as RunImport returns it, and Tags the names that would be put.
	Images []Imported
	Tags   []reference.Named
	// Missing is what the target's repository lacks, Present what it has.
	Missing, Present Cargo
	// Mounted says that blobs come from the same registry, and so would not travel.
	Mounted bool
}

// Cargo is a quantity of content.
type Cargo struct {
	Manifests, Blobs int
	// Bytes are those of manifests and blobs.
	Bytes int64
}

func (c *Cargo) add(d ocispec.Descriptor, blob bool) {
	c.Bytes += d.Size
	if blob {
		c.Blobs++
	} else {
		c.Manifests++
	}
}

// PlanImport returns what RunImport would do, and writes nothing.
func PlanImport(ctx context.Context, a manifest.Access, i Import) (ImportPlan, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	plan := ImportPlan{Mounted: i.From == nil && manifest.SameRegistry(i.Source, i.Target)}
	all, err := newImports(ctx, a, i)
	if err != nil {
		return plan, err
	}
	content := cargoes{}
	for _, one := range all {
		s, err := one.resolve(ctx)
		if err == nil {
			err = content.load(ctx, one, s)
		}
		if err != nil {
			return plan, fmt.Errorf("importing %s: %w", manifest.Familiar(one.Source), err)
		}
		plan.Images = append(plan.Images, Imported{one.name(s), manifest.Pushed{Descriptor: s.Descriptor}})
		for _, t := range s.tags {
			plan.Tags = append(plan.Tags, t)
		}
	}
	return plan, content.weigh(ctx, all[0], &plan)
}

// cargoes are manifests and blobs, each once, and whether it is a blob.
type cargoes map[digest.Digest]cargo

type cargo struct {
	ocispec.Descriptor
	blob bool
}

// load adds what belongs to s.
func (c cargoes) load(ctx context.Context, i imports, s subject) error {
	if s.there && !i.Referrers {
		return nil
	}
	read, err := i.read(ctx, s, i.From)
	if err != nil {
		return err
	}
	for _, d := range read.graph.Below(append(read.roots(), s.Descriptor.Digest)...) {
		n, err := read.graph.Node(d)
		if err != nil {
			return err
		}
		c[d] = cargo{n.Descriptor, false}
		if n.Config == nil {
			continue
		}
		for _, b := range append(slices.Clone(n.Layers), *n.Config) {
			if !manifest.IsForeign(b.MediaType) {
				c[b.Digest] = cargo{b, true}
			}
		}
	}
	return nil
}

// weigh asks the target what it has of them.
func (c cargoes) weigh(ctx context.Context, i imports, plan *ImportPlan) error {
	var all []cargo
	for _, one := range c {
		all = append(all, one)
	}
	there := make([]bool, len(all))
	group, asking := errgroup.WithContext(ctx)
	for n, one := range all {
		group.Go(func() (err error) {
			there[n], err = i.has(asking, one)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for n, one := range all {
		if there[n] {
			plan.Present.add(one.Descriptor, one.blob)
		} else {
			plan.Missing.add(one.Descriptor, one.blob)
		}
	}
	return nil
}

// has reports whether the target has a manifest or a blob. What it does not show, it does not have.
func (i imports) has(ctx context.Context, c cargo) (bool, error) {
	var err error
	if c.blob {
		_, err = i.Registry.BlobSize(ctx, i.Target, c.Descriptor)
	} else {
		_, err = i.Registry.Digest(ctx, manifest.AtDigest(i.Target, c.Digest))
	}
	if errdefs.IsNotFound(err) || errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err) {
		return false, nil
	}
	return err == nil, err
}
