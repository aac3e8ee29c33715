package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/docker/client"
)

// maxText bounds the text of a daemon in an error.
const maxText = 500

// unreachable returns the errdefs.ErrUnavailable error for a daemon that cannot be reached; host is empty if it is not known.
func unreachable(host string, err error) error {
	if host == "" {
		return withEndpointHint(manifest.Errorf(errdefs.ErrUnavailable, "cannot reach the Docker daemon: %s", clean(err.Error())))
	}
	return withEndpointHint(manifest.Errorf(errdefs.ErrUnavailable, "cannot reach the Docker daemon at %s: %s", manifest.RedactURL(host), clean(reason(host, err))))
}

// reason returns why host cannot be reached, as far as the client reports it.
func reason(host string, err error) string {
	if errors.Is(err, syscall.EPIPE) { // for example, ssh exited before the request was written
		return "the connection closed immediately; try 'docker version'"
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err.Error() // without the method and the URL of the request
	}
	if strings.Contains(err.Error(), host) { // a sentence without more information than ours
		return "it does not accept connections; is it running?"
	}
	return err.Error()
}

// silent returns the errdefs.ErrUnavailable error for a daemon that does not answer.
func silent(host string, waited time.Duration) error {
	return withEndpointHint(manifest.Errorf(errors.Join(errdefs.ErrUnavailable, context.DeadlineExceeded),
		"cannot reach the Docker daemon at %s: no answer within %s", manifest.RedactURL(host), waited))
}

func withEndpointHint(err error) error {
	return manifest.WithHint(err, "'docker version' shows the endpoint in use, --context and DOCKER_HOST select another")
}

// stopped returns the error for what ended with ctx: context.Canceled when it was canceled, otherwise
// errdefs.ErrUnavailable and context.DeadlineExceeded.
func stopped(ctx context.Context, what string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", what, context.Canceled)
	}
	return manifest.Errorf(errors.Join(errdefs.ErrUnavailable, context.DeadlineExceeded),
		"%s: the Docker daemon did not answer in time", what)
}

// failed returns the error for a request to the daemon, with the kind of err; nil for nil.
func failed(ctx context.Context, api client.APIClient, err error, what string) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return stopped(ctx, what)
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("%s: %w", what, unreachable(api.DaemonHost(), err))
	}
	return manifest.Errorf(err, "%s: %s", what, clean(err.Error()))
}

// clean returns text of a daemon or user, escaped and bounded for an error.
func clean(text string) string { return manifest.OneLine(text, maxText) }
