package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// The provenance of a docker build, and the bytes of list and image, as scripts use them.
func TestInspectProvenanceAndRaw(t *testing.T) {
	s := newBuildxScene(t)
	s.write(map[string]string{"app/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
	s.docker("buildx", "build", "-q", "--platform", "linux/amd64,linux/arm64", "--provenance=mode=max", "-t", s.plain("app"), filepath.Join(s.Dir, "app"))
	s.multiarch("create", "--push", s.list, s.plain("app"))

	r := s.multiarch("inspect", "--provenance", s.list)
	if got, want := harness.JQ(t, r.Stdout, "keys | join(\" \")"), "linux/amd64 linux/arm64"; got != want {
		t.Errorf("got the provenance of %s, want %s", got, want)
	}
	says(t, r.Stderr, "linux/arm64: https://slsa.dev/provenance/", "from the attestation sha256:", "Signatures were not checked")
	one := s.docker("multiarch", "inspect", "--provenance", "--platform", "linux/arm64", "--format", "{{json .}}", s.list)
	if got, want := harness.JQ(t, one, "."), harness.JQ(t, r.Stdout, `.["linux/arm64"]`); got != want || got == "null" {
		t.Errorf("got %s, want the predicate of linux/arm64: %s", got, want)
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

// scanner is a program that BuildKit runs over the file system of an image, by the protocol of
// https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md. It lists the files in /.
const scanner = `#!/bin/sh
files=$(cd "$BUILDKIT_SCAN_SOURCE" && for file in *; do printf ',{"fileName":"%s"}' "$file"; done)
printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"spdxVersion":"SPDX-2.3","files":[%s]}}' \
	"${files#,}" >"$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"
`

// The SBOM and provenance that a docker build attaches to the image are shown from the daemon's list, the registry, and a copy.
func TestInspectSBOMOfBuild(t *testing.T) {
	s := newBuildxScene(t)
	network := strings.TrimSpace(s.docker("network", "create", s.plain("")[:len(s.plain(""))-1]))
	defer func(first *servers.Daemon) {
		s.useDaemon(first)
		s.docker("network", "rm", network)
	}(s.daemon)
	s.useDaemon(harness.NewDaemon(t, servers.DaemonOptions{Store: harness.Containerd, Bridge: "br-" + network[:12]}))
	s.write(map[string]string{
		"scanner/Dockerfile": "FROM " + harness.Busybox(t, s.daemon) + "\nCOPY --chmod=755 scan /\nENTRYPOINT [\"/scan\"]\n", "scanner/scan": scanner,
		"app/Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /for-$TARGETARCH\n",
	})
	s.docker("buildx", "build", "-q", "--provenance=false", "-t", s.name("scanner"), filepath.Join(s.Dir, "scanner"))
	s.docker("push", "-q", s.name("scanner"))
	s.docker("buildx", "build", "-q", "--platform", "linux/amd64,linux/arm64", "--provenance=mode=max", "--attest", "type=sbom,generator="+s.name("scanner"),
		"-t", s.plain("app"), filepath.Join(s.Dir, "app"))
	s.multiarch("create", "--push", s.list, s.plain("app"))
	s.multiarch("import", s.list, "oci-layout://"+filepath.Join(s.Dir, "copy"))
	for _, name := range []string{s.list, "oci-layout://" + filepath.Join(s.Dir, "copy")} {
		sbom := s.docker("multiarch", "inspect", "--sbom", name)
		got := harness.JQ(t, sbom, `to_entries[] | .key + " " + (.value | .spdxVersion + " " + .files[].fileName)`)
		if want := "linux/amd64 SPDX-2.3 for-amd64\nlinux/arm64 SPDX-2.3 for-arm64"; got != want {
			t.Errorf("%s: got the SBOMs\n%s\nwant\n%s", name, got, want)
		}
		s.ends(0, []string{"buildDefinition"}, "inspect", "--provenance", "--platform", "linux/arm64", name)
	}
	// The images are in one layout, what describes them in another.
	s.multiarch("create", "--push", "--attestations", "strip", s.name("stripped"), s.list)
	s.multiarch("import", s.name("stripped"), "oci-layout://"+filepath.Join(s.Dir, "stripped"))
	s.multiarch("create", s.name("both"), "oci-layout://"+filepath.Join(s.Dir, "stripped"), "oci-layout://"+filepath.Join(s.Dir, "copy"))
	if got := harness.JQ(t, s.docker("multiarch", "inspect", "--sbom", s.name("both")), "keys | length"); got != "2" {
		t.Errorf("got the SBOMs of %s platforms of a local list, want 2", got)
	}
}
