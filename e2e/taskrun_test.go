package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// shell builds an image with a shell in the daemon, with WHICH set to a word, until the end of the test.
func (s *scene) shell(name, word string) {
	s.Helper()
	s.docker("build", "-q", "-t", name, s.dockerfile("FROM "+harness.Busybox(s.T, s.daemon)+"\nENV WHICH="+word+"\n"))
	s.Cleanup(func() { _ = s.daemon.RemoveImage(s.Context(), name) })
}

// dockerfile returns a folder that contains only a Dockerfile.
func (s *scene) dockerfile(content string) string {
	s.Helper()
	s.write(map[string]string{"image/Dockerfile": content})
	return "image"
}

// Values of flags reach the steps.
func TestTaskRunFlags(t *testing.T) {
	s := newTaskScene(t)
	s.write(map[string]string{
		"values.yaml": "name: ann\nplace: {city: Berlin}\n",
		"acb.yaml": `
steps:
  - id: first
    cmd: IMAGE echo never
  - id: second
    cmd: IMAGE sh -c 'echo $GREETING $OTHER, {{.Values.name}} of {{.Values.place.city}}${UNSET-}'
  - id: third
    cmd: IMAGE echo after {{.Run.ID}}
    env: [GREETING=own]
`})
	s.image("acb.yaml")
	s.Set("GREETING", "good day")
	r := s.multiarch("task", "run", "--id", s.runID(), "--from-step", "second", "--env", "GREETING", "--env", "UNSET", "-e", "OTHER=there",
		"--values", "values.yaml", "--set", "place.city=Rome", "--set", "name=bea")
	if want := "second | good day there, bea of Rome\nthird  | after " + s.runID() + "\n"; r.Stdout != want {
		t.Errorf("got stdout %q, want %q", r.Stdout, want)
	}
	says(t, r.Stderr, "first  | skipped: the run starts at second")
	s.refused([]string{`cannot start at step "fourth"`, "first, second, third"}, "task", "run", "--from-step", "fourth", "--values", "values.yaml")
	s.refused([]string{"no-values.yaml"}, "task", "run", "--values", "no-values.yaml")
	s.ends(1, []string{"acb.yaml:6:", "Values.name"}, "task", "validate", "--strict")
	s.nothingLeftOf(s.runID())
}

// A run that takes too long is stopped, and reports its state at that time.
func TestTaskRunTimeout(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.write(map[string]string{"acb.yaml": `
totalTimeout: 600
steps:
  - id: web
    cmd: IMAGE sh -c "trap 'exit 0' TERM; httpd -f -p 8080 -h / & wait"
    detach: true
  - id: long
    cmd: IMAGE sh -c "trap 'exit 0' TERM; while true; do sleep 0.1; done"
  - id: after
    cmd: IMAGE echo never
    exitedWithout: [0]
`})
		s.image("acb.yaml")
		r := s.refused([]string{"the run timed out after 10s while running long", "long  | cancelled", "after | skipped"},
			"task", "run", "--id", s.runID(), "--timeout", "10s")
		saysNot(s.T, r.Stderr, "ended before the run did") // a daemon may print other warnings
		s.nothingLeftOf(s.runID())
	})
}

// Objects of a run, kept containers included, exist until it ends, and are removed after a failure.
func TestTaskFailureLeavesNothing(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.write(map[string]string{"acb.yaml": `
networks: [{name: net}]
volumes: [{name: data}]
steps:
  - id: kept
    cmd: IMAGE sh -c 'echo hello from $(hostname)'
    network: net
    keep: true
    repeat: 1
    volumeMounts: [{name: data, mountPath: /data}]
  - id: removed
    cmd: IMAGE echo there
  - id: logs
    cmd: docker logs multiarch-{{.Run.ID}}-kept-2
  - id: there
    cmd: docker inspect --format "is {{ "{{.Name}}" }}" multiarch-{{.Run.ID}}-net multiarch-{{.Run.ID}}-data multiarch-{{.Run.ID}}-kept
  - id: gone
    cmd: docker inspect multiarch-{{.Run.ID}}-removed
    ignoreErrors: true
  - id: fails
    cmd: IMAGE sh -c "echo it went wrong >&2; exit 3"
    network: net
    volumeMounts: [{name: data, mountPath: /data}]
`})
		s.image("acb.yaml")
		named := "multiarch-" + s.runID() + "-"
		r := s.ends(1, []string{
			"logs    | hello from kept\n", "there   | is " + named + "net\n", "there   | is " + named + "data\n", "there   | is /" + named + "kept\n",
			"gone    | failed after", named + "removed", "fails   | it went wrong\n", "acb.yaml:20: step fails (docker run ", "): exit code 3\n",
		}, "task", "run", "--id", s.runID())
		if n := strings.Count(r.Stdout, "kept    | hello from kept\n"); n != 2 {
			s.Errorf("got %d repetitions, want 2:\n%s", n, r.Stdout)
		}
		s.nothingLeftOf(s.runID())
	})
}

// A missing image is pulled; an existing one only with 'pull: true'.
func TestTaskPullsImages(t *testing.T) {
	onEachStore(t, func(s *scene) {
		name := s.name("shell")
		s.write(map[string]string{"acb.yaml": "steps:\n  - cmd: " + name + ` sh -c "echo it is $WHICH"` + "\n"})
		run := func(word string) {
			s.Helper()
			says(s.T, s.multiarch("task", "run").Stdout, "| it is "+word+"\n")
		}
		s.shell(name, "new")
		s.docker("push", "-q", name)
		s.docker("rmi", name)
		run("new")
		s.shell(name, "old")
		run("old")
		s.write(map[string]string{"acb.yaml": "steps:\n  - pull: true\n    cmd: " + name + ` sh -c "echo it is $WHICH"` + "\n"})
		run("new")
		absent := s.name("absent")
		s.write(map[string]string{"acb.yaml": "steps:\n  - cmd: " + absent + "\n"})
		s.refused([]string{"pulling " + absent}, "task", "run")
	})
}

// Push, pull and lists use the login of the registry; without it the run fails with the docker login command as a
// hint.
func TestTaskUsesLogin(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.ownRegistry(harness.RegistryOptions{User: loginUser, Password: loginSecret})
		s.write(map[string]string{
			"Dockerfile": "FROM " + harness.Busybox(s.T, s.daemon) + "\nENV WHICH=private\n",
			"acb.yaml": strings.ReplaceAll(`
version: v1.1.0
steps:
  - build: -t REPO:shell .
  - push: [REPO:shell]
  - cmd: docker rmi REPO:shell
  - cmd: REPO:shell sh -c "echo it is $WHICH"
  - cmd: docker manifest create REPO:list REPO:shell
  - cmd: docker manifest push REPO:list
  - cmd: docker rmi REPO:shell
`, "REPO", "{{.Run.Registry}}/"+s.repo)})
		says(s.T, s.multiarch("task", "run", "--registry", s.registry.Host).Stdout, "| it is private\n")
		harness.Complete(s.T, s.registry, s.repo, "list")
		for _, secret := range []string{"", "wrong-" + loginSecret} {
			s.Configure(s.T, func(config map[string]any) { delete(config, "auths") })
			if secret != "" {
				s.Login(s.T, s.registry.Host, loginUser, secret)
			}
			s.shell(s.name("shell"), "private")
			s.needsLogin("acb_step_1")
			s.docker("rmi", s.name("shell"))
			s.needsLogin("acb_step_3")
			s.needsLogin("acb_step_4")
		}
	})
}

// needsLogin checks that the run of acb.yaml from a step fails with the docker login command.
func (s *scene) needsLogin(from string) {
	s.Helper()
	r := s.ends(1, []string{from + " | failed", "docker login " + s.registry.Host}, "task", "run", "--registry", s.registry.Host, "--from-step", from)
	saysNot(s.T, r.Stdout+r.Stderr, loginSecret)
}

// The shell text of a cmd joins commands, which share the workspace.
func TestTaskShellText(t *testing.T) {
	onEachStore(t, func(s *scene) {
		built := "multiarch-shell-text:" + s.runID()
		s.write(map[string]string{"kept.txt": "kept\n", "acb.yaml": `
steps:
  - id: none
    cmd: docker pull 127.0.0.1:1/none || true
  - id: tag
    cmd: docker tag IMAGE ` + built + `-$(cat kept.txt) && docker rmi ` + built + `-kept && echo done
  - id: write
    cmd: |
      IMAGE sh -c 'echo from the container >made.txt; exit 4' || echo "exit code $?" >>made.txt
      for name in made kept; do cat $name.txt; done | docker run --rm -i IMAGE sh -c 'tr a-z A-Z'
  - id: read
    cmd: IMAGE cat made.txt
`})
		s.image("acb.yaml")
		r := s.multiarch("task", "run", "--id", s.runID())
		says(s.T, r.Stdout, "tag   | done\n", "write | FROM THE CONTAINER\nwrite | EXIT CODE 4\nwrite | KEPT\n",
			"read  | from the container\nread  | exit code 4\n")
		if _, err := os.Stat(filepath.Join(s.Dir, "made.txt")); !errors.Is(err, os.ErrNotExist) {
			s.Errorf("got error %v, want no file made.txt in the user's folder", err)
		}
		s.nothingLeftOf(s.runID())
	})
}

// The format's tutorial has flags before the image and stops the container by the step's id; others use the names of
// networks and of the workspace's volume.
func TestTaskNamesAndFlags(t *testing.T) {
	onEachStore(t, func(s *scene) {
		web := "web-" + s.runID()
		s.write(map[string]string{"kept.txt": "kept\n", "acb.yaml": `
version: v1.1.0
networks: [{name: net-$ID, driver: bridge, isDefault: true}]
steps:
  - id: ` + web + `
    cmd: -d -t -e ANSWER=42 -v $SharedVolume:/more IMAGE sh -c 'echo $ANSWER; cat /more/kept.txt; sleep 600'
  - cmd: docker inspect --format '{{"{{"}}.State.Running{{"}}"}}' ` + web + `
  - cmd: docker run --rm --network net-$ID -v $SharedVolume:/w IMAGE sh -c 'cp /w/kept.txt /w/copy.txt'
  - cmd: docker stop -t 0 ` + web + `
  - cmd: IMAGE cat copy.txt
`})
		s.image("acb.yaml")
		r := s.multiarch("task", "run", "--id", s.runID())
		says(s.T, r.Stdout, "| true\n", "| kept\n", "| 42\n")
		s.nothingLeftOf(s.runID())
		// A container of another user is not touched.
		s.docker("create", "--name", web, harness.Busybox(s.T, s.daemon), "true")
		s.Cleanup(func() { s.docker("rm", web) })
		s.refused([]string{web, "a docker command of the file uses the name"}, "task", "run", "--id", s.runID())
		s.docker("inspect", web)
		s.nothingLeftOf(s.runID())
	})
}

// A mount of the daemon's socket is that of the step's daemon, wherever that is.
func TestTaskMountsDockerSocket(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.write(map[string]string{"acb.yaml": `
steps:
  - cmd: IMAGE sh -c 'test -S /socket && echo mounted'
    volumeMounts: [{name: /var/run/docker.sock, mountPath: /socket}]
  - cmd: -v /var/run/docker.sock:/socket:ro IMAGE sh -c 'test -S /socket && mount | grep " on /socket .*(ro"'
`})
		s.image("acb.yaml")
		says(s.T, s.multiarch("task", "run", "--id", s.runID()).Stdout, "| mounted\n")
		if _, err := os.Stat("/var/run/docker.sock"); !errors.Is(err, os.ErrNotExist) {
			s.Errorf("got error %v for the default socket, which no daemon uses, want that it does not exist", err)
		}
	})
}

// Containers share a HOME that is empty at the start, on each daemon one of its own.
func TestTaskHome(t *testing.T) {
	onEachStore(t, func(s *scene) {
		other := harness.Daemon(s.T, harness.Containerd)
		if s.daemon.Store == harness.Containerd {
			other = harness.Daemon(s.T, harness.GraphDriver)
		}
		s.docker("context", "create", "other", "--docker", "host="+other.Host)
		s.write(map[string]string{"acb.yaml": `
steps:
  - id: first
    cmd: IMAGE sh -c 'echo $HOME $(ls -A ~); echo kept >~/file'
  - id: second
    cmd: IMAGE sh -c 'cat ~/file'
  - id: elsewhere
    context: other
    cmd: ` + harness.Busybox(s.T, other) + ` sh -c 'echo $HOME $(ls -A ~)'
  - id: own
    cmd: -e HOME=/root IMAGE sh -c 'echo $HOME'
`})
		s.image("acb.yaml")
		r := s.multiarch("task", "run", "--id", s.runID())
		if want := "first     | /acb/home\nsecond    | kept\nelsewhere | /acb/home\nown       | /root\n"; r.Stdout != want {
			s.Errorf("got stdout %q, want %q", r.Stdout, want)
		}
		s.nothingLeftOf(s.runID())
	})
}
