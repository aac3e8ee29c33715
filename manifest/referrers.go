package manifest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
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

var referrersTag = lazyregexp.New(`^sha(256|384|512)-[0-9a-f]{64}$`)

// CutDigestTag returns, for a tag named after the digest of another manifest, that digest in the form of
// ReferrersTag. ok is false for other tags.
func CutDigestTag(tag string) (form string, ok bool) {
	form, _, _ = strings.Cut(tag, ".")
	suffix := tag[len(form):]
	return form, (suffix == "" || slices.Contains(CosignSuffixes, suffix)) && referrersTag().MatchString(form)
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
// none, from the index under the referrers tag. The error is errdefs.ErrFailedPrecondition if that tag points to something
// else.
func Referrers(ctx context.Context, r Reader, subject reference.Canonical) ([]ocispec.Descriptor, error) {
	found, err := r.Referrers(ctx, subject)
	if !errdefs.IsNotImplemented(err) {
		return found, err
	}
	index, err := TaggedReferrers(ctx, r, subject)
	return index.Manifests, err
}

// TaggedReferrers returns the index under the referrers tag of subject, an empty one if it does not exist. GitLab resolves
// a tag of this form that does not exist to the subject. The error is errdefs.ErrFailedPrecondition if the tag points to
// something else than an index of referrers.
func TaggedReferrers(ctx context.Context, r Fetcher, subject reference.Canonical) (ocispec.Index, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	tag := AtTag(subject, ReferrersTag(subject.Digest()))
	c, err := r.Fetch(ctx, tag)
	if errdefs.IsNotFound(err) || err == nil && c.Descriptor.Digest == subject.Digest() {
		return index, nil
	}
	if err != nil && !errdefs.IsInvalidArgument(err) {
		return index, err
	}
	if err == nil && c.Descriptor.MediaType == index.MediaType {
		index.Manifests, index.Annotations, err = ParseIndex(c.Raw)
		isImage := func(d ocispec.Descriptor) bool {
			return d.Platform != nil && d.Platform.OS != "" && d.ArtifactType == ""
		}
		if err == nil && !slices.ContainsFunc(index.Manifests, isImage) {
			return index, nil
		}
	}
	return ocispec.Index{}, Errorf(errdefs.ErrFailedPrecondition, "%s is not an index of referrers", Familiar(tag))
}

// KeepReferrersTags lists referrers, and the other manifests with a subject that r has put in the repository and not
// acknowledged, in the indexes under their referrers tags, if the registry has no referrers API. Written are tags that the
// caller writes: such an index has its referrers already.
func KeepReferrersTags(ctx context.Context, r Registry, report Reporter, repo reference.Named, written []reference.NamedTagged, referrers ...Node) error {
	bySubject := map[digest.Digest][]Node{}
	var subjects []digest.Digest
	for _, n := range append(referrers, r.Unlisted(repo)...) {
		subject := n.Subject.Digest
		isWritten := func(t reference.NamedTagged) bool { return t.Tag() == ReferrersTag(subject) }
		isSame := func(other Node) bool { return other.Descriptor.Digest == n.Descriptor.Digest }
		if slices.ContainsFunc(written, isWritten) || slices.ContainsFunc(bySubject[subject], isSame) {
			continue
		}
		if bySubject[subject] == nil {
			subjects = append(subjects, subject)
		}
		bySubject[subject] = append(bySubject[subject], n)
	}
	if len(subjects) == 0 {
		return nil
	}
	if _, err := r.Referrers(ctx, AtDigest(repo, subjects[0])); !errdefs.IsNotImplemented(err) {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range subjects {
		group.Go(func() error { return listUnderTag(ctx, r, report, AtDigest(repo, s), bySubject[s]) })
	}
	return group.Wait()
}

// maxAttempts bounds the attempts to list referrers while other clients overwrite the list.
const maxAttempts = 10

// listUnderTag adds referrers to the index under the referrers tag, by
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema, and keeps its entries.
// The index is read again afterwards: a client that wrote it at the same time may have overwritten ours.
func listUnderTag(ctx context.Context, r Registry, report Reporter, subject reference.Canonical, referrers []Node) error {
	tag := AtTag(subject, ReferrersTag(subject.Digest()))
	for range maxAttempts {
		index, err := TaggedReferrers(ctx, r, subject)
		if errdefs.IsFailedPrecondition(err) {
			report.Warn("%v; it is kept, and %d referrers of %s are not listed", err, len(referrers), subject.Digest())
			return nil
		}
		if err != nil {
			return fmt.Errorf("listing referrers of %s: %w", Familiar(subject), err)
		}
		before := len(index.Manifests)
		for _, n := range referrers {
			isSame := func(d ocispec.Descriptor) bool { return d.Digest == n.Descriptor.Digest }
			if !slices.ContainsFunc(index.Manifests, isSame) {
				d := n.Descriptor
				d.ArtifactType, d.Annotations = n.ArtifactType, n.Annotations()
				index.Manifests = append(index.Manifests, d)
			}
		}
		if len(index.Manifests) == before {
			return nil
		}
		raw, err := json.Marshal(index)
		if err != nil {
			return err
		}
		if err := r.Put(ctx, tag, NewContent(index.MediaType, raw)); err != nil {
			return fmt.Errorf("listing referrers of %s: %w", Familiar(subject), err)
		}
	}
	return Errorf(errdefs.ErrAborted, "listing referrers of %s under %s: another client keeps overwriting them; try again", subject.Digest(), Familiar(tag))
}
