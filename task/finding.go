package task

import "fmt"

// Severity is how severe a finding is.
type Severity string

// A file with an Error cannot be run, one with a Warning only without --strict. With --strict there are also Lints, and a
// file with one cannot be run.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Lint    Severity = "lint"
)

// Finding is a problem in a file, or a likely one.
type Finding struct {
	Position
	Severity Severity `json:"severity"`      // error: the file cannot be run; warning: not with --strict; lint: only with --strict
	Key      string   `json:"key,omitempty"` // position in the structure of the file, such as steps[1].push; absent for the file itself
	Message  string   `json:"message"`       // what was found and what was expected; it contains no secrets
}

// String returns the finding without the file's name, as in "12:5: error: steps[1].push: ...".
func (f Finding) String() string {
	s := fmt.Sprintf("%d:%d: %s: ", f.Line, f.Column, f.Severity)
	if f.Key != "" {
		s += f.Key + ": "
	}
	return s + f.Message
}
