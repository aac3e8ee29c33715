package task

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Lints returns what is odd in a rendered file that Parse took for f: what has no effect, what ACR Tasks
// would not do, and what is likely to go wrong. The function returns the Dockerfile of a build step; of one that
// cannot be read nothing is said.
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

// ours reports the fields that mean something here alone.
func (p *parser) ours(f fields, names ...string) {
	for _, name := range names {
		if f.has(name) {
			p.lintf(f.at(name), "this has an effect in docker multiarch alone, and none in ACR Tasks")
		}
	}
}

// useless reports the properties of a step that have no effect on what it does.
func (p *parser) useless(f fields, a Action) {
	var what, names string
	const container = "keep entryPoint user network isolation cpus privileged expose ports pull cmdDownloadRetries cmdDownloadRetryDelay"
	switch a := a.(type) {
	case Push:
		what = "a push"
		names = container + " cache retries retryDelay retryOnErrors repeat detach workingDirectory disableWorkingDirectoryOverride env"
	case Build:
		what, names = "a build", container
		if !hasSecret(a) { // which may be a file of a secret volume
			names += " volumeMounts"
		}
	case Docker, Plugin:
		what, names = "a docker command, which runs without a container", container+" volumeMounts cache"
	case Container:
		what, names = "a cmd", "cache"
	}
	for name := range strings.FieldsSeq(names) {
		if f.has(name) {
			p.lintf(f.at(name), "this has no effect on %s", what)
		}
	}
}

func hasSecret(b Build) bool {
	return slices.ContainsFunc(b.Flags, func(flag string) bool { return strings.HasPrefix(flag, "--secret=") })
}

// linter looks at how the steps of a file go together.
type linter struct {
	*parser
	file File
	// before are the steps that end before each begins.
	before []map[int]bool
	// builders are the steps that build each name.
	builders   map[string][]int
	dockerfile func(Step) ([]byte, error)
}

// ancestors returns for each step those that it waits for, directly or not.
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

// stepf reports a lint at a key of a step, or at the step when that has none.
func (l *linter) stepf(i int, name, format string, args ...any) {
	key := fmt.Sprintf("steps[%d]", i)
	if at := join(key, name); name != "" && l.places[at] != (Position{}) {
		key = at
	}
	at := cmp.Or(l.places[key], l.file.Steps[i].Position)
	l.findings = append(l.findings, Finding{at, Lint, key, fmt.Sprintf(format, args...)})
}

func (l *linter) step(i int) {
	s := l.file.Steps[i]
	l.afterGroup(i)
	if len(s.After) == 0 {
		for name, codes := range map[string][]int{"exitedWith": s.ExitedWith, "exitedWithout": s.ExitedWithout} {
			if len(codes) > 0 {
				l.stepf(i, name, "%s is about the steps waited for, and this one waits for none: expected a when", name)
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
	case Container:
		l.azure(i, a)
	}
}

// azure reports commands of Azure's programs that are known here, but not with these arguments.
func (l *linter) azure(i int, c Container) {
	words := append([]string{c.Image}, c.Args...)
	_, purges := purgeOf(words)
	_, imports := importOf(words)
	if purges || imports {
		l.stepf(i, "cmd", "docker multiarch has no command that does the same: this runs in a container of %s, which needs a login of its own", show(c.Image))
	}
}

// afterGroup reports a step without when that follows steps which run side by side: it waits for one of them.
func (l *linter) afterGroup(i int) {
	if i < 2 || l.hasWhen(i) || !l.hasWhen(i-1) {
		return
	}
	var others []string
	for j := range i {
		if !l.before[i][j] && !l.file.Steps[j].Detach {
			others = append(others, l.file.Steps[j].ID)
		}
	}
	if len(others) > 0 {
		l.stepf(i, "", "the step waits for %s alone, and %s may still run then: say in when what it waits for",
			l.file.Steps[i-1].ID, manifest.OneLine(strings.Join(others, ", "), maxShown))
	}
}

func (l *linter) hasWhen(i int) bool {
	return i < len(l.steps) && l.steps[i].has("when")
}

// pushed reports a push of an image that is built by steps of which none ends before.
func (l *linter) pushed(i int, image reference.Named) {
	var late []string
	for _, j := range l.builders[image.String()] {
		if l.before[i][j] {
			return
		}
		late = append(late, l.file.Steps[j].ID)
	}
	if len(late) > 0 {
		l.stepf(i, "push", "%s is built by %s, which need not be done by then: say so in when",
			manifest.Familiar(image), manifest.OneLine(strings.Join(late, ", "), maxShown))
	}
}

// built reports a build of a name that another one has, and takes note of it.
func (l *linter) built(i int, b Build) {
	for _, t := range b.Tags {
		all := l.builders[t.String()]
		if slices.Contains(all, i) {
			continue
		}
		if len(all) > 0 {
			l.stepf(i, "build", "%s is built by %s, too: one takes the name from the other", manifest.Familiar(t), l.file.Steps[all[0]].ID)
		}
		l.builders[t.String()] = append(all, i)
	}
}
