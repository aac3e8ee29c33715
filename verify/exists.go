package verify

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Exists returns nil if the registry has name with an image for each of these platforms: as an index states it, or
// the config of an image. The error is errdefs.ErrNotFound if something does not exist, and of another kind if it
// could not be determined.
func Exists(ctx context.Context, r manifest.Fetcher, name reference.Named, platforms []manifest.Platform) error {
	if len(platforms) == 0 {
		_, err := r.Digest(ctx, name)
		return err
	}
	images, incomplete := images(ctx, r, name, platforms)
	errs := make([]error, len(platforms))
	var group sync.WaitGroup
	for i, p := range platforms {
		group.Go(func() { errs[i] = hasPlatform(ctx, r, name, images, p) })
	}
	group.Wait()
	if i := slices.IndexFunc(errs, errdefs.IsNotFound); i >= 0 {
		return cmp.Or(incomplete, errs[i]) // the missing image may be among those that could not be read
	}
	return cmp.Or(errs...)
}

// image is an image for a platform. It was read if the platform is that of its config.
type image struct {
	platform ocispec.Platform
	digest   digest.Digest
	read     bool
}

// images returns the images that name leads to. The error says why there may be more. An image of Windows whose version its
// index does not state is read if one of platforms names a version.
func images(ctx context.Context, r manifest.Fetcher, name reference.Named, platforms []manifest.Platform) ([]image, error) {
	g := manifest.NewGraph(r)
	g.Descend = func(child ocispec.Descriptor) manifest.Fetcher {
		stated := manifest.StatedPlatform(child)
		if stated != nil && !manifest.IsIndex(child.MediaType) && !manifest.NeedsVersion(platforms, *stated) || manifest.IsAttestation(child) {
			return nil
		}
		return r
	}
	roots, err := g.Read(ctx, name)
	if err := cmp.Or(err, roots[0].Err); err != nil {
		return nil, err
	}
	root := roots[0].Digest
	read, err := configPlatforms(ctx, r, g, name, root)
	var out []image
	add := func(d ocispec.Descriptor) {
		if p, ok := read[d.Digest]; ok {
			if stated := manifest.StatedPlatform(d); stated != nil {
				version := p.OSVersion
				p = *stated
				p.OSVersion = version
			}
			out = append(out, image{p, d.Digest, true})
		} else if manifest.HasPlatform(d) && d.ArtifactType == "" && !manifest.IsIndex(d.MediaType) {
			out = append(out, image{*d.Platform, d.Digest, false})
		}
	}
	add(ocispec.Descriptor{Digest: root})
	for _, child := range g.Entries(root) {
		if !manifest.IsAttestation(child) {
			add(child)
		}
	}
	return out, err
}

// configPlatforms returns the platforms of the images that were fetched, from their configs.
func configPlatforms(ctx context.Context, r manifest.Fetcher, g *manifest.Graph, name reference.Named, root digest.Digest) (map[digest.Digest]ocispec.Platform, error) {
	var mu sync.Mutex
	out := map[digest.Digest]ocispec.Platform{}
	var group errgroup.Group
	for _, d := range g.Below(root) {
		n, err := g.Node(d)
		if !g.Has(d) || err == nil && (n.Config == nil || n.ArtifactType != "") {
			continue
		}
		group.Go(func() error {
			var e manifest.Entry
			if err == nil {
				e, err = manifest.ReadImage(ctx, r, manifest.AtDigest(name, d), n.Content)
			}
			switch {
			case err == nil:
				mu.Lock()
				defer mu.Unlock()
				out[d] = *e.Descriptor.Platform
			case d != root && errdefs.IsNotFound(err):
				return nil // it is not an image that exists
			}
			return err
		})
	}
	return out, group.Wait()
}

// hasPlatform returns nil if one of images is for the platform p and in the registry.
func hasPlatform(ctx context.Context, r manifest.Fetcher, name reference.Named, images []image, p manifest.Platform) error {
	var existing []ocispec.Platform
	var names []string
	for _, i := range images {
		existing, names = append(existing, i.platform), append(names, manifest.FormatPlatform(i.platform))
	}
	missing := manifest.Errorf(errdefs.ErrNotFound, "%s has no image for %s (it has: %s)", manifest.Familiar(name), p,
		cmp.Or(manifest.OneLine(strings.Join(names, ", "), maxMessage), "none"))
	missing = manifest.HintVariants(missing, []manifest.Platform{p}, existing)
	for _, i := range images {
		if !p.Matches(i.platform) {
			continue
		}
		if i.read {
			return nil
		}
		_, err := r.Digest(ctx, manifest.AtDigest(name, i.digest))
		if !errdefs.IsNotFound(err) {
			return err
		}
		missing = manifest.Errorf(errdefs.ErrNotFound, "%s lists %s for %s, but it is not in the registry %s", manifest.Familiar(name), i.digest, p, reference.Domain(name))
	}
	return missing
}
