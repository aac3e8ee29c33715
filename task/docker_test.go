package task

import (
	"reflect"
	"strings"
	"testing"
)

// Each flag of docker run that may come before the image of a cmd, by all its names.
func TestEachRunFlag(t *testing.T) {
	all := []struct {
		names, value string
		want         RunFlags
	}{
		{"-t --tty", "", RunFlags{}},
		{"-i --interactive", "", RunFlags{}},
		{"--rm", "", RunFlags{}},
		{"-d --detach", "", RunFlags{Detach: true}},
		{"--init", "", RunFlags{Init: true}},
		{"--privileged", "", RunFlags{Privileged: true}},
		{"-e --env", "A=b c", RunFlags{Env: []string{"A=b c"}}},
		{"--env-file", "a.env", RunFlags{EnvFiles: []string{"a.env"}}},
		{"-v --volume", "data:/data", RunFlags{Mounts: []Mount{{"data", "/data"}}}},
		{"-v --volume", DockerSocket + ":" + DockerSocket, RunFlags{Mounts: []Mount{{DockerSocket, DockerSocket}}}},
		{"-w --workdir", "/app", RunFlags{Dir: "/app"}},
		{"-p --publish", "8080:80", RunFlags{Ports: []string{"8080:80"}}},
		{"--entrypoint", "sh", RunFlags{EntryPoint: "sh"}},
		{"--network", "net", RunFlags{Network: "net"}},
		{"-u --user", "1:2", RunFlags{User: "1:2"}},
		{"-m --memory", "512m", RunFlags{Memory: 512 << 20}},
		{"--platform", "linux/arm64", RunFlags{Platform: "linux/arm64"}},
		{"--name", "web", RunFlags{Name: "web"}},
		{"--add-host", "db:10.0.0.1", RunFlags{Hosts: []string{"db:10.0.0.1"}}},
		{"-l --label", "a=b", RunFlags{Labels: []string{"a=b"}}},
		{"--pull", "always", RunFlags{Pull: true}},
		{"--pull", "never", RunFlags{NeverPull: true}},
	}
	listed := map[string]bool{}
	for _, c := range all {
		for name := range strings.FieldsSeq(c.names) {
			listed[name] = true
			forms := [][]string{{name}}
			if c.value != "" {
				forms = [][]string{{name, c.value}, {name + "=" + c.value}}
			}
			for _, words := range forms {
				got, rest, err := parseRun(append(words, "image", name, "--other"))
				if want := []string{"image", name, "--other"}; err != nil || !reflect.DeepEqual(got, c.want) || !reflect.DeepEqual(rest, want) {
					t.Errorf("%q: got %+v, rest %q and error %v, want %+v and rest %q", words, got, rest, err, c.want, want)
				}
			}
		}
	}
	for name := range strings.FieldsSeq(strings.NewReplacer(",", "", " and ", " ").Replace(runFlagNames)) {
		if !listed[name] {
			t.Errorf("got %s in the list of flags, want only flags that are tested", name)
		}
	}
}

// Other flags are an error with the list, other values one with what is expected.
func TestRunFlagsThatAreRefused(t *testing.T) {
	for words, want := range map[string]string{
		"--cap-add=ALL image":     runFlagNames,
		"--mount type=bind image": runFlagNames,
		"-x image":                runFlagNames,
		"-t":                      "expected an image",
		"-t -e A=b":               "expected an image",
		"-v /etc:/etc image":      "cannot mount folders of this machine",
		"-v ./x:/x image":         "cannot mount folders of this machine",
		"-v ../x:/x image":        "cannot mount folders of this machine",
		"-v data image":           "expected VOLUME:PATH",
		"-m much image":           "expected a size",
		"--pull maybe image":      "expected always, missing or never",
		"--add-host db image":     "expected HOST:IP",
		"-p x image":              "expected [[IP:]HOST-PORT:]PORT",
		"--detach=maybe image":    "--detach",
	} {
		_, _, err := parseRun(strings.Fields(words))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", words, err, want)
		}
	}
}
