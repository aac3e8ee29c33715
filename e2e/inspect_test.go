package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// If two names map to the same folder of the store, the one that is not stored is looked up in the registry, and
// cannot be created.
func TestNamesThatShareAFolder(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	image := s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	mine := s.registry.Host + "/" + s.repo + "_b:1"
	s.multiarch("create", mine, s.name("amd64"))
	other := s.registry.Host + "/" + s.repo + "/b:1"
	there := s.put(s.repo+"/b", "1", images.Spec{Platform: arm64})
	out := s.docker("multiarch", "inspect", other)
	says(t, out, there.ID().String())
	saysNot(t, out, image.Digest().String(), image.ID().String())
	for _, flag := range []string{"--amend=false", "--amend", "--replace"} {
		s.refused([]string{mine, other}, "create", flag, other, s.name("amd64"))
	}
	s.refused([]string{other}, "annotate", other, s.name("amd64"), "--variant", "v2")
	s.refused([]string{other}, "drop", other, "linux/amd64")
	s.refused([]string{other}, "rm", other)
	says(t, s.docker("multiarch", "inspect", mine), image.Digest().String())
}

// No control character of an annotation reaches a terminal, from the registry or from the local store.
func TestInspectEscapesAnnotations(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	child := s.put(s.repo, "amd64", images.Spec{Platform: amd64, Format: images.OCI})
	child.Descriptor.Annotations = map[string]string{"child": evil}
	raw := quoted(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Annotations: map[string]string{"list": evil},
		Manifests: []ocispec.Descriptor{child.Descriptor}})
	raw = strings.Replace(raw, `"schemaVersion":0`, `"schemaVersion":2`, 1)
	err := s.registry.PutManifest(t.Context(), s.repo, "remote", ocispec.MediaTypeImageIndex, []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	s.multiarch("create", s.list, s.name("remote"))
	s.multiarch("annotate", s.list, "--index-annotation", "list="+evil)
	for _, name := range []string{s.name("remote"), s.list} {
		for form, bad := range map[string]string{
			"--format={{.Annotations}}{{range .Manifests}}{{.Annotations}}{{end}}": "\x1b\x07\r\u202e",
			"--format=json": "\x1b\x07\r\u202e", "--tree": "\x1b\x07\r\u202e",
			"--verbose": "\x1b\x07\r", "--verbose=false": "\x1b\x07\r", // the bytes of docker manifest
		} {
			out := s.docker("multiarch", "inspect", form, name)
			if i := strings.IndexAny(out, bad); i >= 0 {
				t.Errorf("%s %s: got a control character at byte %d: %q", name, form, i, out)
			}
			says(t, out, "title")
		}
	}
}

// An entry of a list can be shown in every form of a list.
func TestInspectFormsOfEntry(t *testing.T) {
	onEachStore(t, func(s *scene) {
		there := s.put(s.repo, "arm64", images.Spec{Platform: arm64})
		s.load(s.plain("a"), amd64)
		s.multiarch("create", s.list, s.name("arm64"), s.plain("a"))
		for _, selector := range []string{s.name("arm64"), "linux/arm64/v8", there.Digest().String()} {
			e := s.entry(selector)
			if e.Digest != there.Digest().String() || e.Platform != "linux/arm64/v8" || e.Source != s.name("arm64") || e.Pending {
				s.Errorf("%s: got entry %+v, want %s for linux/arm64/v8", selector, e, there.Digest())
			}
			tree := s.docker("multiarch", "inspect", "--tree", s.list, selector)
			says(s.T, tree, "linux/arm64/v8  "+there.Digest().String())
			saysNot(s.T, tree, "linux/amd64", "pending")
			if out := s.docker("multiarch", "inspect", "--format", "{{range .Manifests}}{{.Digest}}{{end}}", s.list, selector); out != there.Digest().String()+"\n" {
				s.Errorf("%s: got digest %q, want %s", selector, out, there.Digest())
			}
		}
		if e := s.entry(s.plain("a")); e.Digest != "" || e.Platform != "linux/amd64" || e.Source != s.plain("a") || !e.Pending {
			s.Errorf("got entry %+v, want a pending one of %s", e, s.plain("a"))
		}
		says(s.T, s.docker("multiarch", "inspect", "--tree", s.list, s.plain("a")), "linux/amd64", "pending")
		s.refused([]string{"linux/riscv64", s.list}, "inspect", "--tree", s.list, "linux/riscv64")
	})
}

// shownEntry is an entry in the output of inspect --format json.
type shownEntry struct {
	Platform, Digest, Source string
	Pending                  bool
}

// entry returns the entry of the local list that selector selects.
func (s *scene) entry(selector string) shownEntry {
	s.Helper()
	var view struct {
		Local     bool
		Manifests []shownEntry
	}
	out := s.docker("multiarch", "inspect", s.list, selector, "--format", "json")
	if err := json.Unmarshal([]byte(out), &view); err != nil || !view.Local || len(view.Manifests) != 1 {
		s.Fatalf("%s: got %s (error %v), want one entry of the local list", selector, out, err)
	}
	return view.Manifests[0]
}
