package display

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

const (
	shownTable     = "table {{.Digest}}\t{{.Kind}}\t{{.Platforms}}\t{{.Size}}\t{{.Layers}}"
	referrersTable = "table {{.Digest}}\t{{.Kind}}\t{{.Platforms}}\t{{.Size}}\t{{.Layers}}\t{{.Subject}}"
)

// Shown writes a manifest in full for people: what is known of it, then the manifests below it and its referrers.
func Shown(out io.Writer, s repository.Shown, noTrunc bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(key, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(w, "%s:\t%s\n", key, manifest.Escape(value, ""))
		}
	}
	row := recordRow{record: s.Record}
	line("Name", s.Name)
	line("Digest", s.Digest.String())
	line("Tags", strings.Join(s.Tags, ", "))
	line("Kind", s.Kind)
	line("Media type", s.MediaType)
	line("Config media type", s.ConfigMediaType)
	line("Artifact type", s.ArtifactType)
	line("Subject", s.Subject.String())
	for _, p := range s.Platforms {
		line("Platform", strings.TrimSpace(p.Platform+"  "+formatSize(p.ImageSize)))
	}
	line("Size", row.Size())
	line("Layers", row.Layers())
	for _, at := range []struct {
		key  string
		time *time.Time
	}{{"Created", s.Created}, {"Updated", s.Updated}, {"Image created", s.ImageCreated}} {
		if at.time != nil {
			line(at.key, at.time.Format(time.RFC3339))
		}
	}
	if a := s.ChangeableAttributes; a != nil {
		line("Allowed", strings.Join(allowed(*a), ", "))
	}
	for _, key := range slices.Sorted(maps.Keys(s.Annotations)) {
		line("Annotation "+manifest.Escape(key, ""), s.Annotations[key])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := shownPart(out, "Manifests", shownTable, s.Manifests, noTrunc); err != nil {
		return err
	}
	referrers := slices.Clone(s.Referrers)
	for i := range referrers {
		referrers[i].Depth = 0 // what it describes may not be in the table
	}
	return shownPart(out, "Referrers", referrersTable, referrers, noTrunc)
}

func allowed(a manifest.Attributes) []string {
	var out []string
	for _, p := range []struct {
		yes  bool
		word string
	}{{a.List, "list"}, {a.Read, "read"}, {a.Write, "write"}, {a.Delete, "delete"}} {
		if p.yes {
			out = append(out, p.word)
		}
	}
	if out == nil {
		out = []string{"nothing"}
	}
	return out
}

func shownPart(out io.Writer, title, format string, records []repository.Record, noTrunc bool) error {
	if len(records) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(out, "\n%s:\n", title); err != nil {
		return err
	}
	return table(out, format, noTrunc, recordHeader, slices.Values(records), func(r repository.Record) any {
		r.Depth = max(r.Depth-1, 0)
		return &recordRow{r, r, style{table: true, cut: !noTrunc}}
	})
}
