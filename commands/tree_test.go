package commands

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newTestCLI returns a docker CLI with an empty configuration folder.
func newTestCLI(t *testing.T, stdout, stderr io.Writer) *command.DockerCli {
	t.Helper()
	old := config.Dir()
	config.SetDir(t.TempDir())
	t.Cleanup(func() { config.SetDir(old) })
	cli, err := command.NewDockerCli(command.WithInputStream(io.NopCloser(strings.NewReader(""))),
		command.WithOutputStream(stdout), command.WithErrorStream(stderr))
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.Initialize(flags.NewClientOptions()); err != nil {
		t.Fatal(err)
	}
	return cli
}

// runPlugin runs a command and returns its exit code and output.
func runPlugin(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = runEmbedded(context.Background(), environment{Cli: newTestCLI(t, &out, &errs)}, args)
	return code, out.String(), errs.String()
}

// runnable calls do for each command of the plugin that can be run, with the words that call it.
func runnable(t *testing.T, do func(cmd *cobra.Command, words []string)) {
	t.Helper()
	var walk func(*cobra.Command, []string)
	walk = func(cmd *cobra.Command, words []string) {
		for _, c := range cmd.Commands() {
			walk(c, append(slices.Clip(words), c.Name()))
		}
		if !cmd.HasSubCommands() {
			do(cmd, words)
		}
	}
	walk(newRootCommand(environment{Cli: newTestCLI(t, io.Discard, io.Discard)}), nil)
}

// arguments are valid ones for each command, with the flags that its other flags require.
var arguments = []struct{ command, args string }{
	{"annotate", "example.com/app:1 example.com/app:amd64"},
	{"create", "--push example.com/app:1 example.com/app:amd64"},
	{"diff", "example.com/app:1 example.com/app:2"},
	{"drop", "example.com/app:1 linux/arm64"},
	{"exists", "example.com/app:1"},
	{"import", "example.com/app:1 example.com/copy:1"},
	{"inspect", "example.com/app:1"},
	{"ls", ""},
	{"prune", "--force"},
	{"push", "example.com/app:1"},
	{"repo ls", "example.com"},
	{"repo manifests", "example.com/app"},
	{"repo purge", "--all example.com/app"},
	{"repo restore", "record example.com/app"},
	{"repo rm", "--force example.com/app:1"},
	{"repo show", "example.com/app:1"},
	{"repo tags", "example.com/app"},
	{"repo untag", "example.com/app:1"},
	{"rm", "example.com/app:1"},
	{"tag", "--remote example.com/app:1 example.com/app:2"},
	{"task graph", "/dev/null"},
	{"task render", "/dev/null"},
	{"task run", "/dev/null"},
	{"task validate", "/dev/null"},
	{"verify", "example.com/app:1"},
	{"version", ""},
}

func argumentsOf(t *testing.T, command string) []string {
	t.Helper()
	for _, a := range arguments {
		if a.command == command {
			return strings.Fields(a.args)
		}
	}
	t.Fatalf("no arguments for %q in the table of this test", command)
	return nil
}

// badValues are invalid values of the flags; those without one are names, which can be anything.
var badValues = []struct{ flag, value string }{
	{"annotation", "a"},
	{"arch", ""},
	{"assume-gone", "1.*"},
	{"attestations", "some"},
	{"branch", ""},
	{"builder", ""},
	{"cmd", " "},
	{"commit", ""},
	{"digest", "sha256:1"},
	{"digest-file", ""},
	{"digests", ""},
	{"env", "=a"},
	{"exact", "linux/amd46"},
	{"exclude", "regex:("},
	{"file", ""},
	{"filter", "regex:("},
	{"format", "{{"},
	{"from", "hub"},
	{"from-step", ""},
	{"git-tag", ""},
	{"id", "-"},
	{"if-digest", ""},
	{"index-annotation", "=a"},
	{"jobs", "0"},
	{"keep", "0"},
	{"keep-old", "many"},
	{"login", "not a host"},
	{"max-deletes", "-1"},
	{"max-time", "-1s"},
	{"metadata-file", ""},
	{"older-than", "tomorrow"},
	{"orderby", "size"},
	{"os", ""},
	{"os-features", ""},
	{"os-version", ""},
	{"platform", "linux"},
	{"progress", "bars"},
	{"purge", "all"},
	{"record", ""},
	{"registry", "not a host"},
	{"repositories", "regex:("},
	{"repository", ""},
	{"require", ""},
	{"retry-timeout", "soon"},
	{"secret", "token"},
	{"set", "a"},
	{"set-secret", "=a"},
	{"src-username", ""},
	{"tag", "a b"},
	{"task-name", ""},
	{"timeout", "-1"},
	{"to", "a b"},
	{"top", "0"},
	{"triggered-by", ""},
	{"type", "v2"},
	{"values", ""},
	{"variant", ""},
	{"wait", "-1s"},
}

// The exit code is 125, as for a flag that does not exist; 2 where 1 is an answer, and 1 in annotate, as in docker manifest.
func TestInvalidValuesOfFlags(t *testing.T) {
	tried := 0
	runnable(t, func(cmd *cobra.Command, words []string) {
		name := strings.Join(words, " ")
		args := argumentsOf(t, name)
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			i := slices.IndexFunc(badValues, func(v struct{ flag, value string }) bool { return v.flag == f.Name })
			switch {
			case f.Value.Type() == "bool" && f.NoOptDefVal != "" && f.Name != "purge":
				return
			case i < 0:
				t.Errorf("%s: no row for --%s in the table of this test", name, f.Name)
				return
			case badValues[i].value == "":
				return
			}
			want := exitUsage
			switch name {
			case "exists", "verify", "diff":
				want = exitUnknown
			case "annotate":
				want = exitError
			}
			given := "--" + f.Name + "=" + badValues[i].value
			given = strings.ReplaceAll(given, "--filter=", map[bool]string{true: "--all-tags --filter="}[name == "import"]+"--filter=")
			tried++
			line := slices.Concat(words, []string{given}, args)
			if code, stdout, stderr := runPlugin(t, line...); code != want || stdout != "" || !strings.Contains(stderr, f.Name) {
				t.Errorf("%s: got exit code %d, stdout %q and stderr %q, want %d and an error with the flag", strings.Join(line, " "), code, stdout, stderr, want)
			}
		})
	})
	if tried < 100 {
		t.Errorf("got %d flags with invalid values, want 100 or more", tried)
	}
}

// A dry run has no result that files could be written of.
func TestDryRunWritesNoFiles(t *testing.T) {
	for _, args := range [][]string{{"create", "--push", "h.example.com/app:1", "h.example.com/app:2"}, {"push", "h.example.com/app:1"}, {"import", "h.example.com/app:1", "h.example.com/app:2"}} {
		for _, flag := range []string{"--digest-file", "--metadata-file"} {
			file := filepath.Join(t.TempDir(), "file")
			line := slices.Concat(args[:1], []string{"--dry-run", flag, file}, args[1:])
			if code, stdout, stderr := runPlugin(t, line...); code != exitError || stdout != "" || !strings.Contains(stderr, flag+" ") || !strings.Contains(stderr, "--dry-run") {
				t.Errorf("%s: got exit code %d, stdout %q and stderr %q, want %d and an error", line, code, stdout, stderr, exitError)
			}
			if _, err := os.Stat(file); err == nil {
				t.Errorf("%s: got a file, want none", line)
			}
		}
	}
}

// With --progress json, all lines of standard error are objects: warnings, the findings in a task file and, at the end, the
// error with its hint.
func TestJSONProgressToTheLastLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "acb.yaml")
	if err := os.WriteFile(file, []byte("version: v1.1.0\nsteps:\n- cmd: docker multiarch version\n  colour: red\n- buildd: .\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args         []string
		events, text string // of the last line
	}{
		{[]string{"import", "--progress=json", "example.com/a:1", "example.com/b@sha256:" + strings.Repeat("0", 64)}, "error", "TARGET"},
		{[]string{"import", "--progress=json", "--platform=linux/amd46", "example.com/a:1", "example.com/b"}, "error", "linux/amd64"},
		{[]string{"import", "--platform=linux/amd46", "--progress", "json", "example.com/a:1", "example.com/b"}, "error", "linux/amd64"},
		{[]string{"push", "--jobs=0", "--progress=json", "example.com/a:1"}, "error", "positive"},
		{[]string{"push", "--progress=json", "A"}, "error", "lower"},
		{[]string{"task", "run", "--progress=json", "--set-secret=a=b", "--file", file, "/dev/null"}, "warning note error", "cannot be run"},
	} {
		_, stdout, stderr := runPlugin(t, tt.args...)
		var events []string
		var last struct{ Time, Event, Text, Hint string }
		for line := range strings.Lines(stderr) {
			if err := json.Unmarshal([]byte(line), &last); err != nil || last.Time == "" {
				t.Fatalf("%v: got %q (error %v), want an object with a time", tt.args, line, err)
			}
			events = append(events, last.Event)
		}
		if events = slices.Compact(events); stdout != "" || strings.Join(events, " ") != tt.events || !strings.Contains(last.Text+last.Hint, tt.text) {
			t.Errorf("%v: got stdout %q, events %v and last %+v, want events %s and %q", tt.args, stdout, events, last, tt.events, tt.text)
		}
	}
}
