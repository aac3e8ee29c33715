package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// nowhere is the error for a plain name, for which the daemon was asked first, with its hint and the kind of the registry's error.
func nowhere(ref reference.Named, daemon, registry error) error {
	if errdefs.IsNotFound(registry) {
		return manifest.Errorf(errdefs.ErrNotFound, "%w (and the registry %s does not have it)", daemon, reference.Domain(ref))
	}
	err := fmt.Errorf("%s (and %w)", daemon.Error(), registry)
	if hint := manifest.Hint(daemon); hint != "" {
		return manifest.WithHint(err, "%s", hint)
	}
	return err
}

// notFound is the error for a name for which the registry was asked first, with the kind of its error.
func notFound(ref reference.Named, registry, daemon error) error {
	switch host := reference.Domain(ref); {
	case !errdefs.IsNotFound(registry):
		return fmt.Errorf("%w (and %s)", registry, daemon.Error())
	case errdefs.IsNotFound(daemon):
		return manifest.Errorf(errdefs.ErrNotFound, "no such manifest: %s: it is neither in the registry %s nor in the daemon (%w)", ref, host, daemon)
	default:
		return manifest.Errorf(errdefs.ErrNotFound, "no such manifest: %s: it is not in the registry %s, and the daemon could not be asked (%w)", ref, host, daemon)
	}
}

// notInDaemon returns the error of the daemon for an image; if it does not have it, with the names that may be meant.
func (r *resolver) notInDaemon(ctx context.Context, ref reference.Named, err error) error {
	if !errdefs.IsNotFound(err) {
		return err
	}
	err = manifest.Errorf(errdefs.ErrNotFound, "no image %s in %s", manifest.Familiar(ref), daemonOf(ref))
	clients, name := r.at(ref)
	if clients.Names == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, daemonNeeded)
	defer cancel()
	names, listErr := clients.Names(ctx)
	if listErr != nil {
		return err
	}
	similar, nearest := similarImages(name, names)
	if len(similar) == 0 {
		return err
	}
	err = manifest.Errorf(errdefs.ErrNotFound, "%w; it has %s", err, manifest.OneLine(manifest.JoinSome(similar), maxSimilar))
	if nearest != "" {
		return manifest.WithHint(err, "did you mean: %s%s", strings.TrimSuffix(manifest.Familiar(ref), manifest.Familiar(name)), nearest)
	}
	return err
}

// maxSimilar bounds the bytes of names in an error.
const maxSimilar = 300

// similarImages returns the familiar names in ref's repository, otherwise the one that is nearest to it, and the nearest.
func similarImages(ref reference.Named, names []string) (similar []string, nearest string) {
	for _, name := range names {
		if strings.HasPrefix(name, reference.FamiliarName(ref)+":") {
			similar = append(similar, name)
		}
	}
	slices.Sort(similar)
	if len(similar) > 0 {
		return similar, manifest.Nearest(manifest.Familiar(ref), similar)
	}
	if nearest = manifest.Nearest(manifest.Familiar(ref), names); nearest != "" {
		similar = []string{nearest}
	}
	return similar, nearest
}

// OnlyInDaemon returns err, the error of a registry for name, and says if the daemon has an image of that name. A daemon that
// does not answer within daemonCompared is ignored.
func OnlyInDaemon(ctx context.Context, images manifest.Images, name reference.Named, err error) error {
	if manifest.IsLayout(name) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, daemonCompared)
	defer cancel()
	if local, localErr := images.Find(ctx, name); localErr == nil {
		err = fmt.Errorf("%w; the daemon has an image of that name", err)
		return manifest.WithHint(err, "docker image inspect %s", manifest.Familiar(local.Name))
	}
	return err
}
