package task

import (
	"errors"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// words splits a text as a shell does, and removes quotes and backslashes. Since no shell runs it, $x remains as it is,
// and an operator outside of quotes is an error.
func words(text string) ([]string, error) {
	text = strings.Trim(text, " \t\n")
	if strings.HasPrefix(text, "(") {
		return nil, needsShell("(")
	}
	source := "x " + text // after a word, nothing is an assignment or a keyword
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(source), "")
	if problem := (syntax.ParseError{}); errors.As(err, &problem) {
		if problem.Incomplete {
			return nil, errUnclosed
		}
		return nil, errors.New(problem.Text)
	}
	if err != nil {
		return nil, err
	}
	call, operator := onlyCall(file.Stmts)
	if operator != "" {
		return nil, needsShell(operator)
	}
	w := unquoter{source: source}
	var out []string
	for _, word := range call.Args[1:] {
		out = append(out, w.text(word.Parts))
	}
	if w.operator != "" {
		return nil, needsShell(w.operator)
	}
	return out, nil
}

// errUnclosed is an error that more quotes do not fix.
var errUnclosed = errors.New("unclosed quote or bracket")

func needsShell(operator string) error {
	return fmt.Errorf("%s outside of quotes needs a shell, and no shell runs this", operator)
}

// onlyCall returns the single command of the statements, or the operator that makes them more than that.
func onlyCall(all []*syntax.Stmt) (call *syntax.CallExpr, operator string) {
	s := all[0]
	switch cmd := s.Cmd.(type) {
	case *syntax.CallExpr:
		call = cmd
	case *syntax.BinaryCmd:
		return nil, cmd.Op.String()
	default:
		return nil, "("
	}
	switch {
	case s.Background:
		return nil, "&"
	case s.Semicolon.IsValid():
		return nil, ";"
	case len(all) > 1:
		return nil, "a new line"
	case len(s.Redirs) > 0:
		return nil, s.Redirs[0].Op.String()
	}
	return call, ""
}

// unquoter removes the quotes of words.
type unquoter struct {
	source string
	// operator is one that needs a shell, "" if none was found.
	operator string
}

func (w *unquoter) text(parts []syntax.WordPart) string {
	var out strings.Builder
	for _, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit:
			out.WriteString(unescape(p.Value, ""))
		case *syntax.SglQuoted:
			out.WriteString(p.Value)
		case *syntax.DblQuoted:
			out.WriteString(w.quoted(p.Parts))
		case *syntax.ParamExp:
			out.WriteString(w.sourceOf(p))
		case *syntax.CmdSubst:
			w.operator = "$("
			if p.Backquotes {
				w.operator = "`"
			}
		default:
			w.operator = "$(("
		}
	}
	return out.String()
}

// quoted returns the content of double quotes.
func (w *unquoter) quoted(parts []syntax.WordPart) string {
	var out strings.Builder
	for _, part := range parts {
		if lit, ok := part.(*syntax.Lit); ok {
			out.WriteString(unescape(lit.Value, "$`\"\\"))
		} else {
			out.WriteString(w.sourceOf(part))
		}
	}
	return out.String()
}

// sourceOf returns the source of a node.
func (w *unquoter) sourceOf(n syntax.Node) string { return w.source[n.Pos().Offset():n.End().Offset()] }

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

// Quote returns a shell command line of words, for display.
func Quote(all []string) string {
	quoted := make([]string, len(all))
	for i, w := range all {
		quoted[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n\r'\"\\$`;&|<>()*?[]#~!{}") {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
