package render

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// lookup is a use of a value in a template.
type lookup struct {
	pos    int
	root   string // the source of the value that has the fields
	fields []string
	want   want
}

// want describes what happens if a value is missing.
type want struct {
	fallback any
	quiet    bool // do not warn
	tested   bool // the template tests the value: do not warn about it or the values that it depends on
}

// runNames are the names of the fields of .Run.
var runNames = []string{
	"ID", "Registry", "RegistryName", "Date", "Commit", "Branch", "Repository", "GitTag", "TriggeredBy",
	"SharedVolume", "OS", "OSVersion", "Architecture", "TaskName",
}

// scope has the variables of templates.
type scope map[string]any

// redacted replaces secrets that are not available.
type redacted map[string]any

// scopeOf returns the scope for variables, which it copies.
func scopeOf(vars Variables) scope {
	run := map[string]any{}
	for k, v := range vars.Run {
		if v != "" {
			run[k] = v
		}
	}
	values, _ := copied(vars.Values).(map[string]any)
	s := scope{
		"Run": run, "Build": map[string]any{}, "Values": values, "Secrets": redacted{},
		"RunJSON": quotedJSON(vars.Run), "ValuesJSON": quotedJSON(vars.Values),
	}
	if id, ok := run["ID"]; ok {
		s["Build"] = map[string]any{"ID": id}
	}
	if vars.Secrets != nil {
		secrets := map[string]any{}
		for id, v := range vars.Secrets {
			secrets[id] = v
		}
		s["Secrets"] = secrets
	}
	return s
}

// copied returns a deep copy of a value decoded from YAML.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = copied(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copied(e)
		}
		return out
	}
	return v
}

// quotedJSON returns the JSON of a value, quoted for a shell.
func quotedJSON[V any](values map[string]V) string {
	if values == nil {
		values = map[string]V{}
	}
	b, _ := json.Marshal(values) // values from YAML have JSON
	return task.Quote([]string{string(b)})
}

// lookup returns the value of a lookup in of.
func (e *execution) lookup(n int, of any) (any, error) {
	l := e.lookups[n]
	value := of
	for i, f := range l.fields {
		if value == nil {
			break
		}
		var ok bool
		if value, ok = field(value, f); !ok {
			return nil, refusal(fmt.Sprintf("%s is %s, which has no %s", l.name(i), kind(value), f))
		}
	}
	if value != nil {
		return value, nil
	}
	if !l.want.quiet && !l.want.tested {
		e.add(task.Warning, e.source.origin(e.actionAt(l.pos).start), "", "{{%s}} has no value%s", l.name(len(l.fields)), l.hint(of))
	}
	return l.want.fallback, nil
}

// name returns the first n fields in template syntax.
func (l lookup) name(n int) string {
	name := l.root
	if n > 0 {
		name = strings.TrimSuffix(name, ".") + "." + strings.Join(l.fields[:n], ".")
	}
	return name
}

// hint returns how to set the missing value.
func (l lookup) hint(of any) string {
	if _, ok := of.(scope); !ok {
		if of == nil && l.root == "." && len(l.fields) > 0 {
			return `: {{.}} is empty here; pass it with {{template "NAME" .}}`
		}
		return ""
	}
	below := strings.Join(l.fields[1:], ".")
	switch l.fields[0] {
	case "Values":
		return fmt.Sprintf(": set it with --set %s=... or --values", below)
	case "Secrets":
		return fmt.Sprintf(": set it with --secret id=%s,src=FILE or --secret id=%[1]s,env=NAME", below)
	case "Build":
		if below == "ID" {
			return ": set it with --id"
		}
		return ": .Build has only ID"
	case "Run":
		return runHint(below)
	}
	return ": expected .Run, .Build, .Values, .Secrets, .RunJSON or .ValuesJSON"
}

// runHint returns how to set a missing field of .Run.
func runHint(name string) string {
	switch name {
	case "ID":
		return ": set it with --id"
	case "Registry", "RegistryName":
		return ": set it with --registry"
	case "Commit":
		return ": the context is in no git repository; set it with --commit"
	case "Branch":
		return ": the context has no branch checked out; set it with --branch"
	case "GitTag":
		return ": set it with --git-tag"
	case "Repository":
		return ": set it with --repository"
	case "TaskName":
		return ": set it with --task-name"
	case "TriggeredBy":
		return ": set it with --triggered-by"
	case "OSVersion":
		return ": only Azure sets it; use {{.Values.OSVersion}} and --set"
	}
	if !slices.Contains(runNames, name) {
		return ": .Run has " + strings.Join(runNames, ", ")
	}
	return ""
}

// field returns a field of a value that is not nil, as templates do, and nil for a key that a map does not have. It
// returns the value itself and false if its type cannot have such a field.
func field(value any, name string) (any, bool) {
	if _, ok := value.(redacted); ok {
		return Redacted, true
	}
	v := reflect.ValueOf(value)
	if m := v.MethodByName(name); m.IsValid() && m.Type().NumIn() == 0 && m.Type().NumOut() == 1 {
		return m.Call(nil)[0].Interface(), true
	}
	v = reflect.Indirect(v)
	if v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String {
		if f := v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key())); f.IsValid() {
			return f.Interface(), true
		}
		return nil, true
	}
	if v.Kind() == reflect.Struct {
		if f := v.FieldByName(name); f.IsValid() && f.CanInterface() {
			return f.Interface(), true
		}
	}
	return value, false
}

// kind describes the type of a value.
func kind(value any) string {
	switch reflect.ValueOf(value).Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return "a number"
	}
	return fmt.Sprintf("of type %T", value)
}
