package registry

import (
	"context"
	"errors"
	"regexp"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// inventories are the listings that registries have of their own, by the host names of those registries.
var inventories = []struct {
	host *regexp.Regexp
	of   func(repository) (request, func(page) ([]manifest.Listed, error))
	// tags is what a token has to permit besides pull for the list of tags, "" for nothing.
	tags string
}{
	{regexp.MustCompile(`\.azurecr\.(io|cn|us)(:\d+)?$`), azure, metadataRead},
	{regexp.MustCompile(`^(([^/]+\.)?gcr\.io|[^/]+-docker\.pkg\.dev)(:\d+)?$`), google, ""},
}

// Inventory returns all manifests of a repository as the registry's own listing has them. The error is
// errdefs.ErrNotImplemented for a registry that offers none, since the distribution spec has a listing of
// tags alone, or does not show it to this account.
func (c *Client) Inventory(ctx context.Context, repo reference.Named) ([]manifest.Listed, error) {
	p, err := c.repository(repo)
	if err != nil {
		return nil, err
	}
	for _, own := range inventories {
		if own.host.MatchString(p.name) {
			r, read := own.of(p)
			return p.inventory(ctx, r, reading(repo, r.what, read))
		}
	}
	return nil, p.withoutInventory()
}

// tagsScope is what a token for the list of tags is for.
func (p repository) tagsScope() string {
	for _, own := range inventories {
		if own.tags != "" && own.host.MatchString(p.name) {
			return pullScope(p.repo) + "," + own.tags
		}
	}
	return pullScope(p.repo)
}

func (p repository) withoutInventory() error {
	return manifest.Errorf(errdefs.ErrNotImplemented, "%s lists tags alone: manifests without a tag cannot be seen", p.name)
}

// reading is read with a check of what it returns.
func reading(repo reference.Named, what string, read func(page) ([]manifest.Listed, error)) func(page) ([]manifest.Listed, error) {
	return func(p page) ([]manifest.Listed, error) {
		listed, err := read(p)
		if err == nil {
			err = checkListed(repo, listed)
		}
		if err != nil && !errdefs.IsNotImplemented(err) {
			err = unlisted(what, err)
		}
		return listed, err
	}
}

// inventory reads the pages of a listing. That it is none is told by read, or by what the registry answers.
func (p repository) inventory(ctx context.Context, r request, read func(page) ([]manifest.Listed, error)) ([]manifest.Listed, error) {
	var all []manifest.Listed
	err := p.pages(ctx, r, func(page page) error {
		listed, err := read(page)
		all = append(all, listed...)
		return err
	})
	var answer *Error
	switch {
	case !errors.As(err, &answer):
	case errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err):
		p.client.warn("%v; going on with the tags alone", err)
		fallthrough
	case errdefs.IsNotFound(err) || errdefs.IsNotImplemented(err):
		err = p.withoutInventory()
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// checkListed returns an error when a listing has what is neither a digest nor a tag.
func checkListed(repo reference.Named, listed []manifest.Listed) error {
	for _, l := range listed {
		if err := l.Digest.Validate(); err != nil {
			return manifest.Errorf(errdefs.ErrInvalidArgument, "%q is no digest", l.Digest)
		}
		if err := checkTags(repo, l.Tags); err != nil {
			return err
		}
	}
	return nil
}
