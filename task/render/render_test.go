package render

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/task"
	"go.yaml.in/yaml/v3"
)

// rendering is a file and its rendered text.
type rendering struct {
	name string
	file string
	text string   // "" when there are errors
	want []string // findings
	vars func(*Variables)
}

// variables returns the variables of all tests.
func variables() Variables {
	return Variables{
		Run: RunFields(map[string]string{"ID": "7f", "Registry": "reg.example.com:5000", "Branch": "main"},
			time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))),
		Values: map[string]any{
			"name": "app", "n": 3, "on": true, "off": false, "empty": "", "null": nil,
			"list": []any{"amd64", "arm64"}, "map": map[string]any{"b-c": "d", "e": map[string]any{"f": "it's"}},
			"lines": "one\ntwo",
		},
		Secrets: map[string]string{"token": "hunter22", "two": "first line\nsecond"},
	}
}

// files reads the alias files of the tests.
func files(name string) ([]byte, error) {
	f := map[string]string{
		"a.yaml":          "img: from-a\nother: other-a\n",
		"https://x/b.yml": "img: from-b\nacr: my-acr:1\n",
		"template.yaml":   "img: '{{.Run.Registry}}/img'\nwrong: '{{.Values.list.x}}'\n",
		"empty.yaml":      "# nothing\n",
		"list.yaml":       "- a\n",
		"key.yaml":        "ok: 1\nb-d: 2\n",
		"deep.yaml":       "ok: 1\nbad: [2]\n",
		"bad.yaml":        "ok: 1\nb: c: d\n",
	}
	switch name {
	case "long.yaml":
		return []byte("a: " + strings.Repeat("x", MaxAliases-2)), nil
	case "full.yaml":
		return []byte("a: " + strings.Repeat("x", MaxAliases-3)), nil
	}
	s, ok := f[name]
	if !ok {
		return nil, errors.New("no such file")
	}
	return []byte(s), nil
}

func check(t *testing.T, cases []rendering) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			vars := variables()
			if tt.vars != nil {
				tt.vars(&vars)
			}
			r, findings := Render(t.Context(), []byte(tt.file), vars, files)
			if r.Text != tt.text {
				t.Errorf("got text\n%q, want\n%q", r.Text, tt.text)
			}
			if got := messages(findings); !slices.Equal(got, tt.want) {
				t.Errorf("got findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			checkOrigins(t, tt.file, vars, findings)
		})
	}
}

func messages(findings []task.Finding) (out []string) {
	for _, f := range findings {
		out = append(out, f.String())
	}
	return out
}

// checkOrigins fails unless each literal piece of the rendered text is in the file at its origin, and all positions
// are in the file.
func checkOrigins(t *testing.T, file string, vars Variables, findings []task.Finding) {
	t.Helper()
	r := newRenderer(t.Context(), []byte(file), vars, files)
	rendered, _ := r.render()
	for i, from := range rendered.from {
		file := r.file.string[from:]
		first, _ := utf8.DecodeRuneInString(file)
		generated := strings.HasPrefix(file, "{{") || !unicode.IsLetter(first) && !unicode.IsDigit(first) && !unicode.IsSpace(first) || first > 127
		if rendered.string[i] != file[0] && !generated {
			t.Errorf("byte %d of the rendered text %q is not at its origin %d and not generated there", i, rendered.string, from)
		}
	}
	inFile := func(p task.Position) bool { return r.file.position(r.file.offset(p.Line, p.Column)) == p }
	for _, f := range findings {
		if !inFile(f.Position) {
			t.Errorf("got finding %v, want a position in the file", f)
		}
	}
	origin := r.origins(rendered)
	for line := range len(linesOf(rendered.string).starts) + 2 {
		for _, column := range []int{0, 1, 2, 5, 1000} {
			if p := origin(task.Position{Line: line, Column: column}); rendered.string != "" && !inFile(p) {
				t.Errorf("got origin %v of %d:%d, want a position in the file", p, line, column)
			}
		}
	}
}

func TestTemplates(t *testing.T) {
	check(t, []rendering{
		{name: "no template", file: "steps: []\n", text: "steps: []\n"},
		{name: "run", file: "a: {{.Run.ID}} {{.Build.ID}} {{.Run.Registry}} {{.Run.RegistryName}} {{.Run.Date}}",
			text: "a: 7f 7f reg.example.com:5000 reg 20260102-020405z"},
		{name: "values", file: "a: {{.Values.name}} {{.Values.n}} {{.Values.on}} {{.Values.off}} {{.Values.map.e.f}}",
			text: "a: app 3 true false it's"},
		{name: "an empty value is one", file: "a: [{{.Values.empty}}]", text: "a: []"},
		{name: "from the top", file: "{{with .Values.map}}{{.e.f}} {{$.Run.ID}}{{end}}", text: "it's 7f"},
		{name: "index", file: `{{index .Values.map "b-c"}} {{index .Values.map "e" "f"}} {{index .Values.list 1}} {{"b-c" | index .Values.map}}`,
			text: "d it's arm64 d"},
		{name: "index of what calls and pipes return", file: `{{index (dict "a" "b") "a"}} {{index ("x" | dict "a") "a"}}{{index dict "a"}}`, text: "b x",
			want: []string{`1:60: warning: {{index dict "a"}} has no value`}},
		{name: "secrets", file: `{{.Secrets.token}} {{index .Secrets "token" | b64enc}}`, text: "hunter22 aHVudGVyMjI="},
		{name: "secrets of a dry run", file: `{{.Secrets.token}} {{index .Secrets "no-other"}} {{if .Secrets.x}}y{{end}}`, text: "REDACTED REDACTED y",
			vars: func(v *Variables) { v.Secrets = nil }},
		{name: "JSON", file: "{{.ValuesJSON}} {{.RunJSON}}", text: `'{"a":"it'\''s"}' '{"ID":"1"}'`,
			vars: func(v *Variables) { v.Values, v.Run = map[string]any{"a": "it's"}, map[string]string{"ID": "1"} }},
		{name: "JSON of nothing", file: "{{.ValuesJSON}}", text: "'{}'", vars: func(v *Variables) { v.Values = nil }},
		{name: "loop", file: "{{range $i, $a := .Values.list}}\n- {{$i}} {{$a}} {{.}}{{end}}\n", text: "\n- 0 amd64 amd64\n- 1 arm64 arm64\n"},
		{name: "loop with else", file: "{{range .Values.none}}x{{else}}none{{end}}", text: "none"},
		{name: "break and continue", file: "{{range until 9}}{{if eq . 1}}{{continue}}{{end}}{{if eq . 3}}{{break}}{{end}}{{.}}{{end}}", text: "02"},
		{name: "trimming", file: "a:\n  {{- range .Values.list }}\n  - {{ . -}}  \n  {{- end }}\nb", text: "a:\n  - amd64\n  - arm64\nb"},
		{name: "else if", file: `{{if .Values.off}}1{{else if eq .Run.Branch "main"}}2{{else}}3{{end}}`, text: "2"},
		{name: "define and template", file: `{{define "t"}}<{{.name}}>{{end}}{{template "t" .Values}}{{template "t" .Values}}`, text: "<app><app>"},
		{name: "block", file: `{{block "t" .Run}}{{.ID}}{{end}} {{template "t" .Run}}`, text: "7f 7f"},
		{name: "variables", file: `{{$x := "a"}}{{$x}}{{$x = "b"}}{{$x}}`, text: "ab"},
		{name: "fields of variables", file: `{{$m := .Values.map}}{{$m.e.f}}{{index $m "b-c"}}`, text: "it'sd"},
		{name: "comments of templates", file: "a{{/* no }} */}}b{{- /* no */ -}}  c", text: "abc"},
		{name: "delimiters in strings", file: "{{print \"}}\" `{{` '}'}}", text: "}}{{125"},
		{name: "sprig", file: `{{.Values.name | upper | quote}} {{join "," .Values.list}} {{add 1 .Values.n}} {{ternary "y" "n" .Values.on}}`,
			text: `"APP" amd64,arm64 4 y`},
		{name: "methods, maps and structs of functions", file: `{{(toDate "2006-01-02" "2026-05-04").Year}} {{(toDate "2006" "2026").Format "06"}} ` +
			`{{(split "/" "a/b")._1}} {{(semver "1.2.3").Minor}} {{$t := toDate "2006" "2026"}}{{$t.Format "06"}}`, text: "2026 26 b 2 26"},
		{name: "functions that multiply", file: `{{repeat 3 "ab"}}{{range untilStep 4000000 4000002 1}} {{.}}{{end}} {{seq 1 3}}{{"x" | nindent 2}}`,
			text: "ababab 4000000 4000001 1 2 3\n  x"},
		{name: "values are not changed", file: `{{$_ := set .Values "name" "x"}}{{$_ := set .Values.map "y" "x"}}{{.Values.name}}{{.Values.map.y}}`, text: "xx"},
		{name: "byte order mark", file: "\ufeffa: {{.Values.no}}", text: "a: ",
			want: []string{"1:4: warning: {{.Values.no}} has no value: set it with --set no=... or --values"}},
		{name: "carriage returns", file: "a:\r\n# {{\r\n- {{.Run.ID}}\r\n", text: "a:\r\n- 7f\r\n"},
	})
	before := variables()
	vars := variables()
	Render(t.Context(), []byte(`{{$_ := set .Values "name" "x"}}{{$_ := set .Values.map.e "f" "x"}}`), vars, nil)
	if fmt.Sprint(vars) != fmt.Sprint(before) {
		t.Errorf("a template has changed %v", vars)
	}
}

func TestMissingValues(t *testing.T) {
	no := func(at, name string) string {
		return fmt.Sprintf("%s: warning: {{.Values.%s}} has no value: set it with --set %[2]s=... or --values", at, name)
	}
	check(t, []rendering{
		{name: "at the top", file: "a: {{.Values.x}}!", text: "a: !", want: []string{no("1:4", "x")}},
		{name: "null", file: "a: {{.Values.null}}!", text: "a: !", want: []string{no("1:4", "null")}},
		{name: "without parents", file: "a:\n- {{.Values.x.y.z}}", text: "a:\n- ", want: []string{no("2:3", "x.y.z")}},
		{name: "from the top", file: "{{range .Values.list}}{{$.Values.x.y}}{{end}}!", text: "!", want: []string{no("1:23", "x.y")}},
		{name: "index", file: `{{index .Values "x-y" "z"}}!`, text: "!", want: []string{no("1:1", "x-y.z")}},
		{name: "text is wanted", file: "{{.Values.x | upper}}{{lower .Values.y}}{{print .Values.z}}{{b64enc .Values.z}}!", text: "!",
			want: []string{no("1:1", "x"), no("1:22", "y"), no("1:41", "z"), no("1:60", "z")}},
		{name: "a number is wanted", file: `{{repeat .Values.x "a"}}{{len .Values.x}}`, text: "0", want: []string{no("1:1", "x"), no("1:25", "x")}},
		{name: "quote", file: "[{{quote .Values.x}}{{.Values.x | squote}}]", text: "[]", want: []string{no("1:2", "x"), no("1:21", "x")}},
		{name: "in parentheses", file: `{{(.Values.x)}}{{upper (print .Values.y "!")}}`, text: "!",
			want: []string{no("1:1", "x"), no("1:16", "y")}},
		{name: "fields of a missing value", file: `{{(index .Values.x "y").z}}!{{(upper .Values.w).z}}`,
			want: []string{no("1:1", "x.y"), no("1:29", "w"), `1:29: error: {{(upper .Values.w).z}}: the value has no field z`}},
		{name: "variables", file: "{{$x := .Values.x}}{{$x}}{{$x | upper}}{{if $x}}{{end}}!", text: "!",
			want: []string{"1:20: warning: {{$x}} has no value", "1:26: warning: {{$x | upper}} has no value"}},
		{name: "derived from a missing value", file: "{{$x := upper .Values.x}}{{$x}}!", text: "!", want: []string{no("1:1", "x")}},
		{name: "dot", file: "{{range list nil 1}}{{.}}{{end}}", text: "1", want: []string{"1:21: warning: {{.}} has no value"}},
		{name: "result of a function", file: "{{coalesce .Values.x .Values.y}}{{first list}}!", text: "!",
			want: []string{"1:1: warning: {{coalesce .Values.x .Values.y}} has no value", "1:33: warning: {{first list}} has no value"}},
		{name: "default", file: `{{.Values.x | default "a"}}{{default "b" .Values.x.y}}{{.Values.x | upper | default "c"}}{{default "d" (upper .Values.x)}}`, text: "abcd"},
		{name: "conditions", file: `{{if .Values.x.y}}{{else if contains "x" .Values.x}}{{else if eq .Values.x "y"}}{{else if gt (len .Values.x) 0}}{{else}}a{{end}}` +
			`{{with .Values.x}}{{else}}b{{end}}{{range .Values.x}}{{end}}`, text: "ab"},
		{name: "asked", file: `{{or .Values.x "a"}}{{ternary "x" "b" (empty .Values.x | not)}}{{kindOf .Values.x}}`, text: "abinvalid"},
		{name: "once for each place", file: "{{range until 3}}{{$.Values.x}}{{end}}!{{.Values.x}}", text: "!",
			want: []string{no("1:18", "x"), no("1:40", "x")}},
		{name: "fields of run", file: "{{.Run.Commit}}{{.Run.Tag}}!", text: "!", want: []string{
			"1:1: warning: {{.Run.Commit}} has no value: the context is in no git repository; set it with --commit",
			"1:16: warning: {{.Run.Tag}} has no value: .Run has " + strings.Join(slices.Sorted(maps.Keys(hints)), ", ")}},
		{name: "fields of run that a flag sets", file: "{{.Run.GitTag}}!", text: "!", want: []string{
			"1:1: warning: {{.Run.GitTag}} has no value: set it with --git-tag"}},
		{name: "no registry", file: "{{.Run.Registry}}{{.Run.RegistryName}}{{.Build.ID}}{{.Build.X}}!", text: "!", vars: func(v *Variables) { v.Run = map[string]string{"Registry": ""} },
			want: []string{
				"1:1: warning: {{.Run.Registry}} has no value: set it with --registry",
				"1:18: warning: {{.Run.RegistryName}} has no value: set it with --registry",
				"1:39: warning: {{.Build.ID}} has no value: set it with --id",
				"1:52: warning: {{.Build.X}} has no value: .Build has only ID"}},
		{name: "secrets", file: "{{.Secrets.x}}!", text: "!",
			want: []string{"1:1: warning: {{.Secrets.x}} has no value: set it with --secret id=x,src=FILE or --secret id=x,env=NAME"}},
		{name: "other names", file: "{{.values.x}}!", text: "!",
			want: []string{"1:1: warning: {{.values.x}} has no value: expected .Run, .Build, .Values, .Secrets, .RunJSON or .ValuesJSON"}},
		{name: "template without a dot", file: `{{define "t"}}{{.Values.name}}{{end}}{{template "t"}}!`, text: "!",
			want: []string{`1:15: warning: {{.Values.name}} has no value: {{.}} is another value here; start with $, or pass it with {{template "NAME" .}}`}},
	})
}

func TestTemplateErrors(t *testing.T) {
	const host = "a task file cannot read the environment of the host; use --env or --set"
	check(t, []rendering{
		{name: "unknown function", file: "a\n  b: {{ .Run.ID }} {{ include \"x\" . }}", want: []string{`2:20: error: {{ include "x" . }}: function "include" not defined`}},
		{name: "our own functions", file: "{{.Run.ID}}{{lookup 0 .}}", want: []string{`1:12: error: {{lookup 0 .}}: function "lookup" not defined`}},
		{name: "not closed", file: "a: {{.Run.ID}}\nb: {{.Run.ID\nc: d", want: []string{`2:4: error: {{.Run.ID c: d: }} is missing`}},
		{name: "not closed before another", file: "{{.Run.ID}}\n{{.Run.ID }\nb: {{.Run.ID}}", want: []string{`2:1: error: {{.Run.ID } b:: }} is missing`}},
		{name: "comment not closed", file: "{{.Run.ID}} {{/* b }}", want: []string{`1:13: error: {{/* b }}: unclosed comment`}},
		{name: "odd character", file: "{{.Run.ID}} {{.Run.ID ! }}", want: []string{`1:13: error: {{.Run.ID ! }}: unexpected "!" in operand`}},
		{name: "string not closed", file: "{{if .x}}{{end}}\n{{print \"}}\nx", want: []string{`2:1: error: {{print "}} x: unterminated quoted string`}},
		{name: "no end", file: "{{if .a}}\n{{range .b}}\n{{end}}\n{{with .c}}{{end}} {{/* {{end}} */}}", want: []string{"1:1: error: {{if .a}}: {{end}} is missing"}},
		{name: "no end inside", file: "{{if .a}}\n{{- range .b}}\n{{end}}", want: []string{"1:1: error: {{if .a}}: {{end}} is missing"}},
		{name: "end too many", file: "{{if .a}}{{end}} {{ end }}", want: []string{"1:18: error: {{ end }}: unexpected {{end}}"}},
		{name: "undefined variable", file: "{{$a := 1}}{{$b}}", want: []string{`1:12: error: {{$b}}: undefined variable "$b"`}},
		{name: "template not defined", file: "é é{{template \"x\" .}}", want: []string{`1:4: error: {{template "x" .}}: template "x" not defined`}},
		{name: "env", file: `a: {{env "HOME"}}`, want: []string{`1:4: error: {{env "HOME"}}: function env is not available: ` + host}},
		{name: "expandenv", file: `a: {{"$HOME" | expandenv}}`, want: []string{`1:4: error: {{"$HOME" | expandenv}}: function expandenv is not available: ` + host}},
		{name: "getHostByName", file: `a: {{getHostByName "x"}}`,
			want: []string{`1:4: error: {{getHostByName "x"}}: function getHostByName is not available: a task file cannot access the network; use --set`}},
		{name: "not there but not used", file: `a: {{if .Values.off}}{{env "HOME"}}{{end}}`, text: "a: "},
		{name: "fail", file: "{{fail \"it is\\nso\"}}", want: []string{`1:1: error: {{fail "it is\nso"}}: fail: it is so`}},
		{name: "panic", file: "a\n{{dig 1}}", want: []string{"2:1: error: {{dig 1}}: dig: dig needs at least three arguments"}},
		{name: "panic of the runtime", file: "{{div 1 0}}", want: []string{"1:1: error: {{div 1 0}}: div: runtime error: integer divide by zero"}},
		{name: "wrong type", file: "{{upper .Values.n}}", want: []string{"1:1: error: {{upper .Values.n}}: wrong type for value; expected string; got int"}},
		{name: "field of a string", file: "{{.Values.name.x.y}}", want: []string{"1:1: error: {{.Values.name.x.y}}: the value has no field x"}},
		{name: "field of others", file: "{{if .Values.list.x}}{{end}}", want: []string{"1:1: error: {{if .Values.list.x}}: the value has no field x"}},
		{name: "arguments for no function", file: "{{.Values.name 1}}", want: []string{"1:1: error: {{.Values.name 1}}: name is not a method but has arguments"}},
		{name: "in a loop, trimmed, long after", file: "# x\na:\n{{range .Values.list -}}\n   x\n   é {{- fail . }}\n{{end}}", want: []string{"5:6: error: {{- fail . }}: fail: amd64"}},
		{name: "in a template", file: "{{define \"t\"}}\n{{fail \"x\"}}{{end}}\n{{template \"t\"}}", want: []string{`2:1: error: {{fail "x"}}: fail: x`}},
		{name: "secrets are hidden", file: "{{fail .Secrets.token}}{{.Secrets.x}}", want: []string{"1:1: error: {{fail .Secrets.token}}: fail: ****"}},
		{name: "nor their lines", file: `{{.Secrets.two | replace "\n" ", " | fail}}`, want: []string{`1:1: error: {{.Secrets.two | replace "\n" ", " | fail}}: fail: ****, ****`}},
		{name: "escaped", file: "{{fail \"\\x1b[31m\"}}", want: []string{`1:1: error: {{fail "\x1b[31m"}}: fail: \x1b[31m`}},
		{name: "too long", file: "{{range until 3}}\n{{repeat 300000 \"x\"}}{{end}}", want: []string{`2:1: error: {{repeat 300000 "x"}}: the file is larger than 512 KiB after rendering`}},
		{name: "made too long", file: "{{$x := repeat 2000000 \"abc\"}}", want: []string{`1:1: error: {{$x := repeat 2000000 "abc"}}: the result would be larger than 512 KiB, or take too long`}},
		{name: "numbers below 0", file: "{{until -5000000}}", want: []string{`1:1: error: {{until -5000000}}: the result would be larger than 512 KiB, or take too long`}},
		{name: "sequence too long", file: "{{seq 1 5000000}}", want: []string{`1:1: error: {{seq 1 5000000}}: the result would be larger than 512 KiB, or take too long`}},
		{name: "loops without end", file: "{{range until 1001}}{{range until 1000}}{{end}}{{end}}", want: []string{"1:21: error: {{range until 1000}}: the result would be larger than 512 KiB, or take too long"}},
		{name: "templates without end", file: `{{define "t"}} {{template "t"}}{{end}}{{template "t"}}`, want: []string{`1:16: error: {{template "t"}}: more than 400 loops and templates are nested`}},
		{name: "templates that fork", file: `{{define "t"}}{{if .}}{{template "t" rest .}}{{template "t" rest .}}{{end}}{{end}}{{template "t" until 20}}`,
			want: []string{`1:23: error: {{template "t" rest .}}: the result would be larger than 512 KiB, or take too long`}},
		{name: "empty", want: []string{"1:1: error: the file is empty after rendering: expected steps"}},
		{name: "empty but for comments", file: "# a\n{{/* b */}}\n", want: []string{"1:1: error: the file is empty after rendering: expected steps"}},
		{name: "NUL", file: "a: b\nc:\x00", want: []string{"2:3: error: found a NUL byte: expected UTF-8 text"}},
		{name: "not UTF-8", file: "a: é\ufffd\xff", want: []string{"1:6: error: found byte 0xff: expected UTF-8 text"}},
		{name: "a long file", file: strings.Repeat("a", 4<<20+1), want: []string{"1:1: error: the file is larger than 512 KiB"}},
	})
}

func TestComments(t *testing.T) {
	for i, tt := range []struct{ file, want string }{
		{"# {{ a\nb: c\n  # d\n\t# {{\ne: f # g\n", "b: c\ne: f # g\n"},
		{"#", ""},
		{"a: b#c\n#d", "a: b#c\n"},

		// block scalars
		{"a: |\n  #!/bin/sh\n  b\n# c\n  # d\ne: f\n  # g\n", "a: |\n  #!/bin/sh\n  b\n  # d\ne: f\n"},
		{"a: >-\n\n   # b\n  # c\n\n   # d\n", "a: >-\n\n   # b\n\n   # d\n"},
		{"a: |2-\n    b\n  # c\n # d\n", "a: |2-\n    b\n  # c\n"},
		{"- a: |+ # b\n    # c\n  # d\n  e: f\n", "- a: |+ # b\n    # c\n  e: f\n"},
		{"- |\n # b\n# c\n- d\n # e\n", "- |\n # b\n- d\n"},
		{"- - |1\n   # b\n  # c\n", "- - |1\n   # b\n"},
		{"? |\n  # b\n: !!str |\n  # c\n: &x >\n  # d\n# e\n", "? |\n  # b\n: !!str |\n  # c\n: &x >\n  # d\n"},
		{"a:\n  |\n  # b\n # c\n", "a:\n  |\n  # b\n"},
		{"\"a\": |\n  # b\n'c': |\n  # d\n", "\"a\": |\n  # b\n'c': |\n  # d\n"},
		{"a: b |\n  # c\nd: |x\n  # e\nf: '|'\n  # g\n", "a: b |\nd: |x\nf: '|'\n"},
		{"a: |\n  b\n{{if .x}}\n  # c\n{{end}}\n# d\n", "a: |\n  b\n{{if .x}}\n  # c\n{{end}}\n"},
		{"a: |\n  b\n{{.x}}: |\n  # c\nd:\n  # e\n", "a: |\n  b\n{{.x}}: |\n  # c\nd:\n"},
		{"- {{.x}}: |\n    # c\n  # d\n", "- {{.x}}: |\n    # c\n"},

		// quoted scalars: ACR removes these lines, too
		{"a: 'b\n  # c\n  d'\n", "a: 'b\n  d'\n"},

		// quotes that are characters
		{"a: it's\n# b\nc: 'd'\n", "a: it's\nc: 'd'\n"},
		{"a: b 'c\n# d\n e: f'\n", "a: b 'c\n e: f'\n"},
		{"a: b\n  'c\n# d\ne: 'f'\n", "a: b\n  'c\ne: 'f'\n"},
		{"a: b # it's \"\n# c\nd: '\"'\n# e\n", "a: b # it's \"\nd: '\"'\n"},
		{"a: b\n  'tis\n# don't\n", "a: b\n  'tis\n"},

		// flow collections
		{"a: [\n  # b\n  c,\n]\nd: |\n  # e\n", "a: [\n  c,\n]\nd: |\n  # e\n"},
		{"a: b\n  [c\nd: |\n  # e\n", "a: b\n  [c\nd: |\n  # e\n"},
		{"a: ${x\nd: |\n  # e\n", "a: ${x\nd: |\n  # e\n"},
		{"{\"a\": \"b\",\n# c\n\"d\": \"e # f\"}\n# g\n", "{\"a\": \"b\",\n\"d\": \"e # f\"}\n"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if got := uncommented(tt.file); got.string != tt.want {
				t.Errorf("%q: got %q, want %q", tt.file, got.string, tt.want)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, tt := range []struct{ file, version, finding string }{
		{"steps: []", versionDefault, ""},
		{"version: v1.0.0\n", versionDefault, ""},
		{"# version: v2\nversion:   V1.1.0 # the newest\n", versionWithAlias, ""},
		{"steps: []\nversion: \"v1.1.0\"\r\n", versionWithAlias, ""},
		{"'version' : '1.0-Preview-1'\n", versionPreview, ""},
		{"version:\nsteps: []", versionDefault, ""},
		{"a: |\n  version: v2\nb:\n  version: v2\nc: 'x\n version: v2'\n", versionDefault, ""},
		{"version: v1.1.0\nversion: v2", versionWithAlias, ""},
		{"steps: []\nversion:  v2 # x", versionWithAlias, "2:11: error: version: unknown version v2: expected 1.0-preview-1, v1.0.0 or v1.1.0"},
		{"version: {{.Run.ID}}\n", versionWithAlias, "1:10: error: version: unknown version {{.Run.ID}}: expected 1.0-preview-1, v1.0.0 or v1.1.0"},
		{"version: 1.0.0\nb: $ID", versionWithAlias, "1:10: error: version: unknown version 1.0.0: expected 1.0-preview-1, v1.0.0 or v1.1.0"},
	} {
		r := newRenderer(t.Context(), []byte(tt.file), variables(), nil)
		got := r.version(uncommented(r.file.string))
		if got != tt.version || strings.Join(messages(r.findings), "\n") != tt.finding {
			t.Errorf("%q: got version %s and findings %v, want %s and %s", tt.file, got, messages(r.findings), tt.version, tt.finding)
		}
		if rendered, _ := r.render(); rendered.string == "" {
			t.Errorf("%q: got an empty text, want it rendered with any version", tt.file)
		}
	}
}

func TestAliases(t *testing.T) {
	const v = "version: v1.1.0\n"
	check(t, []rendering{
		{name: "built in", file: v + "a: $ID $Registry/$RegistryName:$Date $Branch", text: v + "a: 7f reg.example.com:5000/reg:20260102-020405z main"},
		{name: "built in, without a value", file: v + "a: $SharedVolume$OS$Architecture$Commit!", text: v + "a: !", want: []string{
			"2:4: warning: {{.Run.SharedVolume}} has no value", "2:17: warning: {{.Run.OS}} has no value",
			"2:20: warning: {{.Run.Architecture}} has no value", "2:33: warning: {{.Run.Commit}} has no value: the context is in no git repository; set it with --commit"}},
		{name: "built in, images", file: v + "a: $acr $az $bash", text: v + "a: mcr.microsoft.com/acr/acr-cli:0.19 mcr.microsoft.com/acr/azure-cli:2ff604c mcr.microsoft.com/acr/bash:2ff604c"},
		{name: "values", file: v + "alias:\n  values:\n    x: one\n    y: 'two words'\n    n: 1.10\n    z:\nsteps:\n- $x/$y $n [$z]\n", text: v + "steps:\n- one/two words 1.10 []\n"},
		{name: "side by side", file: v + "alias:\n  values: {x: 1, y: 2}\nsteps: $x$y $x-$y.$xy$x", text: v + "steps: 12 1-2.$xy$x"},
		{name: "directives without an alias", file: v + "alias: {values: {x: 1}}\na: $$x $$ $ $(x) ${x} $u $u$x $x$", text: v + "a: $x $ $ $(x) ${x} $u $u$x 1$"},
		{name: "at the end", file: "alias: {values: {x: 1}}\n" + v + "a: $x", text: v + "a: 1"},
		{name: "unknown at the end", file: v + "a: $nö", text: v + "a: $nö"},
		{name: "below the steps", file: v + "steps: [$x]\nalias:\n  values:\n    x: 1\n", text: v + "steps: [1]\n"},
		{name: "templates of the block", file: v + "alias:\n  values:\n{{range .Values.list}}\n    {{.}}: image-{{.}}\n{{end}}\n    r: {{.Run.Registry}}\na: $amd64 $arm64 $r", text: v + "a: image-amd64 image-arm64 reg.example.com:5000"},
		{name: "directive", file: v + "alias:\n  directive: é\n  values: {x: 1}\na: éx $x éé éIDé", text: v + "a: 1 $x é 7fé"},
		{name: "old version", file: "version: v1.0.0\nalias:\n  values: {x: 1}\na: $x $ID $$", text: "version: v1.0.0\nalias:\n  values: {x: 1}\na: $x $ID $$"},
		{name: "comments and blank lines", file: v + "alias:\n  # x: {{\n\n  values:\n# y\n    x: 1\n# z\na: $x", text: v + "a: 1"},
		{name: "ends at what begins with a key", file: v + "alias:\n  values: {x: 1}\n{{$y := \"$x\"}}\na: {{$y}}", text: v + "\na: 1"},
		{name: "ends at a key of two words", file: v + "alias:\n  values: {x: 1}\na b: $x", text: v + "a b: 1"},
		{name: "ends at a quoted key", file: v + "'alias':\n  values: {x: 1}\n\"a\": $x", text: v + "\"a\": 1"},
		{name: "anchors", file: v + "alias:\n  values: {x: &a 1, y: *a}\na: $y", text: v + "a: 1"},
		{name: "null", file: v + "alias:\na: $ID", text: v + "a: 7f"},
		{name: "null below", file: v + "alias:\n  src:\n  values:\n  directive: '%'\na: %ID", text: v + "a: 7f"},

		{name: "source", file: v + "alias:\n  src: [a.yaml]\na: $img $other", text: v + "a: from-a other-a"},
		{name: "one source", file: v + "alias:\n  src: a.yaml\na: $img", text: v + "a: from-a"},
		{name: "later sources first", file: v + "alias:\n  src: [a.yaml, 'https://x/b.yml']\na: $img $other $acr", text: v + "a: from-b other-a my-acr:1"},
		{name: "values first", file: v + "alias:\n  values: {img: mine, ID: id}\n  src:\n  - a.yaml\na: $img $ID", text: v + "a: mine id"},
		{name: "templates in a source", file: v + "alias:\n  src: [template.yaml]\na: $img", text: v + "a: reg.example.com:5000/img"},
		{name: "empty source", file: v + "alias:\n  src: [empty.yaml]\na: b", text: v + "a: b"},
		{name: "longest source", file: v + "alias:\n  src: [full.yaml]\na: b", text: v + "a: b"},

		{name: "error in the value of an alias", file: v + "alias:\n  src: [template.yaml]\na:\n- é $wrong", want: []string{
			"5:5: error: {{.Values.list.x}}: the value has no field x"}},
		{name: "error in the block", file: v + "alias:\n  values:\n    x: {{fail \"no\"}}\na: b", want: []string{`4:8: error: {{fail "no"}}: fail: no`}},
		{name: "missing value in the block", file: v + "alias:\n  values:\n    x: a{{.Values.x}}\na: $x", text: v + "a: a",
			want: []string{"4:9: warning: {{.Values.x}} has no value: set it with --set x=... or --values"}},
		{name: "no YAML", file: v + "alias:\n  values:\n    x: 1\n   y: 2\na: b", text: v + "a: b", want: []string{"2:1: error: alias: invalid YAML, here or below: did not find expected key"}},
		{name: "wrong kinds", file: v + "alias:\n  values: [x]\n  src: {a: b}\n  directive: [a]\n  other: c\na: b", text: v + "a: b", want: []string{
			"3:11: error: alias.values: expected NAME: VALUE", "4:8: error: alias.src: expected a list of files and URLs",
			"5:14: error: alias.directive: expected one character that is neither a letter nor a digit",
			"6:3: warning: alias.other: unknown key: expected src, values or directive"}},
		{name: "no mapping", file: v + "alias: [x]\na: b", text: v + "a: b", want: []string{"2:8: error: alias: expected src, values or directive"}},
		{name: "names", file: v + "alias:\n  values:\n    a_b: 1\n    é: 2\n    ok: 3\n    list: [1]\na: $ok", text: v + "a: 3", want: []string{
			`4:5: error: alias.values.a_b: invalid alias "a_b": expected letters (a to z) and digits`,
			`5:5: error: alias.values.é: invalid alias "é": expected letters (a to z) and digits`,
			`7:5: error: alias.values.list: expected a text`}},
		{name: "directives", file: v + "alias: {directive: $$}\na: b", text: v + "a: b", want: []string{"2:20: error: alias.directive: expected one character that is neither a letter nor a digit"}},
		{name: "letter for a directive", file: v + "alias:\n  directive: x\na: b", text: v + "a: b", want: []string{"3:14: error: alias.directive: expected one character that is neither a letter nor a digit"}},
		{name: "bad sources", file: v + "alias:\n  src:\n  - no.yaml\n  - list.yaml\n  - key.yaml\n  - deep.yaml\n  - bad.yaml\n  - [x]\n  - long.yaml\n  - a.yaml\na: b", text: v + "a: b", want: []string{
			"4:5: error: alias.src[0]: reading aliases from no.yaml: no such file",
			"5:5: error: alias.src[1]: list.yaml, line 1: expected NAME: VALUE",
			`6:5: error: alias.src[2]: key.yaml, line 2: invalid alias "b-d": expected letters (a to z) and digits`,
			"7:5: error: alias.src[3]: deep.yaml, line 2: expected a text",
			"8:5: error: alias.src[4]: bad.yaml, line 2: mapping values are not allowed in this context",
			"9:5: error: alias.src[5]: expected a file or a URL",
			"10:5: error: alias.src[6]: reading aliases from long.yaml: the files of aliases are larger than 1 MiB",
			"11:5: error: alias.src: expected at most 100 files and URLs, of at most 1 MiB"}},
		{name: "many sources", file: v + "alias:\n  src: [" + strings.Repeat("a.yaml, ", 101) + "]\na: $img", text: v + "a: from-a", want: []string{
			"3:809: error: alias.src: expected at most 100 files and URLs, of at most 1 MiB"}},
		{name: "too long", file: v + "alias:\n  src: full.yaml\na: $a$a$a$a$a", want: []string{"1:1: error: alias: the file is larger than 512 KiB after replacing aliases"}},
	})
	_, findings := Render(t.Context(), []byte(v+"alias:\n  src: [a.yaml]\nb: c"), variables(), nil)
	want := []string{"3:9: error: alias.src[0]: a.yaml: aliases cannot be read from files or URLs here"}
	if got := messages(findings); !slices.Equal(got, want) {
		t.Errorf("without sources: got findings %v, want %v", got, want)
	}
}

func TestCommands(t *testing.T) {
	const file = "alias:\n  src: [template.yaml]\n  values: {az: my-az:1, tool: tool:2}\nsteps: []\n"
	r, _ := Render(t.Context(), []byte("version: v1.1.0\n"+file), variables(), files)
	old, _ := Render(t.Context(), []byte(file), variables(), files)
	for word, want := range map[string]string{
		"acr": "mcr.microsoft.com/acr/acr-cli:0.19", "bash": "mcr.microsoft.com/acr/bash:2ff604c", "curl": "mcr.microsoft.com/acr/curl:2ff604c",
		"cssc": "mcr.microsoft.com/acr/cssc:2ff604c", "az": "my-az:1", "tool": "tool:2", "img": "reg.example.com:5000/img",
		"docker": "", "bash:3.0": "", "$bash": "", "": "",
	} {
		if got := r.Commands[word]; got != want {
			t.Errorf("%q: got command %q, want %q", word, got, want)
		}
	}
	if got := old.Commands; got != nil {
		t.Errorf("v1.0.0: got commands %v, want none", got)
	}
}

// Each text occurs once in the rendered file and comes from the position.
func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       map[string]string
	}{
		{"unchanged", "a: b\n  é: c\n", map[string]string{"a: b": "1:1", "b\n": "1:4", "é": "2:3", ": c": "2:4"}},
		{"comments", "# x\na: b\n# y\n  # z\nc: d\n", map[string]string{"a": "2:1", "c": "5:1", "d": "5:4"}},
		{"actions", "a: {{.Run.ID}} b\nc: x{{.Values.name}}y {{/* z */}} z\n", map[string]string{"7f": "1:4", "f": "1:4", " b": "1:15", "app": "2:5", "pp": "2:5", "y": "2:21", " z": "2:34"}},
		{"values of several lines", "a: {{.Values.lines}}\nb: c", map[string]string{"one": "1:4", "two": "1:4", "b:": "2:1", "c": "2:4"}},
		{"loops", "{{range .Values.list}}\n- x{{.}}\n  y: z-{{.}}\n{{end}}end\n",
			map[string]string{"xamd64": "2:3", "amd64\n  ": "2:4", "xarm64": "2:3", "arm64\n  ": "2:4", "z-arm64": "3:6", "-amd64": "3:7", "end": "4:8"}},
		{"trimming", "a:\n  {{- range .Values.list }}\n  - {{ . -}}  \n  {{- end -}}\n\n  c", map[string]string{"- amd64": "3:3", "amd64": "3:5", "arm64": "3:5", "c": "6:3"}},
		{"templates", "{{define \"t\"}}\n  q: {{.}}{{end}}a\n{{template \"t\" 1}}\nb: c{{template \"t\" 2}}", map[string]string{"q: 1": "2:3", "1": "2:6", "q: 2": "2:3", "2": "2:6", "a": "2:18", "b": "4:1"}},
		{"aliases", "version: v1.1.0\nalias:\n  values:\n    x: 'é{{.Run.ID}}'\na: b $x c\nd: $$e $x$u f $Registry/g", map[string]string{
			"a:": "5:1", "é7f c": "5:6", "f c": "5:6", "c\n": "5:9", "$e": "6:4", "e ": "6:6", "é7f$u": "6:8", "$u": "6:10", "f reg": "6:13", "reg": "6:15", ":5000": "6:15", "/g": "6:24"}},
		{"alias of several lines", "version: v1.1.0\nalias: {values: {x: \"1\\n2\"}}\na: $x\nb: {{.Run.ID}}", map[string]string{"1\n": "3:4", "2": "3:4", "b": "4:1", "7f": "4:4"}},
		{"line breaks of YAML", "a: b\r\nc: d\re: f\u2028{{.Run.ID}}: g", map[string]string{"b": "1:4", "d": "2:4", "f\u2028": "3:4", "7f": "4:1", "g": "4:14"}},
		{"byte order mark", "\ufeffa: b", map[string]string{"a": "1:1", "b": "1:4"}},
	} {
		r, findings := Render(t.Context(), []byte(tt.file), variables(), nil)
		if findings != nil {
			t.Errorf("%s: got findings %v, want none", tt.name, findings)
		}
		for needle, want := range tt.want {
			before, behind, _ := strings.Cut(strings.TrimPrefix(r.Text, "version: v1.1.0"), needle)
			if strings.Contains(behind, needle) {
				t.Errorf("%s: got %q twice in %q, want it once", tt.name, needle, r.Text)
			}
			p := linesOf(r.Text).position(len(r.Text) - len(behind) - len(needle))
			if got := r.Origin(p); fmt.Sprintf("%d:%d", got.Line, got.Column) != want || before == r.Text {
				t.Errorf("%s: origin of %q, at %d:%d of %q: got %v, want %s", tt.name, needle, p.Line, p.Column, r.Text, got, want)
			}
		}
		checkOrigins(t, tt.file, variables(), findings)
	}
}

func TestFindingsInOrder(t *testing.T) {
	const file = "version: v3\nalias:\n  src: no.yaml\na: {{.Values.x}}\nb: {{.Values.y}} {{.Values.z}}"
	_, findings := Render(t.Context(), []byte(file), variables(), files)
	if len(findings) != 5 || !slices.IsSortedFunc(findings, func(a, b task.Finding) int { return a.Line*100 + a.Column - b.Line*100 - b.Column }) {
		t.Errorf("got findings %v, want 5 in the order of the file", messages(findings))
	}
}

func TestManyWarnings(t *testing.T) {
	file := strings.Repeat("{{.Values.x}}", maxWarnings+1) + "{{fail \"x\"}}"
	_, findings := Render(t.Context(), []byte(file), variables(), nil)
	if n := len(findings); n != maxWarnings+1 || findings[n-1].Severity != task.Error {
		t.Errorf("got %d findings, the last %v, want %d and an error", n, findings[n-1], maxWarnings+1)
	}
}

func TestValues(t *testing.T) {
	values, err := ParseValues([]byte("a: 1\nb: {c: true, 1: x}\nd: 2026-01-02\ne: [2026-01-02]\nf: 1.5\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"a=2,3", "b.c=x=y", "g.h.i=", "f.x=1"} {
		if err := SetValue(values, s); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	}
	want := map[string]any{
		"a": "2,3", "b": map[string]any{"c": "x=y", "1": "x"}, "d": "2026-01-02", "e": []any{"2026-01-02"},
		"f": map[string]any{"x": "1"}, "g": map[string]any{"h": map[string]any{"i": ""}},
	}
	if got, want := fmt.Sprintf("%#v", values), fmt.Sprintf("%#v", want); got != want {
		t.Errorf("got values %s, want %s", got, want)
	}
	for _, s := range []string{"", "a", "=secret", "a..b=secret", ".a=secret", "a.=secret"} {
		if err := SetValue(maps.Clone(values), s); err == nil {
			t.Errorf("--set %q: got no error, want one", s)
		} else if !errdefs.IsInvalidArgument(err) || strings.Contains(err.Error(), "secret") {
			t.Errorf("--set %q: got error %v, want errdefs.ErrInvalidArgument without the value", s, err)
		}
	}
}

func TestParseValues(t *testing.T) {
	for file, want := range map[string]string{
		"": "", "# x": "", "null": "", "a: b": "",
		"- a":                                   "line 1: expected NAME: VALUE",
		"a: " + strings.Repeat("b", MaxAliases): "line 1: the values are larger than 1 MiB",
		"\n\nb":                                 "line 3: expected NAME: VALUE",
		"a: 1\na: 2":                            "line 2: mapping key \"a\" already defined at line 1",
		"a: 1\nb: c: ":                          "line 2: mapping values are not allowed in this context",
	} {
		values, err := ParseValues([]byte(file))
		if got := fmt.Sprint(err); err != nil && got != want || (err == nil) != (want == "") {
			t.Errorf("%.100q: got error %v, want %q", file, err, want)
		}
		if err == nil && values == nil {
			t.Errorf("%q: got nil values, want a map", file)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"version: v1.1.0\nalias:\n  src: [a.yaml]\n  values:\n    x: {{.Values.v}}\n  directive: $\nsteps:\n- cmd: $x $$ $Registry $u$x\n",
		"steps:\n{{- range $i, $v := .Values.list }}\n- cmd: {{ $v.a | upper | default \"x\" }} {{ index $ \"Run\" \"ID\" }}\n# {{\n{{- end }}\n",
		"a: |\n  # b\n{{define \"t\"}}{{.}}{{end}}{{template \"t\" .Run}}{{block \"u\" 1}}{{end}}\nc: 'd\n # e'\n",
		"{{with $x := .Values.a.b}}{{$x}}{{else with .v}}{{(print .).y}}{{else}}{{fail \"é\"}}{{end}}", "\ufeffa\r\n{{/* \u2028 */}}", "{{ `", "{{if}}", "{{if .}}",
	} {
		f.Add(s, "v: w")
	}
	f.Fuzz(func(t *testing.T, file, values string) {
		vars := variables()
		if v, err := ParseValues([]byte(values)); err == nil {
			vars.Values = v
		}
		r, findings := Render(t.Context(), []byte(file), vars, files)
		_, _ = Render(t.Context(), []byte(file), vars, nil)
		failed := slices.ContainsFunc(findings, func(f task.Finding) bool { return f.Severity == task.Error })
		if r.Text == "" && !failed || len(r.Text) > maxText {
			t.Errorf("got a text of %d bytes with findings %v, want at most %d bytes and an error for an empty one", len(r.Text), messages(findings), maxText)
		}
		checkOrigins(t, file, vars, findings)
	})
}

// Only lines that begin with # are removed, and block scalars lose nothing in a file without quotes and templates.
func FuzzComments(f *testing.F) {
	for _, s := range []string{
		"# a\nb: |\n  #!/bin/sh\n # c\n", "- - |1\n   # b\n  # c\n", "? >-\n  # b\n: !!str |\n  # c\n: &x >2+ # d\n\n    # e\n", "a:\n  |\n  # b\n # c\nd: [\n# e\n]\n",
		"? a\n: !!str: &x >\n # b\n", "!!str a: |\n # b\n", "? a\n: !!str : |\n   # b\n  # c\n", "&a:b c: |\n # d\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		got := uncommented(file)
		rest := got.string
		for line := range strings.Lines(file) {
			if kept, ok := strings.CutPrefix(rest, line); ok {
				rest = kept
			} else if !strings.HasPrefix(strings.TrimSpace(line), "#") {
				t.Fatalf("%q: got %q, want the line %q", file, got.string, line)
			}
		}
		if rest != "" || len(got.from) != len(got.string) {
			t.Fatalf("%q: got %q with %d origins, want nothing but lines of the file", file, got.string, len(got.from))
		}
		var before, after yaml.Node
		if strings.ContainsAny(file, "\"'{\t\r\u0085\u2028\u2029\ufeff") || yaml.Unmarshal([]byte(file), &before) != nil ||
			len(before.Content) == 0 || before.Content[0].Kind != yaml.MappingNode {
			return
		}
		if yaml.Unmarshal([]byte(got.string), &after) != nil {
			return // without a comment that ended it, a plain scalar continues
		}
		continues := func(got, want string) bool { // after a comment that ended it
			return strings.HasPrefix(got, strings.TrimRight(want, "\n"))
		}
		if got, want := blocks(&after), blocks(&before); !slices.EqualFunc(got, want, continues) {
			t.Errorf("%q: got block scalars %q, want %q", file, got, want)
		}
	})
}

// blocks returns the block scalars of a document.
func blocks(n *yaml.Node) (out []string) {
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		out = append(out, n.Value)
	}
	for _, child := range n.Content {
		out = append(out, blocks(child)...)
	}
	return out
}

// Findings about a file contain no secrets that templates inserted, neither whole nor cut.
func TestFindingsHideSecrets(t *testing.T) {
	long := strings.Repeat("0123456789", 20)
	vars := Variables{Secrets: map[string]string{"one": "hunter22", "long": long}}
	for _, step := range []string{
		"{cmd: x, timeout: S}", "{cmd: x, when: [S]}", "{cmd: x, id: 'a S'}", "{cmd: x, S: 1}", "{cmd: 'A:S:S'}", "{cmd: x, cpus: S}",
		"{build: -t a:S:S .}", "{build: --S .}", "{build: -t a . S}", "{push: ['a:S:S']}", "{push: [app:S], detach: true}",
		"{cmd: x, env: [S]}", "{cmd: x, ports: [S]}", "{cmd: x, volumeMounts: [{name: S, mountPath: S}]}", "*S", "{cmd: x}\nS: 1",
	} {
		for _, id := range []string{"one", "long"} {
			file := "steps:\n- {build: -t app:{{.Secrets." + id + "}} ., when: ['-']}\n- " + strings.ReplaceAll(step, "S", "{{.Secrets."+id+"}}") + "\n"
			r, findings := Render(t.Context(), []byte(file), vars, nil)
			f, wrong := task.Parse(r)
			findings = append(append(findings, wrong...), task.Lints(r, f, func(task.Step) ([]byte, error) { return nil, os.ErrNotExist })...)
			if got := strings.Join(messages(findings), "\n"); got == "" || strings.Contains(got, "hunter22") || strings.Contains(got, "0123") {
				t.Errorf("%s\ngot findings\n%s\nwant some, without secrets", file, got)
			}
		}
	}
}
