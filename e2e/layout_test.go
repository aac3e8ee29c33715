package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// A list keeps its digest from a registry to a folder, to a tar and back, and what reads registries reads layouts.
func TestLayoutRoundTrip(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.put(s.repo, "amd64", images.Spec{Platform: amd64, Format: images.OCI})
	s.put(s.repo, "arm64", images.Spec{Platform: arm64, Format: images.OCI})
	s.multiarch("create", "--push", s.list, s.name("amd64"), s.name("arm64"))
	want := harness.Tags(t, s.registry, s.repo)["1"]
	folder, archive := filepath.Join(s.Dir, "layout"), filepath.Join(s.Dir, "a b.tar")
	steps := [][2]string{
		{s.list, "oci-layout://" + folder},
		{"oci-layout://" + folder, "oci-layout://" + archive + ":2"},
		{"oci-layout://" + archive + ":2", s.name("3")},
		{s.name("3"), "oci-layout://" + folder + ":4"},
		{"oci-layout://" + folder + "@" + want, s.name("5")},
	}
	for _, step := range steps {
		if got := strings.TrimSpace(s.multiarch("import", "-q", step[0], step[1]).Stdout); got != want {
			t.Errorf("import %s %s: got %s, want %s", step[0], step[1], got, want)
		}
	}
	tags := harness.Tags(t, s.registry, s.repo)
	if tags["3"] != want || tags["5"] != want {
		t.Errorf("got tags %v, want %s", tags, want)
	}
	for _, name := range []string{"oci-layout://" + archive, "oci-layout://" + folder + ":4"} {
		s.ends(0, []string{"linux/amd64", "ok"}, "verify", "--deep", name)
		s.ends(0, []string{"same"}, "diff", s.list, name)
		s.ends(0, nil, "exists", "--platform", "linux/arm64", name)
		s.ends(0, []string{want}, "inspect", "--tree", name)
	}
	s.ends(1, []string{"exists", "--force"}, "import", s.list, "oci-layout://"+archive)
	var written [2][]byte
	for i := range written {
		s.multiarch("import", "--force", s.list, "oci-layout://"+archive+":2")
		written[i] = readFile(t, archive)
	}
	if !bytes.Equal(written[0], written[1]) {
		t.Errorf("got other bytes when the same content was written again")
	}
	s.ends(1, []string{"does not exist"}, "import", "oci-layout://"+folder+"-none", s.name("6"))
	s.multiarch("create", "--push", s.name("7"), "oci-layout://"+archive, "--platform", "linux/arm64")
	s.holds("7", "linux/arm64/v8")
	left, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if strings.HasPrefix(e.Name(), ".layout") || strings.HasPrefix(e.Name(), ".a b") {
			t.Errorf("%s is left behind", e.Name())
		}
	}
}

// A list that is pending on images of two daemons, one of them with attestations and one of which only a platform is there, is
// written to a layout: the daemons save them, nothing gets a name in them, and the list stays pending.
func TestPendingListToLayout(t *testing.T) {
	s := newIndexScene(t)
	s.docker("context", "create", "graph", "--docker", "host="+harness.Daemon(t, harness.GraphDriver).Host)
	attested, held, absent := s.oci(amd64, ""), s.oci(arm64, ""), s.oci(riscv64, "")
	s.loadIndex("docker.io/library/"+s.plain("attested"), images.Attested(attested), nil)
	s.loadIndex("docker.io/library/"+s.plain("part"), images.Index(images.OCI, held, absent), func(m images.Manifest) bool { return m.Digest() == held.Digest() })
	other := images.Image(images.Spec{Seed: s.repo, Platform: riscv64})
	harness.Load(t, harness.Daemon(t, harness.GraphDriver), s.plain("other"), other)
	before := s.daemonTags()
	s.multiarch("create", s.list, s.plain("attested"), s.plain("part"), "context://graph/"+s.plain("other"))

	tmp := filepath.Join(s.Dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Set("TMPDIR", tmp)
	to := "oci-layout://" + filepath.Join(s.Dir, "list.tar")
	r := s.multiarch("push", "--to", to, s.list)
	says(t, r.Stderr, "Saving "+s.plain("attested"), "context://graph/"+s.plain("other")+" has uncompressed layers")
	s.multiarch("import", to, s.name("2"))
	index := s.holds("2", "linux/amd64", "attestation", "linux/arm64/v8", "linux/riscv64")
	index.Manifests = slices.Delete(index.Manifests, 1, 2)
	s.holdsImages(index, attested, held, other)
	s.sameDaemonTags(before)
	says(t, s.docker("multiarch", "inspect", "--tree", s.list), "linux/riscv64  pending")
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("got the files %v (%v) left in TMPDIR, want none", left, err)
	}
	s.multiarch("push", "--purge", s.list)
	s.holds("1", "linux/amd64", "attestation", "linux/arm64/v8", "linux/riscv64")
}

// A local list takes images of layouts and registries, remembers where they are, and can be written to a layout itself.
func TestLocalListOfLayouts(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.put(s.repo+"/other", "arm64", images.Spec{Platform: arm64, Format: images.OCI})
	other := s.registry.Host + "/" + s.repo + "/other:arm64"
	layout := "oci-layout://" + filepath.Join(s.Dir, "a.tar")
	s.multiarch("import", other, layout)
	s.put(s.repo, "amd64", images.Spec{Platform: amd64, Format: images.OCI})
	s.multiarch("create", s.list, s.name("amd64"), layout)
	s.multiarch("create", "--amend", s.list, layout)
	s.multiarch("annotate", s.list, "linux/arm64", "--variant", "v8")
	says(t, s.docker("multiarch", "inspect", "--tree", s.list), "linux/arm64/v8", layout)

	to := "oci-layout://" + filepath.Join(s.Dir, "list.tar")
	want := strings.TrimSpace(s.multiarch("push", "-q", "--to", to, s.list).Stdout)
	if got := strings.TrimSpace(s.multiarch("push", "-q", s.list).Stdout); got != want {
		t.Errorf("got %s in the registry, want %s as in the layout", got, want)
	}
	s.holds("1", "linux/amd64", "linux/arm64/v8")
	s.ends(1, []string{"exists", "--force"}, "push", "--to", to, s.list)
	s.multiarch("push", "--force", "--purge", "--to", to, s.list)
	s.ends(1, []string{s.list}, "push", "--to", to, "--force", s.list)
	if got := strings.TrimSpace(s.multiarch("import", "-q", to, s.name("back")).Stdout); got != want {
		t.Errorf("got %s back, want %s", got, want)
	}

	fresh := s.registry.Host + "/" + s.repo + "/fresh:1"
	s.multiarch("create", fresh, layout)
	folder := "oci-layout://" + filepath.Join(s.Dir, "folder") + ":1"
	s.multiarch("import", s.name("back"), folder)
	s.ends(1, []string{folder + " already points to " + want, "--force"}, "push", "--to", folder, fresh)
	s.multiarch("push", "--force", "--to", folder, fresh)
	s.ends(1, []string{"has no image for linux/amd64"}, "exists", "--platform", "linux/amd64", folder)
	if err := os.Remove(filepath.Join(s.Dir, "a.tar")); err != nil {
		t.Fatal(err)
	}
	s.ends(1, []string{layout, "does not exist"}, "push", fresh)
}
