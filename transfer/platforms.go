package transfer

import (
	"cmp"
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

// keepPlatforms returns the bytes of the index or image c without the children for other platforms and their
// attestations. Everything else is unchanged, byte for byte. The error is errdefs.ErrNotFound, and lists the existing
// platforms, if there is no child for one of platforms. A skipped child whose platform is unknown is reported.
func keepPlatforms(ctx context.Context, from manifest.Fetcher, report manifest.Reporter, ref reference.Named, c manifest.Content, platforms []manifest.Platform) ([]byte, error) {
	children, err := platformsOf(ctx, from, report, ref, c, platforms)
	if err != nil {
		return nil, err
	}
	listed := map[digest.Digest]bool{}
	kept := make([]bool, len(children))
	images := map[digest.Digest]bool{}
	missing := slices.Clone(platforms)
	for n, c := range children {
		listed[c.Digest] = true
		matches := func(p manifest.Platform) bool { return c.Platform != nil && p.Matches(*c.Platform) }
		if slices.ContainsFunc(platforms, matches) {
			kept[n], images[c.Digest] = true, true
			missing = slices.DeleteFunc(missing, matches)
		}
	}
	existing := existingPlatforms(children)
	if len(missing) > 0 {
		err := manifest.Errorf(errdefs.ErrNotFound, "%s has no image for %s (it has: %s)", manifest.Familiar(ref), missing[0], cmp.Or(manifest.JoinSome(platformNames(children)), "none"))
		return nil, manifest.HintVariants(err, platforms, existing)
	}
	if others := manifest.OtherVariants(platforms, existing); others != "" {
		report.Note("%s: --platform %s", manifest.Familiar(ref), others)
	}
	if !manifest.IsIndex(c.Descriptor.MediaType) {
		return c.Raw, nil
	}
	return manifest.Splice(c.Raw, func(n int, text []byte) []byte {
		c := children[n]
		subject := manifest.AttestationSubject(c)
		if kept[n] || images[subject] {
			return text
		}
		if !manifest.HasPlatform(c) && !listed[subject] {
			report.Note("%s contains %s, which has no platform that --platform could include; skipped", manifest.Familiar(ref), c.Digest)
		}
		return nil
	})
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

// platformNames names the platforms of descriptors, each once.
func platformNames(children []ocispec.Descriptor) []string {
	var out []string
	for _, p := range existingPlatforms(children) {
		if name := manifest.OneLine(manifest.FormatPlatform(p), manifest.MaxPlatform); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// platformsOf returns the children of an index, or the image itself, with their platforms. A platform that the index
// does not state is read from the config of the image, and so is the version of Windows if one of wanted names a version.
func platformsOf(ctx context.Context, from manifest.Fetcher, report manifest.Reporter, ref reference.Named, c manifest.Content, wanted []manifest.Platform) ([]ocispec.Descriptor, error) {
	if !manifest.IsIndex(c.Descriptor.MediaType) {
		e, err := manifest.ReadImage(ctx, from, ref, c)
		return []ocispec.Descriptor{e.Descriptor}, err
	}
	children, _, err := manifest.ParseIndex(c.Raw)
	if err != nil {
		return nil, fmt.Errorf("reading index %s: %w", manifest.Familiar(ref), err)
	}
	group, reading := errgroup.WithContext(ctx)
	for n, c := range children {
		stated, isIndex := manifest.StatedPlatform(c), manifest.IsIndex(c.MediaType)
		if manifest.IsAttestation(c) || !isIndex && !manifest.IsImage(c.MediaType) ||
			stated != nil && (isIndex || !manifest.NeedsVersion(wanted, *stated)) {
			continue
		}
		group.Go(func() error {
			p, err := childPlatform(reading, from, ref, c)
			if !isIndex && (manifest.IsMalformed(err) || stated != nil && errdefs.IsNotFound(err)) {
				report.Warn("%v", err)
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
func childPlatform(ctx context.Context, from manifest.Fetcher, ref reference.Named, c ocispec.Descriptor) (*ocispec.Platform, error) {
	if manifest.IsIndex(c.MediaType) {
		err := manifest.Errorf(errdefs.ErrInvalidArgument, "%s lists another index, %s, without a platform", manifest.Familiar(ref), c.Digest)
		return nil, manifest.WithHint(err, "omit --platform, or import that index: %s", manifest.Familiar(manifest.AtDigest(ref, c.Digest)))
	}
	at := manifest.AtDigest(ref, c.Digest)
	got, err := from.Fetch(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("reading the platform of a child of the index %s: %w", manifest.Familiar(ref), err)
	}
	e, err := manifest.ReadImage(ctx, from, at, got)
	return e.Descriptor.Platform, err
}
