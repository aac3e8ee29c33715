package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// writesBelow calls event for each change of a file below dir, with its number, until the end of the test or of a call of
// stop, which returns how many there were.
func writesBelow(t *testing.T, dir string, event func(n int64)) (stop func() int64) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	watched := map[int32]string{}
	watch := func(dir string) {
		_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, _ error) error {
			if e != nil && e.IsDir() { // a folder may be gone by now
				if wd, err := unix.InotifyAddWatch(fd, path, unix.IN_CREATE|unix.IN_MODIFY|unix.IN_MOVED_TO|unix.IN_CLOSE_WRITE|unix.IN_DELETE); err == nil {
					watched[int32(wd)] = path
				}
			}
			return nil
		})
	}
	watch(dir)
	file := os.NewFile(uintptr(fd), "inotify")
	var count atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 64<<10)
		for {
			n, err := file.Read(buffer)
			if err != nil {
				return
			}
			for rest := buffer[:n]; len(rest) > 0; {
				e := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
				end := unix.SizeofInotifyEvent + int(e.Len)
				name := strings.TrimRight(string(rest[unix.SizeofInotifyEvent:end]), "\x00")
				rest = rest[end:]
				if e.Mask&unix.IN_CREATE != 0 && e.Mask&unix.IN_ISDIR != 0 {
					watch(filepath.Join(watched[e.Wd], name))
				}
				event(count.Add(1))
			}
		}
	}()
	stop = func() int64 {
		file.Close()
		<-done
		return count.Load()
	}
	t.Cleanup(func() { stop() })
	return stop
}

// Whoever writes a layout over another and is killed at any moment leaves the old or the new one, complete, and the next one
// writes the new one.
func TestLayoutWriterKilled(t *testing.T) {
	for _, name := range []string{"folder", "app.tar"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			before, after := attestedList(s.repo+"old"), attestedList(s.repo)
			harness.Put(t, s.registry, s.repo, "old", before)
			harness.Put(t, s.registry, s.repo, "new", after)
			saved, dir := filepath.Join(s.Dir, "saved"), filepath.Join(s.Dir, "written")
			if err := os.Mkdir(saved, 0o755); err != nil {
				t.Fatal(err)
			}
			s.multiarch("import", s.name("old"), "oci-layout://"+filepath.Join(saved, name)+":1")
			target := "oci-layout://" + filepath.Join(dir, name) + ":1"
			replace := []string{"import", "--force", s.name("new"), target}
			reset := func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if err := os.CopyFS(dir, os.DirFS(saved)); err != nil {
					t.Fatal(err)
				}
			}
			pointsTo := func() string {
				return strings.TrimSpace(s.docker("multiarch", "inspect", "--format", "{{.Digest}}", target))
			}
			reset()
			stop := writesBelow(t, dir, func(int64) {})
			s.multiarch(replace...)
			total := stop()
			random, kept := newRandom(t), 0
			for range kills / 2 {
				reset()
				at := 1 + random.Int64N(total)
				started := make(chan *running, 1)
				stop := writesBelow(t, dir, func(n int64) {
					if n == at {
						_ = syscall.Kill(-(<-started).cmd.Process.Pid, syscall.SIGKILL) // unless it has ended
					}
				})
				r := s.start(replace...)
				started <- r
				_ = r.cmd.Wait()
				stop()
				switch d := pointsTo(); d {
				case before.Digest().String():
					kept++
				case after.Digest().String():
				default:
					t.Errorf("killed at change %d of %d: got %s, want the old or the new list", at, total, d)
				}
				s.multiarch("verify", target)
				s.multiarch(replace...)
				if d := pointsTo(); d != after.Digest().String() {
					t.Errorf("killed at change %d of %d: got %s from the next import, want the new list", at, total, d)
				}
				if t.Failed() {
					return
				}
			}
			if kept == 0 {
				t.Error("got the new list after each kill, want the old one after some")
			}
		})
	}
}

// Twenty processes that write to one folder at once lose no tag.
func TestLayoutManyWriters(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	folder, all := filepath.Join(s.Dir, "layout"), make([]*running, 20)
	for n := range all {
		tag := fmt.Sprint(n)
		harness.Put(t, s.registry, s.repo, tag, attestedList(s.repo+tag))
		all[n] = s.start("import", s.name(tag), "oci-layout://"+folder)
	}
	for _, r := range all {
		if err := r.cmd.Wait(); err != nil {
			t.Errorf("got %v from %s:\n%s", err, r.cmd, &r.stderr)
		}
	}
	var index ocispec.Index
	if err := json.Unmarshal(readFile(t, filepath.Join(folder, "index.json")), &index); err != nil || len(index.Manifests) != len(all) {
		t.Errorf("got %d entries of index.json and error %v, want %d", len(index.Manifests), err, len(all))
	}
	for n := range all {
		s.multiarch("verify", "oci-layout://"+folder+":"+fmt.Sprint(n))
	}
}

// On a full disk a layout is not written, what was there stays, and nothing else is left.
func TestLayoutOnFullDisk(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	harness.Put(t, s.registry, s.repo, "old", attestedList(s.repo+"old"))
	harness.Put(t, s.registry, s.repo, "new", attestedList(s.repo))
	_, stderr := s.mounted(strings.NewReplacer("OLD", s.name("old"), "NEW", s.name("new")).Replace(`
mkdir full
mount -t tmpfs -o size=1m tmpfs full
for target in full/folder full/app.tar; do docker multiarch import OLD oci-layout://$target:1; done
find full | sort >before
cat full/app.tar >before.tar
dd if=/dev/zero of=full/.filler bs=4k 2>/dev/null || :
code() { "$@" && echo worked || echo "code $?"; }
for target in full/folder full/app.tar full/new full/new.tar; do code docker multiarch import --force NEW oci-layout://$target:1 >&2; done
rm full/.filler
find full | sort | diff before - >&2 || :
cmp before.tar full/app.tar
docker multiarch verify oci-layout://full/folder:1
`))
	if strings.Count(stderr, "code 1\n") != 4 || strings.Count(stderr, "no space left on device") != 4 {
		t.Errorf("got stderr, want 4 errors about a full disk:\n%s", stderr)
	}
}
