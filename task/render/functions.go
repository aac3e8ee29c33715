package render

import (
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// functions are those of templates, in addition to the built-in ones. Each has only string, bool, number, map[string]any
// and any for parameters.
var functions = templateFunctions()

func templateFunctions() template.FuncMap {
	out := template.FuncMap{}
	maps.Copy(out, sprig.TxtFuncMap())
	toString := out["toString"].(func(any) string)
	out["b64enc"] = func(v any) string { return base64.StdEncoding.EncodeToString([]byte(toString(v))) }
	for name, must := range map[string]string{"merge": "mustMerge", "mergeOverwrite": "mustMergeOverwrite"} {
		merge := out[must].(func(map[string]any, ...map[string]any) (any, error))
		out[must] = func(into map[string]any, from ...map[string]any) (any, error) {
			for i := range from {
				from[i] = copied(from[i]) // so that into never contains itself
			}
			return merge(into, from...)
		}
		out[name] = out[must]
	}
	key := out["genPrivateKey"].(func(string) string)
	out["genPrivateKey"] = func(kind string) (string, error) {
		if kind != "ecdsa" && kind != "ed25519" {
			return "", refusal("only ecdsa and ed25519 keys can be generated")
		}
		return key(kind), nil
	}
	const environment = "a task file cannot read the environment of the host; use --env or --set"
	out["env"] = unavailable("env", environment)
	out["expandenv"] = unavailable("expandenv", environment)
	out["getHostByName"] = unavailable("getHostByName", "a task file cannot access the network; use --set")
	// These are built in, and are here to be metered.
	maps.Copy(out, template.FuncMap{"print": fmt.Sprint, "printf": fmt.Sprintf, "println": fmt.Sprintln, "len": length,
		"html": template.HTMLEscaper, "js": template.JSEscaper, "urlquery": template.URLQueryEscaper})
	return out
}

// unavailable returns a function that fails with the reason.
func unavailable(name, why string) any {
	return func(...any) (string, error) {
		return "", refusal(fmt.Sprintf("function %s is not available: %s", name, why))
	}
}

func length(v any) (int, error) {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return r.Len(), nil
	}
	return 0, fmt.Errorf("%v has no length", v)
}

// copied returns a deep copy of a map.
func copied(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return sprig.TxtFuncMap()["deepCopy"].(func(any) any)(m).(map[string]any)
}

// tests are the functions that may be used with a missing value.
var tests = []string{
	"default", "coalesce", "empty", "ternary", "and", "or", "not", "eq", "ne",
	"kindOf", "kindIs", "typeOf", "typeIs", "typeIsLike", "deepEqual", "hasKey",
	"all", "any", "compact", "mustCompact", "list", "tuple", "dict",
}

// takeText are functions of any value that would print a missing one as such, or fail.
var takeText = []string{"print", "printf", "println", "html", "js", "urlquery", "toString", "b64enc", "len"}
