package e2e

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// promptly is the time in which an interrupted command ends on a loaded machine.
const promptly = 10 * time.Second

// running is a docker command in its own process group, as a shell starts it.
type running struct {
	t              testing.TB
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

func (s *scene) start(args ...string) *running {
	s.Helper()
	return s.startProgram("docker", append([]string{"multiarch"}, args...)...)
}

func (s *scene) startProgram(program string, args ...string) *running {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	s.Cleanup(cancel)
	r := &running{t: s.T, cmd: s.Command(ctx, program, args...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.cmd.WaitDelay = promptly
	if err := r.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	return r
}

// ends waits for the end and checks the exit code.
func (r *running) ends(code int) {
	r.t.Helper()
	started := time.Now()
	err := r.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if took := time.Since(started); took > promptly {
		r.t.Errorf("got the end after %s, want it within %s", took, promptly)
	}
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		r.t.Errorf("got exit code %d, want %d", got, code)
	}
	if r.stdout.Len() > 0 {
		r.t.Errorf("got stdout %q, want none", &r.stdout)
	}
	if r.t.Failed() {
		r.t.Logf("stderr:\n%s", &r.stderr)
	}
}

// receivers are the processes that receive a SIGINT: all at Ctrl-C, or only the docker command.
var receivers = map[string]func(*exec.Cmd) error{
	"group":  func(c *exec.Cmd) error { return syscall.Kill(-c.Process.Pid, syscall.SIGINT) },
	"docker": func(c *exec.Cmd) error { return syscall.Kill(c.Process.Pid, syscall.SIGINT) },
}

// await waits until the gate blocks a request.
func (s *scene) await(g *gate) {
	s.Helper()
	select {
	case <-g.arrived:
	case <-time.After(time.Minute):
		s.Fatal("got no request that the gate blocks")
	}
}

// An interrupted create leaves no list, and an interrupted amend the old one.
func TestInterruptDuringCreate(t *testing.T) {
	for name, interrupt := range receivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			s.put(s.repo, "there", images.Spec{Platform: amd64})
			s.multiarch("create", s.list, s.name("there"))
			for _, args := range [][]string{{"create", s.name("2")}, {"create", "--amend", s.list}, {"create", "--push", s.list}} {
				g := newGate(t, s.registry, isAny)
				unchanged := s.unchanged()
				r := s.start(append(args, s.name("there"), g.Host+"/"+s.repo+":there")...)
				s.await(g)
				if err := interrupt(r.cmd); err != nil {
					t.Fatal(err)
				}
				r.ends(130)
				says(t, r.stderr.String(), "interrupted")
				unchanged()
			}
		})
	}
}

// An interrupted push does not change the tag in the registry, the local list and the tags in the daemon, whether it
// is interrupted during the daemon's upload, our own upload or before the PUT of the list.
func TestInterruptDuringPush(t *testing.T) {
	for _, store := range stores {
		for name, interrupt := range receivers {
			t.Run(string(store)+"/"+name, func(t *testing.T) {
				t.Parallel()
				for stage, stop := range map[string]func(*http.Request) bool{"upload": isUpload, "list": isListPut} {
					s := newScene(t, harness.V3)
					s.useDaemon(harness.Daemon(t, store))
					g := newGate(t, s.registry, stop)
					s.list = g.Host + "/" + s.repo + ":1"
					near := s.put(s.repo, "1", images.Spec{Platform: arm64})
					s.load(s.plain("local"), amd64, stage)
					s.multiarch("create", s.list, s.plain("local"), s.name("1"))
					store, local := s.store(), s.daemonTags()
					r := s.start("push", s.list)
					s.await(g)
					if err := interrupt(r.cmd); err != nil {
						t.Fatal(err)
					}
					r.ends(130)
					if now := s.store(); !maps.Equal(now, store) {
						t.Errorf("%s: got local list %v, want %v", stage, now, store)
					}
					s.sameDaemonTags(local)
					if now := s.digestOf("1"); now != near.Digest().String() {
						t.Errorf("%s: got the tag at %s, want %s", stage, now, near.Digest())
					}
					g.open()
					s.multiarch("push", s.list)
					s.holds("1", "linux/amd64", "linux/arm64/v8")
				}
			})
		}
	}
}

// Ctrl-C while the daemon adds a staging tag or starts to push it removes the tag again, also if the daemon could not
// confirm it.
func TestInterruptWhileDaemonTagsOrPushes(t *testing.T) {
	for name, interrupt := range receivers {
		for _, stage := range []string{"tag", "push"} {
			t.Run(name+"/"+stage, func(t *testing.T) {
				onEachStore(t, func(s *scene) {
					there := s.put(s.repo, "1", images.Spec{Platform: arm64})
					s.load(s.plain("local"), amd64)
					s.multiarch("create", s.list, s.plain("local"))
					store, local := s.store(), s.daemonTags()
					g := newDaemonGate(s.T, s.daemon, func(r *http.Request) bool {
						return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/"+stage)
					})
					s.Set("DOCKER_HOST", "tcp://"+g.Host)
					r := s.start("push", s.list)
					s.await(g)
					if len(s.daemonTags()) != len(local)+1 {
						s.Errorf("got tags %v in the daemon, want a staging tag", s.daemonTags())
					}
					if err := interrupt(r.cmd); err != nil {
						s.Fatal(err)
					}
					r.ends(130)
					s.sameDaemonTags(local)
					if now := s.store(); !maps.Equal(now, store) {
						s.Errorf("got local list %v, want %v", now, store)
					}
					if now := s.digestOf("1"); now != there.Digest().String() {
						s.Errorf("got the tag at %s, want %s", now, there.Digest())
					}
					s.UseDaemon(s.daemon)
					s.multiarch("push", s.list)
					s.holds("1", "linux/amd64")
					s.sameDaemonTags(local)
				})
			})
		}
	}
}

// SIGTERM ends a command as Ctrl-C does, with the exit code of that signal, whether it is a docker command or the plugin
// itself.
func TestTermination(t *testing.T) {
	s := newScene(t, harness.V3)
	s.put(s.repo, "1", images.Spec{Platform: amd64})
	plugin, err := harness.Plugin()
	s.must(err)
	for _, args := range [][]string{
		{"create", s.name("2"), "REF"}, {"inspect", "REF"}, {"exists", "REF"}, {"verify", "REF"}, {"import", "REF", s.name("2")},
		{"tag", "--remote", "REF", "REF-2"}, {"repo", "ls", "HOST"}, {"repo", "tags", "REPO"}, {"repo", "manifests", "REPO"},
		{"repo", "show", "REF"}, {"repo", "rm", "REF"}, {"repo", "untag", "REF"}, {"repo", "purge", "--untagged", "REPO"},
	} {
		for _, program := range []string{"docker", plugin} {
			g := newGate(t, s.registry, isAny)
			names := strings.NewReplacer("REPO", g.Host+"/"+s.repo, "REF", g.Host+"/"+s.repo+":1", "HOST", g.Host)
			typed := []string{"multiarch"}
			for _, arg := range args {
				typed = append(typed, names.Replace(arg))
			}
			r := s.startProgram(program, typed...)
			s.await(g)
			s.must(syscall.Kill(-r.cmd.Process.Pid, syscall.SIGTERM))
			r.ends(143)
			says(t, r.stderr.String(), "interrupted")
		}
	}
}
