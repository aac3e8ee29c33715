package run

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
)

// TestOrder runs all files of testdata/order, on a clock that is not waited for.
func TestOrder(t *testing.T) {
	names, err := filepath.Glob("testdata/order/*.yaml")
	if err != nil || len(names) < 80 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testOrder(t, name) })
		})
	}
}

func testOrder(t *testing.T, name string) {
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	h := readHead(t, raw)
	rendered, found := render.Render(t.Context(), raw, render.Variables{}, nil)
	file, wrong := task.Parse(rendered)
	for _, f := range append(found, wrong...) {
		if f.Severity == task.Error {
			t.Fatal(f)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if h.interrupt > 0 {
		defer time.AfterFunc(h.interrupt, cancel).Stop()
	}
	if h.options.Timeout == 0 {
		h.options.Timeout = file.Timeout
	}
	runner, progress := &script{folders: map[string]bool{}}, &recorder{}
	results, err := Steps(ctx, file.Steps, h.options, runner, progress)
	if n := runner.active.Load(); n != 0 {
		t.Errorf("got %d running steps after the run, want none", n)
	}
	if got := exitCode(err); got != h.exit {
		t.Errorf("got exit code %d, want %d; error: %v", got, h.exit, err)
	}
	if h.text != "" && (err == nil || err.Error() != h.text) {
		t.Errorf("got error %v\nwant %s", err, h.text)
	}
	if results != nil {
		progress.check(t, file.Steps, results)
	}
	h.matches(t, progress.all())
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errdefs.IsCanceled(err):
		return 130
	}
	return 1
}

// head has the options and expectations in the comments at the top of a file.
type head struct {
	options   Options
	interrupt time.Duration
	expect    string
	exit      int
	text      string // of the error
}

var headLine = regexp.MustCompile(`(?m)^# (\w+): ?(.*)$`)

func readHead(t *testing.T, raw []byte) (h head) {
	for _, m := range headLine.FindAllSubmatch(raw, -1) {
		value := string(m[2])
		var err error
		switch string(m[1]) {
		case "jobs":
			h.options.Jobs, err = strconv.Atoi(value)
		case "from":
			h.options.From = value
		case "timeout":
			h.options.Timeout, err = time.ParseDuration(value)
		case "interrupt":
			h.interrupt, err = time.ParseDuration(value)
		case "expect":
			h.expect = value
		case "exit":
			h.exit, err = strconv.Atoi(value)
		case "error":
			h.text, err = strconv.Unquote(`"` + value + `"`)
		default:
			t.Fatalf("unknown comment %q", m[0])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

var expected = regexp.MustCompile(`\{[^}]*\}|[^,{}]+`)

// matches compares events with the expected ones.
func (h head) matches(t *testing.T, got []string) {
	var want []string
	rest := got
	for _, part := range expected.FindAllString(h.expect, -1) {
		group := strings.Split(strings.Trim(part, "{} "), ", ")
		if group[0] == "" {
			continue
		}
		slices.Sort(group)
		want = append(want, group...)
		slices.Sort(rest[:min(len(group), len(rest))])
		rest = rest[min(len(group), len(rest)):]
	}
	if !slices.Equal(got, want) { // their groups are sorted
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}
