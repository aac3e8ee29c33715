package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// Error is a request that a registry or its token service refused or did not answer. Its kind is one of the errdefs
// package, and its text one line without secrets.
type Error struct {
	// Host is the registry, named as in a reference.
	Host string
	// Method is the request's, What its object, Repository the path of its repository.
	Method, What, Repository string
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Details are the errors that the registry returned, in its order.
	Details []Detail

	// mediaType is that of a manifest that was refused.
	mediaType string
	// service is the host of the token service if that refused.
	service string
	// elsewhere is the host of the server that refused, if the registry had redirected to another one.
	elsewhere string
	kind      error
	cause     error
	// after is how long the registry asks to wait; exhausted is set if the attempts are.
	after     time.Duration
	exhausted *transport.ExhaustedError
}

// Detail is an error as the distribution spec defines it, ready to be shown.
type Detail struct{ Code, Message string }

// Registry returns the registry that the error is about: the argument of "docker login".
func (e *Error) Registry() string { return e.Host }

// RefusedType returns the media type of a manifest that the registry may have refused because of it, "" otherwise.
func (e *Error) RefusedType() string { return e.mediaType }

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s %s%s", e.Host, e.Method, e.What, e.reason())
}

// reason returns the part of the text after what was requested, each element with a colon before it.
func (e *Error) reason() string {
	var b strings.Builder
	if e.elsewhere != "" {
		b.WriteString(": redirected to " + e.elsewhere)
	}
	if e.service != "" {
		b.WriteString(": token service " + e.service)
	}
	if e.Status != 0 {
		b.WriteString(": " + transport.StatusText(e.Status))
	}
	if e.cause != nil {
		b.WriteString(": " + manifest.OneLine(e.cause.Error(), maxCause))
	}
	if e.exhausted != nil && e.exhausted.Tried != "" {
		b.WriteString(" (" + e.exhausted.Tried + ")")
	}
	b.WriteString(e.details())
	if e.mediaType != "" {
		b.WriteString(" (the manifest's media type is " + e.mediaType + ")")
	}
	return b.String()
}

// details returns the errors that the registry returned, each after a separator.
func (e *Error) details() string {
	var b strings.Builder
	for i, d := range e.Details {
		b.WriteString([]string{": ", "; "}[min(i, 1)] + d.String())
	}
	return b.String()
}

func (d Detail) String() string {
	if d.Code == "" || d.Message == "" {
		return d.Code + d.Message
	}
	return d.Code + ": " + d.Message
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	out := slices.DeleteFunc([]error{e.kind, e.cause}, func(err error) bool { return err == nil })
	if e.exhausted != nil {
		out = append(out, e.exhausted)
	}
	return out
}

// refusalOf returns the refusal that err is or wraps, if the registry itself refused, otherwise an empty one.
func refusalOf(err error) *Error {
	if refused, ok := errors.AsType[*Error](err); ok && refused.service == "" {
		return refused
	}
	return &Error{}
}

// hasCode reports whether a refusal has one of these error codes.
func (e *Error) hasCode(codes ...string) bool {
	return slices.ContainsFunc(e.Details, func(d Detail) bool { return slices.Contains(codes, strings.ToUpper(d.Code)) })
}

// mayExist reports whether a refusal to write may be because what is written exists already.
func (e *Error) mayExist() bool {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return false
	}
	return e.Status >= 400 && e.Status < 500
}

// ofType adds the media type of a manifest to err if the registry may have refused that.
func ofType(err error, mediaType string) error {
	switch refused := refusalOf(err); refused.Status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity:
		if len(refused.Details) > 0 && !refused.hasCode("MANIFEST_INVALID", "UNSUPPORTED", "UNKNOWN") {
			return err
		}
		fallthrough
	case http.StatusNotAcceptable, http.StatusUnsupportedMediaType:
		refused.mediaType = mediaType
	}
	return err
}

// isHeadRefused reports whether err may only say that HEAD is not supported, and a GET decides: by the registry, by a
// proxy or firewall in front of it, or by a store that it redirects to with a URL that is signed for GET.
func isHeadRefused(err error) bool {
	return slices.Contains([]int{
		http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusUnsupportedMediaType, http.StatusNotImplemented,
	}, refusalOf(err).Status)
}

// hasNoReferrers reports whether a refusal of a request for referrers means that the registry does not have that API: it
// says so, or redirects to a web site.
func (e *Error) hasNoReferrers() bool {
	switch e.Status {
	case http.StatusSeeOther, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
		return true
	}
	return e.elsewhere != "" && e.Status >= 400 && e.Status < 500 && !transport.MayPass(e.Status)
}

// kindOf returns the kind of an HTTP status.
func kindOf(status int) error {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return errdefs.ErrInvalidArgument
	case http.StatusUnauthorized:
		return errdefs.ErrUnauthenticated
	case http.StatusForbidden:
		return errdefs.ErrPermissionDenied
	case http.StatusNotFound:
		return errdefs.ErrNotFound
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return errdefs.ErrNotImplemented
	case http.StatusConflict:
		return errdefs.ErrConflict
	case http.StatusPreconditionFailed:
		return errdefs.ErrFailedPrecondition
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return errdefs.ErrUnavailable
	}
	if status >= 500 {
		return errdefs.ErrUnavailable
	}
	return errdefs.ErrUnknown
}

// tokenKindOf is kindOf for the answer of a token service: its 404 is not about a manifest.
func tokenKindOf(status int) error {
	if kind := kindOf(status); errdefs.IsUnavailable(kind) || errdefs.IsPermissionDenied(kind) {
		return kind
	}
	return errdefs.ErrUnauthenticated
}

func (h *host) newError(r request) *Error {
	return &Error{Host: h.name, Method: r.method, What: r.what, Repository: r.repo}
}

// withHint returns e, with a hint if it was refused by another server than the registry, to which no login is sent.
func (e *Error) withHint() error {
	switch {
	case e.elsewhere == "":
		return e
	case errdefs.IsUnauthorized(e) || e.service != "" && errdefs.IsPermissionDenied(e):
		return manifest.WithHint(e, "no login is sent to %s, to which %s redirects; use the name of the image there", e.elsewhere, e.Host)
	case errdefs.IsPermissionDenied(e):
		return manifest.WithHint(e, "%s redirects to %s, to which no login is sent", e.Host, e.elsewhere)
	}
	return e
}

// refusal is the error for an answer that is not 2xx.
func (h *host) refusal(r request, resp *http.Response) *Error {
	e := h.newError(r)
	body, _ := io.ReadAll(io.LimitReader(resp.Body, transport.MaxErrorBody))
	e.Status, e.kind = resp.StatusCode, kindOf(resp.StatusCode)
	if !h.server.Owns(resp.Request.URL) {
		e.elsewhere = manifest.OneLine(resp.Request.URL.Host, maxHost)
	}
	e.Details = h.details(body, resp.Request.Header.Get("Authorization"))
	e.after = transport.RetryAfter(resp.Header, h.client.budget.Now())
	return e
}

// details is parseDetails without the secrets that the registry may have echoed: those of the Authorization header and
// of the credential.
func (h *host) details(body []byte, header string) []Detail {
	_, sent, _ := strings.Cut(header, " ")
	return parseDetails(body, append(h.login.Secrets(), sent))
}

// noAnswer is the error for a request without an answer of the registry, or whose answer cannot be read.
func (h *host) noAnswer(ctx context.Context, r request, err error) error {
	e := h.newError(r)
	if ctx.Err() != nil {
		e.cause = ctx.Err()
		return e
	}
	if login, ok := errors.AsType[*transport.CredentialError](err); ok {
		e.cause = login
		return e
	}
	e.kind, e.exhausted = errdefs.ErrUnavailable, exhausted(err)
	if token, ok := errors.AsType[*transport.TokenError](err); ok {
		e.elsewhere = manifest.OneLine(token.Elsewhere, maxHost)
		h.describeToken(e, token.Err)
		return e.withHint()
	}
	if read, ok := errors.AsType[*transport.ReadError](err); ok {
		if e.exhausted != nil {
			return withTried(read.Err, e.exhausted.Tried)
		}
		return read.Err
	}
	if e.exhausted != nil && e.exhausted.Status != 0 {
		e.Status, e.kind, e.Details = e.exhausted.Status, kindOf(e.exhausted.Status), h.details(e.exhausted.Body, e.exhausted.Sent)
		return e
	}
	e.cause = h.plainCause(err)
	return e
}

// describeToken fills in what kept a token from being fetched.
func (h *host) describeToken(e *Error, err error) {
	answer, refused := transport.Refusal(err)
	_, isLarge := errors.AsType[*http.MaxBytesError](err)
	failed, ok := errors.AsType[*url.Error](err)
	switch {
	case refused:
		e.Status, e.kind = answer.StatusCode, tokenKindOf(answer.StatusCode)
		e.service, e.Details = hostOf(answer.RequestURL), h.details(answer.Body, "")
	case isLarge:
		e.kind, e.cause = errdefs.ErrUnauthenticated, errors.New("the token service returned more than 1 MiB")
	case !ok:
		e.kind, e.cause = errdefs.ErrUnauthenticated, err
	case e.exhausted != nil && e.exhausted.Status != 0:
		e.Status, e.kind = e.exhausted.Status, tokenKindOf(e.exhausted.Status)
		e.service, e.Details = hostOf(failed.URL), h.details(e.exhausted.Body, e.exhausted.Sent)
	default:
		e.service, e.cause = hostOf(failed.URL), h.plainCause(failed)
	}
}

// hostOf returns the host of an address, as it is shown.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return manifest.OneLine(u.Host, maxHost)
}

// failure is the cause of a failed request in plain words. It is of the kinds of the original error.
type failure struct {
	error
	original error
}

func (f failure) Unwrap() []error { return []error{f.error, f.original} }

// plainCause returns the cause of a failed request in plain words and without its URL.
func (h *host) plainCause(err error) error { return failure{h.plainError(err), err} }

func (h *host) plainError(err error) error {
	server := h.name
	for failed, ok := errors.AsType[*url.Error](err); ok; failed, ok = errors.AsType[*url.Error](err) {
		server, err = cmp.Or(hostOf(failed.URL), server), failed.Err
	}
	if server == h.Host {
		server = h.name
	}
	if transport.IsClosed(err) {
		err = fmt.Errorf("the connection was closed (%w)", err)
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return fmt.Errorf("%s speaks plain HTTP, not HTTPS; --insecure permits that", server)
	}
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%s has a certificate signed by an unknown authority (%w); put its CA into %s, or accept it with --insecure",
			server, unknown, filepath.Join(h.certDir(), "ca.crt"))
	}
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%s has an invalid certificate (%w); --insecure accepts it", server, untrusted.Err)
	}
	if wanted, ok := errors.AsType[*transport.ClientCertError](err); ok {
		return fmt.Errorf("%s requires a client certificate (%w); put client.cert and client.key into %s", server, wanted.Err, h.certDir())
	}
	if server != h.name {
		return fmt.Errorf("%s: %w", server, err)
	}
	return err
}

// certDir is the first directory for certificates of the registry, and of the servers that it leads to.
func (h *host) certDir() string {
	root := "/etc/docker/certs.d"
	if roots := h.client.options.CertDirs; len(roots) > 0 {
		root = roots[0]
	}
	return filepath.Join(root, h.name)
}
