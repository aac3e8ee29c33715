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

// orderFiles are task files with what happens in a run of each; their README.md has the format. The unit test of
// task/run runs them on a clock that is not waited for.
const orderFiles = "../task/run/testdata/order"

// filesAtOnce is how many of them run side by side: they sleep most of the time.
const filesAtOnce = 6

// What is expected of the files holds on a daemon, too: the order in which steps start and end, their states and
// exit codes, and what the run says.
func TestTaskOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.useDaemon(harness.Daemon(t, harness.Containerd))
	s.nameBusybox()
	names, err := filepath.Glob(filepath.Join(orderFiles, "*.yaml"))
	if err != nil || len(names) < 80 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	slots := make(chan struct{}, filesAtOnce)
	var all sync.WaitGroup
	for _, name := range names {
		raw, err := os.ReadFile(name)
		s.must(err)
		expected := readOrder(t, raw)
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			id := strings.TrimSuffix(filepath.Base(name), ".yaml")
			t.Run(id, func(t *testing.T) { s.runOrder(t, "order-"+id, string(raw), expected) })
		})
	}
	all.Wait()
	s.leaves("order")
}

// nameBusybox gives the daemon an image busybox that ends when it is asked to: the shell does not when it is the
// first process of a container.
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

// order is what the comments at the top of a file say.
type order struct {
	args      []string
	interrupt time.Duration // 0 for none
	expect    string
	exit      int
	text      string // of the error, "" for any
}

var orderLine = regexp.MustCompile(`(?m)^# (\w+): ?(.*)$`)

// readOrder reads the top of a file. The unit test has the same few lines: a module cannot use the tests of
// another one.
func readOrder(t *testing.T, raw []byte) (o order) {
	for _, m := range orderLine.FindAllSubmatch(raw, -1) {
		key, value := string(m[1]), string(m[2])
		var err error
		switch key {
		case "jobs", "timeout":
			o.args = append(o.args, "--"+key, value)
		case "from":
			o.args = append(o.args, "--from-step", value)
		case "interrupt":
			o.interrupt, err = time.ParseDuration(value)
		case "expect":
			o.expect = value
		case "exit":
			o.exit, err = strconv.Atoi(value)
		case "error":
			o.text, err = strconv.Unquote(`"` + value + `"`)
		default:
			t.Fatalf("what is %q?", m[0])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// runOrder runs a file and checks what came of it.
func (s *scene) runOrder(t *testing.T, id, file string, o order) {
	args := append([]string{"multiarch", "task", "run", "--progress", "json", "--id", id, "-f", "-"}, o.args...)
	cmd := s.Command(t.Context(), "docker", args...)
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
		t.Errorf("exit code %d, not %d", got, o.exit)
	}
	want := o.text
	if o.exit == 130 {
		want = "interrupted"
	}
	if want != "" && text != want+"\n" {
		t.Errorf("it says  %q\nnot      %q", text, want)
	}
	o.matches(t, events)
}

// event is what the tests read of an object of --progress json.
type event struct {
	Step, Event     string
	Repetition, Try int
	ExitCode        int
}

// readEvents returns what was told of the steps, in words, and what else was said; it calls began at the first.
func readEvents(r io.Reader, began func()) (told []string, text string) {
	begin := sync.OnceFunc(began)
	done := map[string]bool{}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			text += lines.Text() + "\n"
			continue
		}
		begin()
		words := e.words()
		if e.Event == "succeeded" && done[e.Step] {
			words = fmt.Sprintf("%s lost %d", e.Step, e.ExitCode)
		}
		done[e.Step] = done[e.Step] || e.Event == "succeeded"
		if words != "" {
			told = append(told, words)
		}
	}
	return told, text
}

func (e event) words() string {
	text := e.Step
	switch {
	case e.Event == "output" || e.Event == "waiting":
		return ""
	case e.Event == "running" && e.Repetition+e.Try == 1:
		return text + " start"
	case e.Event == "running":
		if e.Repetition > 0 {
			text += fmt.Sprintf(" repeat %d", e.Repetition+1)
		}
		if e.Try > 1 {
			text += fmt.Sprintf(" try %d", e.Try)
		}
		return text
	case e.ExitCode > 0:
		return fmt.Sprintf("%s %s %d", text, e.Event, e.ExitCode)
	}
	return text + " " + e.Event
}

var orderPart = regexp.MustCompile(`\{[^}]*\}|[^,{}]+`)

// matches checks what happened against what is expected.
func (o order) matches(t *testing.T, got []string) {
	told := strings.Join(got, ", ")
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
	if !slices.Equal(got, want) { // by now with the groups in order
		t.Errorf("got  %s\nwant %s", told, o.expect)
	}
}
