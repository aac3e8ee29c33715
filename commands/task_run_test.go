package commands

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
)

// The command that goes on has the flags that were typed, of docker too, and works when it is pasted.
func TestResumption(t *testing.T) {
	for want, typed := range map[string][]string{
		"docker multiarch task run --from-step=b --id=r1": {"multiarch", "task", "run"},
		"docker --context=far multiarch task run --from-step=b --id=r1 --env=A=1 '--env=B=x y' --file=a.yaml --set-secret=K --strict=true --timeout=30 .": {
			"--context", "far", "multiarch", "task", "run", "--strict", "-e", "A=1", "-eB=x y", "-f", "a.yaml", "--timeout", "30", "--set-secret", "K=hunter2", "--id", "r0", "--from-step", "a", ".",
		},
		"docker multiarch task run --from-step=b --id=r1 'https://example.com/app.git#main:sub'": {"multiarch", "task", "run", "https://me:hunter2@example.com/app.git#main:sub"},
		"docker multiarch task run --from-step=b --id=r1 https://example.com/app.tar":            {"multiarch", "task", "run", "https://example.com/app.tar?sig=hunter2"},
		"docker multiarch task run --from-step=b --id=r1 'https://example.com/%41.git#main'":     {"multiarch", "task", "run", "https://example.com/%41.git#main"},
		"docker multiarch task run --from-step=b --id=r1 ssh://git@example.com/app.git":          {"multiarch", "task", "run", "ssh://git@example.com/app.git"},
		"docker multiarch task run --from-step=b --id=r1 -- -x":                                  {"multiarch", "task", "run", "--", "-x"},
	} {
		var got string
		run := newTaskRunCommand(environment{})
		run.RunE = func(cmd *cobra.Command, args []string) error {
			got = resumption(cmd, args, "b", "r1")
			return nil
		}
		docker := &cobra.Command{Use: "docker", TraverseChildren: true}
		docker.Flags().String("context", "", "")
		plugin, tasks := &cobra.Command{Use: "multiarch"}, &cobra.Command{Use: "task"}
		docker.AddCommand(plugin)
		plugin.AddCommand(tasks)
		tasks.AddCommand(run)
		docker.SetArgs(typed)
		if err := docker.ExecuteContext(t.Context()); err != nil || got != want {
			t.Errorf("got %s and error %v, want %s", got, err, want)
		}
	}
}

// A CI job gets the path of a file in its own folder.
func TestPathInJob(t *testing.T) {
	root, file := t.TempDir(), filepath.Join("app", "acb.yaml")
	if err := os.Mkdir(filepath.Join(root, "app"), 0o755); err != nil {
		t.Fatal(err)
	}
	inJob := func(name string) string { return map[string]string{"GITHUB_WORKSPACE": root}[name] }
	none := func(string) string { return "" }
	for _, c := range []struct {
		context, file string
		getenv        func(string) string
		want          string
	}{
		{root, file, inJob, "app/acb.yaml"},
		{filepath.Join(root, "app"), "acb.yaml", inJob, "app/acb.yaml"},
		{root, file, none, filepath.ToSlash(filepath.Join(root, file))},
		{root, "-", inJob, ""},
		{"https://example.com/app.git", "acb.yaml", inJob, ""},
	} {
		if got := (taskRunOptions{taskOptions: taskOptions{context: c.context, file: c.file}}).pathInJob(c.getenv); got != c.want {
			t.Errorf("%s, %s: got path %q, want %q", c.context, c.file, got, c.want)
		}
	}
}
