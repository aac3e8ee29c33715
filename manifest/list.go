// Package manifest is the domain: manifest lists as values, the bytes of indexes, platforms and references.
//
// A [List] has an [Entry] for each child, in the order of the user; its methods return a changed copy. References may be to
// layouts ([IsLayout]) and to other daemons ([IsOfContext]). [Graph] is the one walker of indexes, and [Content] is a
// manifest with its bytes, which are never marshaled again. The operations on lists are in packages publish, inspect and
// store below this one.
//
// What an operation needs of registries ([Fetcher], [Target], [Lister], ...), of the daemon ([Images]) and of the local
// store ([Lists]) is declared here as small interfaces. Other packages implement them; this one does no input or
// output, except for reports to a [Reporter].
package manifest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// List is a manifest list that is being assembled: a value whose methods return a changed copy.
type List struct {
	// Name is the name under which the list is pushed; it has a tag. It is nil if unknown, for lists that docker
	// manifest created.
	Name reference.Named
	// MediaType is the type that the user chose, "" to derive it from the entries.
	MediaType   string
	Annotations map[string]string
	// Entries are in the order of the user.
	Entries []Entry
	// Whole is the index that was the only source of the list: it is pushed byte for byte as long as the list has what it
	// has. It is empty if there were other sources.
	Whole Whole
	// Pushed is the digest under which the list in the store was last pushed, "" if it never was by this program, and
	// PushedUnknown for lists that docker manifest or an older version wrote.
	Pushed digest.Digest
}

// PushedUnknown is not a digest.
const PushedUnknown digest.Digest = "unknown"

// PushState is StatePushed, StateChanged, StateNeverPushed or, if that is not known, "".
func (l List) PushState() string {
	switch l.Pushed {
	case PushedUnknown:
		return ""
	case "":
		return StateNeverPushed
	}
	if index, err := l.Index(); err == nil && index.Descriptor.Digest == l.Pushed {
		return StatePushed
	}
	return StateChanged
}

// The states of a list in the store.
const (
	StatePushed      = "pushed"
	StateChanged     = "changed since"
	StateNeverPushed = "never pushed"
)

// Entry is one child of a list: an image manifest, or an attestation of one.
type Entry struct {
	// Ref is the name of the entry in the list; the child is fetched from its repository. Only entries for several
	// platforms of one digest share it.
	Ref reference.Named
	// Source is the name that the user gave. It differs from Ref for the children of an index, and for a local image
	// that was pushed under another name.
	Source reference.Named
	// Index is the digest of the index that Source named when it was read, if that index only had this
	// image and its attestations, or was pushed from the daemon; otherwise it is empty.
	Index digest.Digest
	// Descriptor describes the child; its Platform is set, its Digest is empty while it is pending.
	Descriptor ocispec.Descriptor
	// Fields are the fields that the index of the source has for the child beside those of Descriptor.
	Fields Fields
	// Raw is the manifest of the child, byte for byte; empty while it is pending, and in lists of older docker
	// versions.
	Raw []byte
	// Output is the file of a build that named the source, and Revision the one that the config states as its source, as far
	// as that was read. Lists in the store have neither.
	Output, Revision string
	// Pending is the image in the daemon that push has to push first. An entry without a digest is pending even if
	// Pending is nil: on the image that Ref names.
	Pending *Pending
	// LocalID is the image in the daemon that the entry was pushed from; empty if it was not, or not yet.
	LocalID digest.Digest
}

// Content returns the child as content, without bytes if Raw is empty.
func (e Entry) Content() Content {
	d := e.Descriptor
	d.URLs, d.Data = nil, nil // what an index says is not where the child is fetched from
	return Content{d, e.Raw}
}

// Pending is the local image of a pending entry.
type Pending struct {
	// ID is the image ID: the digest of the config (graph-driver store), or of the image's index or
	// manifest (containerd store).
	ID digest.Digest
	// Manifest is the manifest within the image of the entry, if the daemon reported it.
	Manifest digest.Digest `json:",omitempty"`
	// Platform is that of the image, whatever was annotated since.
	Platform ocispec.Platform
	// NoVariant reports that Platform may lack the variant of the image, which its push reads.
	NoVariant bool `json:",omitempty"`
	// Attested reports that the image has attestations, which are added to the list.
	Attested bool `json:",omitempty"`
	// Strip omits the attestations of the image.
	Strip bool `json:",omitempty"`
}

// IsPending reports whether the image of the entry has to be pushed from the daemon first.
func (e Entry) IsPending() bool { return e.Descriptor.Digest == "" }

// VariantUnknown reports whether the variant of the image is unknown until it is pushed. That matters for arm: an image
// of another architecture hardly has any but the default variant.
func (e Entry) VariantUnknown() bool {
	return e.Pending != nil && e.Pending.NoVariant && IsAnyArm(e.Platform())
}

// IsAnyArm reports whether p does not say which variant of arm it is for.
func IsAnyArm(p ocispec.Platform) bool { return p.Architecture == "arm" && p.Variant == "" }

// Platform returns the entry's platform, the zero value if it has none.
func (e Entry) Platform() ocispec.Platform {
	if e.Descriptor.Platform == nil {
		return ocispec.Platform{}
	}
	return *e.Descriptor.Platform
}

// Subject returns the digest of the image that an attestation describes, empty if the entry is no
// attestation.
func (e Entry) Subject() digest.Digest { return AttestationSubject(e.Descriptor) }

// IsImage reports whether the entry is an image: no attestation, no artifact, and not for unknown/unknown.
func (e Entry) IsImage() bool {
	return !IsAttestation(e.Descriptor) && !isUnknown(e.Platform()) && e.ArtifactType() == ""
}

// ArtifactType is that of the descriptor or, as far as its bytes are known, of the manifest; "" for an image.
func (e Entry) ArtifactType() string {
	var m struct {
		ArtifactType string `json:"artifactType"`
		Config       struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
	}
	_ = json.Unmarshal(e.Raw, &m) // what cannot be parsed has none
	if IsImageConfig(m.Config.MediaType) {
		m.Config.MediaType = ""
	}
	return cmp.Or(e.Descriptor.ArtifactType, m.ArtifactType, m.Config.MediaType)
}

// LacksPlatform reports whether the entry is an artifact without a platform, and is written without that field.
func (e Entry) LacksPlatform() bool {
	return reflect.ValueOf(e.Platform()).IsZero() && len(e.Fields.Platform) == 0 && e.ArtifactType() != ""
}

// Annotations and values of the descriptor of an attestation manifest in an index, from
// https://docs.docker.com/build/metadata/attestations/attestation-storage/.
const (
	AnnotationReferenceType   = "vnd.docker.reference.type"
	AnnotationReferenceDigest = "vnd.docker.reference.digest"
	ReferenceTypeAttestation  = "attestation-manifest"
)

// IsAttestation reports whether d is an attestation manifest, even one that does not name its image.
func IsAttestation(d ocispec.Descriptor) bool {
	return d.Annotations[AnnotationReferenceType] == ReferenceTypeAttestation
}

// AttestationSubject returns the digest of the image that the attestation manifest d describes, "" if d is not an
// attestation manifest.
func AttestationSubject(d ocispec.Descriptor) digest.Digest {
	if !IsAttestation(d) {
		return ""
	}
	return digest.Digest(d.Annotations[AnnotationReferenceDigest])
}

// With returns the list with entries added. Entries of the same source are replaced: the new ones take the
// position of the first old one. Of entries with the same Ref and platform, which several sources may have, the one
// that the user named is kept, otherwise the first. One source may list a child for several platforms.
func (l List) With(entries ...Entry) List {
	bySource := map[string][]Entry{}
	for _, e := range entries {
		bySource[e.Source.String()] = append(bySource[e.Source.String()], e)
	}
	var out []Entry
	for _, e := range l.Entries {
		key := e.Source.String()
		if replacement, ok := bySource[key]; ok {
			out = append(out, replacement...)
			bySource[key] = nil
			continue
		}
		out = append(out, e)
	}
	for _, e := range entries {
		if bySource[e.Source.String()] != nil {
			out = append(out, e)
		}
	}
	l.Entries = nil
	at := map[string]int{}
	for _, e := range out {
		key := e.Ref.String() + "\x00" + PlatformKey(e.Platform())
		i, twice := at[key]
		switch {
		case !twice:
			at[key] = len(l.Entries)
			l.Entries = append(l.Entries, e)
		case e.Source.String() == e.Ref.String():
			l.Entries[i] = e
		case e.sameSource(l.Entries[i]) && !e.sameDescriptor(l.Entries[i]):
			l.Entries = append(l.Entries, e)
		}
	}
	return l
}

func (e Entry) sameDescriptor(other Entry) bool {
	return reflect.DeepEqual(e.Descriptor, other.Descriptor) && reflect.DeepEqual(e.Fields, other.Fields)
}

func (e Entry) sameSource(other Entry) bool { return e.Source.String() == other.Source.String() }

// Select returns the positions of the entries that selector names: a digest, the source or reference an
// entry was made from, or a platform, tried in this order. The attestations of a selected image are not
// among them. The error is errdefs.ErrNotFound if there is none.
func (l List) Select(selector string) ([]int, error) {
	match := func(f func(Entry) bool) (found []int) {
		for i, e := range l.Entries {
			if f(e) {
				found = append(found, i)
			}
		}
		return found
	}
	if d, err := digest.Parse(selector); err == nil {
		if found := match(func(e Entry) bool { return e.Descriptor.Digest == d }); found != nil {
			return found, nil
		}
		return nil, Errorf(errdefs.ErrNotFound, "no entry with digest %s in %s, which has %s", d, Familiar(l.Name), l.Contents())
	}
	if ref, err := ParseSourceName(selector); err == nil {
		listed := l.Digests()
		if found := match(func(e Entry) bool {
			return e.Ref.String() == ref.String() || !listed[e.Subject()] && e.Source.String() == ref.String()
		}); found != nil {
			return found, nil
		}
	}
	err := Errorf(errdefs.ErrNotFound, "no entry %s in %s, which has %s", selector, Familiar(l.Name), l.Contents())
	if p, invalid := ParsePlatform(selector); invalid == nil {
		if found := match(func(e Entry) bool { return e.Subject() == "" && p.Matches(e.Platform()) }); found != nil {
			return found, nil
		}
		err = HintVariants(err, []Platform{p}, l.Platforms())
	}
	return nil, err
}

// Contents names the images of the list in an error about another.
func (l List) Contents() string {
	var out []string
	for _, e := range l.Images() {
		out = append(out, fmt.Sprintf("%s (%s)", Familiar(e.Source), FormatPlatform(e.Platform())))
	}
	return cmp.Or(JoinSome(out), "no images")
}

// Digests returns the digests of the entries.
func (l List) Digests() map[digest.Digest]bool {
	out := map[digest.Digest]bool{}
	for _, e := range l.Entries {
		if !e.IsPending() {
			out[e.Descriptor.Digest] = true
		}
	}
	return out
}

// SelectOne is Select for one entry, the image where there is one; several are an errdefs.ErrInvalidArgument error that
// names them.
func (l List) SelectOne(selector string) (int, error) {
	found, err := l.Select(selector)
	isNoImage := func(i int) bool { return !l.Entries[i].IsImage() }
	if images := slices.DeleteFunc(slices.Clone(found), isNoImage); len(images) > 0 {
		found = images
	}
	if err != nil || len(found) == 1 {
		return append(found, -1)[0], err
	}
	count := map[string]int{}
	for _, i := range found {
		count[l.Entries[i].shortest()]++
	}
	var names []string
	for _, i := range found {
		name, platform := l.Entries[i].shortest(), FormatPlatform(l.Entries[i].Platform())
		if count[name] > 1 { // one image for several platforms
			names = append(names, platform)
			continue
		}
		names = append(names, fmt.Sprintf("%s (%s)", name, platform))
	}
	return -1, Errorf(errdefs.ErrInvalidArgument, "%s has several entries in %s; use one of %s", selector, Familiar(l.Name), JoinAnd(names))
}

// shortest returns a selector of the entry.
func (e Entry) shortest() string {
	if e.IsPending() {
		return Familiar(e.Ref)
	}
	return e.Descriptor.Digest.String()
}

// Without returns the list without the entries that the selectors name (see Select) and their attestations.
func (l List) Without(selectors ...string) (List, error) {
	drop := map[int]bool{}
	for _, s := range selectors {
		found, err := l.Select(s)
		if err != nil {
			return l, err
		}
		for _, i := range found {
			drop[i] = true
		}
	}
	left := l
	left.Entries = nil
	for i, e := range l.Entries {
		if !drop[i] {
			left.Entries = append(left.Entries, e)
		}
	}
	before, after := l.Digests(), left.Digests()
	left.Entries = slices.DeleteFunc(left.Entries, func(e Entry) bool { return before[e.Subject()] && !after[e.Subject()] })
	if len(left.Entries) == 0 {
		err := Errorf(errdefs.ErrFailedPrecondition, "dropping all entries would leave %s empty", Familiar(l.Name))
		return l, WithHint(err, "remove the list: docker multiarch rm %s", Familiar(l.Name))
	}
	return left, nil
}

// Attestations returns the entries that describe the image with digest d.
func (l List) Attestations(d digest.Digest) []Entry {
	var out []Entry
	for _, e := range l.Entries {
		if d != "" && e.Subject() == d {
			out = append(out, e)
		}
	}
	return out
}

// Images returns the entries that are images.
func (l List) Images() []Entry {
	return slices.DeleteFunc(slices.Clone(l.Entries), func(e Entry) bool { return !e.IsImage() })
}

// Origin names the source, with the file that named it.
func (e Entry) Origin() string {
	if e.Output != "" {
		return fmt.Sprintf("%s (%s)", Familiar(e.Source), e.Output)
	}
	return Familiar(e.Source)
}

// AnnotationZstd marks the zstd image in an index that has images of one platform for two compressions, from
// https://github.com/containers/image/blob/v5.36.2/internal/manifest/oci_index.go.
const AnnotationZstd = "io.github.containers.compression.zstd"

// ImageKey is equal for images with the descriptors d, of the platform p, that clients cannot choose between: those for
// one platform whose layers are compressed alike.
func ImageKey(p ocispec.Platform, d ocispec.Descriptor, layers []ocispec.Descriptor) string {
	var compressions []string
	for _, l := range layers {
		_, compression, _ := strings.Cut(l.MediaType, "tar")
		compressions = append(compressions, strings.TrimLeft(compression, ".+"))
	}
	slices.Sort(compressions)
	return PlatformKey(p) + "\x01" + d.Annotations[AnnotationZstd] + "\x01" + strings.Join(slices.Compact(compressions), "+")
}

// Duplicates returns a sentence on each image that clients cannot choose from an earlier image of the list, see [ImageKey].
func (l List) Duplicates() []string {
	first := map[string]Entry{}
	var out []string
	for _, e := range l.Images() {
		if e.VariantUnknown() {
			continue
		}
		_, layers, _ := ParseImage(e.Raw)
		if e.IsPending() { // whose layers are not known: hardly any daemon pushes anything but gzip
			layers = []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayerGzip}}
		}
		key := ImageKey(e.Platform(), e.Descriptor, layers)
		earlier, ok := first[key]
		switch {
		case !ok:
			first[key] = e
		case e.Descriptor.Digest != earlier.Descriptor.Digest || e.IsPending() || !e.sameSource(earlier):
			out = append(out, fmt.Sprintf("%s and %s are both for %s", earlier.Origin(), e.Origin(), FormatPlatform(e.Platform())))
		}
	}
	return out
}

// Platforms returns the platforms of the images.
func (l List) Platforms() []ocispec.Platform {
	var out []ocispec.Platform
	for _, e := range l.Images() {
		out = append(out, e.Platform())
	}
	return out
}

// CountPlatforms returns how many platforms the list has images for.
func (l List) CountPlatforms() int {
	seen := map[string]bool{}
	for _, p := range l.Platforms() {
		seen[PlatformKey(p)] = true
	}
	return len(seen)
}

// Annotation is a change of an entry and its list by annotate.
type Annotation struct {
	// The non-empty fields of Platform replace those of the entry; its OSFeatures are added. NoVariant removes the variant
	// before.
	Platform  ocispec.Platform
	NoVariant bool
	// Descriptor are annotations of the entry's descriptor, List those of the whole list.
	Descriptor, List map[string]string
	// ByPlatform are annotations of the descriptors of all images for a platform.
	ByPlatform []DescriptorAnnotation
	// Clear removes earlier annotations, variant, OS version and OS features of the entry first.
	Clear bool
}

// Annotate returns the list with the entry at position i changed; i is -1 to change only the list.
func (l List) Annotate(i int, a Annotation) (List, error) {
	l.Entries = slices.Clone(l.Entries)
	if i >= 0 {
		e := l.Entries[i]
		p := e.Platform()
		if a.NoVariant {
			p.Variant = ""
		}
		if a.Clear {
			p = ocispec.Platform{OS: p.OS, Architecture: p.Architecture}
			e.Descriptor.Annotations = nil
		}
		p, err := annotatePlatform(p, a.Platform)
		if err != nil {
			return l, fmt.Errorf("annotating %s: %w", Familiar(e.Source), err)
		}
		e.Descriptor.Platform = &p
		e.Descriptor.Annotations = MergeAnnotations(e.Descriptor.Annotations, a.Descriptor)
		l.Entries[i] = e
	}
	l, err := l.Annotated(Annotations{a.List, a.ByPlatform, nil})
	if err == nil {
		_, err = l.IndexType()
	}
	return l, err
}

func annotatePlatform(p, change ocispec.Platform) (ocispec.Platform, error) {
	p.OS, p.Architecture = cmp.Or(change.OS, p.OS), cmp.Or(change.Architecture, p.Architecture)
	p.Variant, p.OSVersion = cmp.Or(change.Variant, p.Variant), cmp.Or(change.OSVersion, p.OSVersion)
	p.OSFeatures = slices.Clone(p.OSFeatures)
	for _, f := range change.OSFeatures {
		if !slices.Contains(p.OSFeatures, f) {
			p.OSFeatures = append(p.OSFeatures, f)
		}
	}
	if change.OS == "" && change.Architecture == "" {
		return p, nil
	}
	err := checkKnown(p.OS, p.Architecture)
	if near, ok := nearestPlatform(p); err != nil && ok {
		flags := "--os " + near.OS + " --arch " + near.Architecture
		if near.Variant != "" {
			flags += " --variant " + near.Variant
		}
		err = WithHint(err, "%s", flags)
	}
	return p, err
}

// MergeAnnotations returns a copy of old with the pairs of added, which win; old itself if there are none.
func MergeAnnotations(old, added map[string]string) map[string]string {
	if len(added) == 0 {
		return old
	}
	out := maps.Clone(old)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, added)
	return out
}

// MayBeFor reports whether an image is for a platform, as far as that is known.
func (e Entry) MayBeFor(p Platform) bool {
	return p.Matches(e.Platform()) || e.VariantUnknown() && p.OfAnyVariant().Matches(e.Platform())
}

func (l List) require(flag string, wanted []Platform) error {
	var missing []string
	for _, w := range wanted {
		if !slices.ContainsFunc(l.Entries, func(e Entry) bool { return e.Descriptor.ArtifactType == "" && e.MayBeFor(w) }) {
			missing = append(missing, w.String())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := Errorf(errdefs.ErrFailedPrecondition, "%s has no image for %s, which --%s requires", Familiar(l.Name), JoinAnd(missing), flag)
	return HintVariants(err, wanted, l.Platforms())
}

// CheckPlatforms returns an errdefs.ErrFailedPrecondition error that names the required platforms without an image in the list
// or, unless exact is empty, the images for others than that has. A pending image whose variant is unknown may be that of any
// variant.
func (l List) CheckPlatforms(required, exact []Platform) error {
	if err := l.require("require", required); err != nil {
		return err
	}
	var others []string
	for _, e := range l.Images() {
		if !slices.ContainsFunc(exact, e.MayBeFor) {
			others = append(others, fmt.Sprintf("%s (%s)", FormatPlatform(e.Platform()), e.Origin()))
		}
	}
	if len(exact) > 0 && len(others) > 0 {
		return Errorf(errdefs.ErrFailedPrecondition, "%s has an image for %s, which --exact does not allow", Familiar(l.Name), JoinAnd(others))
	}
	return l.require("exact", exact)
}

// Lists is the store of local lists.
type Lists interface {
	// Get returns the list called name, an errdefs.ErrNotFound error if there is none.
	Get(name reference.Named) (List, error)
	// Update replaces a list by the result of change, which gets a List with that name and no entries if there is
	// none. A result without entries removes the list. Nothing else changes it meanwhile.
	Update(ctx context.Context, name reference.Named, change func(List) (List, error)) error
	// Replace stores list under its name, in place of any other, even of one that cannot be read.
	Replace(ctx context.Context, list List) error
}

// ImagePlatform is the platform that the image of a pending entry has, whatever was annotated since.
func (e Entry) ImagePlatform() ocispec.Platform {
	if e.Pending != nil {
		return e.Pending.Platform
	}
	return e.Platform()
}
