package render

import (
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// Templates run with calls of at in their parse tree: before each node and pass of a loop, and after loops and calls of
// templates.

// node is what at is called for.
type node struct {
	start int        // offset of a literal piece or of an action
	depth int        // change of the number of nested loops and calls of templates
	terms int        // number of values in its action
	uses  [][]string // fields of the dot or of $ without which there is a warning
}

// list inserts the calls in a list of nodes, and adds their values to the node around it.
func (e *execution) list(l *parse.ListNode, outer *node) {
	if l == nil {
		return
	}
	var nodes []parse.Node
	for _, n := range l.Nodes {
		at := node{start: strings.LastIndex(e.source.string[:n.Position()], "{{")}
		switch n := n.(type) {
		case *parse.TextNode:
			at.start = int(n.Pos)
		case *parse.ActionNode:
			assigned := len(n.Pipe.Decl) > 0 && len(n.Pipe.Cmds) == 1 && len(n.Pipe.Cmds[0].Args) == 1
			e.pipe(&at, n.Pipe, assigned)
		case *parse.TemplateNode:
			e.pipe(&at, n.Pipe, true)
			at.depth = 1
		case *parse.IfNode:
			e.branch(&at, n.BranchNode)
		case *parse.WithNode:
			e.branch(&at, n.BranchNode)
		case *parse.RangeNode:
			e.branch(&at, n.BranchNode)
			n.List.Nodes = slices.Insert(n.List.Nodes, 0, e.at(node{start: at.start}))
			at.depth = 1
		}
		outer.terms += at.terms
		nodes = append(nodes, e.at(at), n)
		if at.depth > 0 {
			nodes = append(nodes, e.at(node{start: at.start, depth: -1}))
		}
	}
	l.Nodes = nodes
}

func (e *execution) branch(at *node, b parse.BranchNode) {
	e.pipe(at, b.Pipe, true)
	e.list(b.List, at)
	e.list(b.ElseList, at)
}

// pipe adds the values of a pipeline to a node, and the fields that it uses unless they are optional: all, or where it tests
// a value.
func (e *execution) pipe(at *node, p *parse.PipeNode, optional bool) {
	if p == nil {
		return
	}
	optional = optional || slices.ContainsFunc(p.Cmds, func(cmd *parse.CommandNode) bool { return calls(cmd, tests...) })
	for _, cmd := range p.Cmds {
		at.terms += len(cmd.Args)
		keysAsFields(cmd)
		for _, arg := range cmd.Args {
			at.terms += len(*fieldsOf(arg)) / 16 // many are as slow as a value
			if chain, ok := arg.(*parse.ChainNode); ok {
				arg = chain.Node
			}
			if nested, ok := arg.(*parse.PipeNode); ok {
				e.pipe(at, nested, optional)
			}
			fields := *fieldsOf(arg)
			if len(fields) > 0 && fields[0] == "$" {
				fields = fields[1:]
			}
			if len(fields) > 1 && fields[0] == "Secrets" && e.redact {
				e.scope["Secrets"].(map[string]any)[fields[1]] = Redacted
			}
			if len(fields) > 0 && !strings.HasPrefix(fields[0], "$") && !optional {
				at.uses = append(at.uses, fields)
			}
		}
	}
}

// keysAsFields replaces a call of index with only constant strings by fields, which may be missing.
func keysAsFields(cmd *parse.CommandNode) {
	if !calls(cmd, "index") || len(cmd.Args) < 3 {
		return
	}
	of := fieldsOf(cmd.Args[1])
	all := slices.Clone(*of)
	for _, arg := range cmd.Args[2:] {
		key, ok := arg.(*parse.StringNode)
		if !ok || len(all) == 0 {
			return
		}
		all = append(all, key.Text)
	}
	*of = all
	cmd.Args = cmd.Args[1:2]
}

// fieldsOf returns the fields of a value, after the name of a variable.
func fieldsOf(n parse.Node) *[]string {
	switch n := n.(type) {
	case *parse.FieldNode:
		return &n.Ident
	case *parse.VariableNode:
		return &n.Ident
	case *parse.ChainNode:
		return &n.Field
	}
	return new([]string)
}

// calls reports whether a command calls one of functions.
func calls(cmd *parse.CommandNode, functions ...string) bool {
	return cmd.Args[0].Type() == parse.NodeIdentifier && slices.Contains(functions, cmd.Args[0].String())
}

// at returns a call of at for a node.
func (e *execution) at(n node) parse.Node {
	i := len(e.nodes)
	e.nodes = append(e.nodes, n)
	args := []parse.Node{parse.NewIdentifier("at"), &parse.NumberNode{NodeType: parse.NodeNumber, IsInt: true, Int64: int64(i), Text: strconv.Itoa(i)}, &parse.DotNode{}}
	cmd := &parse.CommandNode{NodeType: parse.NodeCommand, Args: args}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pipe: &parse.PipeNode{NodeType: parse.NodePipe, Cmds: []*parse.CommandNode{cmd}}}
}
