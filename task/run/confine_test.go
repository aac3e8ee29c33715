package run

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// Objects that docker commands create have the labels of the run, on the daemon in use; others are left as written.
func TestConfinedCommands(t *testing.T) {
	const socket = "type=bind,source=/run/user/1/docker.sock,target=/s"
	for _, tt := range []struct{ args, want, own, arm string }{
		{"ps -a", "ps -a", "", ""},
		{"run app", "run LABELS app", "home", ""},
		{"run -- app -v x1:/y", "run LABELS -- app -v x1:/y", "home", ""},
		{"container create app", "container create LABELS app", "home", ""},
		{"container ls", "container ls", "", ""},
		{"commit a b:1", "commit UNLABELED a b:1", "", ""},
		{"container commit a b:1", "container commit UNLABELED a b:1", "", ""},
		{"network create net", "network create LABELS net", "home", ""},
		{"volume create -d local vol", "volume create LABELS -d local vol", "home", ""},
		{"-c arm --context=arm run app", "-c arm --context=arm run LABELS app", "", "home"},
		{"run -v data:/d --volume=more:/m:ro app -v not:/n", "run LABELS -v data:/d --volume=more:/m:ro app -v not:/n", "home; data; more", ""},
		{"run -itv data:/d --rm -ddata:/x --name n app", "run LABELS -itv data:/d --rm -ddata:/x --name n app", "home; data", ""},
		{"run -vdata:/d -v=more:/m -v /h:/h -v anonymous -v c:/x app", "run LABELS -vdata:/d -v=more:/m -v /h:/h -v anonymous -v c:/x app", "home; data; more", ""},
		{"run --volume-driver nfs -v data:/d app", "run LABELS --volume-driver nfs --mount=type=volume,source=data,target=/d,volume-driver=nfs,VOLUME-LABELS app", "home", ""},
		{"run -v data:/d:ro --volume-driver=nfs app", "run LABELS --mount=type=volume,source=data,target=/d,volume-driver=nfs,readonly,VOLUME-LABELS --volume-driver=nfs app", "home", ""},
		{"run --volume-driver nfs -v data:/d:z -v /w:/w app", "run LABELS --volume-driver nfs -v data:/d:z -v /w:/w app", "home", ""},
		{"run -iv /var/run/docker.sock:/s:z,ro app", "run LABELS -i --mount=" + socket + ",readonly app", "home", ""},
		{"run --mount type=bind,source=/var/run/docker.sock,target=/s app", "run LABELS --mount=" + socket + " app", "home", ""},
		{"run --mount source=data,target=/d app --mount x", "run LABELS --mount=source=data,target=/d,VOLUME-LABELS app --mount x", "home", ""},
		{"run --mount type=tmpfs,target=/t app", "run LABELS --mount=type=tmpfs,target=/t app", "home", ""},
		{"run --network net -v vol:/v app", "run LABELS --network net -v vol:/v app", "home; network net as net; vol", ""},
		{"run -v", "run LABELS -v", "home", ""},
	} {
		s := newTestExecutor(t, task.File{
			Networks: []task.Network{{Name: "net"}}, Volumes: []task.Volume{{Name: "vol"}},
			Steps: []task.Step{{ID: "uses", Action: task.Docker{Args: []string{"inspect", "net", "vol"}}}},
		})
		if _, err := s.run(t, task.Step{ID: "a", Action: task.Docker{Args: strings.Fields(tt.args)}}); err != nil {
			t.Fatal(tt.args, err)
		}
		got := strings.NewReplacer("--label="+Label+"=r1 --label="+processLabel+"="+s.process, "LABELS",
			"--change=LABEL "+processLabel+`=""`, "UNLABELED", "volume-label="+processLabel+"="+s.process+",volume-label="+Label+"=r1", "VOLUME-LABELS").Replace(s.programs.lines[0])
		if got != " docker "+tt.want {
			t.Errorf("%s: got%s, want docker %s", tt.args, got, tt.want)
		}
		for d, want := range map[*fakeDaemon]string{s.own: tt.own, s.arm: tt.arm} {
			if got := strings.NewReplacer("volume multiarch-r1-home.1", "home", "volume ", "").Replace(strings.Join(d.calls, "; ")); got != want {
				t.Errorf("%s: got calls %s, want %s", tt.args, got, want)
			}
		}
	}
}

// The folder of a run and its other temporary folders may have different parents.
func TestRemovalOfFolders(t *testing.T) {
	temp, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", filepath.Join(temp, "."))
	quoted := task.Quote([]string{filepath.Join(temp, "docker-multiarch-r1+")}) + "*"
	if got := Removal("r1", temp); !strings.HasSuffix(got, "; rm -rf "+quoted) {
		t.Errorf("got %s, want %s removed", got, quoted)
	}
	if got := Removal("r1", "/my config"); !strings.HasSuffix(got, "; rm -rf '/my config/docker-multiarch-r1+'* "+quoted) {
		t.Errorf("got %s, want both folders removed", got)
	}
}

// A volume of the user is used as it is; the ID of a run that is in progress is not.
func TestConflictsOfConfinedCommands(t *testing.T) {
	taken := manifest.Errorf(errdefs.ErrConflict, "in use")
	step := task.Step{ID: "a", Action: task.Docker{Args: strings.Fields("run -v data:/d app")}}
	s := newTestExecutor(t, task.File{})
	s.own.failures = map[string][]error{"volume data": {taken}}
	if _, err := s.run(t, step); err != nil {
		t.Errorf("got error %v, want none", err)
	}
	s = newTestExecutor(t, task.File{})
	s.own.failures = map[string][]error{"volume multiarch-r1-home.1": {taken}}
	if _, err := s.run(t, step); !errdefs.IsConflict(err) || !strings.Contains(manifest.Hint(err), Removal("r1", ".")) {
		t.Errorf("got error %v with hint %q, want a conflict and %s", err, manifest.Hint(err), Removal("r1", "."))
	}
	if _, err := s.run(t, task.Step{ID: "a", Action: task.Docker{Args: strings.Fields("--context nowhere run app")}}); err == nil {
		t.Error("got no error for an unknown docker context, want one")
	}
}

// A builder has the ID of the run in its name wherever the file names it.
func TestConfinedBuilders(t *testing.T) {
	s := newTestExecutor(t, task.File{})
	for _, tt := range [][2]string{
		{"buildx use mine", "buildx use mine"},
		{"buildx create --use", "buildx create --use --name=PREFIX-builder0"},
		{"buildx create --driver docker-container --name mine --node=one", "buildx create --driver docker-container --name PREFIX-mine --node=PREFIX-one"},
		{"buildx --builder mine inspect --bootstrap mine", "buildx --builder PREFIX-mine inspect --bootstrap PREFIX-mine"},
		{"buildx create --append --name PREFIX-mine other", "buildx create --append --name PREFIX-mine other"},
		{"buildx use mine", "buildx use PREFIX-mine"},
		{"buildx build --builder=mine -t mine .", "buildx build --builder=PREFIX-mine -t mine ."},
		{"build --builder users .", "build --builder users ."},
		{"buildx rm mine users", "buildx rm PREFIX-mine users"},
		{"buildx", "buildx"},
		{"buildx create --name", "buildx create --name"},
	} {
		real := func(text string) []string {
			return strings.Fields(strings.ReplaceAll(text, "PREFIX-", builderPrefix("r1")))
		}
		if got := s.confineBuilder(real(tt[0])[1:]); !slices.Equal(got, real(tt[1])[1:]) {
			t.Errorf("%s: got %q, want %s", tt[0], got, tt[1])
		}
	}
	ids := []string{"a", "A", "aB", "a-B", "a-b", "a_b", "a-", "a_", "a--", "a_-b", "a__b", "a-_b"}
	for _, one := range ids {
		for _, other := range ids {
			if one != other && strings.HasPrefix(builderPrefix(other), builderPrefix(one)) {
				t.Errorf("the builders of %s, %s..., look like those of %s", other, builderPrefix(other), one)
			}
		}
	}
}

// A docker command gets the logins of registries that the file, the command or its Dockerfile names, if it contacts one.
func TestRegistriesOfCommands(t *testing.T) {
	f := task.File{Steps: []task.Step{
		{Action: task.Push{Images: nil}}, {Action: task.Docker{Args: []string{"pull", "file.example/a"}}},
		{Action: task.Container{Image: "localhost/a", Args: []string{"docker://[::1]:5000/b", "80:8080/tcp", "a.b"}}},
	}}
	s := newTestExecutor(t, f)
	dockerfile := "# syntax=syntax.example/a\nARG A=arg.example/a\nFROM from.example:5000/a AS a\nRUN curl https://run.example/\nRUN --mount=from=mount.example/a,target=/a true\nCOPY --from=copy.example/a / /\n"
	if err := os.WriteFile(filepath.Join(s.Context.Dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	const file = "[::1]:5000 docker.io file.example localhost"
	const build = "[::1]:5000 arg.example copy.example docker.io file.example from.example:5000 localhost mount.example syntax.example"
	for args, want := range map[string]string{
		"ps": "", "login login.example": "", "run app": file, "push own.example/a/b.c/d": "[::1]:5000 docker.io file.example localhost own.example",
		"build .": build, "image build .": build, "buildx --builder b build .": build, "buildx": file,
		"--context arm pull x:1/a": "[::1]:5000 docker.io file.example localhost x:1",
	} {
		if _, err := s.run(t, task.Step{ID: "a", Action: task.Docker{Args: strings.Fields(args)}}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(s.programs.registries, " "); got != want {
			t.Errorf("docker %s: got registries %s, want %s", args, got, want)
		}
	}
}

// A daemon may go on with the request of a docker command that was killed, so that there is more to remove a little later.
func TestCloseAfterKilledCommand(t *testing.T) {
	step := task.Step{ID: "a", Action: task.Docker{Args: []string{"run", "app"}}}
	for script, want := range map[string]int{"exit 0": 1, "echo started; exec sleep 1000": 2} {
		var s *testExecutor
		t.Run(script, func(t *testing.T) { // at whose end it is closed
			s = newTestExecutor(t, task.File{})
			s.programs.script = script
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if _, err := s.Run(ctx, step, Output{Stdout: cancelling(cancel), Stderr: &s.err}, func() {}); (err != nil) != (want == 2) {
				t.Errorf("got error %v, want one only of the killed command", err)
			}
		})
		removal := "remove " + processLabel + "=" + s.process
		if got := strings.Count(strings.Join(s.own.calls, "\n"), removal); got != want {
			t.Errorf("%s: got %d removals, want %d: %q", script, got, want, s.own.calls)
		}
	}
}

// cancelling calls itself at each write.
type cancelling func()

func (c cancelling) Write(p []byte) (int, error) {
	c()
	return len(p), nil
}
