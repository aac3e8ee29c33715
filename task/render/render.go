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
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// maxText is the maximum size of a file before and after rendering, in bytes.
const maxText = 4 << 20

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
func Render(file []byte, vars Variables, sources func(name string) ([]byte, error)) (task.Rendered, []task.Finding) {
	r := newRenderer(file, vars, sources)
	rendered, commands := r.render()
	slices.SortStableFunc(r.findings, func(a, b task.Finding) int { return a.Compare(b.Position) })
	return task.Rendered{
		Text: rendered.string, Origin: r.origins(rendered), Commands: commands, Registry: vars.Run["Registry"], Secrets: r.secrets,
	}, r.findings
}

// renderer renders one file.
type renderer struct {
	file     lined
	scope    scope
	secrets  task.Secrets
	sources  func(name string) ([]byte, error)
	findings []task.Finding
	found    map[found]bool
}

func newRenderer(file []byte, vars Variables, sources func(name string) ([]byte, error)) *renderer {
	return &renderer{
		file:    linesOf(strings.TrimPrefix(string(file), "\ufeff")),
		scope:   scopeOf(vars),
		secrets: task.NewSecrets(maps.Values(vars.Secrets)),
		sources: sources,
		found:   map[found]bool{},
	}
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
	lines := splitLines(r.file.string)
	version := r.version(lines)
	body, block := r.divide(lines, version == versionWithAlias)
	if version == versionWithAlias {
		var ok bool
		if body, commands, ok = r.expand(body, block); !ok {
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
		// YAML may report a missing value after the last line.
		return r.file.position(t.origin(lines.offset(min(p.Line, len(lines.starts)), p.Column)))
	}
}

// readable reports whether the file is UTF-8 text of at most maxText bytes.
func (r *renderer) readable() bool {
	file := r.file.string
	if len(file) > maxText {
		r.add(task.Error, 0, "", "the file is larger than 4 MiB")
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

// divide returns the file without comments and, if alias is set, its alias block separately.
func (r *renderer) divide(lines []line, alias bool) (body, block text) {
	file := textOf(r.file.string)
	var in, out textBuilder
	inside := false
	for _, l := range lines {
		if alias && l.kind == structure {
			if key, _ := topLevel(file.string[l.start:l.end]); key != "" {
				inside = key == "alias" && in.Len() == 0
			}
		}
		switch {
		case l.kind == comment:
		case inside:
			in.add(file, l.start, l.end)
		default:
			out.add(file, l.start, l.end)
		}
	}
	return out.text(), in.text()
}

var topLevelKey = lazyregexp.New(`^["']?([^\s:"'][^:"']*?)["']?[ \t]*:`)

// topLevel returns the key, possibly with template actions in it, at the start of a line, and the offset after its
// colon.
func topLevel(line string) (key string, value int) {
	m := topLevelKey().FindStringSubmatchIndex(line)
	if m == nil {
		return "", 0
	}
	return line[m[2]:m[3]], m[1]
}

// version returns the format version of the file.
func (r *renderer) version(lines []line) string {
	for _, l := range lines {
		s := r.file.string[l.start:l.end]
		key, at := topLevel(s)
		if l.kind != structure || key != "version" {
			continue
		}
		at += len(s[at:]) - len(strings.TrimLeft(s[at:], " \t"))
		value, _, _ := strings.Cut(s[at:], " #")
		value = strings.TrimSpace(value)
		switch v := strings.ToLower(strings.Trim(value, `"'`)); v {
		case "", "null", "~":
			return versionDefault
		case versionPreview, versionDefault, versionWithAlias:
			return v
		}
		r.add(task.Error, l.start+at, "version", "unknown version %s: expected %s, %s or %s",
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
