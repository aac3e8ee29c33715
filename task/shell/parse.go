// Package shell runs the shell text of a cmd, without a shell and without the environment, files and programs of this
// machine.
//
// ACR Tasks runs "docker run FLAGS TEXT" by /bin/sh. This package understands the part of the language that such texts
// use, see [Parse], and refuses the rest with its position. [Text.Words] is the text of a single command; [Text.Run] runs
// any text: its builtins here, and its other commands by a [Host], which also opens files.
package shell

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

const (
	// maxText is the maximum size of a text, a word and a value, in bytes.
	maxText = 1 << 20
	// maxNesting is the maximum number of words and characters of a text that may begin something nested.
	maxNesting = 20_000
	// maxPipes is the maximum number of pipes in a text, whose commands may all run at once.
	maxPipes = 100
)

// ErrUnclosed is the error for a text that ends within quotes, brackets or a here-document.
var ErrUnclosed = errors.New("unclosed quote, bracket or here-document")

// Text is a parsed text.
type Text struct {
	source string // with prefix
	stmts  []*syntax.Stmt
}

// prefix is a word before the text, which stands for docker run: nothing after it is an assignment or a keyword.
const prefix = "x "

// Parse parses a text. It may have simple commands that are joined by &&, ||, |, semicolons and new lines, and negated by
// !; if, and for over words; $(COMMAND); redirections to and from files, here-documents, and of output to &1 and &2;
// assignments; and the [Builtins], except as the first command. Other variables than those that the text and its environment
// set remain as they are written.
func Parse(text string) (*Text, error) {
	text = strings.Trim(text, " \t\n")
	switch {
	case len(text) > maxText:
		return nil, errors.New("the text is larger than 1 MiB")
	case nesting(text) > maxNesting:
		return nil, errors.New("the text has too many brackets, operators and keywords")
	case strings.HasPrefix(text, "("):
		return nil, unsupported("(", "")
	}
	t := &Text{source: prefix + text}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(t.source), "")
	var problem syntax.ParseError
	var foreign syntax.LangError
	switch {
	case errors.As(err, &foreign):
		return nil, unsupported(foreign.Feature, t.at(foreign.Pos))
	case errors.As(err, &problem) && problem.Incomplete:
		return nil, fmt.Errorf("%w%s", ErrUnclosed, t.at(problem.Pos))
	case errors.As(err, &problem):
		return nil, fmt.Errorf("%s%s", problem.Text, t.at(problem.Pos))
	case err != nil:
		return nil, err
	}
	t.stmts = file.Stmts
	return t, t.check()
}

// nesting returns how deeply a text may be nested at most.
func nesting(text string) (n int) {
	for _, start := range []string{"(", "{", "`", "|", "&&", "if", "for", "while", "until", "case"} {
		n += strings.Count(text, start)
	}
	return n
}

// String returns the text as it was written.
func (t *Text) String() string { return strings.TrimPrefix(t.source, prefix) }

// written returns the source of a node.
func (t *Text) written(n syntax.Node) string { return t.source[n.Pos().Offset():n.End().Offset()] }

// Unset returns the names of variables outside of single quotes that neither env nor the text sets.
func (t *Text) Unset(env []string) (names []string) {
	set := map[string]bool{}
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		set[name] = true
	}
	for _, s := range t.stmts {
		syntax.Walk(s, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.Assign:
				set[n.Name.Value] = true
			case *syntax.WordIter:
				set[n.Name.Value] = true
			case *syntax.CallExpr:
				if len(n.Args) > 1 && n.Args[0].Lit() == "export" {
					for _, word := range n.Args[1:] {
						name, _, _ := strings.Cut(t.written(word), "=")
						set[name] = true
					}
				}
			case *syntax.ParamExp:
				if name := n.Param.Value; isName(name) && !set[name] {
					set[name] = true
					names = append(names, name)
				}
			}
			return true
		})
	}
	return names
}

// isName reports whether a parameter is a variable, not one such as $1 or $?.
func isName(parameter string) bool { return parameter[0] == '_' || parameter[0] >= 'A' }

// at returns a position in the text for a message, "" for its start. Those of the parser have no large columns.
func (t *Text) at(pos syntax.Pos) string {
	before := t.source[:min(int(pos.Offset()), len(t.source))]
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndex(before, "\n")
	if line == 1 {
		column -= min(column, len(prefix))
	}
	switch {
	case line > 1:
		return fmt.Sprintf(", at line %d, column %d of the text", line, column)
	case column > 1:
		return fmt.Sprintf(", at column %d of the text", column)
	}
	return ""
}

func unsupported(what, at string) error {
	return fmt.Errorf("%s is not supported outside of quotes%s", what, at)
}

// check returns an error for the first part of the text that is not supported.
func (t *Text) check() (err error) {
	pipes := 0
	for _, s := range t.stmts {
		syntax.Walk(s, func(n syntax.Node) bool {
			if b, ok := n.(*syntax.BinaryCmd); ok && b.Op == syntax.Pipe {
				pipes++
			}
			if what := notSupported(n); what != "" && err == nil {
				pos := n.Pos()
				if s, ok := n.(*syntax.Stmt); ok && s.Background {
					pos = s.Semicolon // the &
				}
				err = unsupported(what, t.at(pos))
			} else if pipes > maxPipes && err == nil {
				err = fmt.Errorf("the text has more than %d pipes", maxPipes)
			}
			return err == nil
		})
	}
	return err
}

// notSupported returns a name for a node that is not supported, "" for one that is.
func notSupported(n syntax.Node) string {
	switch n := n.(type) {
	case *syntax.Stmt:
		if n.Background || n.Coprocess || n.Disown {
			return "&"
		}
		switch n.Cmd.(type) {
		case nil, *syntax.CallExpr, *syntax.BinaryCmd, *syntax.IfClause, *syntax.ForClause, *syntax.Block:
		case *syntax.Subshell:
			return "("
		case *syntax.WhileClause:
			return "while or until"
		case *syntax.CaseClause:
			return "case"
		case *syntax.FuncDecl:
			return "a function"
		default:
			return "this command"
		}
	case *syntax.BinaryCmd:
		if !slices.Contains([]syntax.BinCmdOperator{syntax.AndStmt, syntax.OrStmt, syntax.Pipe}, n.Op) {
			return n.Op.String()
		}
	case *syntax.ForClause:
		if words, ok := n.Loop.(*syntax.WordIter); !ok || !words.InPos.IsValid() {
			return "for without in"
		}
	case *syntax.CallExpr:
		if len(n.Assigns) > 0 && len(n.Args) > 0 {
			return "an assignment before a command"
		}
	case *syntax.Redirect:
		return redirection(n)
	case *syntax.Word:
		if lit, ok := n.Parts[0].(*syntax.Lit); ok && len(lit.Value) > 1 && lit.Value[0] == '~' {
			return "~"
		}
	case *syntax.ArithmExp:
		return "$(("
	case *syntax.ProcSubst:
		return n.Op.String()
	case *syntax.ExtGlob:
		return n.Op.String()
	}
	return ""
}

// redirection returns a name for a redirection that is not supported, "" for one that is.
func redirection(r *syntax.Redirect) string {
	fd := ""
	if r.N != nil {
		fd = r.N.Value
	}
	input := slices.Contains([]syntax.RedirOperator{syntax.RdrIn, syntax.Hdoc, syntax.DashHdoc}, r.Op)
	output := slices.Contains([]syntax.RedirOperator{syntax.RdrOut, syntax.AppOut, syntax.RdrClob}, r.Op)
	copied := r.Op == syntax.DplOut && (r.Word.Lit() == "1" || r.Word.Lit() == "2")
	if input && (fd == "" || fd == "0") || (output || copied) && (fd == "" || fd == "1" || fd == "2") {
		return ""
	}
	return fd + r.Op.String()
}

// Words returns the words of a text that is a single command without operators, redirections and $(COMMAND), with the
// variables of env, KEY=VALUE. It returns false for other texts.
func (t *Text) Words(env []string) ([]string, bool) {
	s := t.stmts[0]
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(t.stmts) > 1 || len(s.Redirs) > 0 || s.Negated {
		return nil, false
	}
	syntax.Walk(call, func(n syntax.Node) bool {
		_, substitution := n.(*syntax.CmdSubst)
		ok = ok && !substitution
		return ok
	})
	words, err := (&expander{text: t, vars: env}).words(call.Args)
	if !ok || err != nil {
		return nil, false
	}
	return words[1:], true
}

// Commands calls check for each command of the text, in order, with its words as they are known before it is run: parts
// that are not remain as they are written. First is set for the first one, which an image may start. Builtins are
// checked here. The error is that of check, with the position.
func (t *Text) Commands(env []string, check func(words []string, first bool) error) (err error) {
	for _, s := range t.stmts {
		syntax.Walk(s, func(n syntax.Node) bool {
			call, ok := n.(*syntax.CallExpr)
			if !ok || len(call.Args) == 0 || err != nil {
				return err == nil
			}
			var words []string
			words, err = (&expander{text: t, vars: env}).words(call.Args)
			first := isFirst(call)
			if first && err == nil {
				words = words[1:]
			}
			switch {
			case err != nil:
			case len(words) == 0:
				err = errors.New("expected a command")
			case first || builtins[words[0]] == nil:
				err = check(words, first)
			}
			if err != nil {
				err = fmt.Errorf("%w%s", err, t.at(call.Pos()))
			}
			return err == nil
		})
	}
	return err
}

// isFirst reports whether a command is the first one, which has the prefix.
func isFirst(c *syntax.CallExpr) bool { return len(c.Args) > 0 && c.Args[0].Pos().Offset() == 0 }
