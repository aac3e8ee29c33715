package layout

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// RoundTrip answers a request of the distribution spec
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md) for the only repository of a layout. What is
// not a success is an error, not an answer, except that there is no referrers API: referrers are under their tags.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp, err := s.answer(r)
	if err != nil {
		return nil, err
	}
	resp.Request, resp.Proto, resp.ProtoMajor, resp.ProtoMinor = r, "HTTP/1.1", 1, 1
	return resp, nil
}

func answer(status int, header http.Header, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// contentHeader is the header of an answer with, or about, the content of a digest.
func contentHeader(d digest.Digest, mediaType string) http.Header {
	return http.Header{"Content-Type": {mediaType}, "Docker-Content-Digest": {d.String()}}
}

// answer serves /v2/NAME/blobs, manifests and tags of any NAME without a slash.
func (s *server) answer(r *http.Request) (*http.Response, error) {
	rest := strings.TrimPrefix(r.URL.Path, "/v2/")
	_, rest, _ = strings.Cut(rest, "/")
	what, name, _ := strings.Cut(rest, "/")
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case what == "manifests" && reading:
		return s.getManifest(r, name)
	case what == "manifests" && r.Method == http.MethodPut && s.writer != nil:
		return s.putManifest(r, name)
	case what == "blobs" && reading:
		return s.getBlob(r, name)
	case what == "blobs" && name == "uploads/" && r.Method == http.MethodPost && s.writer != nil:
		return answer(http.StatusAccepted, http.Header{"Location": {r.URL.Path + rand.Text()}}, nil), nil
	case what == "blobs" && r.Method == http.MethodPut && s.writer != nil:
		return s.putBlob(r)
	case what == "blobs" && r.Method == http.MethodDelete: // of an upload, which has left nothing
		return answer(http.StatusNoContent, http.Header{}, nil), nil
	case what == "tags" && reading:
		return s.getTags(r)
	case what == "referrers" && reading:
		return answer(http.StatusNotFound, http.Header{}, nil), nil
	}
	return nil, manifest.Errorf(errdefs.ErrNotImplemented, "%s: %s is not possible", s.typed, r.Method)
}

func (s *server) getManifest(r *http.Request, name string) (*http.Response, error) {
	l, err := s.layout(r.Context())
	if err != nil {
		return nil, err
	}
	defer s.done(l)
	c, err := l.named(name, s.writer == nil)
	if err != nil {
		return nil, err
	}
	resp := answer(http.StatusOK, contentHeader(c.Descriptor.Digest, c.Descriptor.MediaType), c.Raw)
	if r.Method == http.MethodHead {
		resp.Body = http.NoBody
	}
	return resp, nil
}

// named returns the manifest or index of a digest or tag. With collect, the index under a referrers tag also lists what
// only index.json shows to be a referrer. Of a target it has what was written, so that the rest is added to it.
func (l *layout) named(name string, collect bool) (manifest.Content, error) {
	if d, err := digest.Parse(name); err == nil {
		return l.manifest(d)
	}
	if form, isDigestTag := manifest.CutDigestTag(name); collect && isDigestTag && form == name {
		if c, err := l.referrers(manifest.DigestOf(form), name); !errdefs.IsNotFound(err) {
			return c, err
		}
	}
	d, err := l.resolve(name)
	if err != nil {
		return manifest.Content{}, err
	}
	return l.manifest(d.Digest)
}

// done closes what layout opened for a single request.
func (s *server) done(l *layout) {
	if s.writer != nil {
		_ = l.files.Close() // it was only read
	}
}

func (s *server) putManifest(r *http.Request, name string) (*http.Response, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxManifest {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "the manifest has more than %d MiB", maxManifest>>20)
	}
	c := manifest.NewContent(r.Header.Get("Content-Type"), raw)
	tag := name
	if d, err := digest.Parse(name); err == nil {
		c.Descriptor.Digest, tag = d, ""
	}
	if err := s.writer.add(r.Context(), c, tag, func(current digest.Digest) error { return condition(r.Header, current) }); err != nil {
		return nil, err
	}
	header := contentHeader(c.Descriptor.Digest, "")
	if subject, _ := subjectOf(raw); subject != "" { // an attestation is listed beside its image, and other referrers are written under a tag
		header.Set("OCI-Subject", subject.String())
	}
	return answer(http.StatusCreated, header, nil), nil
}

// condition checks If-Match and If-None-Match of a request for a tag that points to current.
func condition(h http.Header, current digest.Digest) error {
	match := strings.Trim(h.Get("If-Match"), `"`)
	if match != "" && match != current.String() || h.Get("If-None-Match") == "*" && current != "" {
		return manifest.Errorf(errdefs.ErrFailedPrecondition, "the tag points to %q", current)
	}
	return nil
}

func (s *server) getBlob(r *http.Request, name string) (*http.Response, error) {
	d, err := digest.Parse(name)
	if err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%w", err)
	}
	content, size, err := s.openBlob(r.Context(), d)
	if err != nil {
		return nil, err
	}
	resp := answer(http.StatusOK, contentHeader(d, "application/octet-stream"), nil)
	resp.ContentLength = size
	if r.Method == http.MethodHead {
		content.Close()
		return resp, nil
	}
	resp.Body = content
	return resp, nil
}

// openBlob opens a blob. A target has what was written to it, too.
func (s *server) openBlob(ctx context.Context, d digest.Digest) (content io.ReadCloser, size int64, err error) {
	l := &layout{name: s.typed, files: s.writer}
	if s.writer == nil {
		if l, err = s.layout(ctx); err != nil {
			return nil, 0, err
		}
	}
	content, size, err = l.files.open(blobName(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = l.absent(d)
	case err != nil:
		err = manifest.Errorf(errdefs.ErrInvalidArgument, "%s: blob %s: %w", s.typed, d, err)
	}
	return content, size, err
}

func (s *server) putBlob(r *http.Request) (*http.Response, error) {
	d, err := digest.Parse(r.URL.Query().Get("digest"))
	if err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%w", err)
	}
	if err := s.writer.put(d, r.Body); err != nil {
		return nil, err
	}
	return answer(http.StatusCreated, contentHeader(d, ""), nil), nil
}

// getTags lists all tags in one page.
func (s *server) getTags(r *http.Request) (*http.Response, error) {
	l, err := s.layout(r.Context())
	if err != nil {
		return nil, err
	}
	defer s.done(l)
	var tags []string
	if r.URL.Query().Get("last") == "" {
		tags = l.tags()
	}
	raw, err := json.Marshal(map[string]any{"name": s.typed, "tags": tags})
	return answer(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, raw), err
}
