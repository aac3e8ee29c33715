package display

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"
)

// Lists writes the local lists in a format of the docker CLI: a table, json, or a template over .Name,
// .Platforms, .Entries, .Pending, .State and .Age.
func Lists(out io.Writer, lists []store.Stored, format string, quiet, noTrunc bool) error {
	switch {
	case quiet:
		format = "{{.Name}}"
	case format == "" || format == formatter.TableFormatKey:
		format = "table {{.Name}}\t{{.Platforms}}\t{{.Entries}}\t{{.Pending}}\t{{.State}}\t{{.Age}}"
	}
	head := formatter.SubHeaderContext{
		"Name": "NAME", "Platforms": "PLATFORMS", "Entries": "ENTRIES", "Pending": "PENDING", "State": "STATE", "Age": "AGE",
	}
	return table(out, format, noTrunc, head, slices.Values(lists), func(s store.Stored) any { return &listRow{s} })
}

type listRow struct{ stored store.Stored }

// listJSON is a local list.
type listJSON struct {
	Name      string        `json:"name"`             // its reference, or the name of its folder if docker manifest created it
	Platforms []string      `json:"platforms"`        // of its images, in its order
	Entries   int           `json:"entries"`          // how many, with attestations
	Pending   int           `json:"pending"`          // how many have to be pushed before the list
	State     string        `json:"state,omitempty"`  // pushed, changed since, or never pushed
	Pushed    digest.Digest `json:"pushed,omitempty"` // the digest under which it was last pushed
	Created   time.Time     `json:"created"`          // when it was last changed or pushed
}

// MarshalJSON returns the list for {{json .}}.
func (r *listRow) MarshalJSON() ([]byte, error) {
	l := r.stored.List
	if l.Pushed == manifest.PushedUnknown {
		l.Pushed = ""
	}
	return marshal(listJSON{ListName(r.stored), r.platforms(), len(l.Entries), r.pending(), r.State(), l.Pushed, r.stored.Modified})
}

// Name is the name of the list, or that of its folder if docker manifest created it.
func (r *listRow) Name() string { return ListName(r.stored) }

// Platforms are the platforms of the list's images, in the user's order.
func (r *listRow) Platforms() string {
	return manifest.Escape(strings.Join(r.platforms(), ", "), "")
}

// Entries is the number of entries, without attestations.
func (r *listRow) Entries() string {
	n := 0
	for _, e := range r.stored.List.Entries {
		if !manifest.IsAttestation(e.Descriptor) {
			n++
		}
	}
	return strconv.Itoa(n)
}

func (r *listRow) platforms() []string {
	out := []string{}
	for _, e := range r.stored.List.Images() {
		out = append(out, manifest.FormatPlatform(e.Platform()))
	}
	return out
}

// Pending is the number of entries that push has to push first.
func (r *listRow) Pending() string { return strconv.Itoa(r.pending()) }

func (r *listRow) pending() int {
	n := 0
	for _, e := range r.stored.List.Entries {
		if e.IsPending() {
			n++
		}
	}
	return n
}

// State is whether the list was pushed as it is.
func (r *listRow) State() string { return r.stored.List.PushState() }

// Age is the time since the list was last changed or pushed.
func (r *listRow) Age() string {
	return units.HumanDuration(time.Since(r.stored.Modified)) + " ago"
}

// ListName returns the displayed name of a stored list.
func ListName(s store.Stored) string {
	if s.List.Name == nil {
		return manifest.Escape(s.Folder, "")
	}
	return manifest.Familiar(s.List.Name)
}
