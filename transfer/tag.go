package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// Tag adds tags to source in its registry, and returns its descriptor. For a tag in another repository of the registry
// everything below source is mounted there first. Tags that point to something else are moved if the condition allows it.
func Tag(ctx context.Context, registry Registry, report manifest.Reporter, source reference.Named, tags []reference.NamedTagged, condition manifest.Condition) (ocispec.Descriptor, error) {
	byRepository := map[string][]reference.NamedTagged{}
	var others []reference.Named
	for _, t := range tags {
		if !manifest.SameRegistry(source, t) {
			err := manifest.Errorf(errdefs.ErrInvalidArgument, "%s is not in the registry of %s", manifest.Familiar(t), manifest.Familiar(source))
			return ocispec.Descriptor{}, manifest.WithHint(err, "to copy to another registry: docker multiarch import %s %s", manifest.Familiar(source), manifest.Familiar(t))
		}
		if byRepository[t.Name()] == nil && !manifest.SameRepository(source, t) {
			others = append(others, t)
		}
		byRepository[t.Name()] = append(byRepository[t.Name()], t)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, t := range append(others, source) {
		registry.Prefetch(ctx, reference.TrimNamed(t), []reference.Named{reference.TrimNamed(source)})
	}
	check := manifest.CheckTags(ctx, registry, condition, tags...)
	content, err := registry.Fetch(ctx, source)
	if err == nil {
		err = check.Allow(content.Descriptor.Digest)
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err = copyToAll(ctx, registry, source, others, content); err == nil {
		err = check.Again(ctx, content.Descriptor.Digest)
	}
	var written []reference.NamedTagged
	if err == nil {
		written, err = putAll(ctx, registry, tags, byRepository, content)
	}
	if err != nil && len(byRepository) > 1 {
		err = publish.Unwritten(err, written, tags)
	}
	if err != nil {
		return content.Descriptor, fmt.Errorf("tagging %s: %w", manifest.Familiar(source), err)
	}
	check.ReportMoves(report, content.Descriptor.Digest)
	for _, t := range others {
		if err := manifest.KeepReferrersTags(ctx, registry, report, reference.TrimNamed(t), byRepository[t.Name()]); err != nil {
			report.Warn("%v", err)
		}
	}
	return content.Descriptor, nil
}

// copyToAll copies everything below source to the repositories of others.
func copyToAll(ctx context.Context, registry Registry, source reference.Named, others []reference.Named, content manifest.Content) error {
	for _, t := range others {
		c := copier{source: source, target: t, to: registry}
		graph, err := c.read(ctx, registry, content)
		if err == nil {
			_, err = c.copyBelow(ctx, graph, content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// putAll writes the tags, those of each repository together, and returns the ones that it has written.
func putAll(ctx context.Context, registry Registry, tags []reference.NamedTagged, byRepository map[string][]reference.NamedTagged, content manifest.Content) (written []reference.NamedTagged, _ error) {
	var errs []error
	for _, t := range tags {
		same := byRepository[t.Name()]
		if same[0].String() != t.String() {
			continue
		}
		err := registry.Put(ctx, t, content, publish.TagsOf(same[1:])...)
		if err != nil {
			errs = append(errs, fmt.Errorf("pushing %s: %w", manifest.Familiar(t), err))
		}
		written = append(written, publish.Written(same, err)...)
	}
	return written, errors.Join(errs...)
}
