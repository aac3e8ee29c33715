package program

import (
	"path"
	"slices"
	"strings"
)

const (
	// maxLinks is how many links are followed, as in Linux.
	maxLinks = 40
	// maxLookups and maxCounts bound the lookups for the command of an image, and to count its programs.
	maxLookups = 1 << 20
	maxCounts  = 1 << 23
	// maxDirs bounds the directories that are kept in memory.
	maxDirs = 1 << 17
)

// tree is the file system of an image: its layers, which start with the lowest. A layer that could not be read is
// nil.
type tree struct {
	layers  []*Layer
	windows bool
	// lookups are the paths, in pieces of 64 bytes, and the files that were looked up; limit is how many may be.
	lookups, limit int
	hiders         map[below]int // what hider has returned
}

// below is a directory as the lowest n layers have it.
type below struct {
	dir key
	n   int
}

func (t *tree) exhausted() bool { return t.lookups > t.limit || len(t.hiders) > maxDirs }

// at returns the file at a path whose directories are not links, as the lowest n layers have it, and the position of
// its layer.
func (t *tree) at(name string, n int) (file, int) {
	t.lookups += 1 + len(name)/64
	k, hider := keyOf(name), t.hider(parent(name), n)
	for i, l := range slices.Backward(t.layers[:n]) {
		if t.lookups++; l == nil || t.exhausted() {
			return file{kind: unknown}, 0
		}
		f := l.files[k]
		if f.kind != absent {
			return f, i
		}
		if f.hides || i == hider {
			break
		}
	}
	return file{}, 0
}

// hider returns the highest of the lowest n layers that removes the content of a directory in lower layers, -1 for none.
// Layers below one that could not be read do not count.
func (t *tree) hider(dir string, n int) int {
	k := below{keyOf(dir), n}
	if i, known := t.hiders[k]; known || t.exhausted() {
		return i
	}
	t.lookups += 1 + len(dir)/64
	out := -1
	if dir != "" {
		out = t.hider(parent(dir), n)
	}
	for i := n - 1; i > out && t.layers[i] != nil; i-- {
		t.lookups++
		if f, exists := t.layers[i].files[k.dir]; exists && (f.hides || f.kind != directory) {
			out = i
		}
	}
	t.hiders[k] = out
	return out
}

// parent returns the directory of a path as layers store it.
func parent(name string) string {
	if dir := path.Dir(name); dir != "." {
		return dir
	}
	return ""
}

// find follows links from an absolute path to a file, and returns it with its path. The kind is absent if there is
// none, and unknown if it depends on a layer that could not be read.
func (t *tree) find(name string) (Found, kind) {
	if len(name) > maxPath {
		return Found{}, absent
	}
	left := strings.Split(slashed(name, t.windows), "/")
	current, links := "", 0
	last, layer := file{kind: directory}, 0
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
			return Found{}, absent
		case last.kind == symlink:
			target := slashed(t.layers[layer].links[last.index], t.windows)
			if links++; strings.HasPrefix(target, "/") {
				current = ""
			}
			left = append(strings.Split(target, "/"), left...)
			last = file{kind: directory}
		case last.kind == regular && len(left) > 0:
			return Found{}, absent
		default:
			current = next
		}
	}
	if last.kind == absent && links > 0 { // an entry of the archive may lie below a link
		if f, i := t.resolveHardLink(normal(name, t.windows), &links); f.kind == regular {
			current, last, layer = normal(name, t.windows), f, i
		}
	}
	out := Found{Path: "/" + current, Layer: layer}
	if last.kind == regular {
		out.Program = t.layers[layer].programs[last.index]
	}
	return out, last.kind
}

// resolveHardLink is at with hard links followed. Their targets are usually in the same layer.
func (t *tree) resolveHardLink(name string, links *int) (file, int) {
	f, i := t.at(name, len(t.layers))
	for f.kind == hardlink && *links <= maxLinks {
		*links++
		l := t.layers[i]
		target := l.target(l.links[f.index])
		if same, ok := l.files[keyOf(target)]; ok && same.kind != absent {
			f = same
			continue
		}
		f, i = t.at(target, i)
	}
	return f, i
}
