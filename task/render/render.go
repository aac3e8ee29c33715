// Package render processes the comments, aliases and templates of task files.
//
// [Render] does so in this order: it removes comment lines, expands the alias block and replaces aliases (only in version
// v1.1.0 of the format), and executes the templates with [Variables]. The result is YAML, as a [task.Rendered] that knows
// the origin of each of its parts, so that findings have the position in the file as it was written.
//
// Templates are those of text/template with the functions of Sprig, except that a missing value is empty and reported as
// a warning. They cannot access the host's environment, files or network. The size of the result, the number of
// iterations and the work of functions are limited.
//
// Reading files and URLs, and parsing the YAML, is left to others.
package render

import (
	"context"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// maxText is the maximum size of a file before and after rendering, in bytes.
const maxText = 512 << 10

// maxWarnings is the number of findings after which warnings are dropped.
const maxWarnings = 1000

// The versions of the format.
const (
	versionPreview   = "1.0-preview-1"
	versionDefault   = "v1.0.0"
	versionWithAlias = "v1.1.0"
)

// Render removes the comments from a file, replaces its aliases (v1.1.0) and executes its templates. Sources
// reads the files and URLs that aliases are in; nil if there are none to read. Findings are in the order of the file.
//
// If ctx ends, so does the execution of templates, with an error among the findings.
func Render(ctx context.Context, file []byte, vars Variables, sources func(name string) ([]byte, error)) (task.Rendered, []task.Finding) {
	r := newRenderer(ctx, file, vars, sources)
	rendered, commands := r.render()
	slices.SortStableFunc(r.findings, func(a, b task.Finding) int { return a.Compare(b.Position) })
	return task.Rendered{
		Text: rendered.string, Origin: r.origins(rendered), Commands: commands, Registry: vars.Run["Registry"], Secrets: r.secrets,
	}, r.findings
}

// renderer renders one file.
type renderer struct {
	ctx      context.Context //nolint:containedctx // of one Render
	file     lined
	scope    scope
	secrets  task.Secrets
	sources  func(name string) ([]byte, error)
	findings []task.Finding
	found    map[found]bool

	functions template.FuncMap
	left      float64 // of maxWork
	largest   float64 // size of the longest text that templates may compare, at most
	redact    bool    // secrets
	lacks     bool    // whether a function of the current action got a missing value
}

func newRenderer(ctx context.Context, file []byte, vars Variables, sources func(name string) ([]byte, error)) *renderer {
	r := &renderer{
		ctx:     ctx,
		file:    linesOf(strings.TrimPrefix(string(file), "\ufeff")),
		scope:   scopeOf(vars),
		secrets: task.NewSecrets(maps.Values(vars.Secrets)),
		sources: sources,
		found:   map[found]bool{},
		left:    maxWork,
		redact:  vars.Secrets == nil,
	}
	r.functions = r.metered()
	r.largest = float64(len(file)) + r.size(reflect.ValueOf(vars.Values), math.MaxInt)
	return r
}

// found identifies a finding.
type found struct {
	offset       int
	key, message string
}

// render returns the rendered file, which is empty after an error, and the aliases for the first word of a cmd.
func (r *renderer) render() (rendered text, commands map[string]string) {
	if !r.readable() {
		return text{}, nil
	}
	body := uncommented(r.file.string)
	if r.version(body) == versionWithAlias {
		var ok bool
		if body, commands, ok = r.expand(divide(body)); !ok {
			return text{}, nil
		}
	}
	rendered, ok := r.execute(body)
	if ok && strings.TrimSpace(rendered.string) == "" {
		r.add(task.Error, 0, "", "the file is empty after rendering: expected steps")
		return text{}, commands
	}
	return rendered, commands
}

// origins returns the function that maps positions of a text to those of the file. What a template or an alias
// produced is at the position of that.
func (r *renderer) origins(t text) func(task.Position) task.Position {
	lines := linesOf(t.string)
	return func(p task.Position) task.Position {
		return r.file.position(t.origin(lines.offset(p.Line, p.Column)))
	}
}

// readable reports whether the file is UTF-8 text of at most maxText bytes.
func (r *renderer) readable() bool {
	file := r.file.string
	if len(file) > maxText {
		r.add(task.Error, 0, "", "the file is larger than 512 KiB")
		return false
	}
	if i := strings.IndexByte(file, 0); i >= 0 {
		r.add(task.Error, i, "", "found a NUL byte: expected UTF-8 text")
		return false
	}
	for i, c := range file {
		if c == utf8.RuneError && !strings.HasPrefix(file[i:], "\ufffd") {
			r.add(task.Error, i, "", "found byte 0x%02x: expected UTF-8 text", file[i])
			return false
		}
	}
	return true
}

// divide returns a text without its alias block, and that.
func divide(t text) (body, block text) {
	var in, out textBuilder
	inside, at := false, 0
	for line := range strings.Lines(t.string) {
		if key, _ := topLevel(line); key != "" {
			inside = key == "alias" && in.Len() == 0
		}
		to := &out
		if inside {
			to = &in
		}
		to.add(t, at, at+len(line))
		at += len(line)
	}
	return out.text(), in.text()
}

var topLevelKey = lazyregexp.New(`^["']?([^\s:"'][^:"']*?)["']?[ \t]*:[ \t]*`)

// topLevel returns the key, possibly with template actions in it, at the start of a line, and its value.
func topLevel(line string) (key, value string) {
	m := topLevelKey().FindStringSubmatch(line)
	if m == nil {
		return "", ""
	}
	return m[1], line[len(m[0]):]
}

// version returns the format version of a file.
func (r *renderer) version(t text) string {
	at := 0
	for line := range strings.Lines(t.string) {
		at += len(line)
		key, rest := topLevel(line)
		if key != "version" {
			continue
		}
		value, _, _ := strings.Cut(rest, " #")
		value = strings.TrimSpace(value)
		switch v := strings.ToLower(strings.Trim(value, `"'`)); v {
		case "", "null", "~":
			return versionDefault
		case versionPreview, versionDefault, versionWithAlias:
			return v
		}
		r.add(task.Error, t.origin(at-len(rest)), "version", "unknown version %s: expected %s, %s or %s",
			value, versionPreview, versionDefault, versionWithAlias)
		return versionWithAlias // whose rules include those of the others
	}
	return versionDefault
}

// add adds a finding unless it was added before.
func (r *renderer) add(severity task.Severity, offset int, key, format string, args ...any) {
	f := found{offset, key, r.secrets.Hide(fmt.Sprintf(format, args...))}
	if r.found[f] || severity == task.Warning && len(r.findings) >= maxWarnings {
		return
	}
	r.found[f] = true
	r.findings = append(r.findings, task.Finding{
		Position: r.file.position(offset), Severity: severity,
		Key: manifest.OneLine(f.key, 100), Message: manifest.OneLine(f.message, 500),
	})
}
