package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task/run"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

var _ run.Archives = (*Daemon)(nil)

// volumeDir is where a volume is in the container through which it is reached.
const volumeDir = "/volume"

// Send unpacks a tar stream into a volume, over existing files. Devices, pipes and sockets are skipped, and
// no path leads out of the volume. The error is errdefs.ErrNotFound when there is no such volume.
func (d *Daemon) Send(ctx context.Context, volume string, content io.Reader) error {
	what := "sending files to volume " + clean(volume)
	api, id, err := d.reachVolume(ctx, volume, what)
	if err != nil {
		return err
	}
	faults := make(chan error, 1)
	files := plain(content, func(err error) error { faults <- err; return err })
	defer files.Close()
	err = api.CopyToContainer(ctx, id, volumeDir, files, container.CopyToContainerOptions{AllowOverwriteDirWithFile: true})
	if err != nil {
		err = sendError(ctx, api, err, faults, what)
	}
	return errors.Join(err, discard(ctx, api, id))
}

// sendError returns the error for a stream that did not arrive: that of its reader, for which the client blames the connection.
func sendError(ctx context.Context, api client.APIClient, err error, faults <-chan error, what string) error {
	select {
	case fault := <-faults:
		if ctx.Err() == nil && !errors.Is(fault, io.ErrClosedPipe) { // by the client, when the daemon wants no more
			return fmt.Errorf("%s: reading them: %w", what, fault)
		}
	default:
	}
	return failed(ctx, api, err, what)
}

// Receive returns the content of a volume without devices, pipes and sockets. It ends with io.EOF only when
// it is complete. The error is errdefs.ErrNotFound when there is no such volume.
func (d *Daemon) Receive(ctx context.Context, volume string) (io.ReadCloser, error) {
	what := "receiving files from volume " + clean(volume)
	api, id, err := d.reachVolume(ctx, volume, what)
	if err != nil {
		return nil, err
	}
	body, _, err := api.CopyFromContainer(ctx, id, volumeDir+"/.")
	if err != nil {
		return nil, errors.Join(failed(ctx, api, err, what), discard(ctx, api, id))
	}
	files := plain(body, func(err error) error {
		if ctx.Err() != nil {
			return stopped(ctx, what)
		}
		return manifest.Errorf(errdefs.ErrUnavailable, "%s: the connection to the Docker daemon broke (%s)", what, clean(err.Error()))
	})
	return &received{files, sync.OnceValue(func() error {
		return errors.Join(files.Close(), body.Close(), discard(ctx, api, id))
	})}, nil
}

// Mount returns an error if a volume cannot be mounted.
func (d *Daemon) Mount(ctx context.Context, volume string) error {
	what := "mounting volume " + clean(volume)
	api, id, err := d.reachVolume(ctx, volume, what)
	if err != nil {
		return err
	}
	_, err = api.ContainerStatPath(ctx, id, volumeDir)
	return errors.Join(failed(ctx, api, err, what), discard(ctx, api, id))
}

// received is a stream with its cleanup.
type received struct {
	io.Reader
	close func() error
}

func (r *received) Close() error { return r.close() }

// reachVolume makes a container that has the volume and is never started. It has the labels of the volume,
// so that whoever cleans up by label removes it too.
func (d *Daemon) reachVolume(ctx context.Context, volume, what string) (api client.APIClient, id string, err error) {
	if api, err = d.client(ctx); err != nil {
		return nil, "", fmt.Errorf("%s: %w", what, err)
	}
	v, err := api.VolumeInspect(ctx, volume) // creating a container would create the volume
	if err != nil {
		return nil, "", failed(ctx, api, err, what)
	}
	for range 2 {
		var empty string
		if empty, err = d.empty.Do(ctx, func() (string, error) { return importEmpty(ctx, api, v.Labels) }); err != nil {
			return nil, "", failed(ctx, api, err, what)
		}
		s := settings{
			config: container.Config{Image: empty, Cmd: []string{"none"}, Labels: v.Labels},
			host:   container.HostConfig{Binds: []string{volume + ":" + volumeDir}, NetworkMode: network.NetworkNone},
		}
		if id, _, err = create(ctx, api, s, what); !errdefs.IsNotFound(err) {
			break
		}
		d.forgetEmpty() // pruned meanwhile
	}
	return api, id, err
}

func (d *Daemon) forgetEmpty() { d.empty.Drop(func(string) bool { return true }) }

// importEmpty creates an image without files and returns its ID.
func importEmpty(ctx context.Context, api client.APIClient, labels map[string]string) (string, error) {
	ctx, cancel := outlast(ctx)
	defer cancel()
	var options image.ImportOptions
	for key, value := range labels {
		options.Changes = append(options.Changes, fmt.Sprintf("LABEL %s=%s", quoted(key), quoted(value)))
	}
	const endOfTar = 1024
	empty := image.ImportSource{Source: bytes.NewReader(make([]byte, endOfTar)), SourceName: "-"}
	body, err := api.ImageImport(ctx, empty, "", options)
	if err != nil {
		return "", err
	}
	defer body.Close()
	messages := newMessageStream(body, "")
	if _, err := io.Copy(io.Discard, messages); err != nil {
		return "", err
	}
	return messages.status, nil
}

// quoted returns text as a word of a Dockerfile.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(text) + `"`
}
