package registry

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Download returns what is at an http or https URL, a page of the web and nothing of a registry. No credential
// is sent. A server that does not begin to answer in 30 seconds is given up; how much is read, and for how long,
// is the caller's to say. The error is errdefs.ErrNotFound for a status of 404, errdefs.ErrUnavailable for other
// failures.
func Download(ctx context.Context, address string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || req.URL.Scheme != "http" && req.URL.Scheme != "https" || req.URL.Host == "" || req.URL.User != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s is no URL of http or https without a login in it", shown(address))
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = webTimeout
	transport.DisableKeepAlives = true
	resp, err := (&http.Client{Transport: transport}).Do(req)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, manifest.Errorf(errdefs.ErrUnavailable, "downloading %s: %s", shown(address), bare(err))
	case resp.StatusCode == http.StatusOK:
		return resp.Body, nil
	}
	resp.Body.Close()
	kind := error(errdefs.ErrUnavailable)
	if resp.StatusCode == http.StatusNotFound {
		kind = errdefs.ErrNotFound
	}
	return nil, manifest.Errorf(kind, "downloading %s: %s", shown(address), statusText(resp.StatusCode))
}

// webTimeout is how long a server of the web has to begin its answer.
const webTimeout = 30 * time.Second

// shown returns a URL without what may be secret in it.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "what is given"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// bare returns the cause of a failed request without its URL, which may have a secret in its query.
func bare(err error) string {
	if failed, ok := err.(*url.Error); ok { //nolint:errorlint // what http.Client returns
		err = failed.Err
	}
	return err.Error()
}
