package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// worthwhile is how much of a blob must arrive between two interruptions for them to count separately: a registry that
// sends only a few bytes at a time has an end.
const worthwhile = 64 << 10

// download is the content of a blob as a registry sends it. When it is interrupted, it continues where it was, by
// https://www.rfc-editor.org/rfc/rfc9110#section-14.2. It is for one reader; Close may be called concurrently.
type download struct {
	source repository
	blob   ocispec.Descriptor
	ctx    context.Context
	cancel context.CancelFunc
	// n is how many bytes were read, interruptedAt how many at the last interruption; attempts are those since a part was
	// read that is worth one.
	n, interruptedAt int64
	attempts         *transport.Attempts
	// read is called with n whenever it grows; it may be nil.
	read func(n int64)

	mu   sync.Mutex
	body io.ReadCloser
}

func (d *download) Read(p []byte) (int, error) {
	for {
		n, err := d.body.Read(p)
		if n > 0 {
			d.n += int64(n)
			if d.read != nil {
				d.read(d.n)
			}
		}
		if err == nil || errors.Is(err, io.EOF) {
			return n, err
		}
		if n > 0 {
			return n, nil // the next Read meets the failure again
		}
		if err := d.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume requests the rest after err interrupted the download. The error is io.EOF if there is none.
func (d *download) resume(err error) error {
	if d.blob.Size > 0 && d.n == d.blob.Size {
		return io.EOF
	}
	if d.attempts == nil || d.n-d.interruptedAt >= worthwhile {
		d.attempts = d.source.client.budget.Attempts(d.source.name, 0)
	}
	d.interruptedAt = d.n
	for f := transport.Transient(err, true); f != nil && d.attempts.Wait(d.ctx, *f); f = interruption(err) {
		if err = d.reopen(); err == nil {
			return nil
		}
	}
	return describe(d.ctx, err, d.attempts)
}

// reopen requests the part that is missing.
func (d *download) reopen() error {
	resp, err := d.source.blob(d.ctx, http.MethodGet, d.blob, pullScope(d.source.repo),
		http.Header{"Range": {fmt.Sprintf("bytes=%d-", d.n)}})
	if err != nil {
		return err
	}
	if err := d.position(resp); err != nil {
		resp.Body.Close()
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.body.Close()
	d.body = resp.Body
	if d.ctx.Err() != nil {
		d.body.Close()
	}
	return nil
}

// position skips to the byte of resp that is to be read next. A registry without support for ranges sends the blob
// from its first byte.
func (d *download) position(resp *http.Response) error {
	if resp.StatusCode != http.StatusPartialContent {
		if _, err := io.CopyN(io.Discard, resp.Body, d.n); err != nil {
			return interrupted(d.ctx, err)
		}
		return nil
	}
	var first int64
	if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &first); err != nil || first != d.n {
		return manifest.Errorf(errdefs.ErrDataLoss, "the registry sent another range than the one from byte %d", d.n)
	}
	return nil
}

// Close ends the download, and any wait of it.
func (d *download) Close() error {
	d.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.body.Close()
}
