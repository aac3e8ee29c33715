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

// newTaskScene is a scene with a daemon and buildx.
func newTaskScene(t *testing.T) *scene {
	t.Helper()
	t.Parallel()
	s := newScene(t, harness.V3)
	s.useDaemon(harness.Daemon(t, harness.GraphDriver))
	s.UseBuildx(t)
	return s
}

// runID returns the ID of a run that only this test starts.
func (s *scene) runID() string { return strings.ReplaceAll(s.repo, "/", "-") }

// nothingLeftOf checks that the daemon has no object of the run with that ID, by label and by name.
func (s *scene) nothingLeftOf(id string) {
	s.Helper()
	for _, filter := range []string{"label=docker-multiarch.run=" + id, "name=multiarch-" + id + "-"} {
		if left := s.objectsOf(filter); left != "" {
			s.Errorf("got objects with %s, want none: %s", filter, left)
		}
	}
}

// objectsOf returns the containers, networks and volumes of the daemon that a filter selects.
func (s *scene) objectsOf(filter string) string {
	s.Helper()
	return s.docker("ps", "-aq", "--filter", filter) + s.docker("network", "ls", "-q", "--filter", filter) + s.docker("volume", "ls", "-q", "--filter", filter)
}

// tutorial is the task file of the tutorial that this project started with.
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

// One command builds two Dockerfiles and publishes a complete list, on both daemons, and again when it is repeated.
func TestTaskOfTheTutorial(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.writeTutorial()
		for _, id := range []string{"one", "two"} {
			r := s.multiarch("task", "run", "--strict", "--registry", s.registry.Host, "--id", id)
			says(s.T, r.Stdout, `"mediaType"`, `"architecture": "arm64"`)
			s.nothingLeftOf(id)
		}
		s.multiarch("verify", "--deep", s.name("latest"))
		want := []string{"linux/arm64", "linux/amd64"}
		if s.daemon.Store == harness.Containerd { // for which buildx adds attestations
			want = []string{"linux/arm64", "attestation", "linux/amd64", "attestation"}
		}
		s.holds("latest", want...)
		if store := s.store(); len(store) > 0 {
			s.Errorf("got local lists %v of the user, want none", store)
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
	s.multiarch("task", "validate", "--registry", "h:1")
	s.ends(1, []string{"acb.yaml:3:", "acb.yaml:4:", "amd64", "arm64"}, "task", "validate", "--strict", "--registry", "h:1")
	s.write(map[string]string{
		"dockerfile.amd64": "FROM --platform=linux/amd64 scratch\nCOPY hello-arm64 /hello\nENTRYPOINT [\"/hello\"]\n",
		"dockerfile.arm64": "FROM --platform=linux/arm64 scratch\nCOPY hello-amd64 /hello\nENTRYPOINT [\"/hello\"]\n",
	})
	s.multiarch("task", "run", "--strict", "--registry", s.registry.Host)
	s.ends(1, []string{"is a program for arm64", "is a program for amd64"}, "verify", "--deep", s.name("latest"))
}

// Steps run concurrently on two daemons: each image is built on the daemon of its step, and one push and one list
// combine them.
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
	local, remote := s.daemonTags(), harness.Images(t, other)
	amd, arm := s.name("r-amd64"), s.name("r-arm64")
	if local[amd] == "" || local[arm] != "" || remote[amd] != "" || remote[arm] == "" {
		t.Errorf("got images %v and %v, want amd64 only on one daemon, arm64 only on the other", local, remote)
	}
}

// A service is reachable by the ID of its step; volumes and the workspace are shared; everything is removed
// afterwards.
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
	s.nothingLeftOf(s.runID())
	if _, err := os.Stat(filepath.Join(s.Dir, "got")); err == nil {
		s.Error("got a file in the folder of the context, want it unchanged")
	}
	s.refused([]string{"secret key", "--secret id=key,src=FILE"}, "task", "run")
}

// image replaces IMAGE in a task file with the name of an image that has a shell.
func (s *scene) image(file string) {
	s.Helper()
	path := filepath.Join(s.Dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	s.write(map[string]string{file: strings.ReplaceAll(string(text), "IMAGE", harness.Busybox(s.T, s.daemon))})
}

// Ctrl-C stops what runs, including a service, and removes all of it.
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
		s.Errorf("got %v, want exit code 130\n%s", err, &r.stderr)
	}
	saysNot(s.T, r.stdout.String(), "| never")
	s.nothingLeftOf(id)
}

// awaitContainers waits until n containers of a run have started.
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
			s.Fatalf("got %v, want %d started containers of %s", err, n, id)
		}
	}
}

// Files that a container writes are in the context of builds and docker commands, and files that those write are in
// containers.
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
			s.Errorf("got entries %v in the folder of the context (error %v), want 2", entries, err)
		}
	})
}

// A run reports a platform that is twice in a list, also without --strict.
func TestTaskReportsPlatformTwice(t *testing.T) {
	s := newTaskScene(t)
	s.put(s.repo, "one", images.Spec{Seed: "one", Platform: amd64})
	s.put(s.repo, "two", images.Spec{Seed: "two", Platform: amd64})
	for _, create := range []string{"docker manifest create", "docker multiarch create"} {
		s.write(map[string]string{"acb.yaml": strings.NewReplacer("NAME", s.registry.Host+"/"+s.repo, "CREATE", create).Replace(`
steps:
  - cmd: CREATE NAME:list NAME:one NAME:two
    workingDirectory: absent
  - cmd: docker manifest push NAME:list
`)})
		r := s.multiarch("task", "run")
		says(t, r.Stderr, "acb_step_0 | WARNING: "+s.name("one")+" and "+s.name("two")+" are both for linux/amd64; one was probably built without --platform (otherwise, annotate one before the push)\n")
		s.holds("list", "linux/amd64", "linux/amd64")
	}
}

// acr purge and az acr import run our own commands, which is reported.
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

// A link that an earlier container planted leads our own commands nowhere, whether they write or read.
func TestTaskWithPlantedLinks(t *testing.T) {
	onEachStore(t, func(s *scene) {
		image := s.put(s.repo, "1", images.Spec{Platform: amd64})
		mine := filepath.Join(s.Home, "mine")
		s.must(os.WriteFile(mine, []byte("mine\n"), 0o600))
		plant := "steps:\n- cmd: IMAGE ln -s " + mine + " link\n- cmd: "
		s.write(map[string]string{
			"acb.yaml":     plant + "docker multiarch import --digest-file link " + s.name("1") + " " + s.name("2") + "\n- cmd: IMAGE cat link",
			"record.yaml":  plant + "docker multiarch repo purge --force --filter 1 --record link " + s.registry.Host + "/" + s.repo,
			"restore.yaml": plant + "docker multiarch repo restore link",
			"nested.yaml":  "steps:\n- cmd: docker multiarch task render /",
		})
		for _, file := range []string{"acb.yaml", "record.yaml", "restore.yaml"} {
			s.image(file)
		}
		says(s.T, s.multiarch("task", "run").Stdout, "sha256:")
		s.ends(1, []string{"openat link: path escapes from parent"}, "task", "run", "-f", "record.yaml")
		s.ends(1, []string{"openat link: path escapes from parent"}, "task", "run", "-f", "restore.yaml")
		s.refused([]string{"a task cannot run docker multiarch task"}, "task", "run", "-f", "nested.yaml")
		if got, err := os.ReadFile(mine); err != nil || string(got) != "mine\n" {
			s.Errorf("got %q and error %v in the user's file, want it unchanged", got, err)
		}
		harness.Complete(s.T, s.registry, s.repo, image.Digest().String())
	})
}

// --cmd is a task of one step, in the image's own folder; the value of --set-secret is hidden.
func TestTaskOfACmd(t *testing.T) {
	onEachStore(t, func(s *scene) {
		bb := harness.Busybox(s.T, s.daemon)
		s.write(map[string]string{"acb.yaml": "not a task", "file": "in the context"})
		r := s.multiarch("task", "run", "--set-secret", "token=hunter2", "--registry", "h.example", "--cmd", bb+` sh -c "pwd; cat /workspace/file; echo {{.Values.token}} $RegistryName | tr a-z A-Z; echo {{.Values.token}}"`)
		says(s.T, r.Stdout, "| /\n", "in the context", "HUNTER2 H", "****")
		saysNot(s.T, r.Stdout+r.Stderr, "hunter2")
		says(s.T, r.Stderr, "WARNING: the list of processes shows the value of --set-secret token")
		s.ends(1, []string{"--cmd:3:8: error: steps[0].cmd"}, "task", "run", "--cmd", "docker nonsense")
		s.refusedWith(125, []string{"--cmd is empty"}, "task", "run", "--cmd", " ")
		s.refused([]string{"[cmd file]"}, "task", "run", "--cmd", bb, "-f", "acb.yaml")
	})
}

// acr purge of several repositories, of which some match an expression, keeps manifests without --untagged; what it
// cannot do here is reported before the run.
func TestTaskMapsPurges(t *testing.T) {
	s := newTaskScene(t)
	for _, path := range []string{"/a", "/b", "/c"} {
		for _, tag := range []string{"old-1", "old-2", "kept"} {
			s.put(s.repo+path, tag, images.Spec{Platform: amd64, Seed: path + tag, Created: time.Now().AddDate(0, 0, -len(tag))})
		}
	}
	old := harness.Get(t, s.registry, s.repo+"/a", "old-1")
	s.write(map[string]string{"acb.yaml": `
version: v1.1.0
steps:
  - cmd: acr tag list --repository ` + s.repo + `/a
  - cmd: acr purge --filter '` + s.repo + `/[ab]:^old-' --filter '` + s.repo + `/c:old-2' --ago 4d --keep 1
`})
	r := s.multiarch("task", "run", "--registry", s.registry.Host)
	says(t, r.Stdout, "old-1", "kept")
	says(t, r.Stderr, "--repositories 'regex:"+s.repo+"/[ab]'", "--keep-manifests --older-than 4d --keep-old 1")
	for path, want := range map[string]int{"/a": 2, "/b": 2, "/c": 3} { // --keep 1 keeps one of the old
		if got := harness.Tags(t, s.registry, s.repo+path); len(got) != want {
			t.Errorf("%s: got tags %v, want %d", path, got, want)
		}
	}
	harness.Get(t, s.registry, s.repo+"/a", old.Digest.String())
	s.write(map[string]string{"acb.yaml": "steps:\n- cmd: acr purge --filter a:. --ago 1d --include-locked\n"})
	r = s.multiarch("task", "run", "--dry-run", "--registry", s.registry.Host)
	says(t, r.Stderr, "acb.yaml:2:8: warning: steps[0].cmd: this runs in a container", "unknown flag: --include-locked")
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

// A tar archive and a git repository can be the context, as a folder can.
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
		t.Errorf("got %+v, want the rendered file", r)
	}
}
