package program

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
)

// Command is what an image runs, as its config says it.
type Command struct {
	OS string
	// Args are the entrypoint and the arguments; with Escaped they are a command line of Windows.
	Args    []string
	Escaped bool
	Env     []string
	Dir     string
}

// Found is a program that is run.
type Found struct {
	// Path is that of the file, all links followed.
	Path    string
	Program Program
}

// The paths that are searched when an image names none.
const (
	defaultPath        = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	defaultWindowsPath = `C:\Windows\System32;C:\Windows`
	defaultExtensions  = ".com;.exe;.bat;.cmd"
)

const (
	// maxSteps bounds scripts that are interpreted by scripts, and programs that run others.
	maxSteps = 8
	// maxArgs bounds the arguments that are looked at.
	maxArgs = 1024
)

// Find returns the programs that c runs with these layers, the lowest first and nil for one that could not
// be read: the first program, the interpreter of a script, what a shell or a program such as env or tini is
// told to run. Unfound says why there is no more, "" when nothing is missing.
func Find(ctx context.Context, c Command, layers []*Layer) (found []Found, unfound string) {
	s := search{Command: c, tree: tree{layers: layers, windows: c.OS == "windows"}}
	args := c.Args
	if s.windows && c.Escaped {
		args = commandLine(strings.Join(args, " "))
	}
	if len(args) == 0 || args[0] == "" {
		return nil, "the image has no command"
	}
	s.run(ctx, args, true)
	return s.found, s.unfound
}

type search struct {
	Command
	tree
	found   []Found
	unfound string
}

// run looks for the program args[0] and for what that runs. What is not there is told when it has to be.
func (s *search) run(ctx context.Context, args []string, told bool) {
	args = args[:min(len(args), maxArgs)]
	name := args[0]
	switch {
	case len(name) > maxLink:
		s.unfound = fmt.Sprintf("the name of a command has %d bytes, more than a path can have", len(name))
		return
	case len(s.found) == maxSteps:
		s.unfound = fmt.Sprintf("%s is run by %d others", name, maxSteps)
		return
	}
	file, kind, p := s.look(ctx, name)
	if kind != regular {
		switch {
		case s.looks > maxLooks || ctx.Err() != nil:
			s.unfound = "looking for the command takes too long"
		case kind == unknown:
			s.unfound = name + " may be in a layer that could not be read"
		case told:
			s.unfound = name + " is not in the image"
		}
		return
	}
	s.found = append(s.found, Found{file, p})
	switch p.Format {
	case Script:
		line := interpreted(p)
		if len(line) == 0 {
			s.unfound = file + " names no interpreter"
			return
		}
		s.run(ctx, append(line, file), true)
	case "":
		s.unfound = file + " is a file of unknown format"
	default:
		if next, certain := s.next(args); len(next) > 0 {
			s.run(ctx, next, certain)
		}
	}
}

// interpreted returns the interpreter of a script, and the one option that it is given.
func interpreted(p Program) []string {
	at := strings.IndexAny(p.Interpreter, " \t")
	switch {
	case p.Interpreter == "":
		return nil
	case at < 0:
		return []string{p.Interpreter}
	}
	return []string{p.Interpreter[:at], strings.TrimSpace(p.Interpreter[at:])}
}

// look searches for a program as execvp does, or CreateProcess.
func (s *search) look(ctx context.Context, name string) (string, kind, Program) {
	if s.windows {
		name = windowsPath(name)
	}
	extensions, least := s.extensions(name), nothing
	for place := range s.places(name) {
		for extension := range strings.SplitSeq(extensions, ";") {
			s.looks += 1 + (len(place)+len(extension))/64
			switch file, kind, p := s.find(place + extension); {
			case kind == regular || s.looks > maxLooks || ctx.Err() != nil:
				return file, kind, p
			case kind == unknown:
				least = unknown
			}
		}
	}
	return "", least, Program{}
}

// places are the paths that name may stand for.
func (s *search) places(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if strings.Contains(name, "/") {
			yield(s.absolute(name))
			return
		}
		separator, standard := ":", defaultPath
		if s.windows {
			separator, standard = ";", defaultWindowsPath
		}
		for dir := range strings.SplitSeq(cmp.Or(s.env("PATH"), standard), separator) {
			if !yield(s.absolute(dir + "/" + name)) {
				return
			}
		}
	}
}

// absolute returns name as seen from the folder that the command starts in.
func (s *search) absolute(name string) string {
	if s.windows {
		if name = windowsPath(name); !strings.HasPrefix(name, "/") {
			return windowsPath(s.Dir) + "/" + name
		}
	}
	if strings.HasPrefix(name, "/") {
		return name
	}
	return s.Dir + "/" + name
}

// extensions are what may be missing at the end of name, separated by semicolons.
func (s *search) extensions(name string) string {
	if !s.windows {
		return ""
	}
	all := strings.ToLower(cmp.Or(s.env("PATHEXT"), defaultExtensions))
	if path.Ext(name) != "" {
		return ";" + all
	}
	return all + ";"
}

// env returns a variable of the environment; the last one counts.
func (s *search) env(name string) string {
	for _, pair := range slices.Backward(s.Env) {
		key, value, _ := strings.Cut(pair, "=")
		if key == name || s.windows && strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

var (
	shells   = []string{"sh", "ash", "bash", "dash", "ksh", "zsh"}
	wrappers = []string{"tini", "tini-static", "dumb-init", "docker-init", "catatonit"}
)

// next returns what the program args[0] is told to run, if it is one that runs another, and whether that
// has to be a file.
func (s *search) next(args []string) (next []string, certain bool) {
	name := path.Base(args[0])
	if s.windows {
		name = strings.TrimSuffix(path.Base(windowsPath(args[0])), ".exe")
	}
	args = args[1:]
	switch {
	case name == "busybox" && len(args) > 0:
		return s.next(args)
	case name == "env":
		return afterEnv(args), true
	case slices.Contains(wrappers, name):
		return afterOptions(args), true
	case slices.Contains(shells, name):
		return firstCommand(shellCommand(args)), false
	case name == "cmd" && s.windows:
		i := slices.IndexFunc(args, func(a string) bool { return strings.EqualFold(a, "/c") })
		if i >= 0 {
			return firstCommand(strings.Join(args[i+1:], " ")), false
		}
	}
	return nil, false
}

// afterEnv returns what env runs: what follows its options and assignments.
func afterEnv(args []string) []string {
	for range maxArgs {
		if len(args) == 0 {
			return nil
		}
		a := args[0]
		split, isSplit := strings.CutPrefix(a, "-S")
		switch {
		case isSplit && split == "" && len(args) > 1:
			args = fields(args[1], args[2:])
		case isSplit:
			args = fields(split, args[1:])
		case a == "-u" || a == "-C":
			args = args[min(2, len(args)):]
		case strings.HasPrefix(a, "-") || strings.Contains(a, "="):
			args = args[1:]
		default:
			return args
		}
	}
	return nil
}

// fields returns the words of text and then rest, maxArgs of them at most.
func fields(text string, rest []string) []string {
	var words []string
	for word := range strings.FieldsSeq(text) {
		if len(words) == maxArgs {
			return words
		}
		words = append(words, word)
	}
	return append(words, rest[:min(len(rest), maxArgs-len(words))]...)
}

// afterOptions returns what follows "--", or everything when it does not begin with an option.
func afterOptions(args []string) []string {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[i+1:]
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return args
	}
	return nil
}

// shellCommand returns the command that a shell gets with -c, "" when it does not.
func shellCommand(args []string) string {
	for i, a := range args {
		dashed := strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--")
		switch {
		case dashed && strings.Contains(a, "c") && i+1 < len(args):
			return args[i+1]
		case !strings.HasPrefix(a, "-") && (i == 0 || !strings.HasSuffix(args[i-1], "o")): // as in -o pipefail
			return ""
		}
	}
	return ""
}

// firstCommand returns the words that a shell's command begins with, as far as they are plain ones.
func firstCommand(command string) []string {
	var words []string
	for word := range strings.FieldsSeq(command) {
		assigns := len(words) == 0 && strings.Contains(word, "=")
		if len(words) == maxArgs || strings.ContainsFunc(word, special) {
			break
		}
		if !assigns && (len(words) > 0 || word != "exec") {
			words = append(words, word)
		}
	}
	return words
}

// special reports whether r may mean something to a shell.
func special(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(`_./\:+-=,@`, r)
}

// commandLine returns the words of a command line of Windows.
func commandLine(line string) []string {
	var words []string
	quoted := false
	for part := range strings.FieldsFuncSeq(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	}) {
		if len(words) == maxArgs {
			break
		}
		words = append(words, strings.ReplaceAll(part, `"`, ""))
	}
	return words
}
