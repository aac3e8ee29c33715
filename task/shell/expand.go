package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

// errLarge is the error for words and values of more than maxText bytes.
var errLarge = limitError("the words of a command, all variables or the output of $(...) are larger than 1 MiB")

// limitError is the error for a text that exceeds a limit. It ends the text.
type limitError string

func (e limitError) Error() string { return string(e) }

// variables are the variables of a text, KEY=VALUE; later ones take precedence.
type variables []string

func (v variables) value(name string) (string, bool) {
	for i := len(v) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(v[i], name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// set returns the variables with another value.
func (v variables) set(name, value string) variables {
	out := make(variables, 0, len(v)+1)
	for _, kv := range v {
		if !strings.HasPrefix(kv, name+"=") {
			out = append(out, kv)
		}
	}
	return append(out, name+"="+value)
}

// expander makes words: it removes quotes and backslashes, and replaces variables and substitutions. It is used once.
type expander struct {
	text *Text
	vars variables
	// output returns the output of a substitution; nil to leave substitutions as they are written.
	output func(*syntax.CmdSubst) (string, error)
	// whole leaves blanks in values that are not quoted.
	whole bool

	done  []string
	word  strings.Builder
	begun bool // also an empty word, if it has quotes
	size  int  // of all words
	err   error
}

// words returns the words of a command. Those of export may be assignments, whose values are not split.
func (e *expander) words(all []*syntax.Word) ([]string, error) {
	for _, w := range all {
		name, _, assigns := strings.Cut(e.text.written(w), "=")
		e.whole = assigns && all[0].Lit() == "export" && variableName().MatchString(name)
		e.parts(w.Parts)
		e.end()
	}
	return e.done, e.err
}

// one returns a single word that is not split, such as the target of a redirection; "" for nil.
func (e *expander) one(w *syntax.Word) (string, error) {
	e.whole = true
	if w != nil {
		e.parts(w.Parts)
	}
	return e.word.String(), e.err
}

// document returns a here-document.
func (e *expander) document(r *syntax.Redirect) (string, error) {
	if r.Hdoc != nil {
		special := "$`\\"
		if r.Word.Lit() == "" || strings.Contains(r.Word.Lit(), `\`) { // its delimiter is quoted
			special = "\x00"
		}
		e.quoted(r.Hdoc.Parts, special)
	}
	out := e.word.String()
	if r.Op == syntax.DashHdoc {
		out = indentation().ReplaceAllString(out, "")
	}
	return out, e.err
}

var indentation = lazyregexp.New(`(?m)^\t+`)

// parts adds the parts of a word.
func (e *expander) parts(parts []syntax.WordPart) {
	for _, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit:
			e.add(unescape(p.Value, ""))
		case *syntax.SglQuoted:
			e.add(p.Value)
		case *syntax.DblQuoted:
			e.add("")
			e.quoted(p.Parts, "$`\"\\")
		default:
			if value, ok := e.expansion(p); ok && !e.whole {
				e.split(value)
			} else {
				e.add(value)
			}
		}
	}
}

// quoted adds parts in which a backslash has an effect only before the characters of special.
func (e *expander) quoted(parts []syntax.WordPart, special string) {
	for _, part := range parts {
		if lit, ok := part.(*syntax.Lit); ok {
			e.add(unescape(lit.Value, special))
			continue
		}
		value, _ := e.expansion(part)
		e.add(value)
	}
}

// expansion returns the value of a variable or a substitution. It is not ok, and returns the source, for a variable that
// is not set, or an expansion that does more than insert it.
func (e *expander) expansion(part syntax.WordPart) (value string, ok bool) {
	switch p := part.(type) {
	case *syntax.ParamExp:
		plain := !p.Excl && !p.Length && !p.Width && !p.IsSet && p.Index == nil && p.Slice == nil && p.Repl == nil && p.Exp == nil
		if plain && p.Param != nil {
			if value, ok = e.vars.value(p.Param.Value); ok {
				return value, true
			}
		}
	case *syntax.CmdSubst:
		if e.output != nil && e.err == nil {
			value, e.err = e.output(p)
			return value, true
		}
	}
	return e.text.written(part), false
}

func (e *expander) add(s string) {
	e.begun = true
	if e.size += len(s); e.size > maxText {
		e.err = errLarge
		return
	}
	e.word.WriteString(s)
}

// split adds a value, whose blanks end words.
func (e *expander) split(value string) {
	for value != "" {
		n := strings.IndexAny(value, " \t\n")
		if n < 0 {
			e.add(value)
			return
		}
		if n > 0 {
			e.add(value[:n])
		}
		e.end()
		value = strings.TrimLeft(value[n:], " \t\n")
	}
}

// end ends a word.
func (e *expander) end() {
	if e.begun {
		e.done = append(e.done, e.word.String())
	}
	e.word.Reset()
	e.begun = false
}

// unescape removes the backslashes before characters of special, or before any character if that is "".
func unescape(s, special string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (special == "" || strings.IndexByte(special, s[i+1]) >= 0) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
