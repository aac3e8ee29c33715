package e2e

import (
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

const (
	loginUser   = "ann"
	loginSecret = "correct-horse-battery"
)

// newLoginScene is a scene with a registry that requires a login, and a list of an image in the daemon and one in
// another registry.
func newLoginScene(s *scene) (create []string) {
	s.Helper()
	near := harness.Put(s.T, s.registry, s.repo, "near", images.Image(images.Spec{Seed: s.repo, Platform: arm64}))
	s.registry = harness.NewRegistry(s.T, harness.RegistryOptions{User: loginUser, Password: loginSecret})
	s.list = s.registry.Host + "/" + s.repo + ":1"
	s.load(s.plain("amd64"), amd64)
	return []string{s.list, s.plain("amd64"), near}
}

// With a login both the daemon's push and ours succeed.
func TestLoginServesDaemonAndPlugin(t *testing.T) {
	onEachStore(t, func(s *scene) {
		create := newLoginScene(s)
		s.Login(s.T, s.registry.Host, loginUser, loginSecret)
		before := s.daemonTags()
		s.multiarch(append([]string{"create"}, create...)...)
		r := s.multiarch("push", s.list)
		saysNot(s.T, r.Stdout+r.Stderr, loginSecret)
		s.holds("1", "linux/amd64", "linux/arm64/v8")
		s.nothingPending()
		s.sameDaemonTags(before)
		s.multiarch("push", "--purge=tags", s.list)
		if tags := harness.Tags(s.T, s.registry, s.repo); len(tags) != 1 {
			s.Errorf("got tags %v, want only the list's", tags)
		}
	})
}

// Without a login, and with a wrong one, every command that uses that registry fails with the docker login command as
// a hint, reveals no secret and changes nothing.
func TestLoginIsMissing(t *testing.T) {
	onEachStore(t, func(s *scene) {
		create := newLoginScene(s)
		words := []string{s.registry.Host, "docker login " + s.registry.Host, "401"}
		for _, secret := range []string{"", "wrong-" + loginSecret} {
			if secret != "" {
				s.Login(s.T, s.registry.Host, loginUser, secret)
			}
			s.multiarch(append([]string{"create", "--replace"}, create...)...)
			for _, args := range [][]string{
				{"push", s.list},
				append([]string{"create", "--push"}, create...),
				{"create", s.registry.Host + "/" + s.repo + ":2", s.name("absent")},
				{"inspect", s.name("absent")},
			} {
				r := s.refused(words, args...)
				saysNot(s.T, r.Stdout+r.Stderr, loginSecret)
			}
		}
	})
}

// An image named in a repository that requires a login is found in the daemon, and its push names the missing login.
func TestLoginIsMissingForTheDaemonsPush(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.registry = harness.NewRegistry(s.T, harness.RegistryOptions{User: loginUser, Password: loginSecret})
		s.list = s.registry.Host + "/" + s.repo + ":1"
		s.load(s.name("amd64"), amd64)
		r := s.multiarch("create", s.list, s.name("amd64"))
		says(s.T, r.Stderr, "WARNING", "refused access to "+s.name("amd64"))
		words := []string{s.name("amd64"), "docker login " + s.registry.Host}
		s.refused(words, "push", s.list)
		s.refused(words, "push", "--purge=tags", s.list)
		s.refused(words, "create", "--push", s.name("2"), s.name("amd64"))
		s.Login(s.T, s.registry.Host, loginUser, "wrong-"+loginSecret)
		saysNot(s.T, s.refused(words, "push", s.list).Stderr, loginSecret)
		s.Login(s.T, s.registry.Host, loginUser, loginSecret)
		s.multiarch("push", s.list)
		s.holds("1", "linux/amd64")
	})
}
