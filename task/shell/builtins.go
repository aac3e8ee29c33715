package shell

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/internal/pause"
)

// builtin runs a builtin with its arguments. As with the methods of runner, an error ends the text.
type builtin func(ctx context.Context, r *runner, args []string, s Streams) error

var builtins = map[string]builtin{
	"true": status(0), ":": status(0), "false": status(1),
	"echo": echo, "printf": printf, "cat": cat, "grep": grep, "head": head, "cut": cut,
	"test": test, "[": bracket, "exit": exit, "date": date, "cd": cd, "export": export, "sleep": sleep,
}

// Builtins lists the names of the builtins for messages.
const Builtins = "echo, printf, cat, grep, head, cut, test, [, true, false, :, exit, date, cd, export or sleep"

func status(code int) builtin {
	return func(_ context.Context, r *runner, _ []string, _ Streams) error {
		r.code, r.failure = code, exitError(code)
		return nil
	}
}

// wrong makes a builtin fail with exit code 2 because of its arguments.
func (r *runner) wrong(s Streams, name, format string, args ...any) error {
	return r.fail(s, 2, fmt.Errorf(name+": "+format, args...))
}

// write writes output; a failure is that of the builtin, as of a program.
func (r *runner) write(s Streams, text string) error {
	_, err := io.WriteString(s.Out, text)
	return r.ended(err)
}

// ended makes the builtin fail unless err is nil. It returns err if that ends the text.
func (r *runner) ended(err error) error {
	if err == nil {
		return nil
	}
	r.code, r.failure = 1, err
	var limit limitError
	if errors.As(err, &limit) {
		return err
	}
	return nil
}

func echo(_ context.Context, r *runner, args []string, s Streams) error {
	end := "\n"
	if len(args) > 0 && args[0] == "-n" {
		end, args = "", args[1:]
	}
	return r.write(s, strings.Join(args, " ")+end)
}

func printf(_ context.Context, r *runner, args []string, s Streams) error {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return r.wrong(s, "printf", "expected a format")
	}
	format, args := args[0], args[1:]
	var out strings.Builder
	for {
		used, err := formatOnce(&out, format, args)
		if err != nil {
			return r.wrong(s, "printf", "%w", err)
		}
		if args = args[used:]; used == 0 || len(args) == 0 {
			return r.write(s, out.String())
		}
		if out.Len() > maxText {
			return errLarge
		}
	}
}

// formatOnce writes a format of printf with %s, %d and %%, and returns how many arguments it used.
func formatOnce(out *strings.Builder, format string, args []string) (used int, err error) {
	for i := 0; i < len(format); i++ {
		c := format[i]
		if c != '%' && c != '\\' || i+1 == len(format) {
			out.WriteByte(c)
			continue
		}
		i++
		arg := ""
		if c == '%' && format[i] != '%' && used < len(args) {
			arg = args[used]
			used++
		}
		switch string(c) + string(format[i]) {
		case "%%", `\\`, `\"`, `\'`:
			out.WriteByte(format[i])
		case "%s":
			out.WriteString(arg)
		case "%d":
			n, err := strconv.ParseInt(cmp.Or(arg, "0"), 10, 64)
			if err != nil {
				return used, fmt.Errorf("%q is not a number", arg)
			}
			out.WriteString(strconv.FormatInt(n, 10))
		case `\n`:
			out.WriteByte('\n')
		case `\t`:
			out.WriteByte('\t')
		case `\r`:
			out.WriteByte('\r')
		default:
			return used, fmt.Errorf("%q is not supported: expected %%s, %%d, %%%%, \\n, \\t or \\r", string(c)+string(format[i]))
		}
	}
	return used, nil
}

func cat(ctx context.Context, r *runner, args []string, s Streams) error {
	return r.read(ctx, s, "cat", args, func(from io.Reader) error {
		_, err := io.Copy(s.Out, from)
		return r.ended(err)
	})
}

func bracket(ctx context.Context, r *runner, args []string, s Streams) error {
	if len(args) == 0 || args[len(args)-1] != "]" {
		return r.wrong(s, "[", "expected ] as the last word")
	}
	return test(ctx, r, args[:len(args)-1], s)
}

func test(ctx context.Context, r *runner, args []string, s Streams) error {
	negated := false
	for len(args) > 1 && args[0] == "!" {
		negated, args = !negated, args[1:]
	}
	holds, err := r.holds(ctx, args)
	if err != nil {
		return r.wrong(s, "test", "%w", err)
	}
	if holds == negated {
		return status(1)(ctx, r, nil, s)
	}
	return nil
}

// holds reports whether the condition in the arguments of test is true.
func (r *runner) holds(ctx context.Context, args []string) (bool, error) {
	switch len(args) {
	case 0:
		return false, nil
	case 1:
		return args[0] != "", nil
	case 2:
		switch args[0] {
		case "-n":
			return args[1] != "", nil
		case "-z":
			return args[1] == "", nil
		case "-e", "-f", "-d", "-s":
			return r.isFile(ctx, args[0], args[1])
		}
	case 3:
		return compare(args[0], args[1], args[2])
	}
	return false, fmt.Errorf("%q is not supported", args)
}

// isFile reports whether a file of the workspace exists and is of a kind. The error is that this cannot be determined.
func (r *runner) isFile(ctx context.Context, kind, name string) (bool, error) {
	at, err := r.path(name)
	if err != nil {
		return false, err
	}
	info, err := r.host.Stat(ctx, at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case kind == "-f":
		return info.Mode().IsRegular(), nil
	case kind == "-d":
		return info.IsDir(), nil
	case kind == "-s":
		return info.Size() > 0, nil
	}
	return true, nil
}

// compare compares texts, or whole numbers.
func compare(a, operator, b string) (bool, error) {
	switch operator {
	case "=", "==":
		return a == b, nil
	case "!=":
		return a != b, nil
	}
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	holds, known := map[string]bool{"-eq": x == y, "-ne": x != y, "-lt": x < y, "-le": x <= y, "-gt": x > y, "-ge": x >= y}[operator]
	switch {
	case !known:
		return false, fmt.Errorf("operator %q is not supported", operator)
	case errX != nil || errY != nil:
		return false, fmt.Errorf("expected two numbers, found %q and %q", a, b)
	}
	return holds, nil
}

func exit(_ context.Context, r *runner, args []string, s Streams) error {
	code := r.last
	if len(args) > 0 {
		n, err := strconv.ParseUint(args[0], 10, 8)
		if err != nil {
			return r.wrong(s, "exit", "expected a number from 0 to 255, found %q", args[0])
		}
		code = int(n)
	}
	return exitError(code)
}

// dateLayouts are the conversions of date as layouts of package time.
var dateLayouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'j': "002", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'Z': "MST", 'z': "-0700",
	'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06",
}

// date prints the time, in UTC as in ACR Tasks.
func date(_ context.Context, r *runner, args []string, s Streams) error {
	now, format := time.Now().UTC(), "+%a %b %e %T %Z %Y"
	for _, arg := range args {
		switch {
		case arg == "-u" || arg == "--utc":
		case strings.HasPrefix(arg, "+"):
			format = arg
		default:
			return r.wrong(s, "date", "%q is not supported: expected +FORMAT", arg)
		}
	}
	var out strings.Builder
	for i := 1; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		switch layout, ok := dateLayouts[format[i]]; {
		case format[i] == 'N': // package time has it only after a dot
			fmt.Fprintf(&out, "%09d", now.Nanosecond())
		case ok:
			out.WriteString(now.Format(layout))
		case format[i] == 's':
			out.WriteString(strconv.FormatInt(now.Unix(), 10))
		case format[i] == '%':
			out.WriteByte('%')
		default:
			return r.wrong(s, "date", "%%%c is not supported", format[i])
		}
	}
	return r.write(s, out.String()+"\n")
}

func cd(ctx context.Context, r *runner, args []string, s Streams) error {
	if len(args) == 0 {
		args = []string{Workspace}
	}
	at, err := r.path(args[0])
	if err == nil {
		var exists bool
		if exists, err = r.isFile(ctx, "-d", args[0]); err == nil && !exists {
			err = fmt.Errorf("no folder %s", args[0])
		}
	}
	if err != nil {
		return r.fail(s, 1, fmt.Errorf("cd: %w", err))
	}
	r.dir = at
	return nil
}

var variableName = lazyregexp.New(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func export(_ context.Context, r *runner, args []string, s Streams) error {
	for _, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		if !variableName().MatchString(name) {
			return r.wrong(s, "export", "expected NAME or NAME=VALUE, found %q", arg)
		}
		if given {
			if err := r.assign(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func sleep(ctx context.Context, r *runner, args []string, s Streams) error {
	total := time.Duration(0)
	for _, arg := range args {
		unit := time.Second
		for suffix, u := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
			if number, ok := strings.CutSuffix(arg, suffix); ok {
				arg, unit = number, u
				break
			}
		}
		n, err := strconv.ParseFloat(arg, 64)
		if err != nil || n < 0 || n > 1e6 {
			return r.wrong(s, "sleep", "%q is not a number of seconds", arg)
		}
		total += time.Duration(n * float64(unit))
	}
	return pause.For(ctx, total)
}
