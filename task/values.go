package task

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// RunFields returns the fields of .Run: those given, and what follows from the registry and the time of the run.
func RunFields(given map[string]string, now time.Time) map[string]string {
	out := map[string]string{}
	maps.Copy(out, given)
	out["RegistryName"], _, _ = strings.Cut(out["Registry"], ".")
	out["Date"] = now.UTC().Format("20060102-150405z")
	return out
}

// ParseValues returns what a file of --values has: a YAML mapping, whose dates stay as they were written.
func ParseValues(data []byte) (map[string]any, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		line, message := yamlError(err)
		return nil, fmt.Errorf("values, line %d: %s", line, message)
	}
	values := map[string]any{}
	if len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
		return values, nil
	}
	if n := document.Content[0]; n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("values, line %d: expected NAME: VALUE", n.Line)
	}
	keepText(&document)
	if err := document.Decode(&values); err != nil {
		line, message := yamlError(err)
		return nil, fmt.Errorf("values, line %d: %s", line, message)
	}
	return values, nil
}

// keepText makes strings of dates and of the keys of mappings.
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

// SetValue puts what --set says into values, "a.b=c" as c of b in the mapping a. The value is a string, also
// with commas in it.
func SetValue(values map[string]any, assignment string) error {
	name, value, ok := strings.Cut(assignment, "=")
	keys := strings.Split(name, ".")
	for _, k := range keys {
		if k == "" || !ok {
			return fmt.Errorf("--set %s: expected NAME=VALUE, or NAME.NAME=VALUE for a value in a mapping", assignment)
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
