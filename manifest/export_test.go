package manifest

import (
	"context"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Exports for the tests in package manifest_test.
const MaxTag = maxTag

// Exports for the tests in package manifest_test.
var (
	IsSame = isSame
	Short  = short
)

// StagingName returns the name under which a push of the list stages a local image.
func (l List) StagingName(ctx context.Context, clients Clients, local Local) (reference.NamedTagged, error) {
	s := &sender{Clients: clients, Publication: Publication{List: l}}
	return s.stagingName(ctx, local, []Entry{{Descriptor: ocispec.Descriptor{Platform: &local.Platform}}})
}
