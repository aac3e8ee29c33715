// Package compression reads layers and archives whatever compresses them.
//
// [NewReader] recognizes gzip and zstd by their first bytes, since a media type or file name is only a claim.
// It decompresses in this process: containerd's package starts unpigz where it finds one. How much
// content to accept is up to the caller, and [Cancellable] ends what takes long.
package compression

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest accepted window of a zstd stream: builders use at most this at their strongest level.
const maxWindow = 32 << 20

// ErrWindow is returned by reads of a zstd stream that needs more memory than is allowed.
var ErrWindow = errors.New("its zstd window is larger than 32 MiB")

// NewReader returns the decompressed content of r, which may be gzip, zstd or uncompressed.
// Closing the reader does not close r.
func NewReader(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch Of(magic) {
	case Gzip:
		return gzip.NewReader(buffered)
	case Zstd:
		d, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return zstdReader{d}, nil
	}
	return io.NopCloser(buffered), nil
}

// What compresses content, as the suffix of a media type.
const (
	Gzip = "+gzip"
	Zstd = "+zstd"
)

// Of returns what compresses the content that starts with magic, "" for nothing that is known. It needs four bytes.
func Of(magic []byte) string {
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return Gzip
	case len(magic) >= 4 && isZstd(binary.LittleEndian.Uint32(magic)):
		return Zstd
	}
	return ""
}

// isZstd reports whether a frame, possibly a skippable one, starts with magic:
// https://www.rfc-editor.org/rfc/rfc8878#section-3.1.
func isZstd(magic uint32) bool { return magic == 0xfd2fb528 || magic&^0xf == 0x184d2a50 }

// zstdReader makes an [io.ReadCloser] of a decoder, which also has a WriteTo.
type zstdReader struct{ decoder *zstd.Decoder }

func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = ErrWindow
	}
	return n, err
}

// Close releases the decoder.
func (z zstdReader) Close() error {
	z.decoder.Close()
	return nil
}

// Cancellable returns r, whose reads fail once ctx is done.
func Cancellable(ctx context.Context, r io.Reader) io.Reader { return cancellable{ctx, r} }

type cancellable struct {
	ctx  context.Context
	from io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.from.Read(p)
}
