package render

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/task"
	"go.yaml.in/yaml/v3"
)

// MaxAliases is how many bytes a file of aliases can have.
const MaxAliases = 1 << 20

// builtIn are the aliases of every file of v1.1.0.
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

// aliases are the names of a file and what they stand for.
type aliases struct {
	values    map[string]string
	directive string // the character before a name
}

var aliasName = lazyregexp.New(`^[A-Za-z0-9]+`)

// expand returns the body of a file with the aliases replaced that its alias block and the format have, and
// what they make of the first word of a cmd.
func (r *renderer) expand(body, block text) (expanded text, commands map[string]string, ok bool) {
	block, ok = r.execute(block)
	if !ok {
		return text{}, nil, false
	}
	a := aliasReader{renderer: r, block: block, lines: linesOf(block.string)}.read()
	if expanded = a.replace(body); len(expanded.string) > maxText {
		r.add(task.Error, 0, "alias", "the file is longer than 4 MiB once its aliases are replaced")
		return text{}, nil, false
	}
	for name, value := range a.values {
		if strings.Contains(value, "{{") { // templates are replaced in the body; this is not part of it
			quiet := renderer{file: r.file, scope: r.scope, secrets: r.secrets, found: map[found]bool{}}
			if rendered, ok := quiet.execute(text{value, []piece{{made: true}}}); ok {
				a.values[name] = rendered.string
			}
		}
	}
	return expanded, a.values, true
}

// replace returns the text with what aliases stand for.
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
		default: // with the character behind it, which does not begin another name
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
}

// read returns the aliases of the block, the later sources before the earlier ones and those that the format
// has, and values before all.
func (a aliasReader) read() aliases {
	out := aliases{maps.Clone(builtIn), "$"}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(a.block.string), &document); err != nil {
		line, message := task.YAMLError(err)
		a.add(task.Error, a.block.origin(a.lines.offset(line, 1)), "alias", "no YAML, here or below: %s", message)
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

// keys reads what is below alias: sources and the directive into out, values into values.
func (a aliasReader) keys(alias *yaml.Node, out *aliases, values map[string]string) {
	if alias.Kind != yaml.MappingNode && alias.Tag != "!!null" {
		a.at(task.Error, alias, "alias", "expected src, values or directive")
	}
	for _, p := range aliasPairs(alias) {
		switch key := "alias." + p[0].Value; p[0].Value {
		case "values":
			a.names(p[1], key, values)
		case "src":
			a.readSources(p[1], key, out.values)
		case "directive":
			if c := p[1].Value; utf8.RuneCountInString(c) != 1 || aliasName().MatchString(c) || strings.TrimSpace(c) == "" {
				a.at(task.Error, p[1], key, "expected one character that is neither a letter nor a digit")
			} else {
				out.directive = c
			}
		default:
			a.at(task.Warning, p[0], key, "this key is not known: expected src, values or directive")
		}
	}
}

// names reads a mapping of names to values.
func (a aliasReader) names(n *yaml.Node, key string, values map[string]string) {
	if n.Kind != yaml.MappingNode && n.Tag != "!!null" {
		a.at(task.Error, n, key, "expected NAME: VALUE")
	}
	for _, p := range aliasPairs(n) {
		if err := checkAlias(p); err != nil {
			a.at(task.Error, p[0], key+"."+p[0].Value, "%v", err)
			continue
		}
		values[p[0].Value] = asWritten(p[1])
	}
}

// readSources reads the aliases of files and URLs: a list, or a single one.
func (a aliasReader) readSources(n *yaml.Node, key string, values map[string]string) {
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
		key := fmt.Sprintf("%s[%d]", key, i)
		if item = followed(item); item.Kind != yaml.ScalarNode {
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
func (a aliasReader) readSource(name string) (map[string]string, error) {
	if a.sources == nil {
		return nil, fmt.Errorf("%s: aliases cannot be read from another place here", name)
	}
	data, err := a.sources(name)
	if err != nil {
		return nil, fmt.Errorf("reading aliases from %s: %w", name, err)
	}
	if len(data) > MaxAliases {
		return nil, fmt.Errorf("reading aliases from %s: it is longer than 1 MiB", name)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		line, message := task.YAMLError(err)
		return nil, fmt.Errorf("%s, line %d: %s", name, line, message)
	}
	values := map[string]string{}
	if len(document.Content) == 0 {
		return values, nil
	}
	if document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s, line %d: expected NAME: VALUE", name, document.Content[0].Line)
	}
	for _, p := range aliasPairs(document.Content[0]) {
		if err := checkAlias(p); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, p[0].Line, err)
		}
		values[p[0].Value] = asWritten(p[1])
	}
	return values, nil
}

// checkAlias returns an error unless a pair is an alias.
func checkAlias(p [2]*yaml.Node) error {
	if aliasName().FindString(p[0].Value) != p[0].Value || p[0].Value == "" {
		return fmt.Errorf("%q is no name of an alias: expected letters (a to z) and digits", p[0].Value)
	}
	if p[1].Kind != yaml.ScalarNode {
		return errors.New("expected a text")
	}
	return nil
}

// at keeps a finding about a node of the block.
func (a aliasReader) at(severity task.Severity, n *yaml.Node, key, format string, args ...any) {
	a.add(severity, a.block.origin(a.lines.offset(n.Line, n.Column)), key, format, args...)
}

// aliasPairs returns the keys and values of a mapping.
func aliasPairs(n *yaml.Node) (out [][2]*yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, [2]*yaml.Node{followed(n.Content[i]), followed(n.Content[i+1])})
	}
	return out
}

// followed returns the node that a YAML alias stands for, which is the node itself elsewhere.
func followed(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// asWritten returns a scalar as it was written, "" for null.
func asWritten(n *yaml.Node) string {
	if n.Tag == "!!null" {
		return ""
	}
	return n.Value
}
