package manifest

import (
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// Errorf is fmt.Errorf for an error of a kind of package errdefs, which errors.Is and errdefs.IsNotFound and its siblings
// find, but which is not part of the text.
func Errorf(kind error, format string, args ...any) error {
	return &kindError{fmt.Errorf(format, args...), kind}
}

// ErrAnswerLost is the kind of an error for a request that may have been carried out, since its answer was lost.
var ErrAnswerLost = errors.New("the answer was lost")

type kindError struct{ err, kind error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.err, e.kind} }

// IsMalformed reports whether err says that content is invalid, rather than that a registry refused a request.
func IsMalformed(err error) bool {
	var refusal interface{ Registry() string }
	return errdefs.IsInvalidArgument(err) && !errors.As(err, &refusal)
}

// WithHint returns err with a hint, which is not part of its text: a command or flag that solves the problem.
func WithHint(err error, format string, args ...any) error {
	return &hintError{err, fmt.Sprintf(format, args...)}
}

// NoManifest is the error for what a registry does not have under name, with the command that lists what it has. The error of
// a place outside of registries says so itself.
func NoManifest(name reference.Named, err error) error {
	if IsLayout(name) {
		return err
	}
	what := "tags"
	if _, ok := name.(reference.Digested); ok {
		what = "manifests"
	}
	return WithHint(fmt.Errorf("no such manifest: %s: %w", Familiar(name), err), "docker multiarch repo %s %s", what, reference.FamiliarName(name))
}

// NoList is the error for a local list that does not exist, as docker manifest words it.
func NoList(name reference.Named) error {
	return WithHint(Errorf(errdefs.ErrNotFound, "No such manifest: %s", name), "docker multiarch ls")
}

// Hint returns the first hint in err, "" for none.
func Hint(err error) string {
	var h *hintError
	if !errors.As(err, &h) {
		return ""
	}
	return h.hint
}

type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }
