package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// maxFileSize bounds an entry file, which holds a manifest of up to 4 MiB twice, once in base64.
const maxFileSize = 16 << 20

// fields are the fields of an entry in docker manifest, and Multiarch, which docker manifest omits when it writes.
type fields struct {
	manifest.ImageManifest
	Multiarch *extra `json:",omitempty"`

	// Digest and Platform are those of files from before Descriptor.
	Digest   digest.Digest     `json:",omitempty"`
	Platform *ocispec.Platform `json:",omitempty"`
}

// extra has what docker manifest has no fields for. List, MediaType and Annotations are those of the whole list,
// repeated in each of its files.
type extra struct {
	List        string
	MediaType   string            `json:",omitempty"`
	Annotations map[string]string `json:",omitempty"`
	// Position starts at 1.
	Position int
	// Whole and Pushed are those of the list, in the file of the first entry; Pushed is neverPushed if it was not.
	Whole   *manifest.Whole   `json:",omitempty"`
	Pushed  digest.Digest     `json:",omitempty"`
	Source  string            `json:",omitempty"`
	Index   digest.Digest     `json:",omitempty"`
	Pending *manifest.Pending `json:",omitempty"`
	LocalID digest.Digest     `json:",omitempty"`
	// Location is the layout or archive that has the content, with the digest, or the image of the daemon of a docker
	// context. The entry's Ref is where push is going to put the content, for a pending image with the digest that it has
	// in the daemon.
	Location string          `json:",omitempty"`
	Fields   manifest.Fields `json:",omitzero"`
}

// neverPushed is a Pushed that is not a digest.
const neverPushed digest.Digest = "never"

// decode reads the bytes of an entry file.
func decode(data []byte) (manifest.Entry, fields, error) {
	var f fields
	if len(data) == 0 {
		return manifest.Entry{}, f, errors.New("the file is empty")
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return manifest.Entry{}, f, fmt.Errorf("not an entry of a manifest list (%w)", err)
	}
	if f.Multiarch == nil {
		f.Multiarch = &extra{}
	}
	entry := manifest.Entry{Index: f.Multiarch.Index, Pending: f.Multiarch.Pending, LocalID: f.Multiarch.LocalID}
	var err error
	if entry.Fields, err = f.Multiarch.Fields.Compact(); err != nil {
		return entry, f, err
	}
	if entry.Ref, err = parseRef("Ref", f.Ref); err != nil {
		return entry, f, err
	}
	if location := f.Multiarch.Location; location != "" {
		if entry.Ref, err = parseRef("Location", location); err != nil {
			return entry, f, err
		}
	}
	entry.Source = entry.Ref
	if source := f.Multiarch.Source; source != "" {
		if entry.Source, err = parseRef("Source", source); err != nil {
			return entry, f, err
		}
	}
	if entry.Descriptor, entry.Raw, err = f.content(); err != nil {
		return entry, f, err
	}
	return entry, f, f.validate()
}

func parseRef(field, s string) (reference.Named, error) {
	if s == "" {
		return nil, fmt.Errorf("%s is missing", field)
	}
	if ref, err := manifest.ParseSourceName(s); err == nil && (manifest.IsLayout(ref) || manifest.IsOfContext(ref)) {
		return ref, nil
	}
	ref, err := reference.ParseNamed(s)
	if err != nil {
		// Err would show s with its control characters.
		return nil, fmt.Errorf("%s %q is not a normalized reference", field, s)
	}
	return ref, nil
}

// content returns the descriptor and the original bytes of the manifest, empty if the file does not have them.
func (f fields) content() (ocispec.Descriptor, []byte, error) {
	if f.Digest != "" {
		return f.oldContent()
	}
	d := f.Descriptor
	if err := validDigest("digest", d.Digest); err != nil {
		return d, nil, err
	}
	if len(f.Raw) > 0 {
		if err := checkDigest(f.Raw, d.Digest); err != nil {
			return d, nil, err
		}
		if d.Size != int64(len(f.Raw)) {
			return d, nil, fmt.Errorf("image manifest has %d bytes, not %d", len(f.Raw), d.Size)
		}
		return d, f.Raw, nil
	}
	_, payload := f.payload()
	if d.Digest == "" || checkDigest(payload, d.Digest) != nil {
		return d, nil, nil
	}
	return d, payload, nil
}

// oldContent is content for files from before Descriptor, as docker manifest reads them.
func (f fields) oldContent() (ocispec.Descriptor, []byte, error) {
	mediaType, payload := f.payload()
	if payload == nil {
		return ocispec.Descriptor{}, nil, errors.New("the manifest is missing")
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: f.Digest, Size: int64(len(payload)), Platform: f.Platform}
	if err := validDigest("digest", f.Digest); err != nil {
		return d, nil, err
	}
	return d, payload, checkDigest(payload, f.Digest)
}

// payload returns the manifest in the file as JSON, with the white space of the file.
func (f fields) payload() (mediaType string, raw []byte) {
	switch {
	case f.SchemaV2Manifest != nil:
		return manifest.MediaTypeDockerManifest, f.SchemaV2Manifest
	case f.OCIManifest != nil:
		return ocispec.MediaTypeImageManifest, f.OCIManifest
	}
	return "", nil
}

// validate checks what the rest of the program relies on.
func (f fields) validate() error {
	x := f.Multiarch
	if x.MediaType != "" && !manifest.IsIndex(x.MediaType) {
		return fmt.Errorf("list type %q is not the media type of an index", x.MediaType)
	}
	if err := x.validateWhole(); err != nil {
		return err
	}
	if x.List != "" {
		if _, err := parseRef("List", x.List); err != nil {
			return err
		}
	}
	if err := errors.Join(validDigest("index", x.Index), validDigest("image ID", x.LocalID)); err != nil || x.Pending == nil {
		return err
	}
	return errors.Join(validDigest("image ID", x.Pending.ID), validDigest("manifest", x.Pending.Manifest))
}

func (x extra) validateWhole() error {
	if x.Whole == nil {
		return nil
	}
	d := x.Whole.Descriptor
	if !manifest.IsIndex(d.MediaType) {
		return fmt.Errorf("type %q of the source is not the media type of an index", d.MediaType)
	}
	if err := validDigest("index", d.Digest); err != nil {
		return err
	}
	if d.Size != int64(len(x.Whole.Raw)) {
		return fmt.Errorf("index has %d bytes, not %d", len(x.Whole.Raw), d.Size)
	}
	if err := validDigest("entries", x.Whole.Entries); err != nil {
		return err
	}
	return checkDigest(x.Whole.Raw, d.Digest)
}

func validDigest(what string, d digest.Digest) error {
	if d == "" {
		return nil
	}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%s %q is not a digest (%w)", what, d, err)
	}
	return nil
}

// checkDigest returns an error if raw does not have the digest d, which is empty or valid.
func checkDigest(raw []byte, d digest.Digest) error {
	if d == "" {
		return errors.New("the manifest's digest is missing")
	}
	if actual := d.Algorithm().FromBytes(raw); actual != d {
		return fmt.Errorf("image manifest digest mismatch (%s != %s)", d, actual)
	}
	return nil
}

// encode returns the content of the file of entry. The manifest of its current file, old, is kept if entry has no bytes.
func encode(entry manifest.Entry, x extra, old fields) ([]byte, error) {
	x.Index, x.Pending, x.LocalID, x.Fields = entry.Index, entry.Pending, entry.LocalID, entry.Fields
	f := fields{ImageManifest: entry.ImageManifest(), Multiarch: &x}
	if entry.Source.String() != f.Ref {
		x.Source = entry.Source.String()
	}
	if d := entry.Descriptor.Digest; len(entry.Raw) == 0 && d != "" && d == old.Descriptor.Digest {
		f.SchemaV2Manifest, f.OCIManifest = old.SchemaV2Manifest, old.OCIManifest
	}
	data, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("the manifest is too large: its file would have %d bytes", len(data))
	}
	return data, nil
}
