package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// silentDaemon points DOCKER_HOST at a socket that accepts connections and never answers.
func (s *scene) silentDaemon() {
	s.Helper()
	listener, err := net.Listen("unix", filepath.Join(s.Home, "silent.sock"))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = listener.Close() })
	s.Set("DOCKER_HOST", "unix://"+listener.Addr().String())
}

// deadDaemons are daemons that do not answer.
var deadDaemons = map[string]func(*scene){
	"absent":  func(*scene) {},
	"silent":  (*scene).silentDaemon,
	"no host": func(s *scene) { s.Set("DOCKER_HOST", "tcp://127.0.0.1:1") },
}

// Sources in registries need no daemon: a dead one neither makes the command fail nor stalls it.
func TestRegistrySourcesNeedNoDaemon(t *testing.T) {
	for name, die := range deadDaemons {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			a := s.put(s.repo, "amd64", images.Spec{Platform: amd64})
			b := s.put(s.repo, "arm64", images.Spec{Platform: arm64})
			die(s)
			started := time.Now()
			s.multiarch("create", s.list, s.name("amd64"), s.name("arm64"))
			s.multiarch("annotate", s.list, s.name("arm64"), "--variant", "v8")
			s.multiarch("push", s.list)
			if took := time.Since(started); took > promptly {
				t.Errorf("got %s with a dead daemon, want at most %s", took, promptly)
			}
			s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
			s.multiarch("inspect", s.list)
			s.multiarch("ls")
			s.multiarch("rm", s.list)
		})
	}
}

// If neither the registry nor a daemon has the source, the error names both.
func TestAbsentSourceNamesBothLocations(t *testing.T) {
	s := newScene(t, harness.V3)
	s.put(s.repo, "there", images.Spec{Platform: amd64})
	absent := s.name("absent")
	s.refused([]string{absent, "registry " + s.registry.Host, "cannot reach the Docker daemon at unix://"},
		"create", s.list, s.name("there"), absent)
	s.refused([]string{absent, "cannot reach the Docker daemon"}, "create", "--from", "daemon", s.list, absent)
	s.refused([]string{"app", "docker.io", "cannot reach the Docker daemon"}, "create", s.list, "app")
	s.refused([]string{s.list, "cannot reach the Docker daemon"}, "push", s.list)
	s.refused([]string{s.list, "cannot reach the Docker daemon"}, "tag", s.list, s.name("2"))
	s.useDaemon(harness.Daemon(t, harness.GraphDriver))
	s.refused([]string{absent, "registry " + s.registry.Host, "no image " + absent + " in the daemon"}, "create", s.list, absent)
	s.refused([]string{s.list, "No such manifest", "daemon has no image"}, "push", s.list)
}

// If the daemon dies during its push, the command fails, and the list and the tag do not change.
func TestDaemonKilledDuringPush(t *testing.T) {
	for _, store := range stores {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			s.useDaemon(harness.NewDaemon(t, servers.DaemonOptions{Store: store}))
			g := newGate(t, s.registry, isUpload)
			s.put(s.repo, "1", images.Spec{Platform: arm64})
			s.list = g.Host + "/" + s.repo + ":1"
			s.load(s.plain("local"), amd64)
			s.multiarch("create", s.list, s.plain("local"))
			d := s.daemon
			s.daemon = nil // it will be killed, so its tags cannot be compared
			unchanged := s.unchanged()
			r := s.start("push", s.list)
			s.await(g)
			if err := d.Kill(); err != nil {
				t.Fatal(err)
			}
			r.ends(1)
			says(t, r.stderr.String(), s.plain("local"), "daemon")
			unchanged()
			s.refused([]string{s.plain("local"), "cannot reach the Docker daemon"}, "push", s.list)
		})
	}
}

// What does not exist is named the same way by each command, with the command that lists what does.
func TestNotFound(t *testing.T) {
	s := newScene(t, harness.V3)
	s.useDaemon(harness.Daemon(t, harness.GraphDriver))
	s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	s.put(s.repo, "arm", images.Spec{Platform: arm64})
	s.put(s.repo, "taken", images.Spec{Platform: amd64})
	s.load(s.plain("local"), amd64)
	s.multiarch("create", s.list, s.name("amd64"), s.name("arm"))
	none, entries := s.name("none"), s.name("amd64")+" (linux/amd64) and "+s.name("arm")+" (linux/arm64/v8)"
	absent := []string{"no such manifest: " + none + ": ", "404 Not Found", "hint: docker multiarch repo tags " + s.repository() + "\n"}
	noList := []string{"No such manifest: " + none + "\nhint: docker multiarch ls\n"}
	for _, c := range []struct {
		code  int
		words []string
		args  []string
	}{
		{1, absent, []string{"inspect", none}},
		{1, absent, []string{"exists", none}},
		{1, absent, []string{"verify", none}},
		{1, absent[:2], []string{"verify", "-q", none, s.name("amd64")}},
		{1, absent, []string{"repo", "show", none}},
		{1, absent, []string{"repo", "rm", "--force", none}},
		{1, absent, []string{"repo", "untag", none}},
		{1, absent, []string{"import", none, s.name("copy")}},
		{2, absent, []string{"diff", none, s.name("amd64")}},
		{1, absent, []string{"tag", "--remote", none, s.name("2")}},
		{1, noList, []string{"rm", none}},
		{1, noList, []string{"annotate", none, s.name("amd64"), "--os", "linux"}},
		{1, noList, []string{"drop", none, "linux/amd64"}},
		{1, []string{"manifest for image " + none + " does not exist in " + s.list + ", which has " + entries + "\n"}, []string{"annotate", s.list, none, "--os", "linux"}},
		{1, []string{"no entry linux/s390x in " + s.list + ", which has " + entries + "\n"}, []string{"drop", s.list, "linux/s390x"}},
		{1, []string{"No such manifest: " + none + ", nor a local image: ", "\nhint: create the list first: docker multiarch create " + none + " SOURCE"}, []string{"push", none}},
		{1, []string{"; the registry has that tag already: sha256:"}, []string{"push", s.name("taken")}},
		{1, []string{"; the daemon has an image of that name\nhint: docker image inspect " + s.plain("local") + "\n"}, []string{"inspect", s.plain("local")}},
		{0, nil, []string{"exists", s.name("amd64"), s.name("arm")}},
		{1, absent, []string{"exists", s.name("amd64"), none}},
		{1, absent, []string{"exists", "127.0.0.1:1/app:1", "--retry-timeout", "0", none}},
		{2, []string{"127.0.0.1:1"}, []string{"exists", "127.0.0.1:1/app:1", "--retry-timeout", "0", s.name("arm")}},
	} {
		r := s.ends(c.code, c.words, c.args...)
		if n := strings.Count(r.Stdout+r.Stderr, "no such manifest"); n > 1 || c.code == 1 && c.args[0] == "verify" && c.args[1] == none && r.Stdout != "" {
			t.Errorf("%q: got %d times that it does not exist, want once:\n%s%s", c.args, n, r.Stdout, r.Stderr)
		}
	}
	s.multiarch("annotate", s.list, s.name("arm"), "--platform", "linux/arm/v7")
	says(t, s.multiarch("inspect", "--tree", s.list).Stdout, "linux/arm/v7 ")
	s.multiarch("annotate", s.list, s.name("arm"), "--platform", "linux/riscv64")
	says(t, s.multiarch("inspect", "--tree", s.list).Stdout, "linux/riscv64 ")
	s.refused([]string{"--platform cannot be combined"}, "annotate", s.list, s.name("arm"), "--platform", "linux/arm/v7", "--os", "linux")
	s.refused([]string{"linux/arm/* is not one platform"}, "annotate", s.list, s.name("arm"), "--platform", "linux/arm/*")
	says(t, s.multiarch("repo", "ls", "-q", "--filter", s.repo, s.registry.Host).Stdout, s.repository()+"\n")
}
