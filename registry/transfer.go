package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// cancelTimeout bounds the time that cancelling an upload session may take.
const cancelTimeout = 5 * time.Second

// transfer streams a blob from one repository to another, in the session that the target has opened for it or, if that
// is nil, in a new one. When a session fails or is lost, the transfer starts again in a new one.
func transfer(ctx context.Context, source, target repository, b ocispec.Descriptor, session *url.URL) error {
	return target.retry(ctx, func() error {
		opened := session
		session = nil
		return stream(ctx, source, target, b, opened)
	})
}

// stream sends a blob once, without storing it on the way. An upload that fails is cancelled.
func stream(ctx context.Context, source, target repository, b ocispec.Descriptor, session *url.URL) error {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	content, session, err := begin(reading, cancel, source, target, b, session)
	if err != nil {
		target.cancelUpload(ctx, session)
		return err
	}
	defer content.Close()
	err = target.upload(ctx, session, b.Digest, content)
	if err == nil {
		return nil
	}
	target.cancelUpload(ctx, session)
	if refusalOf(err).mayExist() && interruption(err) == nil && !errdefs.IsDataLoss(err) {
		if exists, failed := target.hasNow(ctx, b); exists && failed == nil {
			return nil
		}
	}
	return err
}

// open returns the content of a blob, verified while it is read. It calls read with the number of bytes read so far;
// read may be nil.
func (p repository) open(ctx context.Context, b ocispec.Descriptor, read func(n int64)) (*verified, error) {
	resp, err := p.blob(ctx, http.MethodGet, b, pullScope(p.repo), nil)
	if err != nil {
		return nil, err
	}
	size := b.Size
	if size == 0 && b.Digest != b.Digest.Algorithm().FromBytes(nil) {
		size = -1 // the manifest does not state it
	}
	if size < 0 {
		size = resp.ContentLength
	}
	if resp.ContentLength >= 0 && resp.ContentLength != size {
		resp.Body.Close()
		return nil, manifest.Errorf(errdefs.ErrDataLoss, "blob %s of %s/%s has %d bytes instead of %d",
			b.Digest, p.name, p.repo, resp.ContentLength, size)
	}
	ctx, cancel := context.WithCancel(ctx)
	content := &download{source: p, blob: b, ctx: ctx, cancel: cancel, body: resp.Body, read: read}
	return newVerified(fmt.Sprintf("blob %s of %s/%s", b.Digest, p.name, p.repo), content, b.Digest, size), nil
}

// startUpload opens an upload session.
func (p repository) startUpload(ctx context.Context) (*url.URL, error) {
	resp, err := p.do(ctx, request{
		method: http.MethodPost, what: "upload to " + p.repo,
		repo: p.repo, path: "blobs/uploads/", send: transport.Request{Scopes: []string{pushScope(p.repo)}},
	})
	if err != nil {
		return nil, err
	}
	transport.Discard(resp)
	session, err := p.session(resp)
	if err != nil && resp.StatusCode != http.StatusAccepted {
		return nil, &transport.InterruptedError{Err: err, Few: true} // it may not be the registry's own answer
	}
	return session, err
}

// session returns the URL of the upload session that resp opened. A registry behind a proxy may not know that it is
// reached by HTTPS: the scheme stays the same.
func (p repository) session(resp *http.Response) (*url.URL, error) {
	location := resp.Header.Get("Location")
	u, err := resp.Request.URL.Parse(location)
	if location == "" || err != nil || u.Host == "" {
		return nil, manifest.Errorf(errdefs.ErrUnavailable, "%s: upload to %s: the registry returned no valid Location", p.name, p.repo)
	}
	u.User = nil
	if strings.EqualFold(u.Host, p.Host) {
		u.Scheme = p.server.Endpoint().Scheme
	}
	if err := p.server.CheckAddress(resp.Request.Context(), u, "upload session"); err != nil {
		return nil, manifest.Errorf(errdefs.ErrUnavailable, "%s: upload to %s: %w", p.name, p.repo, err)
	}
	return u, nil
}

// upload sends the content into the session and closes it with the digest.
func (p repository) upload(ctx context.Context, session *url.URL, d digest.Digest, content *verified) error {
	closing := *session
	if closing.RawQuery != "" {
		closing.RawQuery += "&"
	}
	closing.RawQuery += "digest=" + url.QueryEscape(d.String())
	r := request{
		method: http.MethodPut, what: "blob " + d.String() + " to " + p.repo,
		repo: p.repo, target: &closing, send: transport.Request{Scopes: []string{pushScope(p.repo)}},
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		stream: content, size: content.size,
	}
	if content.size == 0 {
		if err := content.verifyEmpty(); err != nil {
			return err
		}
		r.stream = http.NoBody
	}
	resp, err := p.do(ctx, r)
	if failure := content.failure(); failure != nil && ctx.Err() == nil {
		err = failure
	}
	if err != nil {
		return sessionLost(err)
	}
	transport.Discard(resp)
	if !content.complete() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &transport.InterruptedError{Err: manifest.Errorf(errdefs.ErrUnavailable, "%s: %s: the registry answered before it had all of it", p.name, r.what)}
	}
	if resp.StatusCode != http.StatusCreated {
		if exists, err := p.hasNow(ctx, ocispec.Descriptor{Digest: d, Size: content.size}); err != nil || !exists {
			return p.unexpected(r, resp)
		}
	}
	return nil
}

// sessionLost makes err an interruption when the registry may accept the blob in another session, or a staleToken when
// it may accept it with another token.
func sessionLost(err error) error {
	if exhausted(err) != nil {
		return err
	}
	switch status := refusalOf(err).Status; {
	case status == http.StatusNotFound, status == http.StatusRequestedRangeNotSatisfiable, transport.MayPass(status):
		return &transport.InterruptedError{Err: err}
	case status == http.StatusUnauthorized:
		return &staleToken{err}
	}
	return garbled(err)
}

// cancelUpload cancels an upload session, even when ctx is done. Registries that do not support that drop it later.
func (p repository) cancelUpload(ctx context.Context, session *url.URL) {
	if session == nil {
		return
	}
	if ctx.Err() != nil {
		p.permit = &transport.Permit{Urgent: true} // what ends does not wait for its class
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	resp, err := p.do(ctx, request{
		method: http.MethodDelete, what: "upload to " + p.repo,
		repo: p.repo, target: session, send: transport.Request{Scopes: []string{pushScope(p.repo)}, Attempts: 1},
	})
	if err == nil {
		transport.Discard(resp)
	}
}
