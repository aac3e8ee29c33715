package render

import (
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"text/template"
	"text/template/parse"

	"github.com/Masterminds/sprig/v3"
)

// functions are those of templates, in addition to the built-in ones.
var functions = templateFunctions()

func templateFunctions() template.FuncMap {
	out := template.FuncMap{}
	maps.Copy(out, sprig.TxtFuncMap())
	toString := out["toString"].(func(any) string)
	out["b64enc"] = func(v any) string {
		if v == nil {
			return ""
		}
		return base64.StdEncoding.EncodeToString([]byte(toString(v)))
	}
	const environment = "a task file cannot read the environment of the host; use --env or --set"
	out["env"] = unavailable("env", environment)
	out["expandenv"] = unavailable("expandenv", environment)
	out["getHostByName"] = unavailable("getHostByName", "a task file cannot access the network; use --set")
	// These are built in, and are here to be metered.
	maps.Copy(out, template.FuncMap{"print": fmt.Sprint, "printf": fmt.Sprintf, "println": fmt.Sprintln,
		"html": template.HTMLEscaper, "js": template.JSEscaper, "urlquery": template.URLQueryEscaper})
	return out
}

// unavailable returns a function that fails with the reason.
func unavailable(name, why string) any {
	return func(...any) (string, error) {
		return "", refusal(fmt.Sprintf("function %s is not available: %s", name, why))
	}
}

// tests are the functions that may be used with a missing value.
var tests = []string{
	"default", "coalesce", "empty", "ternary", "and", "or", "not", "eq", "ne",
	"kindOf", "kindIs", "typeOf", "typeIs", "typeIsLike", "deepEqual", "hasKey",
	"all", "any", "compact", "mustCompact", "list", "tuple", "dict",
}

// takeText are functions of any value that would print a missing one as such, or fail.
var takeText = []string{"print", "printf", "println", "html", "js", "urlquery", "toString", "len"}

// wanted returns what happens if argument i of a command is missing: it is the zero value of its type unless that is
// any.
func wanted(cmd *parse.CommandNode, i int) want {
	name := function(cmd)
	if slices.Contains(takeText, name) {
		return want{fallback: ""}
	}
	f := functions[name]
	if f == nil {
		return want{}
	}
	t := reflect.TypeOf(f)
	var in reflect.Type
	switch {
	case t.IsVariadic() && i >= t.NumIn()-1:
		in = t.In(t.NumIn() - 1).Elem()
	case i < t.NumIn():
		in = t.In(i)
	default:
		return want{} // too many, which the execution reports
	}
	if in.Kind() == reflect.Interface {
		return want{}
	}
	return want{fallback: reflect.Zero(in).Interface()}
}
