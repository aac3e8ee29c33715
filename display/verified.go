package display

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/docker/cli/cli/command/formatter"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify"
)

const verifiedTable = "table {{.Name}}\t{{.Platform}}\t{{.Digest}}\t{{.State}}"

// Verified writes the results of checking names: a table with a row for each manifest, and after it a line for each
// finding; if quiet, only the lines of errors and failed checks. With noTrunc digests and long cells are whole. At most
// maxFailed failures of a name are shown. Any format other than a table is a template for each result, or "json".
func Verified(out io.Writer, results []verify.Result, format string, quiet, noTrunc bool) error {
	switch table, isTable := strings.CutPrefix(format, formatter.TableFormatKey); {
	case quiet:
		return findings(out, results, func(f verify.Finding) bool { return f.Severity != verify.SeverityInfo }, func(verify.Result) int { return 0 })
	case isTable || format == "":
		if strings.TrimSpace(table) == "" {
			format = verifiedTable
		}
		results = slices.DeleteFunc(slices.Clone(results), func(r verify.Result) bool { return r.Absent() != nil })
		if len(results) == 0 { // the error of the command says which are absent
			return nil
		}
		if err := verifiedRows(out, results, format, noTrunc); err != nil {
			return err
		}
		return findings(out, results, func(verify.Finding) bool { return true }, hiddenRows)
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

// maxFailed bounds how many failed manifests of a name, and findings of one severity, are shown to people.
const maxFailed = 20

// findings writes a line for each finding that matches, at most maxFailed of one severity for each result, and a line
// that counts the other findings and the hidden rows.
func findings(out io.Writer, results []verify.Result, match func(verify.Finding) bool, hidden func(verify.Result) int) error {
	out = Prose{out}
	for _, r := range results {
		count, more := map[verify.Severity]int{}, 0
		for _, f := range r.Findings {
			if !match(f) {
				continue
			}
			if count[f.Severity]++; count[f.Severity] > maxFailed {
				more++
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
		var rest []string
		if n := hidden(r); n > 0 {
			rest = append(rest, fmt.Sprintf("%d more manifests", n))
		}
		if more > 0 {
			rest = append(rest, fmt.Sprintf("%d more findings", more))
		}
		if rest == nil {
			continue
		}
		line := r.Name + ": " + strings.Join(rest, " and ") + "; --format json shows all"
		if _, err := fmt.Fprintln(out, manifest.Escape(line, "")); err != nil {
			return err
		}
	}
	return nil
}

// rows returns the manifests of a result that are shown: of those that failed only the first.
func rows(r verify.Result) []verify.Manifest {
	failed := 0
	return slices.DeleteFunc(slices.Clone(r.Manifests), func(m verify.Manifest) bool {
		if m.State != verify.StateOK {
			failed++
		}
		return m.State != verify.StateOK && failed > maxFailed
	})
}

// hiddenRows returns how many manifests are not shown.
func hiddenRows(r verify.Result) int { return len(r.Manifests) - len(rows(r)) }

func verifiedRows(out io.Writer, results []verify.Result, format string, noTrunc bool) error {
	head := formatter.SubHeaderContext{
		"Name": "NAME", "Kind": "KIND", "Platform": "PLATFORM", "MediaType": "MEDIA TYPE", "Digest": "DIGEST", "Size": "SIZE", "State": "STATE",
	}
	var all []verifiedRow
	for _, r := range results {
		shown := rows(r)
		if len(shown) == 0 {
			shown = []verify.Manifest{{State: r.State}}
		}
		for i, m := range shown {
			all = append(all, verifiedRow{r.Name, m, i > 0 && format == verifiedTable, !noTrunc && format == verifiedTable})
		}
	}
	return table(out, format, noTrunc, head, slices.Values(all), func(r verifiedRow) any { return &r })
}

type verifiedRow struct {
	name     string
	manifest verify.Manifest
	// again says that the row above has the same name, and cut that the digest is shortened.
	again, cut bool
}

// MarshalJSON returns the columns by name, for {{json .}}.
func (r *verifiedRow) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }

// Name is the name that leads to the manifest; in our table only in its first row.
func (r *verifiedRow) Name() string {
	if r.again {
		return ""
	}
	return r.name
}

// Kind is that of the manifest.
func (r *verifiedRow) Kind() string { return r.manifest.Kind }

// Platform is the platform of an image, otherwise the kind of the manifest.
func (r *verifiedRow) Platform() string {
	return manifest.Escape(cmp.Or(r.manifest.Platform, r.manifest.Kind), "")
}

// MediaType is that of the manifest.
func (r *verifiedRow) MediaType() string { return manifest.Escape(r.manifest.MediaType, "") }

// Digest is that of the manifest.
func (r *verifiedRow) Digest() string {
	if r.cut {
		return shortDigest(r.manifest.Digest)
	}
	return r.manifest.Digest.String()
}

// Size is that of the manifest, in bytes.
func (r *verifiedRow) Size() string { return fmt.Sprint(r.manifest.Size) }

// State is that of the manifest with its config and layers.
func (r *verifiedRow) State() string { return string(r.manifest.State) }
