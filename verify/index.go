package verify

import (
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// indexEntry is an entry of an index: how the index by describes something.
type indexEntry struct {
	by         digest.Digest
	descriptor ocispec.Descriptor
}

// indexEntries returns the first entry that names each manifest below a root; for the root itself its digest.
func indexEntries(g *manifest.Graph, below []digest.Digest) map[digest.Digest]indexEntry {
	out := map[digest.Digest]indexEntry{below[0]: {descriptor: ocispec.Descriptor{Digest: below[0]}}}
	for _, by := range below {
		n, _ := g.Node(by)
		for _, d := range n.Children {
			if _, known := out[d.Digest]; !known {
				out[d.Digest] = indexEntry{by, d}
			}
		}
	}
	return out
}

// isAttestation reports whether an index gives d as the attestation of an image.
func isAttestation(d ocispec.Descriptor) bool {
	return d.Annotations[manifest.AnnotationReferenceType] == manifest.ReferenceTypeAttestation
}

// inIndexes returns the findings on how indexes describe what they list.
func (v *verifier) inIndexes(name reference.Named, g *manifest.Graph, below []digest.Digest, listed map[digest.Digest]indexEntry) []Finding {
	var out []Finding
	first := map[string]indexEntry{} // by platform
	for _, by := range below {
		index, _ := g.Node(by)
		for _, d := range index.Children {
			found := v.entry(name, index, d)
			found = append(found, v.samePlatform(name, first, indexEntry{by, d})...)
			for _, f := range found {
				f.Digest, f.Manifest, f.Platform = d.Digest, d.Digest, v.row(name, d.Digest, listed).Platform
				out = append(out, f)
			}
		}
	}
	return out
}

// entry returns the findings on the entry d of an index.
func (v *verifier) entry(name reference.Named, index manifest.Node, d ocispec.Descriptor) []Finding {
	var out []Finding
	say := func(severity Soundness, format string, args ...any) {
		out = append(out, finding(severity, d.Digest, format, args...))
	}
	by := index.Descriptor.Digest
	n, err := v.graphs[name.Name()].Node(d.Digest)
	if err == nil && n.Descriptor.Size != d.Size {
		say(Unsound, "index %s says that manifest %s has %d bytes, it has %d", by, d.Digest, d.Size, n.Descriptor.Size)
	}
	if err == nil && n.Descriptor.MediaType != d.MediaType {
		say(Unsound, "index %s says that manifest %s is of media type %q, it is of %s", by, d.Digest, d.MediaType, n.Descriptor.MediaType)
	}
	if isAttestation(d) {
		subject := manifest.AttestationSubject(d)
		if !slices.ContainsFunc(index.Children, func(c ocispec.Descriptor) bool { return c.Digest == subject && !isAttestation(c) }) {
			say(Unsound, "attestation %s describes %q, which is no image of index %s", d.Digest, subject, by)
		}
		return out
	}
	if err != nil || n.Config == nil || !manifest.IsImageConfig(n.Config.MediaType) {
		return out
	}
	own, stated := v.images[imageKey{name.Name(), d.Digest}].platform, givenPlatform(d)
	switch {
	case stated == nil && index.Descriptor.MediaType == manifest.MediaTypeDockerList:
		say(Unsound, "list %s gives image %s no platform", by, d.Digest)
	case stated == nil:
		say(Remark, "index %s gives image %s no platform", by, d.Digest)
	case own != nil && platformsDiffer(*stated, *own):
		say(Unsound, "index %s says that image %s is for %s, its config says %s", by, d.Digest, manifest.FormatPlatform(*stated), manifest.FormatPlatform(*own))
	}
	if stated != nil && manifest.Normalize(*stated).OS == "windows" && stated.OSVersion == "" {
		say(Unsound, "index %s gives the windows image %s no os.version, by which hosts choose", by, d.Digest)
	}
	return out
}

// givenPlatform returns the platform that an index gives d, whole or in part, nil when it gives none.
func givenPlatform(d ocispec.Descriptor) *ocispec.Platform {
	if p := d.Platform; p != nil && (p.OS != "" || p.Architecture != "") {
		return p
	}
	return nil
}

// platformsDiffer reports whether an index says another platform than the image's own config. What the
// config does not state is no difference, but for operating system and architecture.
func platformsDiffer(listed, own ocispec.Platform) bool {
	a, b := manifest.Normalize(listed), manifest.Normalize(own)
	features := func(p ocispec.Platform) []string { return slices.Sorted(slices.Values(p.OSFeatures)) }
	return a.OS != b.OS || a.Architecture != b.Architecture ||
		own.Variant != "" && a.Variant != b.Variant ||
		a.OSVersion != "" && b.OSVersion != "" && a.OSVersion != b.OSVersion ||
		len(a.OSFeatures) > 0 && len(b.OSFeatures) > 0 && !slices.Equal(features(a), features(b))
}

// samePlatform returns the finding that an image is for the platform of one before it, which first has.
func (v *verifier) samePlatform(name reference.Named, first map[string]indexEntry, l indexEntry) []Finding {
	d := l.descriptor
	if isAttestation(d) || manifest.IsIndex(d.MediaType) {
		return nil
	}
	platform := givenPlatform(d)
	if image := v.images[imageKey{name.Name(), d.Digest}]; platform == nil && image != nil {
		platform = image.platform
	}
	if n, err := v.graphs[name.Name()].Node(d.Digest); platform == nil || err == nil && n.ArtifactType != "" {
		return nil
	}
	key := manifest.PlatformKey(*platform)
	before, taken := first[key]
	switch {
	case !taken:
		first[key] = l
	case before.descriptor.Digest != d.Digest:
		return []Finding{finding(Unsound, d.Digest, "image %s, listed by index %s, is for %s, as %s is before it", d.Digest, l.by, manifest.FormatPlatform(*platform), before.descriptor.Digest)}
	case before.by == l.by:
		return []Finding{finding(Remark, d.Digest, "index %s lists image %s twice", l.by, d.Digest)}
	}
	return nil
}
