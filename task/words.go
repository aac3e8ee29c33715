package task

import (
	"errors"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// words splits a text as a shell does, quotes and backslashes taken away. No shell runs it, so $x stays what
// it is, and what only a shell could do outside of quotes is an error.
func words(text string) ([]string, error) {
	text = strings.Trim(text, " \t\n")
	if strings.HasPrefix(text, "(") {
		return nil, forShell("(")
	}
	source := "x " + text // what follows a word is neither an assignment nor a keyword
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
		return nil, forShell(operator)
	}
	w := wording{source: source}
	var out []string
	for _, word := range call.Args[1:] {
		out = append(out, w.text(word.Parts))
	}
	if w.operator != "" {
		return nil, forShell(w.operator)
	}
	return out, nil
}

// errUnclosed is what quoting more does not mend.
var errUnclosed = errors.New("a quote or bracket is never closed")

func forShell(operator string) error {
	return fmt.Errorf("%s outside of quotes is for a shell, and none runs this", operator)
}

// onlyCall returns the command that the statements are, or what makes them more than one command.
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

// wording makes texts of words.
type wording struct {
	source string
	// operator is what only a shell could do.
	operator string
}

func (w *wording) text(parts []syntax.WordPart) string {
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
			out.WriteString(w.written(p))
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

// quoted returns what stands in double quotes.
func (w *wording) quoted(parts []syntax.WordPart) string {
	var out strings.Builder
	for _, part := range parts {
		if lit, ok := part.(*syntax.Lit); ok {
			out.WriteString(unescape(lit.Value, "$`\"\\"))
		} else {
			out.WriteString(w.written(part))
		}
	}
	return out.String()
}

// written returns the source of a node.
func (w *wording) written(n syntax.Node) string { return w.source[n.Pos().Offset():n.End().Offset()] }

// unescape takes the backslashes away that stand before one of special, or before anything when that is "".
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

// Quote returns words as a shell reads them, for people.
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
