package run

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/shell"
)

// Describe writes what a run would do: for each step a line with its ID and dependencies, and the equivalent commands.
// The error is errdefs.ErrNotFound if the file has no step from.
func Describe(w io.Writer, id string, f task.File, from string) error {
	var b strings.Builder
	above, err := first(f.Steps, from)
	if err != nil {
		return err
	}
	objects := newObjectNames(f, id)
	for i, s := range f.Steps[above:] {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("# " + heading(f, s) + "\n")
		for _, line := range commandLines(objects, f, s) {
			b.WriteString(line + "\n")
		}
	}
	_, err = io.WriteString(w, manifest.Escape(b.String(), "\n"))
	return err
}

// maxReplaced is how much is shown of a command that one of this program replaces, in bytes.
const maxReplaced = 500

// maxAction is how much is shown of an action, in bytes.
const maxAction = 200

// Action returns the action of a step as a command on one line, "" for none.
func Action(s task.Step) string {
	text := strings.Join(task.Commands(s.Action), "; ")
	if plugin, ok := s.Action.(task.Plugin); ok && plugin.Replaces != "" {
		text = plugin.Replaces
	}
	if task.StartsContainer(s.Action) {
		text = "docker run " + text
	}
	return manifest.OneLine(text, maxAction)
}

// failure returns the error of a step that failed. With the name of the file it has the step's line and action.
func failure(file string, s task.Step, err error) error {
	if file == "" {
		return fmt.Errorf("step %s: %w", s.ID, err)
	}
	return fmt.Errorf("%s:%d: step %s (%s): %w", file, s.Line, s.ID, Action(s), err)
}

// heading returns a step's ID, dependencies and properties.
func heading(f task.File, s task.Step) string {
	words := []string{"immediately"}
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
	add(s.StartDelay > 0, "delayed by %s", s.StartDelay)
	add(s.Retries > 0, "%d retries", s.Retries)
	add(s.Repeat > 0, "run %d times", s.Repeat+1)
	add(s.Detach, "in the background")
	add(len(s.Logins) > 0, "with your login of %s", strings.Join(s.Logins, ", "))
	add(s.IgnoreErrors, "errors ignored")
	add(s.CancelRest, "cancels the other steps if it fails")
	add(len(s.ExitedWith) > 0, "only after exit code %s", numbers(s.ExitedWith, " or "))
	add(len(s.ExitedWithout) > 0, "not after exit code %s", numbers(s.ExitedWithout, " or "))
	if plugin, ok := s.Action.(task.Plugin); ok {
		add(plugin.Replaces != "", "instead of %s", manifest.OneLine(plugin.Replaces, maxReplaced))
	}
	return s.ID + ": " + strings.Join(words, ", ")
}

// numbers joins numbers with a separator.
func numbers(all []int, separator string) string {
	words := make([]string, len(all))
	for i, n := range all {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, separator)
}

// commandLines returns the commands that are equivalent to a step.
func commandLines(objects objectNames, f task.File, s task.Step) []string {
	var lines []string
	for _, line := range task.Commands(s.Action) {
		if task.StartsContainer(s.Action) {
			line = task.Quote(append([]string{"docker", "run"}, runFlags(objects, f, s)...)) + " " + line
		}
		lines = append(lines, line)
	}
	return lines
}

// runFlags returns the flags of docker run for the container of a step.
func runFlags(objects objectNames, f task.File, s task.Step) []string {
	var flags []string
	is := func(name string, holds bool) {
		if holds {
			flags = append(flags, "--"+name)
		}
	}
	add := func(name string, values ...string) {
		for _, v := range values {
			is(name+"="+v, v != "")
		}
	}
	add("name", objects.of(s.ID))
	is("rm", !s.Keep)
	is("detach", s.Detach)
	is("pull=always", s.Pull)
	add("volume", Name(objects.id, SharedVolume)+":"+shell.Workspace)
	if !slices.ContainsFunc(s.Mounts, func(m task.Mount) bool { return isHome(m.Path) }) {
		add("volume", Name(objects.id, homeVolume)+":"+home)
	}
	for _, m := range s.Mounts {
		if m.Volume == task.DockerSocket {
			add("volume", m.Volume+":"+m.Path)
		} else {
			add("volume", objects.of(m.Volume)+":"+m.Path)
		}
	}
	if !s.NoDir {
		add("workdir", containerDir(s))
	}
	if created := func(n task.Network) bool { return n.Name == s.Network && !n.External }; slices.ContainsFunc(f.Networks, created) {
		add("network", objects.of(s.Network))
		add("network-alias", s.ID)
	} else {
		add("network", s.Network)
	}
	add("env", s.Env...)
	if !setsHome(s.Env) {
		add("env", "HOME="+home)
	}
	add("publish", s.Ports...)
	add("expose", s.Expose...)
	add("user", s.User)
	add("entrypoint", s.EntryPoint)
	add("isolation", s.Isolation)
	add("cpus", s.CPUs)
	is("privileged", s.Privileged)
	return flags
}
