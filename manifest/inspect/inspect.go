// Package inspect shows lists and images: [Read] reads one of the local store or of a registry, [Inspection.Predicates] the
// SBOMs and provenance attached to its images, and [Diff] compares two.
package inspect

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Inspection is a list, local or in a registry, or an image in a registry.
type Inspection struct {
	Name reference.Named
	// Local reports that List is in the local store.
	Local bool
	// List is the list; its entries have no Raw if it is from a registry. It has no entries if Image is
	// set.
	List manifest.List
	// Image is the image, nil for a list.
	Image *manifest.Entry
	// Attestations are those that the local list has of Image, if that is an entry.
	Attestations []manifest.Entry
	// Descriptor is that of the registry for Name, empty for a local list. Raw are its bytes.
	Descriptor ocispec.Descriptor
	Raw        []byte
}

// Read returns the local list called name or, if there is none, the list or image in the registry.
func Read(ctx context.Context, lists manifest.Lists, registry manifest.Fetcher, name reference.Named) (Inspection, error) {
	list, err := lists.Get(name)
	if err == nil {
		return Inspection{Name: name, Local: true, List: list}, nil
	}
	if !errdefs.IsNotFound(err) {
		return Inspection{}, err
	}
	c, err := registry.Fetch(ctx, name)
	if err != nil {
		return Inspection{}, err
	}
	found := Inspection{Name: name, Descriptor: c.Descriptor, Raw: c.Raw}
	if manifest.IsIndex(c.Descriptor.MediaType) {
		found.List, err = remoteList(name, c)
	} else {
		found.Image = &manifest.Entry{Ref: name, Source: name, Descriptor: c.Descriptor, Raw: c.Raw}
	}
	return found, err
}

// remoteList returns an index of a registry as a list without the bytes of its children.
func remoteList(name reference.Named, c manifest.Content) (manifest.List, error) {
	children, annotations, err := manifest.ParseIndex(c.Raw)
	if err != nil {
		return manifest.List{}, fmt.Errorf("reading index %s: %w", manifest.Familiar(name), err)
	}
	list := manifest.List{Name: name, MediaType: c.Descriptor.MediaType, Annotations: annotations}
	for _, d := range children {
		at, _ := reference.WithDigest(name, d.Digest) // with the tag, as docker manifest shows it; the digest is valid
		if d.Platform == nil {
			d.Platform = &ocispec.Platform{} // as docker manifest shows it
		}
		d.URLs, d.Data = nil, nil // which docker manifest does not show
		list.Entries = append(list.Entries, manifest.Entry{Ref: at, Source: name, Descriptor: d})
	}
	return list, nil
}

// Bytes returns the list or image byte for byte: as the registry has it or, for a local list, as it would be pushed. The error
// is errdefs.ErrFailedPrecondition while an entry is pending, and errdefs.ErrInvalidArgument if the bytes are not JSON.
func (i Inspection) Bytes() ([]byte, error) {
	raw := i.Raw
	switch {
	case i.Image != nil && i.Image.IsPending():
		_, err := i.Image.Text()
		return nil, err
	case i.Image != nil:
		raw = i.Image.Raw
	case i.Local:
		index, err := i.List.Index()
		if err != nil {
			return nil, err
		}
		raw = index.Raw
	}
	if !json.Valid(raw) {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s is not valid JSON", manifest.Familiar(i.Name))
	}
	return raw, nil
}

// images returns the images with their platforms; that of a single image may have to be read.
func (i Inspection) images(ctx context.Context, registry manifest.Fetcher) ([]manifest.Entry, error) {
	if i.Image == nil {
		return i.List.Images(), nil
	}
	image, err := manifest.ReadImage(ctx, registry, i.Name, manifest.Content{Descriptor: i.Descriptor, Raw: i.Image.Raw})
	return []manifest.Entry{image}, err
}

// For returns the image for a platform. The error is errdefs.ErrNotFound if there is none, and
// errdefs.ErrFailedPrecondition if there are several.
func (i Inspection) For(ctx context.Context, registry manifest.Fetcher, p manifest.Platform) (Inspection, error) {
	images, err := i.images(ctx, registry)
	if err == nil {
		images, err = imagesFor(images, p, i.Name)
	}
	if err != nil || i.Image != nil {
		return i, err
	}
	if len(images) > 1 {
		var digests []string
		for _, e := range images {
			digests = append(digests, e.Descriptor.Digest.String())
		}
		return i, manifest.Errorf(errdefs.ErrFailedPrecondition, "%s has several images for %s: %s", manifest.Familiar(i.Name), p, manifest.JoinSome(digests))
	}
	e, err := images[0].WithRaw(ctx, registry)
	return Inspection{Name: e.Ref, Local: i.Local, Image: &e, Descriptor: e.Descriptor}, err
}

// Text returns the output of docker manifest inspect: a list in the form in which it is pushed, or the manifest of
// the image indented by tabs.
func (i Inspection) Text() ([]byte, error) {
	if i.Image != nil {
		return i.Image.Text()
	}
	index, err := i.List.Content()
	return index.Raw, err
}

// Verbose returns the output of docker manifest inspect -v. Missing manifests are fetched from the registry; one
// that the registry does not have is a warning.
func (i Inspection) Verbose(ctx context.Context, registry manifest.Fetcher, reporter manifest.Reporter) ([]byte, error) {
	if i.Image != nil && i.Local {
		return json.MarshalIndent(i.Image.ImageManifest(), "", "\t")
	}
	if i.Image != nil {
		images, err := i.images(ctx, registry)
		if err != nil {
			return nil, err
		}
		return json.MarshalIndent(images[0].ImageManifest(), "", "\t")
	}
	out := make([]manifest.ImageManifest, len(i.List.Entries))
	absent := make([]bool, len(out))
	var group errgroup.Group
	for n, e := range i.List.Entries {
		group.Go(func() error {
			whole, err := e.WithRaw(ctx, registry)
			if errdefs.IsNotFound(err) {
				absent[n], whole, err = true, e, nil
			}
			out[n] = whole.ImageManifest()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	i.reportAbsent(absent, reporter)
	return json.MarshalIndent(out, "", "\t")
}

// maxAbsent bounds how many absent entries are named.
const maxAbsent = 20

// reportAbsent reports the entries that the registry lacks.
func (i Inspection) reportAbsent(absent []bool, reporter manifest.Reporter) {
	count := 0
	for n, e := range i.List.Entries {
		if !absent[n] {
			continue
		}
		if count++; count <= maxAbsent {
			reporter.Warn("%s is not in the registry", manifest.Familiar(e.Ref))
		}
	}
	if count > maxAbsent {
		reporter.Warn("%d more entries of %s are not in the registry", count-maxAbsent, manifest.Familiar(i.Name))
	}
}

// View is a list or an image for templates and --format json. Sizes are 0 if they are not known.
type View struct {
	Name        string            `json:"name"`                  // its reference
	MediaType   string            `json:"mediaType"`             // of the index or manifest
	Digest      digest.Digest     `json:"digest,omitempty"`      // absent for a local list with pending entries
	Size        int64             `json:"size,omitempty"`        // of the index or manifest itself, in bytes
	ImageSize   int64             `json:"imageSize,omitempty"`   // with --size, the download of all images in bytes; layers that images share count once
	Local       bool              `json:"local"`                 // whether it is a local list or an entry of one
	Annotations map[string]string `json:"annotations,omitempty"` // of the index
	Manifests   []ViewEntry       `json:"manifests"`             // images of the list in its order; none for an image in a registry
}

// ViewEntry is an image of a list, with its attestations.
type ViewEntry struct {
	Platform     string            `json:"platform,omitempty"`     // as in linux/arm/v7
	MediaType    string            `json:"mediaType,omitempty"`    // of the manifest
	Digest       digest.Digest     `json:"digest,omitempty"`       // absent while it is pending
	Size         int64             `json:"size,omitempty"`         // of the manifest itself, in bytes
	ImageSize    int64             `json:"imageSize,omitempty"`    // with --size, the download in bytes
	OSFeatures   []string          `json:"os.features,omitempty"`  // of the platform
	ArtifactType string            `json:"artifactType,omitempty"` // of an artifact
	Source       string            `json:"source,omitempty"`       // in a local list, what the entry was created from
	Pending      bool              `json:"pending,omitempty"`      // whether the image has to be pushed before the list
	Annotations  map[string]string `json:"annotations,omitempty"`  // of the entry
	Attestations []ViewEntry       `json:"attestations,omitempty"` // entries that describe this one
}

// View returns the inspection for templates and trees. The digest of a local list is empty while an
// entry is pending.
func (i Inspection) View() (View, error) {
	v := View{Name: manifest.Familiar(i.Name), Local: i.Local, Annotations: i.List.Annotations, Manifests: []ViewEntry{}}
	v.MediaType, v.Digest, v.Size = i.Descriptor.MediaType, i.Descriptor.Digest, i.Descriptor.Size
	if i.Image != nil && i.Local {
		v.Annotations = nil
		v.Manifests = append(v.Manifests, viewEntry(*i.Image, true))
	}
	if i.Image != nil {
		return v, nil
	}
	if i.Local {
		var err error
		if v.MediaType, err = i.List.IndexType(); err != nil {
			return v, err
		}
		if index, err := i.List.Index(); err == nil {
			v.Digest, v.Size = index.Descriptor.Digest, index.Descriptor.Size
		}
	}
	listed, shown := i.List.Digests(), map[digest.Digest]bool{}
	var unlinked []ViewEntry
	for _, e := range i.List.Entries {
		entry := viewEntry(e, i.Local)
		switch d := e.Descriptor.Digest; {
		case manifest.IsAttestation(e.Descriptor):
			if !listed[e.Subject()] {
				unlinked = append(unlinked, entry)
			}
			continue
		case !shown[d]:
			for _, a := range i.List.Attestations(d) {
				entry.Attestations = append(entry.Attestations, viewEntry(a, i.Local))
			}
			shown[d] = true
		}
		v.Manifests = append(v.Manifests, entry)
	}
	v.Manifests = append(v.Manifests, unlinked...)
	return v, nil
}

// Sized is View with the download sizes of the images and of all of them together, see [ImageSize]. Manifests that are not
// known are fetched. The sizes of an image that is pending or not in the registry, and with it that of the
// whole, stay 0; the latter is a warning.
func (i Inspection) Sized(ctx context.Context, registry manifest.Fetcher, reporter manifest.Reporter) (View, error) {
	v, err := i.View()
	if err != nil {
		return v, err
	}
	images := i.List.Images()
	if i.Image != nil {
		images = []manifest.Entry{*i.Image}
	}
	nodes, errs := make([]manifest.Node, len(images)), make([]error, len(images))
	manifest.Concurrently(len(images), func(n int) {
		var e manifest.Entry
		if e, errs[n] = images[n].WithRaw(ctx, registry); errs[n] == nil && !e.IsPending() {
			nodes[n], errs[n] = manifest.ParseNode(e.Content())
		}
	})
	sizes := map[digest.Digest]int64{}
	complete := true
	for n, e := range images {
		switch {
		case errdefs.IsNotFound(errs[n]):
			reporter.Warn("%s is not in the registry", manifest.Familiar(e.Ref))
			complete = false
		case errs[n] != nil:
			return v, errs[n]
		case nodes[n].Config == nil: // pending, or an index
			complete = false
		default:
			sizes[e.Descriptor.Digest] = manifest.ImageSize(nodes[n])
		}
	}
	if complete {
		v.ImageSize = manifest.ImageSize(nodes...)
	}
	for n := range v.Manifests {
		v.Manifests[n].ImageSize = sizes[v.Manifests[n].Digest]
	}
	return v, nil
}

func viewEntry(e manifest.Entry, local bool) ViewEntry {
	v := ViewEntry{
		MediaType: e.Descriptor.MediaType, Digest: e.Descriptor.Digest, Size: e.Descriptor.Size,
		OSFeatures: e.Platform().OSFeatures, Pending: e.IsPending(), Annotations: e.Descriptor.Annotations,
	}
	if !manifest.IsAttestation(e.Descriptor) {
		v.ArtifactType = e.ArtifactType()
		if !e.LacksPlatform() {
			v.Platform = manifest.FormatPlatform(e.Platform())
		}
	}
	if local {
		v.Source = manifest.Familiar(e.Source)
	}
	return v
}

// ReadEntry returns the entry of a local list that selector names. The manifest of one without bytes
// (from a list of an older docker) is fetched from the registry.
func ReadEntry(ctx context.Context, lists manifest.Lists, registry manifest.Fetcher, name reference.Named, selector string) (Inspection, error) {
	list, err := lists.Get(name)
	if err != nil {
		return Inspection{}, err
	}
	i, err := list.SelectOne(selector)
	if err != nil {
		return Inspection{}, err
	}
	e, err := list.Entries[i].WithRaw(ctx, registry)
	return Inspection{Name: e.Ref, Local: true, Image: &e, Attestations: list.Attestations(e.Descriptor.Digest), Descriptor: e.Descriptor}, err
}
