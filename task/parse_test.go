package task

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distribution/reference"
)

// example is a file and its findings.
type example struct{ file, findings string }

// examples reads a file in testdata. Lines of = separate examples; a line of - separates a file from its findings.
func examples(t *testing.T, name string) []example {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	for one := range strings.SplitSeq(string(raw), "====\n") {
		file, findings, ok := strings.Cut(one, "----\n")
		if !ok {
			t.Fatalf("the example has no line of -:\n%s", one)
		}
		all = append(all, example{file, findings})
	}
	return all
}

func lines(findings []Finding) string {
	var out strings.Builder
	for _, f := range findings {
		out.WriteString(f.String() + "\n")
	}
	return out.String()
}

// parsed returns a valid file.
func parsed(t *testing.T, text string) File {
	t.Helper()
	f, findings := Parse(Rendered{Text: text})
	if len(findings) > 0 {
		t.Fatalf("%s\ngot findings\n%swant none", text, lines(findings))
	}
	return f
}

func TestRejected(t *testing.T) {
	for _, e := range examples(t, "rejected.txt") {
		_, findings := Parse(Rendered{Text: e.file})
		if got := lines(findings); got != e.findings {
			t.Errorf("%s\ngot findings\n%swant\n%s", e.file, got, e.findings)
		}
		if strings.Contains(lines(findings), "hunter2") {
			t.Errorf("%s\ngot a secret in\n%s", e.file, lines(findings))
		}
	}
}

func TestNoSteps(t *testing.T) {
	for text, at := range map[string]Position{"version: v1.1.0\n": {1, 1}, "steps:\n": {1, 1}, "env: [A=1]\nsteps: []\n": {2, 8}} {
		_, findings := Parse(Rendered{Text: text})
		if len(findings) != 1 || findings[0].Severity != Warning || findings[0].Position != at {
			t.Errorf("%q: got findings %v, want a warning at %v", text, findings, at)
		}
	}
	_, findings := Parse(Rendered{Text: "steps: [cmd: alpine]\n---\nsteps: [cmd: alpine]\n"})
	if len(findings) != 1 || findings[0].Severity != Warning || findings[0].Position != (Position{2, 1}) {
		t.Errorf("second document: got findings %v, want a warning at 2:1", findings)
	}
}

func TestDefaults(t *testing.T) {
	f := parsed(t, "steps:\n- cmd: alpine\n- push: app\n")
	step := Step{
		Position: Position{2, 3}, ID: "acb_step_0", Action: Container{Image: "alpine", Args: []string{}},
		Timeout: 10 * time.Minute, RetryDelay: 5 * time.Second, Network: "acb_default_network",
	}
	second := step
	second.Position, second.ID, second.After = Position{3, 3}, "acb_step_1", []int{0}
	second.Action = Push{[]reference.NamedTagged{name(t, "app:latest")}}
	want := File{
		Steps:    []Step{step, second},
		Networks: []Network{{Name: "acb_default_network", Driver: "bridge"}},
	}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got\n%+v, want\n%+v", f, want)
	}
}

func name(t *testing.T, s string) reference.NamedTagged {
	t.Helper()
	n, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		t.Fatal(err)
	}
	return n.(reference.NamedTagged)
}

func TestEveryProperty(t *testing.T) {
	f := parsed(t, `version: V1.1.0
stepTimeout: 60
totalTimeout: 3600
workingDirectory: /src
env: ["A=1,B=2", C=x]
secrets:
- {id: token, keyvault: "https://v.vault.azure.net/secrets/token", clientID: 01234567-89ab-cdef-0123-456789abcdef}
networks:
- {name: front, isDefault: true}
- {name: back, driver: overlay, ipv6: yes, skipCreation: true, isDefault: on}
volumes:
- {name: data}
- name: keys
  secret: {key: aHVudGVyMg==}
steps:
- id: one
  cmd: alpine echo "a b" $x
  timeout: 5
  startDelay: 1
  retries: 2
  retryDelay: 3
  retryOnErrors: [timed out]
  repeat: 4
  ignoreErrors: true
  detach: true
  keep: true
  context: arm
  onError: cancel
  workingDirectory: sub/dir
  disableWorkingDirectoryOverride: true
  env: [B=3, 'D="x y"', 'E={"a":1}', F=]
  pull: true
  cmdDownloadRetries: 6
  cmdDownloadRetryDelay: 7
  entryPoint: /bin/sh
  user: 1000
  network: front
  isolation: Default
  cpus: 1.5
  privileged: true
  expose: [80, 90-91/udp]
  ports: ["8080:80", "127.0.0.1:1:1"]
  volumeMounts:
  - {name: data, mountPath: /data}
  - {name: /var/run/docker.sock, mountPath: /var/run/docker.sock}
  logins: [docker.io, "h.example:5000"]
- {id: two, build: ., cache: Enabled, when: ["-"]}
- {id: three, push: app, when: [two, one, two], exitedWith: [1, 2], exitedWithout: [3], network: host}
`)
	one := Step{
		Position: Position{16, 3}, ID: "one", Action: Container{Image: "alpine", Args: []string{"echo", "a b", "$x"}},
		Timeout: 5 * time.Second, StartDelay: time.Second, Retries: 2, RetryDelay: 3 * time.Second,
		RetryOnErrors: []string{"timed out"}, Repeat: 4, IgnoreErrors: true, CancelRest: true, Detach: true, Keep: true,
		Context: "arm", Dir: "sub/dir", NoDir: true, Env: []string{"A=1", "B=3", "C=x", "D=x y", `E={"a":1}`, "F="},
		Pull: true, PullRetries: 6, PullRetryDelay: 7 * time.Second, EntryPoint: "/bin/sh", User: "1000",
		Network: "front", Isolation: "default", CPUs: "1.5", Privileged: true,
		Expose: []string{"80", "90-91/udp"}, Ports: []string{"8080:80", "127.0.0.1:1:1"},
		Mounts: []Mount{{"data", "/data"}, {DockerSocket, DockerSocket}}, Logins: []string{"docker.io", "h.example:5000"},
	}
	common := Step{Timeout: time.Minute, RetryDelay: 5 * time.Second, Dir: "src", Env: []string{"A=1", "B=2", "C=x"}, Network: "back"}
	two, three := common, common
	two.Position, two.ID, two.Action, two.Cache = Position{47, 3}, "two", Build{Context: "."}, true
	three.Position, three.ID, three.Action = Position{48, 3}, "three", Push{[]reference.NamedTagged{name(t, "app:latest")}}
	three.After, three.ExitedWith, three.ExitedWithout, three.Network = []int{0, 1}, []int{1, 2}, []int{3}, "host"
	want := File{
		Timeout: time.Hour, Steps: []Step{one, two, three},
		Networks: []Network{
			{"front", "bridge", false, false},
			{"back", "overlay", true, true},
			{"host", "host", false, true},
		},
		Volumes: []Volume{{Name: "data"}, {"keys", map[string][]byte{"key": []byte("hunter2")}}},
		Secrets: []string{"token"},
	}
	for i := range want.Steps {
		if !reflect.DeepEqual(f.Steps[i], want.Steps[i]) {
			t.Errorf("got\n%+v, want\n%+v", f.Steps[i], want.Steps[i])
		}
	}
	f.Steps, want.Steps = nil, nil
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got\n%+v, want\n%+v", f, want)
	}
}

// Steps without when wait for the previous one.
func TestWhen(t *testing.T) {
	for _, tt := range []struct {
		when string // of the third step
		want []int
	}{
		{"", []int{1}}, {"[]", []int{1}}, {"['-']", nil}, {"'-'", nil}, {"a", []int{0}}, {"[b, a]", []int{0, 1}},
		{"[a, a]", []int{0}}, {"[acb_root]", nil}, {"[acb_root, a]", []int{0}},
	} {
		f := parsed(t, "steps:\n- {id: a, cmd: x}\n- {id: b, cmd: x}\n- cmd: x\n  when: "+tt.when+"\n")
		if got := f.Steps[2].After; !slices.Equal(got, tt.want) {
			t.Errorf("when: %s: got steps %v, want %v", tt.when, got, tt.want)
		}
	}
}

func TestNetworks(t *testing.T) {
	for _, tt := range []struct{ networks, want string }{
		{"", "acb_default_network"},
		{"networks: []\n", "acb_default_network"},
		{"networks: [{name: a}]\n", ""},
		{"networks: [{name: a, isDefault: true}, {name: b}]\n", "a"},
		{"networks: [{name: a, isDefault: true}, {name: b, isDefault: true}]\n", "b"},
	} {
		if got := parsed(t, tt.networks+"steps: [cmd: x]\n").Steps[0].Network; got != tt.want {
			t.Errorf("%s: got network %q, want %q", tt.networks, got, tt.want)
		}
	}
}

func TestPush(t *testing.T) {
	f := parsed(t, "steps:\n- push: [a, 'a:latest', 'h:5000/a', 'h:5000/a:1', docker.io/library/a]\n")
	var got []string
	for _, image := range f.Steps[0].Action.(Push).Images {
		got = append(got, reference.FamiliarString(image))
	}
	if want := []string{"a:latest", "h:5000/a:latest", "h:5000/a:1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A push has its own retries, and is never detached.
func TestPushHasNoRetries(t *testing.T) {
	s := parsed(t, "steps: [{push: a, retries: 1, retryOnErrors: [x], repeat: 2, detach: true}]").Steps[0]
	if s.Retries != 0 || s.RetryOnErrors != nil || s.Repeat != 0 || s.Detach {
		t.Errorf("got %+v, want no retries, no repetitions and not detached", s)
	}
}

func TestAnchors(t *testing.T) {
	f := parsed(t, `
env: &env [A=1]
one: &one {cmd: alpine, timeout: 5, retries: 1}
two: &two {timeout: 6, repeat: 2}
steps:
- <<: *one
  env: *env
- <<: [*one, *two]
  retries: 3
- &last
  <<: *two
  cmd: alpine
- *last
`)
	for i, want := range []Step{
		{Timeout: 5 * time.Second, Retries: 1},
		{Timeout: 5 * time.Second, Retries: 3, Repeat: 2},
		{Timeout: 6 * time.Second, Repeat: 2},
		{Timeout: 6 * time.Second, Repeat: 2},
	} {
		if s := f.Steps[i]; s.Timeout != want.Timeout || s.Retries != want.Retries || s.Repeat != want.Repeat {
			t.Errorf("step %d: got %+v, want %+v", i, s, want)
		}
	}
}

// YAML aliases cannot make a small file a large one.
func TestLimits(t *testing.T) {
	env := "x: &env [" + strings.Repeat("A=1, ", 1000) + "]\ny: &step {cmd: alpine, env: *env}\n"
	for text, want := range map[string]string{
		env + "steps: [" + strings.Repeat("*step, ", 1000) + "]\n": "more than 50000 values",
		"steps:\n" + strings.Repeat("- cmd: alpine\n", 1001):       "2:1: error: steps: expected at most 1000 steps, found 1001",
		"x: " + strings.Repeat("[", 20_000):                        "exceeded max depth",
	} {
		_, findings := Parse(Rendered{Text: text})
		if !strings.Contains(lines(findings), want) {
			t.Errorf("%.40s...: got findings %.200s, want one with %s", text, lines(findings), want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"rejected.txt", "lints.txt"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		for one := range strings.SplitSeq(string(raw), "====\n") {
			file, _, _ := strings.Cut(one, "----\n")
			f.Add(file)
		}
	}
	f.Add("steps:\n- cmd: |\n    -e A=$B app \"$(docker ps)\" | cat <<E > out && docker run -v a:/b x || exit 1\n    $A\n    E\n  env: [A=~]\n")
	f.Add("alias: {values: {a: docker b}}\nsteps:\n- {id: x, cmd: \"acr purge -r r --filter 'a:.*' --ago 1d; az acr import --source a/b:1\", when: ['-']}\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := Rendered{Text: text}
		file, findings := Parse(r)
		if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Error }) {
			findings = append(findings, Lints(r, file, func(Step) ([]byte, error) { return []byte(text), nil })...)
			_ = NewGraph(file).Dot()
		}
		last := 2 - strings.Count(text, "\r\n") // YAML may report a missing value after the end
		for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
			last += strings.Count(text, end)
		}
		for _, f := range findings {
			if f.Line < 1 || f.Line > last || f.Column < 1 || f.Column > len(text)+1 {
				t.Errorf("got finding %s, want it in lines 1 to %d", f, last)
			}
		}
		for i, s := range file.Steps {
			for _, a := range s.After {
				if a >= i {
					t.Errorf("step %d: got dependency %d, want an earlier step", i, a)
				}
			}
		}
	})
}
