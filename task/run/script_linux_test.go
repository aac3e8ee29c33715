package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
)

// Texts that try to run a program of this machine or to leave the workspace are refused by the parser or the workspace.
func TestHostileScripts(t *testing.T) {
	for _, tt := range []struct{ cmd, want string }{
		{"docker ps; docker --config ./cfg pwn", "the only flag allowed before a docker command is --context, at column 12 of the text"},
		{"docker ps; docker -- run --privileged app", "expected docker COMMAND, found no command, at column 12 of the text"},
		{"docker ps && docker pwn", `a task cannot run docker "pwn"`},
		{"docker ps; $X pwn", `"$X" is not the name of an image`},
		{"docker ps; X=docker; $X ps", `"$X" is not the name of an image`},
		{"docker tag $(./pwn)", `"./pwn" cannot follow another command`},
		{"docker ps | ./pwn", `"./pwn" cannot follow another command`},
		{"docker ps; C=pwn; docker $C", `a task cannot run docker "$C"`},
		{"docker ps; eval pwn", `"eval" cannot follow`},
		{"docker ps; . ./pwn", "at column 12"},
		{"docker ps\n\nwhile true; do docker ps; done", "at line 3, column 1 of the text"},
		{"docker ps > out &", "at column 17 of the text"},
		{"docker multiarch task run .", "a task cannot run docker multiarch task"},
		{"docker ps; export DOCKER_CONFIG=./cfg PATH=. LD_PRELOAD=./pwn.so; docker images", ""},
		{"docker ps; echo pwn > ../pwn", "outside of /workspace"},
		{"docker ps; echo pwn > link", "escapes"},
		{"docker ps > up/pwn", "escapes"},
		{"docker ps; cat /etc/passwd", "outside of /workspace"},
		{"docker ps; cat pipe", "neither a file nor a folder"},
		{"docker ps > pipe", ""},
		{"docker ps; cd up && echo pwn > pwn", "escapes"},
		{"docker ps; export 'A\nB=pwn'", "expected NAME"},
		{"docker ps; docker tag a $(echo 'b; ./pwn')", ""},
	} {
		s := newTestExecutor(t, task.File{})
		outer := filepath.Dir(s.Context.Dir)
		before, _ := os.ReadDir(outer)
		outside := filepath.Join(outer, "pwn")
		if err := errors.Join(os.Symlink(outside, filepath.Join(s.Context.Dir, "link")), os.Symlink("..", filepath.Join(s.Context.Dir, "up")),
			syscall.Mkfifo(filepath.Join(s.Context.Dir, "pipe"), 0o600)); err != nil {
			t.Fatal(err)
		}
		rendered, _ := render.Render(t.Context(), []byte("steps:\n- cmd: |\n    "+strings.ReplaceAll(tt.cmd, "\n", "\n    ")+"\n"), render.Variables{}, nil)
		file, findings := task.Parse(rendered)
		got := fmt.Sprint(findings)
		if len(findings) == 0 {
			_, err := s.run(t, file.Steps[0])
			got = fmt.Sprint(err, s.err.String())
		}
		if !strings.Contains(got, tt.want) || tt.want == "" && got != "<nil>" {
			t.Errorf("%s: got %s, want %q", tt.cmd, got, tt.want)
		}
		if after, err := os.ReadDir(outer); err != nil || len(after) != len(before) {
			t.Errorf("%s: got files %v and error %v beside the context, want %v", tt.cmd, after, err, before)
		}
		for _, line := range s.programs.lines {
			if !strings.HasPrefix(line, " docker ") {
				t.Errorf("%s: got program %q, want only docker", tt.cmd, line)
			}
		}
	}
}
