// Package layout reads and writes images outside of registries: OCI image layouts, in a folder or a tar, and the archives
// of 'docker save'.
//
// Content is fetched from and stored in a layout as in a repository of a registry. [Layouts] therefore answers the requests
// of the distribution spec for each layout, in this process, so that whatever reads and writes repositories reads and
// writes layouts. The package knows neither registries nor lists.
//
// An archive is read in place, from a temporary file if it is compressed. No link leads out of a folder, and in an archive
// of docker save only a layer may be a link. What is written to a folder is in it once the request is answered; a tar is
// written by [Layouts.Commit].
package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Bounds of what is read into memory.
const (
	maxIndex    = 64 << 20 // bytes of index.json
	maxManifest = 4 << 20  // bytes of a manifest, and of the manifest.json of docker save
)

// Annotations of an entry of index.json that name it beside [ocispec.AnnotationRefName].
const (
	annotationImageName = "io.containerd.image.name"
	annotationSubject   = "io.containerd.manifest.subject"
)

// files are the files of a layout by their names with slashes. Open returns an fs.ErrNotExist error for one that does not
// exist.
type files interface {
	open(name string) (io.ReadCloser, int64, error)
	io.Closer
}

// blobName returns the name of a blob in a layout.
func blobName(d digest.Digest) string { return "blobs/" + d.Algorithm().String() + "/" + d.Encoded() }

// layout is the content of a layout as it is read.
type layout struct {
	// name is that of the layout for errors.
	name  string
	files files
	index ocispec.Index
	// note receives a line for what is left out.
	note func(format string, args ...any)

	findDescribing sync.Once
	describing     map[digest.Digest][]digest.Digest
}

// read reads oci-layout and index.json.
func (l *layout) read() error {
	if err := l.checkVersion(); err != nil {
		return err
	}
	var index struct {
		ocispec.Index
		Manifests entries `json:"manifests"`
	}
	if err := l.parse(ocispec.ImageIndexFile, maxIndex, &index); err != nil {
		return err
	}
	l.index = index.Index
	l.index.Manifests = index.Manifests
	return nil
}

// checkVersion returns an error for a layout that is none, or of another version of the format.
func (l *layout) checkVersion() error {
	var header ocispec.ImageLayout
	if err := l.parse(ocispec.ImageLayoutFile, maxManifest, &header); err != nil {
		return err
	}
	if header.Version != ocispec.ImageLayoutVersion {
		return l.invalid("%s has the version %q, not %s", ocispec.ImageLayoutFile, manifest.OneLine(header.Version, 80), ocispec.ImageLayoutVersion)
	}
	return nil
}

// parse reads a file of JSON.
func (l *layout) parse(name string, limit int64, to any) error {
	raw, err := l.small(name, limit)
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		return l.invalid("%s: %w", name, err)
	}
	return nil
}

// entries are those of index.json. The first that is invalid ends the reading: "{}" takes three bytes of JSON and a hundred
// times as much memory.
type entries []ocispec.Descriptor

func (e *entries) UnmarshalJSON(raw []byte) error {
	*e = nil
	if raw[0] != '[' {
		return json.Unmarshal(raw, (*[]ocispec.Descriptor)(e)) // null, or an error
	}
	array := json.NewDecoder(bytes.NewReader(raw))
	_, err := array.Token()
	for err == nil && array.More() {
		var d ocispec.Descriptor
		switch err = array.Decode(&d); {
		case err != nil:
		case d.Digest.Validate() != nil || d.Size < 0:
			err = fmt.Errorf("entry %d has the digest %q and the size %d", len(*e)+1, manifest.OneLine(d.Digest.String(), 200), d.Size)
		case len(*e) == maxMembers:
			err = fmt.Errorf("it has more than %d entries", maxMembers)
		}
		*e = append(*e, d)
	}
	return err
}

func (l *layout) invalid(format string, args ...any) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "%s is not an image layout: %w", l.name, fmt.Errorf(format, args...))
}

// small returns the content of a file of at most limit bytes.
func (l *layout) small(name string, limit int64) ([]byte, error) {
	file, size, err := l.files.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size > limit {
		return nil, fmt.Errorf("it has %d bytes, more than %d MiB", size, limit>>20)
	}
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(raw)) != size {
		err = fmt.Errorf("it has %d bytes instead of %d", len(raw), size)
	}
	return raw, err
}

// manifest returns the manifest d. The error is errdefs.ErrNotFound if the layout does not have it.
func (l *layout) manifest(d digest.Digest) (manifest.Content, error) {
	raw, err := l.small(blobName(d), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest.Content{}, l.absent(d)
	}
	if err != nil {
		return manifest.Content{}, manifest.Errorf(errdefs.ErrInvalidArgument, "%s: manifest %s: %w", l.name, d, err)
	}
	if actual := d.Algorithm().FromBytes(raw); actual != d {
		return manifest.Content{}, manifest.Errorf(errdefs.ErrDataLoss, "%s: manifest %s has the digest %s", l.name, d, actual)
	}
	return manifest.Content{Descriptor: ocispec.Descriptor{MediaType: mediaType(raw), Digest: d, Size: int64(len(raw))}, Raw: raw}, nil
}

// mediaType returns the media type that a manifest states or, by its fields, has.
func mediaType(raw []byte) string {
	var m struct {
		MediaType string          `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
	}
	_ = json.Unmarshal(raw, &m) // whoever parses it finds the error
	switch {
	case m.MediaType != "":
		return m.MediaType
	case m.Manifests != nil:
		return ocispec.MediaTypeImageIndex
	}
	return ocispec.MediaTypeImageManifest
}

// absent is the error that content is not there: with the platform that an index states for it, or for the image that needs
// it, and a hint to the platforms of that index whose manifests are there.
func (l *layout) absent(d digest.Digest) error {
	for _, e := range l.index.Manifests {
		children := l.node(e).Children
		is := func(other ocispec.Descriptor) bool { return other.Digest == d }
		i := slices.IndexFunc(children, func(child ocispec.Descriptor) bool {
			return is(child) || slices.ContainsFunc(l.node(child).Blobs(), is)
		})
		if i < 0 || children[i].Platform == nil {
			continue
		}
		err := manifest.Errorf(errdefs.ErrNotFound, "%s does not have %s (%s)", l.name, platform(children[i]), d)
		var held []string
		for j, child := range children {
			if j != i && manifest.HasPlatform(child) && len(l.node(child).Blobs()) > 0 {
				held = append(held, platform(child))
			}
		}
		if len(held) > 0 {
			err = manifest.WithHint(err, "to use only what it has: --platform %s", strings.Join(held, ","))
		}
		return err
	}
	return manifest.Errorf(errdefs.ErrNotFound, "%s does not have %s", l.name, d)
}

func platform(d ocispec.Descriptor) string {
	return manifest.OneLine(manifest.FormatPlatform(*d.Platform), 100)
}

// node returns the children or blobs of an index or image, none if it is absent or invalid; other fields may be odd.
func (l *layout) node(d ocispec.Descriptor) (n manifest.Node) {
	raw, err := l.small(blobName(d.Digest), maxManifest)
	if err != nil {
		return n
	}
	if manifest.IsIndex(d.MediaType) {
		n.Children, _, _ = manifest.ParseIndex(raw)
	} else if config, layers, err := manifest.ParseImage(raw); err == nil {
		n.Config, n.Layers = &config, layers
	}
	return n
}

// names returns the tags and names of an entry of index.json.
func names(d ocispec.Descriptor) []string {
	var out []string
	for _, name := range []string{d.Annotations[ocispec.AnnotationRefName], d.Annotations[annotationImageName]} {
		if name == "" {
			continue
		}
		out = append(out, name)
		if ref, err := manifest.ParseReference(name); err == nil && strings.ContainsAny(name, "/:") {
			if tagged, ok := ref.(interface{ Tag() string }); ok {
				out = append(out, tagged.Tag())
			}
			out = append(out, manifest.Familiar(ref))
		}
	}
	return out
}

// resolve returns the entry that name names: a tag, a name of docker save, or manifest.OnlyImage.
func (l *layout) resolve(name string) (ocispec.Descriptor, error) {
	if name == manifest.OnlyImage {
		return l.only()
	}
	wanted := []string{name}
	if ref, err := manifest.ParseName(name); err == nil && strings.ContainsAny(name, "/:") {
		wanted = append(wanted, manifest.Familiar(ref))
	}
	for _, d := range slices.Backward(l.index.Manifests) { // exactly the tag, then other names of the same meaning; a later entry replaces an earlier one
		if d.Annotations[ocispec.AnnotationRefName] == name {
			return d, nil
		}
	}
	for _, d := range slices.Backward(l.index.Manifests) {
		if slices.ContainsFunc(names(d), func(n string) bool { return slices.Contains(wanted, n) }) {
			return d, nil
		}
	}
	return ocispec.Descriptor{}, manifest.Errorf(errdefs.ErrNotFound, "%s has no image %s; it has: %s", l.name, name, l.listed())
}

// fullName returns the full name of the image that ref names, nil for none.
func (l *layout) fullName(ref reference.Named) reference.Named {
	var entry ocispec.Descriptor
	switch named := ref.(type) {
	case reference.Digested:
		is := func(d ocispec.Descriptor) bool {
			return d.Digest == named.Digest() && d.Annotations[annotationImageName] != ""
		}
		if i := slices.IndexFunc(l.index.Manifests, is); i >= 0 {
			entry = l.index.Manifests[i]
		}
	case reference.Tagged:
		entry, _ = l.resolve(named.Tag()) // the read that follows reports the error
	}
	name, err := manifest.ParseName(entry.Annotations[annotationImageName])
	if err != nil {
		return nil
	}
	return name
}

// tags returns the tags of all entries, each once, and notes the images that others hide: those that no tag resolves to.
func (l *layout) tags() []string {
	var out []string
	all, digests := make([][]string, len(l.index.Manifests)), map[string]digest.Digest{}
	exact := map[string]bool{}
	for i, d := range l.index.Manifests {
		for _, name := range names(d) {
			if strings.ContainsAny(name, "/:@") {
				continue
			}
			if digests[name] == "" {
				out = append(out, name)
			}
			if isExact := name == d.Annotations[ocispec.AnnotationRefName]; isExact || !exact[name] { // as resolve does
				digests[name], exact[name] = d.Digest, isExact
			}
			all[i] = append(all[i], name)
		}
	}
	for i, d := range l.index.Manifests {
		isHidden := !slices.ContainsFunc(all[i], func(tag string) bool { return digests[tag] == d.Digest })
		if isHidden && len(all[i]) > 0 {
			l.note("%s has several images with the tag %s: %s is left out", l.name, manifest.OneLine(all[i][0], 200), manifest.OneLine(nameOf(d), 200))
		}
	}
	return out
}

// only returns the only image: an entry of index.json that is neither listed nor described by another entry.
func (l *layout) only() (ocispec.Descriptor, error) {
	below := map[digest.Digest]bool{}
	for _, d := range l.index.Manifests {
		for _, child := range l.node(d).Children {
			below[child.Digest] = true
		}
	}
	var roots []ocispec.Descriptor
	for _, d := range l.index.Manifests {
		_, isDigestTag := manifest.CutDigestTag(d.Annotations[ocispec.AnnotationRefName])
		isRoot := func(r ocispec.Descriptor) bool { return r.Digest == d.Digest }
		if below[d.Digest] || isDigestTag || slices.ContainsFunc(roots, isRoot) {
			continue
		}
		if subject, _ := l.subject(d); subject == "" { // one that cannot be read is not silently passed over
			roots = append(roots, d)
		}
	}
	switch len(roots) {
	case 1:
		return roots[0], nil
	case 0:
		return ocispec.Descriptor{}, manifest.Errorf(errdefs.ErrNotFound, "%s has no image", l.name)
	}
	err := manifest.Errorf(errdefs.ErrInvalidArgument, "%s has several images: %s", l.name, l.listed())
	return ocispec.Descriptor{}, manifest.WithHint(err, "name one of them: %s%s", l.name, l.suffix(roots[0]))
}

// suffix returns what names an entry behind the path of its layout or archive.
func (l *layout) suffix(d ocispec.Descriptor) string {
	isArchive := strings.HasPrefix(l.name, manifest.ArchiveScheme)
	for _, name := range names(d) {
		ref, err := manifest.ParseName("x:" + name)
		if tagged, ok := ref.(reference.Tagged); err == nil && ok && tagged.Tag() == name {
			return ":" + name
		}
		if _, err := manifest.ParseName(name); err == nil && isArchive {
			return ":" + name
		}
	}
	return "@" + d.Digest.String()
}

// nameOf returns the first name of an entry of index.json, otherwise its digest.
func nameOf(d ocispec.Descriptor) string {
	if all := names(d); len(all) > 0 {
		return all[0]
	}
	return d.Digest.String()
}

// listed lists the images for an error.
func (l *layout) listed() string {
	var all []string
	known := map[string]bool{}
	for _, d := range l.index.Manifests {
		if name := nameOf(d); !known[name] {
			all = append(all, name)
			known[name] = true
		}
	}
	if len(all) == 0 {
		return "nothing"
	}
	return manifest.OneLine(manifest.JoinSome(all), 1000)
}

// subject returns the digest that an entry of index.json describes: the subject of its manifest, or what buildx notes
// beside it, even if the manifest cannot be read; "" for none.
func (l *layout) subject(d ocispec.Descriptor) (digest.Digest, error) {
	var subject digest.Digest
	raw, err := l.small(blobName(d.Digest), maxManifest)
	if err == nil {
		subject, err = subjectOf(raw)
	}
	if noted := digest.Digest(d.Annotations[annotationSubject]); noted.Validate() == nil {
		subject = noted
	}
	return subject, err
}

// subjectOf returns the digest that a manifest describes, "" for none.
func subjectOf(raw []byte) (digest.Digest, error) {
	var m struct {
		Subject *ocispec.Descriptor `json:"subject"`
	}
	if err := json.Unmarshal(raw, &m); err != nil || m.Subject == nil {
		return "", err
	}
	return m.Subject.Digest, nil
}

// referrersOf returns the entries of index.json that describe a digest. What cannot be read is noted once.
func (l *layout) referrersOf(subject digest.Digest) []digest.Digest {
	l.findDescribing.Do(func() {
		l.describing = map[digest.Digest][]digest.Digest{}
		for _, d := range l.index.Manifests {
			switch of, err := l.subject(d); {
			case err != nil:
				l.leaveOut(d.Digest, err)
			case of != "":
				l.describing[of] = append(l.describing[of], d.Digest)
			}
		}
	})
	return l.describing[subject]
}

// leaveOut notes that a manifest cannot be read, and that nobody knows what it describes.
func (l *layout) leaveOut(d digest.Digest, err error) {
	l.note("%s: %s cannot be read, and is left out of the referrers: %v", l.name, d, err)
}

// referrers returns the index under the referrers tag of a digest: with the entries of the one that the layout has, and all
// others of index.json that describe the digest. The error is errdefs.ErrNotFound if there are none. An index that cannot be
// read is another error, an entry of index.json that cannot be read is noted.
func (l *layout) referrers(subject digest.Digest, tag string) (manifest.Content, error) {
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	index.SchemaVersion = 2
	if d, err := l.resolve(tag); err == nil {
		c, err := l.manifest(d.Digest)
		if err == nil && manifest.IsIndex(c.Descriptor.MediaType) {
			index.Manifests, index.Annotations, err = manifest.ParseIndex(c.Raw)
		}
		if err != nil {
			return manifest.Content{}, manifest.Errorf(errdefs.ErrDataLoss, "%s: the referrers of %s cannot be read: %v", l.name, subject, err) // not absent
		}
	}
	for _, d := range l.referrersOf(subject) {
		if slices.ContainsFunc(index.Manifests, func(other ocispec.Descriptor) bool { return other.Digest == d }) {
			continue
		}
		c, err := l.manifest(d)
		var n manifest.Node
		if err == nil {
			n, err = manifest.ParseNode(c)
		}
		if err != nil {
			l.leaveOut(d, err)
			continue
		}
		referrer := c.Descriptor
		referrer.ArtifactType, referrer.Annotations = n.ArtifactType, n.Annotations()
		index.Manifests = append(index.Manifests, referrer)
	}
	if len(index.Manifests) == 0 {
		return manifest.Content{}, manifest.Errorf(errdefs.ErrNotFound, "%s has no referrers of %s", l.name, subject)
	}
	raw, _ := json.Marshal(index) // it has only strings and numbers
	return manifest.NewContent(index.MediaType, raw), nil
}
