package manifest

import (
	"path"
	"regexp"
	"strings"

	"github.com/containerd/errdefs"
)

// Pattern matches tags, or paths of repositories. The zero Pattern matches all.
type Pattern struct {
	glob  string
	regex *regexp.Regexp
}

// ParsePattern returns the pattern that s is: a glob as the shell has them or, after "regex:", a regular
// expression for the whole name.
func ParsePattern(s string) (Pattern, error) {
	if expression, ok := strings.CutPrefix(s, "regex:"); ok {
		var regex *regexp.Regexp
		_, err := regexp.Compile(expression) // alone, or it could close what it is put into
		if err == nil {
			regex, err = regexp.Compile("^(?:" + expression + ")$")
		}
		if err != nil || expression == "" {
			return Pattern{}, Errorf(errdefs.ErrInvalidArgument, "%q is no regular expression (see https://golang.org/s/re2syntax)", expression)
		}
		return Pattern{regex: regex}, nil
	}
	glob := shellGlob(s)
	if _, err := path.Match(glob, ""); err != nil || s == "" {
		return Pattern{}, Errorf(errdefs.ErrInvalidArgument, "%q is no pattern: * stands for any characters, ? for one, [a-z] for one of these; "+
			`"regex:" stands before a regular expression`, s)
	}
	return Pattern{glob: glob}, nil
}

// shellGlob returns a glob with [^ where s has the shell's [! for none of these.
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
