package program

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest window of a zstd stream: what the strongest level of the builders has.
const maxWindow = 32 << 20

// ErrLimit is what is larger than is looked at: files in layers, their content, or the window of a zstd stream.
var ErrLimit = errors.New("larger than is looked at")

// Unpack returns the content of a layer that is packed by gzip or zstd, or not at all, whatever its media
// type says. Reading it returns ErrLimit for a window that is too large.
func Unpack(r io.Reader) (io.ReadCloser, error) {
	ahead := bufio.NewReaderSize(r, 64<<10)
	magic, err := ahead.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(ahead)
	case len(magic) == 4 && isZstd(binary.LittleEndian.Uint32(magic)):
		d, err := zstd.NewReader(ahead, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return unzstd{d}, nil
	}
	return io.NopCloser(ahead), nil
}

// isZstd reports whether magic begins a frame, or one to be skipped:
// https://www.rfc-editor.org/rfc/rfc8878#section-3.1.
func isZstd(magic uint32) bool { return magic == 0xfd2fb528 || magic&^0xf == 0x184d2a50 }

type unzstd struct{ *zstd.Decoder }

func (u unzstd) Read(p []byte) (int, error) {
	n, err := u.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = ErrLimit
	}
	return n, err
}

// WriteTo is that of Read.
func (u unzstd) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{u})
}

// Close releases the decoder.
func (u unzstd) Close() error {
	u.Decoder.Close()
	return nil
}
