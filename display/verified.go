package display

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/docker/cli/cli/command/formatter"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify"
)

const verifiedTable = "table {{.Name}}\t{{.Platform}}\t{{.Digest}}\t{{.State}}"

// Verified writes the results of checking names: a table with a row for each manifest, and after it a line for each
// finding; if quiet, the lines of errors and failed checks only. Any format other than a table is a template for each
// result, or "json".
func Verified(out io.Writer, results []verify.Result, format string, quiet bool) error {
	switch table, isTable := strings.CutPrefix(format, formatter.TableFormatKey); {
	case quiet:
		return findings(out, results, func(f verify.Finding) bool { return f.Severity != verify.SeverityInfo })
	case isTable || format == "":
		if strings.TrimSpace(table) == "" {
			format = verifiedTable
		}
		if err := verifiedRows(out, results, format); err != nil {
			return err
		}
		return findings(out, results, func(verify.Finding) bool { return true })
	}
	template, err := ParseTemplate(format)
	if err != nil {
		return err
	}
	for _, r := range results {
		if err := Execute(out, template, r); err != nil {
			return err
		}
	}
	return nil
}

// findings writes a line for each finding that matches.
func findings(out io.Writer, results []verify.Result, match func(verify.Finding) bool) error {
	for _, r := range results {
		for _, f := range r.Findings {
			if !match(f) {
				continue
			}
			where := r.Name
			if f.Platform != "" {
				where += " (" + f.Platform + ")"
			}
			line := fmt.Sprintf("%s: %s: %s", where, f.Severity, f.Message)
			if _, err := fmt.Fprintln(out, manifest.Escape(line, "")); err != nil {
				return err
			}
		}
	}
	return nil
}

func verifiedRows(out io.Writer, results []verify.Result, format string) error {
	row := &verifiedRow{}
	row.Header = formatter.SubHeaderContext{
		"Name": "NAME", "Kind": "KIND", "Platform": "PLATFORM", "MediaType": "MEDIA TYPE", "Digest": "DIGEST", "Size": "SIZE", "State": "STATE",
	}
	return table(out, format, row, func(yield func(formatter.SubContext) error) error {
		for _, r := range results {
			rows := r.Manifests
			if len(rows) == 0 {
				rows = []verify.Manifest{{State: r.State}}
			}
			for _, m := range rows {
				if err := yield(&verifiedRow{name: r.Name, manifest: m}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type verifiedRow struct {
	formatter.HeaderContext
	name     string
	manifest verify.Manifest
}

// MarshalJSON returns the columns by name, for {{json .}}.
func (r *verifiedRow) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }

// Name is the name that leads to the manifest.
func (r *verifiedRow) Name() string { return r.name }

// Kind is that of the manifest.
func (r *verifiedRow) Kind() string { return r.manifest.Kind }

// Platform is the platform of an image, otherwise the kind of the manifest.
func (r *verifiedRow) Platform() string {
	return manifest.Escape(cmp.Or(r.manifest.Platform, r.manifest.Kind), "")
}

// MediaType is that of the manifest.
func (r *verifiedRow) MediaType() string { return manifest.Escape(r.manifest.MediaType, "") }

// Digest is that of the manifest.
func (r *verifiedRow) Digest() string { return r.manifest.Digest.String() }

// Size is that of the manifest, in bytes.
func (r *verifiedRow) Size() string { return fmt.Sprint(r.manifest.Size) }

// State is that of the manifest with its config and layers.
func (r *verifiedRow) State() string { return string(r.manifest.State) }
