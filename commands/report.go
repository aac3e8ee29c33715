package commands

import (
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/cli"
)

// Exit codes beside those of cli.StatusError (125 for flag errors).
const (
	exitError       = 1
	exitInterrupted = 130
)

// Report writes err for a person, with what to do next, and returns the exit code.
func Report(out io.Writer, err error) int {
	var status cli.StatusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		_, _ = fmt.Fprintln(out, status)
		return max(status.StatusCode, exitError)
	case errdefs.IsCanceled(err): // the context, or a prompt
		_, _ = fmt.Fprintln(out, "interrupted")
		return exitInterrupted
	}
	_, _ = fmt.Fprintln(out, manifest.Escape(err.Error(), "\n\t"))
	if h := hint(err); h != "" {
		_, _ = fmt.Fprintln(out, manifest.Escape(h, ""))
	}
	return exitError
}

// hint returns what the person can do about an error of a kind that has a remedy of its own.
func hint(err error) string {
	var at interface{ Registry() string }
	if !errors.As(err, &at) {
		return ""
	}
	switch {
	case errdefs.IsUnauthorized(err):
		return fmt.Sprintf("If that is the right name, log in with 'docker login %s'.", at.Registry())
	case errdefs.IsPermissionDenied(err):
		return fmt.Sprintf("The account of %s has no right to do that; 'docker login %[1]s' as one that has.", at.Registry())
	}
	return ""
}
