package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Push has the daemon send the image called name to the registry in its name, all of it or, unless platform is nil, only
// the manifest of that platform, and reports the progress of its layers unless progress is nil. It returns the digest that
// name then has in the registry, as the daemon reports it: if only one platform of an index is available, the daemon pushes
// the manifest of that platform. The digest is "" if podman does not report it. The error is errdefs.ErrNotImplemented if
// the daemon cannot push one platform (before API 1.46), errdefs.ErrFailedPrecondition if it lacks content of the image,
// errdefs.ErrNotFound if it does not have name (any more), errdefs.ErrAborted if the registry lacks a blob of the image
// that it was sent, errdefs.ErrUnavailable if the daemon cannot be reached or its connection breaks.
func (d *Daemon) Push(ctx context.Context, name reference.NamedTagged, platform *ocispec.Platform, progress manifest.Progress) (digest.Digest, error) {
	what := "pushing " + manifest.Familiar(name)
	api, err := d.client(ctx)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if platform != nil && !has(api, apiPushPlatform) {
		return "", manifest.Errorf(errdefs.ErrNotImplemented, "%s: the Docker daemon cannot push only %s: that needs API %s, and it has %s; update the daemon",
			what, manifest.FormatPlatform(*platform), apiPushPlatform, api.ClientVersion())
	}
	header, err := d.auth(ctx, reference.Domain(name), reference.Path(name), []string{"pull", "push"})
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	body, err := api.ImagePush(ctx, name.String(), image.PushOptions{RegistryAuth: header, Platform: platform})
	if err != nil {
		return "", failed(ctx, api, err, what)
	}
	defer body.Close()
	pushed, err := follow(body, name.Tag(), progress)
	var refused *refusal
	switch {
	case err != nil && ctx.Err() != nil:
		return "", stopped(ctx, what)
	case errors.As(err, &refused):
		podman, _ := d.isPodman(ctx, api)
		return "", refused.of(what, "pushes", reference.Domain(name), podman)
	case err != nil:
		return "", fmt.Errorf("%s: %w", what, err)
	case pushed != "":
		return pushed, nil
	}
	if podman, err := d.isPodman(ctx, api); podman && err == nil {
		return "", nil // some of its versions do not report the digest
	}
	return inspectPushed(ctx, api, name, platform)
}

// follow reads the stream of a push to its end and returns the digest that it reported, "" for none.
func follow(body io.Reader, tag string, progress manifest.Progress) (digest.Digest, error) {
	stream := newMessageStream(body, tag)
	err := track(stream, progress)
	var refused *refusal
	switch {
	case stream.missing:
		return "", manifest.Errorf(errdefs.ErrFailedPrecondition, "the Docker daemon does not have all content of the image; "+
			"pull or build it again for all its platforms")
	case errors.As(err, &refused):
		return "", err
	case err != nil:
		return "", manifest.Errorf(errors.Join(errdefs.ErrUnavailable, err), "the connection to the Docker daemon broke (%s); "+
			"it is unknown what was pushed", clean(err.Error()))
	}
	return stream.digest, nil
}

// inspectPushed returns the digest that the daemon has for a pushed name, for streams without one.
func inspectPushed(ctx context.Context, api client.APIClient, name reference.Named, platform *ocispec.Platform) (digest.Digest, error) {
	what := "pushing " + manifest.Familiar(name)
	found, err := inspect(ctx, api, name)
	if err != nil {
		return "", failed(ctx, api, err, what)
	}
	if platform == nil && found.Descriptor != nil && found.Descriptor.Digest.Validate() == nil {
		return found.Descriptor.Digest, nil
	}
	for _, m := range found.Manifests {
		if platform != nil && m.ImageData != nil && m.Available && (manifest.Platform{Platform: *platform}).Matches(m.ImageData.Platform) {
			return m.Descriptor.Digest, m.Descriptor.Digest.Validate()
		}
	}
	return "", manifest.Errorf(errdefs.ErrUnavailable, "%s: the connection to the Docker daemon broke; it is unknown what was pushed", what)
}

// track reports the messages of a push to progress, unless that is nil, until the stream ends.
func track(stream *messageStream, progress manifest.Progress) error {
	sizes := map[string]int64{} // the messages that end a layer do not have it
	for {
		raw, err := stream.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var m struct {
			ID, Status     string
			ProgressDetail struct{ Current, Total int64 }
		}
		if progress == nil || json.Unmarshal(raw, &m) != nil || m.ID == "" {
			continue
		}
		t := manifest.Transfer{ID: m.ID, State: stateOf(m.Status), Sent: m.ProgressDetail.Current}
		if m.ProgressDetail.Total > 0 {
			sizes[m.ID] = m.ProgressDetail.Total
		}
		if t.Blob = (ocispec.Descriptor{Size: sizes[m.ID]}); t.State == manifest.Sent {
			t.Sent = t.Blob.Size
		}
		progress.Blob(t)
	}
}

// stateOf returns the state of a layer that a daemon with either store reports.
func stateOf(status string) manifest.TransferState {
	switch {
	case status == "Pushing":
		return manifest.Sending
	case status == "Pushed":
		return manifest.Sent
	case strings.HasSuffix(strings.ToLower(status), "already exists"):
		return manifest.Present
	case strings.HasPrefix(status, "Mounted from"):
		return manifest.Mounted
	}
	return manifest.Waiting
}
