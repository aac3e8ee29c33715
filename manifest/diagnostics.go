package manifest

import "fmt"

// Reporter receives what a person should know while an operation runs, one line at a time and without a
// newline.
type Reporter interface {
	// Note reports what is done.
	Note(format string, args ...any)
	// Warn reports what the person probably did not want.
	Warn(format string, args ...any)
}

// Diagnostic is a line for a [Reporter].
type Diagnostic struct {
	Warning bool // or a note
	Text    string
}

// Diagnostics are lines that are reported later, in their order. They are a Reporter themselves.
type Diagnostics []Diagnostic

// Note adds a note.
func (d *Diagnostics) Note(format string, args ...any) {
	*d = append(*d, Diagnostic{Text: fmt.Sprintf(format, args...)})
}

// Warn adds a warning.
func (d *Diagnostics) Warn(format string, args ...any) {
	*d = append(*d, Diagnostic{Warning: true, Text: fmt.Sprintf(format, args...)})
}

// Report passes the lines on to r.
func (d Diagnostics) Report(r Reporter) {
	for _, line := range d {
		if line.Warning {
			r.Warn("%s", line.Text)
		} else {
			r.Note("%s", line.Text)
		}
	}
}
