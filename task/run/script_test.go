package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
)

// parsed returns the only step of a file with a cmd.
func parsed(t *testing.T, cmd string) task.Step {
	t.Helper()
	rendered, _ := render.Render(t.Context(), []byte("steps:\n- cmd: |\n    "+strings.ReplaceAll(cmd, "\n", "\n    ")+"\n  env: [GREETING=good day]\n"), render.Variables{}, nil)
	file, findings := task.Parse(rendered)
	if len(findings) > 0 || len(file.Steps) != 1 {
		t.Fatalf("%s: got findings %v", cmd, findings)
	}
	return file.Steps[0]
}

func TestScripts(t *testing.T) {
	for _, tt := range []struct {
		cmd  string
		code int
		ran  string // containers and programs
		out  string
	}{
		{"docker pull a && docker tag a b", 0, "docker pull a; docker tag a b", ""},
		{"docker pull a || true", 0, "docker pull a", ""},
		{"app x || docker tag a b", 0, "app [x]", ""},
		{"app x && docker multiarch ls; docker manifest push a", 0, "app [x]; plugin ls; plugin push a", ""},
		{"app $GREETING \"$GREETING\" $(echo a b); exit 3", 3, "app [good day good day a b]", ""},
		{"docker ps; az acr import -n reg --source q.io/a:1; acr purge -r reg --filter a:b --ago 1d --untagged", 0,
			"docker ps; plugin import q.io/a:1 reg.azurecr.io/a:1; plugin repo purge reg.azurecr.io/a --all --filter regex:.*(?:b).* --untagged --older-than 1d --force", ""},
		{"docker ps; echo $GREETING > out && cat < out; test -f out && echo it is there", 0, "docker ps", "good day\nit is there\n"},
	} {
		s := newTestExecutor(t, task.File{})
		code, err := s.run(t, parsed(t, tt.cmd))
		var ran []string
		for _, c := range s.own.ran {
			ran = append(ran, strings.TrimSpace(c.Image+" ["+strings.Join(c.Args, " ")+"]"))
		}
		for _, line := range s.programs.lines {
			ran = append(ran, strings.TrimSpace(line))
		}
		if got := strings.Join(ran, "; "); code != tt.code || (err == nil) != (code == 0) || got != tt.ran || s.out.String() != tt.out {
			t.Errorf("%s: got code %d, error %v, output %q and\n%s, want code %d, output %q and\n%s", tt.cmd, code, err, s.out.String(), got, tt.code, tt.out, tt.ran)
		}
		if left, err := os.ReadDir(s.Context.Dir); err != nil || len(left) > 0 {
			t.Errorf("%s: got files %v in the user's folder and error %v, want none", tt.cmd, left, err)
		}
	}
}

// A command whose output nobody reads any more ends as in a shell, without a message.
func TestClosedPipe(t *testing.T) {
	for _, script := range []string{"exec yes", "trap '' PIPE; yes 2>/dev/null; true"} {
		s := newTestExecutor(t, task.File{})
		s.programs.script = script
		if code, err := s.run(t, parsed(t, "docker logs a | head -1")); code != 0 || err != nil || s.out.String() != "y\n" || s.err.Len() > 0 {
			t.Errorf("%s: got code %d, error %v, output %q and error output %q, want 0 and the first line", script, code, err, s.out.String(), s.err.String())
		}
	}
}

func TestFlagsOfContainers(t *testing.T) {
	f := task.File{Volumes: []task.Volume{{Name: "vol"}}}
	s := newTestExecutor(t, f)
	for name, content := range map[string]string{"f.env": "# note\nFROM_FILE=1\nB=file\nC=1\n\n", "g.env": "C=2\n"} {
		if err := os.WriteFile(filepath.Join(s.Context.Dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	step := parsed(t, "-d -e A=1 -e GREETING -e NONE --env-file f.env --env-file g.env -e B=flag -v vol:/v -v "+Name("r1", SharedVolume)+":/w2 -l k=v -l "+processLabel+"=x -w /w -u 7 -m 8m --init --add-host a:1.2.3.4 --platform linux/arm64 --name n app:1 -x")
	if _, err := s.run(t, step); err != nil {
		t.Fatal(err)
	}
	c := s.own.ran[0]
	for what, pair := range map[string][2]any{
		"env":    {fmt.Sprint(c.Env), "[GREETING=good day FROM_FILE=1 C=2 A=1 B=flag HOME=/acb/home]"},
		"mounts": {fmt.Sprint(c.Mounts), "[{multiarch-r1-workspace.1 /workspace} {multiarch-r1-vol /v} {multiarch-r1-workspace.1 /w2} {multiarch-r1-home.1 /acb/home}]"},
		"others": {strings.TrimSpace(fmt.Sprintln(c.Name, c.Image, c.Args, c.Dir, c.User, c.Memory, c.Init, c.Hosts, c.Platform, c.Labels["k"], step.Detach)), "n app:1 [-x] /w 7 8388608 true [a:1.2.3.4] linux/arm64 v true"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("got %s %v, want %v", what, pair[0], pair[1])
		}
	}
	if c.Labels[processLabel] != s.process {
		t.Errorf("got label %s=%s, want that of the run", processLabel, c.Labels[processLabel])
	}
	unknown := parsed(t, "-v other:/v app:1")
	if _, err := s.run(t, unknown); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "no volume other") {
		t.Errorf("got error %v, want no volume other", err)
	}
}

// What docker commands of the file name has that name on the daemon, and is not replaced there.
func TestNamesThatDockerCommandsUse(t *testing.T) {
	f := task.File{Steps: []task.Step{
		{ID: "web", Action: task.Container{Image: "app:1"}},
		{ID: "other", Action: task.Container{Image: "app:1", Args: []string{"other"}}},
		{ID: "logs", Action: task.Docker{Args: []string{"logs", "web"}}},
	}}
	s := newTestExecutor(t, f)
	for _, step := range f.Steps {
		if _, err := s.run(t, step); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.own.ran[0].Name + " " + s.own.ran[1].Name; got != "web multiarch-r1-other" {
		t.Errorf("got containers %s, want web multiarch-r1-other", got)
	}
	s.own.failures = map[string][]error{"run web": {manifest.Errorf(errdefs.ErrConflict, "in use")}}
	if _, err := s.run(t, f.Steps[0]); !errdefs.IsConflict(err) || !strings.Contains(manifest.Hint(err), "web") {
		t.Errorf("got error %v with hint %q, want a conflict with a hint that names web", err, manifest.Hint(err))
	}
}

// A name that is in use is found before the first step if a docker command of the file uses it, and only then looked for.
func TestNamesInUse(t *testing.T) {
	container := task.Container{Image: "app:1"}
	f := task.File{
		Networks: []task.Network{{Name: "net"}, {Name: "outside", External: true}}, Volumes: []task.Volume{{Name: "vol"}},
		Steps: []task.Step{
			{ID: "web", Action: container, Network: "net", Mounts: []task.Mount{{Volume: "vol", Path: "/v"}, {Volume: task.DockerSocket, Path: "/s"}}},
			{ID: "own", Action: container, Network: "net"},
			{ID: "far", Action: container, Network: "outside", Context: "arm"},
			{ID: "uses", Action: task.Docker{Args: []string{"inspect", "web", "net", "outside", "vol", "far", "uses"}}},
		},
	}
	for _, tt := range []struct{ own, arm, from, want string }{
		{"container own", "", "", ""},
		{"container far", "container web", "", ""},
		{"network outside", "", "", ""},
		{"container web", "", "", "step web: a container web already exists"},
		{"container web", "", "uses", "step web: a container web already exists"},
		{"network net", "", "", "step web: a network net already exists"},
		{"volume vol", "", "own", "step web: a volume vol already exists"},
		{"", "container far", "", "step far: a container far already exists"},
	} {
		s := newTestExecutor(t, f)
		s.own.existing, s.arm.existing = map[string]bool{tt.own: true}, map[string]bool{tt.arm: true}
		err := s.Check(t.Context(), tt.from)
		if tt.want == "" && err != nil || tt.want != "" && (!errdefs.IsConflict(err) || err.Error() != tt.want || !strings.Contains(manifest.Hint(err), "remove the object")) {
			t.Errorf("%s %s: got error %v with hint %q, want %q", tt.own, tt.arm, err, manifest.Hint(err), tt.want)
		}
		if got := strings.Join(s.own.calls, "; "); tt.want == "" && got != "reach; has container web; has network net; has volume vol" {
			t.Errorf("got calls %s, want one for each name", got)
		}
	}
	s := newTestExecutor(t, f)
	s.own.failures = map[string][]error{"has container web": {errors.New("broken")}}
	if err := s.Check(t.Context(), ""); err != nil {
		t.Errorf("got error %v, want none: creating the container decides", err)
	}
}

// A docker command gets the name of the volume that has the workspace, filled.
func TestSharedVolumeOfDockerCommands(t *testing.T) {
	s := newTestExecutor(t, task.File{})
	step := task.Step{ID: "a", Action: task.Docker{Args: []string{"run", "-v", Name("r1", SharedVolume) + ":/w", "app"}}}
	if _, err := s.run(t, step); err != nil {
		t.Fatal(err)
	}
	want := []string{"volume multiarch-r1-workspace.1", "send multiarch-r1-workspace.1", "volume multiarch-r1-home.1"}
	if !slices.Equal(s.own.calls, want) || !strings.HasSuffix(s.programs.lines[0], " -v multiarch-r1-workspace.1:/w app") {
		t.Errorf("got calls %q and command %q, want %q first", s.own.calls, s.programs.lines, want)
	}
}
