package render

import (
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
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, valuesError(task.YAMLError(err))
	}
	values := map[string]any{}
	if len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
		return values, nil
	}
	if n := document.Content[0]; n.Kind != yaml.MappingNode {
		return nil, valuesError(n.Line, "expected NAME: VALUE")
	}
	keepText(&document)
	if err := document.Decode(&values); err != nil {
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
