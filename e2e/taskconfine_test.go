package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// keychain makes a credential helper that records its calls the user's, also under the names of the system's keychains.
func (s *scene) keychain() (calls func() string) {
	s.Helper()
	dir := s.TempDir()
	log := filepath.Join(dir, "calls")
	script := "#!/bin/sh\nread -r host\necho \"$1 $host\" >>" + log + "\necho 'credentials not found in native keychain'; exit 1\n"
	for _, name := range []string{"recorder", "secretservice", "pass"} {
		if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte(script), 0o700); err != nil {
			s.Fatal(err)
		}
	}
	s.Set("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	s.Configure(s.T, func(config map[string]any) { config["credsStore"] = "recorder" })
	return func() string {
		data, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			s.Fatal(err)
		}
		return string(data)
	}
}

// files returns the names, modes and contents of all files of a folder.
func (s *scene) files(dir string) string {
	s.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		content := []byte{}
		if entry.Type().IsRegular() {
			content, err = os.ReadFile(path)
		}
		fmt.Fprintf(&all, "%s %s %s\n", path, entry.Type(), content)
		return err
	})
	s.must(err)
	return all.String()
}

// builderImage builds an image for builders of buildx that does nothing.
func (s *scene) builderImage() string {
	s.Helper()
	name := s.plain("buildkit")
	s.write(map[string]string{"image/buildctl": "#!/bin/sh\n"})
	s.docker("build", "-q", "-t", name, s.dockerfile("FROM "+harness.Busybox(s.T, s.daemon)+"\nCOPY buildctl /bin/\nENTRYPOINT [\"sleep\",\"1000\",\"#\"]\n"))
	s.Cleanup(func() { _ = s.daemon.RemoveImage(s.Context(), name) })
	return name
}

// messy creates all kinds of objects and settings that docker commands keep.
const messy = `
steps:
  - cmd: docker login -u ann -p correct-horse-battery HOST
  - cmd: docker run -d --name db-ID -v data-ID:/data --mount type=volume,source=more-ID,target=/more IMAGE sleep 1000
  - cmd: docker exec db-ID true
  - cmd: docker network create net-ID && docker volume create vol-ID
  - cmd: docker container create --network net-ID -v vol-ID:/v IMAGE true
  - cmd: docker buildx create --use --driver-opt image=BUILDER
  - cmd: docker buildx create --name mine --bootstrap --driver-opt image=BUILDER || true
  - cmd: docker buildx inspect mine && docker buildx use mine
  - cmd: docker context create ctx --docker host=DAEMON
  - cmd: docker --context ctx run -d IMAGE sleep 1000
  - cmd: docker tag IMAGE HOST/REPO:pushed && docker push HOST/REPO:pushed && docker rmi HOST/REPO:pushed
  - pull: true
    cmd: HOST/REPO:pushed echo pulled
  - cmd: docker manifest create HOST/REPO:list HOST/REPO:pushed && docker manifest push HOST/REPO:list
  - cmd: docker logout HOST
`

// writeMessy writes messy as acb.yaml, and returns a function that checks that nothing is left of it.
func (s *scene) writeMessy(after string) (clean func()) {
	s.Helper()
	s.UseBuildx(s.T)
	s.ownRegistry(harness.RegistryOptions{User: loginUser, Password: loginSecret})
	s.Configure(s.T, func(config map[string]any) { delete(config, "auths") })
	s.docker("context", "create", "users", "--docker", "host="+s.daemon.Host)
	temp := s.TempDir()
	s.Set("TMPDIR", temp)
	s.write(map[string]string{"acb.yaml": strings.NewReplacer("HOST", s.registry.Host, "REPO", s.repo, "ID", s.runID(),
		"IMAGE", harness.Busybox(s.T, s.daemon), "BUILDER", s.builderImage(), "DAEMON", s.daemon.Host).Replace(messy + after)})
	calls := s.keychain()
	before := s.files(s.Config)
	return func() {
		s.Helper()
		s.nothingLeftOf(s.runID())
		for _, name := range []string{s.runID(), "buildx_buildkit_multiarch-"} {
			if left := s.objectsOf("name=" + name); left != "" {
				s.Errorf("got objects named %s, want none: %s", name, left)
			}
		}
		if now := s.files(s.Config); now != before {
			s.Errorf("got the user's configuration\n%s\nwant\n%s", now, before)
		}
		if left := s.files(temp); strings.Contains(left, "docker-multiarch-") {
			s.Errorf("got temporary files %s, want none", left)
		}
		for call := range strings.Lines(calls()) {
			if !slices.Contains([]string{"get " + s.registry.Host + "\n", "get https://index.docker.io/v1/\n"}, call) {
				s.Errorf("got call %q of the keychain, want only get for the registries of the file", call)
			}
		}
	}
}

// A run starts as on a new machine, and leaves the user's configuration, keychain, containers and builders as they were.
func TestTaskLeavesNothing(t *testing.T) {
	onEachStore(t, func(s *scene) {
		clean := s.writeMessy("")
		for range 2 {
			says(s.T, s.multiarch("task", "run", "--id", s.runID()).Stdout, "| pulled\n")
			clean()
		}
		s.docker("create", "--name", "db-"+s.runID(), harness.Busybox(s.T, s.daemon), "true")
		s.docker("volume", "create", "data-"+s.runID())
		s.Cleanup(func() { s.docker("volume", "rm", "data-"+s.runID()) })
		s.Cleanup(func() { s.docker("rm", "db-"+s.runID()) })
		before := s.docker("inspect", "db-"+s.runID(), "data-"+s.runID())
		s.ends(1, []string{"Conflict", "/db-" + s.runID()}, "task", "run", "--id", s.runID())
		if now := s.docker("inspect", "db-"+s.runID(), "data-"+s.runID()); now != before {
			s.Errorf("got the user's objects\n%s\nwant\n%s", now, before)
		}
		s.nothingLeftOf("." + s.runID())
	})
}

// Runs of one file at the same time do not meet.
func TestTwentyTasksAtOnce(t *testing.T) {
	s := newTaskScene(t)
	s.write(map[string]string{"acb.yaml": `
version: v1.1.0
volumes: [{name: data}]
networks: [{name: net, isDefault: true}]
steps:
  - cmd: IMAGE sh -c 'echo written >made.txt'
    volumeMounts: [{name: data, mountPath: /data}]
  - cmd: docker run -d -v $SharedVolume:/w IMAGE sleep 1000
  - cmd: docker buildx create --name mine && docker buildx use mine
  - cmd: IMAGE cat made.txt
`})
	s.image("acb.yaml")
	runs := make([]harness.Result, 20)
	var all sync.WaitGroup
	for i := range runs {
		all.Go(func() {
			runs[i] = harness.Run(t, s.Env, "docker", "multiarch", "task", "run", "--id", fmt.Sprint(s.runID(), i))
		})
	}
	all.Wait()
	for i, r := range runs {
		if r.Code != 0 || !strings.HasSuffix(r.Stdout, "| written\n") {
			t.Errorf("got exit code %d and output %q, want 0 and the file\n%s", r.Code, r.Stdout, r.Stderr)
		}
		s.nothingLeftOf(fmt.Sprint(s.runID(), i))
	}
}

// removeLeft runs the commands that an error prints for what a killed run has left.
func (s *scene) removeLeft(stderr string) {
	s.Helper()
	_, commands, _ := strings.Cut(stderr, "remove what it left: ")
	commands, _, _ = strings.Cut(commands, "\n")
	harness.MustRun(s.T, s.Env, "sh", "-c", commands)
}

// The printed commands remove all that a killed run leaves.
func TestKilledTaskIsRemoved(t *testing.T) {
	onEachStore(t, func(s *scene) {
		clean := s.writeMessy("  - cmd: IMAGE sh -c 'exec sleep 1000'\n    id: last\n")
		r := s.start("task", "run", "--id", s.runID())
		s.awaitContainers(s.runID(), 4)
		s.must(syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL))
		_ = r.cmd.Wait()
		if left := harness.MustRun(s.T, s.Env, "sh", "-c", "ls $TMPDIR"); !strings.Contains(left, s.runID()+"+workspace-") {
			s.Errorf("got temporary files %s, want a copy of the context", left)
		}
		stderr := s.ends(1, nil, "task", "run", "--id", s.runID()).Stderr
		s.removeLeft(stderr)
		clean()
	})
}

// Ctrl-C ends docker commands that ignore it, and removes the objects that they have created.
func TestInterruptOfDockerCommand(t *testing.T) {
	onEachStore(t, func(s *scene) {
		clean := s.writeMessy("  - cmd: docker run --rm IMAGE sh -c 'trap \"\" TERM INT; while true; do sleep 0.1; done'\n")
		r := s.start("task", "run", "--id", s.runID(), "--progress", "quiet")
		s.awaitContainers(s.runID(), 4)
		s.must(receivers["group"](r.cmd))
		r.ends(130)
		clean()
	})
}

// A container gets only the logins that its step asks for, in no volume, and they are hidden in the output.
func TestTaskLogins(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.Login(s.T, "a.example", loginUser, loginSecret)
		s.Login(s.T, "b.example:5000", "bob", "battery-of-bob")
		s.LoginIdentity(s.T, "c.example", "token-of-someone")
		s.write(map[string]string{"acb.yaml": `
steps:
  - id: both
    cmd: IMAGE sh -c 'cat $DOCKER_CONFIG/config.json; ls $HOME'
    user: "65534"
    logins: [a.example, c.example]
  - id: none
    cmd: IMAGE sh -c 'echo $DOCKER_CONFIG. $(ls /acb)'
`})
		s.image("acb.yaml")
		r := s.multiarch("task", "run", "--id", s.runID(), "--progress", "plain")
		says(s.T, r.Stdout, `"a.example": {`, `"auth": "****"`, `"c.example": {`, `"identitytoken": "****"`, "none | . home\n")
		says(s.T, r.Stderr, "both | WARNING: image test/busybox:1 can read your login of a.example, c.example\n")
		saysNot(s.T, r.Stdout+r.Stderr, "b.example", loginSecret, "token-of-someone")
		r = s.multiarch("task", "run", "--id", s.runID(), "--login", "b.example:5000", "--cmd", harness.Busybox(s.T, s.daemon)+" cat /acb/docker/config.json")
		says(s.T, r.Stdout, `"b.example:5000": {`, `"auth": "****"`)
		s.refused([]string{"your login of d.example", "docker login d.example"}, "task", "run", "--login", "d.example")
		s.refusedWith(125, []string{"--login"}, "task", "run", "--login", "https://d.example")
		s.nothingLeftOf(s.runID())
	})
}

// Links, pipes and names that an earlier container has put into the workspace lead the text of a cmd nowhere on this machine.
func TestTaskFollowsNoPlantedLink(t *testing.T) {
	onEachStore(t, func(s *scene) {
		outside := filepath.Join(s.TempDir(), "outside")
		s.must(os.WriteFile(outside, []byte("secret"), 0o600))
		s.write(map[string]string{"acb.yaml": strings.ReplaceAll(`
steps:
  - cmd: IMAGE sh -c 'ln -s OUTSIDE link; ln -s / root; ln -s .. up; ln -s loop loop; mkfifo pipe; touch "$(printf "a\nb")"'
  - cmd: |
      docker version --format {{"{{.Client.Os}}"}} > /dev/null
      cat link || echo refused read
      echo changed > link || echo refused write
      cat rootOUTSIDE || echo refused folder
      cat up/outside < /dev/null || echo refused parent
      cat pipe || echo refused pipe
      cd root && echo entered
      docker ps > pipe || echo refused output
      docker images $(cat link) >> loop || echo refused loop
      echo named > 'a
      b' && cat 'a
      b'
  - cmd: IMAGE sh -c 'cat a?b; test -p pipe && test -h link && ls -A'
`, "OUTSIDE", outside)})
		s.image("acb.yaml")
		r := s.multiarch("task", "run", "--id", s.runID())
		says(s.T, r.Stdout, "| refused read\n", "| refused write\n", "| refused folder\n", "| refused parent\n", "| refused pipe\n",
			"| refused output\n", "| refused loop\n", "acb_step_1 | named\n", "acb_step_2 | named\n")
		says(s.T, r.Stderr, "pipe is neither a file nor a folder")
		saysNot(s.T, r.Stdout+r.Stderr, "secret", "entered")
		if content, err := os.ReadFile(outside); err != nil || string(content) != "secret" {
			s.Errorf("got file %q and error %v, want it unchanged", content, err)
		}
		s.nothingLeftOf(s.runID())
	})
}

// The git command that buildx runs in the context of a build runs no program that a repository there names, which an earlier
// container has made.
func TestTaskRunsNoPlantedProgram(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		ran := filepath.Join(s.TempDir(), "ran")
		s.write(map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n", "acb.yaml": `
steps:
  - cmd: |
      IMAGE sh -c 'mkdir -p .git/objects .git/refs/heads; echo ref: refs/heads/main > .git/HEAD
      echo 1111111111111111111111111111111111111111 > .git/refs/heads/main
      printf "[core]\nrepositoryformatversion = 1\n[extensions]\npartialClone = origin\n" > .git/config
      printf "[remote \"origin\"]\nurl = .\npromisor = true\nuploadpack = touch ` + ran + `; false\n" >> .git/config'
  - build: -t ` + s.plain("planted") + ` .
`})
		s.image("acb.yaml")
		s.Cleanup(func() { _ = s.daemon.RemoveImage(s.Context(), s.plain("planted")) })
		s.multiarch("task", "run", "--id", s.runID(), "--progress", "plain")
		if _, err := os.Lstat(ran); !os.IsNotExist(err) {
			s.Errorf("got error %v for a file of the planted program, want none", err)
		}
		s.nothingLeftOf(s.runID())
	})
}

// An image that a step commits of a container of the run is kept, as are images that are built.
func TestTaskKeepsCommittedImages(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.write(map[string]string{"acb.yaml": `
steps:
  - cmd: docker create --name ` + s.runID() + `-made IMAGE true
  - cmd: docker commit ` + s.runID() + `-made ` + s.plain("committed") + `
`})
		s.image("acb.yaml")
		s.Cleanup(func() { _ = s.daemon.RemoveImage(s.Context(), s.plain("committed")) })
		s.multiarch("task", "run", "--id", s.runID(), "--progress", "plain")
		s.docker("image", "inspect", s.plain("committed"))
		s.nothingLeftOf(s.runID())
	})
}
