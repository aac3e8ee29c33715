package display

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

// Plan writes what would go from a repository in a format of the docker CLI: a table, json, or a template
// over .Action, .Kind, .Digest, .Tags, .Created and .CreatedAt. With trunc digests are cut, but in JSON.
func Plan(out io.Writer, rows []repository.Row, format string, trunc bool) error {
	if format == "" || format == formatter.TableFormatKey {
		format = "table {{.Action}}\t{{.Kind}}\t{{.Digest}}\t{{.Created}}\t{{.Tags}}"
	}
	head := &planRow{}
	head.Header = formatter.SubHeaderContext{
		"Action": "ACTION", "Kind": "KIND", "Digest": "DIGEST", "Created": "CREATED", "CreatedAt": "CREATED AT", "Tags": "TAGS",
	}
	return table(out, format, head, func(yield func(formatter.SubContext) error) error {
		for _, r := range rows {
			if err := yield(&planRow{row: r, trunc: trunc}); err != nil {
				return err
			}
		}
		return nil
	})
}

type planRow struct {
	formatter.HeaderContext
	row   repository.Row
	trunc bool
}

// MarshalJSON gives {{json .}} what is known, as values.
func (r *planRow) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		Action string        `json:"action"`
		Digest digest.Digest `json:"digest"`
		Kind   string        `json:"kind"`
		Tags   []string      `json:"tags,omitempty"`
		Time   time.Time     `json:"time,omitzero"`
	}{r.Action(), r.row.Digest, r.Kind(), r.row.Tags, r.row.Time.UTC()})
}

// Action is "untag" when the tag goes alone, "delete" when the manifest goes.
func (r *planRow) Action() string {
	if r.row.Lone {
		return "untag"
	}
	return "delete"
}

// Kind is "index", "image" or, for what is about another manifest, "referrer".
func (r *planRow) Kind() string { return kindOf(r.row) }

func kindOf(r repository.Row) string {
	switch {
	case len(r.Subjects) > 0:
		return "referrer"
	case manifest.IsIndex(r.MediaType):
		return "index"
	}
	return "image"
}

// Digest is the manifest's.
func (r *planRow) Digest() string {
	if r.trunc {
		return shortDigest(r.row.Digest)
	}
	return r.row.Digest.String()
}

// Tags are those that go.
func (r *planRow) Tags() string { return strings.Join(r.row.Tags, ", ") }

// Created is how old it is, as far as that was asked for and is known.
func (r *planRow) Created() string {
	if r.row.Time.IsZero() {
		return "N/A"
	}
	return units.HumanDuration(time.Since(r.row.Time)) + " ago"
}

// CreatedAt is when that was.
func (r *planRow) CreatedAt() string {
	if r.row.Time.IsZero() {
		return ""
	}
	return r.row.Time.UTC().Format(time.RFC3339)
}

// Removal returns what is going to be removed as a person is asked about it: a line for each manifest.
func Removal(rows []repository.Row) string {
	var b strings.Builder
	for _, r := range rows {
		repo := manifest.Familiar(r.Repo)
		if r.Lone {
			fmt.Fprintf(&b, "  the tag %s:%s\n", repo, r.Tags[0])
			continue
		}
		fmt.Fprintf(&b, "  the %s %s@%s", kindOf(r), repo, r.Digest)
		for i, tag := range r.Tags {
			fmt.Fprintf(&b, "%s%s:%s", []string{", named ", ", "}[min(i, 1)], repo, tag)
		}
		b.WriteString("\n")
	}
	return manifest.Escape(b.String(), "\n")
}
