package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// A daemon on this machine uses the files themselves: the context under an overlay, or a copy of it if steps
// on this machine need the changes. What .dockerignore names, and .git, is in neither; the user's folder does not change.
func TestTaskWorkspaceOnThisMachine(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.write(map[string]string{
			".git/config": "token", ".env": "secret", "sub/.env": "secret", "sub/kept": "kept", "logs/a": "a", "logs/keep": "b",
			".dockerignore": "**/.env\nDockerfile*\nlogs\n!logs/keep\n", "Dockerfile": "FROM scratch\nCOPY sub made /\n",
			"own.yaml": `
steps:
  - cmd: IMAGE sh -c 'grep " /workspace " /proc/mounts | cut -d " " -f 1; find . -type f | sort | tr "\n" " "; rm sub/kept; echo x >made'
  - cmd: IMAGE sh -c 'find . -type f | sort | tr "\n" " "'
`,
			"shared.yaml": `
steps:
  - cmd: IMAGE sh -c 'grep -c "^overlay /workspace " /proc/mounts; find . -type f | sort | tr "\n" " "; echo x >made'
  - build: -t {{.Run.Registry}}/` + s.repo + `:built .
  - cmd: docker save -o sub/saved.tar {{.Run.Registry}}/` + s.repo + `:built
  - cmd: IMAGE sh -c 'tar -tf sub/saved.tar >/dev/null; find sub -type f | sort | tr "\n" " "'
`})
		s.image("own.yaml")
		s.image("shared.yaml")
		list := func() string { return harness.MustRun(s.T, s.Env, "find", ".", "-printf", "%p %T@ %y\n") }
		before := list()
		r := s.multiarch("task", "run", "--id", s.runID(), "-f", "own.yaml")
		says(s.T, r.Stdout, "| overlay\n", "| ./.dockerignore ./logs/keep ./own.yaml ./shared.yaml ./sub/kept ", "| ./.dockerignore ./logs/keep ./made ./own.yaml ./shared.yaml ")
		if n := strings.Count(r.Stderr, "files and folders that .dockerignore names"); n != 1 {
			s.Errorf("got %d notes, want 1:\n%s", n, r.Stderr)
		}
		r = s.multiarch("task", "run", "--id", s.runID(), "-f", "shared.yaml", "--registry", s.registry.Host)
		says(s.T, r.Stdout, "| 0\n", "| ./.dockerignore ./Dockerfile ./logs/keep ./own.yaml ./shared.yaml ./sub/kept ", "| sub/kept sub/saved.tar ")
		if after := list(); after != before {
			s.Errorf("got files %s in the context after the runs, want %s", after, before)
		}
		s.nothingLeftOf(s.runID())
	})
}

// A user without the rights of root can use and remove the files that containers leave as root.
func TestTaskWorkspaceOfUser(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.write(map[string]string{".env": "secret", ".dockerignore": ".env\n", "Dockerfile": "FROM scratch\nCOPY sub /\n", "own.yaml": `
steps:
  - cmd: IMAGE sh -c 'umask 077; mkdir -p sub/deep; echo private >sub/deep/made; test ! -e .env'
  - cmd: IMAGE cat sub/deep/made
`, "shared.yaml": `
steps:
  - cmd: IMAGE sh -c 'umask 077; mkdir -p sub/deep; echo private >sub/deep/made; test ! -e .env'
  - build: -t {{.Run.Registry}}/` + s.repo + `:built .
  - cmd: docker save -o sub/deep/saved.tar {{.Run.Registry}}/` + s.repo + `:built
  - cmd: IMAGE sh -c 'cat sub/deep/made; tar -tf sub/deep/saved.tar >/dev/null && umask 077 && mkdir last && echo saved >last/file'
`})
		s.image("own.yaml")
		s.image("shared.yaml")
		for _, file := range []string{"own.yaml", "shared.yaml"} {
			says(s.T, s.asUser("task", "run", "--id", s.runID(), "-f", file, "--registry", s.registry.Host), "| private\n")
		}
		s.nothingLeftOf(s.runID())
	})
}

// asUser runs a command as a user who may use the daemon, and whose folder for temporary files has to be empty afterwards. It
// returns the standard output.
func (s *scene) asUser(args ...string) string {
	s.Helper()
	home := s.TempDir()
	temp := filepath.Join(home, "tmp")
	s.must(os.Chmod(filepath.Dir(home), 0o711))
	s.must(os.Mkdir(temp, 0o700))
	harness.MustRun(s.T, s.Env, "cp", "-rL", s.Config, s.Dir, home)
	words := append([]string{"docker", "multiarch"}, args...)
	if os.Geteuid() == 0 {
		harness.MustRun(s.T, s.Env, "chown", "-R", "65534:65534", home)
		socket := strings.TrimPrefix(s.daemon.Host, "unix://")
		for dir := filepath.Dir(socket); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			s.must(os.Chmod(dir, 0o711))
		}
		words = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--groups=0"}, words...)
	}
	cmd := s.Command(context.WithoutCancel(s.Context()), words[0], words[1:]...)
	cmd.Dir = filepath.Join(home, filepath.Base(s.Dir))
	cmd.Env = append(cmd.Env, "HOME="+home, "TMPDIR="+temp, "DOCKER_CONFIG="+filepath.Join(home, filepath.Base(s.Config)))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	s.must(cmd.Run())
	if left, err := exec.Command("find", temp, "-mindepth", "1").Output(); err != nil || len(left) > 0 {
		s.Errorf("got temporary files %s and error %v, want none", left, err)
	}
	return stdout.String()
}

// A daemon that does not have the files, here because its folder for temporary files and its processes are others, gets
// them as archives.
func TestTaskWorkspaceElsewhere(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.write(map[string]string{".git/config": "token", ".env": "secret", ".dockerignore": ".env", "kept": "kept", "Dockerfile": "FROM scratch\nCOPY made /\n", "acb.yaml": `
version: v1.1.0
steps:
  - cmd: IMAGE sh -c 'grep -c "^overlay /workspace " /proc/mounts; find . -type f | sort | tr "\n" " "; rm kept; echo x >made'
  - build: -t {{.Run.Registry}}/` + s.repo + `:built .
  - cmd: docker save -o saved.tar {{.Run.Registry}}/` + s.repo + `:built
  - cmd: docker run --rm --network none -v $SharedVolume:/w IMAGE sh -c 'tar -tf /w/saved.tar >/dev/null && echo there >/w/last'
  - cmd: IMAGE sh -c 'find . -type f | sort | tr "\n" " "'
`})
		s.image("acb.yaml")
		stdout, _ := s.mounted(`mkdir "$HOME/tmp"; mount -t tmpfs tmpfs "$HOME/tmp"; export TMPDIR="$HOME/tmp"
unshare --pid --fork --mount-proc docker multiarch task run --id ` + s.runID() + ` --registry ` + s.registry.Host + ` .; test -z "$(ls "$TMPDIR")"`)
		says(s.T, stdout, "| 0\n", "| ./.dockerignore ./Dockerfile ./acb.yaml ./kept ", "| ./.dockerignore ./Dockerfile ./acb.yaml ./last ./made ./saved.tar ")
		s.nothingLeftOf(s.runID())
	})
}
