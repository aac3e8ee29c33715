package render

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"reflect"
	"text/template"
	"text/template/parse"

	"github.com/Masterminds/sprig/v3"
)

// functions are what templates can call, beside what every template can.
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
	out["env"] = absent("env", environment)
	out["expandenv"] = absent("expandenv", environment)
	out["getHostByName"] = absent("getHostByName", "a task file cannot ask the network; use --set")
	for _, name := range []string{
		"repeat", "indent", "nindent", "until", "untilStep", "seq",
		"randAlpha", "randAlphaNum", "randAscii", "randNumeric", "randBytes",
	} {
		out[name] = bounded(out[name])
	}
	return out
}

// absent returns a function that says why it is not there.
func absent(name, why string) any {
	return func(...any) (string, error) {
		return "", refusal(fmt.Sprintf("function %s is not there: %s", name, why))
	}
}

// bounded returns a function that makes as much as a number says, and refuses to make more than a text can
// be long.
func bounded(function any) any {
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
			panic(refusal("it would make more than 4 MiB"))
		}
		if f.Type().IsVariadic() {
			return f.CallSlice(args)
		}
		return f.Call(args)
	}).Interface()
}

// asks are functions that a value may be missing for.
var asks = set(
	"default", "coalesce", "empty", "ternary", "and", "or", "not", "eq", "ne",
	"kindOf", "kindIs", "typeOf", "typeIs", "typeIsLike", "deepEqual", "hasKey",
	"all", "any", "compact", "mustCompact", "list", "tuple", "dict",
)

// takeText are functions of any value that would write out that one is missing, or fail.
var takeText = set("print", "printf", "println", "html", "js", "urlquery", "toString", "len")

func set(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}

// wanted returns what argument i of a command stands for when it is missing: the zero value of its type where
// that is not any, which is "" for a string.
func wanted(cmd *parse.CommandNode, i int) want {
	name := function(cmd)
	if takeText[name] {
		return want{instead: ""}
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
		return want{} // too many, which the execution tells
	}
	if in.Kind() == reflect.Interface {
		return want{}
	}
	return want{instead: reflect.Zero(in).Interface()}
}
