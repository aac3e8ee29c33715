package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// Without a terminal there is no progress of what is quick, and JSON or nothing by flag; standard output is always the result.
func TestImportProgress(t *testing.T) {
	t.Parallel()
	m := newImportScene(t, harness.RegistryOptions{})
	stdout := m.imports("--progress", "plain", m.from, m.to+":plain").Stdout
	r := m.imports("--progress", "json", m.from, m.to+"/json:1")
	states := map[string]int{}
	for line := range strings.Lines(r.Stderr) {
		if strings.HasPrefix(line, "Sent ") {
			continue
		}
		var blob struct{ Digest, State string }
		if err := json.Unmarshal([]byte(line), &blob); err != nil || blob.Digest == "" {
			t.Errorf("got line %q (error %v), want an object with a digest", line, err)
		}
		states[blob.State]++
	}
	if states["sending"] < 20 || states["sent"] != 20 {
		t.Errorf("got states %v, want 20 of sending and sent", states)
	}
	if r = m.imports("--progress", "quiet", m.from, m.to+"/quiet:1"); r.Stderr != "" {
		t.Errorf("got stderr %q, want none", r.Stderr)
	}
	if r.Stdout != strings.ReplaceAll(stdout, m.to, m.to+"/quiet") {
		t.Errorf("got stdout %q, want %q but for the repository", r.Stdout, stdout)
	}
	m.ends(125, []string{"--progress", "one of auto, plain, tty, json, quiet"}, "import", "--progress", "loud", m.from, m.to+":2")
}

var escape = regexp.MustCompile(`\x1b\[[0-9]*[A-Z]`)

// On a terminal progress is bars, which are cleared at the end, also after Ctrl-C. Then it is reported what was sent.
func TestImportProgressOnATerminal(t *testing.T) {
	t.Parallel()
	m := newImportScene(t, harness.RegistryOptions{})
	g := newGate(t, m.target, isListPut)
	screen, terminal := openTerminal(t)
	cmd := m.Command(t.Context(), "docker", "multiarch", "import", m.from, g.Host+"/"+m.repo)
	cmd.Stderr = terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = terminal.Close()
	m.await(g)
	var all strings.Builder
	interrupt := sync.OnceFunc(func() { _ = receivers["group"](cmd) })
	for lines := bufio.NewScanner(screen); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if strings.Contains(all.String(), "20 of 20 blobs, ") {
			interrupt()
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("got exit code %d, want 130", code)
	}
	says(t, all.String(), ": Pushed ", "\x1b[J", "\x1b[K")
	text := escape.ReplaceAllString(all.String(), "")
	const end = "; the same command resumes\ninterrupted\n"
	if !strings.HasSuffix(text, end) || !strings.Contains(all.String(), "\x1b[JSent 20 of 20 blobs, ") {
		t.Errorf("got terminal output %q, want cleared bars, what was sent and %q at its end", all.String(), end)
	}
}

// openTerminal returns both ends of a pseudo terminal.
func openTerminal(t *testing.T) (screen io.Reader, terminal *os.File) {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ptmx.Close() })
	var number, unlock int32
	for request, value := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlock} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, ptmx.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ptmx, terminal
}
