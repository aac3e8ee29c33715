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

// at returns the file at a path whose directories are not links, as the lowest n layers have it, and the position of
// its layer.
func (t *tree) at(name string, n int) (file, int) {
	t.lookups++
	for i, l := range slices.Backward(t.layers[:n]) {
		if t.lookups += (1 + strings.Count(name, "/")) * (1 + len(name)/64); l == nil || t.lookups > maxLookups {
			return file{kind: unknown}, 0
		}
		f := l.files[keyOf(name)]
		if f.kind != absent {
			return f, i
		}
		if f.hides || l.hidesBelow(path.Dir(name)) {
			break
		}
	}
	return file{}, 0
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

// find follows links from an absolute path to a file, and returns it with its path. The kind is absent if there is
// none, and unknown if it depends on a layer that could not be read.
func (t *tree) find(name string) (Found, kind) {
	if len(name) > maxPath {
		return Found{}, absent
	}
	if t.windows {
		name = windowsPath(name)
	}
	left := strings.Split(name, "/")
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
			target := t.layers[layer].links[last.index]
			if t.windows {
				target = windowsPath(target)
			}
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
