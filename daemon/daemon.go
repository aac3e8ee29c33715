// Package daemon talks to a Docker daemon: it finds, tags, pushes and pulls images, reports which registries the
// daemon reaches without TLS, and runs the containers, networks and volumes of tasks. It is the only package that
// knows the Engine API, from version 1.24 on.
//
// [New] returns a [Daemon] that connects on first use, to the endpoint that the docker CLI is set up for
// ([FromCLI]: a docker context, DOCKER_HOST, --host). Whether an image of the daemon is the one that is wanted is
// decided by package manifest; when a container runs, by package run.
package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
)

const (
	// reachTimeout bounds the first request to a daemon.
	reachTimeout = 10 * time.Second
	// answerTimeout bounds a request for information.
	answerTimeout = 30 * time.Second
)

// Versions of the Engine API that added what is used where it is available.
const (
	apiCPUs         = "1.25" // a limit of CPUs
	apiMounts       = "1.25" // mounts that are no binds
	apiBuildKit     = "1.39" // BuildKit on request
	apiPushPlatform = "1.46" // push of one platform
	apiManifests    = "1.48" // manifests and descriptor in image inspect
	apiSavePlatform = "1.48" // export of one platform
)

// Daemon is a client of a daemon that connects at the first request. It implements [run.Containers], [run.Resources] and
// [run.Archives], and [manifest.Images] except that Push also takes the stream for its progress.
type Daemon struct {
	connect func() (client.APIClient, error)
	auth    Auth

	reachTimeout, answerTimeout time.Duration
	mayLabel                    func() bool // the machine may have SELinux

	api    memo.Once[client.APIClient]
	hello  types.Ping // the answer to the first ping
	about  memo.Once[system.Info]
	podman memo.Once[bool]
	empty  memo.Once[string] // ID of the image without files, which has the labels of its first user
}

// Auth returns what is sent as X-Registry-Auth for actions ("pull") on a repository of host.
type Auth func(ctx context.Context, host, repository string, actions []string) (string, error)

// New returns the daemon that connect connects to, see [FromCLI]. Pushes and pulls send what auth returns.
func New(connect func() (client.APIClient, error), auth Auth) *Daemon {
	return &Daemon{
		connect: connect, auth: auth, reachTimeout: reachTimeout, answerTimeout: answerTimeout, mayLabel: hasSELinux,
		api: memo.Once[client.APIClient]{KeepErrors: true}, about: memo.Once[system.Info]{KeepErrors: true},
	}
}

// client returns the negotiated API of the daemon. A daemon that could not be reached is not tried again.
func (d *Daemon) client(ctx context.Context) (client.APIClient, error) {
	return once(ctx, &d.api, d.reach)
}

func (d *Daemon) reach(ctx context.Context) (client.APIClient, error) {
	api, err := d.connect()
	if err != nil {
		return nil, unreachable("", err)
	}
	ping, err := d.ping(ctx, api)
	if err != nil {
		return nil, err
	}
	api.NegotiateAPIVersionPing(ping)
	d.hello = ping
	return api, nil
}

// ping returns the answer of a daemon, or an errdefs.ErrUnavailable error if it does not answer in time.
func (d *Daemon) ping(ctx context.Context, api client.APIClient) (types.Ping, error) {
	pinging, cancel := context.WithTimeout(ctx, d.reachTimeout)
	defer cancel()
	var ping types.Ping
	var err error
	done := make(chan struct{})
	go func() { // a connection helper may ignore the end of the context
		defer close(done)
		ping, err = api.Ping(pinging)
	}()
	select {
	case <-done:
	case <-pinging.Done():
	}
	switch {
	case ctx.Err() != nil:
		return types.Ping{}, stopped(ctx, "waiting for the Docker daemon")
	case pinging.Err() != nil:
		return types.Ping{}, silent(api.DaemonHost(), d.reachTimeout)
	case err != nil && ping.APIVersion == "":
		return types.Ping{}, unreachable(api.DaemonHost(), err)
	}
	return ping, nil
}

// Reach returns an errdefs.ErrUnavailable error when the daemon cannot be reached.
func (d *Daemon) Reach(ctx context.Context) error {
	_, err := d.client(ctx)
	return err
}

// info returns what the daemon reports about itself. It is asked once, and not again after an error.
func (d *Daemon) info(ctx context.Context) (system.Info, error) {
	return once(ctx, &d.about, func(ctx context.Context) (system.Info, error) {
		ctx, cancel := context.WithTimeout(ctx, d.answerTimeout)
		defer cancel()
		api, err := d.client(ctx)
		if err != nil {
			return system.Info{}, err
		}
		info, err := api.Info(ctx)
		return info, failed(ctx, api, err, "reading the settings of the Docker daemon")
	})
}

// has reports whether the negotiated API is of this version or a later one.
func has(api client.APIClient, version string) bool {
	return versions.GreaterThanOrEqualTo(api.ClientVersion(), version)
}

// isPodman reports whether the daemon is podman, which names images without a registry localhost/NAME, and reports less.
// Only one that calls itself experimental, as podman does, is asked.
func (d *Daemon) isPodman(ctx context.Context, api client.APIClient) (bool, error) {
	if !d.hello.Experimental {
		return false, nil
	}
	return once(ctx, &d.podman, func(ctx context.Context) (bool, error) {
		version, err := api.ServerVersion(ctx)
		return slices.ContainsFunc(version.Components, func(c types.ComponentVersion) bool { return c.Name == "Podman Engine" }), err
	})
}

// once returns the value of o, which ask computes at the first call.
func once[T any](ctx context.Context, o *memo.Once[T], ask func(context.Context) (T, error)) (T, error) {
	value, err := o.Do(ctx, func() (T, error) { return ask(ctx) })
	if err != nil && errors.Is(err, ctx.Err()) && !errdefs.IsUnavailable(err) {
		err = stopped(ctx, "waiting for the Docker daemon")
	}
	return value, err
}
