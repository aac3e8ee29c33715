package commands

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/task"
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
		text, err := taskOptions{anyAliases: c.any}.aliases(t.Context(), source)(c.name)
		if c.want == "" && (err != nil || string(text) != "a: b") || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, any %v: got text %q and error %v, want a: b or an error with %q", c.name, c.any, text, err, c.want)
		}
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
