package display

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

// Plan writes what would be removed in a format of the docker CLI: a table, json, or a template over .Repository, .Action,
// .Kind, .Digest, .Tags, .Platforms, .Size, .Created and .CreatedAt. With several the table has the repositories. It has no
// times if none is known. With trunc digests are shortened, except in JSON.
func Plan(out io.Writer, steps []repository.Step, format string, several, trunc bool) error {
	if format == "" || format == formatter.TableFormatKey {
		created := ""
		if slices.ContainsFunc(steps, func(s repository.Step) bool { return !s.Time().IsZero() }) {
			created = "{{.Created}}\t"
		}
		format = "{{.Action}}\t{{.Kind}}\t{{.Digest}}\t{{.Platforms}}\t{{.Size}}\t" + created + "{{.Tags}}"
		if several {
			format = "{{.Repository}}\t" + format
		}
		format = "table " + format
	}
	head := formatter.SubHeaderContext{
		"Repository": "REPOSITORY", "Action": "ACTION", "Kind": "KIND", "Digest": "DIGEST", "Created": "CREATED", "CreatedAt": "CREATED AT", "Tags": "TAGS",
		"Platforms": "PLATFORMS", "Size": "SIZE",
	}
	return table(out, format, !trunc, head, slices.Values(steps), func(s repository.Step) any { return &planRow{s, trunc} })
}

type planRow struct {
	step  repository.Step
	trunc bool
}

// planJSON is a tag or manifest to remove.
type planJSON struct {
	Repository string        `json:"repository"`          // with its registry
	Action     string        `json:"action"`              // untag if only the tag is removed, delete if the manifest is
	Digest     digest.Digest `json:"digest"`              // of the manifest
	Kind       string        `json:"kind"`                // image, index, attestation or artifact
	Tags       []string      `json:"tags,omitempty"`      // that are removed
	Platforms  []string      `json:"platforms,omitempty"` // of an image as its index lists it, or of the images of an index
	Size       int64         `json:"size,omitempty"`      // of the manifest itself, in bytes
	ImageSize  int64         `json:"imageSize,omitempty"` // the download of an image or index in bytes
	Created    time.Time     `json:"created,omitzero"`    // as in the tags of the repository, if age is asked for
	Updated    time.Time     `json:"updated,omitzero"`    // when the registry last changed the manifest, if age is asked for
}

// MarshalJSON gives {{json .}} what is known, as values.
func (r *planRow) MarshalJSON() ([]byte, error) {
	return marshal(planJSON{r.Repository(), r.Action(), r.step.Digest, r.step.Kind, r.step.Tags, r.step.Platforms, r.step.Size, r.step.ImageSize, r.step.Created.UTC(), r.step.Updated.UTC()})
}

// Repository is the name of the repository.
func (r *planRow) Repository() string { return manifest.Familiar(r.step.Repo) }

// Action is "untag" if only the tag is removed, "delete" if the manifest is.
func (r *planRow) Action() string {
	if r.step.Untag {
		return "untag"
	}
	return "delete"
}

// Kind is index, image, attestation or artifact.
func (r *planRow) Kind() string { return r.step.Kind }

// Digest is the manifest's.
func (r *planRow) Digest() string {
	if r.trunc {
		return shortDigest(r.step.Digest)
	}
	return r.step.Digest.String()
}

// Tags are those that are removed.
func (r *planRow) Tags() string { return strings.Join(r.step.Tags, ", ") }

// Platforms are those of an image as its index lists it, or of the images of an index.
func (r *planRow) Platforms() string {
	return manifest.Escape(strings.Join(r.step.Platforms, ", "), "")
}

// Size is the download of an image or index.
func (r *planRow) Size() string { return formatSize(r.step.ImageSize) }

// Created is how old the manifest is, if that was asked for and is known.
func (r *planRow) Created() string {
	t := r.step.Time()
	if t.IsZero() {
		return "N/A"
	}
	return units.HumanDuration(time.Since(t)) + " ago"
}

// CreatedAt is when that was.
func (r *planRow) CreatedAt() string {
	t := r.step.Time()
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// PlanNames writes the names of what would be removed: tags, and manifests by their digest.
func PlanNames(out io.Writer, steps []repository.Step) error {
	var b strings.Builder
	for _, s := range steps {
		for _, tag := range s.Tags {
			fmt.Fprintln(&b, manifest.Familiar(manifest.AtTag(s.Repo, tag)))
		}
		if !s.Untag {
			fmt.Fprintln(&b, manifest.Familiar(manifest.AtDigest(s.Repo, s.Digest)))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// Removal returns what is going to be removed as a person is asked about it: a line for each manifest.
func Removal(steps []repository.Step) string {
	var b strings.Builder
	for _, s := range steps {
		repo := manifest.Familiar(s.Repo)
		if s.Untag {
			fmt.Fprintf(&b, "  the tag %s:%s\n", repo, s.Tags[0])
			continue
		}
		fmt.Fprintf(&b, "  the %s %s@%s", s.Kind, repo, s.Digest)
		if s.ImageSize > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(append(slices.Clip(s.Platforms), formatSize(s.ImageSize)), ", "))
		}
		for i, tag := range s.Tags {
			fmt.Fprintf(&b, "%s%s:%s", []string{", tagged ", ", "}[min(i, 1)], repo, tag)
		}
		b.WriteString("\n")
	}
	return manifest.Escape(b.String(), "\n")
}
