package task

import (
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Lints returns likely mistakes in a rendered file that Parse returned f for: properties without effect, differences from
// ACR Tasks, and steps that may fail. The function returns the Dockerfile of a build step; if it returns an error, the
// Dockerfile is not checked.
func Lints(r Rendered, f File, dockerfile func(Step) ([]byte, error)) []Finding {
	p := parseFile(r)
	p.findings = slices.DeleteFunc(p.findings, func(f Finding) bool { return f.Severity != Lint })
	l := linter{parser: p, file: f, before: ancestors(f), builders: map[string][]int{}, dockerfile: dockerfile}
	for i, s := range f.Steps {
		if b, ok := s.Action.(Build); ok {
			l.built(i, b)
		}
	}
	for i := range f.Steps {
		l.step(i)
	}
	return p.sorted()
}

// extension is the lint for fields that ACR Tasks does not have.
const extension = "this has an effect only in docker multiarch, not in ACR Tasks"

// lintGiven reports those of names that are given.
func (p *parser) lintGiven(f fields, names, message string) {
	for name := range strings.FieldsSeq(names) {
		if f.has(name) {
			p.lintf(f.at(name), "%s", message)
		}
	}
}

// ineffective reports properties of a step that have no effect on its action.
func (p *parser) ineffective(f fields, a Action) {
	var what, names string
	const container = "keep entryPoint user network isolation cpus privileged expose ports logins pull cmdDownloadRetries cmdDownloadRetryDelay"
	switch a := a.(type) {
	case Push:
		what = "a push"
		names = container + " cache retries retryDelay retryOnErrors repeat detach workingDirectory disableWorkingDirectoryOverride env"
	case Build:
		what, names = "a build", container
		secret := func(flag string) bool { return strings.HasPrefix(flag, "--secret=") }
		if !slices.ContainsFunc(a.Flags, secret) { // a file of a secret volume may be one
			names += " volumeMounts"
		}
	case Docker, Plugin:
		what, names = "a docker command, which runs without a container", container+" volumeMounts cache"
	case Container, Script:
		what, names = "a cmd", "cache"
	}
	p.lintGiven(f, names, "this has no effect on "+what)
}

// linter checks how the steps of a file depend on each other.
type linter struct {
	*parser
	file File
	// before are the steps that end before each starts.
	before []map[int]bool
	// builders are the steps that build each name.
	builders   map[string][]int
	dockerfile func(Step) ([]byte, error)
}

// ancestors returns for each step those that it waits for, directly or indirectly.
func ancestors(f File) []map[int]bool {
	all := make([]map[int]bool, len(f.Steps))
	for i, s := range f.Steps {
		all[i] = map[int]bool{}
		for _, a := range s.After {
			all[i][a] = true
			for b := range all[a] {
				all[i][b] = true
			}
		}
	}
	return all
}

// stepf reports a lint at a key of a step, or at the step if it lacks that key.
func (l *linter) stepf(i int, name, format string, args ...any) {
	l.lintf(l.steps[i].at(name), format, args...)
}

func (l *linter) step(i int) {
	s := l.file.Steps[i]
	l.afterGroup(i)
	if len(s.After) == 0 {
		for name, codes := range map[string][]int{"exitedWith": s.ExitedWith, "exitedWithout": s.ExitedWithout} {
			if len(codes) > 0 {
				l.stepf(i, name, "%s has no effect on a step that waits for no other: expected a when", name)
			}
		}
	}
	switch a := s.Action.(type) {
	case Push:
		for _, image := range a.Images {
			l.pushed(i, image)
		}
	case Build:
		l.architecture(i, a)
	}
}

// afterGroup reports a step without when that follows parallel steps: it waits only for the last of them.
func (l *linter) afterGroup(i int) {
	if i < 2 || l.steps[i].has("when") || !l.steps[i-1].has("when") {
		return
	}
	var others []string
	for j := range i {
		if !l.before[i][j] && !l.file.Steps[j].Detach {
			others = append(others, l.file.Steps[j].ID)
		}
	}
	if len(others) > 0 {
		l.stepf(i, "", "the step waits only for %s, and %s may still be running: list the steps to wait for in when",
			l.file.Steps[i-1].ID, manifest.OneLine(strings.Join(others, ", "), maxShown))
	}
}

// pushed reports a push of an image that may not be built yet.
func (l *linter) pushed(i int, image reference.Named) {
	var late []string
	for _, j := range l.builders[image.String()] {
		if l.before[i][j] {
			return
		}
		late = append(late, l.file.Steps[j].ID)
	}
	if len(late) > 0 {
		l.stepf(i, "push", "%s is built by %s, which may not be done by then: add it to when",
			manifest.Familiar(image), manifest.OneLine(strings.Join(late, ", "), maxShown))
	}
}

// built reports a build of a name that another step also builds, and remembers the builder.
func (l *linter) built(i int, b Build) {
	for _, t := range b.Tags {
		all := l.builders[t.String()]
		if slices.Contains(all, i) {
			continue
		}
		if len(all) > 0 {
			l.stepf(i, "build", "%s is also built by %s: the later one replaces the other", manifest.Familiar(t), l.file.Steps[all[0]].ID)
		}
		l.builders[t.String()] = append(all, i)
	}
}
