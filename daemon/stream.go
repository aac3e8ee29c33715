package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/docker/api/types/auxprogress"
	"github.com/opencontainers/go-digest"
)

// messageStream passes on the messages of a push, pull or import and keeps the outcome. One of a failure ends it with a refusal.
type messageStream struct {
	messages *json.Decoder
	tag      string
	current  []byte // rest of the message that is being read

	status  string        // the last one
	digest  digest.Digest // of what was pushed
	missing bool          // content of the image
}

func newMessageStream(body io.Reader, tag string) *messageStream {
	return &messageStream{messages: json.NewDecoder(body), tag: tag}
}

// message is a message of the stream, as far as the outcome may be in it.
type message struct {
	ID, Status  string
	Error       string
	ErrorDetail *struct{ Message string }
	Aux         json.RawMessage
}

// refusal is the error that the daemon reports for a push, pull or import.
type refusal struct {
	text     string
	registry string
}

func (r *refusal) Error() string { return clean(r.text) }

// Registry returns the registry that it was for: the argument of "docker login".
func (r *refusal) Registry() string { return r.registry }

// loginWords are in the messages of daemons with either store when a registry requires a login, in lower case. The messages
// have no codes: a daemon with the containerd store passes on only what the registry says in its own words.
var loginWords = []string{"no basic auth credentials", "authentication required", "unauthorized", "authorization failed",
	"access to the resource is denied", "credentials required", "login required", "not logged in", "insufficient_scope", "incorrect username or password",
	"invalid username", "not authorized", "access forbidden", "permission_denied"}

// insecureWords are in the messages when a registry has no TLS, certificateWords when its certificate is not trusted.
var (
	insecureWords    = []string{"server gave HTTP response to HTTPS client", "first record does not look like a TLS handshake"}
	certificateWords = []string{"x509: ", "failed to verify certificate"}
)

// goneWords are in the messages when the name to push does not exist, or no longer.
var goneWords = []string{"tag does not exist", "An image does not exist locally with the tag", "image not known"}

// blobWords are in the messages when a registry refuses a manifest because it lacks a blob.
var blobWords = []string{"blob unknown", "BLOB_UNKNOWN"}

// Unwrap returns errdefs.ErrUnauthenticated when the registry requires a login, errdefs.ErrNotFound when the daemon does
// not have the name, and errdefs.ErrAborted when the registry lacks a blob.
func (r *refusal) Unwrap() error {
	switch {
	case containsAny(r.text, insecureWords), containsAny(r.text, certificateWords):
		return nil
	case containsAny(strings.ToLower(r.text), loginWords):
		return errdefs.ErrUnauthenticated
	case containsAny(r.text, goneWords):
		return errdefs.ErrNotFound
	case containsAny(r.text, blobWords):
		return errdefs.ErrAborted
	}
	return nil
}

func containsAny(text string, words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// of returns the error for what the daemon did with an image ("pushes", "pulls") of a registry, with a hint if the daemon
// needs a setting of its own: flags of this program do not reach it.
func (r *refusal) of(what, does, registry string, podman bool) error {
	r.registry = registry
	err := fmt.Errorf("%s: %w", what, r)
	insecure := fmt.Sprintf(`add %s to "insecure-registries" in its daemon.json`, registry)
	if podman {
		insecure = fmt.Sprintf("add a [[registry]] with location = %q and insecure = true to its registries.conf", registry)
	}
	switch {
	case containsAny(r.text, insecureWords):
		return manifest.WithHint(err, "the daemon %s, which --insecure does not change: %s", does, insecure)
	case containsAny(r.text, certificateWords):
		return manifest.WithHint(err, "the daemon %s, which --insecure does not change: store the certificate of the CA as /etc/docker/certs.d/%s/ca.crt on its machine, or %s", does, registry, insecure)
	}
	return err
}

// Read returns whole messages. The error is io.EOF only if the daemon ended the stream between two messages.
func (s *messageStream) Read(p []byte) (int, error) {
	if len(s.current) == 0 {
		raw, err := s.next()
		if err != nil {
			return 0, err
		}
		s.current = raw
	}
	n := copy(p, s.current)
	s.current = s.current[n:]
	return n, nil
}

// next returns the next message.
func (s *messageStream) next() (json.RawMessage, error) {
	var raw json.RawMessage
	if err := s.messages.Decode(&raw); err != nil {
		return nil, err
	}
	return raw, s.take(raw)
}

// take keeps the outcome in a message. Fields of an unknown shape are ignored.
func (s *messageStream) take(raw []byte) error {
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	s.status = m.Status
	s.takeAux(m.Aux)
	// The line that ends a push of the tag is "TAG: digest: DIGEST size: BYTES": the containerd store has the digest nowhere else.
	if rest, ok := strings.CutPrefix(m.Status, s.tag+": digest: "); ok && m.ID == "" {
		text, _, _ := strings.Cut(rest, " ")
		s.takeDigest(text)
	}
	switch {
	case m.ErrorDetail != nil && m.ErrorDetail.Message != "":
		return &refusal{text: m.ErrorDetail.Message}
	case m.Error != "":
		return &refusal{text: m.Error}
	case m.ErrorDetail != nil:
		return &refusal{text: "it failed without a reason"}
	}
	return nil
}

// takeAux keeps the machine-readable outcome: the digest of what was pushed (graph-driver store), that one
// platform was pushed because the others are not available, or that content is missing (containerd store).
func (s *messageStream) takeAux(raw []byte) {
	var aux struct {
		Digest string
		auxprogress.ManifestPushedInsteadOfIndex
		auxprogress.ContentMissing
	}
	_ = json.Unmarshal(raw, &aux)
	s.takeDigest(aux.Digest)
	s.takeDigest(string(aux.SelectedManifest.Digest))
	s.missing = s.missing || aux.ContentMissing.ContentMissing
}

func (s *messageStream) takeDigest(text string) {
	if d, err := digest.Parse(text); err == nil {
		s.digest = d
	}
}
