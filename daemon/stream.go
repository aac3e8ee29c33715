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

// messageStream hands on the messages of a push, pull or import and keeps what they say about its outcome. A message that
// says that it failed ends it with a refusal.
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

// refusal is what the daemon says about a push, pull or import that failed.
type refusal struct {
	text     string
	registry string
}

func (r *refusal) Error() string { return clean(r.text) }

// Registry returns the registry that it was for: the argument of "docker login".
func (r *refusal) Registry() string { return r.registry }

// loginWords are in what daemons of either store say when a registry wants a login. They send words alone,
// no code.
var loginWords = []string{"no basic auth credentials", "authentication required", "unauthorized", "401 Unauthorized", "authorization failed", "access to the resource is denied"}

// goneWords are in what they say when the name to push is not there (any more).
var goneWords = []string{"tag does not exist", "An image does not exist locally with the tag"}

// blobWords are in what they say when a registry refuses a manifest because it lacks a blob.
var blobWords = []string{"blob unknown", "BLOB_UNKNOWN"}

// Unwrap returns errdefs.ErrUnauthenticated when the registry wants a login, errdefs.ErrNotFound when the daemon does
// not have the name, and errdefs.ErrAborted when the registry lacks a blob.
func (r *refusal) Unwrap() error {
	said := func(word string) bool { return strings.Contains(r.text, word) }
	switch {
	case slices.ContainsFunc(loginWords, said):
		return errdefs.ErrUnauthenticated
	case slices.ContainsFunc(goneWords, said):
		return errdefs.ErrNotFound
	case slices.ContainsFunc(blobWords, said):
		return errdefs.ErrAborted
	}
	return nil
}

// Read reads the messages, whole ones only. The error is io.EOF only where the daemon ended the stream
// between two.
func (s *messageStream) Read(p []byte) (int, error) {
	if len(s.current) == 0 {
		var raw json.RawMessage
		if err := s.messages.Decode(&raw); err != nil {
			return 0, err
		}
		if err := s.take(raw); err != nil {
			return 0, err
		}
		s.current = raw
	}
	n := copy(p, s.current)
	s.current = s.current[n:]
	return n, nil
}

// take keeps what a message says. Fields of an unknown shape say nothing.
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
		return &refusal{text: "it failed, and does not say why"}
	}
	return nil
}

// takeAux keeps what the daemon says to programs: the digest of what it pushed (graph-driver store), that
// it pushed one platform's manifest for want of the others, or that content is missing (containerd
// store).
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

// closingDigest returns the digest in the line with which daemons of either store close a push of tag,
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
