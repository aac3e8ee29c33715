package render

import (
	"fmt"
	"math"
	"reflect"
	"regexp/syntax"
	"slices"
	"strings"
	"text/template"
)

const (
	// maxWork is how much the templates of a file may read and make in total, in bytes or ten nanoseconds, roughly.
	maxWork = 16 << 20
	// maxDepth is the maximum nesting of a value. One that contains itself exceeds it.
	maxDepth = 50
)

const (
	errWork  = refusal("the result would be larger than 512 KiB, or take too long")
	errDepth = refusal("the value is nested too deeply, or contains itself")
)

// spend takes the cost of something off what is left of maxWork.
func (r *renderer) spend(cost float64) {
	if r.left -= cost; r.left < 0 {
		panic(errWork)
	}
	if err := r.ctx.Err(); err != nil {
		panic(refusal(err.Error()))
	}
}

// metered returns the functions of templates, which fail when they would exceed maxWork. Each call costs the size of its
// arguments, and more where the result may be larger or the function is slow.
func (r *renderer) metered() template.FuncMap {
	out := template.FuncMap{}
	for name, function := range functions {
		f := reflect.ValueOf(function)
		out[name] = func(args ...reflect.Value) (reflect.Value, error) { return r.call(name, f, args) }
	}
	return out
}

func (r *renderer) call(name string, f reflect.Value, args []reflect.Value) (reflect.Value, error) {
	t := f.Type()
	n := t.NumIn()
	if t.IsVariadic() && len(args) < n-1 || !t.IsVariadic() && len(args) != n {
		return reflect.Value{}, refusal(fmt.Sprintf("wrong number of arguments of %s: got %d, want %d", name, len(args), n))
	}
	size := 1.0
	tested := slices.Contains(tests, name)
	r.lacks = r.lacks && !tested
	for i := range args {
		in := t.In(min(i, n-1))
		if t.IsVariadic() && i >= n-1 {
			in = in.Elem()
		}
		r.lacks = r.lacks || !args[i].IsValid() && !tested
		var ok bool
		if args[i], ok = argument(args[i], in, slices.Contains(takeText, name)); !ok {
			return reflect.Value{}, refusal(fmt.Sprintf("wrong type for value; expected %s; got %s", in, args[i].Type()))
		}
		size += r.size(args[i], maxDepth)
	}
	r.spend(size)
	if cost := costs[name]; cost != nil {
		r.spend(cost(size, args))
	}
	out := f.Call(args)
	if name == "set" {
		r.size(args[0], maxDepth)
	}
	if len(out) == 2 && !out[1].IsNil() {
		return reflect.Value{}, out[1].Interface().(error)
	}
	if out[0].Kind() == reflect.String {
		r.largest = max(r.largest, float64(out[0].Len()))
	}
	return out[0], nil
}

// argument returns a value as an argument of a type: a missing one is the zero value, or "" if text is set; numbers are
// converted if that does not change them.
func argument(v reflect.Value, in reflect.Type, text bool) (_ reflect.Value, ok bool) {
	if v.IsValid() && v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch {
	case !v.IsValid() && text:
		return reflect.ValueOf(""), true
	case !v.IsValid():
		return reflect.Zero(in), true
	case v.Type().AssignableTo(in):
		return v, true
	case (v.CanInt() || v.CanUint() || v.CanFloat()) && reflect.Zero(in).CanConvert(v.Type()) && in.Kind() != reflect.String:
		converted := v.Convert(in)
		return converted, converted.Convert(v.Type()).Equal(v)
	}
	return v, false
}

// size returns the size of a value as it would be printed, at least. A shared part counts each time.
func (r *renderer) size(v reflect.Value, depth int) (size float64) {
	if depth == 0 {
		panic(errDepth)
	}
	switch v.Kind() {
	case reflect.String:
		return float64(v.Len())
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			return 1 + r.size(v.Elem(), depth-1)
		}
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && size <= r.left; i++ {
			size += 1 + r.size(v.Index(i), depth-1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next() && size <= r.left; {
			size += 2 + r.size(it.Key(), depth-1) + r.size(it.Value(), depth-1)
		}
	}
	return size + 1
}

// costs are the functions with more cost than the size of their arguments.
var costs = functionCosts()

func functionCosts() map[string]func(size float64, args []reflect.Value) float64 {
	out := map[string]func(float64, []reflect.Value) float64{"replace": replaced, "printf": formatted}
	set := func(names string, cost func(float64, []reflect.Value) float64) {
		for name := range strings.FieldsSeq(names) {
			out[name] = cost
		}
	}
	times := func(factor float64) func(float64, []reflect.Value) float64 {
		return func(size float64, _ []reflect.Value) float64 { return factor * size }
	}
	set("repeat indent nindent", repeated)
	set("randAlpha randAlphaNum randAscii randNumeric randBytes", func(size float64, args []reflect.Value) float64 { return 16 * repeated(size, args) })
	set("until seq", sequence)
	out["untilStep"] = func(_ float64, args []reflect.Value) float64 { return sequence(0, args[:2]) }
	set("join wrap wrapWith trimAll trimall", func(_ float64, args []reflect.Value) float64 { return product(args) })
	set("regexMatch regexFind regexReplaceAll regexReplaceAllLiteral regexFindAll regexSplit mustRegexMatch mustRegexFind "+
		"mustRegexReplaceAll mustRegexReplaceAllLiteral mustRegexFindAll mustRegexSplit", matched)
	squared := func(factor float64) func(float64, []reflect.Value) float64 {
		return func(size float64, _ []reflect.Value) float64 { return factor * size * size }
	}
	set("uniq mustUniq without mustWithout", squared(1.0/8)) // compare each item with each other
	set("add1f addf subf divf mulf", squared(8))             // have results of many digits
	// The result is a value for each byte or item, or has indentation.
	set("split splitn splitList fromJson mustFromJson toPrettyJson mustToPrettyJson deepCopy mustDeepCopy merge mustMerge "+
		"mergeOverwrite mustMergeOverwrite semver semverCompare", times(64))
	set("dateInZone date_in_zone htmlDateInZone", times(256)) // reads a file
	slow := func(float64, []reflect.Value) float64 { return maxWork / 4 }
	set("bcrypt htpasswd derivePassword genPrivateKey genCA genCAWithKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey", slow)
	return out
}

// repeated is the cost of a function of a number of repetitions and texts.
func repeated(_ float64, args []reflect.Value) float64 {
	count := 1.0
	for _, arg := range args {
		if arg.CanInt() {
			count *= math.Abs(float64(arg.Int()))
		}
	}
	if count *= product(args); count > maxText {
		panic(errWork)
	}
	return count
}

// sequence is the cost of the numbers up to one, or from one to another.
func sequence(_ float64, args []reflect.Value) float64 {
	first, last := 0.0, 0.0
	for i, arg := range args {
		if last = float64(arg.Int()); math.Abs(last) > 1<<53 { // adding a step may overflow
			panic(errWork)
		}
		if i == 0 && len(args) > 1 {
			first = last
		}
	}
	count := math.Abs(last - first)
	if count > maxText {
		panic(errWork)
	}
	return 16 * count
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
		if k := arg.Kind(); k == reflect.String || k == reflect.Slice {
			out *= max(1, float64(arg.Len()))
		}
	}
	return out
}

// formatted is the cost of printf: any verb may print any argument, with a width and a precision that package fmt limits
// to 1e6 each.
func formatted(size float64, args []reflect.Value) float64 {
	format := args[0].String()
	sum, number := 4*size*float64(strings.Count(format, "%")), 0.0
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

// matched is the cost of a regular expression, which each byte may match at each of its states.
func matched(size float64, args []reflect.Value) float64 {
	pattern := args[0].String()
	if len(pattern) > maxText/64 {
		panic(errWork)
	}
	cost := 64*size + product(args[1:])
	if re, err := syntax.Parse(pattern, syntax.Perl); err == nil {
		cost += (256 + size) * states(re)
	}
	return cost
}

func states(re *syntax.Regexp) float64 {
	n := 1 + float64(len(re.Rune))
	for _, sub := range re.Sub {
		n += states(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= float64(max(re.Min, re.Max, 1))
	}
	return n
}
