package run

import (
	"slices"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
)

// A run shares its workspace if what containers write may be needed elsewhere.
func TestShares(t *testing.T) {
	for text, want := range map[string]bool{
		"- cmd: a\n- cmd: b\n":                                           false,
		"- build: -t a .\n- push: [a]\n":                                 false,
		"- build: -t a .\n- push: [a]\n- cmd: a\n- cmd: docker push a\n": false,
		"- build: -t a .\n- cmd: a\n- cmd: docker tag a b\n":             false,
		"- cmd: a\n- build: -t a .\n":                                    true,
		"- build: -t a .\n- {cmd: a, when: ['-']}\n":                     true,
		"- {id: b, build: -t a .}\n- {id: x, cmd: a}\n- {cmd: c, when: [b]}\n- {cmd: d, when: ['-']}\n": true,
		"- build: -t a --iidfile f .\n- cmd: a\n":                                                       true,
		"- cmd: docker save -o f a\n- cmd: a\n":                                                         true,
		"- cmd: docker run -v $SharedVolume:/w a\n- cmd: a\n":                                           true,
		"- cmd: a | cat\n":                                           true,
		"- cmd: --env-file f a\n- cmd: a\n":                          true,
		"- cmd: a\n- {cmd: a, context: arm}\n":                       true,
		"- cmd: docker multiarch push --digest-file f a\n- cmd: a\n": true,
		"- cmd: docker multiarch push a\n- cmd: a\n":                 false,
	} {
		rendered, _ := render.Render(t.Context(), []byte("version: v1.1.0\nsteps:\n"+text), render.Variables{}, nil)
		file, found := task.Parse(rendered)
		if slices.ContainsFunc(found, func(f task.Finding) bool { return f.Severity == task.Error }) {
			t.Fatal(found)
		}
		e := &Executor{Setup: Setup{File: file}}
		if got := e.shares(); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}
