package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

var (
	riscv64 = ocispec.Platform{OS: "linux", Architecture: "riscv64"}
	i386    = ocispec.Platform{OS: "linux", Architecture: "386"}
)

// Images that are named in the target repository are pushed under their own names, to either registry.
func TestPushSendsImagesNamedInTheTargetRepository(t *testing.T) {
	for _, store := range stores {
		for _, kind := range registryKinds {
			t.Run(string(store)+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, kind)
				s.useDaemon(harness.Daemon(t, store))
				a, b := s.load(s.name("amd64"), amd64), s.load(s.name("arm64"), arm64)
				before := s.daemonTags()
				r := s.multiarch("create", s.list, s.name("amd64"), s.name("arm64"))
				if want := "Created manifest list " + s.list + "\n"; r.Stdout != want {
					t.Errorf("got stdout %q, want %q", r.Stdout, want)
				}
				says(t, r.Stderr, "in the daemon")
				harness.Absent(t, s.registry, s.repo, "amd64")
				r = s.multiarch("push", s.list)
				s.pushedLast(r.Stdout, "1")
				says(t, r.Stdout, "Pushed ref "+s.name("amd64")+" with digest: sha256:", "Pushed ref "+s.name("arm64"))
				s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
				s.nothingPending()
				s.docker("manifest", "inspect", s.list)
				s.sameDaemonTags(before)
				if tags := harness.Tags(t, s.registry, s.repo); len(tags) != 3 {
					t.Errorf("got tags %v, want the list's and one for each image", tags)
				}
			})
		}
	}
}

// Images with plain names are pushed to the target repository under staging names, which are removed from the daemon;
// a second push uploads nothing.
func TestPushSendsImagesWithPlainNames(t *testing.T) {
	onEachStore(t, func(s *scene) {
		a, b := s.load(s.plain("amd64"), amd64), s.load(s.plain("arm64"), arm64)
		before := s.daemonTags()
		s.multiarch("create", s.list, s.plain("arm64"), s.plain("amd64"))
		s.multiarch("push", s.list)
		s.holdsImages(s.holds("1", "linux/arm64/v8", "linux/amd64"), b, a)
		pushed := s.nothingPending()
		s.sameDaemonTags(before)
		tags := harness.Tags(s.T, s.registry, s.repo)
		for name, local := range map[string]string{"1-linux-amd64-": "amd64", "1-linux-arm64-v8-": "arm64"} {
			staged := name + strings.TrimPrefix(before[s.plain(local)], "sha256:")[:12]
			if tags[staged] == "" {
				s.Errorf("got tags %v, want %s", tags, staged)
			}
		}
		again := harness.Requests(s.T, s.registry, func() { s.multiarch("push", s.list) })
		for _, r := range writes(again) {
			if strings.Contains(r.Path, s.repo+"/") && r.Path != "/v2/"+s.repo+"/manifests/1" {
				s.Errorf("got %s at the second push, want no upload", r)
			}
		}
		if d := s.nothingPending(); d != pushed {
			s.Errorf("got digest %s at the second push, want %s", d, pushed)
		}
	})
}

// A list can mix sources in the daemon, in the target repository, in another repository and in another registry.
func TestPushMixesDaemonAndRegistries(t *testing.T) {
	onEachStore(t, func(s *scene) {
		other := harness.Registry(s.T, harness.V28)
		local := s.load(s.plain("local"), amd64)
		same := s.put(s.repo, "same", images.Spec{Platform: arm64})
		near := s.put(s.repo+"/near", "1", images.Spec{Platform: riscv64, Format: images.OCI, Layers: 2})
		away := images.Image(images.Spec{Seed: s.repo + "away", Platform: windows, LayerSize: 100_000})
		awayName := harness.Put(s.T, other, s.repo, "away", away)
		before := s.daemonTags()
		s.multiarch("create", s.list, awayName, s.plain("local"), s.registry.Host+"/"+s.repo+"/near:1", s.name("same"))
		r := s.multiarch("push", s.list)
		index := s.holds("1", "windows/amd64", "linux/amd64", "linux/riscv64", "linux/arm64/v8")
		s.holdsImages(index, away, local, near, same)
		if index.Manifests[0].Platform.OSVersion != windows.OSVersion || index.MediaType != ocispec.MediaTypeImageIndex {
			s.Errorf("got index %+v, want an OCI index with the OS version %s", index, windows.OSVersion)
		}
		s.pushedLast(r.Stdout, "1")
		saysNot(s.T, r.Stdout, "Pushed ref "+s.name("same"))
		s.nothingPending()
		s.sameDaemonTags(before)
	})
}

// If daemon and registry have different images of one name, the registry's is used with a warning; --from overrides
// that.
func TestCreateWarnsOfNewerLocalImage(t *testing.T) {
	onEachStore(t, func(s *scene) {
		name := s.name("arm64")
		old := s.load(name, arm64, "old")
		s.docker("push", name)
		fresh := s.load(name, arm64, "new")
		a := s.load(s.plain("a"), amd64)
		r := s.multiarch("create", s.list, name, s.plain("a"))
		says(s.T, r.Stderr, "WARNING", name, "--from daemon")
		s.multiarch("push", s.list)
		s.holdsImages(s.holds("1", "linux/arm64/v8", "linux/amd64"), old, a)
		s.multiarch("create", "--replace", "--from", "daemon", s.list, name, s.plain("a"))
		s.multiarch("push", s.list)
		s.holdsImages(s.holds("1", "linux/arm64/v8", "linux/amd64"), fresh, a)
		s.nothingPending()
		r = s.multiarch("create", "--replace", s.list, name)
		s.noWarning(r.Stderr)
		s.refused([]string{s.plain("a")}, "create", "--replace", "--from", "registry", s.list, s.plain("a"))
		s.refused([]string{s.name("none"), "daemon"}, "create", "--replace", "--from", "daemon", s.list, s.name("none"))
	})
}

// A local image whose name is not the name of a list is pushed as an image.
func TestPushOfLocalImage(t *testing.T) {
	onEachStore(t, func(s *scene) {
		image := s.load(s.list, arm64)
		before := s.daemonTags()
		r := s.multiarch("push", "-t", "latest", "--tag", s.name("stable"), s.list)
		says(s.T, r.Stderr, s.list+" is not a local list; pushing the image")
		s.pushedLast(r.Stdout, "1")
		tags := harness.Tags(s.T, s.registry, s.repo)
		if len(tags) != 3 || tags["latest"] != tags["1"] || tags["stable"] != tags["1"] {
			s.Errorf("got tags %v, want 1, latest and stable with one digest", tags)
		}
		harness.Complete(s.T, s.registry, s.repo, "latest")
		s.sameDaemonTags(before)
		s.holdsImages(ocispec.Index{Manifests: []ocispec.Descriptor{{Digest: harness.Get(s.T, s.registry, s.repo, "1").Digest}}}, image)
	})
}

// With --purge there must be a list: otherwise a script that runs twice would replace the list with an image.
func TestPurgeDoesNotPushLocalImage(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.put(s.repo, "1", images.Spec{Platform: amd64})
		s.load(s.list, arm64)
		for _, flag := range []string{"-p", "--purge", "--purge=tags"} {
			s.refused([]string{"No such manifest", s.list}, "push", flag, s.list)
		}
	})
}

// One command publishes a list, also under more tags, and leaves no local list.
func TestCreatePushInOneStep(t *testing.T) {
	onEachStore(t, func(s *scene) {
		a, b := s.load(s.plain("amd64"), amd64), s.load(s.plain("arm64"), arm64)
		before := s.daemonTags()
		r := s.multiarch("create", "--push", "-t", "latest", "--require", "linux/amd64,linux/arm64", s.list, s.plain("amd64"), s.plain("arm64"))
		s.pushedLast(r.Stdout, "1")
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
		if tags := harness.Tags(s.T, s.registry, s.repo); tags["latest"] != tags["1"] {
			s.Errorf("got tags %v, want latest and 1 with one digest", tags)
		}
		s.sameDaemonTags(before)
		if files := s.store(); len(files) > 0 {
			s.Errorf("got local store %v, want none", files)
		}
		r = s.multiarch("create", "--push", "-q", "--digest-file", "digest", "--metadata-file", "meta.json", "--purge=tags", s.name("2"), s.plain("amd64"), s.plain("arm64"))
		digest, err := os.ReadFile(filepath.Join(s.Dir, "digest"))
		metadata, metaErr := os.ReadFile(filepath.Join(s.Dir, "meta.json"))
		if tags := harness.Tags(s.T, s.registry, s.repo); err != nil || string(digest) != tags["2"] || r.Stdout != tags["2"]+"\n" || r.Stderr != "" || len(tags) != 5 {
			s.Errorf("got digest file %s, %v, stdout %q, stderr %q, tags %v, want the digest of tag 2 and only the staging tags of the first push", digest, err, r.Stdout, r.Stderr, tags)
		}
		says(s.T, string(metadata), string(digest), s.name("2"))
		if metaErr != nil {
			s.Error(metaErr)
		}
		s.refused([]string{"require --push"}, "create", "--purge=tags", s.name("3"), s.plain("amd64"))
		s.refused([]string{"linux/riscv64", "--require"}, "create", "--push", "--require", "linux/riscv64", s.list, s.plain("amd64"))
		s.load(s.plain("twice"), amd64)
		s.refused([]string{s.plain("amd64"), s.plain("twice"), "linux/amd64"}, "create", "--push", s.list, s.plain("amd64"), s.plain("twice"))
	})
}

// A dry run of create or push changes nothing.
func TestDryRunChangesNothing(t *testing.T) {
	onEachStore(t, func(s *scene) {
		r := harness.NewRegistry(s.T, harness.RegistryOptions{})
		s.registry, s.list = r, r.Host+"/"+s.repo+":1"
		s.load(s.plain("amd64"), amd64)
		there := s.put(s.repo+"/near", "1", images.Spec{Platform: arm64})
		near := r.Host + "/" + s.repo + "/near:1"
		dry := func(args ...string) harness.Result {
			s.Helper()
			unchanged := s.unchanged()
			var result harness.Result
			for _, request := range writes(harness.Requests(s.T, r, func() { result = s.multiarch(args...) })) {
				s.Errorf("docker multiarch %v: got %s, want no write", args, request)
			}
			unchanged()
			return result
		}
		for _, flags := range [][]string{{}, {"--push"}, {"--push", "-t", "latest"}} {
			result := dry(append(append([]string{"create", "--dry-run"}, flags...), s.list, s.plain("amd64"), near)...)
			says(s.T, result.Stdout, there.Digest().String(), `"architecture": "amd64"`)
			says(s.T, result.Stderr, "push from the daemon: linux/amd64 "+s.plain("amd64"), "mount from", "push the list: "+s.list)
		}
		s.multiarch("create", s.list, s.plain("amd64"), near)
		dry("push", "--dry-run", s.list)
		if quiet := dry("push", "--dry-run", "--quiet", s.list); quiet.Stdout != "" {
			s.Errorf("got %q, want no digest before the push of a pending image", quiet.Stdout)
		}
		dry("create", "--amend", "--dry-run", s.list, near)
		dry("create", "--replace", "--dry-run", s.list, near)
	})
}

// A dry run refuses the lists that push refuses, and reports the digest that push will report.
func TestDryRunReportsWhatPushDoes(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.put(s.repo, "arm64", images.Spec{Platform: arm64})
	s.put(s.repo, "none", images.Spec{Platform: ocispec.Platform{}})
	s.multiarch("create", s.list, s.name("arm64"), s.name("none"))
	for _, args := range [][]string{{"push", "--dry-run"}, {"push", "-q", "--dry-run"}, {"push"}} {
		s.refused([]string{s.name("none"), "OS and Architecture", "annotate"}, append(args, s.list)...)
	}
	s.refused([]string{s.name("none"), "OS and Architecture"}, "create", "--push", "--dry-run", s.name("2"), s.name("none"))
	s.multiarch("annotate", s.list, s.name("none"), "--os", "linux", "--arch", "s390x")
	unchanged := s.unchanged()
	dry := s.multiarch("push", "-q", "--dry-run", s.list)
	unchanged()
	if pushed := s.multiarch("push", "-q", s.list); dry.Stdout != pushed.Stdout {
		t.Errorf("got %q from the dry run, want %q as from the push", dry.Stdout, pushed.Stdout)
	}
}
