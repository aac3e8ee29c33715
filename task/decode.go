package task

import (
	"cmp"
	"errors"
	"fmt"
	"io"
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

// maxNodes and maxMerges bound what aliases and merge keys make of a small file.
const (
	maxNodes  = 50_000
	maxMerges = 20
)

// decoder walks the YAML of a file, and gathers what is to be said about it.
type decoder struct {
	rendered Rendered
	findings []Finding
	// places are those of what was looked at, by key.
	places map[string]Position
	// nodes is how many were looked at.
	nodes int
}

func newDecoder(r Rendered) decoder {
	return decoder{rendered: r, places: map[string]Position{}}
}

// value is a node, and where it is in the structure. An alias is resolved.
type value struct {
	key  string
	node *yaml.Node
	// name is what names it in a mapping.
	name *yaml.Node
	// anchored says that it stands here to be named elsewhere.
	anchored bool
}

// fields are the values of a mapping that are not null.
type fields struct {
	*decoder
	value
	values map[string]value
}

// document returns the first document of the file. Without one there is an Error, and false.
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
		d.report(Warning, value{node: &next}, "only the first document of the file is read, and here begins another one")
	}
	return d.place("", doc.Content[0], nil), true
}

// syntaxError reports what is not YAML at the first line without which it would be, or would be wrong in
// another way. The line that the parser tells is often that of something around it.
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
	d.findings = append(d.findings, Finding{
		Position: d.rendered.origin(Position{line, 1 + len(indent)}), Severity: Error,
		Message: "this is not YAML: " + manifest.OneLine(problem, maxShown) + yamlHint(problem, indent),
	})
}

// yamlHint says how to mend what people get wrong most often in a line that begins with indent.
func yamlHint(problem, indent string) string {
	switch {
	case strings.Contains(indent, "\t"):
		return "; indent with spaces, not tabs"
	case problem == "mapping values are not allowed in this context":
		return "; quote a text that has a colon and a blank in it"
	}
	return ""
}

// newValue returns what node, or the alias that it is, stands for.
func newValue(key string, node, name *yaml.Node) value {
	v := value{key: key, node: node, name: name, anchored: node.Anchor != ""}
	if node.Kind == yaml.AliasNode {
		v.node = node.Alias // which is none
	}
	return v
}

// place is newValue for what is remembered by its key.
func (d *decoder) place(key string, node, name *yaml.Node) value {
	v := newValue(key, node, name)
	d.places[key] = d.position(v)
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

// sorted returns the findings in the order of the file, without the secrets that templates put into it.
func (d *decoder) sorted() []Finding {
	for i, f := range d.findings {
		d.findings[i].Key, d.findings[i].Message = d.rendered.Secrets.Hide(f.Key), d.rendered.Secrets.Hide(f.Message)
	}
	slices.SortStableFunc(d.findings, func(a, b Finding) int {
		return cmp.Or(a.Compare(b.Position), cmp.Compare(a.Key, b.Key))
	})
	return d.findings
}

// spend reports whether so many more nodes may be looked at.
func (d *decoder) spend(nodes int, v value) bool {
	if d.nodes <= maxNodes && d.nodes+nodes > maxNodes {
		d.errorf(v, "the aliases of the file make more than %d values of it", maxNodes)
	}
	d.nodes += nodes
	return d.nodes <= maxNodes
}

// fields returns the values of a mapping, and whether v is one. Keys that are not known are lints, unless any
// are, when known is nil. One whose value has an anchor is there for that.
func (d *decoder) fields(v value, known []string) (fields, bool) {
	f := fields{d, v, map[string]value{}}
	if v.node.Kind != yaml.MappingNode {
		d.errorf(v, "expected a mapping, found %s", whatIs(v))
		return f, false
	}
	d.collect(v, f.values, 0)
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		if v := f.values[name]; known != nil && !slices.Contains(known, name) && !v.anchored {
			d.lintf(value{key: v.key, node: v.name}, "unknown key%s", didYouMean(name, known))
		}
	}
	maps.DeleteFunc(f.values, func(_ string, v value) bool { return v.null() })
	return f, true
}

// collect puts the values of a mapping, and then of those that it merges, into those that are there.
func (d *decoder) collect(v value, into map[string]value, depth int) {
	if depth > maxMerges {
		d.errorf(v, "mappings are merged into each other more than %d times", maxMerges)
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
			d.lintf(value{key: key, node: name.node}, "the key is there twice: this one counts")
		}
		own[name.node.Value] = d.place(key, v.node.Content[i+1], name.node)
	}
	for name, v := range own {
		if _, there := into[name]; !there {
			into[name] = v
		}
	}
	for _, m := range merged {
		d.merge(m, into, depth+1)
	}
}

// merge is collect for what stands after a merge key: a mapping, or a list of them.
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

// list returns the items of a list; one that is not there has none.
func (f fields) list(name string) []value {
	v, ok := f.values[name]
	if !ok {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		f.errorf(v, "expected a list, found %s", whatIs(v))
		return nil
	}
	return f.items(v)
}

// listOrOne is list, but takes a text for a list of one.
func (f fields) listOrOne(name string) []value {
	if v, ok := f.values[name]; ok && v.node.Kind == yaml.ScalarNode {
		f.lintf(v, "ACR Tasks takes only a list here")
		return []value{v}
	}
	return f.list(name)
}

func (d *decoder) items(v value) []value {
	if !d.spend(len(v.node.Content), v) {
		return nil
	}
	items := make([]value, len(v.node.Content))
	for i, node := range v.node.Content {
		items[i] = d.place(fmt.Sprintf("%s[%d]", v.key, i), node, nil)
	}
	return items
}

// string returns the text that v is; a number is one, too.
func (d *decoder) string(v value) (string, bool) {
	if v.node.Kind != yaml.ScalarNode || v.null() {
		d.errorf(v, "expected a text, found %s", whatIs(v))
		return "", false
	}
	return v.node.Value, true
}

// text returns a text, "" when it is not there.
func (f fields) text(name string) string {
	v, ok := f.values[name]
	if !ok {
		return ""
	}
	s, _ := f.string(v)
	return s
}

// texts returns the texts of a list.
func (f fields) texts(name string) []string {
	var out []string
	for _, v := range f.list(name) {
		if s, ok := f.string(v); ok {
			out = append(out, s)
		}
	}
	return out
}

// flag returns a boolean, false when it is not there.
func (f fields) flag(name string) bool {
	v, ok := f.values[name]
	var b bool
	if ok && (v.node.Kind != yaml.ScalarNode || v.node.Decode(&b) != nil) {
		f.errorf(v, "expected true or false, found %s", whatIs(v))
	}
	return b
}

// integer returns the number that v is, from 0 on.
func (d *decoder) integer(v value) (int, bool) {
	var n int
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!int" || v.node.Decode(&n) != nil || n < 0 || n > math.MaxInt32 {
		d.errorf(v, "expected a whole number from 0 to %d, found %s", math.MaxInt32, whatIs(v))
		return 0, false
	}
	return n, true
}

// number returns a number, 0 when it is not there.
func (f fields) number(name string) int {
	v, ok := f.values[name]
	if !ok {
		return 0
	}
	n, _ := f.integer(v)
	return n
}

// numbers returns the numbers of a list.
func (f fields) numbers(name string) []int {
	var out []int
	for _, v := range f.list(name) {
		if n, ok := f.integer(v); ok {
			out = append(out, n)
		}
	}
	return out
}

// seconds returns a time, def when it is 0 or not there.
func (f fields) seconds(name string, def time.Duration) time.Duration {
	return cmp.Or(time.Duration(f.number(name))*time.Second, def)
}

// at returns the value of a field, or the mapping when it is not there.
func (f fields) at(name string) value {
	if v, ok := f.values[name]; ok {
		return v
	}
	return f.value
}

func (f fields) has(name string) bool { _, ok := f.values[name]; return ok }

func (v value) null() bool { return v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null" }

// join returns the key of a field of what has the key parent.
func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// maxShown is how many bytes of a text findings show.
const maxShown = 80

// show returns a text of the file for a finding.
func show(s string) string { return `"` + manifest.OneLine(s, maxShown) + `"` }

// whatIs says what v is.
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

// didYouMean is the end of a sentence that names the known name next to the given one, if one is near.
func didYouMean(given string, known []string) string {
	lower := strings.ToLower(given)
	for _, name := range known {
		if l := strings.ToLower(name); l == lower || len(lower) > 3 && (strings.HasSuffix(l, lower) || strings.HasPrefix(l, lower)) {
			return ": did you mean " + name + "?"
		}
	}
	if near := manifest.Nearest(given, known); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

var yamlLine = lazyregexp.New(`^yaml: (?:unmarshal errors:\s+)?(?:line (\d+): )?`)

// YAMLError returns the line and the message of an error of the YAML reader, the first of several. What is
// wrong is there, or below in the same block.
func YAMLError(err error) (line int, message string) {
	m := yamlLine().FindStringSubmatch(err.Error())
	if m == nil {
		return 1, err.Error()
	}
	line, _ = strconv.Atoi(m[1]) // no line is the first
	message, _, _ = strings.Cut(strings.TrimPrefix(err.Error(), m[0]), "\n")
	return max(line, 1), message
}
