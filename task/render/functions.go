package render

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
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
	for _, name := range []string{
		"repeat", "indent", "nindent", "until", "untilStep", "seq",
		"randAlpha", "randAlphaNum", "randAscii", "randNumeric", "randBytes",
	} {
		out[name] = limited(out[name])
	}
	return out
}

// unavailable returns a function that fails with the reason.
func unavailable(name, why string) any {
	return func(...any) (string, error) {
		return "", refusal(fmt.Sprintf("function %s is not available: %s", name, why))
	}
}

// limited returns a function whose result has the size of a number argument, limited to maxText.
func limited(function any) any {
	f := reflect.ValueOf(function)
	return reflect.MakeFunc(f.Type(), func(args []reflect.Value) []reflect.Value {
		count, length := 0.0, 1.0
		for _, arg := range args {
			switch arg.Kind() {
			case reflect.Int:
				count = max(count, math.Abs(float64(arg.Int())))
			case reflect.String:
				length *= max(1, float64(arg.Len()))
			case reflect.Slice: // the numbers of seq
				for i := range arg.Len() {
					count = max(count, math.Abs(float64(arg.Index(i).Int())))
				}
			}
		}
		if count*length > maxText {
			panic(refusal("the result would be larger than 4 MiB"))
		}
		if f.Type().IsVariadic() {
			return f.CallSlice(args)
		}
		return f.Call(args)
	}).Interface()
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
