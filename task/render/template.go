package render

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"text/template"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

const (
	// maxActions is the maximum number of actions of a text.
	maxActions = 10_000
	// maxNesting is the maximum number of nested loops and calls of templates. An error takes the square of it to return.
	maxNesting = 400

	parseCost, nodeCost = 4096, 128 // of maxWork
)

// execution executes the templates of a text.
type execution struct {
	*renderer
	source text
	nodes  []node

	current node
	depth   int
	warned  bool // about a missing value that current uses
	other   bool // whether the dot has none of the fields of the scope that current uses
	out     textBuilder
}

// refusal is an error that is shown without the context of package template.
type refusal string

func (r refusal) Error() string { return string(r) }

// execute returns a text with its templates executed.
func (r *renderer) execute(source text) (text, bool) {
	e := &execution{renderer: r, source: source}
	if r.left -= parseCost; r.left < 0 {
		return e.failed(0, string(errWork))
	}
	if strings.Count(source.string, "{{") > maxActions {
		return e.failed(0, fmt.Sprintf("the file has more than %d template actions", maxActions))
	}
	t, err := parseTemplate(source.string)
	if err != nil {
		return e.parseError(err)
	}
	for _, named := range t.Templates() {
		e.list(named.Root, new(node))
	}
	// After parsing, so that no template can call these.
	t.Funcs(r.functions).Funcs(template.FuncMap{"at": e.enter})
	if err := t.Execute(e, e.scope); err != nil {
		message := noField().ReplaceAllString(executing().ReplaceAllString(err.Error(), ""), "the value has no field $1")
		var ours refusal
		if errors.As(err, &ours) {
			message = string(ours)
		}
		return e.failed(e.current.start, message)
	}
	return e.out.text(), true
}

func parseTemplate(s string) (*template.Template, error) {
	return template.New("task").Funcs(functions).Parse(s)
}

// enter is called as at before a node.
func (e *execution) enter(n int, dot any) string {
	e.current, e.warned, e.lacks, e.other = e.nodes[n], false, false, false
	e.spend(nodeCost + float64(e.current.terms)*e.largest/256) // to compare texts
	if e.depth += e.current.depth; e.depth > maxNesting {
		panic(refusal(fmt.Sprintf("more than %d loops and templates are nested", maxNesting)))
	}
	_, top := dot.(scope)
	for _, fields := range e.current.uses {
		_, known := e.scope[fields[0]]
		e.other = e.other || known && !top
		if (known || top) && e.scope.missing(fields) {
			e.warn("{{." + strings.Join(fields, ".") + "}} has no value" + hint(fields))
		}
	}
	return ""
}

// Write receives the output of a node or of at.
func (e *execution) Write(p []byte) (int, error) {
	nothing := string(p) == "<no value>"
	switch {
	case !strings.HasPrefix(e.source.string[e.current.start:], "{{"):
		e.out.add(e.source, e.current.start, e.current.start+len(p))
	case (nothing || len(p) == 0 && e.lacks) && !e.warned:
		message := e.action(e.current.start) + " has no value"
		if e.other {
			message += `: {{.}} is another value here; start with $, or pass it with {{template "NAME" .}}`
		}
		e.warn(message)
	case !nothing:
		e.out.make(string(p), e.source.origin(e.current.start))
	}
	if e.out.Len() > maxText {
		return 0, refusal("the file is larger than 512 KiB after rendering")
	}
	return len(p), nil
}

func (e *execution) warn(message string) {
	e.add(task.Warning, e.source.origin(e.current.start), "", "%s", message)
	e.warned = true
}

// failed adds an error in the action that starts at an offset.
func (e *execution) failed(start int, message string) (text, bool) {
	e.add(task.Error, e.source.origin(start), "", "%s", strings.TrimPrefix(e.action(start)+": "+message, ": "))
	return text{}, false
}

// actions matches actions. One in which a string or the action itself is not closed ends at the end of the line or at the
// next {{.
var actions = lazyregexp.New(`\{\{(?:-?\s*/\*(?s:.*?)(?:\*/|\z))?(?:"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|` +
	"`[^`]*`?" + `|\{[^{"'` + "`" + `]|\}[^}"'` + "`" + `]|[^{}"'` + "`" + `])*(?:\}\})?`)

// action returns the source of the action at an offset, for a message.
func (e *execution) action(start int) string {
	if s := e.source.string[start:]; strings.HasPrefix(s, "{{") {
		return manifest.OneLine(actions().FindString(s), 100)
	}
	return ""
}

const unexpectedEOF = "unexpected EOF"

// parseError adds an error of the parser, which reports only its line. The error is in the first action after which the
// beginning of the text has an error other than an unexpected end.
func (e *execution) parseError(err error) (text, bool) {
	s := e.source.string
	all := actions().FindAllStringIndex(s, -1)
	_, message, _ := strings.Cut(strings.TrimPrefix(err.Error(), "template: task:"), ": ")
	if message == unexpectedEOF {
		return e.failed(open(s, all), "{{end}} is missing")
	}
	i := sort.Search(len(all)-1, func(i int) bool {
		_, err := parseTemplate(s[:all[i][1]])
		return err != nil && !strings.HasSuffix(err.Error(), unexpectedEOF)
	})
	closed := strings.HasSuffix(s[:all[i][1]], "}}")
	if !closed && !strings.HasPrefix(message, "unterminated") && message != "unclosed comment" {
		message = "}} is missing" // the parser continued and may report something else
	}
	return e.failed(all[i][0], message)
}

var keyword = lazyregexp.New(`^\{\{(?:-\s)?\s*(if|range|with|block|define|end)\b`)

// open returns the offset of the innermost action that lacks its {{end}}.
func open(s string, actions [][]int) int {
	open := []int{0}
	for _, a := range actions {
		switch m := keyword().FindStringSubmatch(s[a[0]:a[1]]); {
		case m == nil:
		case m[1] != "end":
			open = append(open, a[0])
		case len(open) > 1:
			open = open[:len(open)-1]
		}
	}
	return open[len(open)-1]
}

var (
	// executing matches what package template adds to an error.
	executing = lazyregexp.New(`(?s)^template: task:\d+:\d+: executing ".*?" at <.*?>: (?:error calling )?`)
	noField   = lazyregexp.New(`^can't evaluate field (\S+) in type .*`)
)
