package task

import (
	"fmt"
)

// Severity says what a finding means for a run.
type Severity string

// An Error keeps a file from being run, a Warning does so with --strict alone. A Lint is only looked for with
// --strict, and keeps a file from being run then.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Lint    Severity = "lint"
)

// Finding is what is wrong or odd at a place of a file.
type Finding struct {
	Position
	Severity Severity `json:"severity"`
	// Key is where it is in the file's structure, as "steps[1].push"; "" for the file itself.
	Key string `json:"key,omitempty"`
	// Message says what was found and what was expected. It has no secrets in it.
	Message string `json:"message"`
}

// String returns the finding without the file's name: "12:5: error: steps[1].push: ...".
func (f Finding) String() string {
	s := fmt.Sprintf("%d:%d: %s: ", f.Line, f.Column, f.Severity)
	if f.Key != "" {
		s += f.Key + ": "
	}
	return s + f.Message
}
