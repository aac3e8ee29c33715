package program

import (
	"path"
	"slices"
	"strings"
)

const (
	// maxLinks is how many links are followed, as in Linux.
	maxLinks = 40
	// maxLookups bounds the paths, in pieces of 64 bytes, that are looked up for the command of an image.
	maxLookups = 1 << 20
)

// tree is the file system of an image: its layers, which start with the lowest. A layer that could not be read is
// nil.
type tree struct {
	layers  []*Layer
	windows bool
	lookups int
}

// at returns the file at a path whose directories are not links, and the layer that has it.
func (t *tree) at(name string) (file, *Layer) {
	t.lookups++
	for _, l := range slices.Backward(t.layers) {
		if t.lookups += (1 + strings.Count(name, "/")) * (1 + len(name)/64); l == nil || t.lookups > maxLookups {
			return file{kind: unknown}, nil
		}
		f := l.files[keyOf(name)]
		if f.kind != absent {
			return f, l
		}
		if f.hides || l.hidesBelow(path.Dir(name)) {
			break
		}
	}
	return file{}, nil
}

// hidesBelow reports whether the layer removes the content of a directory in lower layers.
func (l *Layer) hidesBelow(dir string) bool {
	for {
		if dir == "." {
			dir = ""
		}
		f, exists := l.files[keyOf(dir)]
		if exists && (f.hides || f.kind != directory) {
			return true
		}
		if dir == "" {
			return false
		}
		dir = path.Dir(dir)
	}
}

// find follows links from an absolute path to a file, and returns the path of that file. The kind is absent if
// there is none, and unknown if it depends on a layer that could not be read.
func (t *tree) find(name string) (string, kind, Program) {
	if len(name) > maxPath {
		return "", absent, Program{}
	}
	if t.windows {
		name = windowsPath(name)
	}
	left := strings.Split(name, "/")
	current, links := "", 0
	last := file{kind: directory}
	var layer *Layer
	for len(left) > 0 {
		part := left[0]
		left = left[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			current, last = strings.TrimPrefix(path.Dir("/"+current), "/"), file{kind: directory}
			continue
		}
		next := path.Join(current, part)
		last, layer = t.resolveHardLink(next, &links)
		switch {
		case links > maxLinks || len(next) > maxPath:
			return "", absent, Program{}
		case last.kind == symlink:
			target := layer.links[last.index]
			if t.windows {
				target = windowsPath(target)
			}
			if links++; strings.HasPrefix(target, "/") {
				current = ""
			}
			left = append(strings.Split(target, "/"), left...)
			last = file{kind: directory}
		case last.kind == regular && len(left) > 0:
			return "", absent, Program{}
		default:
			current = next
		}
	}
	if last.kind != regular {
		if last.kind == directory {
			last.kind = absent
		}
		return "", last.kind, Program{}
	}
	return "/" + current, regular, layer.programs[last.index]
}

// resolveHardLink is at with hard links followed. Their targets are usually in the same layer.
func (t *tree) resolveHardLink(name string, links *int) (file, *Layer) {
	f, l := t.at(name)
	for f.kind == hardlink && *links <= maxLinks {
		*links++
		target := normal(l.links[f.index], t.windows)
		if t.windows {
			target = strings.TrimPrefix(target, "files/")
		}
		if same, ok := l.files[keyOf(target)]; ok && same.kind != absent {
			f = same
			continue
		}
		f, l = t.at(target)
	}
	return f, l
}
