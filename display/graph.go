package display

import (
	"cmp"
	"io"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// maxCell is the maximum length of a cell of a Graph, in bytes.
const maxCell = 200

// Graph writes a table of the steps of a task file, their dependencies, and the steps that may run in parallel.
func Graph(out io.Writer, g task.Graph) error {
	listed := func(ids []string) string { return manifest.OneLine(cmp.Or(strings.Join(ids, ", "), "-"), maxCell) }
	text := "STEP\tAFTER\tPARALLEL\tACTION\n"
	for _, n := range g {
		action := n.Action
		if n.Context != "" {
			action = "[" + n.Context + "] " + action
		}
		text += manifest.Escape(n.ID, "") + "\t" + listed(n.After) + "\t" + listed(n.Parallel) + "\t" + manifest.OneLine(action, maxCell) + "\n"
	}
	return columns(out, ttyWidth(out), text)
}
