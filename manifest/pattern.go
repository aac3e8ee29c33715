package manifest

import (
	"path"
	"regexp"
	"strings"

	"github.com/containerd/errdefs"
)

// Pattern matches tags or paths of repositories. The zero Pattern matches all.
type Pattern struct {
	glob  string
	regex *regexp.Regexp
}

// ParsePattern parses a pattern: a glob as in the shell or, after "regex:", a regular expression for the whole name.
func ParsePattern(s string) (Pattern, error) {
	if expression, ok := strings.CutPrefix(s, "regex:"); ok {
		var regex *regexp.Regexp
		_, err := regexp.Compile(expression) // on its own: it must not close the group below
		if err == nil {
			regex, err = regexp.Compile("^(?:" + expression + ")$")
		}
		if err != nil || expression == "" {
			return Pattern{}, Errorf(errdefs.ErrInvalidArgument, "%q is not a regular expression (see https://golang.org/s/re2syntax)", expression)
		}
		return Pattern{regex: regex}, nil
	}
	glob := shellGlob(s)
	if _, err := path.Match(glob, ""); err != nil || s == "" {
		return Pattern{}, Errorf(errdefs.ErrInvalidArgument, "%q is not a pattern: * matches any characters, ? a single one, [a-z] one of these; "+
			`a regular expression begins with "regex:"`, s)
	}
	return Pattern{glob: glob}, nil
}

// shellGlob returns a glob with the [^ of package path in place of the [! of the shell.
func shellGlob(s string) string {
	glob, class := []byte(s), false
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
			if i+1 < len(glob) && glob[i+1] == '!' {
				glob[i+1] = '^'
			}
		}
	}
	return string(glob)
}

// Match reports whether the pattern matches the whole name.
func (p Pattern) Match(name string) bool {
	switch {
	case p.regex != nil:
		return p.regex.MatchString(name)
	case p.glob == "":
		return true
	}
	ok, _ := path.Match(p.glob, name) // the pattern was parsed
	return ok
}
