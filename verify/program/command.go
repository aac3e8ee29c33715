package program

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Command is the command of an image, as its config has it.
type Command struct {
	OS string
	// Args are the entrypoint and its arguments. If Escaped, they are a Windows command line.
	Args    []string
	Escaped bool
	Env     []string
	Dir     string
	// Volumes are the directories that containers may get other content for.
	Volumes []string
}

// Found is a program that a command runs.
type Found struct {
	// Path is that of the file, with all links resolved, and Layer the position of the layer that has it.
	Path    string
	Layer   int
	Program Program
	// By is the path of the ELF program that names this one as its interpreter, "" for other programs.
	By string
}

// Missing is a program that was not found.
type Missing struct {
	// Reason names the program and says why.
	Reason string
	// Absent says that the image cannot run without it, and that it is not in a layer.
	Absent bool
	// By is the path of the ELF program that names it as its interpreter, "" for other programs.
	By string
}

// The search paths of images without a PATH.
const (
	defaultPath        = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	defaultWindowsPath = `C:\Windows\System32;C:\Windows;C:\Windows\System32\Wbem;C:\Windows\System32\WindowsPowerShell\v1.0`
)

const (
	// maxPrograms bounds scripts whose interpreters are scripts, and programs that run other programs.
	maxPrograms = 8
	// maxArgs and maxShell bound the arguments, and the bytes of a shell command, that are parsed.
	maxArgs  = 1024
	maxShell = 16 << 10
)

// Find returns the programs that c runs in an image with these layers, which start with the lowest; a layer that
// could not be read is nil. It returns the first program, the interpreter of a script or of an ELF program, and the
// command that is passed to a shell or to a program such as env or tini, and which of them were not found.
func Find(ctx context.Context, c Command, layers []*Layer) ([]Found, []Missing) {
	s := newSearch(c, layers)
	args := c.Args
	if s.windows && c.Escaped {
		args = windowsWords(strings.Join(args, " "))
	}
	if len(args) == 0 || args[0] == "" {
		return nil, []Missing{{Reason: "the image has no command"}}
	}
	s.run(ctx, args, required)
	return s.found, s.missing
}

type search struct {
	Command
	tree
	programs int // without the interpreters of ELF programs
	found    []Found
	missing  []Missing
}

func newSearch(c Command, layers []*Layer) search {
	return search{Command: c, tree: tree{layers: layers, windows: c.OS == "windows", limit: maxLookups, hiders: map[below]int{}}}
}

// need says whether a program must be a file of the image.
type need int

const (
	optional need = iota // a shell has commands of its own
	expected             // it is looked up where an option or a variable may lead elsewhere
	required
)

func (s *search) miss(format string, args ...any) {
	s.missing = append(s.missing, Missing{Reason: fmt.Sprintf(format, args...)})
}

// run finds the program args[0] and the programs that it runs. One that is absent is reported unless it is optional.
func (s *search) run(ctx context.Context, args []string, n need) {
	args = args[:min(len(args), maxArgs)]
	name := args[0]
	switch {
	case len(name) > maxPath:
		s.miss("the name of a command has %d bytes, more than a path can have", len(name))
		return
	case s.programs == maxPrograms:
		s.miss("%d programs run one another before %s", maxPrograms, name)
		return
	}
	file, kind := s.lookUp(ctx, name)
	if kind != regular {
		switch {
		case s.exhausted() || ctx.Err() != nil:
			s.miss("the search for the command takes too long")
		case kind == unknown:
			s.miss("%s may be in a layer that could not be read", name)
		case kind == mounted:
			s.miss("%s would be in a directory that containers mount", name)
		case n != optional:
			absent := n == required && (!s.windows || strings.Contains(slashed(name, true), "/")) // PATH may be in the registry
			s.missing = append(s.missing, Missing{Reason: name + " is not in the image", Absent: absent})
		}
		return
	}
	s.programs++
	s.found = append(s.found, file)
	switch file.Program.Format {
	case Script:
		if file.Program.Interpreter == "" {
			s.miss("%s does not name an interpreter", file.Path)
			return
		}
		s.run(ctx, append(interpreter(file.Program), file.Path), required)
	case "":
		s.miss("%s is a file of unknown format", file.Path)
	default:
		s.loader(file)
		if next, n := s.next(args); len(next) > 0 {
			s.run(ctx, next, n)
		}
	}
}

// loader finds the interpreter that an ELF program names.
func (s *search) loader(f Found) {
	miss := func(absent bool, format string, args ...any) {
		s.missing = append(s.missing, Missing{fmt.Sprintf(format, args...), absent, f.Path})
	}
	name := f.Program.Interpreter
	switch {
	case f.Program.Cut:
		miss(false, "the interpreter of %s is not in its first %d bytes", f.Path, headSize)
		return
	case name == "":
		return
	}
	switch found, kind := s.find(s.absolute(name)); kind {
	case regular:
		found.By = f.Path
		s.found = append(s.found, found)
	case unknown:
		miss(false, "%s, the interpreter of %s, may be in a layer that could not be read", name, f.Path)
	default:
		miss(!s.isMounted(found.Path), "%s, the interpreter of %s, is not in the image", name, f.Path)
	}
}

// interpreter returns the interpreter of a script and the one option that follows it.
func interpreter(p Program) []string {
	if i := strings.IndexAny(p.Interpreter, " \t"); i >= 0 {
		return []string{p.Interpreter[:i], strings.TrimSpace(p.Interpreter[i:])}
	}
	return []string{p.Interpreter}
}

// lookUp finds a program like execvp or CreateProcess.
func (s *search) lookUp(ctx context.Context, name string) (Found, kind) {
	name = slashed(name, s.windows)
	result := absent
	for candidate := range s.candidates(name) {
		s.lookups += 1 + len(candidate)/64
		switch file, kind := s.find(candidate); {
		case kind == regular || s.exhausted() || ctx.Err() != nil:
			return file, kind
		case kind == unknown:
			result = unknown
		case kind == absent && s.isMounted(file.Path):
			result = max(result, mounted)
		}
	}
	return Found{}, result
}

// isMounted reports whether a path is in a directory that containers mount something on.
func (s *search) isMounted(name string) bool {
	dirs := s.Volumes
	if !s.windows {
		dirs = append([]string{"dev", "proc", "sys"}, dirs...)
	}
	s.lookups += len(dirs)
	return slices.ContainsFunc(dirs, func(dir string) bool {
		dir = normal(dir, s.windows)
		return dir != "" && strings.HasPrefix(name, "/"+dir+"/")
	})
}

// path returns the directories in which programs are searched.
func (s *search) path() iter.Seq[string] {
	if s.windows {
		return strings.SplitSeq(cmp.Or(s.env("PATH"), defaultWindowsPath), ";")
	}
	return strings.SplitSeq(cmp.Or(s.env("PATH"), defaultPath), ":")
}

// candidates are the paths that name may stand for.
func (s *search) candidates(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		yieldFile := func(file string) bool {
			file = s.absolute(file)
			return yield(file) && (!s.windows || path.Ext(file) != "" || yield(file+".exe"))
		}
		if strings.Contains(name, "/") {
			yieldFile(name)
			return
		}
		for dir := range s.path() {
			if !yieldFile(cmp.Or(dir, ".") + "/" + name) {
				return
			}
		}
	}
}

// absolute returns name as seen from the working directory of the command.
func (s *search) absolute(name string) string {
	if name = slashed(name, s.windows); strings.HasPrefix(name, "/") {
		return name
	}
	return slashed(s.Dir, s.windows) + "/" + name
}

// env returns an environment variable; the last one counts.
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

// next returns the command that the program args[0] runs, if it is one that runs another.
func (s *search) next(args []string) ([]string, need) {
	name := path.Base(slashed(args[0], s.windows))
	if s.windows {
		name = strings.TrimSuffix(name, ".exe")
	}
	args = args[1:]
	switch {
	case name == "busybox" && len(args) > 0:
		return s.next(args)
	case name == "env":
		next := afterEnv(args)
		if len(next) > 0 && args[0] == next[0] {
			return next, required
		}
		return next, expected
	case slices.Contains(wrappers, name):
		return afterOptions(args), required
	case slices.Contains(shells, name):
		return firstCommand(shellCommand(args)), optional
	case name == "cmd" && s.windows:
		i := slices.IndexFunc(args, func(a string) bool { return strings.EqualFold(a, "/c") })
		if i >= 0 {
			return windowsWords(strings.Join(args[i+1:], " ")), optional
		}
	}
	return nil, optional
}

// afterEnv returns the command that env runs: what follows its options and assignments.
func afterEnv(args []string) []string {
	for range maxArgs {
		if len(args) == 0 {
			return nil
		}
		a := args[0]
		split, isSplit := strings.CutPrefix(a, "-S")
		switch {
		case isSplit && split == "" && len(args) > 1:
			args = append(shellWords(args[1]), args[2:]...)
		case isSplit:
			args = append(shellWords(split), args[1:]...)
		case a == "-u" || a == "-C":
			args = args[min(2, len(args)):]
		case strings.HasPrefix(a, "-") || strings.Contains(a, "="):
			args = args[1:]
		default:
			return args
		}
		args = args[:min(len(args), maxArgs)]
	}
	return nil
}

// valued are the options of inits that have a value.
var valued = []string{"-p", "-e", "-r", "--rewrite"}

// afterOptions returns the command that an init runs: what follows its options. It is nil if an option that is not known may
// have a value.
func afterOptions(args []string) []string {
	for i, a := range args {
		switch {
		case a == "--":
			return args[i+1:]
		case i == 0 && !strings.HasPrefix(a, "-"):
			return args
		case !strings.HasPrefix(a, "-") && !slices.Contains(valued, args[i-1]):
			return nil
		}
	}
	return nil
}

// shellCommand returns the command that is passed to a shell with -c, "" if there is none.
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

// firstCommand returns the first words of a shell command, without assignments and exec.
func firstCommand(command string) []string {
	words := shellWords(command)
	for len(words) > 0 && (words[0] == "exec" || strings.Contains(words[0], "=")) {
		words = words[1:]
	}
	return words
}

// shellWords returns the words at the start of a shell command, up to the first that a shell would expand.
func shellWords(command string) []string {
	var words []string
	source := strings.NewReader(command[:min(len(command), maxShell)]) // the parser recurses
	for word, err := range syntax.NewParser().WordsSeq(source) {
		if err != nil || len(words) == maxArgs {
			break
		}
		text, ok := literal(word.Parts, `\*?[{~`)
		if !ok {
			break
		}
		words = append(words, text)
	}
	return words
}

// literal returns the text of a word that no shell expands: one that has neither expansions nor special characters.
func literal(parts []syntax.WordPart, special string) (string, bool) {
	var out strings.Builder
	for _, part := range parts {
		text, ok := "", false
		switch p := part.(type) {
		case *syntax.Lit:
			text, ok = p.Value, !strings.ContainsAny(p.Value, special)
		case *syntax.SglQuoted:
			text, ok = p.Value, !p.Dollar
		case *syntax.DblQuoted:
			text, ok = literal(p.Parts, `\`)
		}
		if !ok {
			return "", false
		}
		out.WriteString(text)
	}
	return out.String(), true
}

// windowsWords returns the words of a Windows command line.
func windowsWords(line string) []string {
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
