package task

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// A field that is not there must neither fail nor be printed as "<no value>", and whoever prints it is to be
// warned. So each field, variable and dot of a template is replaced by a call of lookup, which knows what the
// value is for.

// lookup is one place of a template that reads a value.
type lookup struct {
	pos    int
	root   string // what the fields are of, as it was written
	fields []string
	want   want
}

// want says what becomes of a value that is missing.
type want struct {
	instead any
	quiet   bool // there is no need to warn
	asked   bool // nor when something is missing that the value is made of
}

// run are the fields of .Run.
var runFields = []string{
	"ID", "Registry", "RegistryName", "Date", "Commit", "Branch", "Repository", "GitTag", "TriggeredBy",
	"SharedVolume", "OS", "OSVersion", "Architecture", "TaskName",
}

// scope is what templates can read.
type scope map[string]any

// redacted stands in for secrets that are not to be had.
type redacted map[string]any

// scopeOf returns what templates can read of variables, none of it shared with them.
func scopeOf(vars Variables) scope {
	run := map[string]any{}
	for k, v := range vars.Run {
		if v != "" {
			run[k] = v
		}
	}
	values, _ := copied(vars.Values).(map[string]any)
	s := scope{
		"Run": run, "Build": map[string]any{}, "Values": values, "Secrets": redacted{},
		"RunJSON": quotedJSON(vars.Run), "ValuesJSON": quotedJSON(vars.Values),
	}
	if id, ok := run["ID"]; ok {
		s["Build"] = map[string]any{"ID": id}
	}
	if vars.Secrets != nil {
		secrets := map[string]any{}
		for id, v := range vars.Secrets {
			secrets[id] = v
		}
		s["Secrets"] = secrets
	}
	return s
}

// copied returns a copy of a value that YAML can be read into.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = copied(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copied(e)
		}
		return out
	}
	return v
}

// quotedJSON returns a value as a word for a shell.
func quotedJSON[V any](values map[string]V) string {
	if values == nil {
		values = map[string]V{}
	}
	b, _ := json.Marshal(values) // of what YAML has
	return "'" + strings.ReplaceAll(string(b), "'", `'\''`) + "'"
}

// lookup returns the value of a lookup in what it is of.
func (e *execution) lookup(n int, of any) (any, error) {
	l := e.lookups[n]
	value := of
	for i, f := range l.fields {
		if value == nil {
			break
		}
		var ok bool
		if value, ok = field(value, f); !ok {
			parent := l.name(i)
			return nil, refusal(fmt.Sprintf("%s is %s, which has no %s", parent, kind(value), f))
		}
	}
	if value != nil {
		return value, nil
	}
	if !l.want.quiet && !l.want.asked {
		e.add(Warning, e.source.origin(e.actionAt(l.pos).start), "", "{{%s}} has no value%s", l.name(len(l.fields)), l.hint(of))
	}
	return l.want.instead, nil
}

// name returns the first n fields as a template would have them.
func (l lookup) name(n int) string {
	name := l.root
	if n > 0 {
		name = strings.TrimSuffix(name, ".") + "." + strings.Join(l.fields[:n], ".")
	}
	return name
}

// hint says how to give the value that is missing.
func (l lookup) hint(of any) string {
	if _, ok := of.(scope); !ok {
		if of == nil && l.root == "." && len(l.fields) > 0 {
			return `: {{.}} is nothing here; a template is given it by {{template "NAME" .}}`
		}
		return ""
	}
	below := strings.Join(l.fields[1:], ".")
	switch l.fields[0] {
	case "Values":
		return fmt.Sprintf(": give it with --set %s=... or --values", below)
	case "Secrets":
		return fmt.Sprintf(": give it with --secret id=%s,src=FILE or --secret id=%[1]s,env=NAME", below)
	case "Build":
		if below == "ID" {
			return ": give it with --id"
		}
		return ": .Build has ID alone"
	case "Run":
		if flag, ok := map[string]string{"ID": "--id", "Registry": "--registry", "RegistryName": "--registry"}[below]; ok {
			return ": give it with " + flag
		}
		if !slices.Contains(runFields, below) {
			return ": .Run has " + strings.Join(runFields, ", ")
		}
		return ""
	}
	return ": there are .Run, .Build, .Values, .Secrets, .RunJSON and .ValuesJSON"
}

// field returns a field of a value that is not nil as templates do, nil for what a map does not have. It
// returns the value itself and false when the value cannot have such a field.
func field(value any, name string) (any, bool) {
	if _, ok := value.(redacted); ok {
		return Redacted, true
	}
	v := reflect.ValueOf(value)
	if m := v.MethodByName(name); m.IsValid() && m.Type().NumIn() == 0 && m.Type().NumOut() == 1 {
		return m.Call(nil)[0].Interface(), true
	}
	v = reflect.Indirect(v)
	if v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String {
		if f := v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key())); f.IsValid() {
			return f.Interface(), true
		}
		return nil, true
	}
	if v.Kind() == reflect.Struct {
		if f := v.FieldByName(name); f.IsValid() && f.CanInterface() {
			return f.Interface(), true
		}
	}
	return value, false
}

// kind returns what a value is, for a person.
func kind(value any) string {
	switch reflect.ValueOf(value).Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return "a number"
	}
	return fmt.Sprintf("of type %T", value)
}

// list replaces what reads values in a list of nodes, and notes where the literal pieces are.
func (e *execution) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			if len(n.Text) > 0 {
				e.texts[&n.Text[0]] = int(n.Pos)
			}
		case *parse.ActionNode:
			if len(n.Pipe.Decl) > 0 {
				e.pipe(n.Pipe, want{quiet: true})
				break
			}
			e.pipe(n.Pipe, want{instead: ""})
			n.Pipe.Cmds = append(n.Pipe.Cmds, call("at", n.Pos, number(int(n.Pos))))
		case *parse.TemplateNode:
			e.pipe(n.Pipe, want{quiet: true})
		case *parse.IfNode:
			e.branch(&n.BranchNode)
		case *parse.WithNode:
			e.branch(&n.BranchNode)
		case *parse.RangeNode:
			e.branch(&n.BranchNode)
			countPasses(n.List, n.Pos)
		}
	}
}

func (e *execution) branch(b *parse.BranchNode) {
	e.pipe(b.Pipe, want{asked: true})
	e.list(b.List)
	e.list(b.ElseList)
}

// countPasses has the times counted that the list of the action at pos is gone through.
func countPasses(l *parse.ListNode, pos parse.Pos) {
	pipe := pipeOf(call("pass", pos))
	l.Nodes = append([]parse.Node{&parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Pipe: pipe}}, l.Nodes...)
}

// pipe replaces what reads values in a pipeline whose own value is for w.
func (e *execution) pipe(p *parse.PipeNode, w want) {
	if p == nil {
		return
	}
	for i := len(p.Cmds) - 1; i >= 0; i-- {
		cmd := p.Cmds[i]
		next := wanted(cmd, len(cmd.Args)-1)
		next.asked = w.asked || asks[function(cmd)]
		e.command(cmd, i > 0, w)
		w = next
	}
}

// command replaces what reads values in a command; with piped it gets one more argument.
func (e *execution) command(cmd *parse.CommandNode, piped bool, w want) {
	if keys := constantKeys(cmd); keys != nil && !piped {
		cmd.Args = []parse.Node{e.operand(cmd.Args[1], w, keys...)}
		return
	}
	called := piped || len(cmd.Args) > 1
	for i, arg := range cmd.Args {
		switch chain, ok := arg.(*parse.ChainNode); {
		case i > 0:
			argument := wanted(cmd, i-1)
			argument.asked = w.asked || asks[function(cmd)]
			cmd.Args[i] = e.operand(arg, argument)
		case !called:
			cmd.Args[i] = e.operand(arg, w)
		case ok: // a method with arguments
			chain.Node = e.operand(chain.Node, want{quiet: true, asked: w.asked})
		}
	}
}

// constantKeys returns the keys of a call of index that has strings for keys, which is a chain of fields.
func constantKeys(cmd *parse.CommandNode) (keys []string) {
	if function(cmd) != "index" || len(cmd.Args) < 3 {
		return nil
	}
	for _, arg := range cmd.Args[2:] {
		s, ok := arg.(*parse.StringNode)
		if !ok {
			return nil
		}
		keys = append(keys, s.Text)
	}
	return keys
}

// operand returns what a term is replaced by, with more fields behind its own.
func (e *execution) operand(n parse.Node, w want, more ...string) parse.Node {
	dot := &parse.DotNode{NodeType: parse.NodeDot, Pos: n.Position()}
	switch n := n.(type) {
	case *parse.DotNode:
		return e.look(dot, ".", more, w)
	case *parse.FieldNode:
		return e.look(dot, ".", append(n.Ident, more...), w)
	case *parse.VariableNode:
		variable := &parse.VariableNode{NodeType: parse.NodeVariable, Pos: n.Pos, Ident: n.Ident[:1]}
		return e.look(variable, n.Ident[0], append(slices.Clone(n.Ident[1:]), more...), w)
	case *parse.ChainNode:
		root := strings.TrimSuffix(n.String(), "."+strings.Join(n.Field, "."))
		return e.look(e.operand(n.Node, want{quiet: true, asked: w.asked}), root, append(n.Field, more...), w)
	case *parse.PipeNode:
		root := "(" + n.String() + ")"
		if e.pipe(n, w); len(more) > 0 {
			return e.look(n, root, more, w)
		}
	}
	return n
}

// look returns a call of lookup.
func (e *execution) look(of parse.Node, root string, fields []string, w want) parse.Node {
	e.lookups = append(e.lookups, lookup{int(of.Position()), root, fields, w})
	return pipeOf(call("lookup", of.Position(), number(len(e.lookups)-1), of))
}

// function returns the name of the function that a command calls, "" for none.
func function(cmd *parse.CommandNode) string {
	if id, ok := cmd.Args[0].(*parse.IdentifierNode); ok {
		return id.Ident
	}
	return ""
}

// call, number and pipeOf return nodes for the parse tree.

func call(function string, pos parse.Pos, args ...parse.Node) *parse.CommandNode {
	name := parse.NewIdentifier(function).SetPos(pos)
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: append([]parse.Node{name}, args...)}
}

func number(n int) *parse.NumberNode {
	return &parse.NumberNode{NodeType: parse.NodeNumber, IsInt: true, Int64: int64(n), Text: strconv.Itoa(n)}
}

func pipeOf(cmd *parse.CommandNode) *parse.PipeNode {
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: cmd.Pos, Cmds: []*parse.CommandNode{cmd}}
}
