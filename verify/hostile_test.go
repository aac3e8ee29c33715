package verify

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/compression"
	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/verify/program"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// sign puts the checksum into the header of an archive's entry, and returns it.
func sign(header []byte) int {
	copy(header[148:156], "        ")
	sum := 0
	for _, b := range header[:512] {
		sum += int(b)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return sum
}

// files writes n entries of an archive like this one, whose name is 00000000, each with another number.
func files(t *testing.T, to io.Writer, entry []byte, n int) {
	t.Helper()
	w := bufio.NewWriterSize(to, 1<<18)
	zeros := sign(entry)
	for i := range n {
		name := strconv.Itoa(10_000_000 + i)
		sum := zeros - '0'*len(name)
		for _, digit := range name {
			sum += int(digit)
		}
		copy(entry, name)
		copy(entry[148:], "0"+strconv.FormatInt(int64(sum), 8))
		if _, err := w.Write(entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// pax returns an archive with a PAX record of n bytes.
func pax(t *testing.T, n int) []byte {
	t.Helper()
	record := fmt.Sprintf("%d SCHILY.xattr.user.x=%s\n", n, strings.Repeat("x", n-21-len(fmt.Sprint(n, " "))))
	out := tarOf(t, "app", record)
	out[156] = tar.TypeXHeader
	sign(out)
	return append(out[:len(out)-1024], tarOf(t, "app", compiled("amd64"))...)
}

// packed returns content in gzip or zstd.
func packed(t *testing.T, format string, write func(io.Writer)) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&out)
	if format == "zstd" {
		w, _ = zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	}
	write(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Layers that are made to exhaust memory or time, or that are cut off, are unknown, with the reason: nothing is
// called valid on the strength of them.
func TestCheckHostileLayers(t *testing.T) {
	app := tarOf(t, "app", compiled("amd64"))
	for _, tt := range []struct {
		name  string
		bytes []byte
		want  string
	}{
		{"name that leaves", zipped(t, tarOf(t, "../../etc/cron.d/x\x1b", "x")), `layer %s has the entry "../../etc/cron.d/x`},
		{"PAX record", zipped(t, pax(t, 2<<20)), "layer %s was not unpacked: archive/tar: header field too long"},
		{"gzip, truncated", zipped(t, app)[:40], "layer %s ends too early to be unpacked"},
		{"zstd, truncated", packed(t, "zstd", func(w io.Writer) { _, _ = w.Write(app) })[:40], "layer %s ends too early to be unpacked"},
		{"archive, truncated in a header", zipped(t, app[:300]), "layer %s ends too early to be unpacked"},
		{"archive, truncated in a file", zipped(t, app[:550]), "layer %s ends too early to be unpacked"},
		{"zstd window", []byte("\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"), "layer %s was not unpacked: its zstd window is larger than 32 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepo(t)
			diffID := digest.Canonical.Digester()
			if content, err := compression.NewReader(bytes.NewReader(tt.bytes)); err == nil {
				_, _ = io.Copy(diffID.Hash(), content) // those that are cut off have none
			}
			r.addLayer("amd64", nil, tt.bytes)
			ids := r.config["amd64"]["rootfs"].(map[string]any)["diff_ids"].([]string)
			ids[len(ids)-1] = diffID.Digest().String()
			r.putList(unchanged)
			got := r.check(true)
			if got.State != StateUnknown || len(got.Findings) == 0 {
				t.Fatalf("got %+v, want that it is unknown", got)
			}
			d := digest.FromBytes(tt.bytes)
			if f := got.Findings[0]; f.Severity != SeverityUnknown || !strings.Contains(f.Message, fmt.Sprintf(tt.want, d)) || strings.ContainsRune(f.Message, '\x1b') {
				t.Errorf("got %+v, want %s", f, tt.want)
			}
		})
	}
}

// A few bytes that expand to many are read up to the limit, which is lower if only a hostile layer expands so much.
func TestCheckBombs(t *testing.T) {
	const limit = 4 << 20
	zeros := func(n int) func(io.Writer) {
		return func(w io.Writer) { _, _ = w.Write(make([]byte, n)) }
	}
	for _, tt := range []struct {
		format string
		size   int
		err    error
	}{{"gzip", limit - 1, nil}, {"gzip", limit + 1, program.ErrLimit}, {"zstd", limit/16 - 1, nil}, {"zstd", limit / 4, program.ErrLimit}} {
		r, l := fakes.NewRegistry(), newLayers(1, program.NewBudget(10), limit)
		content := packed(t, tt.format, zeros(tt.size))
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromBytes(content), Size: int64(len(content))}
		r.Blobs[d.Digest] = content
		u, err := l.get(t.Context(), r, fakes.Named(t, "h.example.com/app"), d, layerKey{contentKey: contentKey{digest: d.Digest}, image: true})
		if !errors.Is(u.err, tt.err) || err != nil {
			t.Errorf("%d bytes in %d of %s: got errors %v and %v, want %v", tt.size, d.Size, tt.format, u.err, err, tt.err)
		}
	}
}

// generated is a registry with a blob that is made while it is read.
type generated struct {
	*fakes.Registry
	blob  digest.Digest
	write func(io.Writer)
}

func (g generated) OpenBlob(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (io.ReadCloser, error) {
	if d.Digest != g.blob {
		return g.Registry.OpenBlob(ctx, repo, d)
	}
	r, w := io.Pipe()
	go func() {
		g.write(w)
		_ = w.Close()
	}()
	return r, nil
}

// The files that are in memory are bounded: a layer with a million is unknown, whatever its size.
func TestCheckMillionEntries(t *testing.T) {
	const n = 1_000_000
	r := newRepo(t)
	write := func(w io.Writer) { files(t, w, tarOf(t, "00000000", "")[:512], n) }
	digester := digest.Canonical.Digester()
	write(digester.Hash())
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digester.Digest(), Size: n * 512}
	r.addLayer("amd64", nil, nil)
	layers := r.layers["amd64"]
	layers[len(layers)-1] = d
	ids := r.config["amd64"]["rootfs"].(map[string]any)["diff_ids"].([]string)
	ids[len(ids)-1] = d.Digest.String()
	r.putList(unchanged)
	got, err := Check(t.Context(), generated{r.Registry, d.Digest, write}, []reference.Named{fakes.Named(t, "h.example.com/app:1")}, Options{Deep: true})
	want := "unknown linux/amd64: the files of layer " + d.Digest.String() + " were not checked: there are too many"
	if err != nil || got[0].State != StateUnknown || len(got[0].Findings) == 0 || texts(got[0].Findings)[0] != want {
		t.Errorf("got %+v, error %v, want %s", got, err, want)
	}
}
