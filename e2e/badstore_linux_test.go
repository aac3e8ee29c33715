package e2e

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// mounted runs a shell script that can mount over DOCKER_CONFIG/manifests: no other process sees the mounts, and they
// end with the script.
func (s *scene) mounted(script string) (stdout, stderr string) {
	s.Helper()
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		s.Skip("mounts need root")
	}
	cmd := s.Command(context.WithoutCancel(s.Context()), "unshare", "--mount", "sh", "-euc", script)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		s.Fatalf("the script failed: %v\n%s%s", err, &out, &errs)
	}
	return out.String(), errs.String()
}

// With a read-only configuration folder, commands that do not write there work, and the others report why they
// cannot.
func TestReadOnlyConfigFolder(t *testing.T) {
	s, a, _ := newListScene(t)
	s.put(s.repo, "other", images.Spec{Platform: riscv64})
	unchanged := s.store()
	stdout, stderr := s.mounted(strings.NewReplacer("LIST", s.list, "IMAGE", s.name("amd64"), "OTHER", s.name("other"), "NEW", s.name("2")).Replace(`
mount --bind "$DOCKER_CONFIG" "$DOCKER_CONFIG"
mount -o remount,bind,ro "$DOCKER_CONFIG"
docker multiarch ls -q
docker multiarch inspect LIST
docker multiarch inspect IMAGE
docker multiarch push LIST
docker multiarch create --push NEW IMAGE
docker multiarch create --dry-run NEW IMAGE
code() { "$@" && echo worked || echo "code $?"; }
code docker multiarch create NEW IMAGE >&2
code docker multiarch create --amend LIST OTHER >&2
code docker multiarch annotate LIST IMAGE --variant v2 >&2
code docker multiarch rm LIST >&2
code docker multiarch prune -f >&2
`))
	says(t, stdout, s.list, a.Digest().String())
	if strings.Count(stderr, "code 1\n") != 5 || strings.Count(stderr, "read-only file system") != 6 {
		t.Errorf("got stderr, want 5 errors and a warning about a read-only file system:\n%s", stderr)
	}
	saysNot(t, stderr, "worked")
	s.holds("1", "linux/amd64", "linux/arm64/v8")
	s.holds("2", "linux/amd64")
	if got := s.store(); !maps.Equal(got, unchanged) {
		t.Errorf("got local store %v, want %v", got, unchanged)
	}
}

// On a full disk a change fails and keeps the old list; removing and pushing work.
func TestFullConfigFolder(t *testing.T) {
	s, a, b := newListScene(t)
	large := images.Image(images.Spec{Seed: s.repo, Platform: riscv64, Layers: 400})
	harness.Put(t, s.registry, s.repo, "large", large)
	saved := filepath.Join(s.Home, "saved")
	_, stderr := s.mounted(strings.NewReplacer("LIST", s.list, "LARGE", s.name("large"), "SMALL", s.name("amd64"), "NEW", s.name("2"), "SAVED", saved).Replace(`
cp -a "$DOCKER_CONFIG/manifests" SAVED
mount -t tmpfs -o size=128k tmpfs "$DOCKER_CONFIG/manifests"
cp -a SAVED/. "$DOCKER_CONFIG/manifests/"
dd if=/dev/zero of="$DOCKER_CONFIG/manifests/.filler" bs=4k 2>/dev/null || :
code() { "$@" && echo worked || echo "code $?"; }
code docker multiarch create NEW LARGE >&2
code docker multiarch create --amend LIST LARGE >&2
code docker multiarch annotate LIST SMALL --variant v2 >&2
diff -r -x .lock -x .filler SAVED "$DOCKER_CONFIG/manifests" >&2
docker multiarch push LIST >&2
docker multiarch rm LIST >&2
ls -A "$DOCKER_CONFIG/manifests" >&2
`))
	if strings.Count(stderr, "code 1\n") != 3 || strings.Count(stderr, "no space left on device") != 4 {
		t.Errorf("got stderr, want 3 errors and a warning about a full disk:\n%s", stderr)
	}
	saysNot(t, stderr, "worked")
	if !strings.HasSuffix(stderr, "\n.filler\n.lock\n") {
		t.Errorf("got stderr, want only .filler and .lock left in the store at its end:\n%s", stderr)
	}
	s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
}

// If the local list cannot be updated after a push, the digest is still reported on stdout and in the file, and the
// exit code is 1.
func TestPushIntoReadOnlyStore(t *testing.T) {
	for _, flag := range []string{"--purge=false", "--purge", "--purge=tags"} {
		t.Run(strings.Trim(flag, "-"), func(t *testing.T) {
			onEachStore(t, func(s *scene) {
				a := s.load(s.plain("a"), amd64)
				s.multiarch("create", s.list, s.plain("a"))
				unchanged, local := s.store(), s.daemonTags()
				stdout, stderr := s.mounted(strings.NewReplacer("LIST", s.list, "PURGE", flag).Replace(`
mount --bind "$DOCKER_CONFIG" "$DOCKER_CONFIG"
mount -o remount,bind,ro "$DOCKER_CONFIG"
docker multiarch push PURGE --digest-file digest LIST || echo "code $?" >&2
`))
				s.pushedLast(stdout, "1")
				says(s.T, stderr, "code 1\n", s.list+" was pushed", s.digestOf("1"), "read-only file system")
				digest, err := os.ReadFile(filepath.Join(s.Dir, "digest"))
				if err != nil || string(digest) != s.digestOf("1") {
					s.Errorf("got digest file %q (error %v), want %q", digest, err, s.digestOf("1"))
				}
				s.holdsImages(s.holds("1", "linux/amd64"), a)
				if got := s.store(); !maps.Equal(got, unchanged) {
					s.Errorf("got local store %v, want %v", got, unchanged)
				}
				if tags := harness.Tags(s.T, s.registry, s.repo); len(tags) != 2 {
					s.Errorf("got tags %v, want the list's and the staging tag", tags)
				}
				s.sameDaemonTags(local)
			})
		})
	}
}
