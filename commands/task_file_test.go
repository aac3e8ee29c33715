package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/streams"
	"go.yaml.in/yaml/v3"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

func TestValuesOfATask(t *testing.T) {
	source := run.Source{Dir: t.TempDir()}
	for name, text := range map[string]string{"values.yaml": "a: 1\nb: {c: 2}\n", "bad.yaml": "a: 1\n- b\n"} {
		if err := os.WriteFile(filepath.Join(source.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	values, err := taskOptions{values: "values.yaml", sets: []string{"b.c=x,y", "d=="}}.readValues(t.Context(), source, nil)
	if err != nil || values["a"] != 1 || values["b"].(map[string]any)["c"] != "x,y" || values["d"] != "=" {
		t.Errorf("got values %v and error %v, want those of the file and flags", values, err)
	}
	if values, err = (taskOptions{values: "-"}).readValues(t.Context(), source, strings.NewReader("a: b")); err != nil || values["a"] != "b" {
		t.Errorf("standard input: got values %v and error %v, want a: b", values, err)
	}
	for want, opts := range map[string]taskOptions{
		"--values bad.yaml: line 1: ":                  {values: "bad.yaml"},
		"no file none.yaml in the context":             {values: "none.yaml"},
		"--set .a: expected NAME=VALUE, or NAME.NAME=": {sets: []string{".a=hunter2"}},
	} {
		if _, err := opts.readValues(t.Context(), source, nil); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got error %v, want one that starts with %s and has no value", err, want)
		}
	}
}

// --cmd is a file of one step: whatever the text is, it stays within the step's cmd.
func TestFileOfACmd(t *testing.T) {
	for text, want := range map[string]string{
		"$Registry/tools:{{.Run.ID}} sh -c 'a: # b'": "h.io/tools:r1 sh -c 'a: # b'",
		"alpine true\n  steps: []":                   "alpine true\n  steps: []",
		"  -e A=1\n\n alpine \"\\t\"":                "  -e A=1\n\n alpine \"\\t\"",
		"docker ps\n#- x\n":                          "docker ps\n#- x",
	} {
		rendered, findings := render.Render(t.Context(), cmdFile(text, 90*time.Second+1), render.Variables{Run: map[string]string{"ID": "r1", "Registry": "h.io"}}, nil)
		var file struct {
			Steps []struct {
				Cmd     string
				Timeout int
			}
		}
		err := yaml.Unmarshal([]byte(rendered.Text), &file)
		if err != nil || len(findings) > 0 || len(file.Steps) != 1 || file.Steps[0].Cmd != want || file.Steps[0].Timeout != 91 {
			t.Errorf("%q: got %+v, findings %v and error %v, want %q and 91 s", text, file, findings, err, want)
		}
	}
}

func TestSetSecrets(t *testing.T) {
	t.Setenv("TOKEN", "from-env=1")
	var stderr bytes.Buffer
	env := environment{Cli: stepCLI{err: streams.NewOut(&stderr)}}
	o := taskRunOptions{setGiven: []string{"password=hunter2=", "TOKEN"}}
	if err := o.setSecrets(env); err != nil || fmt.Sprint(o.sets) != "[password=REDACTED TOKEN=REDACTED]" || stderr.Len() > 0 {
		t.Errorf("dry run: got values %q, stderr %q and error %v, want redacted ones", o.sets, &stderr, err)
	}
	o.sets, o.secrets = nil, map[string]string{}
	if err := o.setSecrets(env); err != nil || fmt.Sprint(o.sets) != "[password=hunter2= TOKEN=from-env=1]" || o.secrets["Values.TOKEN"] != "from-env=1" || len(o.secrets) != 2 {
		t.Errorf("got values %q, secrets %q and error %v, want both", o.sets, o.secrets, err)
	}
	if got := stderr.String(); !strings.Contains(got, "the list of processes shows the value of --set-secret password") || strings.Contains(got, "hunter2") || strings.Contains(got, "TOKEN") {
		t.Errorf("got stderr %q, want a warning of the password's name only", got)
	}
	for _, bad := range []string{"=hunter2", "", "NONE"} {
		o.setGiven = []string{bad}
		if err := o.setSecrets(env); !errdefs.IsInvalidArgument(err) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got error %v, want %v without the value", bad, err, errdefs.ErrInvalidArgument)
		}
	}
}

// Without --allow-alias-source a file reads aliases only in its context.
func TestAliasesOfATask(t *testing.T) {
	source := run.Source{Dir: t.TempDir()}
	outside := filepath.Join(t.TempDir(), "outside.yaml")
	for _, file := range []string{filepath.Join(source.Dir, "aliases.yaml"), outside} {
		if err := os.WriteFile(file, []byte("a: b"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(source.Dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		any  bool
		want string
	}{
		{"aliases.yaml", false, ""},
		{"aliases.yaml", true, ""},
		{outside, true, ""},
		{outside, false, "--allow-alias-source"},
		{"../outside.yaml", false, "--allow-alias-source"},
		{"https://h.example.com/a", false, "--allow-alias-source"},
		{"link.yaml", false, "escapes"},
		{".", false, "not a file"},
		{"none.yaml", false, "none.yaml"},
		{"none.yaml", true, "none.yaml"},
		{"-", true, "expected a file"},
	} {
		text, err := taskOptions{anyAliases: c.any}.aliases(t.Context(), source, nil)(c.name)
		if c.want == "" && (err != nil || string(text) != "a: b") || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, any %v: got text %q and error %v, want a: b or an error with %q", c.name, c.any, text, err, c.want)
		}
	}
}

// Many addresses that do not answer take the time of one.
func TestAliasDownloadsShareATimeout(t *testing.T) {
	deadlines := map[time.Time]bool{}
	read := taskOptions{anyAliases: true}.aliases(t.Context(), run.Source{}, func(ctx context.Context, _ string) (io.ReadCloser, error) {
		deadline, _ := ctx.Deadline()
		deadlines[deadline] = true
		return nil, errdefs.ErrUnavailable
	})
	for i := range 20 {
		if _, err := read(fmt.Sprintf("https://h%d.example.com/a", i)); !errdefs.IsUnavailable(err) {
			t.Errorf("got error %v, want %v", err, errdefs.ErrUnavailable)
		}
	}
	if len(deadlines) != 1 || deadlines[time.Time{}] {
		t.Errorf("got deadlines %v, want one", deadlines)
	}
}

func TestReportFindings(t *testing.T) {
	warning := func(line int, message string) task.Finding {
		return task.Finding{Position: task.Position{Line: line, Column: 1}, Severity: task.Warning, Message: message}
	}
	wrong := task.Finding{Position: task.Position{Line: 4, Column: 1}, Severity: task.Error, Message: "no"}
	var out bytes.Buffer
	l := loadedTask{name: "f", findings: []task.Finding{warning(1, "x"), warning(2, "x"), warning(3, "y"), wrong, wrong}, blocking: 2}
	if err := l.report(&out); err == nil || !strings.Contains(err.Error(), "f cannot be run") {
		t.Errorf("got error %v, want %s", err, "f cannot be run")
	}
	if want := "f:1:1: warning: x\nf:3:1: warning: y\nf:4:1: error: no\nf:4:1: error: no\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := (loadedTask{name: "f", findings: l.findings[:2]}).report(&out); err != nil || out.String() != "f:1:1: warning: x\n" {
		t.Errorf("got error %v and findings %s, want one warning", err, out.String())
	}
}

// The branch of a CI job is that of a context only if the job builds the commit of that context.
func TestBranchOfCI(t *testing.T) {
	for _, tt := range []struct {
		commit, want string
		env          map[string]string
	}{
		{"c", "main", map[string]string{"GITHUB_SHA": "c", "GITHUB_REF_NAME": "main"}},
		{"c", "topic", map[string]string{"GITHUB_SHA": "c", "GITHUB_REF_NAME": "1/merge", "GITHUB_HEAD_REF": "topic"}},
		{"c", "", map[string]string{"GITHUB_SHA": "c", "GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"}},
		{"c", "team/x", map[string]string{"BUILD_SOURCEVERSION": "c", "BUILD_SOURCEBRANCH": "refs/heads/team/x"}},
		{"c", "", map[string]string{"BUILD_SOURCEVERSION": "c", "BUILD_SOURCEBRANCH": "refs/tags/x"}},
		{"c", "main", map[string]string{"CI_COMMIT_SHA": "c", "CI_COMMIT_BRANCH": "main"}},
		{"other", "", map[string]string{"GITHUB_SHA": "c", "GITHUB_REF_NAME": "main", "CI_COMMIT_SHA": "c", "CI_COMMIT_BRANCH": "main"}},
		{"", "", map[string]string{"CI_COMMIT_BRANCH": "main"}},
	} {
		if got := ciBranch(tt.commit, func(name string) string { return tt.env[name] }); got != tt.want {
			t.Errorf("commit %q, %v: got branch %q, want %q", tt.commit, tt.env, got, tt.want)
		}
	}
}

func TestRegistryOfATask(t *testing.T) {
	for _, registry := range []string{"", "reg.example.com", "localhost", "localhost:5000", "127.0.0.1:80", "registry:5000", "[::1]:5000"} {
		if err := checkRegistry(registry); err != nil {
			t.Errorf("%s: got error %v, want none", registry, err)
		}
	}
	for registry, hint := range map[string]string{
		"myRegistry": "myregistry.azurecr.io", "https://reg.example.com": "", "reg.example.com/": "", "reg.example.com/team": "", "reg.example.com:x": "",
	} {
		if err := checkRegistry(registry); err == nil || !strings.Contains(manifest.Hint(err), hint) {
			t.Errorf("%s: got error %v with hint %q, want one with hint %q", registry, err, manifest.Hint(err), hint)
		}
	}
}

func TestTimeoutOfATask(t *testing.T) {
	for given, want := range map[string]time.Duration{"3600": time.Hour, "90s": 90 * time.Second, "": -1, "-1": -1, "x": -1} {
		if got, err := parseTaskTimeout(given); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: got %s and error %v, want %s or an error", given, got, err, want)
		}
	}
}
