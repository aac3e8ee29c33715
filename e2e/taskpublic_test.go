package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The shape of the format's tutorial for several steps: a service is built, started with a flag of docker run before its
// image, stopped by its name, and pushed.
func TestTaskOfTheMultiStepTutorial(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		name := s.name("{{.Run.ID}}")
		s.write(map[string]string{
			"Dockerfile": "FROM " + harness.Busybox(s.T, s.daemon) + "\nSTOPSIGNAL KILL\nCMD [\"sleep\", \"600\"]\n",
			"acb.yaml": strings.ReplaceAll(`version: v1.0.0
steps:
# Build target image
- build: -t NAME -f Dockerfile .
# Run image
- cmd: -t NAME
  id: `+s.runID()+`
  detach: true
  ports: ["80"]
- cmd: docker stop `+s.runID()+`
# Push image
- push:
  - NAME
`, "NAME", name),
		})
		for _, id := range []string{"one", "two"} {
			r := s.multiarch("task", "run", "--registry", s.registry.Host, "--id", id)
			saysNot(s.T, r.Stderr, "ended before the run did", "exit code")
			s.multiarch("inspect", s.name(id))
			if left := s.objectsOf("name=" + s.runID()); left != "" {
				s.Errorf("got objects %s, want none", left)
			}
			s.nothingLeftOf(id)
		}
	})
}

// The shape of a family of public files: pull and tag the base image of each architecture, build on it, push, and make the
// list.
func TestTaskOfTheMultiArchitectureFamily(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		base := func(p ocispec.Platform) images.Manifest {
			return images.Image(images.Spec{Seed: s.repo, Platform: p, Files: map[string]string{"base": p.Architecture}})
		}
		harness.Put(s.T, s.registry, s.repo+"/java", "21", images.Index(images.Docker, base(amd64), base(arm64)))
		java := s.registry.Host + "/" + s.repo + "/java"
		s.write(map[string]string{
			"Dockerfile": "ARG PLATFORM\nFROM " + java + "${PLATFORM}:21\nARG TARGETARCH\nCOPY app-$TARGETARCH /app\nENTRYPOINT [\"/app\"]\n",
			"app-amd64":  s.program("amd64"), "app-arm64": s.program("arm64"),
			"acb.yaml": strings.NewReplacer("JAVA", java, "IMAGE", "{{.Run.Registry}}/"+s.repo+":{{.Values.tag}}").Replace(`version: 1.0-preview-1
steps:
  - id: pull-base-image-amd64
    cmd: docker pull --platform linux/amd64 JAVA:21 && docker tag JAVA:21 JAVA/linux/amd64:21
    when: ["-"]
    keep: true

  - id: runtime-amd64
    build: >
      -t IMAGE-amd64
      --build-arg PLATFORM=/linux/amd64
      --platform linux/amd64
      .
    when:
      - pull-base-image-amd64
    keep: true

  - id: pull-base-image-arm64
    cmd: docker pull --platform linux/arm64 JAVA:21 && docker tag JAVA:21 JAVA/linux/arm64:21
    when:
      - pull-base-image-amd64
    keep: true

  - id: runtime-arm64
    build: >
      -t IMAGE-arm64
      --build-arg PLATFORM=/linux/arm64
      --platform linux/arm64/v8
      .
    when:
      - pull-base-image-arm64
    keep: true

  - id: push-images
    push:
      - "IMAGE-amd64"
      - "IMAGE-arm64"
    when:
      - runtime-amd64
      - runtime-arm64

  - id: manifest-create
    cmd: docker manifest create IMAGE IMAGE-amd64 IMAGE-arm64
    when:
      - push-images
    keep: true

  - id: manifest-push
    cmd: docker manifest push --purge IMAGE
    when:
      - manifest-create
    keep: true
`)})
		s.multiarch("task", "run", "--registry", s.registry.Host, "--id", s.runID(), "--set", "tag=pr-1")
		s.multiarch("verify", "--deep", s.name("pr-1"))
		want := []string{"linux/amd64", "linux/arm64"}
		if s.daemon.Store == harness.Containerd { // for which buildx adds attestations
			want = []string{"linux/amd64", "attestation", "linux/arm64", "attestation"}
		}
		s.holds("pr-1", want...)
		s.nothingLeftOf(s.runID())
	})
}

// A container of the user's under the id of a step that docker commands name ends the run before its first step; where
// none does, the container of the step has another name. The user's container is as it was.
func TestTaskNameInUse(t *testing.T) {
	onEachStore(t, func(s *scene) {
		web := "web-" + s.runID()
		s.write(map[string]string{
			"named.yaml": "steps:\n- cmd: IMAGE echo first\n- {id: " + web + ", cmd: IMAGE echo web}\n- cmd: docker stop " + web + " || docker rm -f " + web + "\n",
			"own.yaml":   "steps:\n- {id: " + web + ", cmd: IMAGE echo web}\n",
		})
		s.image("named.yaml")
		s.image("own.yaml")
		s.docker("run", "-d", "--name", web, harness.Busybox(s.T, s.daemon), "sleep", "1000")
		s.Cleanup(func() { s.docker("rm", "-f", web) })
		before := s.docker("inspect", web)
		r := s.ends(1, []string{"step " + web + ": a container " + web + " already exists", "hint: a docker command of the file uses the name " + web},
			"task", "run", "-f", "named.yaml", "--id", s.runID())
		saysNot(s.T, r.Stdout+r.Stderr, "first\n", "started")
		s.ends(1, []string{"already exists"}, "task", "run", "-f", "named.yaml", "--from-step", "acb_step_2", "--id", s.runID())
		if out := s.multiarch("task", "run", "-f", "own.yaml", "--id", s.runID()).Stdout; !strings.HasSuffix(out, "| web\n") {
			s.Errorf("got output %q, want web", out)
		}
		if now := s.docker("inspect", web); now != before {
			s.Errorf("got the user's container\n%s\nwant\n%s", now, before)
		}
		s.nothingLeftOf(s.runID())
	})
}

// A failure is shown once, with its line, its action and the command that goes on there with the ID that tags have.
func TestTaskGoesOn(t *testing.T) {
	s := newTaskScene(t)
	s.write(map[string]string{
		"Dockerfile": "FROM " + harness.Busybox(s.T, s.daemon) + "\n",
		"acb.yaml": strings.ReplaceAll(`version: v1.1.0
steps:
  - id: build
    build: -t NAME .
  - id: test
    cmd: NAME sh -c 'echo "$WORD"; test -e ready'
  - id: push
    push: [NAME]
`, "NAME", s.name("$ID"))})
	r := s.ends(1, []string{"test  | not yet\n"}, "task", "run", "-e", "WORD=not yet", "--registry", s.registry.Host)
	begin, rest, _ := strings.Cut(r.Stderr, "\n")
	var id string
	if words := strings.Fields(begin); len(words) == 4 && words[0] == "Run" {
		id = words[1]
	}
	says(t, rest, "test  | started: docker run "+s.name(id)+" sh -c ", "acb.yaml:5: step test (docker run "+s.name(id)+" sh -c ")
	if n := strings.Count(r.Stderr, "exit code 1"); n != 1 {
		t.Errorf("got the failure %d times, want once:\n%s", n, r.Stderr)
	}
	_, pasted, _ := strings.Cut(rest, "\nhint: to go on at step test: ")
	if err := os.WriteFile(filepath.Join(s.Dir, "ready"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	says(t, harness.MustRun(t, s.Env, "sh", "-c", pasted), "test  | not yet\n")
	s.multiarch("inspect", s.name(id))
	s.write(map[string]string{"writes.yaml": "steps:\n- cmd: IMAGE touch made\n- cmd: IMAGE false\n"})
	s.image("writes.yaml")
	s.ends(1, []string{"\nhint: to go on at step acb_step_1, without the files that earlier steps wrote: docker multiarch task run --from-step=acb_step_1"},
		"task", "run", "-f", "writes.yaml")
}

// The log of a CI job has groups and an annotation, and no program of a step can give the CI a command.
func TestTaskInCI(t *testing.T) {
	s := newTaskScene(t)
	s.write(map[string]string{"acb.yaml": `steps:
  - id: a
    cmd: |
      IMAGE sh -c 'echo ::add-mask::x; echo "##vso[x]y ##[add-mask]z"; exit 3'
`})
	s.image("acb.yaml")
	s.Set("GITHUB_ACTIONS", "true")
	s.Set("GITHUB_WORKSPACE", s.Dir)
	r := s.ends(1, []string{"a | ::add-mask::x\na | # #vso[x]y # #[add-mask]z\n", "\n::group::a\na | started", "\n::endgroup::\n",
		"\n::error file=acb.yaml,line=2::step a (docker run "}, "task", "run")
	dry := s.multiarch("task", "run", "--dry-run").Stdout
	says(t, dry, "# #vso[x]y")
	for line := range strings.Lines(r.Stdout + r.Stderr + dry) {
		ours := strings.HasPrefix(line, "::group::") || strings.HasPrefix(line, "::endgroup::") || strings.HasPrefix(line, "::error ")
		if !ours && (strings.Contains(line, "##") || strings.HasPrefix(line, "::")) {
			t.Errorf("got line %q, want none that the CI takes for a command", line)
		}
	}
}

// The metadata file of a run has the digests of what push steps, docker commands and builds pushed, and of lists.
func TestTaskMetadataFile(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.write(map[string]string{
			"Dockerfile": "FROM scratch\nCOPY acb.yaml /\n",
			"acb.yaml": strings.ReplaceAll(`version: v1.1.0
steps:
  - build: -t NAME:step -t NAME:command .
  - push: [NAME:step]
  - cmd: docker push NAME:command
  - build: --push -t NAME:build .
  - cmd: docker manifest create NAME:list NAME:step && docker manifest push NAME:list
  - cmd: docker tag NAME:step NAME:absent.example.com:1
`, "NAME", "$Registry/"+s.repo)})
		s.ends(1, nil, "task", "run", "--registry", s.registry.Host, "--id", s.runID(), "--metadata-file", "out.json")
		content, err := os.ReadFile(filepath.Join(s.Dir, "out.json"))
		if err != nil {
			s.Fatal(err)
		}
		var got struct {
			ID     string `json:"run.id"`
			Images []struct {
				Name       string              `json:"image.name"`
				Digest     string              `json:"containerimage.digest"`
				Descriptor *ocispec.Descriptor `json:"containerimage.descriptor"`
			} `json:"images"`
		}
		if err := json.Unmarshal(content, &got); err != nil || got.ID != s.runID() || len(got.Images) != 4 {
			s.Fatalf("got metadata %s and error %v, want 4 images of %s", content, err, s.runID())
		}
		for i, tag := range []string{"step", "command", "build", "list"} {
			image := got.Images[i]
			want := strings.TrimSpace(s.multiarch("inspect", "--format", "{{.Digest}}", s.name(tag)).Stdout)
			if tag == "build" && s.daemon.Store == harness.GraphDriver {
				want = "" // its BuildKit does not say the digest
			}
			isList := image.Descriptor != nil && image.Descriptor.Digest.String() == want
			if image.Name != s.name(tag) || image.Digest != want || isList != (tag == "list") {
				s.Errorf("got %+v, want %s with digest %s", image, s.name(tag), want)
			}
		}
	})
}
