package run

import (
	"path"
	"slices"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run/workspace"
)

// fileless are the docker commands that use no files on this machine.
var fileless = strings.Fields("images inspect kill login logout logs network port ps pull push restart rm rmi start stop tag version volume wait")

// noUse is the use of steps that need no files on this machine.
const noUse workspace.Use = -1

// useOf returns how a step's action uses the workspace on this machine.
func useOf(step task.Step, action task.Action) workspace.Use {
	switch a := action.(type) {
	case task.Container:
		if len(a.Flags.EnvFiles) > 0 {
			return workspace.Reads
		}
		return noUse
	case task.Push:
		return noUse
	case task.Build:
		switch {
		case hasFlag(a.Flags, "--output", "--iidfile", "--metadata-file", "--cache-to"):
			return workspace.Writes
		case path.Join("/", step.Dir, a.Context) == "/" && !hasFlag(a.Flags, "--build-context", "--secret", "--ssh"):
			return workspace.Builds
		}
		return workspace.Reads
	case task.Docker:
		if len(a.Args) > 0 && slices.Contains(fileless, a.Args[0]) {
			return noUse
		}
	case task.Plugin:
		if !slices.ContainsFunc(a.Commands, func(args []string) bool {
			return hasFlag(args, "--digest-file", "--metadata-file", "--record")
		}) {
			return workspace.Reads
		}
	}
	return workspace.Writes
}

func hasFlag(args []string, flags ...string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		flag, _, _ := strings.Cut(arg, "=")
		return slices.Contains(flags, flag)
	})
}

// shares reports whether the steps of the file use the workspace in several places, so that changes have to pass from one to
// another. Steps on this machine that only read and end before the first container see the context.
func (e *Executor) shares() bool {
	var containers []int
	for i, step := range e.File.Steps {
		if usesVolume(step.Action) {
			containers = append(containers, i)
		}
	}
	for _, c := range containers {
		if e.File.Steps[c].Context != e.File.Steps[containers[0]].Context {
			return true
		}
		before := e.before(c)
		for i, step := range e.File.Steps {
			if use := useOf(step, step.Action); use == workspace.Writes || use != noUse && !before[i] {
				return true
			}
		}
	}
	return false
}

// usesVolume reports whether an action may start a container with the workspace.
func usesVolume(action task.Action) bool {
	switch a := action.(type) {
	case task.Container, task.Script:
		return true
	case task.Docker:
		return len(a.Args) == 0 || !slices.Contains(fileless, a.Args[0])
	}
	return false
}

// before returns which steps have ended when step i starts.
func (e *Executor) before(i int) []bool {
	ended := make([]bool, len(e.File.Steps))
	for j := i; j >= 0; j-- { // steps only wait for those above them
		if j == i || ended[j] {
			for _, k := range e.File.Steps[j].After {
				ended[k] = true
			}
		}
	}
	return ended
}

// dockerfiles returns the Dockerfiles that build steps name, which docker build reads even if .dockerignore names them.
func dockerfiles(f task.File) (names []string) {
	for _, step := range f.Steps {
		if b, ok := step.Action.(task.Build); ok {
			name := b.File
			if name == "" {
				name = path.Join(b.Context, "Dockerfile")
			}
			names = append(names, path.Join("/", step.Dir, name)[1:])
		}
	}
	return names
}
