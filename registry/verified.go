package registry

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// readAhead is how much of a blob is read before what precedes it is returned.
const readAhead = 64 << 10

// verified is the content of a blob. It returns the last bytes only when the whole content has the expected digest and
// size, so that nobody receives all of a wrong blob.
type verified struct {
	what   string
	body   io.Closer
	ahead  *bufio.Reader
	digest digest.Digest
	hash   digest.Verifier
	// size is the expected number of bytes, -1 if it is unknown; n is how many were read.
	size, n int64

	mu     sync.Mutex
	closed bool
	err    error // io.EOF once the content is complete
}

func newVerified(what string, body io.ReadCloser, d digest.Digest, size int64) *verified {
	return &verified{
		what: what, body: body, ahead: bufio.NewReaderSize(body, readAhead),
		digest: d, hash: d.Verifier(), size: size,
	}
}

// Read is for one goroutine; the other methods may be called concurrently.
func (v *verified) Read(p []byte) (int, error) {
	if err := v.state(); err != nil || len(p) == 0 {
		return 0, err
	}
	n := min(len(p), readAhead-1)
	// One more byte than requested shows whether these are the last ones.
	next, err := v.ahead.Peek(n + 1)
	if err == nil {
		next = next[:n]
	}
	_, _ = v.hash.Write(next)
	v.n += int64(len(next))
	if err = v.settle(v.check(err)); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	copy(p, next)
	_, _ = v.ahead.Discard(len(next))
	if len(next) == 0 {
		return 0, err
	}
	return len(next), nil
}

// CheckedDigest implements [manifest.Checked].
func (v *verified) CheckedDigest() digest.Digest { return v.digest }

func (v *verified) state() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// settle keeps err, except for one that was caused by closing the source while it was read.
func (v *verified) settle(err error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed || errors.Is(err, io.EOF) {
		v.err = err
	}
	return err
}

// check returns nil while there is more to come, io.EOF when the content is complete and correct, and otherwise what is
// wrong with it. end is what ended it, nil when nothing did.
func (v *verified) check(end error) error {
	switch {
	case errors.Is(end, context.Canceled):
		return end
	case end != nil && !errors.Is(end, io.EOF):
		return manifest.Errorf(errdefs.ErrUnavailable, "%s: the transfer was interrupted: %w", v.what, end)
	case v.size >= 0 && (v.n > v.size || end == nil && v.n == v.size):
		return manifest.Errorf(errdefs.ErrDataLoss, "%s has more than %d bytes", v.what, v.size)
	case end == nil:
		return nil
	case v.size >= 0 && v.n < v.size:
		return manifest.Errorf(errdefs.ErrDataLoss, "%s has %d bytes instead of %d", v.what, v.n, v.size)
	case !v.hash.Verified():
		return manifest.Errorf(errdefs.ErrDataLoss, "%s: the received content has another digest", v.what)
	}
	return io.EOF
}

// verifyEmpty reads a blob that should have no bytes.
func (v *verified) verifyEmpty() error {
	if _, err := v.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return v.failure()
}

// failure returns what was wrong with the content, nil if nothing is known to be.
func (v *verified) failure() error {
	if err := v.state(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// complete reports whether all of the content was returned.
func (v *verified) complete() bool { return errors.Is(v.state(), io.EOF) }

// Close closes the source.
func (v *verified) Close() error {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	return v.body.Close()
}
