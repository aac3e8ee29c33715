package display

import (
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"
)

// Lists writes the local lists in a format of the docker CLI: a table, json, or a template over .Name,
// .Platforms, .Entries, .Pending and .Age. With trunc long columns are cut.
func Lists(out io.Writer, lists []store.Stored, format string, quiet, trunc bool) error {
	switch {
	case quiet:
		format = "{{.Name}}"
	case format == "" || format == formatter.TableFormatKey:
		format = "table {{.Name}}\t{{.Platforms}}\t{{.Entries}}\t{{.Pending}}\t{{.Age}}"
	}
	row := &listRow{}
	row.Header = formatter.SubHeaderContext{
		"Name": "NAME", "Platforms": "PLATFORMS", "Entries": "ENTRIES", "Pending": "PENDING", "Age": "AGE",
	}
	return table(out, format, row, func(yield func(formatter.SubContext) error) error {
		for _, s := range lists {
			if err := yield(&listRow{stored: s, trunc: trunc}); err != nil {
				return err
			}
		}
		return nil
	})
}

type listRow struct {
	formatter.HeaderContext
	stored store.Stored
	trunc  bool
}

// MarshalJSON gives {{json .}} the columns by name.
func (r *listRow) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }

// Name is the list's name, or its folder's when docker manifest made it.
func (r *listRow) Name() string { return ListName(r.stored) }

// Platforms are the platforms of the list's images, in the user's order.
func (r *listRow) Platforms() string {
	var out []string
	for _, e := range r.stored.List.Images() {
		out = append(out, manifest.FormatPlatform(e.Platform()))
	}
	s := manifest.Escape(strings.Join(out, ", "), "")
	if r.trunc {
		return formatter.Ellipsis(s, 50)
	}
	return s
}

// Entries is the number of entries.
func (r *listRow) Entries() string { return strconv.Itoa(len(r.stored.List.Entries)) }

// Pending is the number of entries that push has to send first.
func (r *listRow) Pending() string {
	n := 0
	for _, e := range r.stored.List.Entries {
		if e.IsPending() {
			n++
		}
	}
	return strconv.Itoa(n)
}

// Age is the time since the list was last changed.
func (r *listRow) Age() string {
	return units.HumanDuration(time.Since(r.stored.Modified)) + " ago"
}

// ListName returns the name a stored list is shown by.
func ListName(s store.Stored) string {
	if s.List.Name == nil {
		return manifest.Escape(s.Folder, "")
	}
	return manifest.Familiar(s.List.Name)
}
