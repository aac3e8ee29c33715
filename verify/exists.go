package verify

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

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
func Exists(ctx context.Context, r manifest.Fetcher, name reference.Named, want []manifest.Platform) error {
	if len(want) == 0 {
		_, err := r.Digest(ctx, name)
		return notFound(err, name)
	}
	c, err := r.Fetch(ctx, name)
	if err != nil {
		return notFound(err, name)
	}
	var left atomic.Int64
	left.Store(manifest.MaxEntries)
	images, incomplete := offers(ctx, r, name, c, 0, &left)
	errs := make([]error, len(want))
	var group sync.WaitGroup
	for i, p := range want {
		group.Go(func() { errs[i] = offered(ctx, r, name, images, p) })
	}
	group.Wait()
	if i := slices.IndexFunc(errs, errdefs.IsNotFound); i >= 0 {
		return cmp.Or(incomplete, errs[i]) // the missing image may be among those that could not be read
	}
	return cmp.Or(errs...)
}

// notFound turns a registry's answer that it does not have name into an error for the user.
func notFound(err error, name reference.Named) error {
	if errdefs.IsNotFound(err) {
		return manifest.Errorf(errdefs.ErrNotFound, "%s is not in the registry %s", manifest.Familiar(name), reference.Domain(name))
	}
	return err
}

// offer is an image for a platform; it has been read when its platform is that of its config.
type offer struct {
	platform ocispec.Platform
	digest   digest.Digest
	read     bool
}

// offers returns the images that c, what name or an index in its repository is, leads to, and why there may
// be more. Indexes may list so many more as there are left.
func offers(ctx context.Context, r manifest.Fetcher, name reference.Named, c manifest.Content, depth int, left *atomic.Int64) ([]offer, error) {
	n, err := manifest.ParseNode(c)
	if err != nil {
		return nil, err
	}
	if n.Config != nil {
		return configured(ctx, r, name, n)
	}
	if depth > manifest.MaxDepth || left.Add(-int64(len(n.Children))) < 0 {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s has indexes nested deeper than %d or more than %d entries in all", manifest.Familiar(name), manifest.MaxDepth, manifest.MaxEntries)
	}
	found := make([][]offer, len(n.Children))
	var group errgroup.Group
	for i, child := range n.Children {
		switch {
		case manifest.AttestationSubject(child) != "":
		case manifest.StatedPlatform(child) != nil && !manifest.IsIndex(child.MediaType):
			found[i] = []offer{{platform: *child.Platform, digest: child.Digest}}
		default:
			group.Go(func() error {
				c, err := r.Fetch(ctx, manifest.AtDigest(name, child.Digest))
				if err == nil {
					found[i], err = offers(ctx, r, name, c, depth+1, left)
				}
				if errdefs.IsNotFound(err) {
					return nil
				}
				return err
			})
		}
	}
	err = group.Wait()
	return slices.Concat(found...), err
}

// configured returns the image n by its config.
func configured(ctx context.Context, r manifest.Fetcher, name reference.Named, n manifest.Node) ([]offer, error) {
	if n.ArtifactType != "" {
		return nil, nil
	}
	raw, err := r.Blob(ctx, name, *n.Config)
	if errdefs.IsNotFound(err) {
		return nil, manifest.Errorf(errdefs.ErrNotFound, "%s exists, but its config %s does not", manifest.Familiar(manifest.AtDigest(name, n.Descriptor.Digest)), n.Config.Digest)
	}
	if err != nil {
		return nil, err
	}
	p, err := manifest.ParseConfig(raw)
	if err != nil {
		return nil, err
	}
	return []offer{{p, n.Descriptor.Digest, true}}, nil
}

// offered returns nil when one of images is for the platform p and in the registry.
func offered(ctx context.Context, r manifest.Fetcher, name reference.Named, images []offer, p manifest.Platform) error {
	missing := manifest.Errorf(errdefs.ErrNotFound, "%s has no image for %s (it has: %s)", manifest.Familiar(name), p, platformNames(images))
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

// platformNames lists the platforms of images for an error.
func platformNames(images []offer) string {
	var names []string
	for _, i := range images {
		names = append(names, manifest.FormatPlatform(i.platform))
	}
	if len(names) == 0 {
		return "none"
	}
	return manifest.OneLine(strings.Join(names, ", "), maxMessage)
}
