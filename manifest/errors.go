package manifest

import (
	"fmt"
)

// Errorf is fmt.Errorf for an error of a kind: one of the errdefs package, which errors.Is and
// errdefs.IsNotFound and its siblings find, and which the text does not show.
func Errorf(kind error, format string, args ...any) error {
	return &kindError{fmt.Errorf(format, args...), kind}
}

type kindError struct{ err, kind error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.err, e.kind} }
