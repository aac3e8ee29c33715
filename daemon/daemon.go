// Package daemon is a Docker daemon as the domain sees it: which images it has, the names it gives them, its
// push and pull, which registries it talks to without TLS, and the containers, networks and volumes of task
// runs. It is the only package that knows the Engine API, and it asks nothing of a daemon older than that of
// API 1.24. Where the daemon is (a docker context, DOCKER_HOST) is the docker CLI's to say; whether an image of
// the daemon is the one that is wanted is left to package manifest, and when a container runs to package run.
package daemon

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
)

const (
	// reachTimeout is how long a daemon may take to answer at all.
	reachTimeout = 10 * time.Second
	// answerTimeout is how long it may take to answer a question about what it has.
	answerTimeout = 30 * time.Second
)

// Versions of the Engine API that brought what is used where it is there.
const (
	apiCPUs         = "1.25" // a limit of CPUs
	apiBuildKit     = "1.39" // BuildKit where it is asked for
	apiPushPlatform = "1.46" // push of one platform
	apiManifests    = "1.48" // manifests and descriptor in an image's inspection
)

// Daemon is a daemon that is connected to at the first request. It implements [run.Containers], [run.Resources] and
// [run.Archives], and [manifest.Images] except that Push also takes the stream for its progress.
type Daemon struct {
	connect func() (client.APIClient, error)
	auth    func(ctx context.Context, host string) (string, error)

	reachTimeout, answerTimeout time.Duration

	api        once[client.APIClient]
	registries once[*registry.ServiceConfig]
	empty      emptyImage
}

// New returns the daemon that connect leads to, see FromCLI. What auth returns for a registry is sent
// with a push as X-Registry-Auth.
func New(connect func() (client.APIClient, error), auth func(ctx context.Context, host string) (string, error)) *Daemon {
	return &Daemon{connect: connect, auth: auth, reachTimeout: reachTimeout, answerTimeout: answerTimeout}
}

// client returns the API of the daemon, its version negotiated. A daemon that could not be reached once
// is not tried again.
func (d *Daemon) client(ctx context.Context) (client.APIClient, error) {
	return d.api.get(ctx, d.reach)
}

func (d *Daemon) reach(ctx context.Context) (client.APIClient, error) {
	api, err := d.connect()
	if err != nil {
		return nil, unreachable("", err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.reachTimeout)
	defer cancel()
	ping, err := api.Ping(ctx)
	if ctx.Err() != nil {
		return nil, silent(api.DaemonHost(), d.reachTimeout)
	}
	if err != nil && ping.APIVersion == "" {
		return nil, unreachable(api.DaemonHost(), err)
	}
	api.NegotiateAPIVersionPing(ping)
	return api, nil
}

// Reach returns an errdefs.ErrUnavailable error when the daemon cannot be reached.
func (d *Daemon) Reach(ctx context.Context) error {
	if _, err := d.client(ctx); err != nil {
		return fmt.Errorf("%w; 'docker version' shows what it is asked with, --context and DOCKER_HOST choose another", err)
	}
	return nil
}

// has reports whether the API that was negotiated has what came with version.
func has(api client.APIClient, version string) bool {
	return versions.GreaterThanOrEqualTo(api.ClientVersion(), version)
}

// once is a question that is asked at most once, and goes on when the first who asked no longer waits.
type once[T any] struct {
	start sync.Once
	done  chan struct{}
	value T
	err   error
}

func (o *once[T]) get(ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	o.start.Do(func() {
		o.done = make(chan struct{})
		go func() {
			defer close(o.done)
			o.value, o.err = ask(context.WithoutCancel(ctx))
		}()
	})
	select {
	case <-o.done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, stopped(ctx, "waiting for the Docker daemon")
	}
}
