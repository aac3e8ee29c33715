package render

import (
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// Templates run with calls of our own in their parse tree: text in place of each literal piece, and at before every other
// node, in loops and in named templates.

// node is what at is called for.
type node struct {
	start int // offset of its action
	cost  float64
	uses  [][]string // fields of the scope without which there is a warning
}

// Costs of nodes, see maxWork.
const (
	parseCost    = 4096
	nodeCost     = 128
	templateCost = 1024 // a call of a named template, whose nesting takes memory
)

// list inserts the calls in a list of nodes. Inner ones may be executed with another dot.
func (e *execution) list(l *parse.ListNode, inner bool) {
	if l == nil {
		return
	}
	nodes := make([]parse.Node, 0, 2*len(l.Nodes)+1)
	for _, n := range l.Nodes {
		var uses [][]string
		switch n := n.(type) {
		case *parse.TextNode:
			nodes = append(nodes, call("text", int(n.Pos), len(n.Text)))
			continue
		case *parse.ActionNode:
			assigned := len(n.Pipe.Decl) > 0 && len(n.Pipe.Cmds) == 1 && len(n.Pipe.Cmds[0].Args) == 1
			uses = e.pipe(n.Pipe, assigned, inner)
		case *parse.TemplateNode:
			e.pipe(n.Pipe, true, inner)
		case *parse.IfNode:
			e.branch(&n.BranchNode, inner)
		case *parse.WithNode:
			e.branch(&n.BranchNode, true)
		case *parse.RangeNode:
			e.branch(&n.BranchNode, true)
			n.List.Nodes = slices.Insert(n.List.Nodes, 0, e.mark(n.Pos, nodeCost, nil))
		}
		nodes = append(nodes, e.mark(n.Position(), nodeCost, uses), n)
	}
	l.Nodes = nodes
}

func (e *execution) branch(b *parse.BranchNode, inner bool) {
	e.pipe(b.Pipe, true, inner)
	e.list(b.List, inner)
	e.list(b.ElseList, inner)
}

// pipe returns the fields of the scope that a pipeline uses, unless they are optional: all, or where it tests a value.
func (e *execution) pipe(p *parse.PipeNode, optional, inner bool) (uses [][]string) {
	if p == nil {
		return nil
	}
	optional = optional || slices.ContainsFunc(p.Cmds, func(cmd *parse.CommandNode) bool {
		return slices.Contains(tests, function(cmd))
	})
	for _, cmd := range p.Cmds {
		keysAsFields(cmd)
		for _, arg := range cmd.Args {
			if chain, ok := arg.(*parse.ChainNode); ok {
				arg = chain.Node
			}
			var fields []string
			switch arg := arg.(type) {
			case *parse.PipeNode:
				uses = append(uses, e.pipe(arg, optional, inner)...)
			case *parse.FieldNode:
				fields = arg.Ident
			case *parse.VariableNode:
				if arg.Ident[0] == "$" {
					fields = arg.Ident[1:]
				}
			}
			if len(fields) > 1 && fields[0] == "Secrets" && e.redact {
				e.scope["Secrets"].(map[string]any)[fields[1]] = Redacted
			}
			if _, known := e.scope[append(fields, "")[0]]; len(fields) > 0 && !optional && (known || !inner) {
				uses = append(uses, fields)
			}
		}
	}
	return uses
}

// keysAsFields replaces a call of index with only constant strings by fields, which may be missing.
func keysAsFields(cmd *parse.CommandNode) {
	if function(cmd) != "index" || len(cmd.Args) < 3 {
		return
	}
	var keys []string
	for _, arg := range cmd.Args[2:] {
		s, ok := arg.(*parse.StringNode)
		if !ok {
			return
		}
		keys = append(keys, s.Text)
	}
	switch of := cmd.Args[1].(type) {
	case *parse.FieldNode:
		of.Ident = append(of.Ident, keys...)
	case *parse.VariableNode:
		of.Ident = append(of.Ident, keys...)
	default:
		return
	}
	cmd.Args = cmd.Args[1:2]
}

// function returns the name of the function that a command calls, "" for none.
func function(cmd *parse.CommandNode) string {
	if id, ok := cmd.Args[0].(*parse.IdentifierNode); ok {
		return id.Ident
	}
	return ""
}

// mark returns a call of at for the action at a position in it.
func (e *execution) mark(pos parse.Pos, cost float64, uses [][]string) parse.Node {
	start := max(0, strings.LastIndex(e.source.string[:pos], "{{"))
	e.nodes = append(e.nodes, node{start, cost, uses})
	return call("at", len(e.nodes)-1)
}

// call returns an action that calls a function.
func call(function string, numbers ...int) parse.Node {
	args := []parse.Node{parse.NewIdentifier(function)}
	for _, n := range numbers {
		args = append(args, &parse.NumberNode{NodeType: parse.NodeNumber, IsInt: true, Int64: int64(n), Text: strconv.Itoa(n)})
	}
	cmd := &parse.CommandNode{NodeType: parse.NodeCommand, Args: args}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pipe: &parse.PipeNode{NodeType: parse.NodePipe, Cmds: []*parse.CommandNode{cmd}}}
}
