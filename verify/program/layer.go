package program

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync/atomic"
)

// Budget bounds the files of all layers in memory.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a budget of this many files.
func NewBudget(files int64) *Budget {
	b := &Budget{}
	b.left.Store(files)
	return b
}

// maxPath is the longest path and the longest target of a link: PATH_MAX of Linux.
const maxPath = 4096

// linkCost is how many bytes of text cost as much as a file.
const linkCost = 32

// named is a program or shared library under one of its names.
type named struct {
	path    string
	program uint32
	// first is the position of the first name of this file, if this one is a hard link, and otherwise its own.
	first int
}

// Layer is what is known of a layer: the kind of file at each path, which program it is, and the paths of programs.
type Layer struct {
	windows bool
	files   map[key]file
	links   []string
	// programs are those of the files, each once; indexes are their positions.
	programs []Program
	indexes  map[Program]uint32
	named    []named
	outside  string

	budget *Budget
	cost   int64
}

// key stands for a path: paths take too much memory.
type key [16]byte

func keyOf(name string) key {
	sum := sha256.Sum256([]byte(name))
	return key(sum[:16])
}

type kind uint8

const (
	absent kind = iota
	directory
	regular
	symlink
	hardlink
	mounted // not in a layer, but below a directory that containers mount
	unknown // in a layer that could not be read
)

// file is the file at a path of a layer.
type file struct {
	kind kind
	// hides says that the path in lower layers, and what is below it, is removed.
	hides bool
	// index is that of the program or link.
	index uint32
	// named is 1 + the position among the names, 0 if the file is no program.
	named uint32
}

// ErrLimit says that layers have more files, or more content, than the limit.
var ErrLimit = errors.New("it is larger than the limit")

// ReadLayer reads a layer of an image, for Windows or another system, from its uncompressed bytes. The error is
// ErrLimit if the budget is exhausted, and otherwise says what is wrong with the archive.
func ReadLayer(r io.Reader, windows bool, budget *Budget) (*Layer, error) {
	l := &Layer{windows: windows, files: map[key]file{}, indexes: map[Program]uint32{}, budget: budget}
	archive := tar.NewReader(r)
	head := make([]byte, headSize)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err == nil {
			err = l.add(h, archive, head)
		}
		if err != nil {
			l.Release()
			return nil, err
		}
	}
}

// Outside returns the name of an entry that leads out of the file system, "" if there is none. Container runtimes
// differ: some refuse it, some unpack it at the root.
func (l *Layer) Outside() string { return l.outside }

// Release returns the layer's share of the budget. The layer must not be used afterwards.
func (l *Layer) Release() {
	l.budget.left.Add(l.cost)
	l.cost, l.files, l.named = 0, nil, nil
}

func (l *Layer) spend(cost int64) error {
	l.cost += cost
	if l.budget.left.Add(-cost) < 0 {
		return ErrLimit
	}
	return nil
}

const whiteout = ".wh."

// add adds an entry of the archive, with whiteouts by
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts.
func (l *Layer) add(h *tar.Header, content io.Reader, head []byte) error {
	name, ok := normal(h.Name, l.windows), true
	if l.windows {
		name, ok = strings.CutPrefix(name, "files/") // the others are the registry and the boot files
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if l.outside == "" && (leaves(h.Name, l.windows) || h.Typeflag == tar.TypeLink && leaves(h.Linkname, l.windows)) {
		l.outside = strings.Clone(h.Name)
	}
	if !ok || name == "" {
		return nil
	}
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	switch hidden, isWhiteout := strings.CutPrefix(base, whiteout); {
	case base == whiteout+whiteout+".opq":
		return l.update(dir, func(f *file) {
			f.hides = true
			if f.kind == absent {
				f.kind = directory
			}
		})
	case isWhiteout && strings.HasPrefix(hidden, whiteout):
		return nil // metadata of AUFS
	case isWhiteout:
		return l.update(path.Join(dir, hidden), func(f *file) { f.hides = true })
	}
	got, err := l.classify(h, name, content, head)
	if err != nil {
		return err
	}
	return l.update(name, func(f *file) {
		got.hides = f.hides
		*f = got
	})
}

// update changes the file at a path.
func (l *Layer) update(name string, change func(*file)) error {
	k := keyOf(name)
	f, exists := l.files[k]
	if !exists {
		if err := l.spend(1); err != nil {
			return err
		}
	}
	change(&f)
	l.files[k] = f
	return nil
}

// classify returns the file that an entry of the archive adds at a path.
func (l *Layer) classify(h *tar.Header, at string, content io.Reader, head []byte) (file, error) {
	switch h.Typeflag {
	case tar.TypeDir:
		return file{kind: directory}, nil
	case tar.TypeLink:
		if same := l.files[keyOf(l.target(h.Linkname))]; same.kind == regular {
			var err error
			if same.named > 0 {
				err = l.name(&same, at)
			}
			return same, err
		}
		return l.link(hardlink, h.Linkname)
	case tar.TypeSymlink:
		return l.link(symlink, h.Linkname)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return l.program(Program{}, at)
	}
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return file{}, err
	}
	return l.program(Parse(head[:n]), at)
}

// link returns a link to a target that is looked up later.
func (l *Layer) link(kind kind, target string) (file, error) {
	if len(target) > maxPath {
		return file{}, fmt.Errorf("a link has a target of %d bytes", len(target))
	}
	l.links = append(l.links, strings.Clone(target)) // it may be part of a header of 1 MiB
	return file{kind: kind, index: uint32(len(l.links) - 1)}, l.spend(1 + int64(len(target)/linkCost))
}

// target returns the path that a hard link of the archive names.
func (l *Layer) target(name string) string {
	name = normal(name, l.windows)
	if l.windows {
		return strings.TrimPrefix(name, "files/")
	}
	return name
}

// program returns a regular file, which is p.
func (l *Layer) program(p Program, at string) (file, error) {
	index, known := l.indexes[p]
	if !known {
		index = uint32(len(l.programs))
		l.programs, l.indexes[p] = append(l.programs, p), index
		if err := l.spend(1 + int64(len(p.Interpreter)/linkCost)); err != nil {
			return file{}, err
		}
	}
	f := file{kind: regular, index: index}
	var err error
	if p.Loadable && p.Format == PE == l.windows && len(at) <= maxPath {
		err = l.name(&f, at)
	}
	return f, err
}

// name keeps the path of a program, which is a hard link if it has a name already.
func (l *Layer) name(f *file, at string) error {
	n := named{at, f.index, len(l.named)}
	if f.named > 0 {
		n.first = l.named[f.named-1].first
	}
	l.named = append(l.named, n)
	f.named = uint32(len(l.named))
	return l.spend(1 + int64(len(at)/linkCost))
}

// normal returns a path as layers store it: slashed, from the root, without a leading slash.
func normal(name string, windows bool) string {
	return strings.TrimPrefix(path.Clean("/"+slashed(name, windows)), "/")
}

// slashed returns a path with slashes; a Windows path also in lower case and without its drive.
func slashed(name string, windows bool) string {
	if !windows {
		return name
	}
	name = strings.ToLower(strings.ReplaceAll(name, `\`, "/"))
	if len(name) >= 2 && name[1] == ':' {
		name = "/" + name[2:]
	}
	return name
}

// leaves reports whether a name leads out of the directory in which an archive is unpacked.
func leaves(name string, windows bool) bool {
	name = path.Clean(strings.TrimLeft(slashed(name, windows), "/"))
	return name == ".." || strings.HasPrefix(name, "../")
}
