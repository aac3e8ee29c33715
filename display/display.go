// Package display prints results for people and scripts: notes and warnings, progress, tables, trees, templates and
// JSON, on the streams and with the formatter of the docker CLI.
//
// A [Reporter] and a [Progress] receive events while an operation runs and write to stderr; the other functions each
// print one kind of result to stdout. All output has control characters escaped.
package display

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/opencontainers/go-digest"
)

// Reporter writes the notes and warnings of an operation to a stream, a line each.
type Reporter struct {
	mu    sync.Mutex
	out   io.Writer
	quiet bool
}

// NewReporter returns a reporter that writes to out; with quiet it only writes warnings.
func NewReporter(out io.Writer, quiet bool) *Reporter { return &Reporter{out: out, quiet: quiet} }

// Note reports progress.
func (r *Reporter) Note(format string, args ...any) {
	if !r.quiet {
		r.line("", format, args)
	}
}

// Warn reports a likely mistake.
func (r *Reporter) Warn(format string, args ...any) { r.line("WARNING: ", format, args) }

func (r *Reporter) line(prefix, format string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintln(r.out, prefix+manifest.Escape(fmt.Sprintf(format, args...), ""))
}

// table writes rows in a format of the docker CLI: a table, json, or a template.
func table(out io.Writer, format string, header formatter.SubContext, rows formatter.SubFormat) error {
	if f := formatter.Format(format); f.IsTable() {
		context := formatter.Context{Output: escaping{out}, Format: f}
		return context.Write(header, rows)
	}
	t, err := ParseTemplate(strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(strings.Trim(format, " ")))
	if err != nil {
		return err
	}
	lines := bufio.NewWriter(out)
	if err := rows(func(row formatter.SubContext) error { return Execute(lines, t, row) }); err != nil {
		return err
	}
	return lines.Flush()
}

// escaping is a stream of text that receives no control characters except newlines and tabs.
type escaping struct{ io.Writer }

func (e escaping) Write(p []byte) (int, error) {
	_, err := io.WriteString(e.Writer, manifest.Escape(string(p), "\n\t"))
	return len(p), err
}

// shortDigest returns a digest cut to 12 digits, "" for "".
func shortDigest(d digest.Digest) string {
	algorithm, encoded, found := strings.Cut(d.String(), ":")
	if !found {
		return d.String()
	}
	return algorithm + ":" + encoded[:min(len(encoded), 12)]
}
