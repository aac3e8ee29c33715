package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// Put stores a manifest or index under the tag of ref, or else under its digest, and under tags. If ref has a digest,
// content must have it. Several tags are one request if the registry supports that, otherwise one for each,
// concurrently. A registry that refuses to write what exists already, as with immutable tags, is no error.
func (c *Client) Put(ctx context.Context, ref reference.Named, content manifest.Content, tags ...string) error {
	p := c.repository(ref)
	if digested, ok := ref.(reference.Digested); ok && !isDigestOf(digested.Digest(), content.Raw) {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the manifest to store is %s",
			manifest.Familiar(ref), digested.Digest().Algorithm().FromBytes(content.Raw))
	}
	if tagged, ok := ref.(reference.Tagged); ok {
		tags = append([]string{tagged.Tag()}, tags...)
	}
	switch len(tags) {
	case 0:
		return p.put(ctx, reference.TagNameOnly(ref), content, nil, false)
	case 1:
		return p.put(ctx, manifest.AtTag(ref, tags[0]), content, nil, false)
	}
	return p.putTags(ctx, ref, content, tags)
}

// PutIf implements [manifest.Target]. The condition is that of https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1 on the
// ETag that distribution gives a manifest: its digest.
func (c *Client) PutIf(ctx context.Context, tag reference.NamedTagged, content manifest.Content, before digest.Digest) error {
	p := c.repository(tag)
	condition := http.Header{"If-None-Match": {"*"}}
	if before != "" {
		condition = http.Header{"If-Match": {`"` + before.String() + `"`}}
	}
	return p.put(ctx, tag, content, condition, false)
}

// putTags stores content under several tags, by
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-multiple-tags
// if the answer shows that the registry supports that. Each tag is written or refused by itself; the error names those that
// were written.
func (p repository) putTags(ctx context.Context, ref reference.Named, content manifest.Content, tags []string) error {
	at := manifest.AtDigest(ref, digest.FromBytes(content.Raw))
	put, err := p.putOnce(ctx, at, content, url.Values{"tag": tags}, nil)
	lost := isLost(err)
	refused, _ := errors.AsType[*Error](err)
	if err != nil && !lost && (refused == nil || refused.Status < 400 || refused.Status >= 500) {
		return err
	}
	errs := make([]error, len(tags))
	var group sync.WaitGroup
	for i, tag := range tags {
		name := manifest.AtTag(ref, tag)
		if slices.Contains(put, tag) {
			p.client.recordTag(name, at.Digest())
			continue
		}
		group.Go(func() { errs[i] = p.put(ctx, name, content, nil, lost) })
	}
	group.Wait()
	var written []string
	for i, tag := range tags {
		if errs[i] == nil {
			written = append(written, tag)
		}
	}
	if err := errors.Join(errs...); err != nil && len(written) > 0 {
		return &partlyWritten{err, written}
	}
	return errors.Join(errs...)
}

// partlyWritten is the failure of a Put that wrote some of its tags.
type partlyWritten struct {
	error
	written []string
}

func (p *partlyWritten) Unwrap() error     { return p.error }
func (p *partlyWritten) Written() []string { return p.written }
func (p *partlyWritten) Error() string {
	return fmt.Sprintf("%v (written: %s)", p.error, manifest.JoinSome(p.written))
}

// settleAttempts bounds the attempts to put a manifest while the registry does not know what it references.
const settleAttempts = 6

// put stores content under a tag or digest, if the condition in a header is met. With lost, the answer to an earlier attempt
// was lost.
func (p repository) put(ctx context.Context, at reference.Named, content manifest.Content, condition http.Header, lost bool) error {
	attempt, before := 0, p.client.lastSeen(at)
	err := p.retry(ctx, func() error {
		if lost {
			if arrived, err := p.tookEffect(ctx, at, content.Raw, before); arrived || err != nil {
				if arrived {
					p.putSubject(content, nil)
				}
				return err
			}
			before = p.client.lastSeen(at)
		}
		_, err := p.putOnce(ctx, at, content, nil, condition)
		if attempt++; isUnsettled(err) {
			if sent, failed := p.sendAssumed(ctx, content, attempt > 1); failed != nil {
				err = failed
			} else if sent {
				_, err = p.putOnce(ctx, at, content, nil, condition)
			}
		}
		if lost = isLost(err); isUnsettled(err) {
			return &transport.InterruptedError{Err: err, Few: attempt >= settleAttempts}
		}
		return err
	})
	if refused := refusalOf(err); refused.What == whatManifest(at) && refused.mayExist() && !isUnsettled(err) {
		if d, failed := p.client.Digest(ctx, at); failed == nil && isDigestOf(d, content.Raw) {
			p.putSubject(content, nil)
			p.client.note("%s is unchanged: the registry refused to write it again (%s)", manifest.Familiar(at), transport.StatusText(refused.Status)+refused.details())
			return nil
		}
	}
	if err == nil {
		p.client.recordTag(at, digest.FromBytes(content.Raw))
	}
	return err
}

// Settled is Digest for a tag that was put a moment ago: a registry that does not know it yet is asked again.
func (c *Client) Settled(ctx context.Context, tag reference.NamedTagged) (d digest.Digest, err error) {
	p := c.repository(tag)
	attempt := 0
	err = p.retry(ctx, func() (err error) {
		d, err = c.Digest(ctx, tag)
		if attempt++; errdefs.IsNotFound(err) {
			return &transport.InterruptedError{Err: err, Few: attempt >= settleAttempts}
		}
		return err
	})
	return d, err
}

// putOnce makes one attempt to store content under a tag or digest, and returns the additional tags that the registry
// reports. The answer is lost if it is not the one that the specification requires, and the content cannot be found.
func (p repository) putOnce(ctx context.Context, at reference.Named, content manifest.Content, query url.Values, condition http.Header) (tags []string, err error) {
	_, tagged := at.(reference.Tagged)
	header := http.Header{"Content-Type": {content.Descriptor.MediaType}}
	maps.Copy(header, condition)
	r := request{
		method: http.MethodPut, what: whatManifest(at),
		repo: p.repo, path: "manifests/" + object(at), query: query, body: content.Raw, header: header,
		send: transport.Request{Scopes: []string{pushScope(p.repo)}, Once: tagged || query != nil},
	}
	resp, err := p.do(ctx, r)
	if err != nil {
		return nil, lostAnswer(garbled(ofType(err, content.Descriptor.MediaType)))
	}
	transport.Discard(resp)
	if resp.StatusCode != http.StatusCreated {
		if d, err := p.client.Digest(ctx, at); err != nil || !isDigestOf(d, content.Raw) {
			return nil, p.unexpected(r, resp)
		}
	}
	p.putSubject(content, resp.Header)
	return tagsSet(resp.Header), checkStored(manifest.Familiar(at), resp.Header.Get("Docker-Content-Digest"), content.Raw)
}

// putSubject records that content was put, if it has a subject and the answer does not acknowledge that:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject.
func (p repository) putSubject(content manifest.Content, answer http.Header) {
	n, err := manifest.ParseNode(content)
	if err != nil || n.Subject == nil || answer.Get("OCI-Subject") != "" {
		return
	}
	p.client.mu.Lock()
	defer p.client.mu.Unlock()
	key := p.name + "/" + p.repo
	p.client.unlisted[key] = append(p.client.unlisted[key], n)
}

// Unlisted implements [manifest.Subjects].
func (c *Client) Unlisted(repo reference.Named) []manifest.Node {
	p := c.repository(repo)
	c.mu.Lock()
	defer c.mu.Unlock()
	key := p.name + "/" + p.repo
	nodes := c.unlisted[key]
	delete(c.unlisted, key)
	return nodes
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

// isUnsettled reports whether a registry refused a manifest because it does not know its content, which has been
// seen there, or stored there, a moment ago.
func isUnsettled(err error) bool {
	refused := refusalOf(err)
	return refused.hasCode("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN") ||
		refused.Status == http.StatusNotFound && !refused.hasCode("NAME_UNKNOWN")
}

// garbled makes err, about content that was sent with the right digest, one of kind errdefs.ErrDataLoss when the
// registry reports another digest.
func garbled(err error) error {
	if refused := refusalOf(err); refused.Status == http.StatusBadRequest && refused.hasCode("DIGEST_INVALID") {
		refused.kind = errdefs.ErrDataLoss
	}
	return err
}

// isDigestOf reports whether d is a digest of raw.
func isDigestOf(d digest.Digest, raw []byte) bool { return digestLike(d, raw) == d }

// checkStored checks the digest that the registry reports for raw, if it reports one.
func checkStored(name, stored string, raw []byte) error {
	ours := digestLike(digest.Digest(stored), raw)
	if stored == "" || stored == ours.String() {
		return nil
	}
	return manifest.Errorf(errdefs.ErrDataLoss, "%s: the registry stored %s instead of %s",
		name, manifest.OneLine(stored, maxMessage), ours)
}
