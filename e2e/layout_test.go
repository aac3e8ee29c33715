package e2e

import (
	"os"
	"path/filepath"
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
	before, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	s.multiarch("import", "--force", s.list, "oci-layout://"+archive+":2")
	if after, err := os.ReadFile(archive); err != nil || string(after) == "" || len(after) != len(before) {
		t.Errorf("got %d bytes (%v), want the %d bytes of the same content", len(after), err, len(before))
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
	if err := os.Remove(filepath.Join(s.Dir, "a.tar")); err != nil {
		t.Fatal(err)
	}
	s.ends(1, []string{layout, "does not exist"}, "push", fresh)
}
