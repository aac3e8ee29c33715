package render

import (
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// A missing field must neither fail nor be printed as "<no value>", but printing it adds a warning. So each field,
// variable and dot of a template is replaced by a call of lookup, which knows how the value is used.

// list instruments a list of nodes, and records the positions of literal pieces.
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
			e.pipe(n.Pipe, want{fallback: ""})
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
	e.pipe(b.Pipe, want{tested: true})
	e.list(b.List)
	e.list(b.ElseList)
}

// countPasses counts how often the list of the action at pos is executed.
func countPasses(l *parse.ListNode, pos parse.Pos) {
	pipe := pipeOf(call("pass", pos))
	l.Nodes = append([]parse.Node{&parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Pipe: pipe}}, l.Nodes...)
}

// pipe instruments a pipeline whose value is used as described by w.
func (e *execution) pipe(p *parse.PipeNode, w want) {
	if p == nil {
		return
	}
	for i := len(p.Cmds) - 1; i >= 0; i-- {
		cmd := p.Cmds[i]
		next := wanted(cmd, len(cmd.Args)-1)
		next.tested = w.tested || slices.Contains(tests, function(cmd))
		e.command(cmd, i > 0, w)
		w = next
	}
}

// command instruments a command; if piped, it gets one more argument.
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
			argument.tested = w.tested || slices.Contains(tests, function(cmd))
			cmd.Args[i] = e.operand(arg, argument)
		case !called:
			cmd.Args[i] = e.operand(arg, w)
		case ok: // a method with arguments
			chain.Node = e.operand(chain.Node, want{quiet: true, tested: w.tested})
		}
	}
}

// constantKeys returns the keys of a call of index with only constant strings, which is equivalent to fields.
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

// operand returns the replacement of a term, with more fields appended to its own.
func (e *execution) operand(n parse.Node, w want, more ...string) parse.Node {
	below := want{quiet: true, tested: w.tested} // the outer lookup warns
	switch n := n.(type) {
	case *parse.DotNode:
		return e.lookupCall(n, ".", more, w)
	case *parse.FieldNode:
		dot := &parse.DotNode{NodeType: parse.NodeDot, Pos: n.Pos}
		return e.lookupCall(dot, ".", append(n.Ident, more...), w)
	case *parse.VariableNode:
		variable := &parse.VariableNode{NodeType: parse.NodeVariable, Pos: n.Pos, Ident: n.Ident[:1]}
		return e.lookupCall(variable, n.Ident[0], append(slices.Clone(n.Ident[1:]), more...), w)
	case *parse.ChainNode:
		root := strings.TrimSuffix(n.String(), "."+strings.Join(n.Field, "."))
		return e.lookupCall(e.operand(n.Node, below), root, append(n.Field, more...), w)
	case *parse.PipeNode:
		if len(more) > 0 {
			root := "(" + n.String() + ")"
			e.pipe(n, below)
			return e.lookupCall(n, root, more, w)
		}
		e.pipe(n, w)
	default:
		if len(more) > 0 {
			return e.lookupCall(n, n.String(), more, w)
		}
	}
	return n
}

// lookupCall returns a call of lookup.
func (e *execution) lookupCall(of parse.Node, root string, fields []string, w want) parse.Node {
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
