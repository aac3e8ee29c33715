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
		var blob struct{ Digest, State, Event, Text string }
		if err := json.Unmarshal([]byte(line), &blob); err != nil || (blob.Digest == "") != strings.HasPrefix(blob.Text, "Sent ") {
			t.Errorf("got line %q (error %v), want an object with a digest, or the note of what was sent", line, err)
		}
		states[blob.State+blob.Event]++
	}
	if states["sending"] < 20 || states["sent"] != 20 || states["note"] != 1 {
		t.Errorf("got states %v, want 20 of sending and sent, and a note", states)
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
	if !strings.HasSuffix(text, end) || !strings.Contains(all.String(), "\x1b[J\x1b[1ASent 20 of 20 blobs, ") {
		t.Errorf("got terminal output %q, want cleared bars, what was sent and %q at its end", all.String(), end)
	}
}

// columns is the width of a terminal.
const columns = 120

// openTerminal returns both ends of a pseudo terminal.
func openTerminal(t *testing.T) (screen io.Reader, terminal *os.File) {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ptmx.Close() })
	var number, unlock int32
	size := [4]uint16{24, columns}
	for request, value := range map[uintptr]unsafe.Pointer{
		syscall.TIOCGPTN: unsafe.Pointer(&number), syscall.TIOCSPTLCK: unsafe.Pointer(&unlock), syscall.TIOCSWINSZ: unsafe.Pointer(&size),
	} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, ptmx.Fd(), request, uintptr(value)); errno != 0 {
			t.Fatal(errno)
		}
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ptmx, terminal
}

// onTerminal runs the plugin with its standard error on a terminal, which cannot move its cursor if TERM is dumb, and returns
// what the terminal received.
func (s *scene) onTerminal(term string, args ...string) (stdout, screen string) {
	s.Helper()
	reader, terminal := openTerminal(s.T)
	cmd := s.Command(s.Context(), "docker", append([]string{"multiarch"}, args...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, terminal, append(cmd.Env, "TERM="+term)
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	_ = terminal.Close()
	received, _ := io.ReadAll(reader) // ends with an error when the command has closed the terminal
	if err := cmd.Wait(); err != nil {
		s.Errorf("%v: got %v, want no error\n%s", args, err, received)
	}
	return out.String(), strings.ReplaceAll(string(received), "\r\n", "\n")
}

// On a terminal the last lines are what was published; standard output is the same. Only lines with a digest are wider than the
// terminal. Staging tags that remain are named with the
// command that removes them. A terminal without a cursor receives no cursor codes.
func TestPublishedOnATerminal(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.load(s.plain("amd64"), amd64)
		s.load(s.plain("arm64"), arm64)
		args := []string{"create", "--push", "-t", "latest", s.list, s.plain("amd64"), s.plain("arm64")}
		piped := s.multiarch(args...)
		tags := harness.Tags(s.T, s.registry, s.repo)
		last := fmt.Sprintf("Published %s@%s\n  (2 platforms; tags 1, latest)", strings.TrimSuffix(s.list, ":1"), tags["1"])
		for _, term := range []string{"xterm", "dumb"} {
			stdout, screen := s.onTerminal(term, args...)
			if stdout != piped.Stdout {
				s.Errorf("%s: got stdout %q, want %q", term, stdout, piped.Stdout)
			}
			if !strings.HasSuffix(screen, "\n"+last+"\n") || strings.Count(screen, "Staging tags remain") != 1 {
				s.Errorf("%s: got terminal output %q, want one line about staging tags, and %q at its end", term, screen, last)
			}
			for line := range strings.Lines(escape.ReplaceAllString(screen, "")) {
				if len(line) > columns+len("\n") && !strings.Contains(line, "@sha256:") {
					s.Errorf("%s: got line %q, want at most %d columns", term, line, columns)
				}
			}
			if term == "dumb" && strings.Contains(screen, "\x1b") {
				s.Errorf("got terminal output %q, want no cursor codes", screen)
			}
		}
		_, hint, _ := strings.Cut(piped.Stderr, "to remove them: docker multiarch ")
		s.multiarch(strings.Fields(hint)...)
		if left := harness.Tags(s.T, s.registry, s.repo); len(left) != 2 || len(tags) != 4 {
			s.Errorf("got tags %v after %s, want 1 and latest", left, hint)
		}
	})
}
