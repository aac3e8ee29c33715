package repository

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// ListRepositories returns the paths of the repositories of a registry that match filter,
// sorted. The error says so when the registry has no catalog of them.
func ListRepositories(ctx context.Context, l manifest.Lister, registry string, filter manifest.Pattern) ([]string, error) {
	all, err := l.Repositories(ctx, registry)
	refused := errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err)
	switch {
	case errdefs.IsNotFound(err) || errdefs.IsNotImplemented(err) || refused && registry == manifest.DockerHub:
		return nil, manifest.Errorf(errdefs.ErrNotImplemented, "%s does not list its repositories: it has no catalog (%v); give the name of one to 'docker multiarch repo tags'", registry, err)
	case refused:
		return nil, fmt.Errorf("%s does not list its repositories to this account; many registries do that for administrators alone: %w", registry, err)
	case err != nil:
		return nil, err
	}
	all = slices.DeleteFunc(all, func(name string) bool { return !filter.Match(name) })
	slices.Sort(all)
	return slices.Compact(all), nil
}
