package publish

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Clients reach registries and the daemon for Create and Push, and report what a person should know.
type Clients struct {
	Registry manifest.Registry
	Images   manifest.Images
	Reporter manifest.Reporter
	// Names lists the familiar names of the daemon's images; nil if nobody can.
	Names func(ctx context.Context) ([]string, error)
	// Context returns the daemon of a docker context as Images, and its Names.
	Context func(name string) (manifest.Images, func(ctx context.Context) ([]string, error))
	// Mirror copies an image or index, with everything below it, to the repository of to, without a tag.
	Mirror func(ctx context.Context, from reference.Canonical, to reference.Named) error
}

// at returns the clients with the daemon that ref names, and the name of the image there.
func (c Clients) at(ref reference.Named) (Clients, reference.Named) {
	name, image := manifest.OfContext(ref)
	if name != "" {
		c.Images, c.Names = c.Context(name)
	}
	return c, image
}

// find returns the image that ref names in its daemon. Its Name names the docker context if ref does.
func (c Clients) find(ctx context.Context, ref reference.Named) (manifest.Local, error) {
	docker, name := manifest.OfContext(ref)
	if docker == "" {
		return c.Images.Find(ctx, name)
	}
	c, _ = c.at(ref)
	local, err := c.Images.Find(ctx, name)
	switch {
	case errdefs.IsUnavailable(err):
		return local, manifest.WithHint(fmt.Errorf("docker context %s: %w", docker, err), "list the existing ones: docker context ls")
	case err != nil:
		return local, err
	}
	local.Name = manifest.InContext(docker, local.Name)
	return local, nil
}

// dockerFor is the docker command for the daemon that has an image, in a hint.
func dockerFor(ref reference.Named) string {
	name, _ := manifest.OfContext(ref)
	return manifest.DockerCommand(name)
}

// daemonOf names the daemon of an image in an error.
func daemonOf(ref reference.Named) string {
	if name, _ := manifest.OfContext(ref); name != "" {
		return "the daemon of docker context " + name
	}
	return "the daemon"
}
