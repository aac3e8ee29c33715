package e2e

import (
	"runtime"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// What buildx and crane write to files can be published, and the daemons and crane take what the plugin wrote.
func TestFilesOfOtherPrograms(t *testing.T) {
	s := newBuildxScene(t)
	s.docker("context", "create", "graph", "--docker", "host="+harness.Daemon(t, harness.GraphDriver).Host)
	s.write(map[string]string{"content": s.repo, "Dockerfile": "ARG TARGETARCH\nFROM " + harness.Busybox(t, s.daemon) + " AS base-" + runtime.GOARCH +
		"\nFROM scratch AS base-s390x\nFROM base-$TARGETARCH\nCOPY content /\n"})
	own := "linux/" + runtime.GOARCH
	s.docker("buildx", "build", "-q", "--platform", own+",linux/s390x", "--output", "type=oci,dest=built.tar", ".")
	s.multiarch("create", "--push", s.list, "oci-layout://built.tar")
	s.holds("1", own, "linux/s390x", "attestation", "attestation")
	want := harness.Tags(t, s.registry, s.repo)["1"]

	crane := harness.Built(t, "crane")
	harness.MustRun(t, s.Env, crane, "pull", "--insecure", "--format=oci", s.list, "pulled")
	s.multiarch("import", "oci-layout://pulled", s.name("pulled"))
	s.multiarch("import", s.list, "oci-layout://written")
	harness.MustRun(t, s.Env, crane, "push", "--insecure", "written", s.name("pushed"))
	tags := harness.Tags(t, s.registry, s.repo)
	if tags["pulled"] != want || tags["pushed"] != want {
		t.Errorf("got %s from crane's layout and %s by crane, want %s", tags["pulled"], tags["pushed"], want)
	}

	s.multiarch("import", "--platform", own, s.list, "oci-layout://one.tar")
	for _, context := range []string{"default", "graph"} {
		docker := func(args ...string) string { return s.docker(args...) }
		if context == "graph" {
			docker = func(args ...string) string { return s.docker(append([]string{"--context", context}, args...)...) }
		}
		runs := func() {
			t.Helper()
			says(t, docker("run", "--rm", "--pull=never", s.list, "cat", "/content"), s.repo)
			docker("rmi", s.list)
		}
		docker("pull", "-q", "--platform", "linux/s390x", s.list)
		if context == "graph" { // the containerd store reports only an image that its machine can run
			says(t, docker("image", "inspect", s.list), `"s390x"`)
		}
		docker("rmi", s.list)
		docker("pull", "-q", s.list)
		runs()
		docker("load", "-i", "one.tar")
		runs()
	}
	s.multiarch("import", "oci-layout://one.tar:1", "oci-layout://again")
	s.multiarch("import", "oci-layout://again:1", "oci-layout://renamed.tar:2")
	says(t, s.docker("load", "-i", "renamed.tar"), "Loaded image: "+s.name("2"))
}
