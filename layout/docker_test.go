package layout

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// writeTar writes a tar with these members, names and contents in turn, and returns its path.
func writeTar(t *testing.T, members ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(members); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: members[i], Mode: 0o644, Size: int64(len(members[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, members[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// get reads the manifest of the only image of a layout.
func get(t *testing.T, name string) ([]byte, error) {
	t.Helper()
	ref, err := manifest.ParseNameOrPlace(name)
	if err != nil {
		t.Fatal(err)
	}
	var layouts Layouts
	defer layouts.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://layout/v2/layout/manifests/"+manifest.OnlyImage, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := layouts.Transport(ref).RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Builders other than docker put compressed layers into archives of its form. Their type says so.
func TestSavedLayerTypes(t *testing.T) {
	archive := writeTar(t, "manifest.json", `[{"Config":"c","Layers":["tar","gzip","zstd","empty"]}]`, "c", "{}",
		"tar", strings.Repeat("\x00", 1024), "gzip", "\x1f\x8b\x08rest", "zstd", "\x28\xb5\x2f\xfdrest", "empty", "")
	raw, err := get(t, "docker-archive://"+archive)
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	want := []string{ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd, ocispec.MediaTypeImageLayer}
	for i, l := range m.Layers {
		if l.MediaType != want[i] {
			t.Errorf("layer %d: got the type %s, want %s", i, l.MediaType, want[i])
		}
	}
}

// A list of images that would take many times its size in memory is refused.
func TestSavedBounds(t *testing.T) {
	images := "[" + strings.TrimSuffix(strings.Repeat(`{"Config":"c","Layers":["l"]},`, maxManifest/25), ",") + "]"
	_, err := get(t, "docker-archive://"+writeTar(t, "manifest.json", images, "c", "{}", "l", ""))
	if want := fmt.Sprintf("more than %d MiB", maxManifest>>20); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got the error %v, want %q", err, want)
	}
}
