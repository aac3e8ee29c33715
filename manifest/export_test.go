package manifest

import (
	"context"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// What the tests of package manifest_test look into.
const MaxTag = maxTag

// What the tests of package manifest_test look into.
var (
	IsSame      = isSame
	PlatformTag = platformTag
	Short       = short
)

// IndexType is indexType.
func (l List) IndexType() (string, error) { return l.indexType() }

// SelectOne is selectOne.
func (l List) SelectOne(entry string) (int, error) { return l.selectOne(entry) }

// StagingName returns the name under which a push of the list stages a local image.
func (l List) StagingName(ctx context.Context, a Access, local Local) (reference.NamedTagged, error) {
	s := &sender{Access: a, list: l}
	return s.stage(ctx, local, []Entry{{Descriptor: ocispec.Descriptor{Platform: &local.Platform}}})
}
