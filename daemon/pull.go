package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"
)

// Pull makes the daemon pull an image for a platform, "" for its own, from its registry; "latest" is the tag of a name that
// has none. Its progress goes to out, a line for each step. The error is errdefs.ErrInvalidArgument when name is no
// reference, errdefs.ErrUnauthenticated when the registry wants a login, errdefs.ErrNotFound when it does
// not have the image, errdefs.ErrUnavailable when the daemon cannot be reached or its connection breaks.
func (d *Daemon) Pull(ctx context.Context, name, platform string, out io.Writer) error {
	what := "pulling " + clean(name)
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: %s", what, clean(err.Error()))
	}
	api, err := d.client(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	header, err := d.auth(ctx, reference.Domain(ref), reference.Path(ref), []string{"pull"})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	err = pull(ctx, api, ref, image.PullOptions{RegistryAuth: header, Platform: platform}, out)
	var refused *refusal
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return stopped(ctx, what)
	case errors.As(err, &refused):
		podman, _ := d.isPodman(ctx, api)
		return manifest.Errorf(err, "%w", refused.of(what, "pulls", reference.Domain(ref), podman))
	}
	return fmt.Errorf("%s: %w", what, err)
}

func pull(ctx context.Context, api client.APIClient, ref reference.Named, options image.PullOptions, out io.Writer) error {
	body, err := api.ImagePull(ctx, ref.String(), options)
	switch {
	case client.IsErrConnectionFailed(err):
		return unreachable(api.DaemonHost(), err)
	case err != nil: // a graph-driver store contacts the registry before it answers
		return manifest.Errorf(err, "%w", &refusal{text: err.Error()})
	}
	defer body.Close()
	err = jsonmessage.DisplayJSONMessagesStream(newMessageStream(body, ""), out, 0, false, nil)
	var refused *refusal
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return manifest.Errorf(errors.Join(errdefs.ErrUnavailable, err), "the connection to the Docker daemon broke (%s); try again", clean(err.Error()))
}
