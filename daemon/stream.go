package daemon

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/auxprogress"
	"github.com/opencontainers/go-digest"
)

// messageStream passes on the messages of a push, pull or import and keeps the outcome that they report. A message
// that reports a failure ends the stream with a refusal.
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

// loginWords are in the messages of daemons with either store when a registry requires a login. The messages
// have no codes.
var loginWords = []string{"no basic auth credentials", "authentication required", "unauthorized", "401 Unauthorized", "authorization failed", "access to the resource is denied"}

// goneWords are in the messages when the name to push does not exist, or no longer.
var goneWords = []string{"tag does not exist", "An image does not exist locally with the tag", "image not known"}

// blobWords are in the messages when a registry refuses a manifest because it lacks a blob.
var blobWords = []string{"blob unknown", "BLOB_UNKNOWN"}

// Unwrap returns errdefs.ErrUnauthenticated when the registry requires a login, errdefs.ErrNotFound when the daemon does
// not have the name, and errdefs.ErrAborted when the registry lacks a blob.
func (r *refusal) Unwrap() error {
	has := func(word string) bool { return strings.Contains(r.text, word) }
	switch {
	case slices.ContainsFunc(loginWords, has):
		return errdefs.ErrUnauthenticated
	case slices.ContainsFunc(goneWords, has):
		return errdefs.ErrNotFound
	case slices.ContainsFunc(blobWords, has):
		return errdefs.ErrAborted
	}
	return nil
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
	if m.Aux != nil {
		s.takeAux(m.Aux)
	}
	if d := closingDigest(m, s.tag); d != "" {
		s.digest = d
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
	var pushed struct{ Digest string }
	if json.Unmarshal(raw, &pushed) == nil {
		s.takeDigest(pushed.Digest)
	}
	var instead auxprogress.ManifestPushedInsteadOfIndex
	if json.Unmarshal(raw, &instead) == nil && instead.ManifestPushedInsteadOfIndex {
		s.takeDigest(string(instead.SelectedManifest.Digest))
	}
	var missing auxprogress.ContentMissing
	if json.Unmarshal(raw, &missing) == nil && missing.ContentMissing {
		s.missing = true
	}
}

func (s *messageStream) takeDigest(text string) {
	if d, err := digest.Parse(text); err == nil {
		s.digest = d
	}
}

// closingDigest returns the digest in the line that ends a push of tag with either store,
// "TAG: digest: DIGEST size: BYTES". The stream of the containerd store has it nowhere else.
func closingDigest(m message, tag string) digest.Digest {
	rest, ok := strings.CutPrefix(m.Status, tag+": digest: ")
	if !ok || m.ID != "" {
		return ""
	}
	text, _, _ := strings.Cut(rest, " ")
	d, err := digest.Parse(text)
	if err != nil {
		return ""
	}
	return d
}
