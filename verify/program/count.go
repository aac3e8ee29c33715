package program

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
)

// maxListed is how many paths of a tally are kept.
const maxListed = 10

// Tally counts programs and shared libraries. A file with several names counts once.
type Tally struct {
	// Counted are all, Foreign those for another architecture.
	Counted, Foreign int
	// Paths are those of the first ten that are foreign, Arches their architectures.
	Paths, Arches []string
	// Layers has the foreign ones by the position of their layer.
	Layers map[int]int
}

// Add adds b to a tally.
func (t *Tally) Add(b Tally) {
	t.Counted += b.Counted
	t.Foreign += b.Foreign
	t.Paths = append(t.Paths, b.Paths[:min(len(b.Paths), maxListed-len(t.Paths))]...)
	for _, arch := range b.Arches {
		if !slices.Contains(t.Arches, arch) {
			t.Arches = append(t.Arches, arch)
		}
	}
	for layer, n := range b.Layers {
		if t.Layers == nil {
			t.Layers = map[int]int{}
		}
		t.Layers[layer] += n
	}
}

// Counts are the programs and shared libraries of an image. System has those in the directories of its PATH and in
// the default ones of programs and libraries.
type Counts struct {
	System, Elsewhere Tally
	// Partial says that a layer could not be read, so that those of it and below it are not counted.
	Partial bool
}

// ErrEffort says that an image has more programs, directories and layers than are checked.
var ErrEffort = errors.New("it has too many programs, directories and layers")

// Count counts the programs and shared libraries that are left in the file system of an image for c.OS and an
// architecture, as Find finds them. Object files, and those for processors that no platform has, are not counted.
func Count(ctx context.Context, c Command, arch string, layers []*Layer) (Counts, error) {
	format := formatOf(c.OS)
	if format == "" {
		return Counts{}, nil
	}
	b := count{search: newSearch(c, layers), format: format, arch: arch, groups: map[string]*Tally{}}
	b.limit = maxCounts
	b.dirs = b.systemDirs()
	first := len(layers)
	for first > 0 && layers[first-1] != nil {
		first--
	}
	for i := first; i < len(layers); i++ {
		if err := b.layer(ctx, i); err != nil {
			return Counts{}, err
		}
	}
	return b.sum(first > 0), nil
}

// systemDirs returns the directories of the image's PATH and the default ones of programs, with their groups.
func (s *search) systemDirs() map[string]string {
	dirs := map[string]string{}
	add := func(dir string) {
		found, _ := s.find(s.absolute(dir))
		if dir := strings.TrimPrefix(found.Path, "/"); found.Path != "" && dirs[dir] == "" {
			dirs[dir] = groupPrograms
		}
	}
	if s.windows {
		for dir := range strings.SplitSeq(defaultWindowsPath, ";") {
			add(dir)
		}
	} else {
		for _, root := range []string{"", "usr/", "usr/local/"} {
			for _, dir := range []string{"bin", "sbin"} {
				dirs[root+dir] = groupPrograms
			}
			for _, dir := range []string{"lib", "lib32", "lib64", "libx32"} {
				dirs[root+dir] = groupLibraries
			}
		}
	}
	n := 0
	for dir := range s.path() {
		if n++; n > maxArgs {
			break
		}
		add(dir)
	}
	return dirs
}

// The groups of files. Those below a directory of libraries that is named for a system, such as
// lib/aarch64-linux-gnu, are a group of their own, named for the directory.
const (
	groupElsewhere = ""
	groupPrograms  = "(programs)"
	groupLibraries = "(libraries)"
)

type count struct {
	search
	format Format
	arch   string
	dirs   map[string]string // groups by directory
	groups map[string]*Tally
}

// layer counts the files of the i-th layer.
func (b *count) layer(ctx context.Context, i int) error {
	l := b.layers[i]
	counted := make([]bool, len(l.named))
	for at, n := range l.named {
		p := l.programs[n.program]
		compatibility := p.RunsOn(b.OS, b.arch)
		if p.Format != b.format || compatibility == Undecided || counted[n.first] {
			continue
		}
		left, layer := b.at(n.path, len(b.layers))
		if b.exhausted() || ctx.Err() != nil {
			return ErrEffort
		}
		if layer != i || left.named != uint32(at+1) {
			continue
		}
		counted[n.first] = true
		one := Tally{Counted: 1}
		if compatibility == Incompatible {
			one = Tally{1, 1, []string{"/" + n.path}, []string{p.Arch}, map[int]int{i: 1}}
		}
		group := b.group(n.path)
		if b.groups[group] == nil {
			b.groups[group] = &Tally{}
		}
		b.groups[group].Add(one)
	}
	return nil
}

// group returns the group of the file at a path.
func (b *count) group(name string) string {
	dir := parent(name)
	if group, ok := b.dirs[dir]; ok {
		return group
	}
	if b.dirs[parent(dir)] == groupLibraries && strings.Contains(path.Base(dir), "-linux-") {
		return dir
	}
	return groupElsewhere
}

// sum adds the groups. A directory of libraries of another system, such as those of a cross compiler, is not one of
// the loader's, unless there is no library for this one.
func (b *count) sum(partial bool) Counts {
	out := Counts{Partial: partial}
	native := func(t *Tally) bool { return t.Foreign < t.Counted }
	own := false
	for group, t := range b.groups {
		own = own || group != groupElsewhere && group != groupPrograms && native(t)
	}
	for _, group := range slices.Sorted(maps.Keys(b.groups)) {
		t := b.groups[group]
		if group == groupElsewhere || group != groupPrograms && group != groupLibraries && own && !native(t) {
			out.Elsewhere.Add(*t)
		} else {
			out.System.Add(*t)
		}
	}
	return out
}
