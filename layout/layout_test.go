package layout_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/layout"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

const (
	refName   = "org.opencontainers.image.ref.name"
	imageName = "io.containerd.image.name"
)

// files are those of a layout by their names.
type files map[string][]byte

// blob adds a blob.
func (f files) blob(mediaType string, raw []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	f[blobName(d)] = raw
	return d
}

func blobName(d ocispec.Descriptor) string { return "blobs/sha256/" + d.Digest.Encoded() }

// put adds a blob with the JSON of v.
func (f files) put(mediaType string, v any) ocispec.Descriptor {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return f.blob(mediaType, raw)
}

// image adds an image for an architecture of Linux.
func (f files) image(arch string) ocispec.Descriptor {
	layer := f.blob(ocispec.MediaTypeImageLayer, []byte("layer for "+arch))
	config := map[string]any{"architecture": arch, "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": []digest.Digest{layer.Digest}}}
	d := f.put(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: f.put(ocispec.MediaTypeImageConfig, config), Layers: []ocispec.Descriptor{layer},
	})
	d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
	return d
}

// referrer adds an artifact of a type that describes a manifest.
func (f files) referrer(artifactType string, subject ocispec.Descriptor) ocispec.Descriptor {
	return f.put(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType,
		Config: f.blob(ocispec.MediaTypeEmptyJSON, []byte("{}")), Layers: []ocispec.Descriptor{}, Subject: &subject,
	})
}

// list adds an index.
func (f files) list(children ...ocispec.Descriptor) ocispec.Descriptor {
	return f.put(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: children,
	})
}

// index sets index.json.
func (f files) index(entries ...ocispec.Descriptor) files {
	f["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	raw, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: entries})
	if err != nil {
		panic(err)
	}
	f["index.json"] = raw
	return f
}

// named returns an entry with annotations, given as key and value in turn.
func named(d ocispec.Descriptor, annotations ...string) ocispec.Descriptor {
	d.Annotations = map[string]string{}
	for i := 0; i < len(annotations); i += 2 {
		d.Annotations[annotations[i]] = annotations[i+1]
	}
	return d
}

// folder writes the files into a new folder and returns its path.
func (f files) folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	for name, raw := range f {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tar returns an archive of the files, then other members.
func (f files) tar(others ...tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		check(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(f[name])), Typeflag: tar.TypeReg}))
		_, err := w.Write(f[name])
		check(err)
	}
	for _, h := range others {
		check(w.WriteHeader(&h))
		_, err := w.Write(make([]byte, h.Size))
		check(err)
	}
	check(w.Close())
	return b.Bytes()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// stored writes a file and returns its path.
func stored(t *testing.T, name string, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// get answers a request for a layout: "manifests/TAG" or "blobs/DIGEST"; the tag "-" is that of the only image.
func get(t *testing.T, layouts *layout.Layouts, typed, what string) (string, http.Header, error) {
	t.Helper()
	return send(t, layouts, typed, http.MethodGet, what, nil, nil)
}

// send sends a request to a layout.
func send(t *testing.T, layouts *layout.Layouts, typed, method, what string, header http.Header, body []byte) (string, http.Header, error) {
	t.Helper()
	ref, err := manifest.ParseNameOrLayout(typed)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://layout/v2/layout/"+what, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	resp, err := layouts.Transport(ref).RoundTrip(r)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return string(raw), resp.Header, err
}

// fails checks that an error has all texts.
func fails(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("got no error, want one with %q", want)
		return
	}
	got := fmt.Sprintf("%v\nhint: %s", err, manifest.Hint(err))
	for _, text := range want {
		if !strings.Contains(got, text) {
			t.Errorf("got the error %q, want %q in it", got, text)
		}
	}
}

// refused checks that neither the only image nor a blob of a layout can be read.
func refused(t *testing.T, typed string, want ...string) {
	t.Helper()
	layouts := &layout.Layouts{}
	_, _, err := get(t, layouts, typed, "manifests/"+manifest.OnlyImage)
	fails(t, err, want...)
	if _, _, err := get(t, layouts, typed, "blobs/"+digest.FromString("absent").String()); err == nil {
		t.Error("got an absent blob, want an error")
	}
	if err := layouts.Close(); err != nil {
		t.Error(err)
	}
}

// whole is a layout of one image under the tag 1.
func whole() (files, string) {
	f := files{}
	d := f.image("amd64")
	return f.index(named(d, refName, "1")), blobName(d)
}

// with is a whole layout with other content of one file.
func with(name, content string) files {
	f, _ := whole()
	f[name] = []byte(content)
	return f
}

func packed(raw []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(raw)
	check(err)
	check(w.Close())
	return b.Bytes()
}
