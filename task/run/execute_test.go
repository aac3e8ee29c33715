package run

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/opencontainers/go-digest"
)

// fakeDaemon is a daemon that notes what it is asked, and fails as told.
type fakeDaemon struct {
	mu       sync.Mutex
	calls    []string
	missing  map[string]bool // images that have to be pulled
	failures map[string][]error
	ran      []Container

	multiPlatform bool
}

func (m *fakeDaemon) call(words ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	what := strings.Join(words, " ")
	m.calls = append(m.calls, what)
	if next := m.failures[what]; len(next) > 0 {
		m.failures[what] = next[1:]
		return next[0]
	}
	return nil
}

func (m *fakeDaemon) Run(_ context.Context, c Container, _ Output, started func()) (int, error) {
	err := m.call("run", c.Name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.missing[c.Image] {
		return -1, manifest.Errorf(errdefs.ErrNotFound, "no image %s", c.Image)
	}
	m.ran = append(m.ran, c)
	started()
	return 0, err
}

func (m *fakeDaemon) Pull(_ context.Context, image string, _ io.Writer) error {
	err := m.call("pull", image)
	if err == nil {
		delete(m.missing, image)
	}
	return err
}

func (m *fakeDaemon) CreateNetwork(_ context.Context, n task.Network, name string, _ map[string]string) error {
	return m.call("network", n.Name, "as", name)
}

func (m *fakeDaemon) CreateVolume(_ context.Context, name string, _ map[string]string) error {
	return m.call("volume", name)
}

func (m *fakeDaemon) Remove(_ context.Context, label, value string) error {
	return m.call("remove", label+"="+value)
}

func (m *fakeDaemon) Send(_ context.Context, volume string, tar io.Reader) error {
	if _, err := io.Copy(io.Discard, tar); err != nil {
		return err
	}
	return m.call("send", volume)
}

func (m *fakeDaemon) Receive(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}

func (m *fakeDaemon) Push(_ context.Context, name reference.NamedTagged, out io.Writer) (digest.Digest, error) {
	_, _ = io.WriteString(out, "layer: Pushed\n")
	return digest.FromString(name.String()), m.call("push", name.String())
}

func (m *fakeDaemon) Reach(context.Context) error { return m.call("reach") }

func (m *fakeDaemon) Builds(context.Context) (bool, bool, error) { return true, m.multiPlatform, nil }

// fakePrograms answers 'docker ...' with true, and notes the commands.
type fakePrograms struct {
	script string // what commands do instead of nothing
	mu     sync.Mutex
	lines  []string
}

func (p *fakePrograms) note(words ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, strings.Join(words, " "))
}

func (p *fakePrograms) Builder(dockerContext string) string { return "builder-" + dockerContext }

func (p *fakePrograms) Docker(ctx context.Context, dockerContext string, args ...string) *exec.Cmd {
	p.note(append([]string{dockerContext, "docker"}, args...)...)
	if p.script == "" {
		return exec.CommandContext(ctx, "true")
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", p.script)
	cmd.WaitDelay = time.Millisecond
	return cmd
}

func (p *fakePrograms) Plugin(_ context.Context, dockerContext, _ string, args []string, _ Output) int {
	p.note(append([]string{dockerContext, "plugin"}, args...)...)
	return 0
}

func tagged(t *testing.T, name string) reference.NamedTagged {
	t.Helper()
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return ref.(reference.NamedTagged)
}

// stage is an executor on fakes, with two daemons: that of the run and that of docker context "arm".
type stage struct {
	*Executor
	here, arm *fakeDaemon
	programs  *fakePrograms
	out, err  locked
}

// locked is a buffer that may be written to side by side.
type locked struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func newStage(t *testing.T, f task.File) *stage {
	t.Helper()
	s := &stage{here: &fakeDaemon{}, arm: &fakeDaemon{}, programs: &fakePrograms{}}
	s.Executor = NewExecutor(Setup{
		ID: "r1", File: f, Programs: s.programs, Context: Source{Dir: t.TempDir()},
		Daemon: func(name string) (Daemon, error) {
			switch name {
			case "":
				return s.here, nil
			case "arm":
				return s.arm, nil
			}
			return nil, errors.New("no context " + name)
		},
	})
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stage) run(t *testing.T, step task.Step) (int, error) {
	t.Helper()
	return s.Run(t.Context(), step, Output{Stdout: &s.out, Stderr: &s.err}, func() {})
}

func TestContainerIsPreparedOnce(t *testing.T) {
	f := task.File{
		Networks: []task.Network{{Name: "net"}, {Name: "outside", External: true}},
		Volumes:  []task.Volume{{Name: "secret", Files: map[string][]byte{"k": []byte("v")}}},
	}
	step := func(id, network string) task.Step {
		return task.Step{ID: id, Action: task.Container{Image: "image", Args: []string{"a"}}, Network: network, Dir: "../sub",
			Mounts: []task.Mount{{Volume: "secret", Path: "/s"}, {Volume: task.DockerSocket, Path: "/d"}}}
	}
	f.Steps = []task.Step{step("one", "net"), step("two", "net"), step("three", "outside")}
	s := newStage(t, f)
	s.here.missing = map[string]bool{"image": true}
	for _, each := range f.Steps {
		if code, err := s.run(t, each); code != 0 || err != nil {
			t.Fatal(code, err)
		}
	}
	for what, times := range map[string]int{
		"network net as multiarch-r1-net": 1, "volume multiarch-r1-secret": 1, "send multiarch-r1-secret": 1, "pull image": 1,
		"run multiarch-r1-one": 2, // before the pull and after it
	} {
		n := 0
		for _, call := range s.here.calls {
			if call == what {
				n++
			}
		}
		if n != times {
			t.Errorf("%d times %q, not %d: %q", n, what, times, s.here.calls)
		}
	}
	c := s.here.ran[0]
	if c.Dir != "/workspace/sub" || c.Network != "multiarch-r1-net" || c.Alias != "one" || c.Labels[Label] != "r1" {
		t.Errorf("%+v", c)
	}
	want := []Mount{{"multiarch-r1-workspace.1", "/workspace"}, {"multiarch-r1-secret", "/s"}, {task.DockerSocket, "/d"}}
	if !slices.Equal(c.Mounts, want) {
		t.Errorf("mounts %v, not %v", c.Mounts, want)
	}
	if s.here.ran[2].Network != "outside" {
		t.Errorf("network %s", s.here.ran[2].Network)
	}
}

func TestPullIsTriedAsOftenAsTheStepSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := manifest.Errorf(errdefs.ErrUnavailable, "busy")
		step := task.Step{ID: "a", Action: task.Container{Image: "image"}, Pull: true, PullRetries: 2}
		s := newStage(t, task.File{Steps: []task.Step{step}})
		s.here.failures = map[string][]error{"pull image": {busy, busy}}
		if _, err := s.run(t, step); err != nil {
			t.Error(err)
		}
		s.here.failures = map[string][]error{"pull image": {busy, busy, busy}}
		if _, err := s.run(t, step); !errors.Is(err, busy) {
			t.Error(err)
		}
	})
}

func TestPushIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy, refused := manifest.Errorf(errdefs.ErrUnavailable, "busy"), manifest.Errorf(errdefs.ErrUnauthenticated, "who?")
		a, b := tagged(t, "h:5000/a:1"), tagged(t, "h:5000/b:1")
		step := task.Step{ID: "push", Action: task.Push{Images: []reference.Named{a, b}}}
		s := newStage(t, task.File{Steps: []task.Step{step}})
		s.here.failures = map[string][]error{"push h:5000/a:1": {busy, busy}, "push h:5000/b:1": {refused}}
		_, err := s.run(t, step)
		if !errors.Is(err, refused) || errors.Is(err, busy) {
			t.Error(err)
		}
		if n := len(s.here.calls); n != 4 {
			t.Errorf("%d pushes: %q", n, s.here.calls)
		}
		if want := "h:5000/a:1: " + digest.FromString("h:5000/a:1").String() + "\n"; s.out.String() != want {
			t.Errorf("%q, not %q", s.out.String(), want)
		}
		if !strings.Contains(s.err.String(), "h:5000/b:1: layer: Pushed\n") {
			t.Errorf("%q", s.err.String())
		}
	})
}

func TestPushGoesWhereTheImageWasBuilt(t *testing.T) {
	a := tagged(t, "h:5000/a:1")
	build := task.Step{ID: "build", Context: "arm", Action: task.Build{Tags: []reference.NamedTagged{a}, Context: "."}}
	push := task.Step{ID: "push", Action: task.Push{Images: []reference.Named{a}}}
	s := newStage(t, task.File{Steps: []task.Step{build, push}})
	if _, err := s.run(t, push); err != nil {
		t.Fatal(err)
	}
	if len(s.here.calls) != 0 || !slices.Equal(s.arm.calls, []string{"push h:5000/a:1"}) {
		t.Errorf("here %q, arm %q", s.here.calls, s.arm.calls)
	}
	s.arm.failures = map[string][]error{"push h:5000/a:1": {manifest.Errorf(errdefs.ErrNotFound, "no such image")}}
	if _, err := s.run(t, push); err == nil || err.Error() != "no such image; step build builds it" {
		t.Error(err)
	}
}

func TestBuildOfSeveralPlatforms(t *testing.T) {
	a := tagged(t, "h:5000/a:1")
	build := task.Step{ID: "build", Action: task.Build{Tags: []reference.NamedTagged{a}, Platforms: []string{"linux/amd64", "linux/arm/v7"}, Context: "."}}
	push := task.Step{ID: "push", Action: task.Push{Images: []reference.Named{a}}}
	parts := []string{
		" docker buildx build --builder=BUILDER --load --tag=h:5000/a:1-linux-amd64 --platform=linux/amd64 .",
		" docker buildx build --builder=BUILDER --load --tag=h:5000/a:1-linux-arm-v7 --platform=linux/arm/v7 .",
		" docker buildx version",
		" plugin create --push --from daemon h:5000/a:1 h:5000/a:1-linux-amd64 h:5000/a:1-linux-arm-v7",
	}
	for name, tt := range map[string]struct {
		multiPlatform  bool
		builder, named string
		want           []string
	}{
		"a daemon of one platform":      {false, "", "builder-", parts},
		"a daemon of several":           {true, "", "builder-", []string{" docker buildx build --builder=BUILDER --load --tag=h:5000/a:1 --platform=linux/amd64,linux/arm/v7 .", " docker buildx version"}},
		"a builder apart":               {true, "many", "many", parts},
		"a builder apart, one platform": {false, "many", "many", parts},
	} {
		s := newStage(t, task.File{Steps: []task.Step{build, push}})
		s.here.multiPlatform, s.Builder = tt.multiPlatform, tt.builder
		for _, step := range []task.Step{build, push} {
			if _, err := s.run(t, step); err != nil {
				t.Fatal(err)
			}
		}
		got := slices.Sorted(slices.Values(s.programs.lines)) // side by side
		if want := strings.ReplaceAll(strings.Join(tt.want, "\n"), "BUILDER", tt.named); strings.Join(got, "\n") != want {
			t.Errorf("%s: %s", name, strings.Join(got, "\n"))
		}
	}
}

// A run that begins with the push knows what an earlier one built.
func TestPushOfSeveralPlatformsAlone(t *testing.T) {
	a := tagged(t, "h:5000/a:1")
	build := task.Step{ID: "build", Context: "arm", Action: task.Build{Tags: []reference.NamedTagged{a}, Platforms: []string{"linux/amd64", "linux/arm64"}, Context: "."}}
	push := task.Step{ID: "push", Action: task.Push{Images: []reference.Named{a}}}
	s := newStage(t, task.File{Steps: []task.Step{build, push}})
	if _, err := s.run(t, push); err != nil {
		t.Fatal(err)
	}
	want := []string{"arm plugin create --push --from daemon h:5000/a:1 h:5000/a:1-linux-amd64 h:5000/a:1-linux-arm64"}
	if !slices.Equal(s.programs.lines, want) {
		t.Errorf("%q", s.programs.lines)
	}
	build.Env = []string{"DOCKER_BUILDKIT=0"} // the classic builder builds no parts
	s = newStage(t, task.File{Steps: []task.Step{build, push}})
	if _, err := s.run(t, push); err != nil || len(s.programs.lines) > 0 {
		t.Errorf("%q, %v", s.programs.lines, err)
	}
}

func TestCachesOfPlatformsAreApart(t *testing.T) {
	step := task.Step{ID: "b", Cache: true, Action: task.Build{Tags: []reference.NamedTagged{tagged(t, "h:5000/a:1")},
		Platforms: []string{"linux/amd64", "linux/arm64"}, Context: "."}}
	s := newStage(t, task.File{Steps: []task.Step{step}})
	s.Builder = "nodes"
	if _, err := s.run(t, step); err != nil {
		t.Fatal(err)
	}
	builds := slices.Sorted(slices.Values(s.programs.lines[1:])) // side by side
	for i, ref := range []string{"ref=h:5000/a:cache_quickrun_b-linux-amd64", "ref=h:5000/a:cache_quickrun_b-linux-arm64"} {
		if line := builds[i]; strings.Count(line, ref) != 2 || strings.Count(line, "ref=") != 2 {
			t.Error(line)
		}
	}
}

func TestBuildTakesThePlatformOfTheDockerfile(t *testing.T) {
	step := task.Step{ID: "b", Dir: "sub", Cache: true, Env: []string{"A=b"},
		Action: task.Build{Tags: []reference.NamedTagged{tagged(t, "h/a:1")}, Context: "."}}
	s := newStage(t, task.File{Steps: []task.Step{step}})
	dir := s.Context.Dir
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sub", "Dockerfile"), []byte("FROM --platform=linux/arm64 scratch\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.run(t, step); err != nil {
		t.Fatal(err)
	}
	last := s.programs.lines[len(s.programs.lines)-1]
	want := " docker buildx build --builder=builder- --cache-to=type=inline --cache-from=type=registry,ref=h/a:1 --load --tag=h/a:1 --platform=linux/arm64 ."
	if strings.ReplaceAll(last, "docker.io/", "") != want || !strings.Contains(s.err.String(), "linux/arm64") {
		t.Errorf("%s\n%s\n%s", last, want, s.err.String())
	}
}

func TestSecretsOfBuilds(t *testing.T) {
	for flag, want := range map[string]string{
		"--secret=id=a,src=/run/s/k":           "--secret=id=a,src=/tmp/x/k",
		"--secret=id=a,source=/run/s/../s/k":   "--secret=id=a,source=/tmp/x/k",
		`--secret="id=a,b",src=/run/s/sub/k`:   `--secret="id=a,b",src=/tmp/x/sub/k`,
		"--secret=id=a,src=/run/s/../other":    "--secret=id=a,src=/run/s/../other",
		"--secret=id=a,src=/run/secret":        "--secret=id=a,src=/run/secret",
		"--secret=id=a,env=/run/s/k":           "--secret=id=a,env=/run/s/k",
		"--build-arg=src=/run/s/k":             "--build-arg=src=/run/s/k",
		"--secret=id=a,src=/run/s/../s/../../": "--secret=id=a,src=/run/s/../s/../../",
	} {
		if got := moveSecret(flag, "/run/s/", "/tmp/x"); got != want {
			t.Errorf("%s became %s, not %s", flag, got, want)
		}
	}
}

func TestPrefixedLines(t *testing.T) {
	var out, err bytes.Buffer
	p := &prefixed{out: Output{&out, &err}, prefix: "a: "}
	for _, text := range []string{"one\ntw", "o\n\nthree", strings.Repeat("x", maxLine)} {
		_, _ = io.WriteString(p.streams().Stdout, text)
	}
	_, _ = io.WriteString(p.streams().Stderr, "failed")
	p.flush()
	if want := "a: one\na: two\na: \na: three" + strings.Repeat("x", maxLine); strings.TrimSuffix(out.String(), "\n") != want {
		t.Errorf("%q", out.String())
	}
	if err.String() != "a: failed\n" {
		t.Errorf("%q", err.String())
	}
}

func TestDescribe(t *testing.T) {
	f := task.File{Networks: []task.Network{{Name: "own"}, {Name: "host", External: true}}, Steps: []task.Step{
		{ID: "one", Action: task.Build{Flags: []string{"--file=a b"}, Tags: []reference.NamedTagged{tagged(t, "h:5000/a:1")}, Context: "."}},
		{ID: "two", After: []int{0}, Retries: 2, Action: task.Push{Images: []reference.Named{tagged(t, "h:5000/a:1")}}},
		{ID: "three", After: []int{0, 1}, Dir: "d", Env: []string{"A=$b"}, Detach: true, Network: "own", Action: task.Container{Image: "bash", Args: []string{"-c", "echo 'x' \x1b"}}},
		{ID: "four", After: []int{2}, Keep: true, Pull: true, NoDir: true, Network: "host", ExitedWith: []int{1, 2}, ExitedWithout: []int{3}, CancelRest: true, Action: task.Container{Image: "x"}},
		{ID: "five", Action: task.Plugin{Args: []string{"import", "a", "b"}, Instead: "az acr import\n-t b"}},
	}}
	var out strings.Builder
	if err := Describe(&out, "r1", f, ""); err != nil {
		t.Fatal(err)
	}
	want := `# one: at once
docker build '--file=a b' --tag=h:5000/a:1 .

# two: after one, 2 retries
docker push h:5000/a:1

# three: after one, two, in the background
docker run --name=multiarch-r1-three --rm --detach --volume=multiarch-r1-workspace.1:/workspace --workdir=/workspace/d --network=multiarch-r1-own --network-alias=three '--env=A=$b' bash -c 'echo '\''x'\'' `
	const end = `

# four: after three, its failure stops the rest, only after exit code 1 or 2, not after exit code 3
docker run --name=multiarch-r1-four --pull=always --volume=multiarch-r1-workspace.1:/workspace --network=host x

# five: at once, instead of az acr import -t b
docker multiarch import a b
`
	if got, ok := strings.CutPrefix(out.String(), want); !ok || strings.Contains(got, "\x1b") || !strings.HasSuffix(got, end) {
		t.Errorf("%s\nnot\n%s ... %s", out.String(), want, end)
	}
	if err := Describe(io.Discard, "r1", f, "none"); err == nil || !strings.Contains(err.Error(), "none") {
		t.Error(err)
	}
}

// A build that is tried again has its secrets again, and nothing of them is left.
func TestSecretsOfBuildsThatAreTriedAgain(t *testing.T) {
	step := task.Step{ID: "b", Mounts: []task.Mount{{Volume: "v", Path: "/s"}}, Action: task.Build{
		Flags: []string{"--secret=id=a,src=/s/k"}, Tags: []reference.NamedTagged{tagged(t, "a:1")}, Context: "."}}
	t.Setenv("TMPDIR", t.TempDir())
	s := newStage(t, task.File{Steps: []task.Step{step}, Volumes: []task.Volume{{Name: "v", Files: map[string][]byte{"k": nil}}}})
	var lines []string
	for range 2 {
		if _, err := s.run(t, step); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, s.programs.lines[len(s.programs.lines)-1])
	}
	if !strings.Contains(lines[0], "src="+os.TempDir()) || lines[0] == lines[1] {
		t.Errorf("%q", lines) // each has a folder of its own
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

func TestWhatCouldNotBeMadeIsTriedAgain(t *testing.T) {
	step := task.Step{ID: "a", Network: "net", Action: task.Container{Image: "image"}}
	s := newStage(t, task.File{Steps: []task.Step{step}, Networks: []task.Network{{Name: "net"}}})
	full := manifest.Errorf(errdefs.ErrUnavailable, "no address is left")
	s.here.failures = map[string][]error{"network net as multiarch-r1-net": {full}}
	if _, err := s.run(t, step); !errors.Is(err, full) {
		t.Error(err)
	}
	if code, err := s.run(t, step); code != 0 || err != nil {
		t.Error(code, err)
	}
}

func TestWaitingForWhatAnotherStepMakesEnds(t *testing.T) {
	s := newStage(t, task.File{})
	p, err := s.place("")
	if err != nil {
		t.Fatal(err)
	}
	making, done := make(chan struct{}), make(chan error)
	go func() {
		done <- p.once(t.Context(), "net", func() error { close(making); return <-done })
	}()
	<-making
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTimeout)
	unwanted := func() error { t.Error("made twice"); return nil }
	if err := p.once(ctx, "net", unwanted); !errors.Is(err, errTimeout) {
		t.Error(err)
	}
	done <- nil
	if err := errors.Join(<-done, p.once(t.Context(), "net", unwanted)); err != nil {
		t.Error(err)
	}
}

// A step that is stopped while it asks says nothing about the docker command.
func TestBuildxIsAskedUntilThereIsAnAnswer(t *testing.T) {
	s := newStage(t, task.File{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s.hasBuildx(ctx) || !s.hasBuildx(t.Context()) || !s.hasBuildx(ctx) || len(s.programs.lines) != 2 {
		t.Errorf("%q", s.programs.lines)
	}
}

func TestDockerCommandsThatFail(t *testing.T) {
	for script, want := range map[string]struct {
		code int
		text string
	}{
		"exit 3":     {3, "exit code 3"},
		"kill -9 $$": {-1, "signal: killed"},
		"sleep 5 &":  {0, ""}, // as agents that log in do
	} {
		s := newStage(t, task.File{})
		s.programs.script = script
		step := task.Step{ID: "a", Action: task.Docker{Args: []string{"tag", "a", "b"}}}
		code, err := s.run(t, step)
		if code != want.code || (err == nil) != (want.text == "") || err != nil && !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: %d, %v", script, code, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	s := newStage(t, task.File{})
	if _, err := s.run(t, task.Step{ID: "a", Action: task.Docker{Args: []string{"ps"}}}); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "install") {
		t.Error(err)
	}
}

func TestOnlyCommandsAreDetached(t *testing.T) {
	for want, action := range map[string]task.Action{
		"":         task.Push{Images: []reference.Named{tagged(t, "a:1")}},
		"detached": task.Docker{Args: []string{"ps"}},
	} {
		s, got := newStage(t, task.File{}), ""
		step := task.Step{ID: "a", Detach: true, Action: action}
		if _, err := s.Run(t.Context(), step, Output{Stdout: &s.out, Stderr: &s.err}, func() { got = "detached" }); err != nil || got != want {
			t.Errorf("%T: %q, %v", action, got, err)
		}
	}
}

// The user's folder is never written to, whatever a docker command does.
func TestDockerCommandsThatWriteHaveACopy(t *testing.T) {
	s := newStage(t, task.File{})
	s.programs.script = "echo >written"
	for _, args := range []string{"buildx build --output=. .", "build -o out .", "save -o a.tar a", "--context=x build -oout ."} {
		if _, err := s.run(t, task.Step{ID: "a", Action: task.Docker{Args: strings.Fields(args)}}); err != nil {
			t.Error(args, err)
		}
		if left, err := os.ReadDir(s.Context.Dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v", args, left, err)
		}
	}
}
