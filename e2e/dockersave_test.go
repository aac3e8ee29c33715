package e2e

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// Images that a daemon saved in the old format are published by their configs and layers as they are, also if equal layers
// are links in the archive.
func TestDockerSave(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.useDaemon(harness.Daemon(t, harness.GraphDriver))
	saved := filepath.Join(s.Dir, "saved.tar")
	save := []string{"save", "-o", saved}
	all := map[string]images.Manifest{}
	for _, tag := range []string{"a", "b"} {
		all[tag] = images.Image(images.Spec{Seed: s.repo, Platform: amd64, Labels: map[string]string{"tag": tag}})
		harness.Load(t, s.daemon, s.plain(tag), all[tag])
		save = append(save, s.plain(tag))
	}
	s.docker(save...)
	if !hasLink(t, saved) {
		t.Errorf("got no link in what docker save wrote, want one for the layer of both images")
	}
	for tag, image := range all {
		s.multiarch("create", s.name(tag), "docker-archive://"+saved+":"+s.plain(tag))
		s.multiarch("push", s.name(tag))
		var got ocispec.Manifest
		d := s.holds(tag, "linux/amd64").Manifests[0].Digest
		if err := json.Unmarshal(harness.Get(t, s.registry, s.repo, d.String()).Raw, &got); err != nil {
			t.Fatal(err)
		}
		if got.Config.Digest != image.ID() || got.MediaType != ocispec.MediaTypeImageManifest || got.Layers[0].MediaType != ocispec.MediaTypeImageLayer {
			t.Errorf("got the manifest %+v, want an OCI image with the config %s and uncompressed layers", got, image.ID())
		}
	}
}

func hasLink(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return false
		case err != nil:
			t.Fatal(err)
		case h.Typeflag == tar.TypeSymlink:
			return true
		}
	}
}

// A daemon saves the list of an image of which it has some platforms only. The complete ones can be published.
func TestDockerSaveIncomplete(t *testing.T) {
	s := newIndexScene(t)
	held, absent := s.oci(amd64, "1"), s.oci(arm64, "1")
	s.loadIndex(s.name("local"), images.Index(images.OCI, held, absent), func(m images.Manifest) bool { return m.Digest() == held.Digest() })
	saved := filepath.Join(s.Dir, "saved.tar")
	s.docker("save", "-o", saved, s.name("local"))
	from := "docker-archive://" + saved
	incomplete := []string{from, "linux/arm64", "--platform linux/amd64"}
	s.ends(1, incomplete, "create", "--push", s.name("1"), from)
	s.ends(1, incomplete, "import", from, s.name("1"))
	s.multiarch("create", "--push", s.name("2"), from, "--platform", "linux/amd64")
	s.multiarch("import", "--platform", "linux/amd64", from, s.name("3"))
	for _, tag := range []string{"2", "3"} {
		s.holdsImages(s.holds(tag, "linux/amd64"), held)
	}
}
