package task

import (
	"fmt"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Graph has the steps of a file and their dependencies.
type Graph []Node

// Node is a step in a Graph. The JSON of a Graph is a list of these.
type Node struct {
	ID      string   `json:"id"`      // of the step
	Kind    string   `json:"kind"`    // build, push, container, docker, plugin or script
	Action  string   `json:"action"`  // the equivalent command
	After   []string `json:"after"`   // ids of the steps that it waits for
	Context string   `json:"context"` // docker context of its daemon, "" for that of the run
	// Parallel are the ids of the steps that may run at the same time.
	Parallel []string `json:"-"`
}

// NewGraph returns the graph of a file.
func NewGraph(f File) Graph {
	before := ancestors(f)
	g := make(Graph, len(f.Steps))
	for i, s := range f.Steps {
		n := Node{ID: s.ID, After: []string{}, Context: s.Context}
		if s.Action != nil {
			n.Kind = s.Action.kind()
		}
		n.Action = strings.Join(Commands(s.Action), "; ")
		for _, a := range s.After {
			n.After = append(n.After, f.Steps[a].ID)
		}
		for j, other := range f.Steps {
			if j != i && !before[i][j] && !before[j][i] {
				n.Parallel = append(n.Parallel, other.ID)
			}
		}
		g[i] = n
	}
	return g
}

// Dot returns the graph in the DOT language of Graphviz.
func (g Graph) Dot() string {
	var out strings.Builder
	out.WriteString("digraph task {\n\trankdir=LR;\n\tnode [shape=box];\n")
	for _, n := range g {
		label := n.ID + "\n" + manifest.OneLine(n.Action, maxShown)
		if n.Context != "" {
			label += "\non " + n.Context
		}
		fmt.Fprintf(&out, "\t%s [label=%s];\n", dotQuote(n.ID), dotQuote(label))
	}
	for _, n := range g {
		for _, a := range n.After {
			fmt.Fprintf(&out, "\t%s -> %s;\n", dotQuote(a), dotQuote(n.ID))
		}
	}
	out.WriteString("}\n")
	return out.String()
}

func dotQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
