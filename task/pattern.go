package task

import (
	"regexp"
	"sync"
)

// pattern returns a regular expression that is compiled at its first use: every command of the program would wait
// for it otherwise, and the docker command starts the program twice for each.
func pattern(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
