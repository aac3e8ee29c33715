package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// A tag is only moved as --no-clobber and --if-digest allow, by each command that writes tags; nothing is sent otherwise. A
// tag that moves is reported.
func TestTagConditions(t *testing.T) {
	s := newScene(t, harness.V3)
	s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	s.put(s.repo, "arm64", images.Spec{Platform: arm64})
	digests := func() map[string]string { return harness.Tags(t, s.registry, s.repo) }
	absent := "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	s.multiarch("create", s.name("local"), s.name("amd64"), s.name("arm64"))
	s.multiarch("tag", s.name("local"), s.name("1"))
	commands := map[string][]string{
		"create": {"create", "--push", s.name("1"), s.name("amd64"), s.name("arm64")},
		"push":   {"push", s.name("1")},
		"tag":    {"tag", "--remote", s.name("arm64"), s.name("1")},
		"import": {"import", s.name("arm64"), s.name("1")},
	}
	for command, args := range commands {
		t.Run(command, func(t *testing.T) {
			s.multiarch("tag", "--remote", s.name("amd64"), s.name("1"))
			before := digests()
			refuse := func(words []string, flags ...string) {
				t.Helper()
				for _, request := range writes(harness.Requests(t, s.registry, func() { s.refused(words, append(args, flags...)...) })) {
					t.Errorf("%v: got %s, want no write", flags, request)
				}
			}
			refuse([]string{s.name("1") + " already points to " + before["amd64"]}, "--no-clobber")
			refuse([]string{s.name("1") + " points to " + before["amd64"], "--if-digest requires " + absent}, "--if-digest", absent)
			refuse([]string{s.name("1") + " exists and points to", "absent"}, "--if-digest", "absent")
			if command == "create" || command == "push" {
				refuse([]string{s.name("1") + " exists and points to"}, "--dry-run", "--if-digest", "absent")
			}
			s.refusedWith(125, []string{"--if-digest", `expected a digest or "absent"`}, append(args, "--if-digest", "latest")...)
			if command != "import" {
				refuse([]string{s.name("2") + " does not exist"}, append([]string{"--if-digest", before["amd64"]}, more(command, s.name("2"))...)...)
			}
			r := s.multiarch(append(args, "--if-digest", before["amd64"])...)
			after := digests()["1"]
			if after == before["1"] {
				t.Errorf("got tag 1 at %s as before, want it moved", after)
			}
			says(t, r.Stderr, "moved "+s.name("1")+" from "+before["amd64"]+" to "+after)
			s.multiarch(append(args, "--no-clobber")...) // again, with nothing to move
		})
	}
	s.ends(125, []string{"--force and --no-clobber"}, "import", "--force", "--no-clobber", s.name("arm64"), s.name("1"))
	s.refused([]string{"require --push"}, "create", "--no-clobber", s.name("3"), s.name("amd64"))
	s.refused([]string{"require --remote"}, "tag", "--no-clobber", s.name("local"), s.name("3"))
}

// more are the arguments for another tag.
func more(command, name string) []string {
	if command == "tag" {
		return []string{name}
	}
	return []string{"-t", name}
}

// A local image is pushed again under --no-clobber only while its tag points to it.
func TestPushedImageConditions(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.load(s.name("image"), amd64)
		s.multiarch("push", "--no-clobber", s.name("image"))
		before := harness.Tags(s.T, s.registry, s.repo)
		s.multiarch("push", "--no-clobber", s.name("image"))
		s.load(s.name("image"), amd64, "2")
		s.refused([]string{s.name("image") + " already points to " + before["image"]}, "push", "--no-clobber", s.name("image"))
		if after := harness.Tags(s.T, s.registry, s.repo); after["image"] != before["image"] {
			s.Errorf("got %s, want the tag at %s as before", after["image"], before["image"])
		}
		s.multiarch("push", "--if-digest", before["image"], s.name("image"))
		if after := harness.Tags(s.T, s.registry, s.repo); after["image"] == before["image"] {
			s.Errorf("got the tag at %s as before, want it moved", after["image"])
		}
	})
}

// A job that runs again on a registry with immutable tags, which refuses them as ECR, Harbor and Azure's do, finds its tags
// unchanged.
func TestRunAgainWithImmutableTags(t *testing.T) {
	for name, refusal := range map[string]struct {
		status int
		body   string
	}{
		"ECR":    {http.StatusBadRequest, `{"errors":[{"code":"TAG_INVALID","message":"The image tag '1' already exists and cannot be overwritten because the repository is immutable."}]}`},
		"Harbor": {http.StatusPreconditionFailed, `{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to '1' configured as immutable."}]}`},
		"Azure":  {http.StatusConflict, `{"errors":[{"code":"CONFLICT","message":"the tag is locked"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFar(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && !strings.Contains(r.URL.Path, "/sha256:") && tagDigest(next, r) != "" {
						http.Error(w, refusal.body, refusal.status)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			e := harness.NewEnv(t)
			list := f.line.Host + "/app:1"
			names := f.seed(t, "app", 2)
			for _, flags := range [][]string{nil, {"-t", "1.0", "-t", "latest"}} {
				args := append(append([]string{"multiarch", "create", "--push", list}, flags...), names...)
				want := harness.MustRun(t, e, "docker", args...)
				r := harness.Run(t, e, "docker", args...)
				if r.Code != 0 || r.Stdout != want {
					t.Errorf("got exit code %d and %q, want 0 and %q as before: %s", r.Code, r.Stdout, want, r.Stderr)
				}
				says(t, r.Stderr, "is unchanged")
			}
			r := harness.Run(t, e, "docker", "multiarch", "create", "--push", list, names[0])
			if r.Code != 1 {
				t.Errorf("another list: got exit code %d, want 1: %s", r.Code, r.Stderr)
			}
		})
	}
}
