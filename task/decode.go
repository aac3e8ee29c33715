package task

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"go.yaml.in/yaml/v3"
)

// maxNodes and maxMerges limit the effect of YAML aliases and merge keys.
const (
	maxNodes  = 50_000
	maxMerges = 20
)

// decoder walks the YAML of a file and collects findings.
type decoder struct {
	rendered Rendered
	findings []Finding
	// nodes is how many were read.
	nodes int
}

// value is a node, with aliases resolved, and its position in the structure.
type value struct {
	key  string
	node *yaml.Node
	// name is its key in a mapping.
	name *yaml.Node
	// anchored is set if it has an anchor, and may be there only to be used elsewhere.
	anchored bool
}

// fields are the values of a mapping, except null.
type fields struct {
	*decoder
	value
	values map[string]value
}

// document returns the first document of the file. If there is none, it reports an error and returns false.
func (d *decoder) document() (value, bool) {
	var doc, next yaml.Node
	in := yaml.NewDecoder(strings.NewReader(d.rendered.Text))
	err := in.Decode(&doc)
	if err != nil && !errors.Is(err, io.EOF) {
		d.syntaxError(err)
		return value{}, false
	}
	if err != nil || len(doc.Content) == 0 {
		d.report(Error, value{}, "the file is empty: expected a mapping with the key steps")
		return value{}, false
	}
	if in.Decode(&next) == nil {
		d.report(Warning, value{node: &next}, "only the first document of the file is read; another one starts here")
	}
	return newValue("", doc.Content[0], nil), true
}

// syntaxError reports a YAML error at the last line of the shortest beginning of the file that has it. The line in the
// parser's error is often that of an enclosing node.
func (d *decoder) syntaxError(err error) {
	lines := strings.SplitAfter(d.rendered.Text, "\n")
	_, problem := YAMLError(err)
	line := 1 + sort.Search(len(lines)-1, func(i int) bool {
		var n yaml.Node
		err := yaml.Unmarshal([]byte(strings.Join(lines[:i+1], "")), &n)
		if err == nil {
			return false
		}
		_, now := YAMLError(err)
		return now == problem
	})
	text := lines[line-1]
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	hint := ""
	switch {
	case strings.Contains(indent, "\t"):
		hint = "; indent with spaces, not tabs"
	case problem == "mapping values are not allowed in this context":
		hint = "; quote a text that contains a colon and a space"
	}
	d.findings = append(d.findings, Finding{
		Position: d.rendered.origin(Position{line, 1 + len(indent)}), Severity: Error,
		Message: "invalid YAML: " + manifest.OneLine(problem, maxShown) + hint,
	})
}

// newValue returns the value of a node, with an alias resolved.
func newValue(key string, node, name *yaml.Node) value {
	v := value{key: key, node: node, name: name, anchored: node.Anchor != ""}
	if node.Kind == yaml.AliasNode {
		v.node = node.Alias // never an alias itself
	}
	return v
}

func (d *decoder) position(v value) Position {
	if v.node == nil || v.node.Line == 0 {
		return d.rendered.origin(Position{1, 1})
	}
	return d.rendered.origin(Position{v.node.Line, v.node.Column})
}

func (d *decoder) report(severity Severity, v value, format string, args ...any) {
	d.findings = append(d.findings, Finding{d.position(v), severity, v.key, fmt.Sprintf(format, args...)})
}

func (d *decoder) errorf(v value, format string, args ...any) { d.report(Error, v, format, args...) }
func (d *decoder) lintf(v value, format string, args ...any)  { d.report(Lint, v, format, args...) }

// sorted returns the findings in the order of the file, without secrets that templates inserted.
func (d *decoder) sorted() []Finding {
	for i, f := range d.findings {
		d.findings[i].Key, d.findings[i].Message = d.rendered.Secrets.Hide(f.Key), d.rendered.Secrets.Hide(f.Message)
	}
	slices.SortStableFunc(d.findings, func(a, b Finding) int {
		return cmp.Or(a.Compare(b.Position), cmp.Compare(a.Key, b.Key))
	})
	return d.findings
}

// spend reports whether this many more nodes may be read.
func (d *decoder) spend(nodes int, v value) bool {
	if d.nodes <= maxNodes && d.nodes+nodes > maxNodes {
		d.errorf(v, "the file has more than %d values once its aliases are expanded", maxNodes)
	}
	d.nodes += nodes
	return d.nodes <= maxNodes
}

// fields returns the values of a mapping, and whether v is one. Unknown keys are lints, except if known is nil or the
// value has an anchor.
func (d *decoder) fields(v value, known []string) (fields, bool) {
	f := fields{d, v, map[string]value{}}
	if v.node.Kind != yaml.MappingNode {
		d.errorf(v, "expected a mapping, found %s", whatIs(v))
		return f, false
	}
	d.collect(v, f.values, 0)
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		if v := f.values[name]; known != nil && !slices.Contains(known, name) && !v.anchored {
			d.lintf(value{key: v.key, node: v.name}, "unknown key%s", manifest.DidYouMean(name, known))
		}
	}
	maps.DeleteFunc(f.values, func(_ string, v value) bool { return v.null() })
	return f, true
}

// collect adds the values of a mapping, and of those that it merges, to values that take precedence.
func (d *decoder) collect(v value, into map[string]value, depth int) {
	if depth > maxMerges {
		d.errorf(v, "merge keys are nested more than %d levels deep", maxMerges)
		return
	}
	if !d.spend(len(v.node.Content), v) {
		return
	}
	own, merged := map[string]value{}, []value(nil)
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		name := newValue(v.key, v.node.Content[i], nil)
		if name.node.Kind != yaml.ScalarNode {
			d.errorf(name, "expected a key, found %s", whatIs(name))
			continue
		}
		if name.node.ShortTag() == "!!merge" {
			merged = append(merged, newValue(v.key, v.node.Content[i+1], name.node))
			continue
		}
		key := join(v.key, manifest.OneLine(name.node.Value, maxShown))
		if _, twice := own[name.node.Value]; twice {
			d.lintf(value{key: key, node: name.node}, "duplicate key: this one is used")
		}
		own[name.node.Value] = newValue(key, v.node.Content[i+1], name.node)
	}
	for name, v := range own {
		if _, ok := into[name]; !ok {
			into[name] = v
		}
	}
	for _, m := range merged {
		d.merge(m, into, depth+1)
	}
}

// merge is collect for the value of a merge key: a mapping or a list of them.
func (d *decoder) merge(v value, into map[string]value, depth int) {
	all := []*yaml.Node{v.node}
	if v.node.Kind == yaml.SequenceNode {
		all = v.node.Content
	}
	for _, node := range all {
		m := newValue(v.key, node, v.name)
		if m.node.Kind != yaml.MappingNode {
			d.errorf(m, "expected a mapping after <<, found %s", whatIs(m))
			continue
		}
		d.collect(m, into, depth)
	}
}

// list returns the items of a list, none if the field is missing.
func (f fields) list(name string) []value {
	v, ok := f.values[name]
	if !ok {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		f.errorf(v, "expected a list, found %s", whatIs(v))
		return nil
	}
	if !f.spend(len(v.node.Content), v) {
		return nil
	}
	items := make([]value, len(v.node.Content))
	for i, node := range v.node.Content {
		items[i] = newValue(fmt.Sprintf("%s[%d]", v.key, i), node, nil)
	}
	return items
}

// listOrOne is list, but accepts a text as a list of one.
func (f fields) listOrOne(name string) []value {
	if v, ok := f.values[name]; ok && v.node.Kind == yaml.ScalarNode {
		f.lintf(v, "ACR Tasks accepts only a list here")
		return []value{v}
	}
	return f.list(name)
}

// string returns the text of v, which may also be a number.
func (d *decoder) string(v value) (string, bool) {
	if v.node.Kind != yaml.ScalarNode || v.null() {
		d.errorf(v, "expected a text, found %s", whatIs(v))
		return "", false
	}
	return v.node.Value, true
}

// optional returns what read returns for a field, the zero value if the field is missing or invalid.
func optional[T any](f fields, name string, read func(value) (T, bool)) (out T) {
	if v, ok := f.values[name]; ok {
		out, _ = read(v)
	}
	return out
}

// each returns what read returns for the items of a list, without the invalid ones.
func each[T any](f fields, name string, read func(value) (T, bool)) (out []T) {
	for _, v := range f.list(name) {
		if item, ok := read(v); ok {
			out = append(out, item)
		}
	}
	return out
}

// text returns a text, "" if the field is missing.
func (f fields) text(name string) string { return optional(f, name, f.string) }

// texts returns the texts of a list.
func (f fields) texts(name string) []string { return each(f, name, f.string) }

// number returns a number, 0 if the field is missing.
func (f fields) number(name string) int { return optional(f, name, f.integer) }

// numbers returns the numbers of a list.
func (f fields) numbers(name string) []int { return each(f, name, f.integer) }

// mappings returns the mappings of a list.
func (f fields) mappings(name string, known []string) []fields {
	return each(f, name, func(v value) (fields, bool) { return f.fields(v, known) })
}

// strings are those of values that are texts, and reports the others.
func (d *decoder) strings(values []value) iter.Seq2[value, string] {
	return func(yield func(value, string) bool) {
		for _, v := range values {
			if s, ok := d.string(v); ok && !yield(v, s) {
				return
			}
		}
	}
}

// flag returns a boolean, false if the field is missing.
func (f fields) flag(name string) bool {
	v, ok := f.values[name]
	var b bool
	if ok && (v.node.Kind != yaml.ScalarNode || v.node.Decode(&b) != nil) {
		f.errorf(v, "expected true or false, found %s", whatIs(v))
	}
	return b
}

// integer returns a number that is not negative.
func (d *decoder) integer(v value) (int, bool) {
	var n int
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!int" || v.node.Decode(&n) != nil || n < 0 || n > math.MaxInt32 {
		d.errorf(v, "expected a whole number from 0 to %d, found %s", math.MaxInt32, whatIs(v))
		return 0, false
	}
	return n, true
}

// seconds returns a duration, def if it is 0 or the field is missing.
func (f fields) seconds(name string, def time.Duration) time.Duration {
	return cmp.Or(time.Duration(f.number(name))*time.Second, def)
}

// at returns the value of a field, or the mapping if the field is missing.
func (f fields) at(name string) value {
	if v, ok := f.values[name]; ok {
		return v
	}
	return f.value
}

func (f fields) has(name string) bool { _, ok := f.values[name]; return ok }

func (v value) null() bool { return v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null" }

// join returns the key of a field below the key parent.
func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// maxShown is the maximum length of a text in a finding, in bytes.
const maxShown = 80

// show returns a text of the file in quotes, for a finding.
func show(s string) string { return `"` + manifest.OneLine(s, maxShown) + `"` }

// whatIs describes v.
func whatIs(v value) string {
	switch {
	case v.node.Kind == yaml.SequenceNode:
		return "a list"
	case v.node.Kind == yaml.MappingNode:
		return "a mapping"
	case v.null():
		return "nothing"
	case v.node.ShortTag() == "!!str":
		return show(v.node.Value)
	}
	return manifest.OneLine(v.node.Value, maxShown)
}

var yamlLine = lazyregexp.New(`^yaml: (?:unmarshal errors:\s+)?(?:line (\d+): )?`)

// YAMLError returns the line and the message of the first of the errors of the YAML parser. The mistake is there, or below
// in the same block.
func YAMLError(err error) (line int, message string) {
	m := yamlLine().FindStringSubmatch(err.Error())
	if m == nil {
		return 1, err.Error()
	}
	line, _ = strconv.Atoi(m[1]) // the parser omits line 1
	message, _, _ = strings.Cut(strings.TrimPrefix(err.Error(), m[0]), "\n")
	return max(line, 1), message
}
