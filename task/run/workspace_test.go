package run

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// volumes are those of a daemon, as folders. They unpack tar streams as a daemon does: a file or link takes the
// place of what is there, a folder that of what is no folder, nothing else is removed.
type volumes struct {
	t      *testing.T
	dir    string
	labels map[string]string
	mutex  sync.Mutex
	owners map[string][2]int // of files that are not root's, by volume and path
	// made, sent and received are counts of volumes, of the items sent, and of volumes read.
	made, sent, received int
	// breaks is after how many bytes the next stream breaks off, 0 for not at all, and quietly that no error says so.
	breaks  int64
	quietly bool
}

func newVolumes(t *testing.T) *volumes {
	return &volumes{t: t, dir: t.TempDir(), owners: map[string][2]int{}}
}

var errCarry = errors.New("the daemon went away")

// breaking returns r, which breaks off when it has to.
func (v *volumes) breaking(r io.Reader) io.Reader {
	if v.breaks == 0 {
		return r
	}
	cut := io.LimitReader(r, v.breaks)
	v.breaks = 0
	if v.quietly {
		return cut
	}
	return io.MultiReader(cut, carryFailing{})
}

type carryFailing struct{}

func (carryFailing) Read([]byte) (int, error) { return 0, errCarry }

func (v *volumes) path(volume string) string { return filepath.Join(v.dir, volume) }

func (v *volumes) CreateNetwork(context.Context, task.Network, string, map[string]string) error {
	return errors.ErrUnsupported
}

func (v *volumes) Remove(context.Context, string, string) error { return errors.ErrUnsupported }

func (v *volumes) CreateVolume(_ context.Context, name string, labels map[string]string) error {
	v.made++
	v.labels = labels
	return os.Mkdir(v.path(name), 0o755)
}

func (v *volumes) Send(ctx context.Context, volume string, r io.Reader) error {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	archive := tar.NewReader(v.breaking(r))
	var folders []*tar.Header
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		v.sent++
		v.owners[volume+"/"+strings.TrimSuffix(h.Name, "/")] = [2]int{h.Uid, h.Gid}
		if h.Typeflag == tar.TypeDir {
			folders = append(folders, h)
		}
		if err := v.unpack(filepath.Join(v.path(volume), h.Name), h, archive); err != nil {
			return err
		}
	}
	for _, h := range folders {
		path := filepath.Join(v.path(volume), h.Name)
		if err := errors.Join(os.Chmod(path, h.FileInfo().Mode()), os.Chtimes(path, h.ModTime, h.ModTime)); err != nil {
			return err
		}
	}
	return nil
}

func (v *volumes) unpack(path string, h *tar.Header, content io.Reader) error {
	info, err := os.Lstat(path)
	isFolder := h.Typeflag == tar.TypeDir
	if err == nil && (!info.IsDir() || !isFolder) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(path, 0o755)
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, path)
	case tar.TypeReg:
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close(), os.Chmod(path, h.FileInfo().Mode()), os.Chtimes(path, h.ModTime, h.ModTime))
	}
	return fmt.Errorf("%s is a %q", h.Name, h.Typeflag)
}

func (v *volumes) Receive(_ context.Context, volume string) (io.ReadCloser, error) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.received++
	var out bytes.Buffer
	w, files := tar.NewWriter(&out), map[string]fs.FileInfo{}
	err := filepath.WalkDir(v.path(volume), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(v.path(volume), path)
		link, _ := os.Readlink(path)
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return nil // a socket, which a daemon leaves out
		}
		h.Format, h.Name = tar.FormatPAX, name
		owner := v.owners[volume+"/"+name]
		h.Uid, h.Gid, h.Uname, h.Gname = owner[0], owner[1], "", ""
		for first, other := range files {
			if os.SameFile(info, other) {
				h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			}
		}
		if h.Typeflag != tar.TypeLink {
			files[name] = info
		}
		if h.Typeflag != tar.TypeReg {
			return w.WriteHeader(h)
		}
		content, err := readAnyway(path, info)
		if err != nil {
			return err
		}
		h.Size = int64(len(content))
		err = w.WriteHeader(h)
		_, failed := w.Write(content)
		return errors.Join(err, failed)
	})
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return io.NopCloser(v.breaking(&out)), nil
}

// readAnyway reads a file as root does.
func readAnyway(path string, info fs.FileInfo) ([]byte, error) {
	if info.Mode()&0o400 == 0 {
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, err
		}
		defer func() { _ = os.Chmod(path, info.Mode()) }()
	}
	return os.ReadFile(path)
}

// space is a workspace with daemons.
type space struct {
	*workspace
	t       *testing.T
	daemons map[string]*volumes
	context string
}

// newSpace returns a workspace of a folder with files, see header.
func newSpace(t *testing.T, files ...string) *space {
	t.Helper()
	emptyTemp(t)
	dir := t.TempDir()
	change(t, dir, files...)
	before := listing(t, dir)
	s := &space{newWorkspace(Source{Dir: dir}, "multiarch-1-", map[string]string{"run": "1"}), t,
		map[string]*volumes{"a": newVolumes(t), "b": newVolumes(t), "c": newVolumes(t)}, dir}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("got error %v, want none", err)
		}
		if now := listing(t, dir); !slices.Equal(now, before) {
			t.Errorf("the context was %q and is %q", before, now)
		}
	})
	return s
}

// at starts a step at a place, "host" or "reader" for this machine, and returns the folder that it sees.
func (s *space) at(place string) (dir string, release func()) {
	s.t.Helper()
	dir, release, err := s.tryAt(place)
	if err != nil {
		s.t.Fatal(err)
	}
	return dir, release
}

func (s *space) tryAt(place string) (dir string, release func(), err error) {
	if d := s.daemons[place]; d != nil {
		name, release, err := s.Volume(s.t.Context(), place, d, d)
		return d.path(name), release, err
	}
	return s.Host(s.t.Context(), place == "host")
}

// step runs a step at a place, which makes changes, see change.
func (s *space) step(place string, changes ...string) {
	s.t.Helper()
	dir, release := s.at(place)
	change(s.t, dir, changes...)
	release()
}

// want checks what a step at a place sees.
func (s *space) want(place string, want ...string) {
	s.t.Helper()
	dir, release := s.at(place)
	defer release()
	if got := listing(s.t, dir); !slices.Equal(got, want) {
		s.t.Errorf("%s: got %q\nnot %q", place, got, want)
	}
}

// change makes changes in a folder: items as header has them, and "rm path".
func change(t *testing.T, dir string, changes ...string) {
	t.Helper()
	for _, c := range changes {
		if name, ok := strings.CutPrefix(c, "rm "); ok {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		h, content := header(c)
		path := filepath.Join(dir, h.Name)
		if info, err := os.Lstat(path); err == nil && (!info.IsDir() || h.Typeflag != tar.TypeDir) {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		switch h.Typeflag {
		case tar.TypeDir:
			err = errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, h.FileInfo().Mode()))
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, path)
		case tar.TypeLink:
			err = os.Link(filepath.Join(dir, h.Linkname), path)
		default:
			write(t, path, content)
			err = os.Chmod(path, h.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestChangesAreCarried(t *testing.T) {
	s := newSpace(t, "file first", "0755 run sh", "d/", "d/below x", "gone x", "link -> d")
	s.step("a", "file second", "rm gone", "new/", "new/file y", "0700 d/")
	want := []string{"d drwx------", "d/below -rw-r--r-- x", "file -rw-r--r-- second", "link Lrwxrwxrwx d", "new drwxr-xr-x",
		"new/file -rw-r--r-- y", "run -rwxr-xr-x sh"}
	for _, place := range []string{"reader", "b", "host", "a"} {
		s.want(place, want...)
	}
	if s.daemons["a"].labels["run"] != "1" || filepath.Base(s.volumes["a"].name) != "multiarch-1-workspace.1" {
		t.Errorf("volume %s with labels %v", s.volumes["a"].name, s.daemons["a"].labels)
	}
	s.step("host", "d -> new", "rm link", "4711 run sh", "file third")
	want = []string{"d Lrwxrwxrwx new", "file -rw-r--r-- third", "new drwxr-xr-x", "new/file -rw-r--r-- y", "run urwx--x--x sh"}
	for _, place := range []string{"b", "reader", "a"} {
		s.want(place, want...)
	}
	s.step("b", "new x", "d/", "d/link -> nowhere")
	want = []string{"d drwxr-xr-x", "d/link Lrwxrwxrwx nowhere", "file -rw-r--r-- third", "new -rw-r--r-- x", "run urwx--x--x sh"}
	for _, place := range []string{"a", "b", "c", "reader"} {
		s.want(place, want...)
	}
}

// Where nothing has to be carried, nothing is read and no copy made.
func TestNothingIsCarriedInVain(t *testing.T) {
	s := newSpace(t, "file x", "d/")
	a, b := s.daemons["a"], s.daemons["b"]
	s.step("reader")
	s.step("a", "new x")
	s.step("a", "newer x")
	if s.dir != s.context || s.copy != nil || a.sent != 2 || a.received != 0 || a.made != 1 {
		t.Errorf("one daemon: %d sent, %d received, copy %v", a.sent, a.received, s.copy)
	}
	s.step("b")
	if b.sent != 4 || a.received != 1 {
		t.Errorf("another: %d sent, %d received", b.sent, a.received)
	}
	s.step("b")
	s.step("a")
	s.want("reader", "d drwxr-xr-x", "file -rw-r--r-- x", "new -rw-r--r-- x", "newer -rw-r--r-- x")
	if a.sent != 2 || b.sent != 4 || a.made != 1 || b.made != 1 {
		t.Errorf("%d and %d sent, %d and %d volumes", a.sent, b.sent, a.made, b.made)
	}
	s.step("host", "d/below x", "file x")
	s.step("b")
	if b.sent != 6 { // the file and its folder
		t.Errorf("after a change here: %d sent", b.sent)
	}
	// A step that changes nothing needs no copy.
	s = newSpace(t, "file x")
	s.step("a")
	s.want("reader", "file -rw-r--r-- x")
	s.want("b", "file -rw-r--r-- x")
	if s.dir != s.context {
		t.Error("there is a copy")
	}
}

func TestGitStaysHere(t *testing.T) {
	s := newSpace(t, "file x", ".git/", ".git/HEAD x", "d/", "d/.git/", "d/.git/HEAD y")
	has := func(place string, want bool) {
		t.Helper()
		dir, release := s.at(place)
		defer release()
		if _, err := os.Stat(filepath.Join(dir, ".git/HEAD")); (err == nil) != want {
			t.Errorf("%s: %v", place, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "d/.git/HEAD")); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	}
	has("a", false)
	s.step("a", ".git/", ".git/config x", "new x")
	has("host", true)
	has("b", false)
	if _, err := os.Stat(filepath.Join(s.dir, ".git/config")); err == nil {
		t.Error(".git came from a volume")
	}
	// What was checked out for the run has its own.
	made := emptyTree(t)
	change(t, made.dir(), ".git/", ".git/HEAD x", "d/.git/HEAD y")
	s = &space{newWorkspace(Source{Dir: made.dir(), temporary: made}, "other-", nil), t, s.daemons, made.dir()}
	has("a", true)
}

// The later carry of a file stays, and changes of other files are not lost.
func TestSideBySide(t *testing.T) {
	s := newSpace(t, "both x", "one x", "d/")
	inA, releaseA := s.at("a")
	inB, releaseB := s.at("b")
	here, releaseHere := s.at("host")
	change(t, inA, "both a", "a x", "d/a x", "rm one")
	change(t, inB, "both b", "b x", "d/b x")
	change(t, here, "here x")
	releaseB()
	releaseA()
	releaseHere()
	want := []string{"a -rw-r--r-- x", "b -rw-r--r-- x", "both -rw-r--r-- a", "d drwxr-xr-x", "d/a -rw-r--r-- x", "d/b -rw-r--r-- x", "here -rw-r--r-- x"}
	for _, place := range []string{"reader", "a", "b", "c"} {
		s.want(place, want...)
	}
}

// A folder that became something else meanwhile becomes a folder again for what is carried into it.
func TestSideBySideInFolders(t *testing.T) {
	s := newSpace(t, "d/", "d/x x", "e/", "e/x x", "f/")
	inA, releaseA := s.at("a")
	inB, releaseB := s.at("b")
	change(t, inA, "d file", "e -> f", "f/x x")
	change(t, inB, "d/y y", "e/y y", "f file")
	releaseB()
	releaseA()
	for _, place := range []string{"a", "reader", "b"} {
		s.want(place, "d drwxr-xr-x", "d/y -rw-r--r-- y", "e drwxr-xr-x", "e/y -rw-r--r-- y", "f -rw-r--r-- file")
	}
}

// Files that were removed elsewhere stay in a volume that is used, and only as long.
func TestRemovedElsewhere(t *testing.T) {
	s := newSpace(t, "file x", "d/", "d/old x")
	inA, release := s.at("a")
	s.step("b", "rm d", "new x")
	s.want("a", "d drwxr-xr-x", "d/old -rw-r--r-- x", "file -rw-r--r-- x", "new -rw-r--r-- x")
	change(t, inA, "own x")
	release()
	s.want("a", "file -rw-r--r-- x", "new -rw-r--r-- x", "own -rw-r--r-- x")
	s.want("b", "file -rw-r--r-- x", "new -rw-r--r-- x", "own -rw-r--r-- x")
	if n := s.daemons["a"].made; n != 2 {
		t.Errorf("%d volumes", n)
	}
	// What takes its name again is carried as well.
	_, release = s.at("a")
	s.step("b", "rm own")
	s.step("a")
	s.step("b", "own x", "new/", "new/x x")
	s.step("b", "new x")
	s.want("a", "file -rw-r--r-- x", "new -rw-r--r-- x", "own -rw-r--r-- x")
	release()
}

// Owners go from volume to volume, also by way of this machine, and so do times and unreadable modes.
func TestOwnersAndTimes(t *testing.T) {
	s := newSpace(t, "file x", "kept x")
	dir, release := s.at("a")
	change(t, dir, "0000 secret x", "0700 d/", "other x")
	a := s.daemons["a"]
	for _, name := range []string{"secret", "d", "kept"} {
		a.owners[s.volumes["a"].name+"/"+name] = [2]int{1000, 7}
	}
	if err := os.Chtimes(filepath.Join(dir, "other"), modified, modified); err != nil {
		t.Fatal(err)
	}
	release()
	s.step("host", "d/x x", "other y", "kept y")
	s.want("b", "d drwx------", "d/x -rw-r--r-- x", "file -rw-r--r-- x", "kept -rw-r--r-- y", "other -rw-r--r-- y", "secret ----------")
	s.step("b")
	b := s.daemons["b"]
	for name, want := range map[string]int{"secret": 1000, "d": 1000, "kept": 1000, "file": 0, "d/x": 0} {
		if got := b.owners[s.volumes["b"].name+"/"+name]; got[0] != want || got[1] != 7*want/1000 {
			t.Errorf("%s has owner %v", name, got)
		}
	}
	s.step("a", "other z")
	if err := os.Chtimes(filepath.Join(dir, "other"), modified, modified); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{"b", "reader"} {
		dir, release := s.at(place)
		release()
		if info, err := os.Stat(filepath.Join(dir, "other")); err != nil || !info.ModTime().Equal(modified) {
			t.Errorf("%s: %v, %v", place, info, err)
		}
	}
}

func TestHardLinks(t *testing.T) {
	s := newSpace(t, "file x", "d/")
	s.step("a", "d/one y", "two => d/one", "link -> nowhere", "same => link", "third => file")
	want := []string{"d drwxr-xr-x", "d/one -rw-r--r-- y", "file -rw-r--r-- x", "link Lrwxrwxrwx nowhere", "same Lrwxrwxrwx nowhere",
		"third -rw-r--r-- x", "two -rw-r--r-- y"}
	for _, place := range []string{"reader", "b", "a", "host", "a"} {
		s.want(place, want...)
	}
	if n := s.daemons["a"].sent; n != 2 {
		t.Errorf("%d items sent", n)
	}
}

// The copy may be in the context, when that is where temporary files are: it does not copy itself.
func TestCopyInsideContext(t *testing.T) {
	s := newSpace(t, "file x", "tmp/")
	t.Setenv("TMPDIR", filepath.Join(s.context, "tmp"))
	s.step("a", "new x")
	s.want("b", "file -rw-r--r-- x", "new -rw-r--r-- x", "tmp drwxr-xr-x")
	s.want("host", "file -rw-r--r-- x", "new -rw-r--r-- x", "tmp drwxr-xr-x")
	s.want("c", "file -rw-r--r-- x", "new -rw-r--r-- x", "tmp drwxr-xr-x")
	// It has an absolute path all the same when that of temporary files is none.
	t.Chdir(s.context)
	t.Setenv("TMPDIR", "tmp")
	if nothing := open(t, noContext, nil, nil); filepath.Dir(filepath.Dir(nothing.Dir)) != filepath.Join(s.context, "tmp") {
		t.Error(nothing.Dir)
	}
}

// After a stream that broke off, at any place, a step that is tried again sees what it has to.
func TestBrokenStreams(t *testing.T) {
	for after := int64(1); after < 12000; after += 1000 {
		s := newSpace(t, "a "+strings.Repeat("x", 2000), "b y")
		want := []string{"a -rw-r--r-- " + strings.Repeat("z", 2000), "b -rw-r--r-- y", "c -rw-r--r-- x", "here -rw-r--r-- x"}
		s.step("a", "a "+strings.Repeat("z", 2000), "c x")
		s.step("host", "here x")
		for _, d := range []string{"a", "b"} {
			s.daemons[d].breaks = after
			if _, _, err := s.tryAt(d); err != nil && !errors.Is(err, errCarry) {
				t.Fatal(err)
			}
			s.daemons[d].breaks = 0
		}
		s.daemons["c"].breaks = after
		if _, _, err := s.tryAt("c"); err != nil && !strings.Contains(err.Error(), "copying the workspace to volume multiarch-1-workspace.3: ") {
			t.Errorf("after %d bytes: %v", after, err)
		}
		s.daemons["c"].breaks = 0
		// Nothing that was sent in part comes back.
		s.volumes["a"].changed.Store(s.ended.Add(1))
		s.want("reader", want...)
		for _, place := range []string{"b", "a", "c"} {
			s.want(place, want...)
		}
		s.step("b", "rm here")
		s.daemons["b"].breaks = after
		if _, _, err := s.tryAt("reader"); err != nil && !strings.Contains(err.Error(), "copying the workspace from volume multiarch-1-workspace.2: ") {
			t.Errorf("after %d bytes: %v", after, err)
		}
		s.daemons["b"].breaks = 0
		s.want("reader", want[:3]...)
	}
}

// A stream that ends where another file could begin is not taken for a volume that has no more.
func TestQuietBreak(t *testing.T) {
	s := newSpace(t, "file x", "other x")
	s.step("a")
	a := s.daemons["a"]
	for blocks := range int64(8) {
		a.breaks, a.quietly = 512*(blocks+1), true
		if _, _, err := s.tryAt("reader"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d blocks: %v", blocks+1, err)
		}
	}
	s.want("reader", "file -rw-r--r-- x", "other -rw-r--r-- x")
}

// flow are volumes that keep nothing: what is sent is read, and received is one large file.
type flow struct {
	*volumes
	size int64
}

func (flow) Send(_ context.Context, _ string, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func (f flow) Receive(context.Context, string) (io.ReadCloser, error) {
	r, out := io.Pipe()
	go func() {
		w := tar.NewWriter(out)
		err := w.WriteHeader(&tar.Header{Name: "large", Size: f.size, Mode: 0o600, Typeflag: tar.TypeReg})
		_, failed := io.CopyN(w, rand.NewChaCha8([32]byte{}), f.size)
		out.CloseWithError(errors.Join(err, failed, w.Close()))
	}()
	return r, nil
}

// The size of a file does not matter to the memory: a whole copy of 64 MiB would be seen.
func TestMemoryDoesNotGrowWithFiles(t *testing.T) {
	s := newSpace(t)
	f := flow{s.daemons["a"], 64 << 20}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, release, err := s.Volume(t.Context(), "a", f, f)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if _, _, err = s.Host(t.Context(), true); err == nil {
		_, _, err = s.Volume(t.Context(), "b", f, f)
	}
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "large")); err != nil || info.Size() != f.size {
		t.Errorf("got error %v, want none", err)
	}
}

func TestCarryIsCancelled(t *testing.T) {
	s := newSpace(t, "file x")
	ctx, cancel := context.WithCancel(t.Context())
	_, release, err := s.Volume(ctx, "a", s.daemons["a"], s.daemons["a"])
	if err != nil {
		t.Fatal(err)
	}
	release()
	cancel()
	a, b := s.daemons["a"], s.daemons["b"]
	if _, _, err := s.Volume(ctx, "b", b, b); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	if _, _, err := s.Host(ctx, true); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	// One that waits for its turn does not wait longer.
	unlock, err := s.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Volume(ctx, "a", a, a); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	unlock()
}

// somewhere is a path among few, so that changes meet.
func somewhere(r *rand.Rand) string {
	names := []string{"a", "b", "c"}
	path := names[r.IntN(3)]
	for r.IntN(2) == 0 && strings.Count(path, "/") < 3 {
		path += "/" + names[r.IntN(3)]
	}
	return path
}

// disturb makes random changes in a folder.
func disturb(t *testing.T, r *rand.Rand, dir string) {
	for range r.IntN(5) {
		name := somewhere(r)
		for parent := range parents(name) {
			if info, err := os.Lstat(filepath.Join(dir, parent)); err != nil || !info.IsDir() {
				change(t, dir, parent+"/")
			}
		}
		switch r.IntN(6) {
		case 0:
			change(t, dir, "rm "+name)
		case 1:
			change(t, dir, fmt.Sprintf("%04o %s/", []int{0o755, 0o700, 0o750}[r.IntN(3)], name))
		case 2:
			change(t, dir, name+" -> "+somewhere(r))
		default:
			change(t, dir, fmt.Sprintf("%04o %s %d", []int{0o644, 0o755, 0o400}[r.IntN(3)], name, r.IntN(4)))
		}
	}
}

// Whatever steps do one after the other at any places, each sees what the one before left.
func TestStepsInSequence(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := newSpace(t)
		var last []string
		for n := range 15 {
			place := []string{"a", "b", "c", "host", "reader"}[r.IntN(5)]
			dir, release := s.at(place)
			if got := listing(t, dir); !slices.Equal(got, last) {
				t.Fatalf("seed %d, step %d at %s: got %q\nnot %q", seed, n, place, got, last)
			}
			if place != "reader" {
				disturb(t, r, dir)
			}
			last = listing(t, dir)
			release()
		}
	}
}

// Whatever steps do side by side to files of their own, nothing of it is lost.
func TestStepsSideBySide(t *testing.T) {
	for seed := range uint64(20) {
		s := newSpace(t, "d/", "e/")
		var group sync.WaitGroup
		var mutex sync.Mutex
		files := map[string]string{}
		for i := range uint64(8) {
			group.Go(func() {
				r := rand.New(rand.NewPCG(seed, i))
				own := map[string]string{}
				for n := range 4 {
					place := []string{"a", "b", "c", "host"}[r.IntN(4)]
					dir, release, err := s.tryAt(place)
					if err != nil {
						t.Errorf("got error %v, want none", err)
						return
					}
					for name, content := range own {
						if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
							t.Errorf("seed %d, step %d of %d at %s: %s has %q, not %q, %v", seed, n, i, place, name, got, content, err)
						}
					}
					name := fmt.Sprintf("%s%d-%d", []string{"", "d/", "e/"}[r.IntN(3)], i, r.IntN(3))
					own[name] = fmt.Sprint(n)
					if err := os.WriteFile(filepath.Join(dir, name), []byte(own[name]), 0o600); err != nil {
						t.Errorf("got error %v, want none", err)
					}
					release()
				}
				mutex.Lock()
				defer mutex.Unlock()
				maps.Copy(files, own)
			})
		}
		group.Wait()
		for _, place := range []string{"a", "b", "c", "reader"} {
			var want []string
			for name, content := range files {
				want = append(want, name+" -rw------- "+content)
			}
			s.want(place, slices.Sorted(slices.Values(append(want, "d drwxr-xr-x", "e drwxr-xr-x")))...)
		}
	}
}
