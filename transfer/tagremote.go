package transfer

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TagRemote gives what source names in its registry more names there, and returns its descriptor. In another
// repository of the registry all that is below is mounted first. Tags that name something else are moved.
func TagRemote(ctx context.Context, a manifest.Access, source reference.Named, targets []reference.NamedTagged) (ocispec.Descriptor, error) {
	byRepository := map[string][]reference.NamedTagged{}
	var others []reference.Named
	for _, t := range targets {
		if !manifest.SameRegistry(source, t) {
			return ocispec.Descriptor{}, manifest.Errorf(errdefs.ErrInvalidArgument, "%s is in another registry than %s: "+
				"'docker multiarch import %[2]s %[1]s' brings it there", manifest.Familiar(t), manifest.Familiar(source))
		}
		if byRepository[t.Name()] == nil && !manifest.SameRepository(source, t) {
			others = append(others, t)
		}
		byRepository[t.Name()] = append(byRepository[t.Name()], t)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, t := range append(others, source) {
		a.Registry.Prefetch(ctx, reference.TrimNamed(t), []reference.Named{reference.TrimNamed(source)})
	}
	c, err := a.Registry.Fetch(ctx, source)
	d := c.Descriptor
	if err != nil {
		return d, err
	}
	s := subject{Content: c, original: d.Digest}
	for _, t := range others {
		i := imports{Import: Import{Source: source, From: a.Registry, Target: t}, Access: a, prefetch: a.Registry}
		s.replaces = reference.TrimNamed(t)
		if _, err := i.bring(ctx, s); err != nil {
			return d, err
		}
	}
	for _, tags := range byRepository {
		if err := a.Registry.Put(ctx, tags[0], c, manifest.TagsOf(tags[1:])...); err != nil {
			return d, fmt.Errorf("tagging %s as %s: %w", manifest.Familiar(source), manifest.Familiar(tags[0]), err)
		}
	}
	return d, nil
}
