package run

import (
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// The env of a step does not lead docker commands to programs and logins in the files of a task.
func TestVariablesOfDockerCommands(t *testing.T) {
	s := newTestExecutor(t, task.File{})
	s.programs.script = "env"
	step := task.Step{ID: "a", Action: task.Docker{Args: []string{"ps"}}, Env: []string{
		"A=1", "DOCKER_BUILDKIT=0", "DOCKER_CONFIG=./step", "BUILDX_CONFIG=./step", "LD_PRELOAD=./step", "Docker_Host=./step", "GIT_SSH_COMMAND=./step", "HOME=./step",
	}}
	if _, err := s.run(t, step); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"A=1\n", "DOCKER_BUILDKIT=0\n"} {
		if !strings.Contains(s.out.String(), want) {
			t.Errorf("got environment %q, want %q in it", s.out.String(), want)
		}
	}
	if strings.Contains(s.out.String(), "./step") {
		t.Errorf("got environment %q, want no variable with ./step", s.out.String())
	}
}

func TestInherited(t *testing.T) {
	for variable, want := range map[string]bool{
		"PATH=/bin": true, "https_proxy=http://proxy": true, "LC_ALL=C": true, "XDG_RUNTIME_DIR=/run": true,
		"GITHUB_TOKEN=x": false, "DOCKER_CLI_PLUGIN_SOCKET=x": false, "HOMES=/": false,
	} {
		if got := Inherited(variable); got != want {
			t.Errorf("%s: got %v, want %v", variable, got, want)
		}
	}
}
