package program

import (
	"path"
	"slices"
	"strings"
)

const (
	// maxHops is how many links are followed, as in Linux.
	maxHops = 40
	// maxLooks bounds the paths, in pieces of 64 bytes, that are looked up to find what one image runs.
	maxLooks = 1 << 20
)

// tree is what the layers of an image, the lowest first, are together. A layer that could not be read is
// nil.
type tree struct {
	layers  []*Layer
	windows bool
	looks   int
}

// at returns what is at a path whose folders are no links, and the layer that has it.
func (t *tree) at(name string) (file, *Layer) {
	t.looks++
	for _, l := range slices.Backward(t.layers) {
		if t.looks += (1 + strings.Count(name, "/")) * (1 + len(name)/64); l == nil || t.looks > maxLooks {
			return file{kind: unknown}, nil
		}
		f := l.files[keyOf(name)]
		if f.kind != nothing {
			return f, l
		}
		if f.hides || l.hidesBelow(path.Dir(name)) {
			break
		}
	}
	return file{}, nil
}

// hidesBelow reports whether the layer hides what lower ones have in a folder.
func (l *Layer) hidesBelow(dir string) bool {
	for {
		if dir == "." {
			dir = ""
		}
		f, there := l.files[keyOf(dir)]
		if there && (f.hides || f.kind != folder) {
			return true
		}
		if dir == "" {
			return false
		}
		dir = path.Dir(dir)
	}
}

// find follows links from an absolute path to the file that it names, and returns that file's own path.
// The kind is nothing when there is none, and unknown when a layer would have to be known to tell.
func (t *tree) find(name string) (string, kind, Program) {
	if len(name) > maxLink {
		return "", nothing, Program{}
	}
	if t.windows {
		name = windowsPath(name)
	}
	left := strings.Split(name, "/")
	current, hops := "", 0
	last := file{kind: folder}
	var layer *Layer
	for len(left) > 0 {
		part := left[0]
		left = left[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			current, last = strings.TrimPrefix(path.Dir("/"+current), "/"), file{kind: folder}
			continue
		}
		next := path.Join(current, part)
		last, layer = t.hard(next, &hops)
		switch {
		case hops > maxHops || len(next) > maxLink:
			return "", nothing, Program{}
		case last.kind == symlink:
			target := layer.links[last.n]
			if t.windows {
				target = windowsPath(target)
			}
			if hops++; strings.HasPrefix(target, "/") {
				current = ""
			}
			left = append(strings.Split(target, "/"), left...)
			last = file{kind: folder}
		case last.kind == regular && len(left) > 0:
			return "", nothing, Program{}
		default:
			current = next
		}
	}
	if last.kind != regular {
		if last.kind == folder {
			last.kind = nothing
		}
		return "", last.kind, Program{}
	}
	return "/" + current, regular, layer.programs[last.n]
}

// hard is at with hard links followed. Their targets lie in the same layer, as a rule.
func (t *tree) hard(name string, hops *int) (file, *Layer) {
	f, l := t.at(name)
	for f.kind == hardlink && *hops <= maxHops {
		*hops++
		target := normal(l.links[f.n], t.windows)
		if t.windows {
			target = strings.TrimPrefix(target, "files/")
		}
		if same, ok := l.files[keyOf(target)]; ok && same.kind != nothing {
			f = same
			continue
		}
		f, l = t.at(target)
	}
	return f, l
}
