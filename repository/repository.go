// Package repository lists what a repository of a registry has, and removes from it.
//
// A [Snapshot] is what one run reads of a repository: the registry's inventory of manifests or, from the many registries
// that have none, the tags, then the manifests below them, and how these are related. [Manifests] and [Show] make a
// [Record] of each manifest; [Tags] only reads what its [Query] asks for.
//
// [Purge] (what a [Selection] matches) and [Remove] (what is named) turn a snapshot into a plan: steps that leave whatever
// is kept complete. Once the plan is confirmed the steps are carried out in batches, each recorded before, so that [Restore]
// can undo it. The tags are listed again before each batch and after the last: what others have pushed is kept, and a
// deleted manifest that it needs is put back. [Untag] and [PurgeTags] remove only tags, and put back a manifest that the
// registry deletes with one.
//
// The package reaches a registry through interfaces. It knows neither a daemon nor the local lists.
package repository

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Registry is what removals use of a registry.
type Registry interface {
	manifest.Reader
	manifest.Deleter
	// Put stores the bytes of c with its media type under the tag or digest of ref, and under tags.
	Put(ctx context.Context, ref reference.Named, c manifest.Content, tags ...string) error
}

// Repositories returns the paths of the repositories of a registry that match filter, sorted. The error is
// errdefs.ErrNotImplemented if the registry has no catalog of them.
func Repositories(ctx context.Context, l manifest.Lister, registry string, filter manifest.Pattern) ([]string, error) {
	all, err := l.Repositories(ctx, registry)
	refused := errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err)
	switch {
	case errdefs.IsNotFound(err) || errdefs.IsNotImplemented(err) || refused && registry == manifest.DockerHub:
		err = manifest.Errorf(errdefs.ErrNotImplemented, "%s does not list its repositories: it has no catalog (%v)", registry, err)
		return nil, manifest.WithHint(err, "docker multiarch repo tags %s/REPOSITORY", registry)
	case refused:
		return nil, fmt.Errorf("%s does not list its repositories for this account; many registries do so only for administrators: %w", registry, err)
	case err != nil:
		return nil, err
	}
	all = slices.DeleteFunc(all, func(name string) bool { return !filter.Match(name) })
	slices.Sort(all)
	return slices.Compact(all), nil
}

// tagNames returns the tags of a repository, and other names that are listed among them. The error is errdefs.ErrNotFound
// if there is no such repository.
func tagNames(ctx context.Context, l manifest.Lister, repo reference.Named) (tags, others []string, err error) {
	tags, others, err = l.Tags(ctx, repo)
	if errdefs.IsNotFound(err) {
		err = manifest.WithHint(fmt.Errorf("no such repository: %s: %w", reference.FamiliarName(repo), err),
			"docker multiarch repo ls %s", reference.Domain(repo))
	}
	return tags, others, err
}

// references returns the references of tags or manifests of a repository.
func references[T any, R reference.Named](repo reference.Named, of []T, at func(reference.Named, T) R) []reference.Named {
	var out []reference.Named
	for _, one := range of {
		out = append(out, at(repo, one))
	}
	return out
}
