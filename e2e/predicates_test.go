package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// The provenance of a docker build, and the bytes of list and image, as scripts use them.
func TestInspectProvenanceAndRaw(t *testing.T) {
	s := newBuildxScene(t)
	s.write(map[string]string{"app/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
	s.docker("buildx", "build", "-q", "--platform", "linux/amd64,linux/arm64", "--provenance=mode=max", "-t", s.plain("app"), filepath.Join(s.Dir, "app"))
	s.multiarch("create", "--push", s.list, s.plain("app"))

	var all map[string]map[string]any
	r := s.multiarch("inspect", "--provenance", s.list)
	if err := json.Unmarshal([]byte(r.Stdout), &all); err != nil || len(all) != 2 || len(all["linux/arm64"]) == 0 {
		t.Errorf("got %s (%v), want the provenance of two platforms", r.Stdout, err)
	}
	says(t, r.Stderr, "linux/arm64: https://slsa.dev/provenance/", "from the attestation sha256:", "Signatures were not checked")
	one := s.docker("multiarch", "inspect", "--provenance", "--platform", "linux/arm64", "--format", "{{json .}}", s.list)
	var predicate map[string]any
	if err := json.Unmarshal([]byte(one), &predicate); err != nil || len(predicate) != len(all["linux/arm64"]) {
		t.Errorf("got %s (%v), want the predicate of linux/arm64", one, err)
	}
	s.ends(1, []string{"has no SBOM", "docker buildx build --sbom=true"}, "inspect", "--sbom", s.list)

	tree := s.docker("multiarch", "inspect", "--format", "{{.Digest}}{{range .Manifests}} {{.Digest}}{{end}}", s.list)
	want := strings.Fields(tree)
	for i, args := range [][]string{{s.list}, {"--platform", "linux/amd64", s.list}, {"--platform", "linux/arm64", s.list}} {
		raw := s.docker(append([]string{"multiarch", "inspect", "--raw"}, args...)...)
		if got := digest.FromString(raw).String(); got != want[i] {
			t.Errorf("--raw %v: got content with digest %s, want %s", args, got, want[i])
		}
	}
	s.ends(1, []string{"has no image for linux/s390x"}, "inspect", "--raw", "--platform", "linux/s390x", s.list)
	s.ends(1, []string{"cannot be combined"}, "inspect", "--raw", "--tree", s.list)
}
