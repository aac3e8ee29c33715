// Package display prints results for people and scripts: notes and warnings, progress, tables, trees, templates and
// JSON, on the streams and with the formatter of the docker CLI.
//
// A [Reporter] and a [Progress] receive events while an operation runs and write to stderr; the other functions each
// print one kind of result to stdout. All output has control characters escaped.
package display

import (
	"fmt"
	"io"
	"sync"

	"github.com/docker-multiarch/docker-multiarch/manifest"
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
func (r *Reporter) Warn(format string, args ...any) { r.line(warning, format, args) }

// warning is how the lines of warnings start.
const warning = "WARNING: "

func (r *Reporter) line(prefix, format string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintln(r.out, prefix+manifest.Escape(fmt.Sprintf(format, args...), ""))
}
