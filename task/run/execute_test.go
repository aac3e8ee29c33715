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

// fakeDaemon is a daemon that records its calls, and returns the given failures.
type fakeDaemon struct {
	mu       sync.Mutex
	calls    []string
	missing  map[string]bool // images that are not pulled yet
	failures map[string][]error
	existing map[string]bool // containers, networks and volumes of others
	ran      []Container

	multiPlatform bool
}

func (d *fakeDaemon) call(words ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	what := strings.Join(words, " ")
	d.calls = append(d.calls, what)
	if next := d.failures[what]; len(next) > 0 {
		d.failures[what] = next[1:]
		return next[0]
	}
	return nil
}

func (d *fakeDaemon) Run(_ context.Context, c Container, _ Output, started func()) (int, error) {
	err := d.call("run", c.Name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.missing[c.Image] {
		return -1, manifest.Errorf(errdefs.ErrNotFound, "no image %s", c.Image)
	}
	d.ran = append(d.ran, c)
	started()
	return 0, err
}

func (d *fakeDaemon) Pull(_ context.Context, image, platform string, _ io.Writer) error {
	err := d.call(strings.TrimSpace("pull " + image + " " + platform))
	if err == nil {
		delete(d.missing, image)
	}
	return err
}

func (d *fakeDaemon) CreateNetwork(_ context.Context, n task.Network, name string, _ map[string]string) error {
	return d.call("network", n.Name, "as", name)
}

func (d *fakeDaemon) CreateVolume(_ context.Context, name string, _ map[string]string) error {
	return d.call("volume", name)
}

func (d *fakeDaemon) Mount(context.Context, string) error { return nil }

func (d *fakeDaemon) LinkVolume(context.Context, string, map[string]string, map[string]string) error {
	return errdefs.ErrNotImplemented
}

func (d *fakeDaemon) Has(_ context.Context, thing, name string) (bool, error) {
	err := d.call("has", thing, name)
	return err == nil && d.existing[thing+" "+name], err
}

func (d *fakeDaemon) Remove(_ context.Context, label, value string) error {
	return d.call("remove", label+"="+value)
}

func (d *fakeDaemon) Send(_ context.Context, volume string, tar io.Reader) error {
	if _, err := io.Copy(io.Discard, tar); err != nil {
		return err
	}
	return d.call("send", volume)
}

func (d *fakeDaemon) Receive(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(strings.Repeat("\x00", 1024))), nil // an archive without files
}

func (d *fakeDaemon) Push(_ context.Context, name reference.NamedTagged, out io.Writer) (digest.Digest, error) {
	_, _ = io.WriteString(out, "layer: Pushed\n")
	return digest.FromString(name.String()), d.call("push", name.String())
}

func (d *fakeDaemon) Socket(context.Context) (string, error) { return "/run/user/1/docker.sock", nil }

func (d *fakeDaemon) Reach(context.Context) error { return d.call("reach") }

func (d *fakeDaemon) Builds(context.Context) (bool, bool, error) { return true, d.multiPlatform, nil }

// fakePrograms records commands and runs a script instead.
type fakePrograms struct {
	script string // "" for one that succeeds
	mu     sync.Mutex
	lines  []string
	// registries are those of the last docker command.
	registries []string
}

func (p *fakePrograms) note(registries []string, words ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, strings.Join(words, " "))
	p.registries = registries
}

func (p *fakePrograms) Builder(dockerContext string) string { return "builder-" + dockerContext }

func (p *fakePrograms) Docker(ctx context.Context, dockerContext string, registries []string, args ...string) (*exec.Cmd, error) {
	p.note(registries, append([]string{dockerContext, "docker"}, args...)...)
	if p.script == "" {
		return exec.CommandContext(ctx, "true"), nil
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", p.script)
	cmd.WaitDelay = time.Minute
	return cmd, nil
}

func (p *fakePrograms) Plugin(_ context.Context, dockerContext string, workspace *os.Root, dir string, args []string, out Output) int {
	p.note(nil, append([]string{dockerContext, "plugin"}, args...)...)
	if p.script != "pwd" {
		return 0
	}
	if _, err := workspace.Stat(dir); err == nil {
		_, _ = io.WriteString(out.Stdout, "/"+dir+"\n")
	}
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

// testExecutor is an executor with fakes, which has two daemons: that of the run and that of docker context "arm".
type testExecutor struct {
	*Executor
	own, arm *fakeDaemon
	programs *fakePrograms
	out, err locked
}

// locked is a buffer that may be written to concurrently.
type locked struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func newTestExecutor(t *testing.T, f task.File) *testExecutor {
	t.Helper()
	s := &testExecutor{own: &fakeDaemon{}, arm: &fakeDaemon{}, programs: &fakePrograms{}}
	s.Executor = NewExecutor(Setup{
		ID: "r1", File: f, Programs: s.programs, Context: Source{Dir: t.TempDir()},
		Daemon: func(name string) (Daemon, error) {
			switch name {
			case "":
				return s.own, nil
			case "arm":
				return s.arm, nil
			}
			return nil, errors.New("no context " + name)
		},
	})
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	})
	return s
}

func (s *testExecutor) run(t *testing.T, step task.Step) (int, error) {
	t.Helper()
	return s.Run(t.Context(), step, Output{Stdout: &s.out, Stderr: &s.err}, func() {})
}

func TestNetworksAndVolumesAreCreatedOnce(t *testing.T) {
	f := task.File{
		Networks: []task.Network{{Name: "net"}, {Name: "outside", External: true}},
		Volumes:  []task.Volume{{Name: "secret", Files: map[string][]byte{"k": []byte("v")}}},
	}
	step := func(id, network string) task.Step {
		return task.Step{ID: id, Action: task.Container{Image: "image", Args: []string{"a"}}, Network: network, Dir: "../sub",
			Mounts: []task.Mount{{Volume: "secret", Path: "/s"}, {Volume: task.DockerSocket, Path: "/d"}}}
	}
	f.Steps = []task.Step{step("one", "net"), step("two", "net"), step("three", "outside")}
	s := newTestExecutor(t, f)
	s.own.missing = map[string]bool{"image": true}
	for _, each := range f.Steps {
		if code, err := s.run(t, each); code != 0 || err != nil {
			t.Fatal(code, err)
		}
	}
	for what, times := range map[string]int{
		"network net as multiarch-r1-net": 1, "volume multiarch-r1-home.1": 1, "volume multiarch-r1-secret": 1, "send multiarch-r1-secret": 1, "pull image": 1,
		"run multiarch-r1-one": 2, // before the pull and after it
	} {
		n := 0
		for _, call := range s.own.calls {
			if call == what {
				n++
			}
		}
		if n != times {
			t.Errorf("got %d calls of %q, want %d; all calls: %q", n, what, times, s.own.calls)
		}
	}
	c := s.own.ran[0]
	if c.Dir != "/workspace/sub" || c.Network != "multiarch-r1-net" || c.Alias != "one" || c.Labels[Label] != "r1" {
		t.Errorf("got container %+v, want one in /workspace/sub and multiarch-r1-net with the label r1", c)
	}
	want := []Mount{{"multiarch-r1-workspace.1", "/workspace"}, {"multiarch-r1-secret", "/s"}, {"/run/user/1/docker.sock", "/d"}, {"multiarch-r1-home.1", "/acb/home"}}
	if !slices.Equal(c.Mounts, want) {
		t.Errorf("got mounts %v, want %v", c.Mounts, want)
	}
	if got := s.own.ran[2].Network; got != "outside" {
		t.Errorf("got network %s, want outside", got)
	}
}

// meeting is a daemon that creates a network only together with a volume of files.
type meeting struct {
	*fakeDaemon
	network, volume chan struct{}
}

func (m meeting) CreateNetwork(context.Context, task.Network, string, map[string]string) error {
	close(m.network)
	<-m.volume
	return nil
}

func (m meeting) LinkVolume(context.Context, string, map[string]string, map[string]string) error {
	close(m.volume)
	<-m.network
	return nil
}

// The network and the workspace of a container are created concurrently.
func TestCreatesConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := task.Step{ID: "a", Action: task.Container{Image: "image"}, Network: "net"}
		s := newTestExecutor(t, task.File{Steps: []task.Step{step}, Networks: []task.Network{{Name: "net"}}})
		d := meeting{s.own, make(chan struct{}), make(chan struct{})}
		s.Daemon = func(string) (Daemon, error) { return d, nil }
		if _, err := s.run(t, step); err != nil {
			t.Error(err)
		}
	})
}

// Only a container that no later container or step could meet is left to Close.
func TestLastContainerIsLeft(t *testing.T) {
	container := task.Container{Image: "image"}
	for name, tt := range map[string]struct {
		steps []task.Step
		want  []bool
	}{
		"steps":       {[]task.Step{{ID: "a", Action: container}, {ID: "b", Action: container}}, []bool{false, true}},
		"retries":     {[]task.Step{{ID: "a", Action: container, Retries: 1}}, []bool{false}},
		"repetitions": {[]task.Step{{ID: "a", Action: container, Repeat: 1}}, []bool{false}},
		"a script":    {[]task.Step{parsed(t, "image && echo")}, []bool{false}},
	} {
		s := newTestExecutor(t, task.File{Steps: tt.steps})
		for _, step := range tt.steps {
			if _, err := s.run(t, step); err != nil {
				t.Fatal(err)
			}
		}
		var got []bool
		for _, c := range s.own.ran {
			got = append(got, c.Keep)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got containers that are left %t, want %t", name, got, tt.want)
		}
	}
}

// A missing image is pulled for the platform of --platform, and not at all with --pull never.
func TestPullFlags(t *testing.T) {
	s := newTestExecutor(t, task.File{})
	s.own.missing = map[string]bool{"image": true}
	_, err := s.run(t, task.Step{ID: "a", Action: task.Container{Image: "image", Flags: task.RunFlags{NeverPull: true}}})
	if pulled := func(call string) bool { return strings.HasPrefix(call, "pull") }; !errdefs.IsNotFound(err) || slices.ContainsFunc(s.own.calls, pulled) {
		t.Errorf("got calls %q and error %v, want no pull and that the image does not exist", s.own.calls, err)
	}
	if _, err := s.run(t, task.Step{ID: "b", Action: task.Container{Image: "image", Flags: task.RunFlags{Platform: "linux/arm64"}}}); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(s.own.calls, "pull image linux/arm64") {
		t.Errorf("got calls %q, want a pull for linux/arm64", s.own.calls)
	}
}

func TestPullRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := manifest.Errorf(errdefs.ErrUnavailable, "busy")
		step := task.Step{ID: "a", Action: task.Container{Image: "image"}, Pull: true, PullRetries: 2}
		s := newTestExecutor(t, task.File{Steps: []task.Step{step}})
		s.own.failures = map[string][]error{"pull image": {busy, busy}}
		if _, err := s.run(t, step); err != nil {
			t.Errorf("got error %v, want none", err)
		}
		s.own.failures = map[string][]error{"pull image": {busy, busy, busy}}
		if _, err := s.run(t, step); !errors.Is(err, busy) {
			t.Errorf("got error %v, want %v", err, busy)
		}
	})
}

func TestPushRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy, refused := manifest.Errorf(errdefs.ErrUnavailable, "busy"), manifest.Errorf(errdefs.ErrUnauthenticated, "who?")
		a, b := tagged(t, "h:5000/a:1"), tagged(t, "h:5000/b:1")
		step := task.Step{ID: "push", Action: task.Push{Images: []reference.NamedTagged{a, b}}}
		s := newTestExecutor(t, task.File{Steps: []task.Step{step}})
		s.own.failures = map[string][]error{"push h:5000/a:1": {busy, busy}, "push h:5000/b:1": {refused}}
		_, err := s.run(t, step)
		if !errors.Is(err, refused) || errors.Is(err, busy) {
			t.Errorf("got error %v, want %v", err, refused)
		}
		if n := len(s.own.calls); n != 4 {
			t.Errorf("got %d pushes, want 4: %q", n, s.own.calls)
		}
		if want := "h:5000/a:1: " + digest.FromString("h:5000/a:1").String() + "\n"; s.out.String() != want {
			t.Errorf("got output %q, want %q", s.out.String(), want)
		}
		if !strings.Contains(s.err.String(), "h:5000/b:1: layer: Pushed\n") {
			t.Errorf("got progress %q, want that of h:5000/b:1", s.err.String())
		}
	})
}

func TestPushUsesDaemonOfBuild(t *testing.T) {
	a := tagged(t, "h:5000/a:1")
	build := task.Step{ID: "build", Context: "arm", Action: task.Build{Tags: []reference.NamedTagged{a}, Context: "."}}
	push := task.Step{ID: "push", Action: task.Push{Images: []reference.NamedTagged{a}}}
	s := newTestExecutor(t, task.File{Steps: []task.Step{build, push}})
	if _, err := s.run(t, push); err != nil {
		t.Fatal(err)
	}
	if len(s.own.calls) != 0 || !slices.Equal(s.arm.calls, []string{"push h:5000/a:1"}) {
		t.Errorf("got calls %q of the default daemon and %q of arm, want none and the push", s.own.calls, s.arm.calls)
	}
	s.arm.failures = map[string][]error{"push h:5000/a:1": {manifest.Errorf(errdefs.ErrNotFound, "no such image")}}
	if _, err := s.run(t, push); err == nil || err.Error() != "no such image; it is built by step build" {
		t.Errorf("got error %v, want %s", err, "no such image; it is built by step build")
	}
}

func TestBuildOfSeveralPlatforms(t *testing.T) {
	a := tagged(t, "h:5000/a:1")
	build := task.Step{ID: "build", Action: task.Build{Tags: []reference.NamedTagged{a}, Platforms: []string{"linux/amd64", "linux/arm/v7"}, Context: "."}}
	push := task.Step{ID: "push", Action: task.Push{Images: []reference.NamedTagged{a}}}
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
		"another builder":               {true, "many", "many", parts},
		"another builder, one platform": {false, "many", "many", parts},
	} {
		s := newTestExecutor(t, task.File{Steps: []task.Step{build, push}})
		s.own.multiPlatform, s.Builder = tt.multiPlatform, tt.builder
		for _, step := range []task.Step{build, push} {
			if _, err := s.run(t, step); err != nil {
				t.Fatal(err)
			}
		}
		got := slices.Sorted(slices.Values(s.programs.lines)) // side by side
		if want := strings.ReplaceAll(strings.Join(tt.want, "\n"), "BUILDER", tt.named); strings.Join(got, "\n") != want {
			t.Errorf("%s: got commands\n%s\nwant\n%s", name, strings.Join(got, "\n"), want)
		}
	}
}

// A run that starts at the push finds the names of an earlier run's build.
func TestPushOfSeveralPlatformsWithoutBuild(t *testing.T) {
	a := tagged(t, "h:5000/a:1")
	build := task.Step{ID: "build", Context: "arm", Action: task.Build{Tags: []reference.NamedTagged{a}, Platforms: []string{"linux/amd64", "linux/arm64"}, Context: "."}}
	push := task.Step{ID: "push", Action: task.Push{Images: []reference.NamedTagged{a}}}
	s := newTestExecutor(t, task.File{Steps: []task.Step{build, push}})
	if _, err := s.run(t, push); err != nil {
		t.Fatal(err)
	}
	want := []string{"arm plugin create --push --from daemon h:5000/a:1 h:5000/a:1-linux-amd64 h:5000/a:1-linux-arm64"}
	if !slices.Equal(s.programs.lines, want) {
		t.Errorf("%q", s.programs.lines)
	}
	build.Env = []string{"DOCKER_BUILDKIT=0"} // the classic builder builds no parts
	s = newTestExecutor(t, task.File{Steps: []task.Step{build, push}})
	if _, err := s.run(t, push); err != nil || len(s.programs.lines) > 0 {
		t.Errorf("%q, %v", s.programs.lines, err)
	}
}

func TestCachesOfPlatforms(t *testing.T) {
	step := task.Step{ID: "b", Cache: true, Action: task.Build{Tags: []reference.NamedTagged{tagged(t, "h:5000/a:1")},
		Platforms: []string{"linux/amd64", "linux/arm64"}, Context: "."}}
	s := newTestExecutor(t, task.File{Steps: []task.Step{step}})
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
	s := newTestExecutor(t, task.File{Steps: []task.Step{step}})
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
			t.Errorf("%s: got %s, want %s", flag, got, want)
		}
	}
}

func TestPrefixedLines(t *testing.T) {
	var out, err bytes.Buffer
	prefixed, flush := prefixLines(Output{&out, &err}, "a: ")
	for _, text := range []string{"one\ntw", "o\n\nthree", strings.Repeat("x", maxLine)} {
		_, _ = io.WriteString(prefixed.Stdout, text)
	}
	_, _ = io.WriteString(prefixed.Stderr, "failed")
	flush()
	if want := "a: one\na: two\na: \na: three" + strings.Repeat("x", maxLine); strings.TrimSuffix(out.String(), "\n") != want {
		t.Errorf("got stdout %q, want %q and a line break", out.String(), want)
	}
	if err.String() != "a: failed\n" {
		t.Errorf("got stderr %q, want a: failed", err.String())
	}
}

func TestDescribe(t *testing.T) {
	f := task.File{Networks: []task.Network{{Name: "own"}, {Name: "host", External: true}}, Steps: []task.Step{
		{ID: "one", Action: task.Build{Flags: []string{"--file=a b"}, Tags: []reference.NamedTagged{tagged(t, "h:5000/a:1")}, Context: "."}},
		{ID: "two", After: []int{0}, Retries: 2, Action: task.Push{Images: []reference.NamedTagged{tagged(t, "h:5000/a:1")}}},
		{ID: "three", After: []int{0, 1}, Dir: "d", Env: []string{"A=$b"}, Detach: true, Network: "own", Action: task.Container{Image: "bash", Args: []string{"-c", "echo 'x' \x1b"}}},
		{ID: "four", After: []int{2}, Keep: true, Pull: true, NoDir: true, Network: "host", Env: []string{"HOME=/h"}, Mounts: []task.Mount{{Volume: "h", Path: "/acb/home/"}}, Logins: []string{"a.io", "b.io:5000"}, ExitedWith: []int{1, 2}, ExitedWithout: []int{3}, CancelRest: true, Action: task.Container{Image: "x"}},
		{ID: "five", Action: task.Plugin{Commands: [][]string{{"import", "a", "b"}}, Replaces: "az acr import\n-t b"}},
	}}
	var out strings.Builder
	if err := Describe(&out, "r1", f, ""); err != nil {
		t.Fatal(err)
	}
	want := `# one: immediately
docker build '--file=a b' --tag=h:5000/a:1 .

# two: after one, 2 retries
docker push h:5000/a:1

# three: after one, two, in the background
docker run --name=multiarch-r1-three --rm --detach --volume=multiarch-r1-workspace.1:/workspace --volume=multiarch-r1-home.1:/acb/home --workdir=/workspace/d --network=multiarch-r1-own --network-alias=three '--env=A=$b' --env=HOME=/acb/home bash -c 'echo '\''x'\'' `
	const end = `

# four: after three, with your login of a.io, b.io:5000, cancels the other steps if it fails, only after exit code 1 or 2, not after exit code 3
docker run --name=multiarch-r1-four --pull=always --volume=multiarch-r1-workspace.1:/workspace --volume=multiarch-r1-h:/acb/home/ --network=host --env=HOME=/h x

# five: immediately, instead of az acr import -t b
docker multiarch import a b
`
	if got, ok := strings.CutPrefix(out.String(), want); !ok || strings.Contains(got, "\x1b") || !strings.HasSuffix(got, end) {
		t.Errorf("got\n%s\nwant\n%s ... %s", out.String(), want, end)
	}
	if err := Describe(io.Discard, "r1", f, "none"); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got error %v, want %s", err, "none")
	}
}

// Each attempt of a build has the secrets in a new folder, which is removed.
func TestSecretsOfRetriedBuilds(t *testing.T) {
	step := task.Step{ID: "b", Mounts: []task.Mount{{Volume: "v", Path: "/s"}}, Action: task.Build{
		Flags: []string{"--secret=id=a,src=/s/k"}, Tags: []reference.NamedTagged{tagged(t, "a:1")}, Context: "."}}
	t.Setenv("TMPDIR", t.TempDir())
	s := newTestExecutor(t, task.File{Steps: []task.Step{step}, Volumes: []task.Volume{{Name: "v", Files: map[string][]byte{"k": nil}}}})
	s.Folder = t.TempDir() // which is not among the files of the run, as TMPDIR may be
	var lines []string
	for range 2 {
		if _, err := s.run(t, step); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, s.programs.lines[len(s.programs.lines)-1])
	}
	if !strings.Contains(lines[0], "src="+s.Folder) || lines[0] == lines[1] {
		t.Errorf("got commands %q, want different folders", lines)
	}
	if left, err := os.ReadDir(s.Folder); err != nil || len(left) > 0 {
		t.Errorf("got files %v and error %v after the builds, want none", left, err)
	}
}

func TestNetworkIsCreatedAfterFailure(t *testing.T) {
	step := task.Step{ID: "a", Network: "net", Action: task.Container{Image: "image"}}
	s := newTestExecutor(t, task.File{Steps: []task.Step{step}, Networks: []task.Network{{Name: "net"}}})
	full := manifest.Errorf(errdefs.ErrUnavailable, "no address is left")
	s.own.failures = map[string][]error{"network net as multiarch-r1-net": {full}}
	if _, err := s.run(t, step); !errors.Is(err, full) {
		t.Errorf("got error %v, want %v", err, full)
	}
	if code, err := s.run(t, step); code != 0 || err != nil {
		t.Error(code, err)
	}
}

// A step that is stopped while it looks for buildx does not decide whether the docker command has it.
func TestHasBuildxIsRememberedOnceKnown(t *testing.T) {
	s := newTestExecutor(t, task.File{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s.hasBuildx(ctx) || !s.hasBuildx(t.Context()) || !s.hasBuildx(ctx) || len(s.programs.lines) != 1 {
		t.Errorf("got commands %q, want one", s.programs.lines)
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
		s := newTestExecutor(t, task.File{})
		s.programs.script = script
		step := task.Step{ID: "a", Action: task.Docker{Args: []string{"tag", "a", "b"}}}
		code, err := s.run(t, step)
		if code != want.code || (err == nil) != (want.text == "") || err != nil && !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: got exit code %d and error %v, want %d and %q", script, code, err, want.code, want.text)
		}
	}
	t.Setenv("PATH", t.TempDir())
	s := newTestExecutor(t, task.File{})
	if _, err := s.run(t, task.Step{ID: "a", Action: task.Docker{Args: []string{"ps"}}}); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "install") {
		t.Errorf("got error %v, want %s", err, "install")
	}
}

func TestOnlyCommandsAreDetached(t *testing.T) {
	for want, action := range map[string]task.Action{
		"":         task.Push{Images: []reference.NamedTagged{tagged(t, "a:1")}},
		"detached": task.Docker{Args: []string{"ps"}},
	} {
		s, got := newTestExecutor(t, task.File{}), ""
		step := task.Step{ID: "a", Detach: true, Action: action}
		if _, err := s.Run(t.Context(), step, Output{Stdout: &s.out, Stderr: &s.err}, func() { got = "detached" }); err != nil || got != want {
			t.Errorf("%T: got %q and error %v, want %q", action, got, err, want)
		}
	}
}

// Docker commands that write run in a copy of the user's folder.
func TestDockerCommandsWriteToCopy(t *testing.T) {
	s := newTestExecutor(t, task.File{})
	s.programs.script = "echo >written"
	for _, args := range []string{"buildx build --output=. .", "build -o out .", "save -o a.tar a", "--context=x build -oout ."} {
		if _, err := s.run(t, task.Step{ID: "a", Action: task.Docker{Args: strings.Fields(args)}}); err != nil {
			t.Error(args, err)
		}
		if left, err := os.ReadDir(s.Context.Dir); err != nil || len(left) > 0 {
			t.Errorf("%s: got files %v in the user's folder and error %v, want none", args, left, err)
		}
	}
}

// A working directory that does not exist is made in a copy of the context; links lead nowhere.
// The containers of a kept step's attempts have different names, whatever gives the first its name.
func TestNamesOfKeptContainers(t *testing.T) {
	for name, want := range map[string]string{"": "multiarch-r1-a multiarch-r1-a-2", "n": "n n-2"} {
		s := newTestExecutor(t, task.File{})
		step := task.Step{ID: "a", Keep: true, Retries: 1, Action: task.Container{Image: "app", Flags: task.RunFlags{Name: name}}}
		for range 2 {
			if _, err := s.run(t, step); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.own.ran[0].Name + " " + s.own.ran[1].Name; got != want {
			t.Errorf("--name=%s: got containers %s, want %s", name, got, want)
		}
	}
}

// The time to name the objects of a file does not grow with the square of its size.
func TestDescribeLargeFile(t *testing.T) {
	f := task.File{Steps: []task.Step{
		{ID: "a", Action: task.Docker{Args: strings.Fields("ps " + strings.Repeat("word ", 30_000))}},
		{ID: "b", Action: task.Container{Image: "app"}, Mounts: slices.Repeat([]task.Mount{{Volume: "v", Path: "/v"}}, 5000)},
	}}
	start := time.Now()
	if err := Describe(io.Discard, "r1", f, ""); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("got error %v after %v, want none at once", err, time.Since(start))
	}
}

// Git runs only in a folder of the user, and in a repository that the run has checked out and in which no step writes.
func TestGitOfBuilds(t *testing.T) {
	build := task.Step{ID: "a", Action: task.Build{Context: "."}}
	writes := task.Step{ID: "b", Action: task.Container{Image: "app"}}
	for _, tt := range []struct {
		context Source
		steps   []task.Step
		want    bool
	}{
		{Source{}, []task.Step{build, writes}, true},
		{Source{temporary: "tar"}, []task.Step{build}, false},
		{Source{temporary: "clone", Commit: "1"}, []task.Step{build}, true},
		{Source{temporary: "clone", Commit: "1"}, []task.Step{build, writes}, false},
	} {
		s := newTestExecutor(t, task.File{Steps: tt.steps})
		s.programs.script = `echo "git=$BUILDX_GIT_INFO"`
		tt.context.Dir = s.Context.Dir
		s.Context = tt.context
		if _, err := s.run(t, build); err != nil || (s.out.String() == "git=\n") != tt.want {
			t.Errorf("%+v: got output %q and error %v, want git to run: %t", tt.context, s.out.String(), err, tt.want)
		}
	}
}

func TestWorkingDirectoryIsMade(t *testing.T) {
	s := newTestExecutor(t, task.File{})
	s.programs.script = "pwd"
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(s.Context.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, action := range []task.Action{task.Docker{Args: []string{"build", "-"}}, task.Build{Context: "."},
		task.Plugin{Commands: [][]string{{"create", "--metadata-file", "m"}}}, task.Plugin{Commands: [][]string{{"repo", "tags"}}}} {
		s.out.Reset()
		if _, err := s.run(t, task.Step{ID: "a", Dir: "new/../new/dir", Action: action}); err != nil || !strings.HasSuffix(s.out.String(), "/new/dir\n") {
			t.Errorf("%T: got folder %q and error %v, want new/dir", action, s.out.String(), err)
		}
		for _, dir := range []string{"link", "link/new"} {
			if _, err := s.run(t, task.Step{ID: "a", Dir: dir, Action: action}); err == nil || !strings.Contains(err.Error(), "workingDirectory "+dir) {
				t.Errorf("%T: got error %v in folder %s, want one that names it", action, err, dir)
			}
		}
	}
	for _, dir := range []string{filepath.Join(s.Context.Dir, "new"), filepath.Join(outside, "new")} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got error %v for %s, want that it does not exist", err, dir)
		}
	}
}

// What a docker command says that it has pushed is reported, its output unchanged.
func TestPushesOfDockerCommands(t *testing.T) {
	hex := "sha256:" + strings.Repeat("a", 64)
	for _, c := range []struct {
		args         []string
		output, want string
	}{
		{[]string{"push", "h.io/a:1"}, "The push refers to repository [h.io/a]\n1: digest: " + hex + " size: 528\n", "h.io/a:1 " + hex},
		{[]string{"push", "-a", "a"}, "1: digest: " + hex + " size: 528\nlatest: digest: " + hex + " size: 528", "docker.io/library/a:1 " + hex + ", docker.io/library/a:latest " + hex},
		{[]string{"buildx", "build", "--push", "."}, "#7 pushing manifest for h.io/b:2@" + hex + "\n#7 pushing manifest for h.io/b:2@" + hex + " 0.1s done\n", "h.io/b:2 " + hex},
		{[]string{"buildx", "build", "--push", "."}, "#8 pushing h.io/b:2 with docker\n#8 pushing layer 0\n#8 pushing h.io/b:2 with docker\n#8 DONE\n", "h.io/b:2 "},
		{[]string{"pull", "h.io/a:1"}, "1: digest: " + hex + " size: 528\n", ""},
	} {
		s := newTestExecutor(t, task.File{})
		var got []string
		s.Pushed = func(name string, d digest.Digest) { got = append(got, name+" "+d.String()) }
		s.programs.script = "printf %s '" + c.output + "'"
		if _, err := s.run(t, task.Step{ID: "a", Action: task.Docker{Args: c.args}}); err != nil || strings.Join(got, ", ") != c.want || s.out.String() != c.output {
			t.Errorf("%q: got %q, output %q and error %v, want %s and output %q", c.args, got, s.out.String(), err, c.want, c.output)
		}
	}
}
