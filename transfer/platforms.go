package transfer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// keepPlatforms removes the children for other platforms, and their attestations, from m, if platforms were asked for.
// Everything else is unchanged, byte for byte. The error is errdefs.ErrNotFound, and lists the existing platforms, if there
// is no child for one of them. A skipped child whose platform is unknown is reported.
func (i importer) keepPlatforms(ctx context.Context, m *image) error {
	if len(i.Platforms) == 0 {
		return nil
	}
	children, err := i.platformsOf(ctx, m.Content)
	if err != nil {
		return err
	}
	listed := map[digest.Digest]bool{}
	kept := make([]bool, len(children))
	images := map[digest.Digest]bool{}
	missing := slices.Clone(i.Platforms)
	for n, c := range children {
		listed[c.Digest] = true
		matches := func(p manifest.Platform) bool { return c.Platform != nil && p.Matches(*c.Platform) }
		if slices.ContainsFunc(i.Platforms, matches) {
			kept[n], images[c.Digest] = true, true
			missing = slices.DeleteFunc(missing, matches)
		}
	}
	existing := existingPlatforms(children)
	if len(missing) > 0 {
		err := manifest.Errorf(errdefs.ErrNotFound, "%s has no image for %s (it has: %s)", manifest.Familiar(i.Source), missing[0], cmp.Or(manifest.JoinSome(manifest.PlatformNames(existing)), "none"))
		return manifest.HintVariants(err, i.Platforms, existing)
	}
	if others := manifest.OtherVariants(i.Platforms, existing); others != "" {
		i.report.Note("%s: --platform %s", manifest.Familiar(i.Source), others)
	}
	if !manifest.IsIndex(m.Descriptor.MediaType) {
		return nil
	}
	m.Raw, err = manifest.Splice(m.Raw, func(n int, text []byte) []byte {
		c := children[n]
		subject := manifest.AttestationSubject(c)
		if kept[n] || images[subject] {
			return text
		}
		if !manifest.HasPlatform(c) && !listed[subject] {
			i.report.Note("%s contains %s, which has no platform that --platform could include; skipped", manifest.Familiar(i.Source), c.Digest)
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.Descriptor.Size = int64(len(m.Raw))
	if m.Descriptor.Digest = m.original.Algorithm().FromBytes(m.Raw); m.Descriptor.Digest != m.original {
		i.report.Note("%s is %s; without the other platforms its digest is %s", manifest.Familiar(i.Source), m.original, m.Descriptor.Digest)
	}
	return nil
}

// existingPlatforms returns the platforms of the images among children.
func existingPlatforms(children []ocispec.Descriptor) (out []ocispec.Platform) {
	for _, c := range children {
		if manifest.HasPlatform(c) && !manifest.IsAttestation(c) {
			out = append(out, *c.Platform)
		}
	}
	return out
}

// platformsOf returns the children of an index, or the image itself, with their platforms. What the index does not state is
// read from the config of the image: the platform or, if it matters, the version of Windows.
func (i importer) platformsOf(ctx context.Context, c manifest.Content) ([]ocispec.Descriptor, error) {
	if !manifest.IsIndex(c.Descriptor.MediaType) {
		e, err := manifest.ReadImage(ctx, i.from, i.Source, c)
		return []ocispec.Descriptor{e.Descriptor}, err
	}
	children, _, err := manifest.ParseIndex(c.Raw)
	if err != nil {
		return nil, fmt.Errorf("reading index %s: %w", manifest.Familiar(i.Source), err)
	}
	group, reading := errgroup.WithContext(ctx)
	for n, c := range children {
		stated, isIndex := manifest.StatedPlatform(c), manifest.IsIndex(c.MediaType)
		if manifest.IsAttestation(c) || !isIndex && !manifest.IsImage(c.MediaType) ||
			stated != nil && (isIndex || !manifest.NeedsVersion(i.Platforms, *stated)) {
			continue
		}
		group.Go(func() error {
			p, err := i.childPlatform(reading, c)
			if !isIndex && (manifest.IsMalformed(err) || stated != nil && errdefs.IsNotFound(err)) {
				i.report.Warn("%v", err)
				return nil
			}
			if err == nil && stated != nil {
				stated.OSVersion = p.OSVersion
				p = stated
			}
			children[n].Platform = p
			return err
		})
	}
	return children, group.Wait()
}

// childPlatform returns the platform of the image c by its config.
func (i importer) childPlatform(ctx context.Context, c ocispec.Descriptor) (*ocispec.Platform, error) {
	if manifest.IsIndex(c.MediaType) {
		err := manifest.Errorf(errdefs.ErrInvalidArgument, "%s lists another index, %s, without a platform", manifest.Familiar(i.Source), c.Digest)
		return nil, manifest.WithHint(err, "omit --platform, or import that index: %s", manifest.Familiar(manifest.AtDigest(i.Source, c.Digest)))
	}
	at := manifest.AtDigest(i.Source, c.Digest)
	got, err := i.from.Fetch(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("reading the platform of a child of the index %s: %w", manifest.Familiar(i.Source), err)
	}
	e, err := manifest.ReadImage(ctx, i.from, at, got)
	return e.Descriptor.Platform, err
}
