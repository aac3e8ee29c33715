package e2e

import (
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// The life of a list whose images are in podman, behind its Docker API: its names without a registry are those of its
// localhost, and it reports no variants.
func TestPodman(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.ownRegistry(harness.RegistryOptions{})
	s.useDaemon(harness.NewDaemon(t, servers.DaemonOptions{Store: harness.Podman, InsecureRegistries: []string{s.registry.Host}}))
	arm := ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	for tag, p := range map[string]ocispec.Platform{"amd64": amd64, "arm": arm} {
		s.load("localhost/"+s.plain(tag), p)
	}
	s.load(s.name("arm64"), arm64)
	s.load("quay.io/team/"+s.plain("other"), amd64)
	before := harness.Images(t, s.daemon)

	says(t, s.multiarch("create", s.list, s.plain("amd64"), s.plain("arm"), s.name("arm64")).Stderr, "push will send linux/amd64")
	s.refused([]string{s.plain("other")}, "create", "--from", "daemon", s.name("2"), s.plain("other"))
	says(t, s.multiarch("inspect", s.list).Stdout, `"digest": ""`)
	pushed := s.multiarch("push", s.list)
	s.pushedLast(pushed.Stdout, "1")
	want := []string{"linux/amd64", "linux/arm/v7", "linux/arm64/v8"}
	s.holds("1", want...)
	s.nothingPending()
	if after := harness.Images(t, s.daemon); len(after) != len(before) {
		t.Errorf("got images %v after the push, want %v", after, before)
	}
	s.multiarch("create", "--push", s.name("2"), s.plain("amd64"), s.plain("arm"))
	s.holds("2", want[:2]...)
	s.multiarch("push", "--purge", s.list)
	if files := s.store(); len(files) != 0 {
		t.Errorf("got %v after the purge, want no files", files)
	}
	if tags := harness.Tags(t, s.registry, s.repo); len(tags) != 7 {
		t.Errorf("got tags %v, want two lists and their images", tags)
	}
	s.multiarch("repo", "purge", "--force", "--filter", "*-linux-*", s.registry.Host+"/"+s.repo)
	for tag := range harness.Tags(t, s.registry, s.repo) {
		if strings.Contains(tag, "-linux-") {
			t.Errorf("got the tag %s after repo purge, want no staging tags", tag)
		}
	}
	harness.Complete(t, s.registry, s.repo, "1")
}

// Images for two variants of arm, which podman does not report, are no duplicates; push reads the variants. --platform
// with a variant cannot be decided.
func TestPodmanVariants(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V28)
	s.useDaemon(harness.NewDaemon(t, servers.DaemonOptions{Store: harness.Podman, InsecureRegistries: []string{s.registry.Host}}))
	for _, variant := range []string{"v6", "v7"} {
		s.load(s.plain(variant), ocispec.Platform{OS: "linux", Architecture: "arm", Variant: variant})
	}
	r := s.multiarch("create", "--push", "--require", "linux/arm/v6,linux/arm/v7", s.list, s.plain("v7"), s.plain("v6"))
	s.pushedLast(r.Stdout, "1")
	s.noWarning(r.Stderr)
	s.holds("1", "linux/arm/v7", "linux/arm/v6")
	s.refused([]string{s.plain("v6"), "--platform linux/arm/*"}, "create", "--push", "--platform", "linux/arm/v7", s.name("2"), s.plain("v6"))
}

// Podman builds with its own builder, not with BuildKit, and pushes what it built.
func TestPodmanBuilds(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.ownRegistry(harness.RegistryOptions{})
	s.useDaemon(harness.NewDaemon(t, servers.DaemonOptions{Store: harness.Podman, InsecureRegistries: []string{s.registry.Host}}))
	s.UseBuildx(t)
	s.write(map[string]string{
		"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
		"acb.yaml":   "steps:\n  - build: -t " + s.list + " .\n  - push: [\"" + s.list + "\"]\n",
	})
	says(t, s.multiarch("task", "run").Stdout, "STEP 1/2: FROM scratch")
	harness.Complete(t, s.registry, s.repo, "1")
}
