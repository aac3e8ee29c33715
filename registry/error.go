package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Error is a request that a registry or its token service refused, or did not answer. Its kind is one
// of the errdefs package, and its text one line without secrets.
type Error struct {
	// Host is the registry, named as in a reference.
	Host string
	// Method is the request's, What its object, Repository the path of its repository.
	Method, What, Repository string
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Details are what the registry said, in the order it did.
	Details []Detail

	// service is the host of the token service when it was that which refused.
	service string
	// elsewhere says that a server refused which the registry had led to.
	elsewhere bool
	kind      error
	cause     error
	// after is how long the registry wants to be left alone; spent is set when it was tried enough.
	after time.Duration
	spent *gaveUp
}

// Detail is an error in the sense of the distribution spec, ready to be shown.
type Detail struct{ Code, Message string }

// Registry returns the registry that the error is about: the argument of "docker login".
func (e *Error) Registry() string { return e.Host }

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s", e.Host, e.Method, e.What)
	if e.service != "" {
		b.WriteString(": token service " + e.service)
	}
	if e.Status != 0 {
		b.WriteString(": " + statusText(e.Status))
	}
	if e.cause != nil {
		b.WriteString(": " + manifest.OneLine(e.cause.Error(), maxCause))
	}
	if e.spent != nil && e.spent.tried != "" {
		b.WriteString(" (" + e.spent.tried + ")")
	}
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
	var out []error
	for _, err := range []error{e.kind, e.cause} {
		if err != nil {
			out = append(out, err)
		}
	}
	if e.spent != nil {
		out = append(out, e.spent)
	}
	return out
}

// hasCode reports whether the registry itself gave one of these error codes.
func (e *Error) hasCode(codes ...string) bool {
	for _, d := range e.Details {
		for _, c := range codes {
			if e.service == "" && strings.EqualFold(d.Code, c) {
				return true
			}
		}
	}
	return false
}

// isHeadRefused reports whether err says no more than that HEAD is not taken: by the registry, or by a store
// that it leads to with an address that is signed for GET alone.
func isHeadRefused(err error) bool {
	var refused *Error
	if !errors.As(err, &refused) || refused.service != "" {
		return false
	}
	return errdefs.IsNotImplemented(err) || refused.elsewhere && errdefs.IsPermissionDenied(err)
}

// kindOf returns the kind of an HTTP status.
func kindOf(status int) error {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
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
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return errdefs.ErrUnavailable
	}
	if status >= 500 {
		return errdefs.ErrUnavailable
	}
	return errdefs.ErrUnknown
}

// tokenKindOf is kindOf for the answer of a token service: what it does not find is no manifest.
func tokenKindOf(status int) error {
	if kind := kindOf(status); errdefs.IsUnavailable(kind) || errdefs.IsPermissionDenied(kind) {
		return kind
	}
	return errdefs.ErrUnauthenticated
}

func (h *host) newError(r request) *Error {
	return &Error{Host: h.name, Method: r.method, What: r.what, Repository: r.repo}
}

// refusal is the error for an answer that is not 2xx.
func (h *host) refusal(r request, resp *http.Response) *Error {
	e := h.newError(r)
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	e.Status, e.kind = resp.StatusCode, kindOf(resp.StatusCode)
	e.elsewhere = !h.owns(resp.Request.URL)
	e.Details = h.details(body, resp.Request.Header.Get("Authorization"))
	e.after = retryAfter(resp.Header, h.client.patience.now())
	return e
}

// details is parseDetails less what the registry may have echoed of secrets: those of the Authorization
// header and of the credential.
func (h *host) details(body []byte, header string) []Detail {
	_, sent, _ := strings.Cut(header, " ")
	secrets := []string{sent}
	if a, ok := h.Authorizer.(*authorizer); ok {
		secrets = append(secrets, a.secrets()...)
	}
	return parseDetails(body, secrets)
}

// noAnswer is the error for a request without an answer of the registry.
func (h *host) noAnswer(ctx context.Context, r request, err error) error {
	e := h.newError(r)
	if ctx.Err() != nil {
		e.cause = ctx.Err()
		return e
	}
	var login *credentialError
	if errors.As(err, &login) {
		e.cause = err
		return e
	}
	e.kind, e.spent = errdefs.ErrUnavailable, gaveUpOn(err)
	var token *tokenError
	if errors.As(err, &token) {
		h.describeToken(e, token.error)
		return e
	}
	if e.spent != nil && e.spent.status != 0 {
		e.Status, e.kind, e.Details = e.spent.status, kindOf(e.spent.status), h.details(e.spent.body, e.spent.sent)
		return e
	}
	e.cause = h.plainCause(err)
	return e
}

// describeToken fills in what kept a token from being fetched.
func (h *host) describeToken(e *Error, err error) {
	var failed *url.Error
	var large *http.MaxBytesError
	status, answer, refused := tokenStatus(err)
	switch {
	case refused:
		e.Status, e.kind = status, tokenKindOf(status)
		e.service, e.Details = hostOf(answer.RequestURL), h.details(answer.Body, "")
	case errors.As(err, &large):
		e.kind, e.cause = errdefs.ErrUnauthenticated, errors.New("the token service's answer is larger than 1 MiB")
	case !errors.As(err, &failed):
		e.kind, e.cause = errdefs.ErrUnauthenticated, err
	case e.spent != nil && e.spent.status != 0:
		e.Status, e.kind = e.spent.status, tokenKindOf(e.spent.status)
		e.service, e.Details = hostOf(failed.URL), h.details(e.spent.body, e.spent.sent)
	default:
		e.service, e.cause = hostOf(failed.URL), h.plainCause(failed)
	}
}

// tokenStatus returns the status with which a token service refused.
func tokenStatus(err error) (int, remoteerrors.ErrUnexpectedStatus, bool) {
	var identity *identityRefused
	if errors.As(err, &identity) {
		err = identity.answer
	}
	var answer remoteerrors.ErrUnexpectedStatus
	ok := errors.As(err, &answer)
	return answer.StatusCode, answer, ok
}

// hostOf returns the host of an address, as it is shown.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return manifest.OneLine(u.Host, maxHost)
}

// plainCause returns the cause of a failed round trip in plain words and without its URL.
func (h *host) plainCause(err error) error {
	server := h.name
	var failed *url.Error
	if errors.As(err, &failed) {
		if other := hostOf(failed.URL); other != "" && other != h.Host {
			server = other
		}
		err = failed.Err
	}
	if closed(err) {
		err = fmt.Errorf("the connection was closed (%w)", err)
	}
	var untrusted *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var wanted *clientCertError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s speaks plain HTTP, not HTTPS; --insecure permits that", server)
	case errors.As(err, &unknown):
		return fmt.Errorf("%s has a certificate that nobody vouches for (%w); put its CA into %s, or accept it with --insecure",
			server, unknown, filepath.Join(h.certDir(), "ca.crt"))
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s has a certificate that is not valid (%w); --insecure accepts it", server, untrusted.Err)
	case errors.As(err, &wanted):
		return fmt.Errorf("%s asks for a client certificate that it accepts (%w); put client.cert and client.key into %s",
			server, wanted.error, h.certDir())
	case server != h.name:
		return fmt.Errorf("%s: %w", server, err)
	}
	return err
}

// certDir is where certificates for the registry, and for those that it sends us to, are looked for first.
func (h *host) certDir() string {
	root := "/etc/docker/certs.d"
	if roots := h.client.options.CertDirs; len(roots) > 0 {
		root = roots[0]
	}
	return filepath.Join(root, h.name)
}
