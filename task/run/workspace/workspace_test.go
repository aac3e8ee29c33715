package workspace

import (
	"archive/tar"
	"bytes"
	"cmp"
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

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
)

// volumes are the volumes of a daemon, as folders. They unpack tar streams as a daemon does: a file or link replaces
// anything, a folder replaces anything but a folder, and nothing else is removed.
type volumes struct {
	t      *testing.T
	dir    string
	labels map[string]string
	mutex  sync.Mutex
	owners map[string][2]int // of files that are not root's, by volume and path
	// created, sent and received count volumes, sent items, and received volumes.
	created, sent, received int
	// local is whether the daemon is on this machine; links are folders that are volumes.
	local bool
	links map[string]string
	// truncateAt is the length at which the next stream is truncated, 0 for never; silently is whether without an error.
	truncateAt int64
	silently   bool
}

func newVolumes(t *testing.T) *volumes {
	return &volumes{t: t, dir: t.TempDir(), owners: map[string][2]int{}, links: map[string]string{}}
}

var errTruncated = errors.New("the daemon went away")

// truncated returns r, truncated if truncateAt is set.
func (v *volumes) truncated(r io.Reader) io.Reader {
	if v.truncateAt == 0 {
		return r
	}
	cut := io.LimitReader(r, v.truncateAt)
	v.truncateAt = 0
	if v.silently {
		return cut
	}
	return io.MultiReader(cut, failingReader{})
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errTruncated }

func (v *volumes) path(volume string) string {
	return cmp.Or(v.links[volume], filepath.Join(v.dir, volume))
}

func (v *volumes) LinkVolume(_ context.Context, name string, _, options map[string]string) error {
	if !v.local || options["type"] == "overlay" {
		return errors.ErrUnsupported
	}
	v.created++
	v.links[name] = options["device"]
	return nil
}

func (v *volumes) CreateVolume(_ context.Context, name string, labels map[string]string) error {
	v.created++
	v.labels = labels
	return os.Mkdir(v.path(name), 0o755)
}

func (v *volumes) Send(ctx context.Context, volume string, r io.Reader) error {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	archive := tar.NewReader(v.truncated(r))
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

func (v *volumes) Mount(_ context.Context, volume string) error {
	_, err := os.Stat(v.path(volume))
	return err
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
			return nil // a socket, which a daemon skips
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
	return io.NopCloser(v.truncated(&out)), nil
}

// readAnyway reads a file even if its mode forbids it.
func readAnyway(path string, info fs.FileInfo) ([]byte, error) {
	if info.Mode()&0o400 == 0 {
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, err
		}
		defer func() { _ = os.Chmod(path, info.Mode()) }()
	}
	return os.ReadFile(path)
}

// testWorkspace is a workspace with daemons.
type testWorkspace struct {
	*Workspace
	t       *testing.T
	daemons map[string]*volumes
	context string
}

// newTestWorkspace returns a workspace of a folder with files, see header.
func newTestWorkspace(t *testing.T, files ...string) *testWorkspace {
	t.Helper()
	fakes.EmptyTemp(t)
	dir := t.TempDir()
	change(t, dir, files...)
	before := fakes.Listing(t, dir)
	setup := Setup{Context: dir, Prefix: "multiarch-1-", Labels: map[string]string{"run": "1"}, Shared: true,
		Note: func(text string) { t.Log(text) }}
	s := &testWorkspace{New(setup), t, map[string]*volumes{"a": newVolumes(t), "b": newVolumes(t), "c": newVolumes(t), "local": newVolumes(t)}, dir}
	s.daemons["local"].local = true
	t.Cleanup(func() {
		if err := s.Close(t.Context(), nil); err != nil {
			t.Errorf("got error %v, want none", err)
		}
		if now := fakes.Listing(t, dir); !slices.Equal(now, before) {
			t.Errorf("got context %q after the run, want %q", now, before)
		}
	})
	return s
}

// start starts a step at a location, which is a daemon, or "host" or "reader" for a writing or reading step on this
// machine. It returns the step's folder.
func (s *testWorkspace) start(location string) (dir string, release func()) {
	s.t.Helper()
	dir, release, err := s.tryStart(location)
	if err != nil {
		s.t.Fatal(err)
	}
	return dir, release
}

func (s *testWorkspace) tryStart(location string) (dir string, release func(), err error) {
	if d := s.daemons[location]; d != nil {
		name, release, err := s.Volume(s.t.Context(), location, d)
		return d.path(name), release, err
	}
	if location == "host" {
		return s.Host(s.t.Context(), Writes)
	}
	return s.Host(s.t.Context(), Reads)
}

// step runs a step at a location, which makes changes, see change.
func (s *testWorkspace) step(location string, changes ...string) {
	s.t.Helper()
	dir, release := s.start(location)
	change(s.t, dir, changes...)
	release()
}

// want checks the files of a step at a location.
func (s *testWorkspace) want(location string, want ...string) {
	s.t.Helper()
	dir, release := s.start(location)
	defer release()
	if got := fakes.Listing(s.t, dir); !slices.Equal(got, want) {
		s.t.Errorf("%s: got %q\nwant %q", location, got, want)
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
		h, content := fakes.TarHeader(c)
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
			fakes.Write(t, path, content)
			err = os.Chmod(path, h.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestChangesAreCopied(t *testing.T) {
	s := newTestWorkspace(t, "file first", "0755 run sh", "d/", "d/below x", "gone x", "link -> d")
	s.step("a", "file second", "rm gone", "new/", "new/file y", "0700 d/")
	want := []string{"d drwx------", "d/below -rw-r--r-- x", "file -rw-r--r-- second", "link Lrwxrwxrwx d", "new drwxr-xr-x",
		"new/file -rw-r--r-- y", "run -rwxr-xr-x sh"}
	for _, location := range []string{"reader", "b", "host", "a"} {
		s.want(location, want...)
	}
	if s.daemons["a"].labels["run"] != "1" || filepath.Base(s.volumes["a"].name) != "multiarch-1-workspace.1" {
		t.Errorf("got volume %s with labels %v, want multiarch-1-workspace.1 with run=1", s.volumes["a"].name, s.daemons["a"].labels)
	}
	s.step("host", "d -> new", "rm link", "4711 run sh", "file third")
	want = []string{"d Lrwxrwxrwx new", "file -rw-r--r-- third", "new drwxr-xr-x", "new/file -rw-r--r-- y", "run urwx--x--x sh"}
	for _, location := range []string{"b", "reader", "a"} {
		s.want(location, want...)
	}
	s.step("b", "new x", "d/", "d/link -> nowhere")
	want = []string{"d drwxr-xr-x", "d/link Lrwxrwxrwx nowhere", "file -rw-r--r-- third", "new -rw-r--r-- x", "run urwx--x--x sh"}
	for _, location := range []string{"a", "b", "c", "reader"} {
		s.want(location, want...)
	}
}

// A volume that has the files is not sent any; a context that nothing has written to is not copied.
func TestNothingIsCopiedUnnecessarily(t *testing.T) {
	s := newTestWorkspace(t, "file x", "d/")
	a, b := s.daemons["a"], s.daemons["b"]
	s.step("reader")
	s.step("a", "new x")
	s.step("a", "newer x")
	if s.dir != s.context || a.sent != 2 || a.received != 0 || a.created != 1 {
		t.Errorf("one daemon: got %d items sent, %d volumes received, files in %s; want 2, 0 and the context", a.sent, a.received, s.dir)
	}
	s.step("b")
	if b.sent != 4 || a.received != 1 {
		t.Errorf("two daemons: got %d items sent, %d volumes received; want 4 and 1", b.sent, a.received)
	}
	s.step("b")
	s.step("a")
	s.want("reader", "d drwxr-xr-x", "file -rw-r--r-- x", "new -rw-r--r-- x", "newer -rw-r--r-- x")
	if a.sent != 2 || b.sent != 4 || a.created != 1 || b.created != 1 {
		t.Errorf("got %d and %d items sent, %d and %d volumes; want 2 and 4, 1 and 1", a.sent, b.sent, a.created, b.created)
	}
	// A daemon on this machine uses the files of the steps here.
	s = newTestWorkspace(t, "file x")
	if err := s.Link(t.Context(), "local", s.daemons["local"]); err != nil {
		t.Error(err)
	}
	s.step("local", "new x")
	s.want("host", "file -rw-r--r-- x", "new -rw-r--r-- x")
	s.want("local", "file -rw-r--r-- x", "new -rw-r--r-- x")
	if l := s.daemons["local"]; l.sent != 0 || l.received != 0 || l.created != 1 {
		t.Errorf("a daemon here: got %d items sent, %d volumes received, %d created; want 0, 0 and 1", l.sent, l.received, l.created)
	}
}

func TestGitFolderIsNotCopied(t *testing.T) {
	s := newTestWorkspace(t, "file x", ".git/", ".git/HEAD x", "d/", "d/.git/", "d/.git/HEAD y")
	has := func(location string, want bool) {
		t.Helper()
		dir, release := s.start(location)
		defer release()
		if _, err := os.Stat(filepath.Join(dir, ".git/HEAD")); (err == nil) != want {
			t.Errorf("%s: got error %v, want .git %t", location, err, want)
		}
		if _, err := os.Stat(filepath.Join(dir, "d/.git/HEAD")); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	}
	has("reader", true)
	has("a", false)
	s.step("a", ".git/", ".git/config x", "new x")
	for _, location := range []string{"host", "reader", "b", "local"} {
		has(location, false)
	}
	if _, err := os.Stat(filepath.Join(s.dir, ".git/config")); err == nil {
		t.Error("got .git of a volume, want it skipped")
	}
	// A context that was checked out for the run has its own.
	made := emptyFolder(t)
	change(t, made, ".git/", ".git/HEAD x", "d/.git/HEAD y")
	s = &testWorkspace{New(Setup{Context: made, Temp: filepath.Dir(made), Prefix: "other-", Shared: true}), t, s.daemons, made}
	for _, location := range []string{"a", "host", "local"} {
		has(location, true)
	}
}

// The later copy of a file wins, and changes of other files are not lost.
func TestConcurrentSteps(t *testing.T) {
	s := newTestWorkspace(t, "both x", "one x", "d/")
	inA, releaseA := s.start("a")
	inB, releaseB := s.start("b")
	here, releaseHere := s.start("host")
	change(t, inA, "both a", "a x", "d/a x", "rm one")
	change(t, inB, "both b", "b x", "d/b x")
	change(t, here, "here x")
	releaseB()
	releaseA()
	releaseHere()
	want := []string{"a -rw-r--r-- x", "b -rw-r--r-- x", "both -rw-r--r-- a", "d drwxr-xr-x", "d/a -rw-r--r-- x", "d/b -rw-r--r-- x", "here -rw-r--r-- x"}
	for _, location := range []string{"reader", "a", "b", "c"} {
		s.want(location, want...)
	}
}

// A folder that was replaced by a file becomes a folder again for files that are copied into it.
func TestConcurrentStepsInFolders(t *testing.T) {
	s := newTestWorkspace(t, "d/", "d/x x", "e/", "e/x x", "f/")
	inA, releaseA := s.start("a")
	inB, releaseB := s.start("b")
	change(t, inA, "d file", "e -> f", "f/x x")
	change(t, inB, "d/y y", "e/y y", "f file")
	releaseB()
	releaseA()
	for _, location := range []string{"a", "reader", "b"} {
		s.want(location, "d drwxr-xr-x", "d/y -rw-r--r-- y", "e drwxr-xr-x", "e/y -rw-r--r-- y", "f -rw-r--r-- file")
	}
}

// Files that were removed elsewhere remain in a volume while it is in use.
func TestRemovedElsewhere(t *testing.T) {
	s := newTestWorkspace(t, "file x", "d/", "d/old x")
	inA, release := s.start("a")
	s.step("b", "rm d", "new x")
	s.want("a", "d drwxr-xr-x", "d/old -rw-r--r-- x", "file -rw-r--r-- x", "new -rw-r--r-- x")
	change(t, inA, "own x")
	release()
	s.want("a", "file -rw-r--r-- x", "new -rw-r--r-- x", "own -rw-r--r-- x")
	s.want("b", "file -rw-r--r-- x", "new -rw-r--r-- x", "own -rw-r--r-- x")
	if n := s.daemons["a"].created; n != 2 {
		t.Errorf("got %d volumes, want 2", n)
	}
	// A new file with the name of a removed one is copied.
	_, release = s.start("a")
	s.step("b", "rm own")
	s.step("a")
	s.step("b", "own x", "new/", "new/x x")
	s.step("b", "new x")
	s.want("a", "file -rw-r--r-- x", "new -rw-r--r-- x", "own -rw-r--r-- x")
	release()
}

// Owners, times and unreadable modes are kept between volumes, also through this machine.
func TestOwnersAndTimes(t *testing.T) {
	s := newTestWorkspace(t, "file x", "kept x")
	dir, release := s.start("a")
	change(t, dir, "0000 secret x", "0700 d/", "other x")
	a := s.daemons["a"]
	for _, name := range []string{"secret", "d", "kept"} {
		a.owners[s.volumes["a"].name+"/"+name] = [2]int{1000, 7}
	}
	if err := os.Chtimes(filepath.Join(dir, "other"), fakes.Modified, fakes.Modified); err != nil {
		t.Fatal(err)
	}
	release()
	s.step("host", "d/x x", "other y", "kept y")
	s.want("b", "d drwx------", "d/x -rw-r--r-- x", "file -rw-r--r-- x", "kept -rw-r--r-- y", "other -rw-r--r-- y", "secret ----------")
	s.step("b")
	b := s.daemons["b"]
	for name, want := range map[string]int{"secret": 1000, "d": 1000, "kept": 0, "file": 0, "d/x": 0} {
		if got := b.owners[s.volumes["b"].name+"/"+name]; got[0] != want || got[1] != 7*want/1000 {
			t.Errorf("%s: got owner %v, want %d", name, got, want)
		}
	}
	s.step("a", "other z")
	if err := os.Chtimes(filepath.Join(dir, "other"), fakes.Modified, fakes.Modified); err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{"b", "reader"} {
		dir, release := s.start(location)
		release()
		if info, err := os.Stat(filepath.Join(dir, "other")); err != nil || !info.ModTime().Equal(fakes.Modified) {
			t.Errorf("%s: got %v and error %v, want modification time %v", location, info, err, fakes.Modified)
		}
	}
}

func TestHardLinks(t *testing.T) {
	s := newTestWorkspace(t, "file x", "d/")
	s.step("a", "d/one y", "two => d/one", "link -> nowhere", "same => link", "third => file")
	want := []string{"d drwxr-xr-x", "d/one -rw-r--r-- y", "file -rw-r--r-- x", "link Lrwxrwxrwx nowhere", "same Lrwxrwxrwx nowhere",
		"third -rw-r--r-- x", "two -rw-r--r-- y"}
	for _, location := range []string{"reader", "b", "a", "host", "a"} {
		s.want(location, want...)
	}
	if n := s.daemons["a"].sent; n != 3 { // the folder twice
		t.Errorf("got %d items sent, want 3", n)
	}
}

// If the folder for temporary files is in the context, the copy does not copy itself.
func TestCopyInsideContext(t *testing.T) {
	s := newTestWorkspace(t, "file x", "tmp/")
	t.Setenv("TMPDIR", filepath.Join(s.context, "tmp"))
	s.step("a", "new x")
	s.want("b", "file -rw-r--r-- x", "new -rw-r--r-- x", "tmp drwxr-xr-x")
	s.want("host", "file -rw-r--r-- x", "new -rw-r--r-- x", "tmp drwxr-xr-x")
	s.want("c", "file -rw-r--r-- x", "new -rw-r--r-- x", "tmp drwxr-xr-x")
	// The path of a context is absolute even if that of temporary files is not.
	t.Chdir(s.context)
	t.Setenv("TMPDIR", "tmp")
	if made := emptyFolder(t); filepath.Dir(filepath.Dir(made)) != filepath.Join(s.context, "tmp") {
		t.Errorf("got %s, want it below the folder for temporary files", made)
	}
}

// After a stream was truncated at any position, the next attempt of a step has the right files.
func TestTruncatedStreams(t *testing.T) {
	for after := int64(1); after < 12000; after += 1000 {
		s := newTestWorkspace(t, "a "+strings.Repeat("x", 2000), "b y")
		want := []string{"a -rw-r--r-- " + strings.Repeat("z", 2000), "b -rw-r--r-- y", "c -rw-r--r-- x", "here -rw-r--r-- x"}
		s.step("a", "a "+strings.Repeat("z", 2000), "c x")
		s.step("host", "here x")
		for _, d := range []string{"a", "b"} {
			s.daemons[d].truncateAt = after
			if _, _, err := s.tryStart(d); err != nil && !errors.Is(err, errTruncated) {
				t.Fatal(err)
			}
			s.daemons[d].truncateAt = 0
		}
		s.daemons["c"].truncateAt = after
		if _, _, err := s.tryStart("c"); err != nil && !strings.Contains(err.Error(), "copying the workspace to volume multiarch-1-workspace.3: ") {
			t.Errorf("truncated after %d bytes: got error %v, want one that names the volume", after, err)
		}
		s.daemons["c"].truncateAt = 0
		// Files that were sent only in part are not copied back.
		s.volumes["a"].changed.Store(s.ended.Add(1))
		s.want("reader", want...)
		for _, location := range []string{"b", "a", "c"} {
			s.want(location, want...)
		}
		s.step("b", "rm here")
		s.daemons["b"].truncateAt = after
		if _, _, err := s.tryStart("reader"); err != nil && !strings.Contains(err.Error(), "copying the workspace from volume multiarch-1-workspace.") {
			t.Errorf("truncated after %d bytes: got error %v, want one that names the volume", after, err)
		}
		s.daemons["b"].truncateAt = 0
		s.want("reader", want[:3]...)
	}
}

// A stream that is truncated between files is not mistaken for a complete one.
func TestSilentTruncation(t *testing.T) {
	s := newTestWorkspace(t, "file x", "other x")
	s.step("a")
	a := s.daemons["a"]
	for blocks := range int64(8) {
		a.truncateAt, a.silently = 512*(blocks+1), true
		if _, _, err := s.tryStart("reader"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("truncated after %d blocks: got error %v, want %v", blocks+1, err, io.ErrUnexpectedEOF)
		}
	}
	s.want("reader", "file -rw-r--r-- x", "other -rw-r--r-- x")
}

// largeVolumes are volumes that discard what is sent, and contain one large file.
type largeVolumes struct {
	*volumes
	size int64
}

func (largeVolumes) Send(_ context.Context, _ string, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func (f largeVolumes) Receive(context.Context, string) (io.ReadCloser, error) {
	r, out := io.Pipe()
	go func() {
		w := tar.NewWriter(out)
		err := w.WriteHeader(&tar.Header{Name: "large", Size: f.size, Mode: 0o600, Typeflag: tar.TypeReg})
		_, failed := io.CopyN(w, rand.NewChaCha8([32]byte{}), f.size)
		out.CloseWithError(errors.Join(err, failed, w.Close()))
	}()
	return r, nil
}

// Memory does not grow with the size of files.
func TestMemoryOfLargeFiles(t *testing.T) {
	s := newTestWorkspace(t)
	f := largeVolumes{s.daemons["a"], 64 << 20}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, release, err := s.Volume(t.Context(), "a", f)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if _, _, err = s.Host(t.Context(), Writes); err == nil {
		_, _, err = s.Volume(t.Context(), "b", f)
	}
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("got %d bytes allocated, want at most 16 MiB", grown)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "large")); err != nil || info.Size() != f.size {
		t.Errorf("got error %v, want none", err)
	}
}

func TestCopyIsCancelled(t *testing.T) {
	s := newTestWorkspace(t, "file x")
	ctx, cancel := context.WithCancel(t.Context())
	_, release, err := s.Volume(ctx, "a", s.daemons["a"])
	if err != nil {
		t.Fatal(err)
	}
	release()
	cancel()
	a, b := s.daemons["a"], s.daemons["b"]
	if _, _, err := s.Volume(ctx, "b", b); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	if _, _, err := s.Host(ctx, Writes); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	// A step that waits for another copy stops waiting.
	unlock, err := s.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Volume(ctx, "a", a); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	unlock()
}

// randomPath returns one of few paths, so that changes conflict.
func randomPath(r *rand.Rand) string {
	names := []string{"a", "b", "c"}
	path := names[r.IntN(3)]
	for r.IntN(2) == 0 && strings.Count(path, "/") < 3 {
		path += "/" + names[r.IntN(3)]
	}
	return path
}

// changeRandomly makes random changes in a folder.
func changeRandomly(t *testing.T, r *rand.Rand, dir string) {
	for range r.IntN(5) {
		name := randomPath(r)
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
			change(t, dir, name+" -> "+randomPath(r))
		default:
			change(t, dir, fmt.Sprintf("%04o %s %d", []int{0o644, 0o755, 0o400}[r.IntN(3)], name, r.IntN(4)))
		}
	}
}

// Each of a sequence of steps at random locations has the files of the previous one.
func TestStepsInSequence(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := newTestWorkspace(t)
		var last []string
		for n := range 15 {
			location := []string{"a", "b", "c", "local", "host", "reader"}[r.IntN(6)]
			dir, release := s.start(location)
			if got := fakes.Listing(t, dir); !slices.Equal(got, last) {
				t.Fatalf("seed %d, step %d at %s: got %q\nwant %q", seed, n, location, got, last)
			}
			if location != "reader" {
				changeRandomly(t, r, dir)
			}
			last = fakes.Listing(t, dir)
			release()
		}
	}
}

// Changes of concurrent steps to different files are not lost.
func TestConcurrentRandomSteps(t *testing.T) {
	for seed := range uint64(20) {
		s := newTestWorkspace(t, "d/", "e/")
		var group sync.WaitGroup
		var mutex sync.Mutex
		files := map[string]string{}
		for i := range uint64(8) {
			group.Go(func() {
				r := rand.New(rand.NewPCG(seed, i))
				own := map[string]string{}
				for n := range 4 {
					location := []string{"a", "b", "c", "local", "host"}[r.IntN(5)]
					dir, release, err := s.tryStart(location)
					if err != nil {
						t.Errorf("got error %v, want none", err)
						return
					}
					for name, content := range own {
						if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
							t.Errorf("seed %d, step %d of %d at %s: got %q and error %v in %s, want %q", seed, n, i, location, got, err, name, content)
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
		for _, location := range []string{"a", "b", "c", "reader"} {
			var want []string
			for name, content := range files {
				want = append(want, name+" -rw------- "+content)
			}
			s.want(location, slices.Sorted(slices.Values(append(want, "d drwxr-xr-x", "e drwxr-xr-x")))...)
		}
	}
}

// A volume that the daemon cannot mount is replaced, in the end by one for archives.
func TestVolumeThatCannotBeMounted(t *testing.T) {
	s := newTestWorkspace(t, "file x")
	local := s.daemons["local"]
	name, release, err := s.Volume(t.Context(), "local", local)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if s.Replace(t.Context(), "local", name) {
		t.Error("got another volume, want the one that can be mounted")
	}
	s.volumes["local"].mounted = false
	local.links[name] = filepath.Join(t.TempDir(), "elsewhere")
	if !s.Replace(t.Context(), "local", name) {
		t.Error("got the same volume, want another one")
	}
	s.step("local", "new x")
	s.want("host", "file -rw-r--r-- x", "new -rw-r--r-- x")
	if local.sent != 1 || local.received != 1 {
		t.Errorf("got %d items sent and %d volumes received, want 1 of each", local.sent, local.received)
	}
}
