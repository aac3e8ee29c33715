package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// indexEntry is an entry of an index.
type indexEntry struct {
	index      digest.Digest
	descriptor ocispec.Descriptor
}

// indexEntries returns the first entry for each manifest below a root; for the root itself its digest.
func indexEntries(g *manifest.Graph, root digest.Digest) map[digest.Digest]indexEntry {
	out := map[digest.Digest]indexEntry{root: {descriptor: ocispec.Descriptor{Digest: root}}}
	for index, d := range g.Entries(root) {
		if _, known := out[d.Digest]; !known {
			out[d.Digest] = indexEntry{index.Descriptor.Digest, d}
		}
	}
	return out
}

// indexFindings returns the findings on the entries of all indexes.
func (v *verifier) indexFindings(name reference.Named, root digest.Digest, listed map[digest.Digest]indexEntry) []Finding {
	var out []Finding
	byPlatform := map[string]digest.Digest{}
	for index, d := range v.graphs[name.Name()].Entries(root) {
		found := v.entryFindings(name, index, d)
		found = append(found, v.duplicateFindings(name, byPlatform, indexEntry{index.Descriptor.Digest, d})...)
		for _, f := range found {
			f.Digest, f.Manifest, f.Platform = d.Digest, d.Digest, v.manifest(name, d.Digest, listed).Platform
			out = append(out, f)
		}
	}
	return out
}

// entryFindings returns the findings on the entry d of an index.
func (v *verifier) entryFindings(name reference.Named, index manifest.Node, d ocispec.Descriptor) []Finding {
	var out []Finding
	add := func(severity Severity, format string, args ...any) {
		out = append(out, finding(severity, d.Digest, format, args...))
	}
	of := index.Descriptor.Digest
	n, err := v.graphs[name.Name()].Node(d.Digest)
	if err == nil && n.Descriptor.Size != d.Size {
		add(SeverityError, "index %s says that manifest %s has %d bytes, but it has %d", of, d.Digest, d.Size, n.Descriptor.Size)
	}
	if err == nil && n.Descriptor.MediaType != d.MediaType {
		add(SeverityError, "index %s says that the media type of manifest %s is %q, but it is %s", of, d.Digest, d.MediaType, n.Descriptor.MediaType)
	}
	if manifest.IsAttestation(d) {
		subject := manifest.AttestationSubject(d)
		if !slices.ContainsFunc(index.Children, func(c ocispec.Descriptor) bool { return c.Digest == subject && !manifest.IsAttestation(c) }) {
			add(SeverityError, "attestation %s describes %q, which is not an image of index %s", d.Digest, subject, of)
		}
		return out
	}
	if err != nil || n.Config == nil || !manifest.IsImageConfig(n.Config.MediaType) {
		return out
	}
	own, stated := v.images[contentKey{name.Name(), d.Digest}].platform, entryPlatform(d)
	switch {
	case stated == nil && index.Descriptor.MediaType == manifest.MediaTypeDockerList:
		add(SeverityError, "list %s has no platform for image %s", of, d.Digest)
	case stated == nil:
		add(SeverityInfo, "index %s has no platform for image %s", of, d.Digest)
	case own != nil && platformsDiffer(*stated, *own):
		add(SeverityError, "index %s says that image %s is for %s, but its config says %s", of, d.Digest, manifest.FormatPlatform(*stated), manifest.FormatPlatform(*own))
	}
	if stated != nil && manifest.Normalize(*stated).OS == "windows" && stated.OSVersion == "" {
		add(SeverityError, "index %s has no os.version for the Windows image %s; hosts need it to choose an image", of, d.Digest)
	}
	return out
}

// minShared is the size from which a layer that several architectures share is probably a base system.
const minShared = 64 << 10

// sharedFindings returns the findings that images for different architectures have the same layers, or the same base.
func (v *verifier) sharedFindings(name reference.Named, rows []Manifest) []Finding {
	var out []Finding
	type image struct {
		Manifest
		architecture string
	}
	first := map[string]image{} // by the layers
	for _, row := range rows {
		n, err := v.graphs[name.Name()].Node(row.Digest)
		own := v.images[contentKey{name.Name(), row.Digest}]
		if err != nil || row.Kind != manifest.KindImage || own == nil || own.platform == nil || len(n.Layers) == 0 {
			continue
		}
		this := image{row, manifest.Normalize(*own.platform).Architecture}
		all := make([]string, len(n.Layers))
		for i, l := range n.Layers {
			all[i] = l.Digest.String()
		}
		base := n.Layers[0]
		for _, shared := range []struct {
			key, text string
			counts    bool
		}{
			{"all " + strings.Join(all, " "), "all their layers", true},
			{"first " + base.Digest.String(), fmt.Sprintf("their first layer %s, %d bytes,", base.Digest, base.Size), base.Size > minShared},
		} {
			earlier, exists := first[shared.key]
			if !exists {
				first[shared.key] = this
			}
			if shared.counts && exists && earlier.architecture != this.architecture {
				f := finding(SeverityInfo, row.Digest, "%s and %s have %s in common; --deep checks the programs in them", earlier.Platform, row.Platform, shared.text)
				f.Manifest, f.Platform = row.Digest, row.Platform
				out = append(out, f)
				break
			}
		}
	}
	return out
}

// entryPlatform returns the platform that an index states for d, even in part; nil if it states none.
func entryPlatform(d ocispec.Descriptor) *ocispec.Platform {
	if p := d.Platform; p != nil && (p.OS != "" || p.Architecture != "") {
		return p
	}
	return nil
}

// platformsDiffer reports whether an index states another platform than the image's own config. Fields that the
// config leaves out do not differ, except operating system and architecture.
func platformsDiffer(listed, own ocispec.Platform) bool {
	a, b := manifest.Normalize(listed), manifest.Normalize(own)
	features := func(p ocispec.Platform) []string { return slices.Sorted(slices.Values(p.OSFeatures)) }
	return a.OS != b.OS || a.Architecture != b.Architecture ||
		own.Variant != "" && a.Variant != b.Variant ||
		a.OSVersion != "" && b.OSVersion != "" && a.OSVersion != b.OSVersion ||
		len(a.OSFeatures) > 0 && len(b.OSFeatures) > 0 && !slices.Equal(features(a), features(b))
}

// duplicateFindings returns the finding that an earlier entry of the same index, one of byPlatform, is an image that
// clients cannot tell from e. It adds e to byPlatform.
func (v *verifier) duplicateFindings(name reference.Named, byPlatform map[string]digest.Digest, e indexEntry) []Finding {
	d := e.descriptor
	platform := v.platform(name, d)
	n, err := v.graphs[name.Name()].Node(d.Digest)
	if platform == nil || manifest.IsIndex(d.MediaType) || err == nil && n.ArtifactType != "" ||
		!(manifest.Entry{Descriptor: d}).IsImage() {
		return nil
	}
	key := e.index.String() + manifest.ImageKey(*platform, d, n.Layers)
	earlier, exists := byPlatform[key]
	switch {
	case !exists:
		byPlatform[key] = d.Digest
	case earlier != d.Digest:
		return []Finding{finding(SeverityError, d.Digest, "image %s, listed in index %s, is for %s, and so is %s before it", d.Digest, e.index, manifest.FormatPlatform(*platform), earlier)}
	default:
		return []Finding{finding(SeverityInfo, d.Digest, "index %s lists image %s twice", e.index, d.Digest)}
	}
	return nil
}
