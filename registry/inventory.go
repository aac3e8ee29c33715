package registry

import (
	"context"
	"errors"
	"net/http"
	"regexp"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// inventories are the listings of manifests that some registries have, by the host names of those registries.
var inventories = []struct {
	host func() *regexp.Regexp
	of   func(repository) (listing, func(page) ([]manifest.Listed, error))
	// tags is the action that a token needs in addition to pull for the list of tags, "" for none.
	tags string
}{
	{azureHost, azure, metadataRead},
	{lazyregexp.New(`^(([^/]+\.)?gcr\.io|[^/]+-docker\.pkg\.dev)(:\d+)?$`), google, ""},
}

// Inventory returns all manifests of a repository from the registry's own listing. The error is
// errdefs.ErrNotImplemented for a registry that has none, since the distribution spec lists only tags, or that does not
// permit it to this account.
func (c *Client) Inventory(ctx context.Context, repo reference.Named) ([]manifest.Listed, error) {
	p := c.repository(repo)
	for _, own := range inventories {
		if own.host().MatchString(p.name) {
			l, read := own.of(p)
			l.method, l.what, l.repo, l.send.LoginFirst, l.limit = http.MethodGet, "manifests of "+p.typed, p.repo, true, limitManifests
			return p.inventory(ctx, l, p.reading(repo, l.what, read))
		}
	}
	return nil, p.withoutInventory()
}

// tagsScope is the scope of a token for the list of tags.
func (p repository) tagsScope() string {
	for _, own := range inventories {
		if own.tags != "" && own.host().MatchString(p.name) {
			return pullScope(p.repo) + "," + own.tags
		}
	}
	return pullScope(p.repo)
}

func (p repository) withoutInventory() error {
	return manifest.Errorf(errdefs.ErrNotImplemented, "%s lists only tags: manifests without a tag are not visible", p.name)
}

// reading is read with a check of its result. Without a manifest whose digest is not valid it is not a listing of all.
func (p repository) reading(repo reference.Named, what string, read func(page) ([]manifest.Listed, error)) func(page) ([]manifest.Listed, error) {
	return func(page page) ([]manifest.Listed, error) {
		listed, err := read(page)
		if err != nil && !errdefs.IsNotImplemented(err) {
			err = unlisted(what, err)
		}
		for i := range listed {
			l := &listed[i]
			if l.Digest.Validate() != nil {
				return nil, manifest.Errorf(errdefs.ErrNotImplemented, "the %s cannot be listed: %q is not a digest; using only the list of tags",
					what, manifest.OneLine(l.Digest.String(), maxName))
			}
			l.Tags, l.Others = splitTags(repo, l.Tags)
		}
		return listed, err
	}
}

// inventory reads the pages of a listing. Either read or the answer of the registry shows that there is none.
func (p repository) inventory(ctx context.Context, l listing, read func(page) ([]manifest.Listed, error)) ([]manifest.Listed, error) {
	var all []manifest.Listed
	l.read = func(page page) ([]string, error) {
		listed, err := read(page)
		var names []string
		for _, m := range listed {
			names = append(names, m.Digest.String())
		}
		all = append(all, listed...)
		return names, err
	}
	err := p.list(ctx, l)
	var answer *Error
	switch {
	case !errors.As(err, &answer):
	case errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err):
		p.client.warn("%v; using only the list of tags", err)
		fallthrough
	case errdefs.IsNotFound(err) || errdefs.IsNotImplemented(err):
		err = p.withoutInventory()
	}
	if err != nil {
		return nil, err
	}
	var others []string
	for _, l := range all {
		others = append(others, l.Others...)
	}
	p.skip(others)
	return all, nil
}
