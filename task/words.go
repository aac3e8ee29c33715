package task

import (
	"errors"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/task/shell"
)

// words splits a text that is a single command as a shell does, and removes quotes and backslashes.
func words(text string) ([]string, error) {
	parsed, err := shell.Parse(text)
	if err != nil {
		return nil, err
	}
	all, ok := parsed.Words(nil)
	if !ok {
		return nil, errors.New("several commands, redirections and $(...) outside of quotes are not supported here")
	}
	return all, nil
}

// Quote returns a shell command line of words, for display.
func Quote(all []string) string {
	quoted := make([]string, len(all))
	for i, w := range all {
		quoted[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n\r'\"\\$`;&|<>()*?[]#~!{}") {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
