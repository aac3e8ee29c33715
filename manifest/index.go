package manifest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of the Docker formats, from
// https://distribution.github.io/distribution/spec/manifest-v2-2/.
const (
	MediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerConfig   = "application/vnd.docker.container.image.v1+json"
)

// Media types of artifact manifests that are superseded: of a release candidate of the OCI image spec 1.1, and of ORAS
// before it. Registries still have them.
const (
	mediaTypeOCIArtifact  = "application/vnd.oci.artifact.manifest.v1+json"
	mediaTypeORASArtifact = "application/vnd.cncf.oras.artifact.manifest.v1+json"
)

// MaxEntries bounds the children of an index, including nested ones, and the layers of an image.
const MaxEntries = 4096

// IsIndex reports whether mediaType is that of a manifest list or an OCI index.
func IsIndex(mediaType string) bool {
	return mediaType == MediaTypeDockerList || mediaType == ocispec.MediaTypeImageIndex
}

// IsImage reports whether mediaType is that of an image manifest, Docker's or OCI's.
func IsImage(mediaType string) bool {
	return mediaType == MediaTypeDockerManifest || mediaType == ocispec.MediaTypeImageManifest
}

// IsArtifact reports whether mediaType is that of a superseded artifact manifest, which has blobs but neither a config nor
// layers. Today's artifacts are image manifests.
func IsArtifact(mediaType string) bool {
	return mediaType == mediaTypeOCIArtifact || mediaType == mediaTypeORASArtifact
}

// IsForeign reports whether mediaType is that of a layer that is stored outside of registries and must not be
// pushed.
func IsForeign(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.docker.image.rootfs.foreign.diff.tar") ||
		strings.HasPrefix(mediaType, "application/vnd.oci.image.layer.nondistributable.v1.")
}

// indexJSON has the fields of docker/distribution's manifestlist package in their order, so that the same entries in the
// same order have the same digest as with docker manifest. The fields that it does not have follow.
type indexJSON struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Manifests     []json.RawMessage `json:"manifests"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type childJSON struct {
	MediaType    string            `json:"mediaType,omitempty"`
	Size         int64             `json:"size,omitempty"`
	Digest       digest.Digest     `json:"digest"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Platform     json.RawMessage   `json:"platform,omitempty"`
	URLs         []string          `json:"urls,omitempty"`
	Data         []byte            `json:"data,omitempty"`
}

type platformJSON struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	OSVersion    string   `json:"os.version,omitempty"`
	OSFeatures   []string `json:"os.features,omitempty"`
	Variant      string   `json:"variant,omitempty"`
}

// MarshalIndex returns an index of this media type in the byte form of docker manifest: indented by three
// spaces, no newline at the end. A child without a digest is shown with an empty one, and one without a platform
// without that field. Unknown are the unknown fields of each child, nil for none.
func MarshalIndex(mediaType string, children []ocispec.Descriptor, unknown []Fields, annotations map[string]string) ([]byte, error) {
	if unknown == nil {
		unknown = make([]Fields, len(children))
	}
	out := indexJSON{2, mediaType, make([]json.RawMessage, len(children)), annotations}
	for i, d := range children {
		var err error
		if out.Manifests[i], err = marshalChild(d, unknown[i]); err != nil {
			return nil, err
		}
	}
	return json.MarshalIndent(out, "", "   ")
}

func marshalChild(d ocispec.Descriptor, unknown Fields) (json.RawMessage, error) {
	var platform json.RawMessage
	if p := d.Platform; p != nil {
		var err error
		if platform, err = withFields(platformJSON{p.Architecture, p.OS, p.OSVersion, p.OSFeatures, p.Variant}, unknown.Platform); err != nil {
			return nil, err
		}
	}
	return withFields(childJSON{d.MediaType, d.Size, d.Digest, d.Annotations, d.ArtifactType, platform, d.URLs, d.Data}, unknown.Descriptor)
}

// Content returns the index as far as it is known: pending entries have an empty digest.
func (l List) Content() (Content, error) {
	mediaType, err := l.IndexType()
	if err != nil {
		return Content{}, err
	}
	if l.IsWhole() {
		return l.Whole.Content, nil
	}
	raw, err := l.marshal(mediaType)
	return NewContent(mediaType, raw), err
}

// marshal returns an index of the entries.
func (l List) marshal(mediaType string) ([]byte, error) {
	children, fields := make([]ocispec.Descriptor, len(l.Entries)), make([]Fields, len(l.Entries))
	for i, e := range l.Entries {
		children[i], fields[i] = e.Descriptor, e.Fields
		children[i].Platform = nil
		if p := e.Platform(); !e.LacksPlatform() {
			children[i].Platform = &p
		}
	}
	return MarshalIndex(mediaType, children, fields, l.Annotations)
}

// Whole is the index that was the only source of a list.
type Whole struct {
	Content
	// Entries is the digest of the list's entries with all that the index has, "" if some of that was left out. What the
	// entries have been read from images is part of it, such as a platform.
	Entries digest.Digest `json:",omitempty"`
}

// NewWhole returns the index c, the only source of the entries.
func NewWhole(c Content, entries []Entry) Whole {
	if len(c.Raw) == 0 {
		return Whole{}
	}
	text := func(d ocispec.Descriptor) string { return d.Digest.String() + "\x00" + string(d.Data) }
	var taken, all []string
	for _, e := range entries {
		taken = append(taken, text(e.Descriptor))
	}
	listed, _, err := ParseIndex(c.Raw)
	for _, d := range listed {
		all = append(all, text(d))
	}
	slices.Sort(taken)
	slices.Sort(all)
	w := Whole{Content: c}
	if err == nil && slices.Equal(taken, all) {
		w.Entries = List{}.With(entries...).fingerprint()
	}
	return w
}

// fingerprint is the digest of the entries and of the annotations, "" for invalid ones.
func (l List) fingerprint() digest.Digest {
	raw, err := l.marshal("")
	if err != nil {
		return ""
	}
	return digest.FromBytes(raw)
}

// IsWhole reports whether the list is nothing but the index that was its only source.
func (l List) IsWhole() bool {
	return l.Whole.Entries != "" && (l.MediaType == "" || l.MediaType == l.Whole.Descriptor.MediaType) && l.Whole.Entries == l.fingerprint()
}

// NoteDigest reports that the list does not keep the digest of the index that was its only source.
func (l List) NoteDigest(report Reporter) {
	if len(l.Whole.Raw) == 0 || l.IsWhole() {
		return
	}
	source := Familiar(l.Entries[0].Source)
	if l.Entries[0].LocalID != "" { // the daemon has pushed it
		source = Familiar(AtDigest(l.Name, l.Whole.Descriptor.Digest))
	}
	report.Note("the list differs from the index %s, whose digest is %s; to keep the digest: docker multiarch import %[1]s %[3]s", source, l.Whole.Descriptor.Digest, Familiar(l.Name))
}

// Index returns the index that is pushed for the list. The error is errdefs.ErrFailedPrecondition if an entry is pending
// or CheckPush refuses the list.
func (l List) Index() (Content, error) {
	if err := l.checkEntries(); err != nil {
		return Content{}, err
	}
	for _, e := range l.Entries {
		if err := e.Descriptor.Digest.Validate(); err != nil {
			return Content{}, Errorf(errdefs.ErrFailedPrecondition, "%s has no valid digest (%w)", Familiar(e.Ref), err)
		}
	}
	return l.Content()
}

// CheckPush returns an errdefs.ErrFailedPrecondition error for a list that cannot be pushed: one without entries,
// with an image without operating system or architecture, or a Docker list with annotations or with an artifact that
// has no platform.
func (l List) CheckPush() error {
	if err := l.checkEntries(); err != nil {
		return err
	}
	_, err := l.IndexType()
	return err
}

func (l List) checkEntries() error {
	if len(l.Entries) == 0 {
		return Errorf(errdefs.ErrFailedPrecondition, "%s has no entries", Familiar(l.Name))
	}
	for _, e := range l.Entries {
		if p := e.Platform(); (p.OS == "" || p.Architecture == "") && !e.LacksPlatform() {
			err := Errorf(errdefs.ErrFailedPrecondition, "manifest %s must have an OS and Architecture to be pushed to a registry", e.Ref)
			return WithHint(err, "set them: docker multiarch annotate --os OS --arch ARCH %s %s", Familiar(l.Name), Familiar(e.Ref))
		}
	}
	return nil
}

// IndexType returns the media type of the list: the chosen one, otherwise that of OCI if an entry is OCI or
// anything has annotations or lacks a platform, otherwise that of Docker.
func (l List) IndexType() (string, error) {
	const annotated = " has annotations, which a Docker manifest list cannot have"
	obstacle, strip, oci := "", "", false
	if len(l.Annotations) > 0 {
		obstacle = Familiar(l.Name) + annotated
	}
	for _, e := range l.Entries {
		attested := e.Pending != nil && e.Pending.Attested
		switch {
		case obstacle != "":
		case len(e.Descriptor.Annotations) > 0 || attested:
			obstacle = Familiar(e.Ref) + annotated
		case e.LacksPlatform():
			obstacle = Familiar(e.Ref) + " has no platform, which a Docker manifest list requires"
		}
		if attested || IsAttestation(e.Descriptor) {
			strip = ", or without attestations: --attestations strip"
		}
		oci = oci || e.Descriptor.MediaType == ocispec.MediaTypeImageManifest
	}
	switch {
	case l.MediaType == MediaTypeDockerList && obstacle != "":
		return "", WithHint(Errorf(errdefs.ErrFailedPrecondition, "%s", obstacle), "create the list with --type oci%s", strip)
	case l.MediaType != "":
		return l.MediaType, nil
	case oci || obstacle != "":
		return ocispec.MediaTypeImageIndex, nil
	}
	return MediaTypeDockerList, nil
}

// ParseIndex returns the children and annotations of an index. The error is errdefs.ErrInvalidArgument if raw is not an
// index, has a child without a valid digest, or has too many children.
func ParseIndex(raw []byte) ([]ocispec.Descriptor, map[string]string, error) {
	var index struct {
		Manifests   *descriptors      `json:"manifests"`
		Annotations map[string]string `json:"annotations"`
		Config      json.RawMessage   `json:"config"`
		Layers      json.RawMessage   `json:"layers"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, nil, Errorf(errdefs.ErrInvalidArgument, "index is not valid JSON (%w)", err)
	}
	if index.Manifests == nil || index.Config != nil || index.Layers != nil {
		return nil, nil, Errorf(errdefs.ErrInvalidArgument, "not an index")
	}
	if err := index.Manifests.check("index", "entries", "child"); err != nil {
		return nil, nil, err
	}
	return index.Manifests.first, index.Annotations, nil
}

// descriptors is an array of descriptors. Those after MaxEntries are only counted, since "{}" takes three bytes of
// JSON and a hundred times as much memory.
type descriptors struct {
	first []ocispec.Descriptor
	n     int
}

func (d *descriptors) UnmarshalJSON(raw []byte) error {
	*d = descriptors{}
	if raw[0] != '[' {
		return json.Unmarshal(raw, &d.first) // null, or an error
	}
	d.first = []ocispec.Descriptor{}
	array := json.NewDecoder(bytes.NewReader(raw))
	_, err := array.Token()
	var rest json.RawMessage
	for ; err == nil && array.More(); d.n++ {
		if d.n >= MaxEntries {
			err = array.Decode(&rest)
			continue
		}
		var one ocispec.Descriptor
		err = array.Decode(&one)
		d.first = append(d.first, one)
	}
	return err
}

// check returns an error if there are too many descriptors, or one is invalid.
func (d descriptors) check(of, several, one string) error {
	if d.n > MaxEntries {
		return Errorf(errdefs.ErrInvalidArgument, "%s has %d %s, more than %d", of, d.n, several, MaxEntries)
	}
	for _, d := range d.first {
		if err := d.Digest.Validate(); err != nil {
			return Errorf(errdefs.ErrInvalidArgument, "%s has a %s with the digest %q (%w)", of, one, d.Digest, err)
		}
		if d.Size < 0 {
			return Errorf(errdefs.ErrInvalidArgument, "%s has a negative size for %s", of, d.Digest)
		}
	}
	return nil
}

// ParseImage returns the config and the layers of an image manifest. The error is errdefs.ErrInvalidArgument if raw is not
// an image manifest, has a blob without a valid digest, or has too many layers.
func ParseImage(raw []byte) (config ocispec.Descriptor, layers []ocispec.Descriptor, err error) {
	var image struct {
		Config    *ocispec.Descriptor `json:"config"`
		Layers    descriptors         `json:"layers"`
		Manifests json.RawMessage     `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &image); err != nil {
		return config, nil, Errorf(errdefs.ErrInvalidArgument, "manifest is not valid JSON (%w)", err)
	}
	if image.Config == nil || image.Manifests != nil {
		return config, nil, Errorf(errdefs.ErrInvalidArgument, "not an image manifest")
	}
	blobs := descriptors{append([]ocispec.Descriptor{*image.Config}, image.Layers.first...), image.Layers.n}
	if err := blobs.check("manifest", "layers", "blob"); err != nil {
		return config, nil, err
	}
	return *image.Config, image.Layers.first, nil
}

// parseArtifact returns the blobs of an artifact manifest, with the checks of ParseImage.
func parseArtifact(raw []byte) ([]ocispec.Descriptor, error) {
	var artifact struct {
		Blobs descriptors `json:"blobs"`
	}
	if err := json.Unmarshal(raw, &artifact); err != nil {
		return nil, Errorf(errdefs.ErrInvalidArgument, "manifest is not valid JSON (%w)", err)
	}
	return artifact.Blobs.first, artifact.Blobs.check("manifest", "blobs", "blob")
}

// ParseConfig returns the platform in an image config; its fields are empty if the config has none.
func ParseConfig(raw []byte) (ocispec.Platform, error) {
	var p ocispec.Platform
	if err := json.Unmarshal(raw, &p); err != nil {
		return ocispec.Platform{}, Errorf(errdefs.ErrInvalidArgument, "image config is not valid JSON (%w)", err)
	}
	return p, nil
}
