package e2e

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// write writes files into the working directory.
func (s *scene) write(files map[string]string) {
	s.Helper()
	for name, content := range files {
		file := filepath.Join(s.Dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
			s.Fatal(err)
		}
	}
}

// newTaskScene is a scene with a daemon that builds.
func newTaskScene(t *testing.T) *scene {
	t.Helper()
	t.Parallel()
	s := newScene(t, harness.V3)
	s.useDaemon(harness.Daemon(t, harness.GraphDriver))
	s.UseBuildx(t)
	return s
}

// runID is the ID of a run that only this test starts.
func (s *scene) runID() string { return strings.ReplaceAll(s.repo, "/", "-") }

// leaves checks that nothing that the run with that id made is on the daemon any more, by label and by name.
func (s *scene) leaves(id string) {
	s.Helper()
	for _, filter := range []string{"label=docker-multiarch.run=" + id, "name=multiarch-" + id + "-"} {
		if left := s.things(filter); left != "" {
			s.Errorf("left behind with %s: %s", filter, left)
		}
	}
}

// things are the containers, networks and volumes of the daemon that a filter lets through.
func (s *scene) things(filter string) string {
	s.Helper()
	return s.docker("ps", "-aq", "--filter", filter) + s.docker("network", "ls", "-q", "--filter", filter) + s.docker("volume", "ls", "-q", "--filter", filter)
}

// tutorial is the file of the tutorial that this project comes from.
const tutorial = `version: v1.1.0
steps:
  - build: -t {{.Run.Registry}}/REPO:{{.Run.ID}}-amd64 -f dockerfile.amd64 .
  - build: -t {{.Run.Registry}}/REPO:{{.Run.ID}}-arm64 -f dockerfile.arm64 .
  - push:
    - {{.Run.Registry}}/REPO:{{.Run.ID}}-arm64
    - {{.Run.Registry}}/REPO:{{.Run.ID}}-amd64
  - cmd: >
      docker manifest create {{.Run.Registry}}/REPO:latest
      {{.Run.Registry}}/REPO:{{.Run.ID}}-arm64
      {{.Run.Registry}}/REPO:{{.Run.ID}}-amd64
  - cmd: docker manifest push --purge {{.Run.Registry}}/REPO:latest
  - cmd: docker manifest inspect {{.Run.Registry}}/REPO:latest
`

func (s *scene) writeTutorial() {
	s.Helper()
	s.write(map[string]string{
		"acb.yaml":         strings.ReplaceAll(tutorial, "REPO", s.repo),
		"dockerfile.amd64": "FROM --platform=linux/amd64 scratch\nCOPY hello-amd64 /hello\nENTRYPOINT [\"/hello\"]\n",
		"dockerfile.arm64": "FROM --platform=linux/arm64 scratch\nCOPY hello-arm64 /hello\nENTRYPOINT [\"/hello\"]\n",
		"hello-amd64":      s.program("amd64"),
		"hello-arm64":      s.program("arm64"),
	})
}

// One command goes from two Dockerfiles to a list that is sound, on both daemons, as often as it is run.
func TestTaskOfTheTutorial(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.writeTutorial()
		for _, id := range []string{"one", "two"} {
			r := s.multiarch("task", "run", "--strict", "--registry", s.registry.Host, "--id", id)
			says(s.T, r.Stdout, `"mediaType"`, `"architecture": "arm64"`)
			s.leaves(id)
		}
		s.multiarch("verify", "--deep", s.name("latest"))
		want := []string{"linux/arm64", "linux/amd64"}
		if s.daemon.Store == harness.Containerd { // where buildx attests
			want = []string{"linux/arm64", "attestation", "linux/amd64", "attestation"}
		}
		s.holds("latest", want...)
		if store := s.store(); len(store) > 0 {
			s.Errorf("the user's local lists: %v", store)
		}
	})
}

// Swapped Dockerfiles are found before the run, and swapped programs after it.
func TestTaskWithSwappedArchitectures(t *testing.T) {
	s := newTaskScene(t)
	s.writeTutorial()
	s.write(map[string]string{
		"dockerfile.amd64": "FROM --platform=linux/arm64 scratch\nCOPY hello-arm64 /hello\nENTRYPOINT [\"/hello\"]\n",
		"dockerfile.arm64": "FROM --platform=linux/amd64 scratch\nCOPY hello-amd64 /hello\nENTRYPOINT [\"/hello\"]\n",
	})
	s.multiarch("task", "validate", "--registry", "h")
	s.ends(1, []string{"acb.yaml:3:", "acb.yaml:4:", "amd64", "arm64"}, "task", "validate", "--strict", "--registry", "h")
	s.write(map[string]string{
		"dockerfile.amd64": "FROM --platform=linux/amd64 scratch\nCOPY hello-arm64 /hello\nENTRYPOINT [\"/hello\"]\n",
		"dockerfile.arm64": "FROM --platform=linux/arm64 scratch\nCOPY hello-amd64 /hello\nENTRYPOINT [\"/hello\"]\n",
	})
	s.multiarch("task", "run", "--strict", "--registry", s.registry.Host)
	s.ends(1, []string{"is a program for arm64", "is a program for amd64"}, "verify", "--deep", s.name("latest"))
}

// Steps side by side on two daemons: each image is made where its step says, and one push and one list join them.
func TestTaskOnTwoDaemons(t *testing.T) {
	s := newTaskScene(t)
	other := harness.Daemon(t, harness.Containerd)
	s.docker("context", "create", "arm", "--docker", "host="+other.Host)
	s.writeTutorial()
	file := strings.Replace(strings.ReplaceAll(tutorial, "REPO", s.repo), "dockerfile.arm64 .", "dockerfile.arm64 .\n    context: arm\n    when: [\"-\"]", 1)
	file = strings.Replace(file, "  - push:", "  - when: [acb_step_0, acb_step_1]\n    push:", 1)
	s.write(map[string]string{"acb.yaml": file})
	s.multiarch("task", "run", "--registry", s.registry.Host, "--id", "r")
	s.multiarch("verify", "--deep", s.name("latest"))
	here, there := s.daemonTags(), harness.Images(t, other)
	amd, arm := s.name("r-amd64"), s.name("r-arm64")
	if here[amd] == "" || here[arm] != "" || there[amd] != "" || there[arm] == "" {
		t.Errorf("here %v, there %v", here, there)
	}
}

// A service is reached by its step's id; volumes and the workspace are shared; all is gone afterwards.
func TestTaskService(t *testing.T) {
	onEachStore(t, testTaskService)
}

func testTaskService(s *scene) {
	s.write(map[string]string{"in": "from the context", "acb.yaml": `
volumes: [{name: shared}, {name: keys, secret: {key: {{.Secrets.key | b64enc}}}}]
secrets: [{id: key, keyvault: https://example.vault.azure.net/secrets/key}]
steps:
  - id: web
    cmd: IMAGE sh -c "trap 'exit 0' TERM; echo it listens; echo served > /index.html; cp /workspace/in /shared/in; httpd -f -p 8080 -h / & wait"
    detach: true
    volumeMounts: [{name: shared, mountPath: /shared}]
  - id: wait
    cmd: IMAGE sh -c "until wget -q -O /workspace/got http://web:8080/index.html; do sleep 0.1; done"
    timeout: 60
  - id: look
    cmd: IMAGE sh -c "cat got in /shared/in; cat /keys/key; echo; pwd"
    volumeMounts: [{name: shared, mountPath: /shared}, {name: keys, mountPath: /keys}]
`})
	s.image("acb.yaml")
	s.Set("KEY", "very secret")
	r := s.multiarch("task", "run", "--id", s.runID(), "--secret", "id=key,env=KEY")
	says(s.T, r.Stdout, "web  | it listens\n", "served", "from the contextfrom the context", "****", "/workspace")
	saysNot(s.T, r.Stdout+r.Stderr, "very secret")
	s.leaves(s.runID())
	if _, err := os.Stat(filepath.Join(s.Dir, "got")); err == nil {
		s.Error("the folder of the context was written to")
	}
	s.refused([]string{"secret key", "--secret id=key,src=FILE"}, "task", "run")
}

// image puts the name of an image with a shell in the place of IMAGE in a task file.
func (s *scene) image(file string) {
	s.Helper()
	path := filepath.Join(s.Dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	s.write(map[string]string{file: strings.ReplaceAll(string(text), "IMAGE", harness.Busybox(s.T, s.daemon))})
}

// Ctrl-C half-way ends what runs, a service included, and removes all of it.
func TestInterruptDuringTask(t *testing.T) {
	for name, interrupt := range receivers {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, func(s *scene) { s.interruptTask(interrupt) })
		})
	}
}

func (s *scene) interruptTask(interrupt func(*exec.Cmd) error) {
	s.Helper()
	id := s.runID()
	s.write(map[string]string{"acb.yaml": `
volumes: [{name: shared}]
steps:
  - id: web
    cmd: IMAGE sh -c "trap 'exit 0' TERM; httpd -f -p 8080 -h / & wait"
    detach: true
  - id: long
    cmd: IMAGE sh -c "trap 'exit 0' TERM; echo it runs; while true; do sleep 0.1; done"
    volumeMounts: [{name: shared, mountPath: /shared}]
  - cmd: IMAGE echo never
`})
	s.image("acb.yaml")
	r := s.start("task", "run", "--id", id)
	s.awaitContainers(id, 2)
	s.must(interrupt(r.cmd))
	if err := r.cmd.Wait(); err == nil || r.cmd.ProcessState.ExitCode() != 130 {
		s.Errorf("%v\n%s", err, &r.stderr)
	}
	saysNot(s.T, r.stdout.String(), "| never")
	s.leaves(id)
}

// awaitContainers waits until so many containers of a run are running.
func (s *scene) awaitContainers(id string, n int) {
	s.Helper()
	events := s.Command(s.Context(), "docker", "events", "--since", "1h", "--filter", "event=start", "--filter", "label=docker-multiarch.run="+id)
	out, err := events.StdoutPipe()
	if err == nil {
		err = events.Start()
	}
	if err != nil {
		s.Fatal(err)
	}
	stop := time.AfterFunc(time.Minute, func() { _ = events.Process.Kill() })
	defer func() {
		stop.Stop()
		_ = events.Process.Kill()
		_ = events.Wait()
	}()
	lines := bufio.NewReader(out)
	for range n {
		if _, err := lines.ReadString('\n'); err != nil {
			s.Fatalf("%d containers of %s did not start: %v", n, id, err)
		}
	}
}

// What a container writes, a build and a docker command see, and what those write, containers see.
func TestTaskWorkspaceIsShared(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.write(map[string]string{
			"Dockerfile": "FROM scratch\nCOPY made /made\n",
			"acb.yaml": `
steps:
  - cmd: IMAGE sh -c "mkdir -p sub; echo made by a container > made"
  - build: -t {{.Run.Registry}}/` + s.repo + `:built .
  - cmd: docker save -o sub/saved.tar {{.Run.Registry}}/` + s.repo + `:built
  - cmd: IMAGE sh -c "tar -tf saved.tar > /dev/null; cat ../made; ls"
    workingDirectory: sub
`})
		s.image("acb.yaml")
		r := s.multiarch("task", "run", "--registry", s.registry.Host)
		says(s.T, r.Stdout, "made by a container", "saved.tar")
		entries, err := os.ReadDir(s.Dir)
		if err != nil || len(entries) != 2 {
			s.Errorf("the folder of the context: %v %v", entries, err)
		}
	})
}

// acr purge and az acr import are our own commands, and say so.
func TestTaskMapsAzureCommands(t *testing.T) {
	s := newTaskScene(t)
	s.put(s.repo, "old", images.Spec{Platform: amd64})
	s.put(s.repo, "kept", images.Spec{Platform: arm64})
	s.write(map[string]string{"acb.yaml": `
version: v1.1.0
steps:
  - cmd: az acr import --name ` + s.registry.Host + ` --source ` + s.name("kept") + ` --image ` + s.repo + `/copy:1
  - cmd: acr purge --filter '` + s.repo + `:^old$' --ago 0d --untagged
`})
	r := s.multiarch("task", "run", "--registry", s.registry.Host)
	says(t, r.Stderr, "docker multiarch import", "docker multiarch repo purge")
	harness.Get(t, s.registry, s.repo+"/copy", "1")
	harness.Absent(t, s.registry, s.repo, "old")
	harness.Get(t, s.registry, s.repo, "kept")
}

// A dry run, validation, rendering and the graph need no daemon, no Dockerfile and no registry.
func TestTaskWithoutDaemon(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.write(map[string]string{"acb.yaml": strings.ReplaceAll(tutorial, "REPO", "samples/app")})
	r := s.multiarch("task", "run", "--dry-run", "--registry", "h.example", "--id", "r")
	says(t, r.Stdout, "docker build", "--tag=h.example/samples/app:r-amd64", "docker push h.example/samples/app:r-arm64",
		"docker multiarch create h.example/samples/app:latest")
	says(t, s.multiarch("task", "render", "--registry", "h.example", "--id", "r").Stdout, "  - build: -t h.example/samples/app:r-amd64 -f dockerfile.amd64 .\n")
	says(t, s.multiarch("task", "graph", "--registry", "h.example", "--format", "json").Stdout, `"acb_step_5"`)
	s.multiarch("task", "validate", "--registry", "h.example")
	s.write(map[string]string{"bad.yaml": "steps:\n  - push: a\n  - cmdd: b\n  - {id: a b, cmd: c}\n"})
	s.ends(1, []string{"bad.yaml:3:", "bad.yaml:4:"}, "task", "validate", "-f", "bad.yaml")
	s.refused([]string{"bad.yaml:3:", "bad.yaml:4:"}, "task", "run", "-f", "bad.yaml")
}

// A tar and a git repository are contexts as a folder is one.
func TestTaskContexts(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.write(map[string]string{"src/sub/acb.yaml": "steps:\n  - cmd: image {{.Run.Branch}} {{len .Run.Commit}}\n"})
	for _, args := range [][]string{
		{"init", "-q", "-b", "trunk", "src"}, {"-C", "src", "add", "."},
		{"-C", "src", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "one"},
	} {
		harness.MustRun(t, s.Env, "git", args...)
	}
	harness.MustRun(t, s.Env, "tar", "-czf", "src.tgz", "-C", "src", "sub")
	for _, context := range []string{"src/sub", "file://" + s.Dir + "/src/.git#trunk:sub"} {
		says(t, s.multiarch("task", "render", context).Stdout, "image trunk 40")
	}
	says(t, s.multiarch("task", "render", "-f", "sub/acb.yaml", "src.tgz").Stdout, "image  0")
	tar, err := os.Open(filepath.Join(s.Dir, "src.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	defer tar.Close()
	r := harness.RunInput(t, s.Env, io.Reader(tar), "docker", "multiarch", "task", "render", "-f", "sub/acb.yaml", "-")
	if r.Code != 0 || !strings.Contains(r.Stdout, "image  0") {
		t.Error(r)
	}
}
