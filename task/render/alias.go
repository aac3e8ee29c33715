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

// builtIn are the aliases of every v1.1.0 file.
var builtIn = map[string]string{
	"ID":           "{{.Run.ID}}",
	"SharedVolume": "{{.Run.SharedVolume}}",
	"Registry":     "{{.Run.Registry}}",
	"RegistryName": "{{.Run.RegistryName}}",
	"Date":         "{{.Run.Date}}",
	"OS":           "{{.Run.OS}}",
	"Architecture": "{{.Run.Architecture}}",
	"Commit":       "{{.Run.Commit}}",
	"Branch":       "{{.Run.Branch}}",

	"acr":  "mcr.microsoft.com/acr/acr-cli:0.19",
	"az":   "mcr.microsoft.com/acr/azure-cli:2ff604c",
	"bash": "mcr.microsoft.com/acr/bash:2ff604c",
	"curl": "mcr.microsoft.com/acr/curl:2ff604c",
	"cssc": "mcr.microsoft.com/acr/cssc:2ff604c",
}

// aliases are the aliases of a file, and their values.
type aliases struct {
	values    map[string]string
	directive string // the character before a name
}

var aliasName = lazyregexp.New(`^[A-Za-z0-9]+`)

// expand returns the body of a file with the aliases of its alias block and the built-in ones replaced, and the aliases
// for the first word of a cmd.
func (r *renderer) expand(body, block text) (expanded text, commands map[string]string, ok bool) {
	block, ok = r.execute(block)
	if !ok {
		return text{}, nil, false
	}
	a := (&aliasReader{renderer: r, block: block, lines: linesOf(block.string)}).read()
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
func (a aliases) replace(t text) text {
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

// aliasReader reads an alias block.
type aliasReader struct {
	*renderer
	block text
	lines lined
	count int // of the sources
	size  int // of those that were read
}

// read returns the aliases of the block. Values take precedence over later sources, those over earlier ones, and those
// over built-in aliases.
func (a *aliasReader) read() aliases {
	out := aliases{maps.Clone(builtIn), "$"}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(a.block.string), &document); err != nil {
		line, message := task.YAMLError(err)
		a.add(task.Error, a.block.origin(a.lines.offset(line, 1)), "alias", "invalid YAML, here or below: %s", message)
		return out
	}
	values := map[string]string{}
	if len(document.Content) > 0 {
		for _, p := range aliasPairs(document.Content[0]) {
			a.keys(p[1], &out, values)
		}
	}
	maps.Copy(out.values, values)
	return out
}

// keys reads the keys of alias: src and directive into out, values into values.
func (a *aliasReader) keys(alias *yaml.Node, out *aliases, values map[string]string) {
	if alias.Kind != yaml.MappingNode && alias.Tag != "!!null" {
		a.at(task.Error, alias, "alias", "expected src, values or directive")
	}
	for _, p := range aliasPairs(alias) {
		switch key := "alias." + p[0].Value; p[0].Value {
		case "values":
			define(values, p[1], func(n *yaml.Node, name string, err error) { a.at(task.Error, n, key+name, "%v", err) })
		case "src":
			a.readSources(p[1], key, out.values)
		case "directive":
			if c := p[1].Value; utf8.RuneCountInString(c) != 1 || aliasName().MatchString(c) || strings.TrimSpace(c) == "" {
				a.at(task.Error, p[1], key, "expected one character that is neither a letter nor a digit")
			} else {
				out.directive = c
			}
		default:
			a.at(task.Warning, p[0], key, "unknown key: expected src, values or directive")
		}
	}
}

// readSources reads the aliases of files and URLs: a list, or a single one.
func (a *aliasReader) readSources(n *yaml.Node, key string, values map[string]string) {
	items := n.Content
	switch {
	case n.Tag == "!!null":
	case n.Kind == yaml.ScalarNode:
		items = []*yaml.Node{n}
	case n.Kind != yaml.SequenceNode:
		a.at(task.Error, n, key, "expected a list of files and URLs")
		return
	}
	for i, item := range items {
		if a.count++; a.count > maxSources || a.size > MaxAliases {
			a.at(task.Error, item, key, "expected at most %d files and URLs, of at most 1 MiB", maxSources)
			return
		}
		key := fmt.Sprintf("%s[%d]", key, i)
		if item = resolved(item); item.Kind != yaml.ScalarNode {
			a.at(task.Error, item, key, "expected a file or a URL")
			continue
		}
		read, err := a.readSource(item.Value)
		if err != nil {
			a.at(task.Error, item, key, "%v", err)
		}
		maps.Copy(values, read)
	}
}

// readSource returns the aliases of a file or URL.
func (a *aliasReader) readSource(name string) (map[string]string, error) {
	if a.sources == nil {
		return nil, fmt.Errorf("%s: aliases cannot be read from files or URLs here", name)
	}
	data, err := a.sources(name)
	if err != nil {
		return nil, fmt.Errorf("reading aliases from %s: %w", name, err)
	}
	if a.size += len(data); a.size > MaxAliases {
		return nil, fmt.Errorf("reading aliases from %s: the files of aliases are larger than 1 MiB", name)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		line, message := task.YAMLError(err)
		return nil, fmt.Errorf("%s, line %d: %s", name, line, message)
	}
	values := map[string]string{}
	if len(document.Content) > 0 {
		define(values, document.Content[0], func(n *yaml.Node, _ string, wrong error) {
			err = cmp.Or(err, fmt.Errorf("%s, line %d: %w", name, n.Line, wrong))
		})
	}
	return values, err
}

// define adds the names and values of a mapping to values, and reports the invalid ones, with ".NAME".
func define(values map[string]string, n *yaml.Node, report func(n *yaml.Node, name string, err error)) {
	if n.Kind != yaml.MappingNode && n.Tag != "!!null" {
		report(n, "", errors.New("expected NAME: VALUE"))
	}
	for _, p := range aliasPairs(n) {
		switch name := p[0].Value; {
		case aliasName().FindString(name) != name || name == "":
			report(p[0], "."+name, fmt.Errorf("invalid alias %q: expected letters (a to z) and digits", name))
		case p[1].Kind != yaml.ScalarNode:
			report(p[0], "."+name, errors.New("expected a text"))
		case p[1].Tag == "!!null":
			values[name] = ""
		default:
			values[name] = p[1].Value
		}
	}
}

// at adds a finding about a node of the block.
func (a aliasReader) at(severity task.Severity, n *yaml.Node, key, format string, args ...any) {
	a.add(severity, a.block.origin(a.lines.offset(n.Line, n.Column)), key, format, args...)
}

// aliasPairs returns the keys and values of a mapping.
func aliasPairs(n *yaml.Node) (out [][2]*yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, [2]*yaml.Node{resolved(n.Content[i]), resolved(n.Content[i+1])})
	}
	return out
}

// resolved returns the node that a YAML alias refers to, or a node that is not an alias.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
