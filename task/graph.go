package task

import (
	"fmt"
	"strings"
	"text/tabwriter"

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
	// parallel are the ids of the steps that may run at the same time.
	parallel []string
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
				n.parallel = append(n.parallel, other.ID)
			}
		}
		g[i] = n
	}
	return g
}

// Text returns a table of the steps, their dependencies, and the steps that may run in parallel.
func (g Graph) Text() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "STEP\tAFTER\tPARALLEL\tACTION")
	for _, n := range g {
		action := n.Action
		if n.Context != "" {
			action = "[" + n.Context + "] " + action
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.ID, listed(n.After), listed(n.parallel), manifest.OneLine(action, maxShown))
	}
	_ = w.Flush()
	return out.String()
}

func listed(ids []string) string {
	if len(ids) == 0 {
		return "-"
	}
	return manifest.OneLine(strings.Join(ids, ", "), maxShown)
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
