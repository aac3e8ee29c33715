package manifest

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// hub is the name of Docker Hub in references.
const hub = "docker.io"

// ParseRegistry returns the name that the registry s, HOST[:PORT], has in references.
func ParseRegistry(s string) (string, error) {
	named, err := reference.ParseNormalizedNamed(s + "/repository")
	if err != nil || reference.Path(named) != "repository" && s != hub && s != "index."+hub {
		return "", Errorf(errdefs.ErrInvalidArgument, "%q is not a registry: expected HOST[:PORT], as in registry.example.com or localhost:5000", s)
	}
	return reference.Domain(named), nil
}

// ParseRepository returns the repository that s names.
func ParseRepository(s string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q is not a repository (%w): expected [REGISTRY/]REPOSITORY", s, err)
	}
	if !reference.IsNameOnly(named) {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q names more than a repository: give %s alone", s, reference.FamiliarName(named))
	}
	return named, nil
}

// ListRepositories returns the paths of the repositories of a registry that match filter,
// sorted. The error says so when the registry has no catalog of them.
func ListRepositories(ctx context.Context, l Lister, registry string, filter Pattern) ([]string, error) {
	all, err := l.Repositories(ctx, registry)
	refused := errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err)
	switch {
	case errdefs.IsNotFound(err) || errdefs.IsNotImplemented(err) || refused && registry == hub:
		return nil, Errorf(errdefs.ErrNotImplemented, "%s does not list its repositories: it has no catalog (%v); give the name of one to 'docker multiarch repo tags'", registry, err)
	case refused:
		return nil, fmt.Errorf("%s does not list its repositories to this account; many registries do that for administrators alone: %w", registry, err)
	case err != nil:
		return nil, err
	}
	all = slices.DeleteFunc(all, func(name string) bool { return !filter.Match(name) })
	slices.Sort(all)
	return slices.Compact(all), nil
}
