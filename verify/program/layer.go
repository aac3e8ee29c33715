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

// Budget bounds what the layers that are known at a time may hold, in files.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a budget of so many files.
func NewBudget(files int64) *Budget {
	b := &Budget{}
	b.left.Store(files)
	return b
}

// maxLink is the longest target of a link: PATH_MAX of Linux.
const maxLink = 4096

// linkCost is how many bytes of text cost as much as a file.
const linkCost = 32

// Layer is what was kept of a layer: for each path what is there.
type Layer struct {
	windows bool
	files   map[key]file
	links   []string
	// programs are those of the files, each once.
	programs []Program
	numbers  map[Program]uint32

	budget *Budget
	cost   int64
}

// key stands for a path: names take too much room.
type key [16]byte

func keyOf(name string) key {
	sum := sha256.Sum256([]byte(name))
	return key(sum[:16])
}

type kind uint8

const (
	nothing kind = iota
	folder
	regular
	symlink
	hardlink
	unknown // in a layer that could not be read
)

// file is what a layer has at a path.
type file struct {
	kind kind
	// hides says that what lower layers have here, or below, is not there any more.
	hides bool
	// n is the number of the program or link.
	n uint32
}

// ErrLimit is what is larger than is looked at: files in layers, or their content.
var ErrLimit = errors.New("larger than is looked at")

// ReadLayer reads the layer of an image, for Windows or another operating system, from its unpacked bytes.
// The error is ErrLimit when the budget is spent, and otherwise says what is wrong with the archive.
func ReadLayer(r io.Reader, windows bool, budget *Budget) (*Layer, error) {
	l := &Layer{windows: windows, files: map[key]file{}, numbers: map[Program]uint32{}, budget: budget}
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

// Release gives what the layer took of the budget back; the layer is not to be used any more.
func (l *Layer) Release() {
	l.budget.left.Add(l.cost)
	l.cost, l.files = 0, nil
}

func (l *Layer) spend(cost int64) error {
	l.cost += cost
	if l.budget.left.Add(-cost) < 0 {
		return ErrLimit
	}
	return nil
}

const whiteout = ".wh."

// add takes an entry of the archive in, with whiteouts by
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts.
func (l *Layer) add(h *tar.Header, content io.Reader, head []byte) error {
	name, ok := normal(h.Name, l.windows), true
	if l.windows {
		name, ok = strings.CutPrefix(name, "files/") // beside it are the registry and the boot files
	}
	if !ok || name == "" || h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	switch hidden, isWhiteout := strings.CutPrefix(base, whiteout); {
	case base == whiteout+whiteout+".opq":
		return l.put(dir, func(f *file) {
			f.hides = true
			if f.kind == nothing {
				f.kind = folder
			}
		})
	case isWhiteout && strings.HasPrefix(hidden, whiteout):
		return nil // what AUFS has for itself
	case isWhiteout:
		return l.put(path.Join(dir, hidden), func(f *file) { f.hides = true })
	}
	kind, n, err := l.classify(h, content, head)
	if err != nil {
		return err
	}
	return l.put(name, func(f *file) { f.kind, f.n = kind, n })
}

// put changes what is at a path.
func (l *Layer) put(name string, change func(*file)) error {
	k := keyOf(name)
	f, there := l.files[k]
	if !there {
		if err := l.spend(1); err != nil {
			return err
		}
	}
	change(&f)
	l.files[k] = f
	return nil
}

// classify returns what an entry of the archive is, and the number of its link or program.
func (l *Layer) classify(h *tar.Header, content io.Reader, head []byte) (kind, uint32, error) {
	switch h.Typeflag {
	case tar.TypeDir:
		return folder, 0, nil
	case tar.TypeSymlink, tar.TypeLink:
		kind := symlink
		if h.Typeflag == tar.TypeLink {
			kind = hardlink
		}
		if len(h.Linkname) > maxLink {
			return kind, 0, fmt.Errorf("a link has a target of %d bytes", len(h.Linkname))
		}
		l.links = append(l.links, strings.Clone(h.Linkname)) // which may be part of a header of 1 MiB
		return kind, uint32(len(l.links) - 1), l.spend(1 + int64(len(h.Linkname)/linkCost))
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		n, err := l.number(Program{})
		return regular, n, err
	}
	got, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nothing, 0, err
	}
	n, err := l.number(Parse(head[:got]))
	return regular, n, err
}

// number returns the place of p among the programs.
func (l *Layer) number(p Program) (uint32, error) {
	n, there := l.numbers[p]
	if there {
		return n, nil
	}
	n = uint32(len(l.programs))
	l.programs, l.numbers[p] = append(l.programs, p), n
	return n, l.spend(1 + int64(len(p.Interpreter)/linkCost))
}

// normal returns a path as layers are asked for it: from the root without a slash in front; for Windows
// without a drive, with slashes and in lower case.
func normal(name string, windows bool) string {
	if windows {
		name = windowsPath(name)
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// windowsPath returns a path of Windows with slashes, in lower case and without its drive.
func windowsPath(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, `\`, "/"))
	if len(name) >= 2 && name[1] == ':' {
		name = "/" + name[2:]
	}
	return name
}
