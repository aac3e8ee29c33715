package daemon

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/docker/api/types/image"
	"github.com/opencontainers/go-digest"
)

// maxNames bounds what List returns.
const maxNames = 1000

// Tag adds a name to the image with this ID and removes it from any other image. The error
// is errdefs.ErrNotFound when there is no such image.
func (d *Daemon) Tag(ctx context.Context, id digest.Digest, as reference.NamedTagged) error {
	api, err := d.client(ctx)
	if err != nil {
		return err
	}
	err = api.ImageTag(ctx, id.String(), as.String())
	return failed(ctx, api, err, fmt.Sprintf("tagging image %s as %s", id, manifest.Familiar(as)))
}

// Untag removes a name, and the image too if it was its last one. The error is errdefs.ErrNotFound
// when the daemon does not know the name.
func (d *Daemon) Untag(ctx context.Context, name reference.NamedTagged) error {
	api, err := d.client(ctx)
	if err != nil {
		return err
	}
	_, err = api.ImageRemove(ctx, name.String(), image.RemoveOptions{}) // the full name is never taken for an ID
	if errdefs.IsNotFound(err) && ctx.Err() == nil {
		return notFound(name)
	}
	return failed(ctx, api, err, "untagging "+manifest.Familiar(name))
}

// List returns the familiar names of the daemon's images for shell completion, newest image first, at most
// 1,000.
func (d *Daemon) List(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.answerTimeout)
	defer cancel()
	api, err := d.client(ctx)
	if err != nil {
		return nil, err
	}
	images, err := api.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return nil, failed(ctx, api, err, "listing images")
	}
	prefix := ""
	if podman, err := d.isPodman(ctx, api); podman && err == nil { // whose localhost is no registry
		prefix = podmanLocal
	}
	var names []string
	for _, img := range images {
		for _, tag := range img.RepoTags {
			tag = strings.TrimPrefix(tag, prefix)
			name, err := reference.ParseNormalizedNamed(tag)
			if err != nil { // "<none>:<none>"
				continue
			}
			if names = append(names, reference.FamiliarString(name)); len(names) == maxNames {
				return names, nil
			}
		}
	}
	return names, nil
}
