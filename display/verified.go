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

// Verified writes what was found out about names: a table with a row for each manifest, and after it a line
// for each finding; with quiet the lines of faults alone. Another format than a table is a template for each
// verification, or "json".
func Verified(out io.Writer, found []verify.Verification, format string, quiet bool) error {
	switch table, isTable := strings.CutPrefix(format, formatter.TableFormatKey); {
	case quiet:
		return findings(out, found, func(f verify.Finding) bool { return f.Severity != verify.Remark })
	case isTable || format == "":
		if strings.TrimSpace(table) == "" {
			format = verifiedTable
		}
		if err := verifiedRows(out, found, format); err != nil {
			return err
		}
		return findings(out, found, func(verify.Finding) bool { return true })
	}
	template, err := ParseTemplate(format)
	if err != nil {
		return err
	}
	for _, v := range found {
		if err := Execute(out, template, v); err != nil {
			return err
		}
	}
	return nil
}

// findings writes a line for each finding that is wanted.
func findings(out io.Writer, found []verify.Verification, wanted func(verify.Finding) bool) error {
	for _, v := range found {
		for _, f := range v.Findings {
			if !wanted(f) {
				continue
			}
			where := v.Name
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

func verifiedRows(out io.Writer, found []verify.Verification, format string) error {
	row := &verifiedRow{}
	row.Header = formatter.SubHeaderContext{
		"Name": "NAME", "Kind": "KIND", "Platform": "PLATFORM", "MediaType": "MEDIA TYPE", "Digest": "DIGEST", "Size": "SIZE", "State": "STATE",
	}
	return table(out, format, row, func(yield func(formatter.SubContext) error) error {
		for _, v := range found {
			rows := v.Manifests
			if len(rows) == 0 {
				rows = []verify.VerifiedContent{{State: v.State}}
			}
			for _, content := range rows {
				if err := yield(&verifiedRow{name: v.Name, content: content}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type verifiedRow struct {
	formatter.HeaderContext
	name    string
	content verify.VerifiedContent
}

// MarshalJSON gives {{json .}} the columns by name.
func (r *verifiedRow) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }

// Name is the name that leads to the manifest.
func (r *verifiedRow) Name() string { return r.name }

// Kind is that of the manifest.
func (r *verifiedRow) Kind() string { return r.content.Kind }

// Platform is the platform of an image, or else what the manifest is.
func (r *verifiedRow) Platform() string {
	return manifest.Escape(cmp.Or(r.content.Platform, r.content.Kind), "")
}

// MediaType is that of the manifest.
func (r *verifiedRow) MediaType() string { return manifest.Escape(r.content.MediaType, "") }

// Digest is that of the manifest.
func (r *verifiedRow) Digest() string { return r.content.Digest.String() }

// Size is that of the manifest, in bytes.
func (r *verifiedRow) Size() string { return fmt.Sprint(r.content.Size) }

// State says whether the manifest and what belongs to it is sound.
func (r *verifiedRow) State() string { return string(r.content.State) }
