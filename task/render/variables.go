package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// Variables are the variables of templates.
type Variables struct {
	// Run are the fields of .Run, and ID that of .Build: ID, Registry, RegistryName, Date, Commit, Branch,
	// Repository, GitTag, TriggeredBy, SharedVolume, OS, OSVersion, Architecture and TaskName.
	Run map[string]string
	// Values are those of --values and --set.
	Values map[string]any
	// Secrets are the values of .Secrets by id; if nil, each is Redacted.
	Secrets map[string]string
}

// Redacted replaces secrets if a file is not run. It is valid base64.
const Redacted = "REDACTED"

// scope has the variables of templates, which may change them.
type scope map[string]any

func scopeOf(vars Variables) scope {
	run, build, secrets := map[string]any{}, map[string]any{}, map[string]any{}
	for k, v := range vars.Run {
		if v != "" {
			run[k] = v
		}
	}
	if id := vars.Run["ID"]; id != "" {
		build["ID"] = id
	}
	for id, v := range vars.Secrets {
		secrets[id] = v
	}
	return scope{
		"Run": run, "Build": build, "Values": copied(vars.Values), "Secrets": secrets,
		"RunJSON": quotedJSON(vars.Run), "ValuesJSON": quotedJSON(vars.Values),
	}
}

// quotedJSON returns the JSON of a value, quoted for a shell.
func quotedJSON[V any](values map[string]V) string {
	if values == nil {
		values = map[string]V{}
	}
	b, _ := json.Marshal(values) // values from YAML have JSON
	return task.Quote([]string{string(b)})
}

// missing reports whether fields have no value.
func (s scope) missing(fields []string) bool {
	value := any(map[string]any(s))
	for _, f := range fields {
		m, ok := value.(map[string]any)
		if !ok {
			return value == nil // otherwise an error
		}
		value = m[f]
	}
	return value == nil
}

// hints are how to set the fields of .Run.
var hints = map[string]string{
	"ID":           ": set it with --id",
	"Registry":     ": set it with --registry",
	"RegistryName": ": set it with --registry",
	"Commit":       ": the context is in no git repository; set it with --commit",
	"Branch":       ": the context has no branch checked out; set it with --branch",
	"GitTag":       ": set it with --git-tag",
	"Repository":   ": set it with --repository",
	"TaskName":     ": set it with --task-name",
	"TriggeredBy":  ": set it with --triggered-by",
	"OSVersion":    ": only Azure sets it; use {{.Values.OSVersion}} and --set",
	"Date":         "", "SharedVolume": "", "OS": "", "Architecture": "",
}

// hint returns how to set a missing value.
func hint(fields []string) string {
	below := strings.Join(fields[1:], ".")
	known, ok := hints[below]
	switch first := fields[0]; {
	case first == "Values":
		return fmt.Sprintf(": set it with --set %s=... or --values", below)
	case first == "Secrets":
		return fmt.Sprintf(": set it with --secret id=%s,src=FILE or --secret id=%[1]s,env=NAME", below)
	case first == "Build" && below != "ID":
		return ": .Build has only ID"
	case first != "Run" && first != "Build":
		return ": expected .Run, .Build, .Values, .Secrets, .RunJSON or .ValuesJSON"
	case !ok:
		return ": .Run has " + strings.Join(slices.Sorted(maps.Keys(hints)), ", ")
	}
	return known
}
