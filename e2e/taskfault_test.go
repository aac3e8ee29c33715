package e2e

import (
	"archive/tar"
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// A secret is hidden in the error if it makes a file invalid, and in the error of the run.
func TestTaskErrorsHideSecrets(t *testing.T) {
	s := newTaskScene(t)
	for name, step := range map[string]string{
		"number":    "{cmd: a, timeout: {{.Secrets.key}}}",
		"id":        `{cmd: a, id: "{{.Secrets.key}} b"}`,
		"reference": `{push: "{{.Secrets.key}} b"}`,
		"quoted":    `{cmd: a, id: '{{.Secrets.quotes}}'}`,
		"run":       `{cmd: "docker multiarch rm {{.Secrets.key}}:b:c"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{T: t, Env: s.Env}
			s.Set("KEY", "veryhidden")
			s.Set("QUOTES", `veryhidden"\`)
			s.write(map[string]string{name + ".yaml": `
secrets: [{id: key, keyvault: https://v.example/k}, {id: quotes, keyvault: https://v.example/q}]
steps: [` + step + "]\n"})
			r := s.ends(1, []string{"****"}, "task", "run", "-f", name+".yaml", "--secret", "id=key,env=KEY", "--secret", "id=quotes,env=QUOTES")
			saysNot(t, r.Stdout+r.Stderr, "veryhidden", "panic")
		})
	}
}

// endless is a task that prints something until it is stopped.
const endless = `
volumes: [{name: shared}]
steps:
  - id: long
    cmd: IMAGE sh -c "trap 'exit 0' TERM; while true; do echo it runs; sleep 0.1; done"
    volumeMounts: [{name: shared, mountPath: /shared}]
`

// Nothing is left when the terminal is closed, of which a shell may send two signals.
func TestHangupDuringTask(t *testing.T) {
	s := newTaskScene(t)
	s.write(map[string]string{"acb.yaml": endless})
	s.image("acb.yaml")
	r := s.start("task", "run", "--id", s.runID())
	s.awaitContainers(s.runID(), 1)
	for range 2 {
		if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	_ = r.cmd.Wait() // for the plugin, too; the docker command ends at once
	says(t, r.stderr.String(), "interrupted")
	s.nothingLeftOf(s.runID())
}

// The temporary folder of a context is removed when the reader of the output exits, and when the terminal is closed before
// the context is complete.
func TestTaskRemovesItsContext(t *testing.T) {
	s := newScene(t, harness.V3)
	temp := s.TempDir()
	s.Set("TMPDIR", temp)
	s.write(map[string]string{"acb.yaml": "steps:\n" + strings.Repeat("- cmd: app "+strings.Repeat("a", 200)+"\n", 900)}) // more than a pipe holds
	left := func() int {
		entries, err := os.ReadDir(temp)
		s.must(err)
		return len(entries)
	}
	for _, command := range []string{"render -", "graph -", "run --dry-run -"} {
		harness.MustRun(t, s.Env, "sh", "-c", "tar -c acb.yaml | docker multiarch task "+command+" | head -c 1")
		if n := left(); n > 0 {
			t.Errorf("%s: got %d temporary folders left, want none", command, n)
		}
	}
	pipe := filepath.Join(s.TempDir(), "context")
	s.must(syscall.Mkfifo(pipe, 0o600))
	r := s.startProgram("sh", "-c", `exec docker multiarch task validate - <"$0"`, pipe)
	context, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	s.must(err)
	defer context.Close()
	to := tar.NewWriter(context)
	s.must(to.WriteHeader(&tar.Header{Name: "large", Size: 1 << 20, Mode: 0o600}))
	_, err = to.Write(make([]byte, 1<<19)) // more than a pipe holds: the plugin has begun to unpack it
	s.must(err)
	s.must(syscall.Kill(-r.cmd.Process.Pid, syscall.SIGHUP))
	_ = r.cmd.Wait() // for the plugin, too
	if n := left(); n > 0 {
		t.Errorf("got %d temporary folders left after SIGHUP, want none", n)
	}
}

// A second Ctrl-C ends a task at once, while a container is still stopping; the label of what is left was printed
// before. The docker command is left out: it cancels the plugin at the first signal, too, perhaps before the plugin
// has received its own, and a second one that arrives then is merged with the first.
func TestSecondInterruptDuringTask(t *testing.T) {
	s := newTaskScene(t)
	s.write(map[string]string{"acb.yaml": "steps: [{cmd: 'IMAGE sh -c \"trap : TERM; while true; do sleep 0.1; done\"'}]\n"})
	s.image("acb.yaml")
	label := "label docker-multiarch.run=" + s.runID()
	plugin, err := harness.Plugin()
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.Command(t.Context(), plugin, "task", "run", "--id", s.runID())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitContainers(s.runID(), 1)
	interrupt := func() { s.must(cmd.Process.Signal(os.Interrupt)) }
	interrupt()
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.Contains(lines.Text(), label) {
			interrupt()
		}
		saysNot(t, lines.Text(), "| cancelled")
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("got exit code %d, want 130", got)
	}
	s.docker("rm", "-fv", strings.TrimSpace(s.docker("ps", "-aq", "--filter", "label=docker-multiarch.run="+s.runID())))
}

// Nothing is left when the reader of the output exits early, as head does.
func TestTaskWhoseReaderExits(t *testing.T) {
	for name, flags := range map[string][]string{"plain": nil, "json": {"--progress", "json"}} {
		t.Run(name, func(t *testing.T) {
			s := newTaskScene(t)
			s.write(map[string]string{"acb.yaml": endless})
			s.image("acb.yaml")
			id := s.runID()
			cmd := s.Command(t.Context(), "docker", append([]string{"multiarch", "task", "run", "--id", id}, flags...)...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = cmd.Stdout
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Error(err)
			}
			_ = out.Close()
			if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("got %v, want exit code 1", err)
			}
			s.nothingLeftOf(id)
		})
	}
}

// A docker context that does not exist and a daemon that does not answer are errors before the first step, reported
// once.
func TestTaskWithoutItsDaemons(t *testing.T) {
	s := newTaskScene(t)
	s.write(map[string]string{"acb.yaml": "steps: [{cmd: IMAGE echo ran}, {cmd: docker ps, context: nowhere}]\n", "Dockerfile": "FROM scratch\n"})
	s.image("acb.yaml")
	s.refused([]string{"acb_step_1", "docker context nowhere", "docker context ls"}, "task", "run")
	s.Unset("DOCKER_HOST")
	s.docker("context", "create", "nowhere", "--docker", "host=unix://"+s.Dir+"/nothing.sock")
	s.Set("DOCKER_CONTEXT", "nowhere")
	s.write(map[string]string{"acb.yaml": "steps: [{build: -t a ., when: ['-']}, {push: b, when: ['-']}, {cmd: c, when: ['-']}]\n"})
	r := s.ends(1, []string{"docker version"}, "task", "run")
	if n := strings.Count(r.Stderr, "cannot reach the Docker daemon"); n != 1 {
		t.Errorf("got %d errors about the daemon, want 1:\n%s", n, r.Stderr)
	}
}

// A run with the ID of another one, running or killed, does not touch that one's objects, and prints the next step,
// which works.
func TestTasksWithTheSameID(t *testing.T) {
	s := newTaskScene(t)
	s.write(map[string]string{"acb.yaml": endless, "short.yaml": "steps: [{cmd: IMAGE cat short.yaml, network: host}]\n"})
	s.image("acb.yaml")
	s.image("short.yaml")
	r := s.start("task", "run", "--id", s.runID())
	s.awaitContainers(s.runID(), 1)
	before := s.objectsOf("label=docker-multiarch.run=" + s.runID())
	for _, file := range []string{"acb.yaml", "short.yaml"} {
		s.ends(1, []string{"already", "use another --id", "docker rm -fv"}, "task", "run", "--id", s.runID(), "-f", file)
	}
	if now := s.objectsOf("label=docker-multiarch.run=" + s.runID()); now != before {
		t.Errorf("got objects %s, want %s", now, before)
	}
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait()
	stderr := s.ends(1, nil, "task", "run", "--id", s.runID(), "-f", "short.yaml").Stderr
	s.removeLeft(stderr)
	s.multiarch("task", "run", "--id", s.runID(), "-f", "short.yaml")
}
