package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Difference is what distinguishes two images or lists.
type Difference struct {
	Old     DiffSide     `json:"old"`     // the first of the two
	New     DiffSide     `json:"new"`     // the second
	State   DiffState    `json:"state"`   // unknown only if no difference was found
	Changes []DiffChange `json:"changes"` // fields of the lists themselves that differ
	Entries []DiffEntry  `json:"entries"` // in the order of the old list, then of the new one
}

// DiffSide is one of the two that are compared.
type DiffSide struct {
	Name      string        `json:"name"`             // its reference
	MediaType string        `json:"mediaType"`        // of the index or manifest
	Digest    digest.Digest `json:"digest,omitempty"` // absent for a list with pending entries
}

// DiffState is how two of a kind compare.
type DiffState string

// The states of entries and of a whole comparison, which is DiffChanged if anything differs.
const (
	DiffSame    DiffState = "same"
	DiffChanged DiffState = "changed"
	DiffAdded   DiffState = "added"
	DiffRemoved DiffState = "removed"
	DiffUnknown DiffState = "unknown"
)

// DiffChange is a field that differs; Old or New is empty where the field is absent. A value that is no string is JSON.
type DiffChange struct {
	Field string `json:"field"`         // its name, such as platform or annotation KEY
	Old   string `json:"old,omitempty"` // the old value
	New   string `json:"new,omitempty"` // the new value
}

// DiffEntry is an entry of one or of both lists.
type DiffEntry struct {
	Platform     string `json:"platform,omitempty"`     // as in linux/arm/v7
	Kind         string `json:"kind"`                   // image, index, attestation or artifact
	ArtifactType string `json:"artifactType,omitempty"` // of an artifact

	State DiffState     `json:"state"`         // how the entry compares
	Old   digest.Digest `json:"old,omitempty"` // digest in the old list
	New   digest.Digest `json:"new,omitempty"` // digest in the new list

	// The rest is known for changed entries. The sizes are those of [ImageSize].

	OldImageSize int64        `json:"oldImageSize,omitempty"` // old download in bytes: manifest, config and layers
	NewImageSize int64        `json:"newImageSize,omitempty"` // new download in bytes
	Changes      []DiffChange `json:"changes,omitempty"`      // fields of entry, manifest and config that differ
	Layers       *DiffLayers  `json:"layers,omitempty"`       // of a changed entry
	Error        string       `json:"error,omitempty"`        // why content of the entry could not be compared
}

// DiffLayers are the layers of a changed entry.
type DiffLayers struct {
	Shared  []DiffLayer `json:"shared"`  // layers of both
	Removed []DiffLayer `json:"removed"` // layers only of the old entry
	Added   []DiffLayer `json:"added"`   // layers only of the new entry
}

// DiffLayer is a layer with its size in bytes.
type DiffLayer struct {
	Digest digest.Digest `json:"digest"` // of the layer
	Size   int64         `json:"size"`   // in bytes, compressed
}

// Diff compares two images or lists, each local or in a registry. It reads the manifests and configs of those entries
// whose digests differ. What cannot be read of an entry is in its Error; the error is that of reading old or new itself.
func Diff(ctx context.Context, lists manifest.Lists, registry manifest.Fetcher, older, newer reference.Named) (Difference, error) {
	var sides [2]diffSide
	var group errgroup.Group
	for i, name := range []reference.Named{older, newer} {
		group.Go(func() (err error) {
			sides[i], err = readDiffSide(ctx, lists, registry, name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Difference{}, err
	}
	was, is := sides[0], sides[1]
	pairs := pair(was.entries, is.entries)
	out := Difference{Old: was.DiffSide, New: is.DiffSide, State: DiffSame, Entries: make([]DiffEntry, len(pairs))}
	manifest.Concurrently(len(pairs), func(i int) { out.Entries[i] = pairs[i].compare(ctx, registry) })
	out.Changes = compareLists(was, is, pairs)
	out.conclude()
	return out, ctx.Err()
}

// conclude sets the state of the whole, and adds the digests to changes if nothing else explains that they differ.
func (d *Difference) conclude() {
	for _, e := range d.Entries {
		switch {
		case e.State != DiffSame && e.State != DiffUnknown:
			d.State = DiffChanged
		case e.State == DiffUnknown && d.State == DiffSame:
			d.State = DiffUnknown
		}
	}
	if d.State == DiffSame && len(d.Changes) == 0 && d.Old.Digest != "" && d.New.Digest != "" {
		d.Changes = change(d.Changes, "digest", d.Old.Digest.String(), d.New.Digest.String())
	}
	if len(d.Changes) > 0 {
		d.State = DiffChanged
	}
}

// diffSide is one side with its entries; a single image is its own only entry.
type diffSide struct {
	DiffSide
	annotations map[string]string
	entries     []diffItem
}

// diffItem is an entry with what it is compared by.
type diffItem struct {
	manifest.Entry
	key      string
	kind     string
	platform string
}

func readDiffSide(ctx context.Context, lists manifest.Lists, registry manifest.Fetcher, name reference.Named) (diffSide, error) {
	found, err := Read(ctx, lists, registry, name)
	if err != nil {
		return diffSide{}, err
	}
	view, err := found.View()
	if err != nil {
		return diffSide{}, err
	}
	side := diffSide{DiffSide: DiffSide{view.Name, view.MediaType, view.Digest}, annotations: view.Annotations}
	entries := found.List.Entries
	if found.Image != nil {
		side.annotations = nil // compared with the image
		if entries, err = found.images(ctx, registry); err != nil {
			return diffSide{}, err
		}
	}
	platforms := map[digest.Digest]string{}
	for _, e := range entries {
		if !manifest.IsAttestation(e.Descriptor) {
			platforms[e.Descriptor.Digest] = manifest.FormatPlatform(e.Platform())
		}
	}
	for _, e := range entries {
		item := diffItem{Entry: e, kind: manifest.KindImage, key: manifest.PlatformKey(e.Platform()), platform: manifest.FormatPlatform(e.Platform())}
		switch artifact := e.Descriptor.ArtifactType; {
		case manifest.IsAttestation(e.Descriptor):
			item.kind, item.platform = manifest.KindAttestation, platforms[e.Subject()]
			item.key = item.platform
		case manifest.IsIndex(e.Descriptor.MediaType):
			item.kind = manifest.KindIndex
		case artifact != "":
			item.kind, item.key = manifest.KindArtifact, artifact+" "+item.key
		}
		if item.kind != manifest.KindImage && item.kind != manifest.KindAttestation && manifest.StatedPlatform(e.Descriptor) == nil {
			item.platform = ""
		}
		item.key = item.kind + " " + item.key
		side.entries = append(side.entries, item)
	}
	return side, nil
}

// diffPair is an entry of both sides, or of one.
type diffPair struct{ was, is *diffItem }

// pair matches entries of the same platform and kind: of several those of one digest, then the others in their order.
func pair(was, is []diffItem) (out []diffPair) {
	taken := make([]bool, len(is))
	take := func(old diffItem, match func(diffItem) bool) *diffItem {
		for i := range is {
			if !taken[i] && is[i].key == old.key && match(is[i]) {
				taken[i] = true
				return &is[i]
			}
		}
		return nil
	}
	out = make([]diffPair, len(was))
	for i := range was {
		out[i].was = &was[i]
		out[i].is = take(was[i], func(n diffItem) bool { return n.sameAs(was[i]) })
	}
	for i := range out {
		if out[i].is == nil {
			out[i].is = take(was[i], func(diffItem) bool { return true })
		}
	}
	for i := range is {
		if !taken[i] {
			out = append(out, diffPair{is: &is[i]})
		}
	}
	return out
}

// sameAs reports whether both are the same content, or the same pending image.
func (e diffItem) sameAs(other diffItem) bool {
	if e.IsPending() && other.IsPending() && e.Pending != nil && other.Pending != nil {
		return e.Pending.ID == other.Pending.ID && e.Pending.Manifest == other.Pending.Manifest
	}
	return !e.IsPending() && e.Descriptor.Digest == other.Descriptor.Digest
}

// compare compares one pair of entries.
func (p diffPair) compare(ctx context.Context, registry manifest.Fetcher) DiffEntry {
	item := p.was
	if item == nil {
		item = p.is
	}
	out := DiffEntry{Platform: item.platform, Kind: item.kind, State: DiffSame}
	if item.kind == manifest.KindArtifact {
		out.ArtifactType = item.Descriptor.ArtifactType
	}
	switch {
	case p.is == nil:
		out.State, out.Old = DiffRemoved, p.was.Descriptor.Digest
		return out
	case p.was == nil:
		out.State, out.New = DiffAdded, p.is.Descriptor.Digest
		return out
	}
	out.Old, out.New = p.was.Descriptor.Digest, p.is.Descriptor.Digest
	was, is := p.was.Descriptor, p.is.Descriptor
	if p.was.IsPending() || p.is.IsPending() {
		was.MediaType = is.MediaType
	}
	out.Changes = compareDescriptors(was, is)
	switch {
	case p.was.sameAs(*p.is):
	case p.was.IsPending() || p.is.IsPending():
		out.State, out.Error = DiffUnknown, "it is pending until the list is pushed"
	default:
		out.State = DiffChanged
		if err := p.compareContent(ctx, registry, &out); err != nil {
			out.Error = err.Error()
		}
	}
	if len(out.Changes) > 0 {
		out.State = DiffChanged
	}
	return out
}

// compareContent adds how manifests and configs of a changed entry differ.
func (p diffPair) compareContent(ctx context.Context, registry manifest.Fetcher, out *DiffEntry) error {
	var nodes [2]manifest.Node
	var configs [2]map[string]string
	var group errgroup.Group
	for i, e := range []manifest.Entry{p.was.Entry, p.is.Entry} {
		group.Go(func() (err error) {
			nodes[i], configs[i], err = readDiffEntry(ctx, registry, e)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	was, is := nodes[0], nodes[1]
	out.Changes = compareMaps(out.Changes, "annotation ", was.Annotations(), is.Annotations())
	out.Changes = compareMaps(out.Changes, "", configs[0], configs[1])
	if was.Config == nil || is.Config == nil {
		return nil
	}
	out.OldImageSize, out.NewImageSize = manifest.ImageSize(was), manifest.ImageSize(is)
	layers := compareLayers(was.Layers, is.Layers)
	out.Layers = &layers
	return nil
}

// readDiffEntry returns the manifest of e and, of an image, what its config says by field.
func readDiffEntry(ctx context.Context, registry manifest.Fetcher, e manifest.Entry) (manifest.Node, map[string]string, error) {
	whole, err := e.WithRaw(ctx, registry)
	if err != nil {
		return manifest.Node{}, nil, err
	}
	n, err := manifest.ParseNode(whole.Content())
	if err != nil || n.Config == nil || !manifest.IsImageConfig(n.Config.MediaType) {
		return n, nil, err
	}
	raw, err := registry.Blob(ctx, e.Ref, *n.Config)
	if err != nil {
		return n, nil, err
	}
	fields, err := configFields(raw)
	return n, fields, err
}

// configFields returns what an image config says, by field: each variable, label, port and volume is a field of its own.
// History and the digests of layers are left out: layers are compared by themselves.
func configFields(raw []byte) (map[string]string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("the image config is not valid JSON (%w)", err)
	}
	out := map[string]string{}
	var config map[string]json.RawMessage
	if json.Unmarshal(all["config"], &config) != nil {
		config = nil // shown as it is
	} else {
		delete(all, "config")
	}
	for _, key := range []string{"history", "rootfs", "container", "container_config", "docker_version"} {
		delete(all, key)
	}
	for key, value := range all {
		out[key] = plainJSON(value)
	}
	for key, value := range config {
		var members map[string]json.RawMessage
		var variables []string
		switch {
		case key == "Env" && json.Unmarshal(value, &variables) == nil:
			for _, kv := range variables {
				name, v, _ := strings.Cut(kv, "=")
				out["env "+name] = v
			}
		case configSets[key] != "" && json.Unmarshal(value, &members) == nil:
			for member, v := range members {
				out[configSets[key]+" "+member] = plainJSON(v)
			}
		case string(value) != "null":
			out[strings.ToLower(key)] = plainJSON(value)
		}
	}
	return out, nil
}

// configSets are the members of a config that are sets or maps, with the name of a member of each.
var configSets = map[string]string{"Labels": "label", "ExposedPorts": "port", "Volumes": "volume"}

// plainJSON returns the text of a JSON string, and other JSON as it is.
func plainJSON(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// compareLayers tells layers apart by digest, each as often as it occurs.
func compareLayers(was, is []ocispec.Descriptor) DiffLayers {
	out := DiffLayers{Shared: []DiffLayer{}, Removed: []DiffLayer{}, Added: []DiffLayer{}}
	count := map[digest.Digest]int{}
	for _, d := range is {
		count[d.Digest]++
	}
	for _, d := range was {
		layer := DiffLayer{d.Digest, d.Size}
		if count[d.Digest] > 0 {
			count[d.Digest]--
			out.Shared = append(out.Shared, layer)
		} else {
			out.Removed = append(out.Removed, layer)
		}
	}
	for _, d := range slices.Backward(is) {
		if count[d.Digest] > 0 {
			count[d.Digest]--
			out.Added = append(out.Added, DiffLayer{d.Digest, d.Size})
		}
	}
	slices.Reverse(out.Added)
	return out
}

// compareDescriptors returns the fields of two descriptors that differ, digest and size aside.
func compareDescriptors(was, is ocispec.Descriptor) []DiffChange {
	changes := change(nil, "mediaType", was.MediaType, is.MediaType)
	changes = change(changes, "artifactType", was.ArtifactType, is.ArtifactType)
	changes = change(changes, "platform", platformText(was.Platform), platformText(is.Platform))
	a, b := maps.Clone(was.Annotations), maps.Clone(is.Annotations)
	delete(a, manifest.AnnotationReferenceDigest) // the subject: its own entry has changed
	delete(b, manifest.AnnotationReferenceDigest)
	return compareMaps(changes, "descriptor annotation ", a, b)
}

func platformText(p *ocispec.Platform) string {
	if p == nil {
		return ""
	}
	return strings.Join(append([]string{manifest.FormatPlatform(*p)}, p.OSFeatures...), " ")
}

// compareLists returns the fields of the lists themselves that differ.
func compareLists(was, is diffSide, pairs []diffPair) []DiffChange {
	changes := []DiffChange{}
	if was.Digest != "" && is.Digest != "" { // the type may change with what is pending
		changes = change(changes, "mediaType", was.MediaType, is.MediaType)
	}
	changes = compareMaps(changes, "annotation ", was.annotations, is.annotations)
	var before, after []string
	position := map[*diffItem]int{}
	for i, p := range pairs {
		if p.was != nil && p.is != nil {
			position[p.is] = i
			before = append(before, p.was.platform)
		}
	}
	last, moved := -1, false
	for i := range is.entries {
		at, both := position[&is.entries[i]]
		if !both {
			continue
		}
		after = append(after, is.entries[i].platform)
		moved, last = moved || at < last, max(at, last)
	}
	if moved {
		changes = change(changes, "order", strings.Join(before, " "), strings.Join(after, " "))
	}
	return changes
}

func compareMaps(changes []DiffChange, prefix string, was, is map[string]string) []DiffChange {
	for _, key := range slices.Sorted(maps.Keys(manifest.MergeAnnotations(was, is))) {
		changes = change(changes, prefix+key, was[key], is[key])
	}
	return changes
}

func change(changes []DiffChange, field, was, is string) []DiffChange {
	if was == is {
		return changes
	}
	return append(changes, DiffChange{field, was, is})
}
