package daemon

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Find returns the image that ref names in the daemon's store; "latest" is the tag of a reference that
// has none, and the digest of one that has both counts. An image is never found by its ID. The error is
// errdefs.ErrNotFound when there is no such image, errdefs.ErrUnavailable when the daemon cannot be
// reached.
func (d *Daemon) Find(ctx context.Context, ref reference.Named) (manifest.Local, error) {
	name := reference.TagNameOnly(ref)
	if digested, ok := ref.(reference.Canonical); ok {
		name = manifest.AtDigest(ref, digested.Digest()) // an unambiguous form
	}
	ctx, cancel := context.WithTimeout(ctx, d.answerTimeout)
	defer cancel()
	api, err := d.client(ctx)
	if err != nil {
		return manifest.Local{}, err
	}
	found, err := inspect(ctx, api, name)
	switch {
	case errdefs.IsNotFound(err) && ctx.Err() == nil:
		return manifest.Local{}, notFound(name)
	case err != nil:
		return manifest.Local{}, failed(ctx, api, err, "looking for image "+manifest.Familiar(name))
	}
	foundName := nameOf(found, name)
	if foundName == nil {
		return manifest.Local{}, notFound(name)
	}
	l, err := local(found, foundName)
	if err == nil && found.Variant == "" {
		podman, versionErr := d.isPodman(ctx, api)
		l.NoVariant = podman || versionErr != nil
	}
	return l, err
}

func notFound(name reference.Named) error {
	return manifest.Errorf(errdefs.ErrNotFound, "the Docker daemon has no image %s", manifest.Familiar(name))
}

// inspect requests the manifests of the image, too, where the API has them.
func inspect(ctx context.Context, api client.APIClient, name reference.Named) (image.InspectResponse, error) {
	return api.ImageInspect(ctx, reference.FamiliarString(name), client.ImageInspectWithManifests(has(api, apiManifests)))
}

// podmanLocal is what podman adds to a name without a registry.
const podmanLocal = "localhost/"

// nameOf returns the name of a found image: name or, in podman, which looks for a name without a registry in several, the
// name in its localhost. It is nil if the image has neither, as a daemon may have taken name for an ID.
func nameOf(found image.InspectResponse, name reference.Named) reference.Named {
	names := found.RepoTags
	if _, ok := name.(reference.Canonical); ok {
		names = found.RepoDigests
	}
	full := []string{name.String()}
	if short := reference.FamiliarString(name); short != full[0] {
		full = append(full, podmanLocal+short)
	}
	for _, wanted := range full {
		for _, s := range names {
			if n, err := reference.ParseNormalizedNamed(s); err == nil && n.String() == wanted {
				return n
			}
		}
	}
	return nil
}

// local returns the domain's form of an inspected image.
func local(found image.InspectResponse, name reference.Named) (manifest.Local, error) {
	id, err := digest.Parse(found.ID)
	if err != nil {
		return manifest.Local{}, fmt.Errorf("image %s has the ID %q at the Docker daemon: %w", manifest.Familiar(name), clean(found.ID), err)
	}
	l := manifest.Local{
		Name: name,
		ID:   id,
		Platform: ocispec.Platform{
			OS: found.Os, Architecture: found.Architecture, Variant: found.Variant, OSVersion: found.OsVersion,
		},
		RepoDigests: repoDigests(found.RepoDigests),
	}
	for _, m := range found.Manifests {
		lm, err := localManifest(m, found.Descriptor)
		if err != nil {
			return manifest.Local{}, fmt.Errorf("image %s at the Docker daemon: %w", manifest.Familiar(name), err)
		}
		l.Manifests = append(l.Manifests, lm)
	}
	if l.Platform.OS == "" && l.Platform.Architecture == "" {
		l.Platform = availablePlatform(l.Manifests)
	}
	return l, nil
}

// localManifest returns the domain's form of one manifest of an image whose own descriptor is target.
func localManifest(m image.ManifestSummary, target *ocispec.Descriptor) (manifest.LocalManifest, error) {
	lm := manifest.LocalManifest{Descriptor: m.Descriptor, Available: m.Available}
	if err := lm.Descriptor.Digest.Validate(); err != nil {
		return lm, fmt.Errorf("manifest with the digest %q: %w", clean(string(lm.Descriptor.Digest)), err)
	}
	if target == nil || !manifest.IsIndex(target.MediaType) {
		lm.Descriptor.Annotations = nil // annotations of the image store, which are in no index
	}
	switch {
	case m.Kind == image.ManifestKindImage && m.ImageData != nil:
		lm.Descriptor.Platform = &m.ImageData.Platform
	case m.Kind == image.ManifestKindAttestation && m.AttestationData != nil:
		lm.Subject = m.AttestationData.For
	case m.Kind != image.ManifestKindImage:
		lm.Descriptor.Platform = nil
	}
	return lm, nil
}

// availablePlatform returns the platform of the first image whose content is available, empty if there is
// none. A daemon omits the platform if it has none that its own machine could run.
func availablePlatform(manifests []manifest.LocalManifest) ocispec.Platform {
	for _, m := range manifests {
		if m.Available && m.Subject == "" && m.Descriptor.Platform != nil {
			return *m.Descriptor.Platform
		}
	}
	return ocispec.Platform{}
}

// repoDigests returns the digests in names of the form NAME@DIGEST, each once.
func repoDigests(names []string) []digest.Digest {
	var out []digest.Digest
	for _, name := range names {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue
		}
		if c, ok := named.(reference.Canonical); ok && !slices.Contains(out, c.Digest()) {
			out = append(out, c.Digest())
		}
	}
	return out
}
