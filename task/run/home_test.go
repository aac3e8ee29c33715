package run

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
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

// A step with logins gets a config.json of docker with these, and a warning; the others do not.
func TestLoginsOfStep(t *testing.T) {
	s := newTestExecutor(t, task.File{})
	s.ConfigFile = func(registries []string) ([]byte, error) {
		if registries[0] == "broken.example" {
			return nil, errBroken
		}
		return []byte(strings.Join(registries, " ")), nil
	}
	step := task.Step{ID: "a", Action: task.Container{Image: "app:1"}, Env: []string{"DOCKER_CONFIG=/own", "A=1"}}
	for _, logins := range [][]string{nil, {"a.example", "b.example"}} {
		step.Logins = logins
		if _, err := s.run(t, step); err != nil {
			t.Fatal(err)
		}
	}
	if without := s.own.ran[0]; without.Archive != nil || without.Env[0] != "DOCKER_CONFIG=/own" {
		t.Errorf("got archive %q and env %q without logins, want none and the step's", without.Archive, without.Env)
	}
	got := s.own.ran[1]
	archive := tar.NewReader(bytes.NewReader(got.Archive))
	header, err := archive.Next()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(archive)
	if err != nil || header.Name != "acb/docker/config.json" || string(content) != "a.example b.example" || slices.Contains(got.Env, "DOCKER_CONFIG=/own") || !slices.Contains(got.Env, "DOCKER_CONFIG=/acb/docker") {
		t.Errorf("got file %s with %q, env %q and error %v, want the config.json in DOCKER_CONFIG", header.Name, content, got.Env, err)
	}
	if want := "WARNING: image app:1 can read your login of a.example, b.example\n"; s.err.String() != want {
		t.Errorf("got %q on stderr, want %q", s.err.String(), want)
	}
	step.Logins = []string{"broken.example"}
	if _, err := s.run(t, step); !errors.Is(err, errBroken) {
		t.Errorf("got error %v, want %v", err, errBroken)
	}
}
