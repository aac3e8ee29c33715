package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// Download returns the content of an http or https URL that is not a registry's. It sends no credentials. The
// server has 30 seconds to begin its answer; the caller bounds how much is read, and for how long. The error is
// errdefs.ErrNotFound for a status of 404, errdefs.ErrUnavailable for other failures.
func Download(ctx context.Context, address string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || req.URL.Scheme != "http" && req.URL.Scheme != "https" || req.URL.Host == "" || req.URL.User != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s is not an http or https URL, or contains a login", manifest.RedactURL(address))
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = webTimeout
	base.DisableKeepAlives = true
	resp, err := (&http.Client{Transport: base}).Do(req)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		if failed, ok := errors.AsType[*url.Error](err); ok { // its URL may hold a secret
			err = failed.Err
		}
		return nil, manifest.Errorf(errdefs.ErrUnavailable, "downloading %s: %v", manifest.RedactURL(address), err)
	case resp.StatusCode == http.StatusOK:
		return resp.Body, nil
	}
	resp.Body.Close()
	kind := error(errdefs.ErrUnavailable)
	if resp.StatusCode == http.StatusNotFound {
		kind = errdefs.ErrNotFound
	}
	return nil, manifest.Errorf(kind, "downloading %s: %s", manifest.RedactURL(address), transport.StatusText(resp.StatusCode))
}

// webTimeout bounds the wait for the beginning of an answer.
const webTimeout = 30 * time.Second
