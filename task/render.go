package task

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// maxText is how long a file, and what it is rendered to, can be.
const maxText = 4 << 20

// maxWarnings is after how many findings no more warnings are kept: nobody reads them.
const maxWarnings = 1000

// The versions of the format.
const (
	versionPreview   = "1.0-preview-1"
	versionDefault   = "v1.0.0"
	versionWithAlias = "v1.1.0"
)

// Rendered is a file after comments, aliases and templates.
type Rendered struct {
	// Text is YAML; "" when the file could not be rendered. It has the secrets in it that templates put there.
	Text string

	version  string  // of the format, in lower case
	registry string  // that of the run
	secrets  secrets // those that Text may have
	file     lined
	text     text
	lines    lined // of Text
	commands map[string]string
}

// at returns where in the file as written a place of Text comes from: what a template or an alias made is
// where it stands. Lines are counted as YAML does.
func (r Rendered) at(line, column int) Position {
	if r.text.pieces == nil {
		return Position{line, column}
	}
	return r.file.position(r.text.origin(r.lines.offset(line, column)))
}

// command returns the image that the first word of a cmd stands for, and whether it stands for one (v1.1.0).
func (r Rendered) command(word string) (image string, ok bool) {
	image, ok = r.commands[word]
	return image, ok
}

// Render takes the comments out of a file, replaces its aliases (v1.1.0) and executes its templates. Sources
// reads the files and URLs that aliases are in; nil when there are none to be read. Findings are in the order
// of the file.
func Render(file []byte, vars Variables, sources func(name string) ([]byte, error)) (Rendered, []Finding) {
	r := &renderer{
		file:    linesOf(strings.TrimPrefix(string(file), "\ufeff")),
		scope:   scopeOf(vars),
		secrets: SecretLines(maps.Values(vars.Secrets)),
		sources: sources,
		found:   map[found]bool{},
	}
	out := r.render()
	out.registry, out.secrets = vars.Run["Registry"], r.secrets
	slices.SortStableFunc(r.findings, func(a, b Finding) int { return a.Compare(b.Position) })
	return out, r.findings
}

// renderer renders one file.
type renderer struct {
	file     lined
	scope    scope
	secrets  secrets
	sources  func(name string) ([]byte, error)
	findings []Finding
	found    map[found]bool
}

// found is a finding for renderer to know it again.
type found struct {
	offset       int
	key, message string
}

func (r *renderer) render() Rendered {
	out := Rendered{version: versionDefault, file: r.file}
	if !r.readable() {
		return out
	}
	lines := splitLines(r.file.string)
	out.version = r.version(lines)
	body, block := r.divide(lines, out.version == versionWithAlias)
	if out.version == versionWithAlias {
		var ok bool
		if body, out.commands, ok = r.expand(body, block); !ok {
			return out
		}
	}
	rendered, ok := r.execute(body)
	if !ok {
		return out
	}
	if strings.TrimSpace(rendered.string) == "" {
		r.add(Error, 0, "", "the file is empty once it is rendered: expected steps")
		return out
	}
	out.Text, out.text, out.lines = rendered.string, rendered, linesOf(rendered.string)
	return out
}

// readable reports whether the file is a text of a size that can be worked on.
func (r *renderer) readable() bool {
	file := r.file.string
	if len(file) > maxText {
		r.add(Error, 0, "", "the file is longer than 4 MiB")
		return false
	}
	if i := strings.IndexByte(file, 0); i >= 0 {
		r.add(Error, i, "", "a NUL byte: expected a text in UTF-8")
		return false
	}
	for i, c := range file {
		if c == utf8.RuneError && !strings.HasPrefix(file[i:], "\ufffd") {
			r.add(Error, i, "", "the byte 0x%02x is not UTF-8: expected a text in UTF-8", file[i])
			return false
		}
	}
	return true
}

// divide returns the file without comments and, where it is looked for, the alias block apart.
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

var topLevelKey = pattern(`^["']?([^\s:"'][^:"']*?)["']?[ \t]*:`)

// topLevel returns the key of a line that begins with one, or with what a template may make one of, and the
// offset of what is behind its colon.
func topLevel(line string) (key string, value int) {
	m := topLevelKey().FindStringSubmatchIndex(line)
	if m == nil {
		return "", 0
	}
	return line[m[2]:m[3]], m[1]
}

// version returns the version that the file says it is in.
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
		r.add(Error, l.start+at, "version", "%s is no version of the format: expected %s, %s or %s",
			value, versionPreview, versionDefault, versionWithAlias)
		return versionWithAlias // whose rules are those of the others and some more
	}
	return versionDefault
}

// add keeps a finding, once.
func (r *renderer) add(severity Severity, offset int, key, format string, args ...any) {
	f := found{offset, key, r.secrets.hide(fmt.Sprintf(format, args...))}
	if r.found[f] || severity == Warning && len(r.findings) >= maxWarnings {
		return
	}
	r.found[f] = true
	r.findings = append(r.findings, Finding{
		r.file.position(offset), severity, manifest.OneLine(f.key, 100), manifest.OneLine(f.message, 500),
	})
}
