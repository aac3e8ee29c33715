package run

import (
	"fmt"
	"io"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// Describe writes what a run would do: for each step a line with its ID and what it waits for, and the commands
// that a person would type in its place.
func Describe(w io.Writer, id string, f task.File, from string) error {
	var b strings.Builder
	above, err := first(f.Steps, from)
	if err != nil {
		return err
	}
	for i, s := range f.Steps[above:] {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("# " + heading(f, s) + "\n")
		for _, line := range commandLines(id, s) {
			b.WriteString(line + "\n")
		}
	}
	_, err = io.WriteString(w, manifest.Escape(b.String(), "\n"))
	return err
}

// heading names a step, what it waits for and its properties.
func heading(f task.File, s task.Step) string {
	words := []string{"at once"}
	if len(s.After) > 0 {
		names := make([]string, len(s.After))
		for i, n := range s.After {
			names[i] = f.Steps[n].ID
		}
		words[0] = "after " + strings.Join(names, ", ")
	}
	add := func(holds bool, format string, args ...any) {
		if holds {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(s.Context != "", "on docker context %s", s.Context)
	add(s.StartDelay > 0, "%s later", s.StartDelay)
	add(s.Retries > 0, "%d retries", s.Retries)
	add(s.Repeat > 0, "%d times", s.Repeat+1)
	add(s.Detach, "in the background")
	add(s.IgnoreErrors, "errors ignored")
	return s.ID + ": " + strings.Join(words, ", ")
}

// commandLines returns what a person would type in place of a step.
func commandLines(id string, s task.Step) []string {
	switch a := s.Action.(type) {
	case task.Build:
		return []string{"docker build " + task.Quote(a.Words())}
	case task.Push:
		var lines []string
		for _, image := range a.Images {
			lines = append(lines, "docker push "+manifest.Familiar(image))
		}
		return lines
	case task.Docker:
		return []string{"docker " + task.Quote(a.Args)}
	case task.Plugin:
		return []string{"docker multiarch " + task.Quote(a.Args)}
	case task.Container:
		return []string{"docker run " + task.Quote(append(append(runFlags(id, s), a.Image), a.Args...))}
	}
	return nil
}

// runFlags returns those of docker run for the container of a step.
func runFlags(id string, s task.Step) []string {
	flags := []string{"--name=" + Name(id, s.ID)}
	if !s.Keep {
		flags = append(flags, "--rm")
	}
	add := func(name string, values ...string) {
		for _, v := range values {
			if v != "" {
				flags = append(flags, "--"+name+"="+v)
			}
		}
	}
	add("volume", Name(id, SharedVolume)+":"+workspacePath)
	for _, m := range s.Mounts {
		if m.Volume == task.DockerSocket {
			add("volume", m.Volume+":"+m.Path)
		} else {
			add("volume", Name(id, m.Volume)+":"+m.Path)
		}
	}
	if !s.NoDir {
		add("workdir", containerDir(s))
	}
	add("network", s.Network)
	add("env", s.Env...)
	add("publish", s.Ports...)
	add("expose", s.Expose...)
	add("user", s.User)
	add("entrypoint", s.EntryPoint)
	add("isolation", s.Isolation)
	add("cpus", s.CPUs)
	if s.Privileged {
		flags = append(flags, "--privileged")
	}
	return flags
}
