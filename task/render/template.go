package render

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"text/template"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// maxPasses is the maximum number of iterations and of calls of named templates, in total.
const maxPasses = 50_000

// execution executes the templates of a text. Calls inserted into the parse tree report the position: of at before each
// output, of lookup for each field, of pass for each iteration.
type execution struct {
	*renderer
	source  text
	actions []span
	lookups []lookup
	passes  int
	meter   meter

	out     textBuilder
	texts   map[*byte]int // offsets of the literal pieces, by their first byte
	current int           // offset of the action that is printed
}

// span is a part of a text.
type span struct{ start, end int }

// refusal is an error that is shown without the context of package template.
type refusal string

func (r refusal) Error() string { return string(r) }

// execute returns a text with its templates executed.
func (r *renderer) execute(source text) (text, bool) {
	e := &execution{renderer: r, source: source, actions: actionsOf(source.string), texts: map[*byte]int{}, meter: meter{maxWork}}
	t, err := parseTemplate(source.string)
	if err != nil {
		e.parseError(err)
		return text{}, false
	}
	for _, named := range t.Templates() {
		e.list(named.Root)
		if named != t {
			countPasses(named.Root, named.Root.Pos-1) // a position in its {{define}} or {{block}}
		}
	}
	// After parsing, so that no template can call these.
	t.Funcs(e.meter.functions()).Funcs(template.FuncMap{"at": e.at, "lookup": e.lookup, "pass": e.pass})
	if err := e.run(t); err != nil {
		e.runError(err)
		return text{}, false
	}
	return e.out.text(), true
}

func parseTemplate(s string) (*template.Template, error) {
	return template.New("task").Option("missingkey=zero").Funcs(functions).Parse(s)
}

func (e *execution) run(t *template.Template) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return t.Execute(e, e.scope)
}

// Write receives a literal piece of the template, or the output of an action.
func (e *execution) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if e.out.Len()+len(p) > maxText {
		return 0, refusal("the file is larger than 4 MiB after rendering")
	}
	if at, ok := e.texts[&p[0]]; ok {
		e.out.add(e.source, at, at+len(p))
	} else {
		e.out.make(string(p), e.source.origin(e.current))
	}
	return len(p), nil
}

// at is called with the value that the action at an offset is about to print.
func (e *execution) at(offset int, value any) any {
	e.current = e.actionAt(offset).start
	if value != nil {
		e.meter.spend(e.meter.size(reflect.ValueOf(value), maxDepth))
		return value
	}
	e.add(task.Warning, e.source.origin(e.current), "", "%s has no value", e.action(offset))
	return ""
}

func (e *execution) pass() (string, error) {
	if e.passes++; e.passes > maxPasses {
		return "", refusal(fmt.Sprintf("loops and templates ran more than %d times", maxPasses))
	}
	return "", nil
}

// actionsOf returns the positions of the actions of a text.
func actionsOf(s string) (out []span) {
	for from := 0; ; {
		n := strings.Index(s[from:], "{{")
		if n < 0 {
			return out
		}
		a := span{from + n, actionEnd(s, from+n)}
		out = append(out, a)
		from = a.end
	}
}

// actionEnd returns the end of the action that starts at an offset. An unclosed one ends at the next {{ or the end of the
// text.
func actionEnd(s string, start int) int {
	i := start + 2
	if strings.HasPrefix(strings.TrimLeft(s[i:], "- \t\r\n"), "/*") {
		if n := strings.Index(s[i:], "*/"); n >= 0 {
			i += n
		}
	}
	for i < len(s) {
		switch c := s[i]; {
		case strings.HasPrefix(s[i:], "}}"):
			return i + 2
		case strings.HasPrefix(s[i:], "{{"):
			return i
		case c == '"' || c == '\'' || c == '`':
			i = quotedEnd(s, i)
		default:
			i++
		}
	}
	return len(s)
}

// quotedEnd returns the end of a string in an action.
func quotedEnd(s string, start int) int {
	for i := start + 1; i < len(s); i++ {
		switch {
		case s[i] == s[start]:
			return i + 1
		case s[i] == '\n' && s[start] != '`':
			return i
		case s[i] == '\\' && s[start] != '`':
			i++
		}
	}
	return len(s)
}

// actionAt returns the action at an offset.
func (e *execution) actionAt(offset int) span {
	i := sort.Search(len(e.actions), func(i int) bool { return e.actions[i].start > offset })
	if i == 0 {
		return span{}
	}
	return e.actions[i-1]
}

// action returns the source of the action at an offset, for a message.
func (e *execution) action(offset int) string {
	a := e.actionAt(offset)
	return manifest.OneLine(e.source.string[a.start:a.end], 100)
}

// failed adds an error in the action at an offset.
func (e *execution) failed(offset int, message string) {
	if action := e.action(offset); action != "" {
		message = action + ": " + message
	}
	e.add(task.Error, e.source.origin(e.actionAt(offset).start), "", "%s", message)
}

const unexpectedEOF = "unexpected EOF"

// parseError adds an error of the parser, which reports only its line. The error is in the first action after which the
// beginning of the text has an error other than an unexpected end.
func (e *execution) parseError(err error) {
	_, message, _ := strings.Cut(strings.TrimPrefix(err.Error(), "template: task:"), ": ")
	if message == unexpectedEOF {
		e.failed(e.open(), "{{end}} is missing")
		return
	}
	i := sort.Search(len(e.actions)-1, func(i int) bool {
		_, err := parseTemplate(e.source.string[:e.actions[i].end])
		return err != nil && !strings.HasSuffix(err.Error(), unexpectedEOF)
	})
	a := e.actions[i]
	closed := strings.HasSuffix(e.source.string[a.start:a.end], "}}")
	if !closed && !strings.HasPrefix(message, "unterminated") && message != "unclosed comment" {
		message = "}} is missing" // the parser continued and may report something else
	}
	e.failed(a.start, message)
}

var keyword = lazyregexp.New(`^\{\{(?:-\s)?\s*(if|range|with|block|define|end)\b`)

// open returns the offset of the innermost action that lacks its {{end}}.
func (e *execution) open() int {
	var open []int
	for _, a := range e.actions {
		switch m := keyword().FindStringSubmatch(e.source.string[a.start:a.end]); {
		case m == nil:
		case m[1] != "end":
			open = append(open, a.start)
		case len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	return append([]int{0}, open...)[len(open)]
}

var (
	executing = lazyregexp.New(`(?s)^template: task:(\d+):(\d+): executing ".*?" at <.*?>: (.*)$`)
	callError = lazyregexp.New(`^error calling (\w+): `)
)

// runError adds the error of the execution.
func (e *execution) runError(err error) {
	offset, message := e.current, err.Error()
	if m := executing().FindStringSubmatch(message); m != nil {
		offset, message = e.offset(m[1], m[2]), callError().ReplaceAllString(m[3], "$1: ")
	}
	var ours refusal
	if errors.As(err, &ours) {
		message = string(ours)
	}
	e.failed(offset, message)
}

// offset returns the offset of a line, counted from 1, and a column in bytes, counted from 0.
func (e *execution) offset(line, column string) int {
	offset := 0
	for n, _ := strconv.Atoi(line); n > 1; n-- { // matched \d+
		offset += strings.IndexByte(e.source.string[offset:], '\n') + 1
	}
	n, _ := strconv.Atoi(column)
	return min(offset+n, len(e.source.string))
}
