package run

import (
	"os"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
)

// parsed returns the only step of a file with a cmd.
func parsed(t *testing.T, cmd string) task.Step {
	t.Helper()
	rendered, _ := render.Render([]byte("steps:\n- cmd: |\n    "+strings.ReplaceAll(cmd, "\n", "\n    ")+"\n  env: [GREETING=good day]\n"), render.Variables{}, nil)
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
			"docker ps; plugin import q.io/a:1 reg.azurecr.io/a:1; plugin repo purge reg.azurecr.io/a --all --untagged --filter regex:.*(?:b).* --older-than 1d --force", ""},
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
