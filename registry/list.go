package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

const (
	// pageSize is the number of names to request per page: as many as most registries return.
	pageSize = 1000
	// maxPages, maxPage and maxListing bound a listing: in pages, in bytes of a page, and in total bytes.
	maxPages   = 10_000
	maxPage    = 16 << 20
	maxListing = 256 << 20
)

// catalogScope is the scope of a token for the catalog of a registry.
const catalogScope = "registry:catalog:*"

// Repositories returns the paths of all repositories that the catalog of a registry, named as in a
// reference, has, in its order:
// https://distribution.github.io/distribution/spec/api/#listing-repositories.
func (c *Client) Repositories(ctx context.Context, registry string) ([]string, error) {
	h, err := c.host(registry)
	if err != nil {
		return nil, err
	}
	var all []string
	err = h.pages(ctx, request{
		method: http.MethodGet, what: "catalog", path: "_catalog", query: sized(), scopes: []string{catalogScope},
	}, func(p page) error {
		var got struct{ Repositories []string }
		if err := json.Unmarshal(p.body, &got); err != nil {
			return unlisted("catalog of "+h.name, err)
		}
		all = append(all, got.Repositories...)
		return nil
	})
	return all, err
}

// Tags returns all tags of the repository that repo names, in the registry's order:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags. The error is
// errdefs.ErrNotFound when there is no such repository.
func (c *Client) Tags(ctx context.Context, repo reference.Named) ([]string, error) {
	p, err := c.repository(repo)
	if err != nil {
		return nil, err
	}
	var all []string
	err = p.pages(ctx, request{
		method: http.MethodGet, what: "tags of " + p.typed,
		repo: p.repo, path: "tags/list", query: sized(), scopes: []string{p.tagsScope()},
	}, func(page page) error {
		var got struct{ Tags []string }
		if err := json.Unmarshal(page.body, &got); err != nil {
			return unlisted("tags of "+p.typed, err)
		}
		if err := checkTags(repo, got.Tags); err != nil {
			return unlisted("tags of "+p.typed, err)
		}
		all = append(all, got.Tags...)
		return nil
	})
	return all, err
}

// Referrers returns descriptors of the manifests whose subject is the given one, from the referrers API:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers. The error is
// errdefs.ErrNotImplemented when the registry does not have that API.
func (c *Client) Referrers(ctx context.Context, subject reference.Canonical) ([]ocispec.Descriptor, error) {
	p, err := c.repository(subject)
	if err != nil {
		return nil, err
	}
	r := request{
		method: http.MethodGet, what: "referrers of " + manifest.Familiar(subject),
		repo: p.repo, path: "referrers/" + subject.Digest().String(),
		header: http.Header{"Accept": {ocispec.MediaTypeImageIndex}}, scopes: []string{pullScope(p.repo)},
	}
	without := manifest.Errorf(errdefs.ErrNotImplemented, "%s has no referrers API for %s", p.name, p.typed)
	if _, known := p.withoutReferrers.Load(p.repo); known {
		return nil, without
	}
	var all []ocispec.Descriptor
	err = p.pages(ctx, r, func(page page) error {
		if page.mediaType != ocispec.MediaTypeImageIndex {
			return without
		}
		referrers, _, err := manifest.ParseIndex(page.body)
		if err != nil {
			return fmt.Errorf("referrers of %s: %w", manifest.Familiar(subject), err)
		}
		all = append(all, referrers...)
		return nil
	})
	if errdefs.IsNotFound(err) {
		err = without
	}
	if errdefs.IsNotImplemented(err) {
		p.withoutReferrers.Store(p.repo, true)
	}
	return all, err
}

// checkTags returns an error for an invalid tag.
func checkTags(repo reference.Named, tags []string) error {
	for _, tag := range tags {
		if _, err := reference.WithTag(repo, tag); err != nil {
			return fmt.Errorf("%q is not a tag", tag)
		}
	}
	return nil
}

func sized() url.Values { return url.Values{"n": {strconv.Itoa(pageSize)}} }

// unlisted returns the error for a listing that cannot be read.
func unlisted(what string, err error) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "the %s cannot be read: %w", what, err)
}
