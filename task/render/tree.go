package render

import (
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// Templates run with calls of at in their parse tree: before each node, in loops and in named templates.

// node is what at is called for.
type node struct {
	start   int // offset of a literal piece or of an action
	literal bool
	depth   int        // change of the number of nested loops and calls of templates
	terms   int        // number of values in its action
	uses    [][]string // fields of the scope without which there is a warning
}

// list inserts the calls in a list of nodes.
func (e *execution) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	nodes := make([]parse.Node, 0, 2*len(l.Nodes))
	for _, n := range l.Nodes {
		at := node{start: max(0, strings.LastIndex(e.source.string[:n.Position()], "{{"))}
		before := e.terms
		switch n := n.(type) {
		case *parse.TextNode:
			if len(n.Text) > 0 {
				at = node{start: int(n.Pos), literal: true}
			}
		case *parse.ActionNode:
			assigned := len(n.Pipe.Decl) > 0 && len(n.Pipe.Cmds) == 1 && len(n.Pipe.Cmds[0].Args) == 1
			at.uses = e.pipe(n.Pipe, assigned)
		case *parse.TemplateNode:
			e.pipe(n.Pipe, true)
			at.depth = 1
		case *parse.IfNode:
			e.branch(&n.BranchNode, 0)
		case *parse.WithNode:
			e.branch(&n.BranchNode, 1)
		case *parse.RangeNode:
			empty := &parse.TextNode{NodeType: parse.NodeText, Pos: n.Pos} // for at to count the passes
			n.List.Nodes = slices.Insert(n.List.Nodes, 0, parse.Node(empty))
			e.branch(&n.BranchNode, 1)
			at.depth = 1
		}
		at.terms = e.terms - before
		nodes = append(nodes, e.at(at), n)
		if at.depth > 0 {
			nodes = append(nodes, e.at(node{start: at.start, depth: -1}))
		}
	}
	l.Nodes = nodes
}

// branch is for an action in whose list the dot is another if inner is 1.
func (e *execution) branch(b *parse.BranchNode, inner int) {
	e.pipe(b.Pipe, true)
	e.inner += inner
	e.list(b.List)
	e.inner -= inner
	e.list(b.ElseList)
}

// pipe returns the fields of the scope that a pipeline uses, unless they are optional: all, or where it tests a value.
func (e *execution) pipe(p *parse.PipeNode, optional bool) (uses [][]string) {
	if p == nil {
		return nil
	}
	optional = optional || slices.ContainsFunc(p.Cmds, func(cmd *parse.CommandNode) bool {
		return slices.Contains(tests, function(cmd))
	})
	for _, cmd := range p.Cmds {
		e.terms += len(cmd.Args)
		keysAsFields(cmd)
		for _, arg := range cmd.Args {
			if chain, ok := arg.(*parse.ChainNode); ok {
				arg = chain.Node
			}
			var fields []string
			switch arg := arg.(type) {
			case *parse.PipeNode:
				uses = append(uses, e.pipe(arg, optional)...)
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
			if _, known := e.scope[append(fields, "")[0]]; len(fields) > 0 && !optional && (known || e.inner == 0) {
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

// at returns a call of at for a node.
func (e *execution) at(n node) parse.Node {
	e.nodes = append(e.nodes, n)
	i := len(e.nodes) - 1
	args := []parse.Node{parse.NewIdentifier("at"), &parse.NumberNode{NodeType: parse.NodeNumber, IsInt: true, Int64: int64(i), Text: strconv.Itoa(i)}}
	cmd := &parse.CommandNode{NodeType: parse.NodeCommand, Args: args}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pipe: &parse.PipeNode{NodeType: parse.NodePipe, Cmds: []*parse.CommandNode{cmd}}}
}
