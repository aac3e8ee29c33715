package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// orderFolder has task files with the expected order of events; its README.md has the format. The unit test of
// task/run runs all of them on a fake clock.
const orderFolder = "../task/run/testdata/order"

// orderFiles are the files that depend on what only a daemon can show: containers that run side by side, their exit
// codes and output, a detached one that exits, and containers that are stopped by a timeout and by a signal.
var orderFiles = []string{"diamonds", "exited-with-codes", "retry-on-stderr", "detach-is-lost", "timeout", "interrupt-two"}

// The order in which steps start and end, their states and exit codes, and the error of the run are the same on a
// daemon as on the fake clock.
func TestTaskOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.useDaemon(harness.Daemon(t, harness.Containerd))
	s.nameBusybox()
	var files sync.WaitGroup // they sleep most of the time
	for _, name := range orderFiles {
		raw, err := os.ReadFile(filepath.Join(orderFolder, name+".yaml"))
		s.must(err)
		expected := readOrder(t, raw)
		files.Go(func() {
			t.Run(name, func(t *testing.T) { s.runOrder(t, s.runID()+"-"+name, string(raw), expected) })
		})
	}
	files.Wait()
	s.nothingLeftOf(s.runID())
}

// nameBusybox builds an image busybox that exits on SIGTERM: its shell does not as the first process of a container.
func (s *scene) nameBusybox() {
	s.Helper()
	dockerfile := "FROM " + harness.Busybox(s.T, s.daemon) + `
ENTRYPOINT ["sh", "-c", "trap 'exit 143' TERM; \"$@\" & wait $!", "init"]
`
	s.Set("DOCKER_BUILDKIT", "0")
	if r := harness.RunInput(s.T, s.Env, strings.NewReader(dockerfile), "docker", "build", "-t", "busybox", "-"); r.Code != 0 {
		s.Fatal(r)
	}
	s.Cleanup(func() { _ = s.daemon.RemoveImage(s.Context(), "busybox") })
}

// order is what the comments at the top of a file expect.
type order struct {
	interrupt time.Duration // 0 for none
	expect    string
	exit      int
	text      string // of the error, "" for any
}

var orderLine = regexp.MustCompile(`(?m)^# (\w+): ?(.*)$`)

// readOrder reads the comments at the top of a file.
func readOrder(t *testing.T, raw []byte) (o order) {
	for _, m := range orderLine.FindAllSubmatch(raw, -1) {
		key, value := string(m[1]), string(m[2])
		var err error
		switch key {
		case "interrupt":
			o.interrupt, err = time.ParseDuration(value)
		case "expect":
			o.expect = value
		case "exit":
			o.exit, err = strconv.Atoi(value)
		case "error":
			o.text, err = strconv.Unquote(`"` + value + `"`)
		default:
			t.Fatalf("unknown comment %q", m[0])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// runOrder runs a file and checks its events, its error and its exit code.
func (s *scene) runOrder(t *testing.T, id, file string, o order) {
	cmd := s.Command(t.Context(), "docker", "multiarch", "task", "run", "--progress", "json", "--id", id, "-f", "-")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdin = strings.NewReader(file)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	events, text := readEvents(stderr, func() {
		if o.interrupt > 0 {
			time.AfterFunc(o.interrupt, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) })
		}
	})
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != o.exit {
		t.Errorf("got exit code %d, want %d", got, o.exit)
	}
	want := o.text
	if o.exit == 130 {
		want = "interrupted"
	}
	text, _, _ = strings.Cut(orderFailure.ReplaceAllString(text, "$1"), "hint: to go on")
	if want != "" && text != want+"\n" {
		t.Errorf("got error  %q\nwant error %q", text, want)
	}
	o.matches(t, events)
}

// orderFailure matches the place and the action of a failed step.
var orderFailure = regexp.MustCompile(`(?m)^-:\d+: (step \w+) \(.*'\)`)

// event is what the tests read of an object of --progress json.
type event struct {
	Step, Event, Text   string
	Repetition, Attempt int
	ExitCode            int
}

// readEvents returns the events of the steps, in words, the error and all other lines of stderr; it calls began at the
// first event.
func readEvents(r io.Reader, began func()) (events []string, text string) {
	begin := sync.OnceFunc(began)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			text += lines.Text() + "\n"
			continue
		}
		if e.Step == "" { // the run
			if e.Event == "error" {
				text += e.Text + "\n"
			}
			continue
		}
		begin()
		if words := e.words(); words != "" {
			events = append(events, words)
		}
	}
	return events, text
}

func (e event) words() string {
	text := e.Step
	switch {
	case e.Event == "output" || e.Event == "waiting":
		return ""
	case e.Event == "running" && e.Repetition+e.Attempt == 1:
		return text + " start"
	case e.Event == "running":
		if e.Repetition > 0 {
			text += fmt.Sprintf(" repeat %d", e.Repetition+1)
		}
		if e.Attempt > 1 {
			text += fmt.Sprintf(" attempt %d", e.Attempt)
		}
		return text
	case e.ExitCode > 0:
		return fmt.Sprintf("%s %s %d", text, e.Event, e.ExitCode)
	}
	return text + " " + e.Event
}

var orderPart = regexp.MustCompile(`\{[^}]*\}|[^,{}]+`)

// matches checks the events against the expected ones.
func (o order) matches(t *testing.T, got []string) {
	inOrder := strings.Join(got, ", ")
	var want []string
	rest := got
	for _, part := range orderPart.FindAllString(o.expect, -1) {
		group := strings.Split(strings.Trim(part, "{} "), ", ")
		if group[0] == "" {
			continue
		}
		slices.Sort(group)
		want = append(want, group...)
		n := min(len(group), len(rest))
		slices.Sort(rest[:n])
		rest = rest[n:]
	}
	if !slices.Equal(got, want) { // the groups in braces are sorted in both
		t.Errorf("got  %s\nwant %s", inOrder, o.expect)
	}
}
