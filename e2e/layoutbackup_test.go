package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// A repository with its signatures, SBOMs and cosign tags is backed up in an archive, and is the same after it was restored.
func TestLayoutBackup(t *testing.T) {
	t.Parallel()
	m := newImportScene(t, harness.RegistryOptions{})
	image := m.list.Children[0]
	harness.Put(t, m.registry, m.repo, "2", image)
	ofList, ofImage, cosign := images.Artifact("test/signature", m.list), images.Artifact("test/sbom", image), images.Image(images.Spec{Seed: m.repo + "cosign", Platform: amd64})
	harness.Put(t, m.registry, m.repo, images.DigestTag(m.list.Digest(), ""), images.Index(images.OCI, ofList))
	harness.Put(t, m.registry, m.repo, images.DigestTag(image.Digest(), ""), images.Index(images.OCI, ofImage))
	harness.Put(t, m.registry, m.repo, images.DigestTag(image.Digest(), ".sig"), cosign)
	archive := "oci-layout://" + filepath.Join(m.Dir, "app.tar")
	source := strings.TrimSuffix(m.from, ":1")
	m.imports("--all-tags", "--referrers", source, archive)
	m.imports("--all-tags", "--referrers", archive, m.to)
	want, got := harness.Tags(t, m.registry, m.repo), harness.Tags(t, m.target, m.repo)
	for _, tag := range []string{"1", "2", images.DigestTag(image.Digest(), ".sig")} {
		if got[tag] != want[tag] || want[tag] == "" {
			t.Errorf("got the tag %s at %s, want %s", tag, got[tag], want[tag])
		}
	}
	for subject, referrer := range map[string]images.Manifest{images.DigestTag(m.list.Digest(), ""): ofList, images.DigestTag(image.Digest(), ""): ofImage} {
		harness.Complete(t, m.target, m.repo, subject)
		index, err := harness.Get(t, m.target, m.repo, subject).Index()
		if err != nil || len(index.Manifests) != 1 || index.Manifests[0].Digest != referrer.Digest() {
			t.Errorf("got the referrers %+v (%v) under %s, want %s", index.Manifests, err, subject, referrer.Digest())
		}
	}
}

// A tar is written whole or not at all: not if one of the tags cannot be read, nor if the command is interrupted. Nothing is
// promised of it then.
func TestTarIsWhole(t *testing.T) {
	t.Parallel()
	m := newImportScene(t, harness.RegistryOptions{})
	folder, archive := filepath.Join(m.Dir, "layout"), filepath.Join(m.Dir, "app.tar")
	broken := images.Image(images.Spec{Seed: m.repo + "broken", Platform: amd64, Format: images.OCI})
	harness.Put(t, m.registry, m.repo, "2", broken)
	m.imports("--all-tags", strings.TrimSuffix(m.from, ":1"), "oci-layout://"+folder)
	if err := os.Remove(filepath.Join(folder, "blobs", "sha256", broken.Blobs[0].Descriptor.Digest.Encoded())); err != nil {
		t.Fatal(err)
	}
	m.fails([]string{"oci-layout://" + archive + " was not written", broken.Blobs[0].Descriptor.Digest.String(), "write them to a folder"},
		"--all-tags", "oci-layout://"+folder, "oci-layout://"+archive)

	g := newGate(t, m.registry, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blobs/") })
	r := m.start("import", g.Host+"/"+m.repo+":1", "oci-layout://"+archive)
	m.await(g)
	m.must(receivers["group"](r.cmd))
	r.ends(130)
	saysNot(t, r.stderr.String(), "resumes")
	left, err := filepath.Glob(filepath.Join(m.Dir, "*.tar*"))
	hidden, errHidden := filepath.Glob(filepath.Join(m.Dir, ".app.tar*"))
	if err != nil || errHidden != nil || len(left)+len(hidden) > 0 {
		t.Errorf("got the files %v %v, want no archive", left, hidden)
	}
}
