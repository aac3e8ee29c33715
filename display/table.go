package display

import (
	"bufio"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/command/formatter/tabwriter"
	"github.com/docker/cli/templates"
	"github.com/mattn/go-runewidth"

	"github.com/opencontainers/go-digest"
)

// table writes a row for each item in a format of the docker CLI: a table, json, or a template. On a terminal a table is
// cut to its width, unless whole.
func table[T any](out io.Writer, format string, whole bool, head formatter.SubHeaderContext, items iter.Seq[T], row func(T) any) error {
	format, isTable := strings.CutPrefix(format, formatter.TableFormatKey)
	t, err := ParseTemplate(strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(strings.Trim(format, " ")))
	if err != nil {
		return err
	}
	var body strings.Builder
	lines := bufio.NewWriter(out)
	if isTable {
		lines = bufio.NewWriter(&body)
	}
	for item := range items {
		if err := Execute(lines, t, row(item)); err != nil {
			return err
		}
	}
	if err := lines.Flush(); err != nil || !isTable {
		return err
	}
	var text strings.Builder
	if err := Execute(&text, t.Funcs(templates.HeaderFunctions), head); err != nil {
		return err
	}
	text.WriteString(body.String())
	width := 0
	if !whole {
		width = ttyWidth(out)
	}
	return columns(out, width, text.String())
}

// columns writes lines, whose cells are separated by tabs, as a table, cut to a width unless that is 0.
func columns(out io.Writer, width int, text string) error {
	if width > 0 {
		text = fit(text, width)
	}
	w := tabwriter.NewWriter(out, minColumn, 1, columnGap, ' ', 0)
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Flush()
}

// The least width of a column with its gap, and the gap, are those of the docker CLI's tables. Cells are not cut below
// minCell.
const (
	minColumn = 10
	columnGap = 3
	minCell   = 4
)

// fit cuts cells so that no line is wider than width, those of the widest column first.
func fit(text string, width int) string {
	var rows [][]string
	var widths []int
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		rows = append(rows, cells)
		for i, cell := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], min(runewidth.StringWidth(cell), width))
		}
	}
	for total(widths) > width && slices.Max(widths) > minCell {
		widths[slices.Index(widths, slices.Max(widths))]--
	}
	var out strings.Builder
	for _, cells := range rows {
		for i, cell := range cells {
			cells[i] = runewidth.Truncate(cell, widths[i], "…")
		}
		out.WriteString(strings.Join(cells, "\t") + "\n")
	}
	return out.String()
}

// total returns the width of lines with columns of these widths.
func total(widths []int) int {
	sum := widths[len(widths)-1]
	for _, w := range widths[:len(widths)-1] {
		sum += max(w+columnGap, minColumn)
	}
	return sum
}

// shortDigest returns the first digits of a digest, as docker shows it.
func shortDigest(d digest.Digest) string { return formatter.TruncateID(d.String()) }
