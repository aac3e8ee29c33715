package run

import (
	"slices"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// A step may set HOME, and may mount a volume of its own at the path of the run's.
func TestHomeOfStep(t *testing.T) {
	f := task.File{Volumes: []task.Volume{{Name: "home"}}}
	f.Steps = []task.Step{
		{ID: "own", Action: task.Container{Image: "app"}, Env: []string{"HOME=/root"}},
		{ID: "mounted", Action: task.Container{Image: "app"}, Mounts: []task.Mount{{Volume: "home", Path: "/acb/home/"}}},
	}
	s := newTestExecutor(t, f)
	for _, step := range f.Steps {
		if _, err := s.run(t, step); err != nil {
			t.Fatal(err)
		}
	}
	workspace, own := Mount{"multiarch-r1-workspace.1", "/workspace"}, Mount{"multiarch-r1-home", "/acb/home/"}
	for i, want := range []Container{
		{Env: []string{"HOME=/root"}, Mounts: []Mount{workspace, {"multiarch-r1-home.1", "/acb/home"}}},
		{Env: []string{"HOME=/acb/home"}, Mounts: []Mount{workspace, own}},
	} {
		if got := s.own.ran[i]; !slices.Equal(got.Env, want.Env) || !slices.Equal(got.Mounts, want.Mounts) {
			t.Errorf("got env %q and mounts %q, want %q and %q", got.Env, got.Mounts, want.Env, want.Mounts)
		}
	}
}
