//go:build !race

package render

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// executed returns the text of a template, and its errors.
func executed(t *testing.T, file string, values map[string]any) (string, []task.Finding) {
	rendered, findings := Render(t.Context(), []byte(file), Variables{Values: values}, nil)
	return rendered.Text, slices.DeleteFunc(findings, func(f task.Finding) bool { return f.Severity != task.Error })
}

// Templates that would grow without end, or that are slow, end with an error.
func TestTemplatesThatGrow(t *testing.T) {
	double := func(call string) string {
		return `{{$x := "ab"}}{{range until 60}}{{$x = ` + call + `}}{{end}}{{len $x}}`
	}
	for name, file := range map[string]string{
		"print":          double("print $x $x"),
		"printf":         double(`printf "%s%[1]s" $x`),
		"cat":            double("cat $x $x"),
		"join":           double("list $x $x | join $x"),
		"replace":        double(`replace "a" $x $x`),
		"quotes":         double("$x | quote | b64enc | js | squote | urlquery"),
		"regexes":        double(`regexReplaceAll "." $x $x`),
		"wrapWith":       double(`wrapWith 1 $x $x`),
		"lists":          double("list $x $x"),
		"concat":         `{{$x := list 1 2}}{{range until 60}}{{$x = concat $x $x}}{{end}}{{len $x}}`,
		"dicts":          double(`dict "a" $x "b" $x`),
		"widths":         `{{range until 100}}{{$_ := printf "%900000d%900000d" 1 1}}{{end}}`,
		"starred widths": `{{range until 100}}{{$_ := printf "%*d%*d" 900000 1 900000 1}}{{end}}`,
		"a set cycle":    `{{$d := dict}}{{$_ := set $d "d" $d}}{{deepCopy $d}}`,
		"a shown cycle":  `{{$d := dict}}{{$_ := set $d "d" $d}}{{$d}}`,
		"JSON of cycles": `{{$d := dict}}{{$_ := set $d "d" $d}}{{toPrettyJson $d}}`,
		"deep lists":     `{{$x := list}}{{range until 1000}}{{$x = list $x}}{{end}}{{$x}}`,
		"keys":           `{{range until 40}}{{$_ := genCA "a" 1}}{{end}}`,
		"passwords":      `{{range until 40}}{{$_ := derivePassword 1 "long" "a" "b" "c"}}{{end}}`,
		"hashes":         `{{range until 40}}{{$_ := bcrypt "a"}}{{$_ := htpasswd "a" "b"}}{{end}}`,
		"unique items":   `{{$x := until 60000 | uniq}}`,
		"characters":     `{{$x := repeat 500000 "a" | splitList ""}}`,
	} {
		text, errs := executed(t, file, nil)
		if got := fmt.Sprint(errs); !strings.Contains(got, string(errWork)) && !strings.Contains(got, string(errDepth)) {
			t.Errorf("%s: got %d bytes and errors %s, want %q or %q", name, len(text), got, errWork, errDepth)
		}
	}
}

func TestCostsAreOfFunctions(t *testing.T) {
	for name := range costs {
		if functions[name] == nil {
			t.Errorf("got a cost of %s, want those of functions", name)
		}
	}
}

// What task files do is far from the limits.
func TestTemplatesWithinLimits(t *testing.T) {
	file := `{{range $i := until 200}}{{range $.Values.list}}` +
		`{{printf "%-40s|%5d" . $i | upper | replace "A" "b" | quote}} {{. | splitList "/" | uniq | join ","}} {{regexReplaceAll "l(.)" . "$1"}}` +
		`{{$d := dict "a" . "b" (list . .)}}{{$_ := set $d "c" $i}}{{toPrettyJson $d | fromJson | toJson}}{{end}}{{end}}`
	if _, errs := executed(t, file, map[string]any{"list": []any{"linux/amd64", "linux/arm64"}}); len(errs) > 0 {
		t.Errorf("got errors %v, want none", errs)
	}
}

// No function takes much time or memory, whatever its arguments.
func TestHostileArguments(t *testing.T) {
	long, deep := strings.Repeat("(a*", 100_000), any("a")
	for range 10 {
		deep = []any{deep, deep}
	}
	values := map[string]any{"long": long, "deep": deep}
	arguments := func(in reflect.Type, i int) string {
		switch in.Kind() {
		case reflect.String:
			return []string{".Values.long", `""`, `"."`}[i]
		case reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64, reflect.Uint32:
			return []string{"2147483647", "-2147483648", "1"}[i]
		case reflect.Interface:
			return []string{".Values.long", ".Values.deep", "9223372036854775807"}[i]
		case reflect.Map:
			return ".Values"
		case reflect.Slice:
			return "(list .Values.deep)"
		}
		return "1"
	}
	for name, function := range functions {
		f := reflect.TypeOf(function)
		for i := range 6 { // the same for all, then mixed
			call := name
			for n := range f.NumIn() {
				in := f.In(n)
				if f.IsVariadic() && n == f.NumIn()-1 {
					in = in.Elem()
				}
				call += " " + arguments(in, (i+i/3*n)%3)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = executed(t, fmt.Sprintf("{{$_ := %s}}", call), values)
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 256 {
				t.Errorf("%s: allocated %d MiB, want at most 256", call, got)
			}
		}
	}
}
