package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// taskCases are small files for ways in which ACR's runner treats a cmd as the text of a shell after docker run, its names
// as public, and its volumes as shared. IMAGE is an image with a shell, APP a name in the registry, ID the run's.
var taskCases = map[string]struct {
	text string
	// args are those of task run, code its exit code; out and err are in its output.
	args     string
	code     int
	out, err []string
}{
	"the names of a step and of the default network": {text: `version: v1.1.0
steps:
  - id: svc-ID
    cmd: IMAGE sh -c 'echo it runs; exec sleep 60'
    detach: true
  - cmd: docker logs svc-ID
  - cmd: docker run --rm --network acb_default_network IMAGE sh -c 'ping -c 1 svc-ID >/dev/null && echo reached'
  - cmd: docker stop -t 0 svc-ID
`, out: []string{"| it runs\n", "| reached\n"}},
	"a pull that may fail": {text: `version: v1.0.0
steps:
  - id: warm
    cmd: docker pull APP-none || true
    when: ["-"]
  - build: -t APP-warm --cache-from APP-none -f DOCKERFILE .
`, err: []string{"acb_step_1 | done"}},
	"a date in a tag": {text: `version: v1.1.0
alias:
  values:
    day: $(date "+%Y-%m-%d")
steps:
  - cmd: docker tag IMAGE APP-$day
  - cmd: docker images --format 'tag {{"{{.Tag}}"}}' APP-$day
`, out: []string{"| tag ID-20"}},
	"a semicolon": {text: `version: v1.0.0
steps:
  - cmd: docker run --rm IMAGE echo --uninstall qemu-* ; docker run --rm IMAGE echo --install arm64
`, out: []string{"| --uninstall qemu-*\n", "| --install arm64\n"}},
	"a program after a pipe": {text: `version: v1.1.0
steps:
  - cmd: docker image inspect IMAGE | docker run -i --rm IMAGE grep -c RepoTags
  - cmd: IMAGE sh -c 'echo RepoTags | grep -c RepoTags'
`, out: []string{"acb_step_0 | 1\n", "acb_step_1 | 1\n"}},
	"the platform of an image": {text: `version: v1.0.0
steps:
  - cmd: |
      docker tag IMAGE APP-local
      ARCH=$(docker inspect APP-local 2>/dev/null | grep -o '"Architecture": "[^"]*"' | head -1 | cut -d'"' -f4 || echo "unknown")
      if [ "$ARCH" != "amd64" ]; then
        echo "expected amd64, found $ARCH"
        exit 1
      fi
      echo "it is $ARCH"
`, out: []string{"| it is amd64\n"}},
	"a program of this machine after a pipe": {text: `version: v1.1.0
steps:
  - cmd: docker image inspect IMAGE | sed -n 1p
`, code: 1, err: []string{`"sed" cannot follow another command`, "docker run -i IMAGE PROGRAM, or the whole text with IMAGE sh -c '...'"}},
	"a home that steps share": {text: `version: v1.1.0
steps:
  - cmd: IMAGE sh -c 'mkdir -p $HOME/.azure && echo token > $HOME/.azure/token'
  - cmd: IMAGE sh -c 'cat $HOME/.azure/token'
`, out: []string{"acb_step_1 | token\n"}},
	"the volume of the workspace": {text: `version: v1.1.0
steps:
  - cmd: docker run --rm -v $SharedVolume:/w IMAGE sh -c 'ls /w; echo changed >/w/made'
  - cmd: IMAGE cat made
`, out: []string{"acb_step_0 | DOCKERFILE\n", "acb_step_1 | changed\n"}},
	"flags after the image": {text: `version: v1.1.0
steps:
  - build: -t APP-echo -f DOCKERFILE .
  - cmd: APP-echo --env ["A=1", "B=2"]
`, out: []string{"| --env [A=1, B=2]\n"}},
	"a typo": {text: `step:
  - cmd: IMAGE true
`, code: 1, err: []string{"did you mean steps?"}},
	"the name of a registry in Azure": {text: `version: v1.1.0
steps:
  - build: -t $Registry/app:$ID .
  - push: ["$Registry/app:$ID"]
  - cmd: acr purge --filter 'app:.*' --ago 3d --untagged
`, args: "--registry myregistry --dry-run", code: 125, err: []string{"--registry myregistry.azurecr.io"}},
}

// All files run with one ID, one after the other: none leaves anything.
func TestTaskCases(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		bb := harness.Busybox(s.T, s.daemon)
		s.write(map[string]string{"DOCKERFILE": "FROM " + bb + "\nENTRYPOINT [\"echo\"]\n"})
		for name, tt := range taskCases {
			file := strings.ReplaceAll(name, " ", "-") + ".yaml"
			s.write(map[string]string{file: strings.NewReplacer("IMAGE", bb, "APP", s.name(s.runID()), "$ID", "$ID", "ID", s.runID()).Replace(tt.text)})
			args := append([]string{"task", "run", "-f", file, "--id", s.runID()}, strings.Fields(tt.args)...)
			r := s.ends(tt.code, nil, args...)
			for _, want := range tt.out {
				says(s.T, r.Stdout, strings.ReplaceAll(want, "ID", s.runID()))
			}
			says(s.T, r.Stderr, tt.err...)
			s.nothingLeftOf(s.runID())
			if left := s.objectsOf("name=svc-" + s.runID()); left != "" {
				s.Errorf("%s: got objects %s, want none", name, left)
			}
		}
	})
}

// In CI a checkout has no branch: that of the job is used if the job has checked out this commit.
func TestTaskBranchInCI(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.write(map[string]string{"src/Dockerfile": "FROM scratch\nCOPY acb.yaml /\n", "src/acb.yaml": "version: v1.1.0\nsteps:\n  - build: -t 'app:$Branch' .\n"})
	git := func(args ...string) string {
		return strings.TrimSpace(harness.MustRun(t, s.Env, "git", append([]string{"-C", filepath.Join(s.Dir, "src"), "-c", "user.name=n", "-c", "user.email=n@example.com"}, args...)...))
	}
	git("init", "-q", "-b", "main")
	git("add", "-A")
	git("commit", "-qm", "one")
	git("checkout", "-q", "--detach")
	for _, job := range []string{"GITHUB_REF_NAME=main GITHUB_SHA=", "BUILD_SOURCEBRANCH=refs/heads/main BUILD_SOURCEVERSION=", "CI_COMMIT_BRANCH=main CI_COMMIT_SHA="} {
		for commit, want := range map[string]string{git("rev-parse", "HEAD"): "-t 'app:main' .", strings.Repeat("0", 40): "-t 'app:' ."} {
			variables := strings.Fields(job + commit)
			for _, kv := range variables {
				name, value, _ := strings.Cut(kv, "=")
				s.Set(name, value)
			}
			if r := harness.Run(t, s.Env, "docker", "multiarch", "task", "render", "src"); !strings.Contains(r.Stdout, want) {
				t.Errorf("%s%s: got %s, want %s", job, commit, r.Stdout, want)
			}
			for _, kv := range variables {
				name, _, _ := strings.Cut(kv, "=")
				s.Set(name, "")
			}
		}
	}
}

// --online finds a base image that was pinned to one platform; without it no registry is asked.
func TestTaskValidateOnline(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	one := s.put(s.repo, "arm64", images.Spec{Platform: arm64})
	s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	s.multiarch("create", "--push", s.list, s.name("amd64"), s.name("arm64"))
	repository := s.registry.Host + "/" + s.repo
	index := harness.Tags(t, s.registry, s.repo)["1"]
	from := func(digest string) []string {
		s.write(map[string]string{"src/Dockerfile": "FROM " + repository + "@" + digest + "\n", "src/acb.yaml": "steps:\n  - build: --platform linux/amd64,linux/arm64 -t " + s.name("app") + " .\n"})
		return []string{"task", "validate", "src"}
	}
	s.ends(0, []string{"no errors"}, append(from(index), "--online", "--strict")...)
	args := from(one.Digest().String())
	finding := "acb.yaml:2:5: warning: steps[0].build: FROM in line 1 of the Dockerfile: " + repository + "@" + one.Digest().String() + " is an image for linux/arm64/v8 only"
	s.ends(1, []string{finding}, append(args, "--online", "--strict")...)
	s.ends(0, []string{finding}, append(args, "--online")...)
	s.ends(0, []string{"The digests in FROM were not looked up: --online"}, append(args, "--strict")...)
	s.ends(1, []string{"could not be looked up"}, append(from("sha256:"+strings.Repeat("a", 64)), "--online", "--strict")...)
	s.write(map[string]string{"src/acb.yaml": "steps:\n  - build: --platform linux/arm64 -f absent/Dockerfile .\n"})
	s.ends(0, []string{"The digests in FROM of step acb_step_0 were not looked up: its Dockerfile could not be read"}, "task", "validate", "src", "--online")
}
