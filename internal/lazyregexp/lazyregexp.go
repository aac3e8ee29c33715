// Package lazyregexp compiles regular expressions at their first use. Package variables that call
// regexp.MustCompile would delay every command, and docker starts a plugin twice for each one.
package lazyregexp

import (
	"regexp"
	"sync"
)

// New returns a function that returns the compiled expression. It panics at its first call if the expression is
// invalid.
func New(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
