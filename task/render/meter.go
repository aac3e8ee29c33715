package render

import (
	"maps"
	"math"
	"reflect"
	"strings"
	"text/template"
)

const (
	// maxWork is how much the functions of an execution may read and make in total, in bytes, roughly.
	maxWork = 16 << 20
	// maxDepth is the maximum nesting of a value. One that contains itself exceeds it.
	maxDepth = 50
)

// errWork is the error for templates that would need too much time or memory.
const errWork = refusal("the result would be larger than 4 MiB, or take too long")

// meter limits what the functions of an execution may do. Each call costs the size of its arguments, and more where the
// result may be larger or the function is slow.
type meter struct{ left float64 }

// spend takes the cost of something off what is left.
func (m *meter) spend(cost float64) {
	if m.left -= cost; m.left < 0 {
		panic(errWork)
	}
}

// functions returns the functions of templates, metered.
func (m *meter) functions() template.FuncMap {
	out := maps.Clone(functions)
	for name, function := range out {
		f := reflect.ValueOf(function)
		cost := costs[name]
		out[name] = reflect.MakeFunc(f.Type(), func(args []reflect.Value) []reflect.Value {
			size := 1.0
			for _, arg := range args {
				size += m.size(arg, maxDepth)
			}
			m.spend(size)
			if cost != nil {
				m.spend(cost(size, args))
			}
			if f.Type().IsVariadic() {
				return f.CallSlice(args)
			}
			return f.Call(args)
		}).Interface()
	}
	return out
}

// size returns the size of a value as it would be printed, at least. A shared part counts each time.
func (m *meter) size(v reflect.Value, depth int) (size float64) {
	if depth == 0 {
		panic(errWork)
	}
	switch v.Kind() {
	case reflect.String:
		return float64(v.Len())
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			return 1 + m.size(v.Elem(), depth-1)
		}
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && size <= m.left; i++ {
			size += 1 + m.size(v.Index(i), depth-1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next() && size <= m.left; {
			size += 2 + m.size(it.Key(), depth-1) + m.size(it.Value(), depth-1)
		}
	}
	return size + 1
}

// costs are the functions with more cost than the size of their arguments.
var costs = functionCosts()

func functionCosts() map[string]func(size float64, args []reflect.Value) float64 {
	out := map[string]func(float64, []reflect.Value) float64{"printf": func(_ float64, args []reflect.Value) float64 { return widths(args[0].String()) }}
	set := func(names string, cost func(float64, []reflect.Value) float64) {
		for name := range strings.FieldsSeq(names) {
			out[name] = cost
		}
	}
	set("repeat indent nindent until untilStep seq randAlpha randAlphaNum randAscii randNumeric randBytes", counted)
	set("replace", replaced)
	set("join wrap wrapWith", func(_ float64, args []reflect.Value) float64 { return product(args) })
	// These compare each item with each other, or match at each position.
	squared := func(size float64, _ []reflect.Value) float64 { return size * size / 64 }
	set("uniq mustUniq without mustWithout regexMatch mustRegexMatch regexFind mustRegexFind regexReplaceAll mustRegexReplaceAll "+
		"regexReplaceAllLiteral mustRegexReplaceAllLiteral", squared)
	// The result is a value for each byte, or has indentation.
	values := func(size float64, _ []reflect.Value) float64 { return 64 * size }
	set("split splitn splitList regexSplit mustRegexSplit regexFindAll mustRegexFindAll fromJson mustFromJson toPrettyJson mustToPrettyJson", values)
	slow := func(float64, []reflect.Value) float64 { return maxWork / 4 }
	set("bcrypt htpasswd derivePassword genPrivateKey genCA genCAWithKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey", slow)
	return out
}

// counted is the cost of a function with a number of repetitions, or of items of 8 bytes, among its arguments.
func counted(_ float64, args []reflect.Value) float64 {
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
		panic(errWork)
	}
	return count * length
}

// replaced is the cost of replace OLD NEW TEXT.
func replaced(_ float64, args []reflect.Value) float64 {
	old, replacement, text := args[0].String(), args[1].String(), args[2].String()
	return float64(strings.Count(text, old)) * float64(len(replacement))
}

// product is the product of the lengths of texts and lists.
func product(args []reflect.Value) float64 {
	out := 1.0
	for _, arg := range args {
		if arg.Kind() == reflect.Interface {
			arg = arg.Elem()
		}
		if k := arg.Kind(); k == reflect.String || k == reflect.Slice {
			out *= max(1, float64(arg.Len()))
		}
	}
	return out
}

// widths is the cost of the widths and precisions of a format, which package fmt limits to 1e6 each.
func widths(format string) (sum float64) {
	number := 0.0
	for _, c := range format {
		switch {
		case c >= '0' && c <= '9':
			number = min(10*number+float64(c-'0'), 1e6)
			continue
		case c == '*':
			sum += 1e6
		}
		sum, number = sum+number, 0
	}
	return sum + number
}
