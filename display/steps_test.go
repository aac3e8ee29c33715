package display

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run"
	"github.com/docker/cli/cli/streams"
	"github.com/mattn/go-runewidth"
)

var twoSteps = []task.Step{
	{ID: "a", Retries: 3, RetryDelay: 5 * time.Second, Repeat: 2, StartDelay: time.Minute},
	{ID: "service", Detach: true},
}

// drawing shows two steps, one with a secret.
type drawing struct {
	*Steps
	stdout, stderr bytes.Buffer
}

func draw(mode string, terminal bool) *drawing {
	var d drawing
	stdout, stderr := streams.NewOut(&d.stdout), streams.NewOut(&d.stderr)
	stdout.SetIsTerminal(terminal)
	stderr.SetIsTerminal(terminal)
	d.Steps = NewSteps(stdout, stderr, mode, TaskRun{
		ID: "r1", Name: "acb.yaml", Path: "a,b/acb.yaml", Steps: twoSteps, Secrets: []string{"hunter2", "-----BEGIN\nmulti-line\n"},
	}, nil)
	return &d
}

func (d *drawing) wants(t *testing.T, stdout, stderr string) {
	t.Helper()
	if d.stdout.String() != stdout || d.stderr.String() != stderr {
		t.Errorf("got\n%s---\n%swant\n%s---\n%s", &d.stdout, &d.stderr, stdout, stderr)
	}
}

func TestStepsOutput(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	d := draw(ProgressAuto, false)
	a, b := d.Output(twoSteps[0]), d.Output(twoSteps[1])
	for _, w := range []struct {
		to   io.Writer
		text string
	}{
		{a.Stdout, "one\ntw"}, {b.Stdout, "\x1b[31mred\x1b[0m \x1b]0;title\a\tx\n"}, {a.Stderr, "oops hun"}, {a.Stdout, "o\n\n"},
		{a.Stderr, "ter2\n"}, {b.Stderr, "10%\r99%\r"}, {a.Stdout, "no newline"}, {a.Stderr, "a multi-line one"},
	} {
		if n, err := io.WriteString(w.to, w.text); n != len(w.text) || err != nil {
			t.Errorf("got %d bytes written and error %v, want %d and none", n, err, len(w.text))
		}
	}
	if err := d.Summarize(nil); err != nil {
		t.Fatal(err)
	}
	d.Report(run.Event{Step: twoSteps[0], State: run.Succeeded, Took: 1234 * time.Millisecond})
	d.Report(run.Event{Step: twoSteps[1], State: run.Succeeded})
	d.wants(t, `a       | one
service | red \x1b]0;title\a	x
a       | two
a       | `+`
a       | no newline
`, `a       | oops ****
a       | a **** one
a       | done in 1.2s
service | 99%
service | running in the background
`)
}

func TestStepsColors(t *testing.T) {
	for _, c := range []struct {
		mode     string
		terminal bool
		noColor  string
		term     string
		colored  bool
	}{
		{ProgressAuto, true, "", "xterm", true},
		{ProgressAuto, true, "1", "xterm", false},
		{ProgressAuto, true, "", "dumb", false},
		{ProgressAuto, false, "", "xterm", false},
		{ProgressPlain, true, "", "xterm", false},
		{ProgressTTY, false, "", "xterm", true},
		{ProgressTTY, true, "1", "xterm", false},
		{ProgressTTY, true, "", "dumb", false},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		d := draw(c.mode, c.terminal)
		for _, step := range twoSteps {
			_, _ = io.WriteString(d.Output(step).Stdout, "\x1b[1;31mred\x1b[2J\n")
		}
		want := "a       | red\\x1b[2J\nservice | red\\x1b[2J\n"
		if c.colored {
			want = "\x1b[36ma       | \x1b[0m\x1b[1;31mred\\x1b[2J\x1b[0m\n\x1b[33mservice | \x1b[0m\x1b[1;31mred\\x1b[2J\x1b[0m\n"
		}
		d.wants(t, want, "")
	}
}

func TestStepsEvents(t *testing.T) {
	broken := errors.New("exit code 3")
	for want, e := range map[string]run.Event{
		"starts in 1m0s":                                              {State: run.Waiting},
		"started":                                                     {State: run.Running, Attempt: 1},
		"attempt 2 of 4 in 5s: exit code 3":                           {State: run.Running, Attempt: 2, Err: broken},
		"repetition 2 of 3":                                           {State: run.Running, Attempt: 1, Repetition: 1},
		"repetition 2 of 3: exit code 3":                              {State: run.Running, Attempt: 1, Repetition: 1, Err: broken},
		"repetition 3 of 3, attempt 4 of 4 in 5s: x y":                {State: run.Running, Attempt: 4, Repetition: 2, Err: errors.New("x\n y")},
		"done in 12ms":                                                {State: run.Succeeded, Attempt: 1, Took: 12 * time.Millisecond},
		"failed after 1m1.5s":                                         {State: run.Failed, Attempt: 1, Took: 61500 * time.Millisecond, Err: broken},
		"failed after 2s and 4 attempts":                              {State: run.Failed, Attempt: 4, Took: 2 * time.Second, Err: broken},
		"failed after 2s (ignored): exit code 3":                      {State: run.Ignored, Attempt: 1, Took: 2 * time.Second, Err: broken},
		"timed out after 2s":                                          {State: run.TimedOut, Attempt: 1, Took: 2 * time.Second, Err: errors.New("not done within its timeout of 2s")},
		"cancelled after 2s: the run was cancelled":                   {State: run.Cancelled, Attempt: 1, Took: 2 * time.Second, Err: errors.New("the run was cancelled")},
		"skipped: b failed":                                           {State: run.Skipped, Err: errors.New("b failed")},
		"failed after 0s (ignored): curl -u me:**** \\x1b[2J":         {State: run.Ignored, Err: errors.New("curl -u me:hunter2 \x1b[2J")},
		"cancelled after 0s: " + strings.Repeat("x", 995) + "****...": {State: run.Cancelled, Err: errors.New(strings.Repeat("x", 995) + "hunter2" + "yyyy")},
	} {
		d := draw(ProgressPlain, false)
		e.Step = twoSteps[0]
		d.Report(e)
		if want = "a       | " + want + "\n"; strings.Contains(want, "...") {
			want = strings.Replace(want, "****...", "****y...", 1)
		}
		d.wants(t, "", want)
	}
	d := draw(ProgressPlain, false)
	d.Report(run.Event{Step: twoSteps[1], State: run.Succeeded})
	d.stderr.Reset()
	d.Report(run.Event{Step: twoSteps[1], State: run.Ignored, Err: broken})
	d.wants(t, "", "service | WARNING: it ended before the run did: exit code 3\n")
}

func TestStepsAsJSON(t *testing.T) {
	d := draw(ProgressJSON, true)
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	d.Report(run.Event{Time: at, Step: twoSteps[0], State: run.Running, Attempt: 1, ExitCode: -1})
	_, _ = io.WriteString(d.Output(twoSteps[0]).Stderr, "it's \x1b[31mhunter2\n\nlast")
	d.Report(run.Event{Time: at, Step: twoSteps[0], State: run.Failed, Attempt: 2, ExitCode: 0, Took: 1500 * time.Millisecond, Err: errors.New("hunter2")})
	if err := d.Summarize([]run.Result{{Step: twoSteps[0]}}); err != nil || d.stdout.Len() > 0 {
		t.Errorf("got error %v and output %q on stdout, want none", err, d.stdout.String())
	}
	var got []string
	for line := range strings.Lines(d.stderr.String()) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		if when, err := time.Parse(time.RFC3339Nano, fmt.Sprint(one["time"])); err != nil || one["event"] != "output" && !when.Equal(at) {
			t.Errorf("got time %v and error %v, want %v", one["time"], err, at)
		}
		delete(one, "time")
		again, _ := json.Marshal(one)
		got = append(got, string(again))
	}
	want := `{"attempt":1,"event":"running","step":"a"}
{"event":"output","step":"a","stream":"stderr","text":"it's \u001b[31m****"}
{"event":"output","step":"a","stream":"stderr","text":""}
{"event":"output","step":"a","stream":"stderr","text":"last"}
{"attempt":2,"error":"****","event":"failed","exitCode":0,"step":"a","took":1.5}`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestStepsQuiet(t *testing.T) {
	d := draw(ProgressQuiet, true)
	failed, fine := d.Output(twoSteps[0]), d.Output(twoSteps[1])
	_, _ = io.WriteString(fine.Stdout, "not shown\n")
	for range 1000 {
		_, _ = io.WriteString(failed.Stdout, strings.Repeat("x", 999)+"\n")
	}
	_, _ = io.WriteString(failed.Stderr, "hunter2\nlast")
	d.Report(run.Event{Step: twoSteps[0], State: run.Running, Attempt: 1})
	d.Report(run.Event{Step: twoSteps[1], State: run.Succeeded})
	d.wants(t, "", "")
	d.Report(run.Event{Step: twoSteps[0], State: run.Failed, Err: errors.New("exit code 3")})
	want := strings.Repeat("a       | "+strings.Repeat("x", 999)+"\n", 65) + "a       | ****\na       | last\n"
	if err := d.Summarize([]run.Result{{Step: twoSteps[0], State: run.Failed}}); err != nil {
		t.Errorf("got error %v, want none", err)
	}
	d.wants(t, "", want)
	// A service that was lost.
	d.stderr.Reset()
	d.Report(run.Event{Step: twoSteps[1], State: run.Ignored, Err: errors.New("exit code 3")})
	d.wants(t, "", "service | not shown\n")
}

func TestStepsSummary(t *testing.T) {
	d := draw(ProgressPlain, false)
	_, _ = io.WriteString(d.Output(twoSteps[0]).Stdout, "last words")
	err := d.Summarize([]run.Result{
		{Step: twoSteps[0], State: run.Failed, Attempts: 4, ExitCode: 3, Took: 2345 * time.Millisecond, Err: errors.New("exit code 3")},
		{Step: twoSteps[1], State: run.Skipped, ExitCode: -1, Err: errors.New("a failed, hunter2\x1b")},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.wants(t, "a       | last words\n", `STEP      STATE     ATTEMPTS   TIME      EXIT CODE   REASON
a         failed    4          2.3s      3           
service   skipped   0                                a failed, ****\x1b
`)
}

// Lines of concurrent steps are not mixed.
func TestStepsConcurrently(t *testing.T) {
	d := draw(ProgressPlain, false)
	var group sync.WaitGroup
	for _, step := range twoSteps {
		out := d.Output(step)
		for _, w := range []io.Writer{out.Stdout, out.Stderr} {
			group.Go(func() {
				for range 500 {
					_, _ = io.WriteString(w, "half ")
					_, _ = io.WriteString(w, "a line\n")
				}
			})
		}
	}
	group.Wait()
	want := map[string]int{"a       | half a line\n": 500, "service | half a line\n": 500}
	for _, out := range []*bytes.Buffer{&d.stdout, &d.stderr} {
		got := map[string]int{}
		for line := range strings.Lines(out.String()) {
			got[line]++
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestStepsHideSecretsOfErrors(t *testing.T) {
	d, cause := draw(ProgressPlain, false), errors.New("exec: hunter2: not found")
	if err := d.Hide(fmt.Errorf("step a: %w", cause)); err.Error() != "step a: exec: ****: not found" || !errors.Is(err, cause) {
		t.Errorf("got error %v, want %s", err, "step a: exec: ****: not found")
	}
	hinted := manifest.WithHint(cause, "docker pull hunter2")
	if got, want := manifest.Hint(d.Hide(hinted)), "docker pull ****"; got != want {
		t.Errorf("got hint %q, want %q", got, want)
	}
	if err := d.Hide(nil); err != nil {
		t.Errorf("got error %v, want none", err)
	}
}

func TestStepsBegin(t *testing.T) {
	d := draw(ProgressPlain, false)
	d.Begin()
	d.Report(run.Event{Step: task.Step{ID: "a", Action: task.Docker{Args: []string{"login", "-p", "hunter2"}}}, State: run.Running, Attempt: 1})
	d.wants(t, "", "Run r1 of acb.yaml\na       | started: docker login -p ****\n")
}

// The last line of a terminal says what is running, and other output appears above it.
func TestStepsLive(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	t.Setenv("TERM", "xterm")
	d := draw(ProgressAuto, true)
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	d.live.now = func() time.Time { return at.Add(62 * time.Second) }
	d.Report(run.Event{Time: at, Step: twoSteps[0], State: run.Running, Attempt: 1})
	_, _ = io.WriteString(d.Output(twoSteps[0]).Stdout, "out\n")
	d.Report(run.Event{Time: at, Step: twoSteps[1], State: run.Running, Attempt: 1})
	d.Report(run.Event{Step: twoSteps[0], State: run.Succeeded, Took: time.Second})
	d.Close()
	d.Report(run.Event{Step: twoSteps[1], State: run.Succeeded})
	const clear, a, both = "\r\x1b[K", "\rRunning a 1m2s\x1b[K", "\rRunning a 1m2s, service 1m2s\x1b[K"
	d.wants(t, "a       | out\n", "a       | started\n"+a+clear+a+clear+"service | started\n"+both+
		clear+"a       | done in 1s\n\rRunning service 1m2s\x1b[K"+clear+"service | running in the background\n")
	t.Setenv("TERM", "dumb")
	if d := draw(ProgressTTY, true); d.live != nil {
		t.Error("got a last line on a terminal that cannot move its cursor, want none")
	}
}

// While no step runs, as when the files are copied or removed, the last line appears after two seconds.
func TestStepsLiveWithoutSteps(t *testing.T) {
	t.Setenv("TERM", "xterm")
	synctest.Test(t, func(t *testing.T) {
		d := draw(ProgressAuto, true)
		d.Begin()
		after(1500 * time.Millisecond)
		d.mu.Lock()
		d.wants(t, "", "Run r1 of acb.yaml\n")
		d.mu.Unlock()
		after(time.Second)
		d.Close()
		d.wants(t, "", "Run r1 of acb.yaml\n\rWorking 2s\x1b[K\r\x1b[K")
	})
}

// On a terminal no line that Steps itself writes is wider than that: the table, what a step starts, notes and errors.
func TestStepsFitTheTerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	t.Setenv("TERM", "xterm")
	d := draw(ProgressAuto, true)
	out := &tty{width: 80}
	d.Steps.stderr.Writer = out
	step := task.Step{ID: "a", Action: task.Docker{Args: []string{"push", strings.Repeat("x", 100)}}}
	d.Report(run.Event{Step: step, State: run.Running, Attempt: 1})
	d.Report(run.Event{Step: step, State: run.Ignored, Err: errors.New(strings.Repeat("error ", 20))})
	d.Note("%s", strings.Repeat("note ", 20))
	err := d.Summarize([]run.Result{{Step: twoSteps[1], State: run.Skipped, Err: errors.New(strings.Repeat("long reason ", 10)), ExitCode: -1}})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := runewidth.StringWidth(strings.TrimSpace(line)); n > 80 {
			t.Errorf("got a line of %d columns, want at most 80: %q", n, line)
		}
	}
	if got := out.String(); strings.Count(got, "…") != 2 || !strings.Contains(got, "service   skipped") || !strings.Contains(got, "error\na       |   error") {
		t.Errorf("got %q, want what was started and the reason cut, and the error folded", got)
	}
}

// In a CI job the lines of a step that runs alone are a group, and a failure is an annotation.
func TestStepsInCI(t *testing.T) {
	for name, c := range map[string]struct{ variable, value, begin, end, failure string }{
		"GitHub": {"GITHUB_ACTIONS", "true", "::group::a\n", "::endgroup::\n", "::error file=a%2Cb/acb.yaml,line=7::step a (docker push): 50%25%0A##vso[x]y ****\n"},
		"Azure": {"TF_BUILD", "True", "##[group]a\n", "##[endgroup]\n",
			"##vso[task.logissue type=error;sourcepath=a,b/acb.yaml;linenumber=7;]step a (docker push): 50%AZP25%0A##vso[x]y ****\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GITHUB_ACTIONS", "")
			t.Setenv(c.variable, c.value)
			d := draw(ProgressPlain, false)
			step := task.Step{ID: "a", Position: task.Position{Line: 7}, Action: task.Docker{Args: []string{"push"}}}
			d.Report(run.Event{Step: step, State: run.Running, Attempt: 1})
			d.Report(run.Event{Step: step, State: run.Failed, Err: errors.New("50%\n##vso[x]y hunter2")})
			d.Report(run.Event{Step: twoSteps[1], State: run.Running, Attempt: 1})
			d.Report(run.Event{Step: step, State: run.Running, Attempt: 1})
			begin := strings.Replace(c.begin, "a", "service", 1)
			d.wants(t, "", c.begin+"a       | started: docker push\na       | failed after 0s\n"+c.end+c.failure+
				begin+"service | started\n"+c.end+"a       | started: docker push\n")
		})
	}
}

// Nothing that a program or a file says is a command of the CI, at whatever place of a line the CI looks for one.
func TestStepsAreNoCommands(t *testing.T) {
	t.Setenv("GITHUB_ACTIONS", "true")
	d := draw(ProgressPlain, false)
	_, _ = io.WriteString(d.Output(twoSteps[0]).Stdout, "::add-mask::x\nx ##[add-mask]y ###vso[task.setvariable]z ## [ #[\n")
	d.wants(t, "a       | ::add-mask::x\na       | x # #[add-mask]y ## #vso[task.setvariable]z ## [ #[\n", "")
	err := d.Hide(manifest.WithHint(errors.New("one\n\u00a0::add-mask::x ##vso[y]"), "##[z]"))
	if got, want := err.Error()+manifest.Hint(err), "one\n\u00a0: :add-mask::x # #vso[y]# #[z]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	d = draw(ProgressJSON, false)
	_, _ = io.WriteString(d.Output(twoSteps[0]).Stdout, "##vso[x]\n")
	var line struct{ Text string }
	if err := json.Unmarshal(d.stderr.Bytes(), &line); err != nil || line.Text != "##vso[x]" || strings.Contains(d.stderr.String(), "##") {
		t.Errorf("got line %s and error %v, want the text ##vso[x] with an escape", &d.stderr, err)
	}
}

// A finding cannot give the CI a command, in text or as JSON.
func TestFindingsAreNoCommands(t *testing.T) {
	found := []task.Finding{{Position: task.Position{Line: 2, Column: 1}, Severity: task.Error, Message: "unknown key ##vso[task.setvariable]x"}}
	for _, tt := range []struct{ variable, file, format, want string }{
		{"GITHUB_ACTIONS", "::error::x", "", ": :error::x:2:1: error: unknown key # #vso[task.setvariable]x\n"},
		{"TF_BUILD", "f", "", "f:2:1: error: unknown key # #vso[task.setvariable]x\n"},
		{"TF_BUILD", "f", "json", `{"line":2,"column":1,"severity":"error","message":"unknown key #\u0023vso[task.setvariable]x"}` + "\n"},
		{"OTHER", "f", "", "f:2:1: error: unknown key ##vso[task.setvariable]x\n"},
	} {
		t.Run(tt.variable+tt.format, func(t *testing.T) {
			t.Setenv("GITHUB_ACTIONS", "")
			t.Setenv("TF_BUILD", "")
			t.Setenv(tt.variable, "true")
			var out bytes.Buffer
			if err := Findings(&out, tt.file, found, tt.format); err != nil || out.String() != tt.want {
				t.Errorf("got output %q and error %v, want %q", out.String(), err, tt.want)
			}
		})
	}
}
