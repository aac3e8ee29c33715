package e2e

import (
	"maps"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// Images of two daemons become one list in one command, or over a local list, and nothing else stays in daemons and registry.
func TestImagesOfDockerContexts(t *testing.T) {
	t.Parallel()
	s, other := newScene(t, harness.V3), harness.Daemon(t, harness.Containerd)
	s.useDaemon(harness.Daemon(t, harness.GraphDriver))
	s.docker("context", "create", "arm", "--docker", "host="+other.Host)
	own, source := s.plain("app"), "context://arm/"+s.plain("app")
	a := s.load(own, amd64)
	b := images.Image(images.Spec{Seed: s.repo, Platform: arm64})
	harness.Load(t, other, own, b)
	daemons := func() map[string]string {
		tags := s.daemonTags()
		for name, id := range harness.Images(t, other) {
			if strings.Contains(name, s.repo) || strings.HasPrefix(name, s.plain("")) {
				tags["arm "+name] = id
			}
		}
		return tags
	}
	before := daemons()
	s.multiarch("create", "--push", "--purge", "tags", s.list, own, source)
	s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
	if tags := harness.Tags(t, s.registry, s.repo); len(tags) != 1 {
		t.Errorf("got tags %v in the registry, want only 1", tags)
	}
	if now := daemons(); !maps.Equal(now, before) {
		t.Errorf("got tags %v in the daemons after create --push, want %v", now, before)
	}

	list := s.name("2")
	s.multiarch("create", list, source, own)
	s.ends(0, []string{"push from the daemon: linux/arm64/v8 " + source}, "push", "--dry-run", list)
	s.multiarch("annotate", list, source, "--annotation", "a=b")
	says(t, s.docker("multiarch", "inspect", "--tree", list), source, "linux/arm64/v8")
	harness.MustFail(t, s.Env, 1, nil, "docker", "manifest", "push", list)
	harness.Load(t, other, own, images.Image(images.Spec{Seed: s.repo + "new", Platform: arm64}))
	s.ends(1, []string{"changed", "create --amend " + list + " " + source}, "push", list)
	s.multiarch("create", "--amend", list, source)
	before = daemons()
	s.multiarch("push", list)
	s.holds("2", "linux/arm64/v8", "linux/amd64")
	if now := daemons(); !maps.Equal(now, before) {
		t.Errorf("got tags %v in the daemons, want %v", now, before)
	}

	s.refused([]string{"no image " + source + "1 in the daemon of docker context arm", "did you mean: " + source}, "create", s.list, source+"1")
	s.refused([]string{"docker context nowhere", "docker context ls"}, "create", s.list, "context://nowhere/app")
	s.refused([]string{"only create takes"}, "inspect", source)
}
