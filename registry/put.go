package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// Put stores a manifest or index under the tag of ref, or else under its digest, and under tags. If ref has a digest,
// content must have it. Several tags are one request if the registry supports that, otherwise one for each,
// concurrently.
func (c *Client) Put(ctx context.Context, ref reference.Named, content manifest.Content, tags ...string) error {
	mediaType, raw := content.Descriptor.MediaType, content.Raw
	p, err := c.repository(ref)
	if err != nil {
		return err
	}
	if digested, ok := ref.(reference.Digested); ok {
		if actual := digested.Digest().Algorithm().FromBytes(raw); actual != digested.Digest() {
			return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the manifest to store is %s", manifest.Familiar(ref), actual)
		}
	}
	if tagged, ok := ref.(reference.Tagged); ok {
		tags = append([]string{tagged.Tag()}, tags...)
	}
	switch len(tags) {
	case 0:
		_, err = p.put(ctx, object(ref), mediaType, raw, nil)
		return err
	case 1:
		_, err = p.put(ctx, tags[0], mediaType, raw, nil)
		return err
	}
	return p.putTags(ctx, tags, mediaType, raw)
}

// putTags stores raw under several tags, by
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-multiple-tags
// if the answer shows that the registry supports that.
func (p repository) putTags(ctx context.Context, tags []string, mediaType string, raw []byte) error {
	put, err := p.put(ctx, digest.FromBytes(raw).String(), mediaType, raw, url.Values{"tag": tags})
	var refused *Error
	if err != nil && (!errors.As(err, &refused) || refused.Status < 400 || refused.Status >= 500) {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, tag := range tags {
		if !slices.Contains(put, tag) {
			group.Go(func() error {
				_, err := p.put(ctx, tag, mediaType, raw, nil)
				return err
			})
		}
	}
	return group.Wait()
}

// put stores raw under a tag or digest and returns the additional tags that the registry reports.
func (p repository) put(ctx context.Context, name, mediaType string, raw []byte, query url.Values) (tags []string, err error) {
	r := request{
		method: http.MethodPut, what: "manifest " + p.familiar(name),
		repo: p.repo, path: "manifests/" + name, query: query, body: raw,
		header: http.Header{"Content-Type": {mediaType}}, scopes: []string{pushScope(p.repo)},
	}
	err = p.retry(ctx, func() error {
		resp, err := p.do(ctx, r)
		if err != nil {
			return unsettled(err)
		}
		defer transport.Discard(resp)
		tags = tagsSet(resp.Header)
		return checkStored(p.familiar(name), resp.Header.Get("Docker-Content-Digest"), raw)
	})
	return tags, err
}

// tagsSet returns the tags that an answer names.
func tagsSet(header http.Header) []string {
	var tags []string
	for _, named := range header.Values("OCI-Tag") {
		for tag := range strings.SplitSeq(named, ",") {
			tags = append(tags, strings.TrimSpace(tag))
		}
	}
	return tags
}

// unsettled makes err an interruption when the registry reports an unknown blob: it has been seen there, or stored
// there, a moment ago.
func unsettled(err error) error {
	var refused *Error
	if errors.As(err, &refused) && refused.hasCode(blobUnknown) {
		return &transport.InterruptedError{Err: err}
	}
	return garbled(err)
}

// blobUnknown is the error code for a manifest that references a blob that the registry does not have.
const blobUnknown = "MANIFEST_BLOB_UNKNOWN"

// garbled makes err, about content that was sent with the right digest, one of kind errdefs.ErrDataLoss when the
// registry reports another digest.
func garbled(err error) error {
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && refused.hasCode("DIGEST_INVALID") {
		refused.kind = errdefs.ErrDataLoss
	}
	return err
}

// familiar is a tag or digest of the repository as a person types it.
func (p repository) familiar(name string) string {
	separator := ":"
	if strings.Contains(name, ":") {
		separator = "@"
	}
	return p.typed + separator + name
}

// checkStored checks the digest that the registry reports for raw, if it reports one.
func checkStored(name, stored string, raw []byte) error {
	if stored == "" {
		return nil
	}
	ours, theirs := digest.FromBytes(raw), digest.Digest(stored)
	if theirs.Validate() == nil {
		ours = theirs.Algorithm().FromBytes(raw)
	}
	if ours != theirs {
		return manifest.Errorf(errdefs.ErrDataLoss, "%s: the registry stored %s instead of %s",
			name, manifest.OneLine(stored, maxMessage), ours)
	}
	return nil
}
