package display

import (
	"cmp"
	"io"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

const (
	tagTable      = "table {{.Tag}}\t{{.Digest}}\t{{.Kind}}\t{{.Platforms}}\t{{.Size}}"
	manifestTable = "table {{.Digest}}\t{{.Tags}}\t{{.Kind}}\t{{.Platforms}}\t{{.Size}}\t{{.Created}}"
)

// Listing is how tags or manifests are shown: in a format of the docker CLI, or only their names. Dated adds when they
// were created to the table of tags.
type Listing struct {
	Format  string
	Quiet   bool
	NoTrunc bool
	Dated   bool
}

// format returns the format that stands for a Listing, and the style of its rows.
func (l Listing) format(name, table string) (string, style) {
	switch {
	case l.Quiet:
		return name, style{}
	case l.Format != "" && l.Format != formatter.TableFormatKey:
		return l.Format, style{}
	case l.Dated && table == tagTable:
		table += "\t{{.Created}}"
	}
	return table, style{table: true, cut: !l.NoTrunc}
}

// style says that a row is one of our own table, for people, and that digests are shortened.
type style struct{ table, cut bool }

// TagDetail returns what has to be read of tags to show them. When their images were created is not part of {{json .}}.
func (l Listing) TagDetail() repository.Detail {
	format, _ := l.format("{{.Tag}}", tagTable)
	return detail(format, repository.DetailPlatform)
}

// ManifestDetail returns what has to be read of manifests to show them.
func (l Listing) ManifestDetail() repository.Detail {
	format, _ := l.format("{{.Digest}}", manifestTable)
	return detail(format, repository.DetailCreated)
}

var (
	// field is a field in a template, whole the use of all at once.
	field = regexp.MustCompile(`\.([A-Z][A-Za-z]*)`)
	whole = regexp.MustCompile(`[\s({|][.$][\s)}|]`)
)

// detail returns what a template needs; all is the detail of {{json .}}. That may be more than it shows, never less.
func detail(format string, all repository.Detail) repository.Detail {
	var need repository.Detail
	if format == formatter.JSONFormatKey || whole.MatchString(format) {
		need = all
	}
	for _, name := range field.FindAllStringSubmatch(format, -1) {
		switch name[1] {
		case "Tag":
		case "Digest":
			need = max(need, repository.DetailDigest)
		case "Platforms":
			need = max(need, repository.DetailPlatform)
		case "Created":
			need = max(need, repository.DetailCreated)
		default:
			need = max(need, repository.DetailManifest)
		}
	}
	return need
}

// Tags writes tags: a table, json, or a template over .Tag, .Digest, .Kind, .MediaType, .ArtifactType,
// .Platforms, .Size, .Layers and .Created.
func Tags(out io.Writer, tags []repository.TagRecord, l Listing) error {
	format, style := l.format("{{.Tag}}", tagTable)
	return table(out, format, l.NoTrunc, recordHeader, slices.Values(tags), func(t repository.TagRecord) any {
		return &tagRow{recordRow{t.Record, t, style}, t.Tag}
	})
}

// Manifests writes manifests, each under the one that it is nested under: a table, json, or a template over .Digest,
// .Tags and the other columns of Tags.
func Manifests(out io.Writer, records iter.Seq[repository.Record], l Listing) error {
	format, style := l.format("{{.Digest}}", manifestTable)
	return table(out, format, l.NoTrunc, recordHeader, records, func(r repository.Record) any { return &recordRow{r, r, style} })
}

var recordHeader = formatter.SubHeaderContext{
	"Tag": "TAG", "Digest": "DIGEST", "Tags": "TAGS", "Kind": "KIND", "MediaType": "MEDIA TYPE", "ArtifactType": "ARTIFACT TYPE",
	"Platforms": "PLATFORMS", "Size": "SIZE", "Created": "CREATED", "Layers": "LAYERS",
	"Subject": "SUBJECT",
}

type tagRow struct {
	recordRow
	tag string
}

// Tag is the tag.
func (r *tagRow) Tag() string { return r.tag }

type recordRow struct {
	record repository.Record
	whole  any
	style
}

// MarshalJSON gives {{json .}} all that is known.
func (r *recordRow) MarshalJSON() ([]byte, error) { return marshal(r.whole) }

// Digest is the manifest's digest; in our table it is indented by the depth of the manifest.
func (r *recordRow) Digest() string {
	d := r.record.Digest.String()
	if r.cut {
		d = shortDigest(r.record.Digest)
	}
	if r.table {
		d = strings.Repeat("  ", r.record.Depth) + d
	}
	return d
}

// Tags are the tags of the manifest.
func (r *recordRow) Tags() string { return manifest.Escape(strings.Join(r.record.Tags, ", "), "") }

// Kind is image, index, attestation or artifact.
func (r *recordRow) Kind() string { return r.record.Kind }

// MediaType is the manifest's.
func (r *recordRow) MediaType() string { return manifest.Escape(r.record.MediaType, "") }

// ArtifactType is what an artifact says it is.
func (r *recordRow) ArtifactType() string { return manifest.Escape(r.record.ArtifactType, "") }

// Platforms are those of an image or of the images of an index; what has none is described in brackets.
func (r *recordRow) Platforms() string {
	var out []string
	for _, p := range r.record.Platforms {
		out = append(out, p.Platform)
	}
	return manifest.Escape(cmp.Or(strings.Join(out, ", "), description(r.record)), "")
}

// description says why a record has no platform.
func description(r repository.Record) string {
	switch {
	case errdefs.IsNotFound(r.Err):
		return "(not in the registry)"
	case r.Err != nil && r.Kind != manifest.KindIndex:
		return "(cannot be read)"
	case r.ArtifactType != "":
		return "(" + r.ArtifactType + ")"
	}
	return ""
}

// Size is the download of an image or index.
func (r *recordRow) Size() string { return formatSize(r.record.ImageSize) }

// formatSize returns a number of bytes as docker shows it, "" for an unknown one.
func formatSize(size int64) string {
	if size == 0 {
		return ""
	}
	return units.HumanSizeWithPrecision(float64(size), 3)
}

// Subject is what the manifest describes or refers to.
func (r *recordRow) Subject() string {
	if r.cut {
		return shortDigest(r.record.Subject)
	}
	return r.record.Subject.String()
}

// Layers is how many layers an image has.
func (r *recordRow) Layers() string {
	if r.record.Layers == 0 {
		return ""
	}
	return strconv.Itoa(r.record.Layers)
}

// Created is when the manifest was created or updated, as its record says; in our table how long ago that was.
func (r *recordRow) Created() string {
	t := r.record.Time()
	switch {
	case t.IsZero():
		return ""
	case r.table:
		return units.HumanDuration(time.Since(t)) + " ago"
	}
	return t.Format(time.RFC3339)
}
