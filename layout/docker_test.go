package layout_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/layout"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// savedImage is an image of the manifest.json of docker save.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// save sets manifest.json.
func (f files) save(images ...savedImage) files {
	raw, err := json.Marshal(images)
	check(err)
	f["manifest.json"] = raw
	return f
}

// old returns the files of docker save up to version 24 for two images, app:1 and one without a name, that have the same
// layer: a link in the second one.
func old() (f files, link tar.Header, want ocispec.Descriptor) {
	oci := files{}
	want = oci.image("amd64")
	var m ocispec.Manifest
	check(json.Unmarshal(oci[blobName(want)], &m))
	f = files{"config.json": oci[blobName(m.Config)], "a/layer.tar": oci[blobName(m.Layers[0])]}
	f["other.json"] = bytes.Replace(f["config.json"], []byte("amd64"), []byte("arm64"), 1)
	f.save(savedImage{"config.json", []string{"app:1", "example.com:5000/app:2"}, []string{"a/layer.tar"}}, savedImage{"./other.json", nil, []string{"b/layer.tar"}})
	return f, tar.Header{Name: "b/layer.tar", Linkname: "../a/layer.tar", Typeflag: tar.TypeSymlink}, want
}

// An image that docker saved before version 25 has the manifest that docker gives it since: its config and layers as they are.
func TestSavedImage(t *testing.T) {
	f, link, want := old()
	typed := "docker-archive://" + stored(t, "a.tar", f.tar(link))
	var notes []string
	layouts := &layout.Layouts{Note: func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }}
	defer layouts.Close()
	for _, name := range []string{"1", "app:1", "docker.io/library/app:1", "example.com:5000/app:2"} {
		raw, h, err := get(t, layouts, typed, "manifests/"+name)
		if got := h.Get("Docker-Content-Digest"); err != nil || got != want.Digest.String() {
			t.Errorf("%s: got %s (%v) with %s, want %s", name, got, err, raw, want.Digest)
		}
	}
	for _, content := range []string{"config.json", "a/layer.tar", "other.json"} {
		d := digest.FromBytes(f[content]).String()
		if got, _, err := get(t, layouts, typed, "blobs/"+d); err != nil || got != string(f[content]) {
			t.Errorf("got the blob %q (%v), want %q", got, err, f[content])
		}
	}
	_, _, err := get(t, layouts, typed, "manifests/-")
	fails(t, err, "several images: docker.io/library/app:1", "name one of them: "+typed+":docker.io/library/app:1")
	_, _, err = get(t, layouts, typed, "manifests/app:3")
	fails(t, err, "has no image app:3; it has: docker.io/library/app:1")
	if want := []string{typed + " has uncompressed layers"}; fmt.Sprint(notes) != fmt.Sprint(want) {
		t.Errorf("got the notes %q, want %q", notes, want)
	}
}

// Builders other than docker put compressed layers into archives of its form, which are taken as they are. Their type says so.
func TestSavedLayerTypes(t *testing.T) {
	var m ocispec.Manifest
	for _, tt := range []struct{ layer, want string }{
		{strings.Repeat("\x00", 1024), ocispec.MediaTypeImageLayer},
		{"", ocispec.MediaTypeImageLayer},
		{"\x1f\x8b\x08rest", ocispec.MediaTypeImageLayerGzip},
		{"\x28\xb5\x2f\xfdrest", ocispec.MediaTypeImageLayerZstd},
	} {
		f := files{"config": fmt.Appendf(nil, `{"rootfs":{"diff_ids":[%q]}}`, digest.FromString(tt.layer)), "layer": []byte(tt.layer)}
		f.save(savedImage{"config", nil, []string{"layer"}})
		notes := 0
		layouts := &layout.Layouts{Note: func(string, ...any) { notes++ }}
		raw, _, err := get(t, layouts, "docker-archive://"+stored(t, "a.tar", f.tar()), "manifests/-")
		if err != nil {
			t.Fatal(err)
		}
		check(json.Unmarshal([]byte(raw), &m))
		if got := m.Layers[0].MediaType; got != tt.want || (notes == 1) != (tt.want == ocispec.MediaTypeImageLayer) {
			t.Errorf("got the type %s and %d notes, want %s", got, notes, tt.want)
		}
		layouts.Close()
	}
}

// Since version 25, docker save writes a layout, too, which has the same manifest.
func TestSavedLayout(t *testing.T) {
	f := files{}
	d := f.image("amd64")
	f.index(named(d, imageName, "docker.io/library/app:1", refName, "1")).save(savedImage{"absent", []string{"app:1"}, nil})
	path := stored(t, "a.tar", f.tar())
	for _, typed := range []string{"docker-archive://" + path, "oci-layout://" + path} {
		layouts := &layout.Layouts{}
		for _, name := range []string{"-", "1"} {
			_, h, err := get(t, layouts, typed, "manifests/"+name)
			if got := h.Get("Docker-Content-Digest"); err != nil || got != d.Digest.String() {
				t.Errorf("%s: got %s (%v), want %s", typed, got, err, d.Digest)
			}
		}
		layouts.Close()
	}
}

// An archive that docker cannot have written is refused.
func TestHostileSaved(t *testing.T) {
	with := func(name, content string) files {
		f, _, _ := old()
		if f[name] = []byte(content); content == "" {
			delete(f, name)
		}
		return f
	}
	_, link, _ := old()
	linked := func(target string) []tar.Header {
		h := link
		h.Linkname = target
		return []tar.Header{h}
	}
	for _, tt := range []struct {
		name    string
		files   files
		members []tar.Header
		want    string
	}{
		{"no manifest.json", with("manifest.json", ""), linked(link.Linkname), "manifest.json: open manifest.json: file does not exist"},
		{"manifest.json that is no JSON", with("manifest.json", "[{"), linked(link.Linkname), "manifest.json: unexpected end of JSON input"},
		{"manifest.json that is too large", with("manifest.json", strings.Repeat(" ", 5<<20)), linked(link.Linkname), "manifest.json: it has 5242880 bytes, more than 4 MiB"},
		{"no image", with("manifest.json", "[]"), linked(link.Linkname), "has no image"},
		{"no config", with("config.json", ""), linked(link.Linkname), `config "config.json": open config.json: file does not exist`},
		{"a config that is no JSON", with("config.json", "x"), linked(link.Linkname), `config "config.json": invalid character`},
		{"a config that leads out", with("manifest.json", `[{"Config":"../../etc/passwd"}]`), linked(link.Linkname), `config "../../etc/passwd": open ../../etc/passwd: file does not exist`},
		{"a config with fewer layers", with("config.json", `{}`), linked(link.Linkname), `config "config.json" states 0 layers, but manifest.json 1`},
		{"no layer", with("a/layer.tar", ""), nil, `layer "a/layer.tar": it is not in the archive`},
		{"a layer with another digest", with("a/layer.tar", "other"), linked(link.Linkname), `layer "a/layer.tar" has the digest sha256:`},
		{"a link that leads out", with("x", "x"), linked("/etc/passwd"), `layer "b/layer.tar": it is not in the archive`},
		{"a link that leads up", with("x", "x"), linked("../../../../etc/passwd"), `layer "b/layer.tar": it is not in the archive`},
		{"a link to itself", with("x", "x"), linked("layer.tar"), "b/layer.tar is a link"},
		{"a link to a link", with("x", "x"), append(linked("../c"), tar.Header{Name: "c", Linkname: "a/layer.tar", Typeflag: tar.TypeSymlink}), "c is a link"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := stored(t, "a.tar", tt.files.tar(tt.members...))
			refused(t, "docker-archive://"+path, "docker-archive://"+path, tt.want)
		})
	}
}

// What docker saved is not taken for a layout, nor the other way round; the error says how it is named.
func TestSchemes(t *testing.T) {
	f, link, _ := old()
	path := stored(t, "a.tar", f.tar(link))
	refused(t, "oci-layout://"+path, path+" is an archive of docker save, not an image layout", "hint: use its scheme: docker-archive://"+path)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// The hint of an archive whose images have no names is the reference of one of them.
func TestSavedHint(t *testing.T) {
	f := files{"a": []byte("{}"), "b": []byte(`{"os":"linux"}`)}
	typed := "docker-archive://" + stored(t, "a.tar", f.save(savedImage{Config: "a"}, savedImage{Config: "b"}).tar())
	layouts := &layout.Layouts{}
	defer layouts.Close()
	_, _, err := get(t, layouts, typed, "manifests/-")
	_, hint, _ := strings.Cut(manifest.Hint(err), "name one of them: ")
	ref, err := manifest.ParseNameOrLayout(hint)
	if err != nil || ref.Name() != typed {
		t.Fatalf("got the hint %q (%v), want an image of %s", hint, err, typed)
	}
	if raw, _, err := get(t, layouts, hint, "manifests/"+ref.(reference.Digested).Digest().String()); err != nil || !strings.Contains(raw, "config") {
		t.Errorf("%s: got %q (%v), want a manifest", hint, raw, err)
	}
}

// An image with several names has the one that it is named by, otherwise its first one.
func TestFullName(t *testing.T) {
	f, link, want := old()
	f.save(savedImage{"config.json", []string{"one:1", "example.com:5000/two:1"}, []string{"a/layer.tar"}})
	typed := "docker-archive://" + stored(t, "a.tar", f.tar(link))
	var layouts layout.Layouts
	defer layouts.Close()
	for name, full := range map[string]string{
		":one:1": "docker.io/library/one:1", ":example.com:5000/two:1": "example.com:5000/two:1", "": "docker.io/library/one:1",
		"@" + want.Digest.String(): "docker.io/library/one:1", ":three:1": "",
	} {
		ref, err := manifest.ParseNameOrLayout(typed + name)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if n := layouts.FullName(ref); n != nil {
			got = n.String()
		}
		if got != full {
			t.Errorf("%s: got the name %q, want %q", name, got, full)
		}
	}
}
