package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// ImportPlan is what an import would do.
type ImportPlan struct {
	// Images are what Import would return, and Tags the tags that it would write.
	Images []Imported
	Tags   []reference.Named
	// Missing is the content that the target repository lacks, Existing the content that it has.
	Missing, Existing Size
	// Mounted says that the blobs would be mounted rather than sent.
	Mounted bool
}

// Size is an amount of content.
type Size struct {
	Manifests, Blobs int
	// Bytes are those of manifests and blobs.
	Bytes int64
}

// Plan returns what Import would do, and writes nothing. With several tags, the error joins those of the tags that would
// fail, and the plan is that of the others.
func Plan(ctx context.Context, to Registry, report manifest.Reporter, r Request) (ImportPlan, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// With a login of its own, the source may have blobs that the login of the target must not read.
	plan := ImportPlan{Mounted: to.Source() == manifest.Reader(to) && manifest.SameRegistry(r.Source, r.Target)}
	all, err := newImporters(ctx, to, report, r)
	if err != nil {
		return plan, err
	}
	objects := map[digest.Digest]object{}
	var errs []error
	for _, i := range all {
		m, err := i.resolve(ctx)
		if err == nil {
			err = i.addObjects(ctx, m, objects)
		}
		if ctx.Err() != nil {
			return plan, ctx.Err()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("importing %s: %w", manifest.Familiar(i.Source), err))
			continue
		}
		plan.Images = append(plan.Images, Imported{i.name(m), publish.Pushed{Descriptor: m.Descriptor}})
		for _, t := range m.tags {
			plan.Tags = append(plan.Tags, t)
		}
	}
	return plan, errors.Join(append(errs, all[0].estimate(ctx, objects, &plan))...)
}

// object is a manifest or a blob.
type object struct {
	ocispec.Descriptor
	blob bool
}

// addObjects adds the manifests and blobs of m.
func (i importer) addObjects(ctx context.Context, m image, objects map[digest.Digest]object) error {
	if m.complete && !i.Referrers {
		return nil
	}
	c, err := i.read(ctx, m, i.from)
	if err != nil {
		return err
	}
	for _, d := range c.graph.Below(append(c.roots(), m.Descriptor.Digest)...) {
		if c.present[d] && !c.graph.Has(d) {
			continue
		}
		n, err := c.graph.Node(d)
		if err != nil {
			return err
		}
		objects[d] = object{n.Descriptor, false}
		for _, b := range n.Blobs() {
			if !manifest.IsForeign(b.MediaType) {
				objects[b.Digest] = object{b, true}
			}
		}
	}
	return nil
}

// estimate adds the objects to the missing or existing size of a plan.
func (i importer) estimate(ctx context.Context, objects map[digest.Digest]object, plan *ImportPlan) error {
	all := slices.Collect(maps.Values(objects))
	exists, err := concurrently(ctx, all, i.exists)
	if err != nil {
		return err
	}
	for n, o := range all {
		size := &plan.Missing
		if exists[n] {
			size = &plan.Existing
		}
		size.Bytes += o.Size
		if o.blob {
			size.Blobs++
		} else {
			size.Manifests++
		}
	}
	return nil
}

// exists reports whether the target repository has o, as far as the account may read.
func (i importer) exists(ctx context.Context, o object) (bool, error) {
	var err error
	if o.blob {
		_, err = i.to.BlobSize(ctx, i.Target, o.Descriptor)
	} else {
		_, err = i.to.Digest(ctx, manifest.AtDigest(i.Target, o.Digest))
	}
	if errdefs.IsNotFound(err) || errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err) {
		return false, nil
	}
	return err == nil, err
}
