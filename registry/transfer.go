package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// cancelPatience bounds the time that closing an upload session may take.
const cancelPatience = 5 * time.Second

// transfer brings a blob from one repository to another, in the session that the target has opened for
// it or, where that is nil, in a new one. When a session fails or is forgotten, the transfer begins again
// in a new one.
func transfer(ctx context.Context, source, target repository, b ocispec.Descriptor, session *url.URL) error {
	return target.persist(ctx, func() error {
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
	if err := target.upload(ctx, session, b.Digest, content); err != nil {
		target.cancelUpload(ctx, session)
		return err
	}
	return nil
}

// open returns the content of a blob, verified while it is read. It tells read how many bytes were, nil for
// nobody.
func (p repository) open(ctx context.Context, b ocispec.Descriptor, read func(n int64)) (*verified, error) {
	resp, err := p.blob(ctx, http.MethodGet, b, pullScope(p.repo), nil)
	if err != nil {
		return nil, err
	}
	size := b.Size
	if size == 0 && b.Digest != b.Digest.Algorithm().FromBytes(nil) {
		size = -1 // the manifest does not say
	}
	if size < 0 {
		size = resp.ContentLength
	}
	if resp.ContentLength >= 0 && resp.ContentLength != size {
		resp.Body.Close()
		return nil, manifest.Errorf(errdefs.ErrDataLoss, "blob %s of %s/%s has %d bytes instead of %d",
			b.Digest, p.name, p.repo, resp.ContentLength, size)
	}
	content := newDownload(ctx, p, b, resp.Body)
	content.read = read
	return newVerified(fmt.Sprintf("blob %s of %s/%s", b.Digest, p.name, p.repo), content, b.Digest, size), nil
}

// startUpload opens an upload session.
func (p repository) startUpload(ctx context.Context) (*url.URL, error) {
	resp, err := p.do(ctx, request{
		method: http.MethodPost, what: "upload to " + p.repo,
		repo: p.repo, path: "blobs/uploads/", scopes: []string{pushScope(p.repo)},
	})
	if err != nil {
		return nil, err
	}
	defer discard(resp)
	return p.session(resp)
}

// session returns the URL of the upload session that resp opened. A registry behind a proxy may take
// itself for one without HTTPS: it is spoken to as before.
func (p repository) session(resp *http.Response) (*url.URL, error) {
	location := resp.Header.Get("Location")
	u, err := resp.Request.URL.Parse(location)
	if location == "" || err != nil || u.Host == "" {
		return nil, manifest.Errorf(errdefs.ErrUnavailable, "%s: upload to %s: the registry gives no valid Location", p.name, p.repo)
	}
	u.User = nil
	if u.Host == p.Host {
		u.Scheme = p.way.Load().scheme
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
		repo: p.repo, target: &closing, scopes: []string{pushScope(p.repo)},
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
	discard(resp)
	if !content.complete() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &brokenOff{manifest.Errorf(errdefs.ErrUnavailable, "%s: %s: the registry answered before it had all of it", p.name, r.what)}
	}
	return nil
}

// sessionLost makes err one that broke off when the blob may be taken in another session, or one of a
// token when it may be taken with another.
func sessionLost(err error) error {
	var refused *Error
	if !errors.As(err, &refused) || refused.service != "" || refused.spent != nil {
		return err
	}
	switch status := refused.Status; {
	case status == http.StatusNotFound, status == http.StatusRequestedRangeNotSatisfiable, mayPass(status):
		return &brokenOff{err}
	case status == http.StatusUnauthorized:
		return &staleToken{err}
	}
	return garbled(err)
}

// cancelUpload tells the registry that nothing more is coming, even when ctx is done. Registries that do
// not listen drop the session some time.
func (p repository) cancelUpload(ctx context.Context, session *url.URL) {
	if session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(withTries(context.WithoutCancel(ctx), 1), cancelPatience)
	defer cancel()
	resp, err := p.do(ctx, request{
		method: http.MethodDelete, what: "upload to " + p.repo,
		repo: p.repo, target: session, scopes: []string{pushScope(p.repo)},
	})
	if err == nil {
		discard(resp)
	}
}
