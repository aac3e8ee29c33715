package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task/run"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
)

var _ run.Containers = (*Daemon)(nil)

// stopGrace is how long a container may take to end after it was asked to.
const stopGrace = 10 * time.Second

// killGrace is how long the daemon may take to kill it after that.
const killGrace = 5 * time.Second

// Run runs a container to its end and returns the exit code of its program; it calls started once that
// runs. All output is written before Run returns, and nothing after. When ctx ends the container is
// stopped, killed when that takes more than 10 seconds, and the error is the cause of ctx. The container is
// removed with its anonymous volumes unless c.Keep and it has started. The error is errdefs.ErrNotFound when the daemon does
// not have the image, errdefs.ErrInvalidArgument for settings that docker run refuses too,
// errdefs.ErrFailedPrecondition when the program cannot be started, errdefs.ErrUnavailable when the daemon
// cannot be reached or its connection breaks.
func (d *Daemon) Run(ctx context.Context, c run.Container, out run.Output, started func()) (exitCode int, err error) {
	what := "running " + clean(c.Image)
	api, err := d.client(ctx)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", what, err)
	}
	s, err := newSettings(c, api.ClientVersion())
	if err != nil {
		return -1, fmt.Errorf("%s: %w", what, err)
	}
	id, warnings, err := create(ctx, api, s, what)
	if err != nil {
		return -1, err
	}
	begun := false
	defer func() {
		if !c.Keep || !begun {
			if ctx.Err() != nil && errdefs.IsUnavailable(err) {
				return // a daemon that does not answer is asked once more, when the run is cleaned up
			}
			// What cannot be removed after a success is reported when the run is cleaned up.
			if removeErr := discard(ctx, api, id); err != nil {
				err = errors.Join(err, removeErr)
			}
		}
	}()
	if c.Archive != nil {
		if err := api.CopyToContainer(ctx, id, "/", bytes.NewReader(c.Archive), container.CopyToContainerOptions{}); err != nil {
			return -1, failed(ctx, api, err, "copying the login of "+what)
		}
	}
	for _, warning := range warnings {
		fmt.Fprintf(out.Stderr, "WARNING: %s\n", clean(warning))
	}
	return (&execution{api, id, what, c.Kill}).run(ctx, out, func() { begun = true; started() })
}

// create makes a container and returns its ID and the warnings of the daemon.
func create(ctx context.Context, api client.APIClient, s settings, what string) (id string, warnings []string, err error) {
	ctx, cancel := outlast(ctx)
	defer cancel()
	created, err := api.ContainerCreate(ctx, &s.config, &s.host, &s.networking, s.platform, s.name)
	if errdefs.IsNotFound(err) && s.platform == nil { // otherwise the image may be for another one
		if _, inspectErr := api.ImageInspect(ctx, s.config.Image); inspectErr == nil { // a network, for example, does not exist
			err = manifest.Errorf(errdefs.ErrFailedPrecondition, "%s", err.Error())
		}
	}
	return created.ID, created.Warnings, failed(ctx, api, err, what)
}

// discard removes a container even if ctx has ended.
func discard(ctx context.Context, api client.APIClient, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	err := removeContainer(ctx, api, id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return failed(ctx, api, err, "removing container "+shortID(id))
}

// execution is a created container that is run once.
type execution struct {
	api  client.APIClient
	id   string
	what string
	kill bool // instead of stopping it
}

// run attaches to the container, starts it and follows it to its end.
func (e *execution) run(ctx context.Context, out run.Output, started func()) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	attached, err := e.api.ContainerAttach(ctx, e.id, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return -1, e.failed(ctx, err)
	}
	copied := make(chan error, 1)
	go func() {
		_, err := stdcopy.StdCopy(sink{out.Stdout, cancel}, sink{out.Stderr, cancel}, attached.Reader)
		copied <- err
		close(copied)
	}()
	code, err := e.startAndWait(ctx, started)
	if err == nil {
		err = e.drain(ctx, copied)
	}
	attached.Close()
	for range copied { // until all output is written
	}
	return code, err
}

// startAndWait returns the exit code. The container is not removed by the daemon and not started twice, so
// that it can be waited for once it is started, which daemons of all versions understand alike.
func (e *execution) startAndWait(ctx context.Context, started func()) (int, error) {
	if ctx.Err() != nil {
		return -1, e.ended(ctx)
	}
	if err := e.start(ctx); err != nil {
		return -1, err
	}
	started()
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	status, errs := e.api.ContainerWait(waiting, e.id, container.WaitConditionNotRunning)
	select {
	case s := <-status:
		if s.Error != nil && s.Error.Message != "" {
			return -1, fmt.Errorf("%s: %s", e.what, clean(s.Error.Message))
		}
		return int(s.StatusCode), nil
	case err := <-errs:
		if ctx.Err() == nil {
			return -1, e.failed(ctx, err)
		}
	case <-ctx.Done():
	}
	return -1, errors.Join(e.ended(ctx), e.stop(ctx))
}

// start starts the container, also when ctx ends meanwhile: a start that is given up goes on in the daemon.
func (e *execution) start(ctx context.Context) error {
	ctx, cancel := outlast(ctx)
	defer cancel()
	err := e.api.ContainerStart(ctx, e.id, container.StartOptions{})
	if errdefs.IsNotFound(err) || errdefs.IsInvalidArgument(err) { // a program or a network, not the image
		err = manifest.Errorf(errdefs.ErrFailedPrecondition, "%s", err.Error())
	}
	return e.failed(ctx, err)
}

// drain waits for the rest of the output.
func (e *execution) drain(ctx context.Context, copied <-chan error) error {
	select {
	case err := <-copied:
		if err != nil && ctx.Err() == nil {
			return manifest.Errorf(errdefs.ErrUnavailable, "%s: the connection to the Docker daemon broke (%s); not all of its output is there",
				e.what, clean(err.Error()))
		}
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return e.ended(ctx)
	}
	return nil
}

// stop stops the container; the daemon kills it when that takes too long.
func (e *execution) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace+killGrace)
	defer cancel()
	seconds := int(stopGrace.Seconds())
	if e.kill {
		seconds = 0
	}
	err := e.api.ContainerStop(ctx, e.id, container.StopOptions{Timeout: &seconds})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return failed(ctx, e.api, err, "stopping container "+shortID(e.id))
}

// ended returns the error for a run that ended with ctx.
func (e *execution) ended(ctx context.Context) error {
	return fmt.Errorf("%s: %w", e.what, context.Cause(ctx))
}

// failed returns the error for a request about the container, or for its answer that broke off; nil for nil.
func (e *execution) failed(ctx context.Context, err error) error {
	var network net.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return e.ended(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network):
		return manifest.Errorf(errdefs.ErrUnavailable, "%s: the connection to the Docker daemon broke (%s); container %s may still be running",
			e.what, clean(reason(e.api.DaemonHost(), err)), shortID(e.id))
	}
	return failed(ctx, e.api, err, e.what)
}

// sink writes output, and ends the run when that fails: otherwise the container would wait forever.
type sink struct {
	io.Writer
	cancel context.CancelCauseFunc
}

func (s sink) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if err != nil {
		s.cancel(fmt.Errorf("writing its output: %w", err))
	}
	return n, err
}

// outlast returns a context for a request that creates or starts something. It ends some time after ctx, so
// that what was created is known and can be removed.
func outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })
	return longer, func() { stop(); cancel() }
}

// shortID returns an ID as docker ps shows it.
func shortID(id string) string { return clean(id[:min(len(id), 12)]) }
