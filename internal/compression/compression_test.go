package compression

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func Example() {
	var layer bytes.Buffer
	w := gzip.NewWriter(&layer)
	_, _ = w.Write([]byte("content of the layer\n"))
	_ = w.Close()

	content, err := NewReader(&layer)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer content.Close()
	_, _ = io.Copy(os.Stdout, content)
	// Output: content of the layer
}

func TestNewReader(t *testing.T) {
	content := bytes.Repeat([]byte("content"), 1000)
	var gzipped bytes.Buffer
	g := gzip.NewWriter(&gzipped)
	_, _ = g.Write(content)
	_ = g.Close()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	zstandard := encoder.EncodeAll(content, nil)
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9} // a frame with one byte
	for name, tt := range map[string]struct{ compressed, want []byte }{
		"uncompressed":             {content, content},
		"gzip":                     {gzipped.Bytes(), content},
		"zstd":                     {zstandard, content},
		"zstd after skipped frame": {append(skippable, zstandard...), content},
		"empty":                    {nil, nil},
	} {
		r, err := NewReader(bytes.NewReader(tt.compressed))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, tt.want) {
			t.Errorf("%s: got %d bytes, error %v, want %d bytes", name, len(got), err, len(tt.want))
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: closing: %v", name, err)
		}
	}
}

func TestNewReaderFails(t *testing.T) {
	for name, tt := range map[string]struct {
		compressed string
		wantWindow bool
	}{
		"window of 128 MiB": {"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00", true},
		"truncated zstd":    {"\x28\xb5\x2f\xfd\x00", false},
		"truncated gzip":    {"\x1f\x8b\x08", false},
	} {
		r, err := NewReader(strings.NewReader(tt.compressed))
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err == nil || errors.Is(err, ErrWindow) != tt.wantWindow {
			t.Errorf("%s: got error %v, want an error, ErrWindow %t", name, err, tt.wantWindow)
		}
	}
}
