package commands

import (
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Exit codes.
const (
	exitError   = 1   // of errors that have no other
	exitUsage   = 125 // of a flag that does not exist or has an invalid value
	exitNo      = 1   // of verdicts
	exitUnknown = 2
)

// verdict is the result of a command whose exit code is its answer, like that of grep.
type verdict struct {
	code int
	err  error // nil if there is nothing to report
}

func (v *verdict) Unwrap() error { return v.err }
func (v *verdict) Error() string {
	if v.err == nil {
		return ""
	}
	return v.err.Error()
}

// The annotations of a command whose exit code is a verdict: what each code says.
const (
	AnnotationYes     = "exit 0"
	AnnotationNo      = "exit 1"
	AnnotationUnknown = "exit 2"
)

func answers(yes, no string) map[string]string {
	return map[string]string{AnnotationYes: yes, AnnotationNo: no, AnnotationUnknown: "It could not be determined, or a flag is wrong."}
}

// withVerdict makes each failure of cmd, except an interruption, the answer that the result is unknown.
func withVerdict(cmd *cobra.Command) *cobra.Command {
	wrap := func(err error) error {
		if _, ok := errors.AsType[*verdict](err); ok || err == nil || errdefs.IsCanceled(err) {
			return err
		}
		return &verdict{exitUnknown, err}
	}
	args, run := cmd.Args, cmd.RunE
	cmd.Args = func(cmd *cobra.Command, given []string) error { return wrap(args(cmd, given)) }
	cmd.RunE = func(cmd *cobra.Command, given []string) error { return wrap(run(cmd, given)) }
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrap(err) })
	return cmd
}

// jsonError is an error to report in the form of JSON progress.
type jsonError struct{ error }

func (e *jsonError) Unwrap() error { return e.error }

// Report writes err, with a hint on a second line if there is one, and returns the exit code.
func Report(out io.Writer, err error) int {
	code, text, hint := outcome(err)
	if _, asJSON := errors.AsType[*jsonError](err); asJSON && text != "" {
		_ = display.ErrorJSON(out, text, hint)
		return code
	}
	out = display.Prose{Out: out}
	if text != "" {
		_, _ = fmt.Fprintln(out, manifest.Escape(text, "\n\t"))
	}
	if hint != "" {
		_, _ = fmt.Fprintln(out, "hint: "+manifest.Escape(hint, ""))
	}
	return code
}

// outcome returns the exit code of err, its text, "" for none, and its hint.
func outcome(err error) (code int, text, hint string) {
	if err == nil {
		return 0, "", ""
	}
	code = exitError
	if _, bad := errors.AsType[*flagError](err); bad {
		code = exitUsage
	}
	if v, ok := errors.AsType[*verdict](err); ok {
		if code, err = v.code, v.err; err == nil {
			return code, "", ""
		}
	}
	if status, ok := errors.AsType[cli.StatusError](err); ok {
		return max(status.StatusCode, exitError), status.Error(), ""
	}
	if errdefs.IsCanceled(err) { // the context, or a prompt
		return interruptedBy(), "interrupted", ""
	}
	return code, err.Error(), hintOf(err)
}

// oneLine returns an error with its hint for a warning, which is a single line.
func oneLine(err error) string {
	if h := manifest.Hint(err); h != "" {
		return fmt.Sprintf("%v (%s)", err, h)
	}
	return err.Error()
}

// atRegistry is an error of a registry.
type atRegistry interface {
	error
	Registry() string
}

// hintOf returns the hint of an error, or that of its kind.
func hintOf(err error) string {
	if h := manifest.Hint(err); h != "" {
		return h
	}
	switch at := refusedBy(err); {
	case at == nil:
		return ""
	case errdefs.IsUnauthorized(at):
		return fmt.Sprintf("if the name is right, log in: docker login %s", at.Registry())
	default:
		return fmt.Sprintf("your account on %s is not allowed to do this; log in with another: docker login %[1]s", at.Registry())
	}
}

// refusedBy returns the first of several errors in which a registry requires another account, nil for none; the
// others may be about other registries.
func refusedBy(err error) atRegistry {
	//nolint:errorlint // the tree is walked here
	switch e := err.(type) {
	case atRegistry:
		if errdefs.IsUnauthorized(e) || errdefs.IsPermissionDenied(e) {
			return e
		}
	case interface{ Unwrap() error }:
		return refusedBy(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if at := refusedBy(one); at != nil {
				return at
			}
		}
	}
	return nil
}
