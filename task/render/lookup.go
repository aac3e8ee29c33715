package render

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// lookup is one place of a template that reads a value.
type lookup struct {
	pos    int
	root   string // what the fields are of, as it was written
	fields []string
	want   want
}

// want says what becomes of a value that is missing.
type want struct {
	instead any
	quiet   bool // there is no need to warn
	asked   bool // nor when something is missing that the value is made of
}

// runNames are the names of the fields of .Run.
var runNames = []string{
	"ID", "Registry", "RegistryName", "Date", "Commit", "Branch", "Repository", "GitTag", "TriggeredBy",
	"SharedVolume", "OS", "OSVersion", "Architecture", "TaskName",
}

// scope is what templates can read.
type scope map[string]any

// redacted stands in for secrets that are not to be had.
type redacted map[string]any

// scopeOf returns what templates can read of variables, none of it shared with them.
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

// copied returns a copy of a value that YAML can be read into.
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

// quotedJSON returns a value as a word for a shell.
func quotedJSON[V any](values map[string]V) string {
	if values == nil {
		values = map[string]V{}
	}
	b, _ := json.Marshal(values) // of what YAML has
	return task.Quote([]string{string(b)})
}

// lookup returns the value of a lookup in what it is of.
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
	if !l.want.quiet && !l.want.asked {
		e.add(task.Warning, e.source.origin(e.actionAt(l.pos).start), "", "{{%s}} has no value%s", l.name(len(l.fields)), l.hint(of))
	}
	return l.want.instead, nil
}

// name returns the first n fields as a template would have them.
func (l lookup) name(n int) string {
	name := l.root
	if n > 0 {
		name = strings.TrimSuffix(name, ".") + "." + strings.Join(l.fields[:n], ".")
	}
	return name
}

// hint says how to give the value that is missing.
func (l lookup) hint(of any) string {
	if _, ok := of.(scope); !ok {
		if of == nil && l.root == "." && len(l.fields) > 0 {
			return `: {{.}} is nothing here; a template is given it by {{template "NAME" .}}`
		}
		return ""
	}
	below := strings.Join(l.fields[1:], ".")
	switch l.fields[0] {
	case "Values":
		return fmt.Sprintf(": give it with --set %s=... or --values", below)
	case "Secrets":
		return fmt.Sprintf(": give it with --secret id=%s,src=FILE or --secret id=%[1]s,env=NAME", below)
	case "Build":
		if below == "ID" {
			return ": give it with --id"
		}
		return ": .Build has ID alone"
	case "Run":
		return runHint(below)
	}
	return ": there are .Run, .Build, .Values, .Secrets, .RunJSON and .ValuesJSON"
}

// runHint says how to give a field of .Run that is missing.
func runHint(name string) string {
	switch name {
	case "ID":
		return ": give it with --id"
	case "Registry", "RegistryName":
		return ": give it with --registry"
	case "Commit", "Branch":
		return ": a context has one that is in a git repository"
	case "Repository", "GitTag", "TriggeredBy", "OSVersion", "TaskName":
		return ": only Azure gives it one; write {{.Values." + name + "}} and give it with --set"
	}
	if !slices.Contains(runNames, name) {
		return ": .Run has " + strings.Join(runNames, ", ")
	}
	return ""
}

// field returns a field of a value that is not nil as templates do, nil for what a map does not have. It
// returns the value itself and false when the value cannot have such a field.
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

// kind returns what a value is, for a person.
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
