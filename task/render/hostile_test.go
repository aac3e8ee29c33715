//go:build !race

package render

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// hostileFiles returns files that a stranger may write to take the time or the memory of who renders them.
func hostileFiles() map[string]string {
	fill := func(head, part, tail string) string {
		return head + strings.Repeat(part, (maxText-len(head)-len(tail))/len(part)) + tail
	}
	loop := func(body string) string { return "{{range 1000000000}}" + body + "{{end}}" }
	const big = `{{$x := repeat 500000 "a"}}{{$y := repeat 500000 "a"}}`
	const alias = "version: v1.1.0\nalias:\n"
	files := map[string]string{
		// parse trees
		"actions":         fill("", "{{.}}", ""),
		"dots":            fill("{{", ". ", "}}"),
		"numbers":         fill("{{", "1 ", "}}"),
		"parentheses":     fill("{{", "(1)", "}}"),
		"nested":          fill("{{", "(", "}}"),
		"fields":          fill("{{", ".a", "}}"),
		"chains":          "{{" + strings.Repeat("(", 9000) + ".a" + strings.Repeat(").a", 9000) + "}}",
		"pipes":           fill("{{1", "|not", "}}"),
		"ifs":             fill("", "{{if 1}}", ""),
		"ranges":          fill("", "{{range .}}", ""),
		"closed ifs":      strings.Repeat("{{if 1}}", 30_000) + strings.Repeat("{{end}}", 30_000),
		"else ifs":        fill("{{if 0}}", "{{else if 0}}", "{{end}}"),
		"definitions":     fill("", `{{define "t"}}{{end}}`, ""),
		"declarations":    fill("", "{{$a:=1}}", "{{fail $b}}"),
		"many variables":  fill("{{if 1}}", "{{$a:=1}}", "{{end}}"),
		"braces":          fill("", "{", ""),
		"unclosed":        fill("", "{{", ""),
		"unclosed quotes": fill("", "{{\"\n", ""),
		"backquotes":      fill("", "{{`", ""),
		"comments":        fill("", "{{/*", ""),
		"comment":         fill("{{/*", "{{", "*/}}"),
		"wrong at last":   fill("", "{{1}}", "{{nothing}}"),
		"wrong at first":  fill("{{nothing}}", "{{1}}", ""),
		"texts":           fill("", "a{{/**/}}", ""),
		"trimmed":         fill("", " {{- /**/ -}} ", ""),
		"index":           fill("{{index .Values ", `"a" `, "}}"),

		// loops
		"empty loop":        loop(""),
		"loop of texts":     loop("{{if 0}}a{{end}}"),
		"loop of loops":     loop(loop("")),
		"long body":         loop(strings.Repeat("{{if 0}}{{end}}", 10_000)),
		"output":            loop("a: b\n"),
		"variables":         `{{$x := "a"}}` + loop("{{$x = .}}"),
		"recursion":         `{{define "t"}}{{template "t" .}}{{end}}{{template "t" .}}`,
		"mutual recursion":  `{{define "t"}}{{template "u" .}}{{end}}{{define "u"}}{{template "t" .}}{{end}}{{template "t" .}}`,
		"forks":             `{{define "t"}}{{template "t" .}}{{template "t" .}}{{end}}{{template "t" .}}`,
		"recursion in with": `{{define "t"}}{{with .}}{{if .}}{{range list .}}{{template "t" .}}{{end}}{{end}}{{end}}{{end}}{{template "t" 1}}`,
		"long chains":       fill("{{range 100000}}{{$.x", ".a", "}}{{end}}"),
		"long conditions":   fill("{{range 100000}}{{if $.x", ".a", "}}{{end}}{{end}}"),
		"many keys":         fill("{{range 100000}}{{index .Values", ` "a"`, "}}{{end}}"),
		"warnings":          loop("{{.a}}{{$.Values.b}}"),
		"long warnings":     fill("{{range 1000}}{{print ", ".Values.a ", "}}{{end}}"),
		"break":             loop("{{range 1000000000}}{{break}}{{end}}"),
		"continue":          loop("{{continue}}"),

		// values
		"comparisons":        big + loop(strings.Repeat("{{if eq $x $y}}{{end}}", 1000)),
		"many comparisons":   big + loop("{{if or "+strings.Repeat("(eq $x $y 1) ", 10_000)+"}}{{end}}"),
		"orders":             big + loop("{{if lt $x $y}}{{end}}"),
		"long printed":       big + loop("{{print $x}}"),
		"nested list":        `{{$x := list}}` + loop("{{$x = list $x}}"),
		"doubled list":       `{{$x := list 1}}` + loop("{{$x = list $x $x}}") + "{{$x}}",
		"doubled dict":       `{{$x := dict}}` + loop(`{{$x = dict "a" $x "b" $x}}`) + "{{toJson $x}}",
		"appended":           `{{$x := list}}` + loop("{{$x = append $x 1}}"),
		"set itself":         `{{$d := dict}}{{$_ := set $d "d" $d}}{{$d}}`,
		"set below":          `{{$d := dict "e" dict}}{{$_ := set $d.e "d" $d}}{{toJson $d}}`,
		"set in a list":      `{{$d := dict}}{{$_ := set $d "d" (list (list $d))}}{{deepCopy $d}}`,
		"set the scope":      `{{$_ := set . "a" .}}{{.}}`,
		"set the values":     `{{$_ := set .Values "a" $}}{{.Values}}`,
		"merged itself":      `{{$d := dict "e" (dict "f" 1)}}{{$_ := merge $d $d}}{{$d}}`,
		"merged below":       `{{$d := dict "e" (dict)}}{{$_ := merge $d.e (dict "d" $d)}}{{merge $d $d}}`,
		"merged crosswise":   `{{$d := dict "a" (dict "a" dict "b" dict) "b" dict}}{{range 1000}}{{$_ := mergeOverwrite $d.a $d}}{{$_ := mergeOverwrite $d $d.a}}{{end}}{{$d}}`,
		"must merge":         `{{$d := dict "a" (dict "a" dict)}}{{range 1000}}{{$_ := mustMergeOverwrite $d.a (dict "a" $d "b" (list $d))}}{{end}}{{$d}}`,
		"merged the scope":   `{{$_ := merge .Values .}}{{$_ := merge . (dict "x" .)}}{{.}}`,
		"deep JSON":          `{{$x := printf "%s%s" (repeat 5000 "[") (repeat 5000 "]") | fromJson}}{{$x}}{{toJson $x}}`,
		"wide JSON":          `{{$x := printf "[%s1]" (repeat 100000 "{},") | fromJson}}{{toPrettyJson $x}}`,
		"deep values":        `{{$x := fromJson (printf "%s%s" (repeat 5000 "{\"a\":") (repeat 5000 "}"))}}{{deepCopy $x}}`,
		"JSON of JSON":       `{{$x := "\""}}` + loop("{{$x = toJson $x}}"),
		"quotes of quotes":   `{{$x := "\""}}` + loop("{{$x = quote $x}}"),
		"html of html":       `{{$x := "&"}}` + loop("{{$x = html $x}}"),
		"query of query":     `{{$x := "%"}}` + loop("{{$x = urlquery $x}}"),
		"base64 of base64":   `{{$x := "a"}}` + loop("{{$x = b64enc $x}}"),
		"base32 of base32":   `{{$x := "a"}}` + loop("{{$x = b32enc $x}}"),
		"quoted expressions": `{{$x := "."}}` + loop("{{$x = regexQuoteMeta $x}}"),
		"indents":            `{{$x := "a\n"}}` + loop("{{$x = indent 1000 (print $x $x)}}"),
		"plural":             `{{$x := "a"}}` + loop("{{$x = plural (print $x $x) $x 2}}"),

		// formats and expressions
		"arguments again":      big + `{{printf (repeat 20000 "%[1]s") $x}}`,
		"wide":                 `{{printf (repeat 20000 "%999999d") 1}}`,
		"precise":              `{{printf (repeat 20000 "%.999999d") 1}}`,
		"starred":              `{{printf (repeat 20000 "%[1]*d") 999999 1}}`,
		"Go syntax":            `{{$x := repeat 100000 "a" | splitList ""}}{{printf "%#v" $x}}`,
		"long floats":          `{{printf (repeat 10000 "%f") 1e308 | len}}`,
		"cuts":                 `{{trimAll (repeat 100000 "é") (repeat 100000 "é")}}`,
		"expression":           `{{regexMatch (repeat 100 "a{1000}") (repeat 500000 "a")}}`,
		"nested repetitions":   `{{regexMatch "((a{100}){100}){100}" "a"}}`,
		"many repetitions":     `{{regexMatch (repeat 3000 "x{1000}") "x"}}`,
		"alternatives":         `{{regexMatch (repeat 60000 "a|") (repeat 10000 "b")}}`,
		"classes":              `{{regexMatch (repeat 1000 "\\pL") (repeat 10000 "b")}}`,
		"empty matches":        big + `{{regexReplaceAll "" $x $x}}`,
		"references":           big + `{{regexReplaceAll ".*" $x (repeat 100000 "$0")}}`,
		"all matches":          big + `{{regexFindAll "" $x -1}}`,
		"splits":               big + `{{regexSplit "" $x -1}}{{split "" $x}}{{splitList "" $x}}{{splitn "" 1000000 $x}}`,
		"versions":             `{{semverCompare (repeat 50000 ">1 || ") "1.2.3"}}{{semver (repeat 500000 "1")}}`,
		"long products":        `{{mulf ` + strings.Repeat("1.23456789e-300 ", 20_000) + `}}`,
		"products":             loop(`{{$_ := mulf ` + strings.Repeat("1e-300 ", 300) + `}}`),
		"overflowing sequence": `{{untilStep 9223372036854775800 9223372036854775807 5}}`,
		"sequences":            loop("{{$_ := seq 100000}}{{$_ := until 100000}}"),
		"step without end":     `{{untilStep 0 100 0}}{{seq 1 0 100}}{{untilStep 100 0 1}}{{seq 0 -1 100}}`,
		"chunks":               loop("{{$_ := chunk 0 (list 1)}}") + "{{chunk -1 (list 1)}}",
		"unique":               "{{until 100000 | uniq}}",
		"contained":            "{{$x := until 100000}}" + loop("{{if has 100000 $x}}{{end}}"),
		"without":              "{{without (until 1000) " + strings.Repeat("1 ", 10_000) + "}}",
		"keys":                 loop(`{{$_ := genPrivateKey "ed25519"}}{{$_ := genPrivateKey "ecdsa"}}`),
		"long keys":            loop(`{{$_ := genPrivateKey "rsa"}}`),
		"certificates":         loop(`{{$_ := genSelfSignedCert "a" nil nil 1}}`),
		"authorities":          loop(`{{$ca := genCA "a" 1}}{{$_ := genSignedCert "a" nil nil 1 $ca}}`),
		"hashes":               loop(`{{$_ := bcrypt "a"}}`),
		"htpasswd":             loop(`{{$_ := htpasswd "a" "b"}}`),
		"passwords":            loop(`{{$_ := derivePassword 1 "long" "a" "b" "c"}}`),
		"random":               loop(`{{$_ := randAlphaNum 500000}}{{$_ := randBytes 500000}}`),
		"zones":                loop(`{{$_ := dateInZone "2006" now "Europe/Berlin"}}`),
		"long dates":           loop(`{{$_ := now.Format (repeat 50000 "January")}}`),
		"sums":                 big + loop("{{$_ := sha512sum $x}}"),

		// aliases
		"alias of aliases":  alias + "  values: {a: " + strings.Repeat("b", 10_000) + "}\nc: " + strings.Repeat("$a", 100_000),
		"alias templates":   alias + "  values:\n" + strings.Repeat("    a: '{{`{{repeat 500000 1}}`}}'\n", 5000),
		"many aliases":      alias + "  src: templates.yaml\nsteps: []\n",
		"flat source":       alias + "  src: flat.yaml\nsteps: []\n",
		"deep source":       alias + "  src: deep.yaml\nsteps: []\n",
		"anchors in source": alias + "  src: anchors.yaml\nsteps: []\n",
		"large sources":     alias + "  src: [" + strings.Repeat("full.yaml, ", 40_000) + "]\nsteps: []\n",
		"many keys src":     alias + strings.Repeat("  src: [flat.yaml]\n", 20_000) + "steps: []\n",
		"wrong aliases":     alias + "  values:\n" + strings.Repeat("    a-b: c\n", 30_000) + "steps: []\n",
		"directives":        alias + "  values: {a: ''}\nc: " + strings.Repeat("$", 500_000),
		"block scalars":     strings.Repeat("a: |\n  # b\n", 40_000),
		"headers":           fill("", "a: ", "|\n"),
		"lines":             fill("", "\n", ""),
		"indentation":       fill("", " ", "#"),
		"flow":              fill("steps: [", "[", ""),
		"anchors":           "a: &a [b,b]\n" + strings.Repeat("c: &a [*a,*a,*a]\n", 20_000) + "steps: [*a]\n",
	}
	return files
}

// hostileSources are the files of aliases of hostileFiles.
func hostileSources(name string) ([]byte, error) {
	var out strings.Builder
	switch name {
	case "full.yaml":
		return []byte("a: " + strings.Repeat("x", MaxAliases-3)), nil
	case "templates.yaml":
		for i := range 20_000 {
			fmt.Fprintf(&out, "a%d: '{{repeat 500000 1}}'\n", i)
		}
	case "flat.yaml":
		for out.Len() < MaxAliases-20 {
			fmt.Fprintf(&out, "a%x: b\n", out.Len())
		}
	case "deep.yaml":
		out.WriteString("a: " + strings.Repeat("[", MaxAliases-3))
	case "anchors.yaml":
		out.WriteString("a: &a [b,b]\n" + strings.Repeat("c: &a [*a,*a,*a]\n", 50_000))
	}
	return []byte(out.String()), nil
}

// A file of a stranger is rendered and parsed, or refused, within bounds.
func TestHostileFiles(t *testing.T) {
	files := hostileFiles()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var rendered task.Rendered
		if got := fakes.PeakHeap(func() {
			rendered, _ = Render(t.Context(), []byte(files[name]), Variables{Values: map[string]any{}}, hostileSources)
			if rendered.Text != "" {
				_, _ = task.Parse(rendered)
			}
		}); got > 256 {
			t.Errorf("%s: got a heap of %d MiB, want at most 256", name, got)
		}
		if len(rendered.Text) > maxText {
			t.Errorf("%s: got a text of %d bytes, want at most %d", name, len(rendered.Text), maxText)
		}
	}
}

// The end of the context ends the execution of templates.
func TestRenderIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, findings := Render(ctx, []byte("{{range 1000}}a{{end}}"), Variables{}, nil)
	if got, want := fmt.Sprint(messages(findings)), "[1:1: error: {{range 1000}}: context canceled]"; got != want {
		t.Errorf("got findings %s, want %s", got, want)
	}
}
