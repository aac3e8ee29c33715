package manifest

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ReferrersTag returns the tag under which a registry without the referrers API keeps the index of what
// refers to d:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema.
func ReferrersTag(d digest.Digest) string {
	algorithm, encoded := d.Algorithm().String(), d.Encoded()
	return algorithm[:min(len(algorithm), 32)] + "-" + encoded[:min(len(encoded), 64)]
}

// Referrers returns descriptors of what refers to subject: as the registry's referrers API tells or, where
// it has none, as the index under the tag for them lists.
func Referrers(ctx context.Context, f Fetcher, l Lister, subject reference.Canonical) ([]ocispec.Descriptor, error) {
	found, err := l.Referrers(ctx, subject)
	if !errdefs.IsNotImplemented(err) {
		return found, err
	}
	tag, err := reference.WithTag(reference.TrimNamed(subject), ReferrersTag(subject.Digest()))
	if err != nil {
		return nil, err
	}
	d, raw, err := f.Fetch(ctx, tag)
	if errdefs.IsNotFound(err) || err == nil && !IsIndex(d.MediaType) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found, _, err = ParseIndex(raw)
	return found, err
}
