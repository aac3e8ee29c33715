package render

import (
	"iter"
	"maps"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"go.yaml.in/yaml/v3"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// RunFields returns the fields of .Run: the given ones, and those that follow from the registry and the time of the run.
func RunFields(given map[string]string, now time.Time) map[string]string {
	out := map[string]string{}
	maps.Copy(out, given)
	out["RegistryName"], _, _ = strings.Cut(out["Registry"], ".")
	out["Date"] = now.UTC().Format("20060102-150405z")
	return out
}

// ParseValues returns the values of a --values file, which is a YAML mapping of at most 1 MiB. Dates remain strings. The error is
// errdefs.ErrInvalidArgument and starts with the line, as in "line 2: ...".
func ParseValues(data []byte) (map[string]any, error) {
	if len(data) > MaxAliases {
		return nil, valuesError(1, "the values are larger than 1 MiB")
	}
	root, line, message := readYAML(data)
	switch {
	case message != "":
		return nil, valuesError(line, message)
	case root.Tag == "!!null":
		return map[string]any{}, nil
	case root.Kind != yaml.MappingNode:
		return nil, valuesError(root.Line, "expected NAME: VALUE")
	}
	keepText(root)
	var values map[string]any
	if err := root.Decode(&values); err != nil {
		return nil, valuesError(task.YAMLError(err))
	}
	return values, nil
}

func valuesError(line int, message string) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "line %d: %s", line, manifest.OneLine(message, 200))
}

// keepText makes dates and the keys of mappings strings.
func keepText(n *yaml.Node) {
	if n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode && child.Tag != "!!merge" {
			child.Tag = "!!str"
		}
		keepText(child)
	}
}

// SetValue sets a value of --set: "a.b=c" sets b in the mapping a to "c". The value is a string, which may contain commas.
// The error is errdefs.ErrInvalidArgument and does not contain the value.
func SetValue(values map[string]any, assignment string) error {
	name, value, ok := strings.Cut(assignment, "=")
	keys := strings.Split(name, ".")
	for _, k := range keys {
		if k == "" || !ok {
			return manifest.Errorf(errdefs.ErrInvalidArgument, "--set %s: expected NAME=VALUE, or NAME.NAME=VALUE for a value in a mapping",
				manifest.OneLine(name, 100)) // without the value, which may be a secret
		}
	}
	for _, k := range keys[:len(keys)-1] {
		below, ok := values[k].(map[string]any)
		if !ok {
			below = map[string]any{}
			values[k] = below
		}
		values = below
	}
	values[keys[len(keys)-1]] = value
	return nil
}

// readYAML returns the root of a document, null if it is empty or has an error: at a line, and the message of that.
func readYAML(data []byte) (root *yaml.Node, line int, message string) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		line, message = task.YAMLError(err)
	}
	return append(document.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"})[0], line, message
}

// pairs are the keys and values of a mapping, none of another node.
func pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if !yield(resolved(n.Content[i]), resolved(n.Content[i+1])) {
				return
			}
		}
	}
}

// resolved returns the node that a YAML alias refers to, or a node that is not an alias.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
