package shell

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"mvdan.cc/sh/v3/syntax"
)

const (
	// maxCommands is the maximum number of commands, assignments and iterations that a text may run.
	maxCommands = 10_000
	// maxFiles is the maximum number of files that a text may have open.
	maxFiles = 100
	// maxCopied is how much the builtins may read in a text, in bytes: cat can append files to themselves.
	maxCopied = 10 << 30
)

// Streams are the standard streams of a command.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Command is a command that is not a builtin.
type Command struct {
	Words []string
	// First is set for the first command of the text, which an image may start.
	First bool
	// Dir is the current folder, relative to the workspace.
	Dir string
	// Env are the variables of the text and its environment, KEY=VALUE.
	Env []string
	Streams
}

// Host is where the commands of a text run.
type Host interface {
	// Run runs a command and returns its exit code. An error is why the command failed, and why the code may be -1.
	Run(ctx context.Context, c Command) (int, error)
	// Open opens a file of the workspace, whose path is relative to it. Nothing leads out of the workspace.
	Open(ctx context.Context, name string, flag int) (io.ReadWriteCloser, error)
	// Stat describes a file of the workspace, or what a link in it leads to.
	Stat(ctx context.Context, name string) (os.FileInfo, error)
}

// Run runs the text in a folder of the workspace, with the variables of env, KEY=VALUE, and returns its exit code. The
// error is why the last command failed, or why the text could not be run to its end.
func (t *Text) Run(ctx context.Context, host Host, dir string, env []string, s Streams) (int, error) {
	r := runner{text: t, host: host, used: new(used), dir: dir, vars: env}
	switch err := r.part(r.all(ctx, t.stmts, s)); {
	case err != nil:
		return -1, err
	case r.code != 0:
		return r.code, r.failure
	}
	return 0, nil
}

// exitError is why a builtin failed, or ends a part of a text.
type exitError int

func (e exitError) Error() string { return "exit code " + strconv.Itoa(int(e)) }

// part returns the error of a part of a text that exit does not leave.
func (r *runner) part(err error) error {
	var exit exitError
	if errors.As(err, &exit) {
		r.code, r.failure, err = int(exit), exit, nil
	}
	return err
}

// used is what all parts of a text have used.
type used struct{ commands, copied, files atomic.Int64 }

// runner runs a part of a text. Methods return an error only if the whole text ends with it; otherwise code is the exit
// code of the last command and failure why it failed.
type runner struct {
	text    *Text
	host    Host
	used    *used
	dir     string
	vars    variables
	last    int // the exit code of the command before
	code    int
	failure error
}

func (r *runner) all(ctx context.Context, stmts []*syntax.Stmt, s Streams) error {
	for _, stmt := range stmts {
		if err := r.statement(ctx, stmt, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) statement(ctx context.Context, stmt *syntax.Stmt, s Streams) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s, closeFiles, err := r.redirect(ctx, stmt.Redirs, s)
	if err == nil {
		err = r.command(ctx, stmt.Cmd, s)
	} else if !errors.Is(err, errLarge) && ctx.Err() == nil {
		err = r.fail(s, 1, err)
	}
	if closeErr := closeFiles(); closeErr != nil && err == nil && r.code == 0 {
		err = r.fail(s, 1, closeErr)
	}
	if stmt.Negated && err == nil {
		if r.code != 0 {
			r.code = 0
		} else {
			r.code, r.failure = 1, exitError(1)
		}
	}
	if limit, ok := err.(limitError); ok { //nolint:errorlint // a wrapped one has its position
		err = fmt.Errorf("%w%s", limit, r.text.at(stmt.Pos()))
	}
	return err
}

// fail reports why a command failed.
func (r *runner) fail(s Streams, code int, why error) error {
	r.code, r.failure = code, why
	_, err := fmt.Fprintln(s.Err, why)
	return err
}

func (r *runner) command(ctx context.Context, command syntax.Command, s Streams) error {
	switch c := command.(type) {
	case *syntax.CallExpr:
		return r.call(ctx, c, s)
	case *syntax.Block:
		return r.all(ctx, c.Stmts, s)
	case *syntax.IfClause:
		return r.condition(ctx, c, s)
	case *syntax.ForClause:
		return r.loop(ctx, c, s)
	case *syntax.BinaryCmd:
		if c.Op == syntax.Pipe {
			return r.pipe(ctx, c, s)
		}
		err := r.statement(ctx, c.X, s)
		if err != nil || (r.code == 0) != (c.Op == syntax.AndStmt) {
			return err
		}
		return r.statement(ctx, c.Y, s)
	}
	r.code = 0 // only redirections
	return nil
}

func (r *runner) condition(ctx context.Context, c *syntax.IfClause, s Streams) error {
	for ; c != nil; c = c.Else {
		if err := r.all(ctx, c.Cond, s); err != nil {
			return err
		}
		if len(c.Cond) == 0 || r.code == 0 { // else has no condition
			return r.all(ctx, c.Then, s)
		}
	}
	r.code = 0
	return nil
}

func (r *runner) loop(ctx context.Context, c *syntax.ForClause, s Streams) error {
	iteration := c.Loop.(*syntax.WordIter)
	words, err := r.expander(ctx, s).words(iteration.Items)
	r.code = 0
	for _, word := range words {
		if err == nil {
			err = r.assign(iteration.Name.Value, word)
		}
		if err == nil {
			err = r.all(ctx, c.Do, s)
		}
	}
	return err
}

// pipe runs both sides at once. The right one decides the exit code.
func (r *runner) pipe(ctx context.Context, c *syntax.BinaryCmd, s Streams) error {
	in, out := io.Pipe()
	left := *r
	var leftErr error
	var running sync.WaitGroup
	running.Go(func() {
		leftErr = left.part(left.statement(ctx, c.X, Streams{s.In, out, s.Err}))
		_ = out.Close()
	})
	right := *r
	err := right.part(right.statement(ctx, c.Y, Streams{in, s.Out, s.Err}))
	_ = in.CloseWithError(io.ErrClosedPipe) // ends the left side if it still writes
	running.Wait()
	r.code, r.failure = right.code, right.failure
	if errors.Is(leftErr, io.ErrClosedPipe) {
		leftErr = nil
	}
	return cmp.Or(err, leftErr)
}

// spend counts a command.
func (r *runner) spend() error {
	if r.used.commands.Add(1) > maxCommands {
		return limitError(fmt.Sprintf("the text ran more than %d commands", maxCommands))
	}
	return nil
}

// assign sets a variable.
func (r *runner) assign(name, value string) error {
	if err := r.spend(); err != nil {
		return err
	}
	r.vars = r.vars.set(name, value)
	size := 0
	for _, kv := range r.vars {
		size += len(kv)
	}
	if size > maxText {
		return errLarge
	}
	return nil
}

// expander returns an expander that runs substitutions.
func (r *runner) expander(ctx context.Context, s Streams) *expander {
	return &expander{text: r.text, vars: r.vars.set("?", strconv.Itoa(r.last)), output: func(c *syntax.CmdSubst) (string, error) {
		var out limitedBuffer
		nested := *r
		err := nested.part(nested.all(ctx, c.Stmts, Streams{s.In, &out, s.Err}))
		r.code, r.failure = nested.code, nested.failure
		if out.over {
			err = errLarge
		}
		return strings.TrimRight(out.String(), "\n"), err
	}}
}

// limitedBuffer holds at most maxText bytes. It may be written to concurrently; only Write does that, which has the limit.
type limitedBuffer struct {
	mu   sync.Mutex
	text []byte
	over bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over = b.over || len(b.text)+len(p) > maxText; b.over {
		return 0, errLarge
	}
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *limitedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

func (r *runner) call(ctx context.Context, c *syntax.CallExpr, s Streams) error {
	words, err := r.words(ctx, c, s)
	first := isFirst(c)
	if first && err == nil {
		words = words[1:]
	}
	switch {
	case err != nil:
		return err
	case first && len(words) == 0:
		return r.fail(s, 125, errors.New("expected a command, found only empty values"))
	case len(words) == 0:
		return nil
	}
	if run := builtins[words[0]]; run != nil && !first {
		r.code = 0 // not that of a substitution
		return run(ctx, r, words[1:], s)
	}
	code, err := r.host.Run(ctx, Command{words, first, r.dir, slices.Clone(r.vars), s})
	switch {
	case ctx.Err() != nil:
		return cmp.Or(err, context.Cause(ctx))
	case code < 0 && errors.Is(err, io.ErrClosedPipe): // the right side of a pipe has ended, which is no failure
		code = 1
	case code < 0 && err != nil:
		return r.fail(s, 125, err) // as docker run
	}
	r.code, r.failure = code, err
	return nil
}

// words sets the variables of a command and returns its words.
func (r *runner) words(ctx context.Context, c *syntax.CallExpr, s Streams) ([]string, error) {
	if err := r.spend(); err != nil {
		return nil, err
	}
	r.last, r.code = r.code, 0
	for _, a := range c.Assigns {
		value, err := r.expander(ctx, s).one(a.Value)
		if err == nil {
			err = r.assign(a.Name.Value, value)
		}
		if err != nil {
			return nil, err
		}
	}
	return r.expander(ctx, s).words(c.Args)
}

// redirect returns the streams with redirections, and a function that closes their files.
func (r *runner) redirect(ctx context.Context, all []*syntax.Redirect, s Streams) (Streams, func() error, error) {
	var files []io.Closer
	closeAll := func() (err error) {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	for _, redirection := range all {
		to := &s.Out
		if redirection.N != nil && redirection.N.Value == "2" {
			to = &s.Err
		}
		flag := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		switch redirection.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			text, err := r.expander(ctx, s).document(redirection)
			if err != nil {
				return s, closeAll, err
			}
			s.In = strings.NewReader(text)
			continue
		case syntax.DplOut:
			*to = map[string]io.Writer{"1": s.Out, "2": s.Err}[redirection.Word.Lit()]
			continue
		case syntax.RdrIn:
			flag = os.O_RDONLY
		case syntax.AppOut:
			flag = os.O_WRONLY | os.O_CREATE | os.O_APPEND
		}
		name, err := r.expander(ctx, s).one(redirection.Word)
		if err != nil {
			return s, closeAll, err
		}
		file, err := r.open(ctx, name, flag)
		if err != nil {
			return s, closeAll, err
		}
		files = append(files, file)
		if flag == os.O_RDONLY {
			s.In = file
		} else {
			*to = file
		}
	}
	return s, closeAll, nil
}

// open opens a file of the workspace, or /dev/null.
func (r *runner) open(ctx context.Context, name string, flag int) (io.ReadWriteCloser, error) {
	if name == "/dev/null" {
		return null{}, nil
	}
	at, err := r.path(name)
	if err != nil {
		return nil, err
	}
	if r.used.files.Add(1) > maxFiles {
		r.used.files.Add(-1)
		return nil, fmt.Errorf("more than %d files are open", maxFiles)
	}
	file, err := r.host.Open(ctx, at, flag)
	if err != nil {
		r.used.files.Add(-1)
		return nil, err
	}
	opened := openFile{file, file, r.used}
	if flag == os.O_RDONLY {
		info, err := r.host.Stat(ctx, at)
		if err != nil {
			return nil, errors.Join(err, opened.Close())
		}
		opened.content = io.LimitReader(file, info.Size())
	}
	return opened, nil
}

// openFile is a file of the workspace. It ends where it did when it was opened, though what is read from it may be
// written to it.
type openFile struct {
	io.ReadWriteCloser
	content io.Reader
	used    *used
}

func (f openFile) Read(p []byte) (int, error) { return f.content.Read(p) }

// Close closes the file.
func (f openFile) Close() error {
	f.used.files.Add(-1)
	return f.ReadWriteCloser.Close()
}

// null is /dev/null.
type null struct{}

func (null) Read([]byte) (int, error)    { return 0, io.EOF }
func (null) Write(p []byte) (int, error) { return len(p), nil }
func (null) Close() error                { return nil }

// Workspace is the path of the workspace, in texts and in containers.
const Workspace = "/workspace"

// path returns the path of a file relative to the workspace.
func (r *runner) path(name string) (string, error) {
	at := name
	if !path.IsAbs(name) {
		at = path.Join(Workspace, r.dir, name)
	}
	rel, ok := strings.CutPrefix(path.Clean(at)+"/", Workspace+"/")
	if !ok || name == "" {
		return "", fmt.Errorf("%q is outside of %s", name, Workspace)
	}
	return path.Clean(rel), nil
}
