package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// pageSize is the number of names to request per page: as many as most registries return.
const pageSize = 1000

// maxLength bounds what is kept of a name: valid tags and repositories are shorter.
const maxLength = 512

// catalogScope is the scope of a token for the catalog of a registry.
const catalogScope = "registry:catalog:*"

// Repositories returns the paths of all repositories that the catalog of a registry, named as in a
// reference, has, in its order:
// https://distribution.github.io/distribution/spec/api/#listing-repositories.
func (c *Client) Repositories(ctx context.Context, registry string) ([]string, error) {
	h := c.host(registry)
	return h.names(ctx, listing{request: request{
		method: http.MethodGet, what: "catalog of " + h.name, path: "_catalog", send: transport.Request{Scopes: []string{catalogScope}},
	}})
}

// Tags returns all tags of the repository that repo names, in the registry's order:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags. The error is
// errdefs.ErrNotFound when there is no such repository. Others are names that are not valid tags, which is reported.
func (c *Client) Tags(ctx context.Context, repo reference.Named) (tags, others []string, err error) {
	p := c.repository(repo)
	all, err := p.names(ctx, listing{request: request{
		method: http.MethodGet, what: "tags of " + p.typed,
		repo: p.repo, path: "tags/list", send: transport.Request{Scopes: []string{p.tagsScope()}},
	}})
	if err != nil {
		return nil, nil, err
	}
	tags, others = splitTags(repo, all)
	p.skip(others)
	return tags, others, nil
}

// names reads a listing of the tags of a repository, or of the repositories of a registry, and returns each once.
func (h *host) names(ctx context.Context, l listing) ([]string, error) {
	var all []string
	l.size, l.byName, l.send.LoginFirst, l.limit = pageSize, true, true, limitNames
	l.read = func(page page) ([]string, error) {
		var got struct{ Tags, Repositories elements[string] }
		if err := json.Unmarshal(page.body, &got); err != nil {
			return nil, unlisted(l.what, err)
		}
		names := got.Tags
		if l.repo == "" {
			names = got.Repositories
		}
		for i, name := range names {
			if len(name) > maxLength {
				names[i] = strings.Clone(name[:maxLength])
			}
		}
		all = append(all, names...)
		return names, nil
	}
	if err := h.list(ctx, l); err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(all))
	return slices.DeleteFunc(all, func(name string) bool {
		known := seen[name]
		seen[name] = true
		return known
	}), nil
}

// Referrers returns descriptors of the manifests whose subject is the given one, from the referrers API:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers. The error is
// errdefs.ErrNotImplemented when the registry does not have that API.
func (c *Client) Referrers(ctx context.Context, subject reference.Canonical) ([]ocispec.Descriptor, error) {
	p := c.repository(subject)
	r := request{
		method: http.MethodGet, what: "referrers of " + manifest.Familiar(subject),
		repo: p.repo, path: "referrers/" + subject.Digest().String(),
		header: http.Header{"Accept": {ocispec.MediaTypeImageIndex}},
		send:   transport.Request{Scopes: []string{pullScope(p.repo)}, KeepSeeOther: true},
	}
	without := manifest.Errorf(errdefs.ErrNotImplemented, "%s has no referrers API for %s", p.name, p.typed)
	if _, known := p.withoutReferrers.Load(p.repo); known {
		return nil, without
	}
	var all []ocispec.Descriptor
	err := p.list(ctx, listing{request: r, limit: limitReferrers, read: func(page page) ([]string, error) {
		referrers, _, err := manifest.ParseIndex(page.body)
		switch isIndex := page.mediaType == ocispec.MediaTypeImageIndex || page.mediaType == "application/json" && err == nil; {
		case !isIndex && len(all) > 0:
			return nil, unlisted(r.what, fmt.Errorf("a page is not an index, but %q", manifest.OneLine(page.mediaType, maxMessage)))
		case !isIndex:
			return nil, without
		case err != nil:
			return nil, fmt.Errorf("referrers of %s: %w", manifest.Familiar(subject), err)
		}
		names := make([]string, len(referrers))
		for i, d := range referrers {
			names[i] = d.Digest.String()
		}
		all = append(all, referrers...)
		return names, nil
	}})
	refused := refusalOf(err)
	if refused.hasNoReferrers() && len(all) == 0 {
		err = without
	}
	// A registry with the API may refuse the digest of this subject only, or not know that.
	if errdefs.IsNotImplemented(err) && refused.Status != http.StatusBadRequest && !refused.hasCode("MANIFEST_UNKNOWN") {
		p.withoutReferrers.Store(p.repo, true)
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// splitTags returns the valid tags among names, and the others.
func splitTags(repo reference.Named, names []string) (tags, others []string) {
	for _, name := range names {
		if _, err := reference.WithTag(repo, name); err != nil {
			others = append(others, name)
		} else {
			tags = append(tags, name)
		}
	}
	return tags, others
}

// maxName bounds a name in a warning.
const maxName = 100

// skip reports, once for a repository, that names are skipped.
func (p repository) skip(names []string) {
	if len(names) == 0 {
		return
	}
	if _, reported := p.skipped.LoadOrStore(p.repo, true); reported {
		return
	}
	var quoted []string
	for _, name := range names {
		quoted = append(quoted, fmt.Sprintf("%q", manifest.OneLine(name, maxName)))
	}
	p.client.warn("%s lists names for %s that are not tags; skipped: %s", p.name, p.typed, manifest.JoinSome(quoted))
}

// elements is a JSON array, or null, of at most maxNames strings or maxManifests other elements: what is decoded takes up
// to a hundred times as much memory as its JSON.
type elements[T any] []T

func (e *elements[T]) UnmarshalJSON(raw []byte) error {
	*e = nil
	if raw[0] != '[' {
		return json.Unmarshal(raw, (*[]T)(e)) // null, or an error
	}
	return decodeEach(raw, func(dec *json.Decoder, _ string) error {
		var one T
		limit := maxManifests
		if _, isName := any(one).(string); isName {
			limit = maxNames
		}
		if len(*e) == limit {
			return fmt.Errorf("it has more than %d elements", limit)
		}
		err := dec.Decode(&one)
		*e = append(*e, one)
		return err
	})
}

// decodeEach calls decode with the next element of a JSON array, or with the key and next value of an object, as long as
// there is one.
func decodeEach(raw []byte, decode func(dec *json.Decoder, key string) error) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	start, err := dec.Token()
	for err == nil && dec.More() {
		key := json.Token("")
		if start == json.Delim('{') {
			key, err = dec.Token()
		}
		if err == nil {
			err = decode(dec, key.(string))
		}
	}
	return err
}

// unlisted returns the error for a listing that cannot be read.
func unlisted(what string, err error) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "the %s cannot be read: %w", what, err)
}
