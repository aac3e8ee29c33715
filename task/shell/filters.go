package shell

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// maxPattern is the maximum length of a pattern of grep in bytes: a longer one could fill the memory when it is compiled.
const maxPattern = 4 << 10

// errEnough ends a builtin that needs no more input.
var errEnough = errors.New("enough")

// read calls use with each of the files, or with standard input, until one fails. A file that cannot be opened only makes
// the builtin fail.
func (r *runner) read(ctx context.Context, s Streams, builtin string, names []string, use func(io.Reader) error) error {
	if len(names) == 0 {
		names = []string{"-"}
	}
	code := 1
	if builtin == "grep" { // where that is no match
		code = 2
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		file := io.NopCloser(s.In)
		if name != "-" {
			var err error
			if file, err = r.open(ctx, name, os.O_RDONLY); err != nil {
				if err := r.fail(s, code, fmt.Errorf("%s: %w", builtin, err)); err != nil {
					return err
				}
				continue
			}
		}
		err := use(countingReader{file, r.used})
		_ = file.Close()
		if err != nil {
			if errors.Is(err, errEnough) {
				err = nil
			}
			return err
		}
	}
	return nil
}

// countingReader ends a text that copies without end, as cat can that appends files to themselves.
type countingReader struct {
	io.Reader
	used *used
}

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.used.copied.Add(int64(n)) >= maxCopied {
		err = limitError("the text copied more than 10 GiB")
	}
	return n, err
}

// readLines calls use with the lines of the files, or of standard input, until use returns an error or output fails. The end
// is "" for a last line without a newline.
func (r *runner) readLines(ctx context.Context, s Streams, builtin string, names []string, use func(line, end string) error) error {
	return r.read(ctx, s, builtin, names, func(from io.Reader) error {
		scanner := bufio.NewScanner(from)
		scanner.Buffer(nil, maxText)
		scanner.Split(splitLines)
		for before := r.code; scanner.Scan(); {
			line := strings.TrimSuffix(scanner.Text(), "\n")
			if err := use(line, scanner.Text()[len(line):]); err != nil {
				return err
			}
			if r.code != before {
				return errEnough
			}
		}
		if errors.Is(scanner.Err(), bufio.ErrTooLong) {
			return errLarge
		}
		return r.ended(scanner.Err())
	})
}

// splitLines is a bufio.SplitFunc for lines with their newline; that of package bufio also removes carriage returns.
func splitLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	n := bytes.IndexByte(data, '\n') + 1
	if n == 0 && atEOF {
		n = len(data)
	}
	if n == 0 {
		return 0, nil, nil
	}
	return n, data[:n], nil
}

// newFlags returns a set of flags that prints nothing.
func newFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// grep has the flags -c, -E, -F, -i, -o, -q and -v.
func grep(ctx context.Context, r *runner, args []string, s Streams) error {
	flags := newFlags()
	extended, fixed := flags.BoolP("extended-regexp", "E", false, ""), flags.BoolP("fixed-strings", "F", false, "")
	ignoreCase, only := flags.BoolP("ignore-case", "i", false, ""), flags.BoolP("only-matching", "o", false, "")
	quiet, invert := flags.BoolP("quiet", "q", false, ""), flags.BoolP("invert-match", "v", false, "")
	count := flags.BoolP("count", "c", false, "")
	if err := flags.Parse(args); err != nil {
		return r.wrong(s, "grep", "%w", err)
	}
	pattern := flags.Arg(0)
	switch {
	case flags.NArg() == 0 || flags.NArg() > 2 || len(pattern) > maxPattern:
		return r.wrong(s, "grep", "expected a pattern of at most %d bytes, and at most one file", maxPattern)
	case *fixed:
		pattern = regexp.QuoteMeta(pattern)
	case !*extended:
		pattern = extendedPattern(pattern)
	}
	if *ignoreCase {
		pattern = "(?i)" + pattern
	}
	expression, err := regexp.Compile(pattern)
	if err != nil {
		return r.wrong(s, "grep", "%w", err)
	}
	expression.Longest()
	found := 0
	err = r.readLines(ctx, s, "grep", flags.Args()[1:], func(line, _ string) error {
		if expression.MatchString(line) == *invert {
			return nil
		}
		found++
		switch {
		case *quiet:
			return errEnough
		case *count:
			return nil
		case !*only:
			return r.write(s, line+"\n")
		case *invert:
			return nil
		}
		var out strings.Builder
		for _, match := range expression.FindAllString(line, -1) {
			if match != "" {
				out.WriteString(match + "\n")
			}
		}
		return r.write(s, out.String())
	})
	if err == nil && *count && !*quiet {
		err = r.write(s, strconv.Itoa(found)+"\n")
	}
	if err == nil && r.code == 0 && found == 0 {
		err = status(1)(ctx, r, nil, s)
	}
	return err
}

// extendedPattern returns a basic regular expression as an extended one, in which the same characters are operators
// without a backslash.
func extendedPattern(basic string) string {
	var out strings.Builder
	for i := 0; i < len(basic); i++ {
		escaped := basic[i] == '\\' && i+1 < len(basic)
		if escaped {
			i++
		}
		if strings.IndexByte("(){}|+?", basic[i]) >= 0 != escaped {
			out.WriteByte('\\')
		}
		out.WriteByte(basic[i])
	}
	return out.String()
}

// head has the flag -n, also as -NUMBER.
func head(ctx context.Context, r *runner, args []string, s Streams) error {
	if len(args) > 0 {
		if number, ok := strings.CutPrefix(args[0], "-"); ok && strings.Trim(number, "0123456789") == "" {
			args = append([]string{"-n"}, append([]string{number}, args[1:]...)...)
		}
	}
	flags := newFlags()
	most := flags.UintP("lines", "n", 10, "")
	err := flags.Parse(args)
	switch {
	case err != nil:
		return r.wrong(s, "head", "%w", err)
	case flags.NArg() > 1:
		return r.wrong(s, "head", "expected one file")
	case *most == 0:
		return nil
	}
	return r.readLines(ctx, s, "head", flags.Args(), func(line, end string) error {
		err := r.write(s, line+end)
		if *most--; err == nil && *most == 0 {
			err = errEnough
		}
		return err
	})
}

// cut has the flags -d and -f.
func cut(ctx context.Context, r *runner, args []string, s Streams) error {
	flags := newFlags()
	delimiter, list := flags.StringP("delimiter", "d", "\t", ""), flags.StringP("fields", "f", "", "")
	err := flags.Parse(args)
	var selected []fieldRange
	if err == nil {
		selected, err = parseFields(*list)
	}
	switch {
	case err != nil:
		return r.wrong(s, "cut", "%w", err)
	case len(*delimiter) != 1:
		return r.wrong(s, "cut", "expected one character after -d, found %q", *delimiter)
	}
	return r.readLines(ctx, s, "cut", flags.Args(), func(line, _ string) error {
		fields := strings.Split(line, *delimiter)
		var kept []string
		for i, field := range fields {
			isSelected := func(f fieldRange) bool { return f.first <= i+1 && i+1 <= f.last }
			if len(fields) == 1 || slices.ContainsFunc(selected, isSelected) {
				kept = append(kept, field)
			}
		}
		return r.write(s, strings.Join(kept, *delimiter)+"\n")
	})
}

// fieldRange are the fields of a line from first to last, both at least 1.
type fieldRange struct{ first, last int }

// parseFields parses a list of fields and ranges as in 1,3-5,7-.
func parseFields(list string) (out []fieldRange, err error) {
	number := func(s string, otherwise int) int {
		n, err := strconv.Atoi(s)
		switch {
		case s == "":
			return otherwise
		case err != nil:
			return 0
		}
		return n
	}
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		f := fieldRange{number(first, 1), number(last, maxText)}
		if f.first < 1 || f.last < f.first || strings.Trim(part, "-") == "" {
			return nil, fmt.Errorf("expected a list of fields after -f, such as 1,3-5, found %q", list)
		}
		out = append(out, f)
	}
	return out, nil
}
