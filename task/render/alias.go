package render

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/task"
	"go.yaml.in/yaml/v3"
)

// MaxAliases is the maximum size of the files of aliases in total, in bytes, and maxSources their maximum number.
const (
	MaxAliases = 1 << 20
	maxSources = 100
)

// builtIn are the aliases of every v1.1.0 file, and builtInFields those for a field of .Run.
var builtIn = map[string]string{
	"acr":  "mcr.microsoft.com/acr/acr-cli:0.19",
	"az":   "mcr.microsoft.com/acr/azure-cli:2ff604c",
	"bash": "mcr.microsoft.com/acr/bash:2ff604c",
	"curl": "mcr.microsoft.com/acr/curl:2ff604c",
	"cssc": "mcr.microsoft.com/acr/cssc:2ff604c",
}

const builtInFields = "ID SharedVolume Registry RegistryName Date OS Architecture Commit Branch"

var aliasName = lazyregexp.New(`^[A-Za-z0-9]+`)

// aliases are the aliases of a file, which are read from its alias block.
type aliases struct {
	*renderer
	block     text
	lines     lined
	values    map[string]string
	directive string // the character before a name
	count     int    // of the sources
	size      int    // of those that were read
}

// expand returns the body of a file with the aliases of its alias block and the built-in ones replaced, and the aliases
// for the first word of a cmd.
func (r *renderer) expand(body, block text) (expanded text, commands map[string]string, ok bool) {
	block, ok = r.execute(block)
	if !ok {
		return text{}, nil, false
	}
	a := aliases{renderer: r, block: block, lines: linesOf(block.string), values: maps.Clone(builtIn), directive: "$"}
	for name := range strings.FieldsSeq(builtInFields) {
		a.values[name] = "{{.Run." + name + "}}"
	}
	a.read()
	if expanded = a.replace(body); len(expanded.string) > maxText {
		r.add(task.Error, 0, "alias", "the file is larger than 512 KiB after replacing aliases")
		return text{}, nil, false
	}
	kept, found := r.findings, maps.Clone(r.found)
	for name, value := range a.values {
		if strings.Contains(value, "{{") { // commands are not part of the body, whose templates are executed later
			if rendered, ok := r.execute(text{value, make([]int32, len(value))}); ok {
				a.values[name] = rendered.string
			}
		}
	}
	r.findings, r.found = kept, found
	return expanded, a.values, true
}

// replace returns the text with aliases replaced by their values.
func (a *aliases) replace(t text) text {
	var out textBuilder
	s := t.string
	for from := 0; from < len(s) && out.Len() <= maxText; {
		n := strings.Index(s[from:], a.directive)
		if n < 0 {
			out.add(t, from, len(s))
			break
		}
		at := from + n
		name := aliasName().FindString(s[at+len(a.directive):])
		end := at + len(a.directive) + len(name)
		value, known := a.values[name]
		out.add(t, from, at)
		switch {
		case known:
			out.make(value, t.origin(at))
		case name == "" && strings.HasPrefix(s[end:], a.directive):
			out.add(t, at, end)
			end += len(a.directive)
		default: // with the next character, which does not start another alias
			_, n := utf8.DecodeRuneInString(s[end:])
			end += n
			out.add(t, at, end)
		}
		from = end
	}
	return out.text()
}

// read reads the alias block. Values take precedence over later sources, those over earlier ones, and those over built-in
// aliases.
func (a *aliases) read() {
	root, line, message := readYAML([]byte(a.block.string))
	if message != "" {
		a.add(task.Error, a.block.origin(a.lines.offset(line, 1)), "alias", "invalid YAML, here or below: %s", message)
	}
	values := map[string]string{}
	for _, alias := range pairs(root) {
		if alias.Kind != yaml.MappingNode && alias.Tag != "!!null" {
			a.at(task.Error, alias, "alias", "expected src, values or directive")
		}
		for name, n := range pairs(alias) {
			switch key := "alias." + name.Value; name.Value {
			case "values":
				define(values, n, func(n *yaml.Node, name string, err error) { a.at(task.Error, n, key+name, "%v", err) })
			case "src":
				a.readSources(n, key)
			case "directive":
				if utf8.RuneCountInString(n.Value) != 1 || aliasName().MatchString(n.Value) || strings.TrimSpace(n.Value) == "" {
					a.at(task.Error, n, key, "expected one character that is neither a letter nor a digit")
				} else {
					a.directive = n.Value
				}
			default:
				a.at(task.Warning, name, key, "unknown key: expected src, values or directive")
			}
		}
	}
	maps.Copy(a.values, values)
}

// readSources reads the aliases of files and URLs: a list, or a single one.
func (a *aliases) readSources(n *yaml.Node, key string) {
	items := n.Content
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		items = []*yaml.Node{n}
	case n.Kind == yaml.MappingNode:
		a.at(task.Error, n, key, "expected a list of files and URLs")
		return
	}
	for i, item := range items {
		if a.count++; a.count > maxSources || a.size > MaxAliases {
			a.at(task.Error, item, key, "expected at most %d files and URLs, of at most 1 MiB", maxSources)
			return
		}
		err := errors.New("expected a file or a URL")
		if item = resolved(item); item.Kind == yaml.ScalarNode {
			err = a.readSource(item.Value)
		}
		if err != nil {
			a.at(task.Error, item, fmt.Sprintf("%s[%d]", key, i), "%v", err)
		}
	}
}

// readSource reads the aliases of a file or URL.
func (a *aliases) readSource(name string) error {
	if a.sources == nil {
		return fmt.Errorf("%s: aliases cannot be read from files or URLs here", name)
	}
	data, err := a.sources(name)
	if err != nil {
		return fmt.Errorf("reading aliases from %s: %w", name, err)
	}
	if a.size += len(data); a.size > MaxAliases {
		return fmt.Errorf("reading aliases from %s: the files of aliases are larger than 1 MiB", name)
	}
	root, line, message := readYAML(data)
	if message != "" {
		return fmt.Errorf("%s, line %d: %s", name, line, message)
	}
	define(a.values, root, func(n *yaml.Node, _ string, wrong error) {
		err = cmp.Or(err, fmt.Errorf("%s, line %d: %w", name, n.Line, wrong))
	})
	return err
}

// define adds the names and values of a mapping to values, and reports the invalid ones, with ".NAME".
func define(values map[string]string, n *yaml.Node, report func(n *yaml.Node, name string, err error)) {
	if n.Kind != yaml.MappingNode && n.Tag != "!!null" {
		report(n, "", errors.New("expected NAME: VALUE"))
	}
	for key, value := range pairs(n) {
		switch name := key.Value; {
		case aliasName().FindString(name) != name || name == "":
			report(key, "."+name, fmt.Errorf("invalid alias %q: expected letters (a to z) and digits", name))
		case value.Kind != yaml.ScalarNode:
			report(key, "."+name, errors.New("expected a text"))
		case value.Tag == "!!null":
			values[name] = ""
		default:
			values[name] = value.Value
		}
	}
}

// at adds a finding about a node of the block.
func (a *aliases) at(severity task.Severity, n *yaml.Node, key, format string, args ...any) {
	a.add(severity, a.block.origin(a.lines.offset(n.Line, n.Column)), key, format, args...)
}
