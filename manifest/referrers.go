package manifest

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ReferrersTag returns the tag under which a registry without the referrers API keeps the index of the
// referrers of d:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema.
func ReferrersTag(d digest.Digest) string {
	algorithm, encoded := d.Algorithm().String(), d.Encoded()
	return algorithm[:min(len(algorithm), 32)] + "-" + encoded[:min(len(encoded), 64)]
}

// CosignSuffixes follow the form of ReferrersTag in the digest tags that cosign gives its signatures,
// attestations and bills of materials:
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery.
var CosignSuffixes = []string{".sig", ".att", ".sbom"}

var referrersTag = regexp.MustCompile(`^sha(256|384|512)-[0-9a-f]{64}$`)

// CutDigestTag returns, for a tag named after the digest of another manifest, that digest in the form of
// ReferrersTag. ok is false for other tags.
func CutDigestTag(tag string) (form string, ok bool) {
	form, _, _ = strings.Cut(tag, ".")
	suffix := tag[len(form):]
	return form, (suffix == "" || slices.Contains(CosignSuffixes, suffix)) && referrersTag.MatchString(form)
}

// DigestOf returns the digest of this form, "" if the form truncates it.
func DigestOf(form string) digest.Digest {
	d := digest.Digest(strings.Replace(form, "-", ":", 1))
	if d.Validate() != nil {
		return ""
	}
	return d
}

// Referrers returns the descriptors of the referrers of subject: from the referrers API or, if the registry has
// none, from the index under the referrers tag.
func Referrers(ctx context.Context, r Reader, subject reference.Canonical) ([]ocispec.Descriptor, error) {
	found, err := r.Referrers(ctx, subject)
	if !errdefs.IsNotImplemented(err) {
		return found, err
	}
	tag, err := reference.WithTag(reference.TrimNamed(subject), ReferrersTag(subject.Digest()))
	if err != nil {
		return nil, err
	}
	c, err := r.Fetch(ctx, tag)
	if errdefs.IsNotFound(err) || err == nil && !IsIndex(c.Descriptor.MediaType) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found, _, err = ParseIndex(c.Raw)
	return found, err
}
