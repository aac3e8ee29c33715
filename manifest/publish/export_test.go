package publish

import (
	"context"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Exports for the tests in package publish_test.
var (
	IsSame = isSame
	Short  = short
)

// StagingName returns the name under which a push of the list stages a local image.
func StagingName(ctx context.Context, l manifest.List, clients Clients, local manifest.Local) (reference.NamedTagged, error) {
	s := &sender{Clients: clients, Publication: Publication{List: l}}
	return s.stagingName(ctx, local, []manifest.Entry{{Descriptor: ocispec.Descriptor{Platform: &local.Platform}}})
}
