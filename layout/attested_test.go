package layout_test

import (
	"archive/tar"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/layout"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// A tar of an index with one image and its attestation has the form of docker save, too. Its index.json has the index and,
// for what else describes the image, an entry of its own; the attestation is only in the index.
func TestTarOfAttestedImage(t *testing.T) {
	f := files{}
	image := f.image("arm64")
	attestation, signature := f.referrer("attestation", image), f.referrer("signature", image)
	listed := named(attestation, manifest.AnnotationReferenceType, manifest.ReferenceTypeAttestation)
	index, referrers := f.list(image, listed), f.list(signature)

	path := filepath.Join(t.TempDir(), "a.tar")
	var layouts layout.Layouts
	defer layouts.Close()
	typed := "oci-layout://" + path
	ref, err := manifest.ParseNameOrLayout(typed)
	if err == nil {
		err = layouts.Target(ref, false, func(string) string { return "" })
	}
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, d ocispec.Descriptor) {
		t.Helper()
		header := http.Header{"Content-Type": {d.MediaType}}
		if _, _, err := send(t, &layouts, typed, http.MethodPut, "manifests/"+name, header, f[blobName(d)]); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []ocispec.Descriptor{image, attestation, signature} {
		put(d.Digest.String(), d)
	}
	put(strings.Replace(image.Digest.String(), ":", "-", 1), referrers)
	put("1", index)
	if err := layouts.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}

	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := map[string]string{}
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(r)
		got[h.Name] = string(raw)
	}
	if !strings.Contains(got["manifest.json"], `"Layers":["blobs/sha256/`) {
		t.Errorf("got manifest.json %q, want the image", got["manifest.json"])
	}
	for _, e := range []struct {
		what string
		d    ocispec.Descriptor
		want bool
	}{{"index", index, true}, {"referrers", referrers, true}, {"signature", signature, true}, {"attestation", attestation, false}, {"image", image, false}} {
		if got := strings.Contains(got["index.json"], e.d.Digest.String()); got != e.want {
			t.Errorf("got %s in index.json: %t, want %t", e.what, got, e.want)
		}
	}
}
