package display

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
)

// MarkdownFormat is the format of a comparison for pull requests and job summaries.
const MarkdownFormat = "markdown"

const diffTable = "table {{.Platform}}\t{{.State}}\t{{.Size}}\t{{.Layers}}"

// Diff writes a comparison: a table of the entries and a line for each field that differs, the same in Markdown, a
// template, or "json".
func Diff(out io.Writer, d inspect.Difference, format string) error {
	switch format {
	case MarkdownFormat:
		return diffMarkdown(out, d)
	case "", formatter.TableFormatKey:
		return diffText(out, d)
	}
	template, err := ParseTemplate(format)
	if err != nil {
		return err
	}
	return Execute(out, template, d)
}

func diffText(out io.Writer, d inspect.Difference) error {
	head := formatter.SubHeaderContext{"Platform": "PLATFORM", "State": "STATE", "Size": "SIZE", "Layers": "LAYERS"}
	row := func(e inspect.DiffEntry) any { return &diffRow{e} }
	if err := table(out, diffTable, false, head, slices.Values(d.Entries), row); err != nil {
		return err
	}
	for _, line := range diffLines(d, func(s string) string { return s }, strconv.Quote) {
		if _, err := fmt.Fprintln(out, manifest.Escape(line, "")); err != nil {
			return err
		}
	}
	return nil
}

// diffLines returns a line for each field that differs, with names and values shown by mark and quote.
func diffLines(d inspect.Difference, mark, quote func(string) string) (lines []string) {
	add := func(of string, changes []inspect.DiffChange) {
		for _, c := range changes {
			switch {
			case c.Old == "":
				lines = append(lines, fmt.Sprintf("%s: %s added: %s", mark(of), mark(c.Field), quote(c.New)))
			case c.New == "":
				lines = append(lines, fmt.Sprintf("%s: %s removed: %s", mark(of), mark(c.Field), quote(c.Old)))
			default:
				lines = append(lines, fmt.Sprintf("%s: %s changed: %s -> %s", mark(of), mark(c.Field), quote(c.Old), quote(c.New)))
			}
		}
	}
	add(d.New.Name, d.Changes)
	for _, e := range d.Entries {
		row := diffRow{entry: e}
		add(row.Platform(), e.Changes)
		if e.Error != "" {
			lines = append(lines, fmt.Sprintf("%s: could not be compared: %s", mark(row.Platform()), mark(e.Error)))
		}
	}
	return lines
}

func diffMarkdown(out io.Writer, d inspect.Difference) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s: **%s**\n\n", code(d.Old.Name), code(d.New.Name), d.State)
	b.WriteString("| Platform | State | Size | Layers |\n|---|---|---|---|\n")
	for _, e := range d.Entries {
		row := diffRow{entry: e}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", strings.ReplaceAll(code(row.Platform()), "|", `\|`), row.State(), row.Size(), row.Layers())
	}
	lines := diffLines(d, code, code)
	if len(lines) > 0 {
		b.WriteString("\n")
	}
	for _, line := range lines {
		b.WriteString("- " + line + "\n")
	}
	_, err := io.WriteString(out, manifest.Escape(b.String(), "\n"))
	return err
}

// code returns text as Markdown code, which a stranger's value cannot leave.
func code(text string) string {
	text = strings.NewReplacer("`", "'", "\n", " ").Replace(text)
	return "`" + text + "`"
}

type diffRow struct{ entry inspect.DiffEntry }

// MarshalJSON returns the columns by name, for {{json .}}.
func (r *diffRow) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }

// Platform is that of an image, otherwise what the entry is.
func (r *diffRow) Platform() string {
	e := r.entry
	switch e.Kind {
	case manifest.KindImage:
		return e.Platform
	case manifest.KindAttestation:
		return strings.TrimSpace("attestation " + e.Platform)
	}
	return strings.Join(strings.Fields(e.Kind+" "+e.ArtifactType+" "+e.Platform), " ")
}

// State is how the entries compare.
func (r *diffRow) State() string { return string(r.entry.State) }

// Size is the download size of a changed image.
func (r *diffRow) Size() string {
	e := r.entry
	switch {
	case e.Layers == nil:
		return ""
	case e.OldImageSize == e.NewImageSize:
		return units.HumanSize(float64(e.NewImageSize))
	}
	return units.HumanSize(float64(e.OldImageSize)) + " -> " + units.HumanSize(float64(e.NewImageSize))
}

// Layers counts the layers of a changed image.
func (r *diffRow) Layers() string {
	l := r.entry.Layers
	if l == nil {
		return ""
	}
	return fmt.Sprintf("%d shared, %d removed, %d added", len(l.Shared), len(l.Removed), len(l.Added))
}
