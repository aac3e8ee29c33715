package inspect

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// PredicateKind is what a predicate says of an image.
type PredicateKind struct {
	// Name is for messages.
	Name string
	// types are the prefixes of its predicate types, flag is that of docker buildx build that adds it.
	types []string
	flag  string
}

// The kinds of predicates.
var (
	SBOM       = PredicateKind{"SBOM", []string{"https://spdx.dev/Document", "https://cyclonedx.org/bom"}, "--sbom=true"}
	Provenance = PredicateKind{"provenance", []string{"https://slsa.dev/provenance/"}, "--provenance=true"}
)

func (k PredicateKind) includes(predicateType string) bool {
	return slices.ContainsFunc(k.types, func(t string) bool { return strings.HasPrefix(predicateType, t) })
}

// Predicate is an SBOM or the provenance of an image.
type Predicate struct {
	// Type is the predicate type of in-toto: https://github.com/in-toto/attestation/tree/main/spec/predicates.
	Type string
	// Raw is the predicate itself, valid JSON.
	Raw json.RawMessage
	// Source is what it was read from, such as "the attestation sha256:...".
	Source string
}

// Predicates are the predicates of one or of several images.
type Predicates struct {
	images []imagePredicates
	// several reports that more than one image was asked for.
	several bool
}

// imagePredicates are the predicates of one image.
type imagePredicates struct {
	platform   string
	predicates []Predicate
}

// Value returns the predicate of the only image, an array if it has several; of several images an object by platform.
func (p Predicates) Value() any {
	all, byPlatform := map[string][]json.RawMessage{}, map[string]any{}
	for _, image := range p.images { // two of them may be for one platform, and what describes their index is one document
		of := all[image.platform]
		for _, one := range image.predicates {
			if !slices.ContainsFunc(of, func(other json.RawMessage) bool { return bytes.Equal(other, one.Raw) }) {
				of = append(of, one.Raw)
			}
		}
		all[image.platform] = of
		byPlatform[image.platform] = of
		if len(of) == 1 {
			byPlatform[image.platform] = of[0]
		}
		if !p.several {
			return byPlatform[image.platform]
		}
	}
	return byPlatform
}

// Sources returns a line for each predicate: what it was read from.
func (p Predicates) Sources() (lines []string) {
	for _, image := range p.images {
		for _, one := range image.predicates {
			line := fmt.Sprintf("%s: %s from %s", image.platform, one.Type, one.Source)
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// PredicateReader is what predicates are read from.
type PredicateReader interface {
	manifest.Reader
	manifest.Blobs
}

// Bounds of what is read.
const (
	maxPredicates  = 256 << 20 // bytes of all documents
	maxAttachments = 100       // manifests that may have predicates of an image
)

// AnnotationPredicateType is the predicate type of a layer of an attestation manifest:
// https://docs.docker.com/build/metadata/attestations/attestation-storage/.
const AnnotationPredicateType = "in-toto.io/predicate-type"

// Predicates returns the predicates of this kind that the images of i have: in attestation manifests of BuildKit, in
// referrers of the image or of its index, and under the tags of cosign. Only, unless nil, is the platform that matters.
// Signatures are not checked. A predicate with another subject is left out with a warning, and so is what cannot be parsed or
// is too much; the error is errdefs.ErrFailedPrecondition or errdefs.ErrInvalidArgument if there is no other. Images without a
// predicate are left out with a warning, too; the error is errdefs.ErrNotFound if no image has one.
func (i Inspection) Predicates(ctx context.Context, r PredicateReader, report manifest.Reporter, kind PredicateKind, only *manifest.Platform) (Predicates, error) {
	images, err := i.images(ctx, r)
	if err == nil && only != nil {
		images, err = imagesFor(images, *only, i.Name)
	}
	if err != nil {
		return Predicates{}, err
	}
	p := predicateReader{PredicateReader: r, Reporter: report, of: i, kind: kind}
	p.documents.KeepErrors = true
	found, errs := make([]imagePredicates, len(images)), make([]error, len(images))
	manifest.Concurrently(len(images), func(n int) {
		found[n].platform = manifest.FormatPlatform(images[n].Platform())
		found[n].predicates, errs[n] = p.read(ctx, images[n])
	})
	if err := ctx.Err(); err != nil {
		return Predicates{}, err
	}
	out := Predicates{several: len(images) > 1}
	var without []string
	for n, f := range found {
		switch {
		case errs[n] != nil:
			return Predicates{}, fmt.Errorf("reading the %s of %s: %w", kind.Name, f.platform, errs[n])
		case len(f.predicates) == 0:
			without = append(without, f.platform)
		default:
			out.images = append(out.images, f)
		}
	}
	switch {
	case len(out.images) == 0:
		err := manifest.Errorf(errdefs.ErrNotFound, "%s has no %s", manifest.Familiar(i.Name), kind.Name)
		if only != nil {
			err = manifest.Errorf(errdefs.ErrNotFound, "%s has no %s for %s", manifest.Familiar(i.Name), kind.Name, manifest.JoinAnd(without))
		}
		if _, byDigest := i.Name.(reference.Canonical); byDigest && i.Image != nil && !i.Local {
			return out, manifest.WithHint(err, "what a build attached may only be known to the index that lists this image: name that, with --platform")
		}
		return out, manifest.WithHint(err, "to add one to a build: docker buildx build %s --push ...", kind.flag)
	case len(without) > 0:
		report.Warn("there is no %s for %s", kind.Name, manifest.JoinAnd(without))
	}
	return out, nil
}

// imagesFor returns the images that match p, an errdefs.ErrNotFound error if there is none.
func imagesFor(images []manifest.Entry, p manifest.Platform, of reference.Named) ([]manifest.Entry, error) {
	existing := manifest.List{Entries: images}.Platforms()
	images = slices.DeleteFunc(slices.Clone(images), func(e manifest.Entry) bool { return !p.Matches(e.Platform()) })
	if len(images) > 0 {
		return images, nil
	}
	names := cmp.Or(manifest.JoinSome(manifest.PlatformNames(existing)), "none")
	err := manifest.Errorf(errdefs.ErrNotFound, "%s has no image for %s (it has: %s)", manifest.Familiar(of), p, names)
	return nil, manifest.HintVariants(err, []manifest.Platform{p}, existing)
}

// predicateReader reads the predicates of one kind of the images of an inspection.
type predicateReader struct {
	PredicateReader
	manifest.Reporter
	of   Inspection
	kind PredicateKind
	// bytes are those of all documents so far, which are read once: what describes an index describes all its images.
	bytes     atomic.Int64
	documents memo.Memo[string, document]
	warned    sync.Map // messages
}

// document is a predicate, and the digests that it describes.
type document struct {
	Predicate
	of []digest.Digest
}

// warnOnce warns, once for what concerns several images.
func (p *predicateReader) warnOnce(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if _, warned := p.warned.LoadOrStore(message, true); !warned {
		p.Warn("%s", message)
	}
}

func (p *predicateReader) read(ctx context.Context, e manifest.Entry) (out []Predicate, err error) {
	if e.IsPending() {
		return nil, manifest.Errorf(errdefs.ErrFailedPrecondition, "%s is pending until the list is pushed", manifest.Familiar(e.Source))
	}
	subjects := []digest.Digest{e.Descriptor.Digest}
	if p.of.Image == nil && p.of.Descriptor.Digest != "" {
		subjects = append(subjects, p.of.Descriptor.Digest)
	}
	attached, more, err := p.attachments(ctx, e, subjects)
	if err != nil {
		return nil, err
	}
	var leftOut []error
	if more > 0 {
		leftOut = append(leftOut, manifest.Errorf(errdefs.ErrInvalidArgument, "%s has too many attestations and referrers to read them all (%d too many)", manifest.Familiar(e.Ref), more))
	}
	for _, a := range attached {
		found, err := p.readFrom(ctx, e, a, subjects)
		switch {
		case errdefs.IsFailedPrecondition(err) || errdefs.IsInvalidArgument(err):
			leftOut = append(leftOut, err)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", a.what, err)
		}
		for _, one := range found {
			if !slices.ContainsFunc(out, func(o Predicate) bool { return bytes.Equal(o.Raw, one.Raw) }) {
				out = append(out, one)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Predicate) int { return cmp.Compare(a.Type, b.Type) })
	if len(out) == 0 {
		return nil, errors.Join(leftOut...)
	}
	for _, err := range leftOut {
		p.warnOnce("%v; skipped", err)
	}
	return out, nil
}

// readFrom returns the predicates in the layers of a. The error is errdefs.ErrFailedPrecondition if one has a subject that is
// none of subjects, and errdefs.ErrInvalidArgument if one is not as it has to be: those before it are returned, too.
func (p *predicateReader) readFrom(ctx context.Context, e manifest.Entry, a attachment, subjects []digest.Digest) (out []Predicate, err error) {
	n, err := manifest.ParseNode(a.Content)
	if err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s of %s cannot be read: %w", a.what, manifest.Familiar(e.Ref), err)
	}
	for _, d := range n.Layers {
		stated := cmp.Or(d.Annotations[AnnotationPredicateType], d.Annotations["predicateType"]) // by BuildKit or cosign
		if stated != "" && !p.kind.includes(stated) || !mayBePredicate(d) {
			continue
		}
		found, err := p.documents.Do(ctx, manifest.AtDigest(a.repo, d.Digest).String(), func() (document, error) {
			if d.Size > maxPredicates || p.bytes.Add(d.Size) > maxPredicates {
				return document{}, manifest.Errorf(errdefs.ErrInvalidArgument, "not read: the documents have more than %d MiB in total", maxPredicates>>20)
			}
			one, of, err := readPredicate(ctx, p, a.repo, d)
			return document{one, of}, err
		})
		one, of := found.Predicate, found.of
		if errdefs.IsInvalidArgument(err) {
			err = fmt.Errorf("%s: %w", a.what, err)
		}
		if err != nil {
			return out, err
		}
		if !p.kind.includes(one.Type) {
			continue
		}
		if of == nil && n.Subject != nil {
			of = []digest.Digest{n.Subject.Digest}
		}
		if of != nil && !slices.ContainsFunc(of, func(d digest.Digest) bool { return slices.Contains(subjects, d) }) {
			var described []string
			for _, d := range of[:min(len(of), 5)] {
				described = append(described, d.String())
			}
			return out, manifest.Errorf(errdefs.ErrFailedPrecondition, "%s describes %s, not %s", a.what, manifest.JoinAnd(described), e.Descriptor.Digest)
		}
		one.Source = a.what
		out = append(out, one)
	}
	return out, nil
}

// attachment is a manifest that may have predicates of an image.
type attachment struct {
	// what it is, for messages.
	what string
	// repo is the repository that has it.
	repo reference.Named
	manifest.Content
}

// attachments returns the manifests that describe one of subjects, the image e and the index that lists it, and the number of
// those that it did not read.
func (p *predicateReader) attachments(ctx context.Context, e manifest.Entry, subjects []digest.Digest) (out []attachment, more int, err error) {
	var named []reference.Named
	var what []string
	for _, a := range slices.Concat(p.of.List.Attestations(e.Descriptor.Digest), p.of.Attestations) {
		named, what = append(named, manifest.AtDigest(a.Ref, a.Descriptor.Digest)), append(what, "the attestation "+a.Descriptor.Digest.String())
	}
	listed := len(named)
	for _, subject := range subjects {
		for _, suffix := range manifest.CosignSuffixes[1:] {
			tag := manifest.AtTag(reference.TrimNamed(e.Ref), manifest.ReferrersTag(subject)+suffix)
			named, what = append(named, tag), append(what, "the tag "+tag.Tag())
		}
	}
	for _, subject := range subjects {
		referrers, err := manifest.Referrers(ctx, p, manifest.AtDigest(e.Ref, subject))
		if errdefs.IsFailedPrecondition(err) { // the tag is somebody else's
			p.warnOnce("%v; skipped", err)
		} else if err != nil && !errdefs.IsNotFound(err) {
			return nil, 0, err
		}
		slices.SortFunc(referrers, func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
		for _, d := range referrers {
			named, what = append(named, manifest.AtDigest(e.Ref, d.Digest)), append(what, "the referrer "+d.Digest.String())
		}
	}
	more = max(len(named)-maxAttachments, 0)
	named = named[:len(named)-more]
	found, errs := make([]manifest.Content, len(named)), make([]error, len(named))
	manifest.Concurrently(len(named), func(n int) { found[n], errs[n] = p.Fetch(ctx, named[n]) })
	for n := range named {
		switch {
		case errs[n] == nil && !manifest.IsIndex(found[n].Descriptor.MediaType):
			out = append(out, attachment{what[n], reference.TrimNamed(named[n]), found[n]})
		case errs[n] != nil && !errdefs.IsNotFound(errs[n]):
			return nil, 0, errs[n]
		case errs[n] != nil && n < listed:
			p.Warn("%s is not in the registry", what[n])
		}
	}
	return out, more, nil
}

// predicateWords are in the media types of JSON documents that readPredicate knows.
var predicateWords = []string{"json", "in-toto", "spdx", "cyclonedx", "dsse", "sigstore"}

// mayBePredicate reports whether a layer of this media type may be a JSON document that readPredicate knows.
func mayBePredicate(d ocispec.Descriptor) bool {
	isIn := func(word string) bool { return strings.Contains(d.MediaType, word) }
	return slices.ContainsFunc(predicateWords, isIn) && !isIn("simplesigning") || isFile(d)
}

// isFile reports whether a layer is a JSON file that oras attached without a media type: it may be anything.
func isFile(d ocispec.Descriptor) bool {
	return d.MediaType == ocispec.MediaTypeImageLayer && strings.HasSuffix(d.Annotations[ocispec.AnnotationTitle], ".json")
}

// readPredicate reads the layer d: an in-toto statement, alone, in a DSSE envelope or in a sigstore bundle, or an SPDX or
// CycloneDX document. It returns the digests that the statement describes, nil for none; no predicate for other JSON.
func readPredicate(ctx context.Context, r manifest.Blobs, repo reference.Named, d ocispec.Descriptor) (Predicate, []digest.Digest, error) {
	content, err := r.OpenBlob(ctx, repo, d)
	if err != nil {
		return Predicate{}, nil, err
	}
	defer content.Close()
	raw, err := io.ReadAll(io.LimitReader(content, d.Size+1)) // the digest is checked at its end
	if err != nil {
		return Predicate{}, nil, err
	}
	p, of, err := parsePredicate(raw)
	title := d.Annotations[ocispec.AnnotationTitle]
	if err != nil && isFile(d) && !strings.Contains(title, "spdx") && !strings.Contains(title, "cyclonedx") { // it does not claim to be one
		return Predicate{}, nil, nil
	}
	if err != nil {
		err = manifest.Errorf(errdefs.ErrInvalidArgument, "%s (%s) is not valid JSON (%w); other forms of SPDX and CycloneDX are not shown", d.Digest, d.MediaType, err)
	}
	return p, of, err
}

// statement has the fields that differ between the forms of readPredicate: in-toto
// (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md), DSSE
// (https://github.com/secure-systems-lab/dsse/blob/master/envelope.md), sigstore's bundle
// (https://docs.sigstore.dev/about/bundle/), SPDX and CycloneDX.
type statement struct {
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
	Subject       []struct {
		Digest map[string]string `json:"digest"`
	} `json:"subject"`

	Payload      string          `json:"payload"`
	DSSEEnvelope json.RawMessage `json:"dsseEnvelope"`

	SPDXVersion string `json:"spdxVersion"`
	Context     any    `json:"@context"` // of SPDX 3
	BOMFormat   string `json:"bomFormat"`
}

// decodePayload decodes base64, standard or for URLs; it returns nil for anything else.
func decodePayload(payload string) []byte {
	payload = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(payload), "=")
	raw, err := base64.RawStdEncoding.DecodeString(payload)
	if err != nil {
		return nil
	}
	return raw
}

func parsePredicate(raw []byte) (Predicate, []digest.Digest, error) {
	var s statement
	for range 3 { // a bundle has an envelope, which has a statement
		s = statement{}
		var other *json.UnmarshalTypeError // of a field that means something else in other JSON
		if err := json.Unmarshal(raw, &s); err != nil && !errors.As(err, &other) {
			return Predicate{}, nil, err
		}
		inner := []byte(s.DSSEEnvelope)
		if len(inner) == 0 {
			inner = decodePayload(s.Payload)
		}
		if len(inner) == 0 {
			break
		}
		raw = inner
	}
	switch {
	case s.PredicateType != "":
		var of []digest.Digest // BuildKit states none for an image without a name
		for _, subject := range s.Subject {
			for algorithm, encoded := range subject.Digest {
				of = append(of, digest.Digest(algorithm+":"+encoded))
			}
		}
		return Predicate{Type: s.PredicateType, Raw: s.Predicate}, of, nil
	case s.SPDXVersion != "", strings.HasPrefix(fmt.Sprint(s.Context), "https://spdx.org/rdf/"):
		return Predicate{Type: SBOM.types[0], Raw: raw}, nil, nil
	case s.BOMFormat == "CycloneDX":
		return Predicate{Type: SBOM.types[1], Raw: raw}, nil, nil
	}
	return Predicate{}, nil, nil
}
